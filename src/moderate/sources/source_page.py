"""The page that a ping names as its source, read without believing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from moderate.errors import FetchFailed
from moderate.sources.page_tree import parse_html
from moderate.sources.page_words import cropped_end, words_of
from moderate.text.charsets import page_text
from moderate.web_address import host_of, read, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from moderate.outbound.fetch import Fetched

#: Pages larger than this (characters, decoded) are not read.
MAX_PAGE = 2_097_152
#: Longest title, in characters.
MAX_TITLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePage:
    """A read page. All texts are plain, in one line, and not to be trusted: escape them where they are shown."""

    #: Where the redirects ended.
    url: str
    kind: Literal["html", "json", "text"]
    title: str | None = None
    #: The page's own word for its address, believed only on the same host.
    canonical: str | None = None
    #: The page says of itself that it is deleted, by status 410 or by a meta element that stands for it.
    is_gone: bool = False
    #: How many different addresses of other hosts it links to: a link farm has hundreds.
    outgoing_links: int = 0
    #: What relative links start from.
    base: str = ""
    tree: etree._Element | None = None
    #: The decoded value of a JSON source, the text of a plain one.
    data: Any = None


def read_page(fetched: Fetched) -> SourcePage:
    """Read a fetched page. Raises `FetchFailed` for what is too large or not what it says it is.

    Costs stay linear in the size, whatever the page holds; nothing is loaded or run.
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
    """HTML Standard §4.2.3: the first base element with an href counts, seen from the page's address."""
    href = next((base.get("href") for base in tree.iter("base") if base.get("href")), "") or ""
    return resolved(url, href) or url


def _title(tree: etree._Element) -> str | None:
    named = [meta.get("content", "") for meta in tree.iter("meta") if meta.get("property", "").lower() == "og:title"]
    # The title element of a drawing is the drawing's.
    own = [words_of(title) for title in tree.iter("title") if not _is_in(title, "svg")]
    title = next((" ".join(text.split()) for text in (*own, *named) if text.strip()), None)
    return cropped_end(title, MAX_TITLE) if title else None


def _is_in(element: etree._Element, tag: str) -> bool:
    return any(ancestor.tag == tag for ancestor in element.iterancestors())


def _canonical(url: str, base: str, tree: etree._Element) -> str | None:
    for link in tree.iter("link"):
        if "canonical" in link.get("rel", "").lower().split():
            address = resolved(base, link.get("href", ""))
            return address if address and host_of(address) == host_of(url) else None
    return None


def _says_gone(meta: etree._Element) -> bool:
    """Static hosts cannot answer 410; a meta element stands for it (the Webmention test suite does this)."""
    return meta.get("http-equiv", "").lower() == "status" and meta.get("content", "").split()[:1] == ["410"]


def _outgoing(url: str, base: str, tree: etree._Element) -> Iterator[str]:
    own = host_of(url)
    for link in tree.iter("a"):
        address = resolved(base, link.get("href", ""))
        if address and (found := read(address)) and found.host != own:
            yield address
