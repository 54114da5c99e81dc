"""JSON for readers: threads, single items, counters, previews."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from flask import Response, request
from pydantic import ConfigDict

from moderate.errors import Invalid, TooLarge, UnknownArticle, UnknownItem
from moderate.hooks import are_keys
from moderate.http.answers import OWN, as_json, is_known, not_modified, tagged
from moderate.http.item_json import CountsOut, PublicItem, counts_json, public_item
from moderate.http.language import translated
from moderate.http.operation import (
    CURSOR,
    EDIT_TOKEN,
    FORM,
    JSON,
    KEY,
    MULTIPART,
    Answer,
    Id,
    Operation,
    Reply,
    query,
    whole,
)
from moderate.http.state import current_request, current_state
from moderate.i18n import Message
from moderate.limits.spending import Costs
from moderate.model import MAX_ID, Status, whole_number
from moderate.protocols.comment import CommentIn, read_fields
from moderate.submit.submit import is_taken_back
from moderate.text.clean import body_text
from moderate.text.sanitizer import render

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Item

MAX_KEYS = 100
#: Items on a page of a thread, by default and at most.
PAGE, MAX_LIMIT = 100, 200


class CountsOfArticles(Answer):
    """The numbers by article key; unknown keys count zero."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, CountsOut]


class ThreadOut(Answer):
    """A stretch of a thread. `form_token` is null: the token comes in the Moderate-Form-Token field."""

    items: list[PublicItem]
    counts: CountsOut
    next: Id | None
    form_token: None


class PreviewOut(Answer):
    html: str


class PreviewIn(CommentIn):
    """A comment as it may be sent; only the text is looked at."""


class PreviewForm(Answer):
    """The comment form as it stands; only the text is looked at."""

    text: str


@Operation(
    "GET",
    "/comments/<path:article>",
    "comment",
    "The approved items of an article, and to their senders what waits",
    parameters=(
        CURSOR,
        query("limit", whole(MAX_LIMIT, PAGE), "Items on a page."),
        query("order", {"enum": ["oldest", "newest"], "default": "oldest"}, "Which items come first."),
    ),
    replies=(Reply(200, "A page of the thread.", ThreadOut, headers=("Moderate-Form-Token",)),),
    has_etag=True,
)
def thread(article: str) -> ResponseReturnValue:
    state, incoming = current_state(), current_request()
    # Werkzeug takes longer to read an empty query than the database to find a row.
    order, limit, cursor = wanted_page() if incoming.query_string else ("oldest", PAGE, None)
    found = state.desk.articles.load(article)
    if found is None:
        raise UnknownArticle
    mine = state.edge.own_items(incoming)
    headers = {"Moderate-Form-Token": state.edge.form_token(article), "Vary": "Cookie"}
    if mine:
        headers["Cache-Control"] = OWN
    tag = None
    if not mine:
        # It changes whenever readers see a change of the article, and needs no item to be read.
        query = (found.key, state.desk.store.counters.revision(found.key), order, limit, cursor)
        tag = hashlib.sha256(repr(query).encode()).hexdigest()[:32]
        if is_known(tag):
            return not_modified(tag, headers)
    data = state.threads.get(tag) if tag else None
    if data is None:
        data = thread_json(state, found.key, order=order, limit=limit, cursor=cursor, mine=mine)
        if tag:
            state.threads.put(tag, data, len(data))
    return tagged(data, tag, headers=headers)


def wanted_page() -> tuple[str, int, int | None]:
    """Return the order, the number of items and the cursor in the query string. Raises `Invalid`."""
    order = current_request().args.get("order", "oldest")
    if order not in {"oldest", "newest"}:
        raise Invalid.field("order", "Either oldest or newest.")
    return order, number("limit", PAGE, MAX_LIMIT) or PAGE, number("cursor", None, MAX_ID)


def number(name: str, default: int | None, maximum: int) -> int | None:
    """Return a whole number of the query string. Raises `Invalid` where it is not one from 1 to *maximum*."""
    args = current_request().args
    if name not in args:
        return default
    found = whole_number(args[name], most=maximum)
    if found is None:
        raise Invalid.field(name, Message("A whole number from 1 to {most}.", most=maximum))
    return found


def thread_json(state: State, article: str, *, order: str, limit: int, cursor: int | None, mine: list[int]) -> bytes:
    page = state.desk.store.threads.page(article, cursor=cursor, limit=limit, newest_first=order == "newest", mine=mine)
    counts = state.desk.store.counters.counts([article])[article]
    return as_json(
        {
            "items": [public_item(item, for_author=True) for item in page.items],
            "counts": counts_json(counts),
            "next": page.next,
            # The token comes in the Moderate-Form-Token field, so that equal threads are equal bytes.
            "form_token": None,
        }
    )


@Operation(
    "GET",
    "/items/<int:item_id>",
    "item",
    "One item: an approved one, or any for who holds its edit token",
    parameters=(EDIT_TOKEN,),
    replies=(Reply(200, "The item.", PublicItem),),
    has_etag=True,
)
def item(item_id: int) -> ResponseReturnValue:
    state = current_state()
    found = state.desk.store.items.get(item_id)
    if found is None or not may_see(state, found):
        raise UnknownItem
    refuse_hidden_article(state, found)
    if is_taken_back(state.desk, found):
        # Spam that was withdrawn is trash for its author too, who does not learn that it was spam.
        found = replace(found, status=Status.TRASH)
    headers = {"Vary": "Cookie", "Cache-Control": "no-cache" if found.is_public else OWN}
    return tagged(as_json(public_item(found, for_author=True)), headers=headers)


def may_see(state: State, found: Item) -> bool:
    if found.is_public:
        return True
    return state.edge.opens(request.args.get("edit_token"), found) or found.id in state.edge.own_items(request)


def refuse_hidden_article(state: State, found: Item) -> None:
    """Raise `UnknownItem` where the host does not show the item's article to this request."""
    if state.desk.articles.load(found.article) is None:
        raise UnknownItem


@Operation(
    "GET",
    "/counts",
    "counts",
    "The numbers of up to 100 articles",
    parameters=(
        query(
            "article",
            {"type": "array", "minItems": 1, "items": KEY},
            "The keys of up to 100 different articles, one parameter each.",
            required=True,
        ),
    ),
    replies=(Reply(200, "The numbers by key.", CountsOfArticles),),
    has_etag=True,
    problems=("rate-limited",),
)
def counts() -> ResponseReturnValue:
    """Return the numbers of all articles by one query.

    The host's loader is called for a single key only, not for each key of a list.
    """
    keys = keys_in(request.query_string.decode())
    state = current_state()
    state.desk.limits.spend(Costs("reads", request.remote_addr or ""))
    article = state.desk.articles.load(keys[0]) if len(keys) == 1 else None
    articles = keys if len(keys) > 1 else (article.key if article else None,)
    return tagged(state.desk.store.counters.public_json(keys, articles).encode())


@lru_cache(maxsize=32)
def keys_in(query: str) -> tuple[str, ...]:
    """Return the keys of articles in a query string, which pages repeat for all of their readers. Raises `Invalid`."""
    keys = tuple(dict.fromkeys(values_of("article", query)))
    if not keys or len(keys) > MAX_KEYS:
        raise Invalid.field("article", Message("Name 1 to {most} articles.", most=MAX_KEYS))
    if not are_keys(keys):
        raise Invalid.field("article", "A key has 1 to 200 characters.")
    return keys


def values_of(name: str, query: str) -> list[str]:
    """Return all values of a parameter, as ``request.args.getlist`` does, which decodes each character of a query.

    For fifty keys that takes longer than all the rest of their request.
    """
    pairs = [pair.partition("=") for pair in query.split("&")]
    if "%" not in query and "+" not in query:
        return [value for key, _, value in pairs if key == name]
    return [decoded(value) for key, _, value in pairs if decoded(key) == name]


def decoded(part: str) -> str:
    return unquote_plus(part, errors="werkzeug.url_quote") if "%" in part or "+" in part else part


# Readers see beside their form why there is no preview.
@Operation(
    "POST",
    "/preview",
    "preview",
    "A text as readers would see it; nothing is stored",
    body={JSON: PreviewIn, FORM: PreviewForm, MULTIPART: PreviewForm},
    replies=(Reply(200, "The text as HTML.", PreviewOut),),
    problems=("rate-limited",),
    translate=translated,
)
def preview() -> ResponseReturnValue:
    state = current_state()
    state.desk.limits.spend(Costs("previews", request.remote_addr or ""))
    text = read_fields(request, state.edge).get("text", "")
    if len(text.replace("\r\n", "\n")) > state.settings.max_length:
        raise TooLarge(Message("At most {n} characters.", n=state.settings.max_length))
    try:
        shown = render(body_text(text), state.desk.policy)
    except ValueError as error:
        raise Invalid.field("text", error.args[0]) from error
    # An answer to a POST has no validator, because it is not requested again.
    return Response(as_json({"html": shown.html}), mimetype="application/json")
