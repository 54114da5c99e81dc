"""The microformats2 of a source page: the author and the texts of its entry.

The subset that is shown: h-entry with author, name, summary and content (microformats.org/wiki/h-entry, /authorship;
Webmention leaves this to the receiver). Classic hentry markup, which blog themes have carried since 2006, is mapped to
the same names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from moderate.sources.page import links_to
from moderate.sources.page_text import cropped_end, marked_up, one_line, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from moderate.sources.page import SourcePage, Targets

MAX_NAME = 80
MAX_TITLE = 200
MAX_SUMMARY = 1000
MAX_CONTENT = 2000
#: The number of values of one property, and of links to the target, that are read.
_MOST = 8

_CLASSIC = {
    "entry-title": "p-name",
    "entry-summary": "p-summary",
    "entry-content": "e-content",
    "author": "p-author",
    "fn": "p-name",
}
_CLASSIC_ROOTS = {"hentry": "h-entry", "vcard": "h-card", "hfeed": "h-feed"}
_PROPERTY = re.compile(r"(?:p|u|dt|e)-([a-z][a-z0-9-]*)", re.ASCII)
_ADDRESSES = {"a": "href", "area": "href", "link": "href", "img": "src", "object": "data"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HEntry:
    """An entry. All texts are plain, bounded and not to be trusted; all but the text are in one line."""

    #: The author's picture is left out: showing it would report readers to the author's host.
    author_name: str | None = None
    #: The title; None where it only repeats the content, as it does for notes.
    name: str | None = None
    #: The author's own summary, else the content with its paragraphs and line breaks, as blank lines and newlines.
    text: str | None = None
    #: The beginning of the content as HTML, as `moderate.sources.page_text` makes it; None where there is a summary.
    markup: str | None = None


def read_hentry(page: SourcePage, wanted: Targets) -> HEntry | None:
    """Return the entry of the page that refers to a *wanted* address, else its first; None where it has none."""
    if page.tree is None:
        return None
    entries = [element for element in page.tree.iter() if "h-entry" in _roots(element)]
    if not entries:
        return None
    holders = _holders(page, wanted)
    entry = next((entry for entry in entries if entry in holders), entries[0])
    properties = _properties(entry)
    content, markup = _content(page, properties)
    name = _first_words(properties, "name", MAX_TITLE)
    summary = _first_words(properties, "summary", MAX_SUMMARY)
    if name and content and one_line(content).startswith(name.removesuffix("…")):
        name = None
    author_name = _author(page, entry, properties)
    return HEntry(author_name=author_name, name=name, text=summary or content, markup=None if summary else markup)


def _content(page: SourcePage, properties: dict[str, list[etree._Element]]) -> tuple[str | None, str | None]:
    """Return the e-content as plain text and as HTML; only the former for an element without text (``<data>``)."""
    for element in properties.get("content", [])[:2]:
        text, markup = marked_up(element, page.base, MAX_CONTENT)
        if text:
            return text, markup
    return _first_words(properties, "content", MAX_CONTENT), None


def _classes(element: etree._Element) -> list[str]:
    return str(element.get("class", "")).split()


def _roots(element: etree._Element) -> set[str]:
    """Return the root class names of the microformats that begin at the element."""
    classes = _classes(element)
    return {name for name in classes if name.startswith("h-")} | {
        _CLASSIC_ROOTS[name] for name in classes if name in _CLASSIC_ROOTS
    }


def _properties(root: etree._Element) -> dict[str, list[etree._Element]]:
    """Return the elements of each property that belong to this root and not to a microformat within it."""
    found: dict[str, list[etree._Element]] = {}
    for element in _own_elements(root):
        for name in _classes(element):
            match = _PROPERTY.fullmatch(_CLASSIC.get(name, name))
            if match and len(found.setdefault(match[1], [])) < _MOST:
                found[match[1]].append(element)
    return found


def _own_elements(root: etree._Element) -> Iterator[etree._Element]:
    from lxml import etree

    walk = etree.iterwalk(root, events=("start",))
    for _, element in walk:
        if element is root:
            continue
        yield element
        if _roots(element):
            walk.skip_subtree()


def _first_words(properties: dict[str, list[etree._Element]], name: str, limit: int) -> str | None:
    texts = (_words(element) for element in properties.get(name, [])[:2])
    return cropped_end(next((text for text in texts if text), ""), limit) or None


def _words(element: etree._Element) -> str:
    """Return a p-* value: the element's attribute for it, else its text (microformats2 parsing, p- properties)."""
    if element.tag == "abbr" and element.get("title"):
        return " ".join(element.get("title", "").split())
    if element.tag in {"data", "input"} and element.get("value"):
        return " ".join(element.get("value", "").split())
    return plain_text(element) or " ".join(element.get("alt", "").split())


def _holders(page: SourcePage, wanted: Targets) -> set[etree._Element]:
    """Return all elements around the first links to the target."""
    links = islice(links_to(page, wanted, _ADDRESSES), _MOST)
    return {around for link, _ in links for around in (link, *link.iterancestors())}


def _author(page: SourcePage, entry: etree._Element, properties: dict[str, list[etree._Element]]) -> str | None:
    """Return the author's name: the entry's own, else the feed's, else that of a link with rel=author."""
    candidates = properties.get("author", [])
    if not candidates:
        feed = next((above for above in entry.iterancestors() if "h-feed" in _roots(above)), None)
        candidates = [] if feed is None else _properties(feed).get("author", [])
    for element in candidates[:2]:
        # An author is an h-card, contains one, or is a name or a link in its place (implied properties).
        card = next((inner for inner in element.iter() if "h-card" in _roots(inner)), element)
        name = _first_words(_properties(card), "name", MAX_NAME) or cropped_end(_words(card), MAX_NAME)
        if name:
            return name
    for link in page.tree.iter("a", "link") if page.tree is not None else ():
        if "author" in link.get("rel", "").lower().split():
            return cropped_end(_words(link), MAX_NAME) or None
    return None
