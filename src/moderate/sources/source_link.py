"""Whether a page links to one of ours, and what it says around the link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from moderate.sources.link_address import resolved
from moderate.sources.page_words import cropped_end, one_line, words_around

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from moderate.sources.link_address import Targets
    from moderate.sources.source_page import SourcePage

#: What readers can follow.
_LINKS = {"a": "href", "area": "href"}
#: Webmention §3.2.2 counts any mention in the elements that take an address.
_MENTIONS = {
    **_LINKS,
    "audio": "src",
    "blockquote": "cite",
    "del": "cite",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "ins": "cite",
    "link": "href",
    "object": "data",
    "q": "cite",
    "source": "src",
    "video": "src",
}
#: Of several links the first with prose around it is shown; a menu comes before the text on many pages.
_LOOKED_AT = 20
#: JSON sources are searched this deep and this far.
_MAX_DEPTH = 64
_MAX_VALUES = 50_000
_WORD = re.compile(r"https?://[^\s<>\"'`{}|\\^]{1,2048}", re.IGNORECASE)
_TRAILING = ")].,;:!?"


@dataclass(frozen=True, slots=True)
class LinkFound:
    """A link to one of ours. `text` and `context` are plain, in one line, and not to be trusted."""

    url: str
    #: The element's name; ``text`` or ``json`` for sources without elements.
    element: str
    rel: frozenset[str] = frozenset()
    text: str = ""
    #: The text of the same paragraph, about 100 characters on each side of the link.
    context: str = ""


def find_link(page: SourcePage, wanted: Targets, *, any_element: bool) -> LinkFound | None:
    """Return the link from the page to one of the *wanted* addresses, None where there is none.

    An address matches as a whole. A mention in a comment, a script or another attribute is no link.
    *any_element* takes what Webmention takes: images, media, quotations and JSON or plain-text sources
    too; else only what a reader can follow. A page that is the target itself (after redirects) does not
    link to it.
    """
    if wanted.are_given(page.url):
        return None
    if page.kind == "html":
        return _in_elements(page, wanted, _MENTIONS if any_element else _LINKS)
    if not any_element:
        return None
    return _in_text(page.data, wanted) if page.kind == "text" else _in_json(page.data, wanted)


def _link_to(page: SourcePage, element: etree._Element, wanted: Targets, attributes: dict[str, str]) -> str | None:
    """The address that the element names, if it is wanted."""
    value = element.get(attributes[str(element.tag)])
    address = resolved(page.base, value) if value else None
    return address if address and address in wanted else None


def _in_elements(page: SourcePage, wanted: Targets, attributes: dict[str, str]) -> LinkFound | None:
    if page.tree is None:
        return None
    matches = (
        (element, address)
        for element in page.tree.iter(*attributes)
        if (address := _link_to(page, element, wanted, attributes))
    )
    found = [_described(element, address) for element, address in islice(matches, _LOOKED_AT)]
    return next((link for link in found if len(link.context) > len(link.text)), found[0] if found else None)


def _described(element: etree._Element, address: str) -> LinkFound:
    text, context = words_around(element)
    rel = frozenset(element.get("rel", "").lower().split())
    return LinkFound(address, str(element.tag), rel, text, context)


def _in_text(text: str, wanted: Targets) -> LinkFound | None:
    for match in _WORD.finditer(text):
        # A sentence's full stop belongs to the sentence, unless the address is wanted with it.
        for address in (match[0], match[0].rstrip(_TRAILING)):
            if address in wanted:
                return LinkFound(address, "text", text=address, context=_sentence(text, *match.span()))
    return None


def _sentence(text: str, start: int, end: int) -> str:
    before = one_line(text[max(0, start - 400) : start])
    after = one_line(text[end : end + 400])
    shown = (cropped_end(before[::-1], 100)[::-1], text[start:end], cropped_end(after, 100))
    return " ".join(part for part in shown if part)


def _in_json(value: Any, wanted: Targets) -> LinkFound | None:
    for text in islice(_strings(value, _MAX_DEPTH), _MAX_VALUES):
        if text.startswith(("http", "HTTP")) and text in wanted:
            return LinkFound(text, "json")
    return None


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner, depth - 1)
