"""Atom feeds (RFC 4287) of approved items: of one article, and of the whole site.

A feed lists the items that became public last. Its id and those of its entries are made of the database's own identity
and the item's number, so that they never change (section 4.2.6), even where the site's scheme, host or paths do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid5
from xml.etree import ElementTree as ET

from flask import request
from werkzeug.exceptions import HTTPException

from moderate.http.answers import tagged
from moderate.http.operation import Operation, Reply, rfc3339
from moderate.http.site_address import item_address
from moderate.http.state import current_state
from moderate.model import Client, Kind, Raw
from moderate.protocols.base import storable
from moderate.submit.submit import find_article

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Item

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"
CONTENT_TYPE = f"{MEDIA_TYPE}; charset=utf-8"

#: Items in a feed.
LISTED = 50

#: Queries at most for one feed; each but the first leaves out articles that were found to be hidden.
MOST_QUERIES = 20

#: A feed must say when it changed, also one that nothing has happened in yet.
NEVER = "1970-01-01T00:00:00Z"


@Operation(
    "GET",
    "/feed/<path:article>",
    "feed_of_article",
    "Atom: the newest approved items of an article",
    replies=(Reply(200, "The feed.", types=(MEDIA_TYPE,)),),
    has_etag=True,
)
def feed_of_article(article: str) -> ResponseReturnValue:
    state = current_state()
    found = find_article(state.desk, Raw(kind=Kind.COMMENT, client=Client(), article=article))
    items = state.desk.store.threads.published(found.key, limit=LISTED)
    here = state.edge.absolute_url("feed_of_article", article=found.key)
    feed_id = id_of(state, f"feed of {found.key}")
    # In the host's own words of now, which the database may not know yet.
    named = [replace(item, article_url=found.url, article_title=found.title) for item in items]
    entries = [entry(item, id_of(state, f"item {item.id}")) for item in named]
    return tagged(atom(feed_id, f"Comments on {found.title}", here, found.url, entries), content_type=CONTENT_TYPE)


@Operation(
    "GET",
    "/feed",
    "feed",
    "Atom: the newest approved items of the site",
    replies=(Reply(200, "The feed.", types=(MEDIA_TYPE,)),),
    has_etag=True,
)
def feed() -> ResponseReturnValue:
    state = current_state()
    items = shown_items(state)
    home = state.address.absolute(f"{request.script_root}/", request)
    entries = [entry(item, id_of(state, f"item {item.id}")) for item in items]
    data = atom(id_of(state, "feed"), "Comments", state.edge.absolute_url("feed"), home, entries)
    return tagged(data, content_type=CONTENT_TYPE)


def shown_items(state: State) -> Sequence[Item]:
    """Return the items that became public last, of the articles that the host's loader returns for this request."""
    shown: dict[str, bool] = {}
    for _ in range(MOST_QUERIES):
        hidden = [article for article, is_there in shown.items() if not is_there]
        items = state.desk.store.threads.published(limit=LISTED, without=hidden)
        news = {item.article for item in items} - shown.keys()
        shown |= {article: is_shown(state, article) for article in news}
        if all(shown[article] for article in news):
            return items
    return [item for item in items if shown[item.article]]


def is_shown(state: State, article: str) -> bool:
    """Return whether the host shows the article; one that its loader aborts for is only left out of the list."""
    try:
        return state.desk.articles.load(article) is not None
    except HTTPException:
        return False


def id_of(state: State, what: str) -> str:
    """Return the ``urn:uuid`` of a feed or an entry of this database."""
    return uuid5(state.signer.identity("feeds"), what).urn


def atom(feed_id: str, title: str, here: str, home: str, entries: Sequence[ET.Element]) -> bytes:
    """Return the document. *here* is its own address, *home* that of the page that it is about."""
    # Plain names under one xmlns: a registered prefix would also be used in all other XML that the host writes.
    root = ET.Element("feed", xmlns=ATOM)
    add(root, "id", feed_id)
    add(root, "title", title)
    add(root, "updated", max((made.findtext("updated", NEVER) for made in entries), default=NEVER))
    add(root, "link", rel="self", type=MEDIA_TYPE, href=here)
    add(root, "link", rel="alternate", type="text/html", href=home)
    add(root, "generator", "moderate")
    root.extend(entries)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def entry(item: Item, entry_id: str) -> ET.Element:
    """Return the entry of an item."""
    made = ET.Element("entry")
    link = item_address(item.article_url, item.id)
    add(made, "id", entry_id)
    add(made, "title", title_of(item))
    add(made, "published", moment(item.created_at))
    # When readers last saw a change: an approval long after the item was written is one.
    add(made, "updated", moment(max(filter(None, (item.created_at, item.edited_at, item.public_at)))))
    author = add(made, "author")
    # A name is required, and not every site asks for one.
    add(author, "name", item.author or "Anonymous")
    if item.url:
        add(author, "uri", item.url)
    add(made, "link", rel="alternate", type="text/html", href=link)
    if item.source_url:
        add(made, "link", rel="related", href=item.source_url)
    # The text's links, where they are relative, are so to the page that it stands on.
    add(made, "content", item.html, **{"type": "html", "xml:base": item.article_url})
    return made


def title_of(item: Item) -> str:
    if item.kind.is_ping:
        return item.title or item.source_url or "Ping"
    return f"{item.author or 'Anonymous'} on {item.article_title or item.article}"


def add(parent: ET.Element, name: str, text: str | None = None, **attributes: str) -> ET.Element:
    """Add a child element and return it. Characters that XML cannot contain, not even escaped, are left out."""
    kept = {key: storable(value) for key, value in attributes.items()}
    made = ET.SubElement(parent, name, kept)
    made.text = None if text is None else storable(text)
    return made


def moment(when: datetime) -> str:
    return rfc3339(when) or NEVER
