"""Read the page that a ping names as its source: a bounded tree of its HTML, its title, and its links to other hosts.

lxml's own tree takes quadratic time over one tag with very many attributes, and drops what is nested deeply. So lxml
only reports the tags, and the tree is built of what is needed: few attributes, at most `MAX_ELEMENTS` elements, at
most `MAX_DEPTH` deep with everything below laid flat. Nothing is loaded or run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from moderate.errors import FetchFailed
from moderate.i18n import Message
from moderate.sources.page_text import cropped_end, plain_text
from moderate.text.charsets import page_text
from moderate.web_address import host_of, read, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lxml import etree

    from moderate.outbound.fetch import Fetched

#: Pages larger than this (characters, decoded) are not read.
MAX_PAGE = 2_097_152
#: Longest title, in characters.
MAX_TITLE = 200
MAX_ELEMENTS = 50_000
MAX_DEPTH = 200

_KEPT = frozenset(
    "alt cite class content data datetime href http-equiv name property rel src title value".split()  # noqa: SIM905
)
#: Elements whose content no browser shows as part of the page (with scripts on, as nearly all readers have them).
_INERT = frozenset({"noembed", "noframes", "noscript", "plaintext", "script", "style", "template", "textarea", "xmp"})
_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePage:
    """A source page. All texts are plain, in one line, and not to be trusted: escape them where they are shown."""

    #: The address at which the redirects ended.
    url: str
    kind: Literal["html", "json", "text"]
    title: str | None = None
    #: The page's canonical address, if it is on the same host.
    canonical: str | None = None
    #: The page says that it is deleted, by status 410 or by a meta element with that status.
    is_gone: bool = False
    #: The number of different addresses of other hosts that it links to: a link farm has hundreds.
    outgoing_links: int = 0
    #: The base address of relative links.
    base: str = ""
    tree: etree._Element | None = None
    #: The decoded value of a JSON source, the text of a plain one.
    data: Any = None


def read_page(fetched: Fetched) -> SourcePage:
    """Read a fetched page. Raises `FetchFailed` for one that is too large or not of its declared type.

    The time is linear in the size.
    """
    if fetched.status == 410:
        return SourcePage(url=fetched.url, kind="text", is_gone=True, data="")
    text = page_text(fetched.body, fetched.content_type)
    if len(text) > MAX_PAGE:
        raise FetchFailed("too-large", "the source is larger than is read")
    essence = fetched.content_type.partition(";")[0].strip().lower()
    if essence == "application/json" or essence.endswith("+json"):
        return SourcePage(url=fetched.url, kind="json", data=_json(text))
    if essence == "text/plain":
        return SourcePage(url=fetched.url, kind="text", data=text)
    return _html_page(fetched.url, parse_html(text))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FetchFailed("bad-response", "the source is not the JSON that it says it is") from None


def _html_page(url: str, tree: etree._Element | None) -> SourcePage:
    if tree is None:
        return SourcePage(url=url, kind="html", base=url)
    base = _base(url, tree)
    return SourcePage(
        url=url,
        kind="html",
        title=_title(tree),
        canonical=_canonical(url, base, tree),
        is_gone=any(_says_gone(meta) for meta in tree.iter("meta")),
        outgoing_links=len(set(_outgoing(url, base, tree))),
        base=base,
        tree=tree,
    )


def _base(url: str, tree: etree._Element) -> str:
    """Return the address of the first base element with an href, resolved against the page's (HTML §4.2.3)."""
    href = next((base.get("href") for base in tree.iter("base") if base.get("href")), "") or ""
    return resolved(url, href) or url


def _title(tree: etree._Element) -> str | None:
    named = [meta.get("content", "") for meta in tree.iter("meta") if meta.get("property", "").lower() == "og:title"]
    # An SVG image has a title element of its own.
    own = [plain_text(title) for title in tree.iter("title") if "svg" not in (e.tag for e in title.iterancestors())]
    title = next((" ".join(text.split()) for text in (*own, *named) if text.strip()), None)
    return cropped_end(title, MAX_TITLE) if title else None


def _canonical(url: str, base: str, tree: etree._Element) -> str | None:
    for link in tree.iter("link"):
        if "canonical" in link.get("rel", "").lower().split():
            address = resolved(base, link.get("href", ""))
            return address if address and host_of(address) == host_of(url) else None
    return None


def _says_gone(meta: etree._Element) -> bool:
    """Return whether a meta element declares status 410, as static hosts need (the Webmention test suite does it)."""
    return meta.get("http-equiv", "").lower() == "status" and meta.get("content", "").split()[:1] == ["410"]


def _outgoing(url: str, base: str, tree: etree._Element) -> Iterator[str]:
    own = host_of(url)
    for link in tree.iter("a"):
        address = resolved(base, link.get("href", ""))
        if address and (found := read(address)) and found.host != own:
            yield address


# --- the tree ---------------------------------------------------------------------------------------


def parse_html(text: str) -> etree._Element | None:
    """Return the tree of a document, None where it holds no element. Raises `FetchFailed` where it is too large."""
    from lxml import etree

    target: Any = _SmallTree(etree.TreeBuilder())
    parser = etree.HTMLParser(target=target, encoding="utf-8", recover=True, no_network=True, huge_tree=False)
    try:
        root: etree._Element | None = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None
    return root


class _SmallTree:
    """A parser target of lxml, which passes the tags that are kept to a builder."""

    def __init__(self, builder: etree.TreeBuilder) -> None:
        self._builder = builder
        self._elements = 0
        self._inert = 0
        #: For each open tag: whether the builder expects its end.
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
        # The content of an iframe is for browsers that know none.
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
        """Skip a comment."""

    def pi(self, target: str, data: str) -> None:
        """Skip a processing instruction."""

    def close(self) -> etree._Element | None:
        # lxml calls this after a failure as well, and an error from here would hide that one.
        try:
            root: etree._Element = self._builder.close()
        except AssertionError:
            return None
        return root
