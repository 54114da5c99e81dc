"""Links in a source page: finding the one to this site's article, and the text around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from moderate.sources.page_text import cropped_end, one_line, words_around
from moderate.web_address import MAX_ADDRESS, read, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lxml import etree

    from moderate.sources.page import SourcePage

#: How many addresses of one page `Targets` looks up: on hosts of known targets, and on all others.
MOST_ASKED = (1000, 200)

#: Elements whose links readers can follow, with the attribute that holds the address.
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
#: JSON sources are searched to this depth, and this many values.
_MAX_DEPTH = 64
_MAX_VALUES = 50_000
_WORD = re.compile(r"https?://[^\s<>\"'`{}|\\^]{1,2048}", re.IGNORECASE)
_TRAILING = ")].,;:!?"
#: Characters that no database takes in a text, or that no address has.
_UNASKABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class LinkFound:
    """A link to a wanted address. `text` and `context` are plain, in one line, and not to be trusted."""

    url: str
    #: The element's name; ``text`` or ``json`` for sources without elements.
    element: str
    rel: frozenset[str] = frozenset()
    text: str = ""
    #: The text of the same paragraph, about 100 characters on each side of the link.
    context: str = ""


class Targets:
    """The addresses that one page has to link to.

    *given* are known targets, in any spelling, with http and https as one. For any other address *leads_here* is
    called, once each and for no more than `MOST_ASKED` of them: it may query a database, and a page may have any
    number of links. It is never called for an address that would be refused as the target of a ping.
    """

    def __init__(self, given: Iterable[str], leads_here: Callable[[str], bool] = lambda _: False) -> None:
        self._leads_here = leads_here
        self._given = frozenset(address.page for url in given if (address := read(url)))
        self._known = dict.fromkeys(self._given, True)
        self._hosts = {page.partition("/")[0] for page in self._given}
        self._left = list(MOST_ASKED)

    def are_given(self, url: str) -> bool:
        """Return whether *url* is one of the given addresses."""
        address = read(url)
        return address is not None and address.page in self._given

    def __contains__(self, url: str) -> bool:
        address = read(url)
        if address is None or address.has_user:
            return False
        page = address.page
        if page not in self._known:
            self._known[page] = self._is_askable(page, url) and self._leads_here(url)
        return self._known[page]

    def _is_askable(self, page: str, url: str) -> bool:
        if len(url) > MAX_ADDRESS or _UNASKABLE.search(url):
            return False
        kind = 0 if page.partition("/")[0] in self._hosts else 1
        self._left[kind] -= 1
        return self._left[kind] >= 0


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


def _in_elements(page: SourcePage, wanted: Targets, attributes: dict[str, str]) -> LinkFound | None:
    if page.tree is None:
        return None
    matches = (
        (element, address)
        for element in page.tree.iter(*attributes)
        if (value := element.get(attributes[str(element.tag)]))
        and (address := resolved(page.base, value))
        and address in wanted
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
