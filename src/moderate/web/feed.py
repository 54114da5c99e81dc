"""Atom feeds (RFC 4287) of approved items: of one article, and of the whole site."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from flask import Response, request

from moderate.desk import find_article
from moderate.model import Client, Kind, Raw, Status
from moderate.ports import ItemFilter
from moderate.protocols.plaintext import storable
from moderate.web.present import rfc3339
from moderate.web.read import not_modified
from moderate.web.state import current_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flask.typing import ResponseReturnValue

    from moderate.model import Item

ATOM = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"

#: Items in a feed.
LISTED = 50

#: A feed must say when it changed, also one that nothing has happened in yet.
NEVER = "1970-01-01T00:00:00Z"


def feed_of_article(article: str) -> ResponseReturnValue:
    """``GET /feed/<article>``: its newest approved items."""
    state = current_state()
    found = find_article(state.desk, Raw(kind=Kind.COMMENT, client=Client(), article=article))
    page = state.desk.store.thread(found.key, cursor=None, limit=LISTED, newest_first=True)
    here = state.edge.absolute_url("feed_of_article", article=found.key)
    return answer(atom(f"Comments on {found.title}", here, found.url, page.items))


def feed() -> ResponseReturnValue:
    """``GET /feed``: the newest approved items of all articles."""
    state = current_state()
    page = state.desk.store.items(ItemFilter(status=Status.APPROVED), cursor=None, limit=LISTED)
    home = state.address.absolute(f"{request.script_root}/", request)
    return answer(atom("Comments", state.edge.absolute_url("feed"), home, page.items))


def answer(data: bytes) -> Response:
    tag = hashlib.sha256(data).hexdigest()[:32]
    unchanged = not_modified(tag)
    if unchanged is not None:
        return unchanged
    response = Response(data, content_type=f"{MEDIA_TYPE}; charset=utf-8")
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache"
    return response


def atom(title: str, here: str, home: str, items: Sequence[Item]) -> bytes:
    """The document. *here* is its own address, *home* that of the page that it is about."""
    # Plain names under one xmlns: a registered prefix would also hold for whatever else the host writes as XML.
    root = ET.Element("feed", xmlns=ATOM)
    add(root, "id", here)
    add(root, "title", title)
    add(root, "updated", max((changed(item) for item in items), default=NEVER))
    add(root, "link", rel="self", type=MEDIA_TYPE, href=here)
    add(root, "link", rel="alternate", type="text/html", href=home)
    add(root, "generator", "moderate")
    for item in items:
        root.append(entry(item))
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def entry(item: Item) -> ET.Element:
    """An item. Its id is the address that it has on the article's page, which stays as long as the page does."""
    made = ET.Element("entry")
    link = f"{item.article_url}#comment-{item.id}"
    add(made, "id", link)
    add(made, "title", title_of(item))
    add(made, "published", moment(item.created_at))
    add(made, "updated", changed(item))
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
    """A child element. What XML cannot hold at all, not even escaped, is left out."""
    kept = {key: storable(value) for key, value in attributes.items()}
    made = ET.SubElement(parent, name, kept)
    made.text = None if text is None else storable(text)
    return made


def changed(item: Item) -> str:
    return moment(item.edited_at or item.created_at)


def moment(when: datetime) -> str:
    return rfc3339(when) or NEVER
