"""A stranger's HTML as a small tree: bounded, without what a browser would not show, nothing executed.

lxml's own tree takes quadratic time over one tag with very many attributes, and drops what is
nested deeply. Here lxml only tells the tags, and the tree is built of what is needed: few
attributes, at most `MAX_ELEMENTS` elements, at most `MAX_DEPTH` deep with all below laid flat.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moderate.errors import FetchFailed
from moderate.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml import etree

MAX_ELEMENTS = 50_000
MAX_DEPTH = 200

_KEPT = frozenset(
    {
        "alt",
        "cite",
        "class",
        "content",
        "data",
        "datetime",
        "href",
        "http-equiv",
        "name",
        "property",
        "rel",
        "src",
        "title",
        "value",
    }
)
#: No browser shows what is in these as part of the page (with scripts on, as nearly all readers have it).
_INERT = frozenset({"noembed", "noframes", "noscript", "plaintext", "script", "style", "template", "textarea", "xmp"})
_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parse_html(text: str) -> etree._Element | None:
    """The tree of a document, None where it holds no element. Raises `FetchFailed` where it is too large."""
    from lxml import etree

    target: Any = _SmallTree(etree.TreeBuilder())
    parser = etree.HTMLParser(target=target, encoding="utf-8", recover=True, no_network=True, huge_tree=False)
    try:
        root: etree._Element | None = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    return root


class _SmallTree:
    """What lxml's parser calls for every tag; hands on to a builder what is to be kept."""

    def __init__(self, builder: etree.TreeBuilder) -> None:
        self._builder = builder
        self._elements = 0
        self._inert = 0
        #: For every open tag whether the builder waits for its end.
        self._open: list[bool] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise FetchFailed("too-large", Message("the source has more than {n} elements", n=MAX_ELEMENTS))
        if self._inert or tag in _INERT:
            self._inert += 1
            self._open.append(False)
            return
        name = tag if _NAME.fullmatch(tag) else "span"
        self._builder.start(name, {k: _NOT_XML.sub("", v) for k, v in attributes.items() if k in _KEPT})
        nests = len(self._open) < MAX_DEPTH and tag != "iframe"
        if not nests:
            self._builder.end(name)
        # What stands within an iframe is for browsers that know none.
        self._inert = 1 if tag == "iframe" else 0
        self._open.append(nests)

    def end(self, tag: str) -> None:
        if self._open.pop():
            self._builder.end(tag if _NAME.fullmatch(tag) else "span")
        elif self._inert:
            self._inert -= 1

    def data(self, text: str) -> None:
        if not self._inert:
            self._builder.data(_NOT_XML.sub("", text))

    def comment(self, text: str) -> None:
        """Comments are no part of the page."""

    def pi(self, target: str, data: str) -> None:
        """Processing instructions are no part of the page."""

    def close(self) -> etree._Element | None:
        # lxml calls this after a failure too, and an error from here would hide that one.
        try:
            root: etree._Element = self._builder.close()
        except AssertionError:
            return None
        return root
