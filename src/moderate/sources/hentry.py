"""The microformats2 of a source page: author, kind of response, texts and time of its entry.

The subset that is shown: h-entry with author, name, summary, content, published and the response
type (microformats.org/wiki/h-entry, /authorship; Webmention leaves this to the receiver). Classic
hentry markup, which blog themes have carried since 2006, is mapped to the same names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal

from moderate.sources.page_text import cropped_end, marked_up, one_line, plain_text
from moderate.web_address import resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml import etree

    from moderate.sources.page import SourcePage, Targets

ResponseType = Literal["rsvp", "invite", "repost", "like", "bookmark", "reply", "mention"]

MAX_NAME = 80
MAX_TITLE = 200
MAX_CONTENT = 2000
#: Contents longer than this are replaced by the author's own summary.
_LONG = 1000
#: The number of values of one property, and of links to the target, that are read.
_MOST = 8

#: The first that names the target decides: a reply that also likes is a like (as receivers in use have it).
_TYPES: tuple[tuple[str, ResponseType], ...] = (
    ("invitee", "invite"),
    ("repost-of", "repost"),
    ("like-of", "like"),
    ("bookmark-of", "bookmark"),
    ("in-reply-to", "reply"),
)
_CLASSIC = {
    "entry-title": "p-name",
    "entry-summary": "p-summary",
    "entry-content": "e-content",
    "published": "dt-published",
    "updated": "dt-updated",
    "author": "p-author",
    "fn": "p-name",
    "url": "u-url",
}
_CLASSIC_ROOTS = {"hentry": "h-entry", "vcard": "h-card", "hfeed": "h-feed"}
_PROPERTY = re.compile(r"(?:p|u|dt|e)-([a-z][a-z0-9-]*)", re.ASCII)
_ADDRESSES = {"a": "href", "area": "href", "link": "href", "img": "src", "object": "data"}
_ZONE = re.compile(r"([+-]\d\d)(\d\d)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class HEntry:
    """An entry. All texts are plain, bounded and not to be trusted; all but the content are in one line."""

    type: ResponseType
    author_name: str | None = None
    #: An http or https address. The author's picture is left out: showing it would report readers to the author's host.
    author_url: str | None = None
    #: The title; None where it only repeats the content, as it does for notes.
    name: str | None = None
    summary: str | None = None
    #: With its paragraphs and line breaks, as blank lines and newlines.
    content: str | None = None
    #: The beginning of the content as HTML, as `moderate.sources.page_text` makes it.
    markup: str | None = None
    published: datetime | None = None


def read_hentry(page: SourcePage, wanted: Targets, *, now: datetime) -> HEntry | None:
    """Return the entry of the page that refers to a *wanted* address, else its first; None where it has none.

    *now* is the latest time of publication.
    """
    if page.tree is None:
        return None
    entries = [element for element in page.tree.iter() if "h-entry" in _roots(element)]
    if not entries:
        return None
    holders = _holders(page, wanted)
    entry = next((entry for entry in entries if entry in holders), entries[0])
    return _entry(page, entry, wanted, now)


def _entry(page: SourcePage, entry: etree._Element, wanted: Targets, now: datetime) -> HEntry:
    properties = _properties(entry)
    author_name, author_url = _author(page, entry, properties)
    content, markup = _content(page, properties)
    name = _first_words(properties, "name", MAX_TITLE)
    summary = _first_words(properties, "summary", _LONG)
    if name and content and one_line(content).startswith(name.removesuffix("…")):
        name = None
    if summary and content and len(content) > _LONG:
        content, markup = summary, None
    return HEntry(
        type=_type(page, properties, wanted),
        author_name=author_name,
        author_url=author_url,
        name=name,
        summary=summary,
        content=content,
        markup=markup,
        published=_published(properties, now),
    )


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


def _address(page: SourcePage, element: etree._Element) -> str | None:
    """Return a u-* value as an absolute http or https address."""
    if "h-card" in _roots(element) or "h-cite" in _roots(element):
        inner = _properties(element).get("url", [])
        if inner and element.tag != "a":
            return _address(page, inner[0])
    attribute = _ADDRESSES.get(str(element.tag), "value")
    return resolved(page.base, element.get(attribute) or element.text or "")


def _addresses(page: SourcePage, elements: Sequence[etree._Element]) -> Iterator[str]:
    for element in elements:
        address = _address(page, element)
        if address:
            yield address


def _holders(page: SourcePage, wanted: Targets) -> set[etree._Element]:
    """Return all elements around the first links to the target."""
    if page.tree is None:
        return set()
    links = (element for element in page.tree.iter(*_ADDRESSES) if _is_wanted(page, element, wanted))
    return {around for link in islice(links, _MOST) for around in (link, *link.iterancestors())}


def _is_wanted(page: SourcePage, element: etree._Element, wanted: Targets) -> bool:
    value = element.get(_ADDRESSES[str(element.tag)])
    address = resolved(page.base, value) if value else None
    return address is not None and address in wanted


def _type(page: SourcePage, properties: dict[str, list[etree._Element]], wanted: Targets) -> ResponseType:
    def names_target(name: str) -> bool:
        return any(address in wanted for address in _addresses(page, properties.get(name, [])))

    if "rsvp" in properties and names_target("in-reply-to"):
        return "rsvp"
    return next((kind for name, kind in _TYPES if names_target(name)), "mention")


def _published(properties: dict[str, list[etree._Element]], now: datetime) -> datetime | None:
    for element in properties.get("published", ()):
        moment = _moment(element.get("datetime") or _words(element))
        if moment:
            return min(moment, now)
    return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_ZONE.sub(r"\1:\2", text.strip().upper()))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _author(
    page: SourcePage, entry: etree._Element, properties: dict[str, list[etree._Element]]
) -> tuple[str | None, str | None]:
    """Return the author's name and address: the entry's own, else the feed's, else those of a link with rel=author."""
    candidates = properties.get("author", []) or _feed_authors(entry)
    for element in candidates[:2]:
        name, url = _card(page, element)
        if name or url:
            return name, url
    for link in page.tree.iter("a", "link") if page.tree is not None else ():
        if "author" in link.get("rel", "").lower().split():
            return cropped_end(_words(link), MAX_NAME) or None, _address(page, link)
    return None, None


def _feed_authors(entry: etree._Element) -> list[etree._Element]:
    feed = next((above for above in entry.iterancestors() if "h-feed" in _roots(above)), None)
    return [] if feed is None else _properties(feed).get("author", [])


def _card(page: SourcePage, element: etree._Element) -> tuple[str | None, str | None]:
    """Return name and address of an h-card, or of a name or link in its place (implied properties)."""
    card = element if "h-card" in _roots(element) else next((e for e in element.iter() if "h-card" in _roots(e)), None)
    if card is None:
        card = element
    properties = _properties(card)
    name = _first_words(properties, "name", MAX_NAME) or cropped_end(_words(card), MAX_NAME) or None
    urls = properties.get("url") or [link for link in card.iter("a") if link.get("href")]
    return name, next(_addresses(page, urls), None)
