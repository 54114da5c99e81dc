"""The thread on the host's article pages, with its form, the article's numbers and the discovery links."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from flask import request
from markupsafe import Markup

from moderate.errors import ServiceDown
from moderate.hooks import is_key, key_text
from moderate.http.language import language, say
from moderate.http.site_address import AT
from moderate.http.state import current_state, once_per_request, render
from moderate.model import PINGS, Counts, Kind
from moderate.notices.confirm import confirmable_address
from moderate.protocols import discovery
from moderate.reading.fragments import THREAD_PARTS, cached_form, rendered, rendered_thread, shown
from moderate.reading.thread import (
    AFTER,
    BEFORE,
    FIRST,
    PINGS_AFTER,
    PINGS_BEFORE,
    REPLY,
    Node,
    Pages,
    Place,
    ThreadHtml,
    hosts_query,
    missing_parents,
    number_in,
    tree,
)
from moderate.submit.submit import is_open

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from moderate.http.state import State
    from moderate.model import Article, Item

K = TypeVar("K", bound="str | int")

#: Items on one page of a thread, of comments and of pings each; links lead to the other pages.
PAGE = 500

COMMENTS = (Kind.COMMENT,)

#: Replaces the thread while the database is not available, so that the host's page is still sent.
UNAVAILABLE = Markup('<p class="moderate-notice" role="status">{}</p>')


# --- what templates and views of the host call ------------------------------------------------------


def counts_of(keys: Iterable[K]) -> dict[K, Counts]:
    """Return the numbers of articles by the keys as they were given; see `Moderate.counts`."""
    if isinstance(keys, str):
        raise TypeError("keys must be several keys, such as a list, not one text.")
    texts = {key: key_text(key) for key in keys}
    asked = [text for text in dict.fromkeys(texts.values()) if is_key(text)]
    state = current_state()
    try:
        found = state.desk.store.counters.counts(asked) if asked else {}
    except ServiceDown as error:
        state.page_outages.met(error)
        found = {}
    else:
        state.page_outages.over()
    return {key: found.get(text, Counts()) for key, text in texts.items()}


def moderate_counts(key: str | int) -> Counts:
    """Return an article's numbers, for templates: ``moderate_counts(key).comments``, ``.trackbacks``, ``.pending``.

    They are zero while the database is not available, so that the host's page is still sent.
    """
    return counts_of([key])[key]


def moderate_thread(key: str | int) -> Markup:
    """Return the thread and the form of an article, for templates; both work without JavaScript."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    if article is None:
        return Markup()
    try:
        return thread_html(state, article)
    except ServiceDown as error:
        state.page_outages.met(error)
        return UNAVAILABLE.format(say("The comments cannot be shown right now."))


def moderate_discovery(key: str | int) -> Markup:
    """Return link elements for ``<head>``, for templates: where the article takes pings, and its feed."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    if article is None:
        return Markup()
    feed = discovery.feed_link(state.edge.absolute_url("feed_of_article", article=article.key))
    return Markup("\n").join(part for part in (discovery.head_links(endpoints_of(state, article)), feed) if part)


def moderate_feed_elements(key: str | int) -> Markup:
    """Return elements for the item about an article in the host's own RSS or Atom feed: where it takes trackbacks."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    return discovery.feed_elements(endpoints_of(state, article)) if article else Markup()


def discovery_headers(key: str | int) -> list[tuple[str, str]]:
    """Return the header fields for the response to an article page; see `Moderate.discovery_headers`."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    return discovery.headers(endpoints_of(state, article)) if article else []


def endpoints_of(state: State, article: Article) -> discovery.Endpoints:
    """Return the addresses at which an article takes pings, and store its addresses, by which pings name it."""
    try:
        if not takes(state, article, Kind.TRACKBACK):
            return {}
        state.desk.articles.remember(article)
    except ServiceDown as error:
        state.page_outages.met(error)
        return {}
    found: dict[str, str] = {}
    for protocol in state.protocols:
        rel = getattr(protocol, "rel", None)
        if rel is not None:
            values = {"article": article.key} if "<path:article>" in protocol.rule else {}
            found[rel] = state.edge.absolute_url(protocol.name, **values)
    return found


def takes(state: State, article: Article, kind: Kind) -> bool:
    # The head, the thread and the header fields of a page all need the overrides.
    overrides = once_per_request(state.desk.store.articles.overrides, article.key)
    return is_open(state.desk, article, overrides, kind)


# --- the thread -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of comments or of pings, with the cursors of its neighbours."""

    items: Sequence[Item] = ()
    pages: Pages = Pages()


def thread_html(state: State, article: Article) -> Markup:
    """Return the thread of an article with its form, as everybody sees it.

    A visitor who has something of their own on it gets another one in its place when the response is complete.
    """
    comments_open, endpoints = takes(state, article, Kind.COMMENT), endpoints_of(state, article)
    counts = state.desk.store.counters.counts([article.key])[article.key]
    waiting = own_waiting(state, article)
    places = requested_places(state, article, counts, waiting)
    query = f"?{hosts_query(request.args)}"
    parent = state.edge.parent(article.key, request.args.get(REPLY, "")) if comments_open else None
    suffix = suffix_of(article)
    form = {**state.edge.form(article.key, reply_to=parent), "suffix": suffix}
    context: dict[str, Any] = {
        "article": article,
        "counts": counts,
        "comments_open": comments_open,
        "pings_open": bool(endpoints),
        "rdf": discovery.rdf_block(article, endpoints),
        "suffix": suffix,
        "waiting": (),
        "confirmable": None,
        "is_confirmed": False,
        # The beginnings of queries by which pages of the thread link to others.
        "page_query": query,
        "at_query": f"{query}{AT}=",
        "reply_query": f"{query}{REPLY}=",
    }
    context |= lists_context(state, context, places) | form_context(state, {**form, "author": None}, context)
    public = Markup(render("thread", **context))  # noqa: S704 - our templates escape
    own = own_context(state, context, places, form, waiting)
    return shown(public, Markup(render("thread", **{**context, **own}))) if own else public  # noqa: S704


def suffix_of(article: Article) -> str:
    """Return what the ids of this thread end with: nothing in the first thread of a page, ``-2`` in the second."""
    on_page: list[str] = request.environ.setdefault("moderate.threads", [])
    if article.key not in on_page:
        on_page.append(article.key)
    number = on_page.index(article.key) + 1
    return f"-{number}" if number > 1 else ""


def form_context(state: State, form: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    return {"form": form, "kept_form": cached_form(state, form) if context["comments_open"] else None}


def own_waiting(state: State, article: Article) -> Sequence[Item]:
    """Return the waiting comments of this visitor under the article, going by the cookie and by the address."""
    sent = state.edge.sent_item(request)
    mine = {*state.edge.own_items(request), *([] if sent is None else [sent])}
    return state.desk.store.threads.waiting(article.key, mine) if mine else ()


def own_context(
    state: State, context: dict[str, Any], places: tuple[Place, Place], form: dict[str, Any], waiting: Sequence[Item]
) -> dict[str, Any] | None:
    """Return what differs for this visitor: waiting comments, a known author. None where nothing does."""
    is_confirmed = form["author"] is None and state.edge.confirmed_here(request) is not None
    if not (waiting or form["author"] or is_confirmed):
        return None
    own = {**form_context(state, form, context), "is_confirmed": is_confirmed}
    if waiting:
        comments = comments_page(state, context, places).items
        nodes = nodes_of(state, [*comments, *waiting])
        html = rendered("_comments", {**context, "nodes": nodes})
        own["nodes"], own["listed"] = nodes, replace(context["listed"], comments=html)
        own["waiting"] = [item.id for item in waiting]
        # The button is for those who can prove that the comment is theirs.
        mine = state.edge.own_items(request)
        asked = (item.id for item in reversed(waiting) if item.id in mine and confirmable_address(state.desk, item))
        own["confirmable"] = next(asked, None)
    return own


def lists_context(state: State, context: dict[str, Any], places: tuple[Place, Place]) -> dict[str, Any]:
    """Return the lists as everybody sees them, from the cache of this process where they are in it."""
    article, query = context["article"], context["page_query"]
    is_cached = not context["suffix"] and state.templates.are_shipped(THREAD_PARTS)
    # The revision is read before the items, so that newer ones are never missed.
    revision = state.desk.store.counters.revision(article.key) if is_cached else None
    key = article.key, revision, places, language(), context["comments_open"]
    html = state.listings.get(key) if is_cached else None
    made: dict[str, Any] = {"nodes": (), "pings": ()}
    if html is None:
        comments = comments_page(state, context, places)
        pings = item_page(state, article, PINGS, places[1]) if context["counts"].trackbacks else ItemPage()
        made = {"nodes": nodes_of(state, comments.items), "pings": pings.items}
        html = rendered_thread({**context, **made}, comments.pages, pings.pages)
        if is_cached:
            state.listings.put(key, html, html.size)
    return {**made, "listed": html.with_query(query), "links": links(query, html)}


def links(query: str, html: ThreadHtml) -> dict[str, str]:
    """Return the queries of the pages before and after this one, where there are any."""
    numbers = {
        "earlier": (BEFORE, html.comment_pages.earlier),
        "later": (AFTER, html.comment_pages.later),
        "earlier_pings": (PINGS_BEFORE, html.ping_pages.earlier),
        "later_pings": (PINGS_AFTER, html.ping_pages.later),
    }
    return {name: f"{query}{parameter}={number}" for name, (parameter, number) in numbers.items() if number is not None}


# --- pages of a long thread -------------------------------------------------------------------------


def requested_places(state: State, article: Article, counts: Counts, waiting: Sequence[Item]) -> tuple[Place, Place]:
    """Return the places of the pages of comments and of pings that the request names."""
    comments = pings = FIRST
    if counts.comments > PAGE:
        mine = {item.id: item for item in waiting}.get(number_in(request.args, AT) or 0)
        if mine is None:
            comments = place_in(state, article, COMMENTS, AFTER, BEFORE)
        else:
            # A waiting comment is on the page of what it answers, or on the last one before it.
            comments = place_at(state, article, COMMENTS, mine.parent) if mine.parent else Place(before=mine.id)
    if counts.trackbacks > PAGE:
        pings = place_in(state, article, PINGS, PINGS_AFTER, PINGS_BEFORE)
    return comments, pings


def place_in(state: State, article: Article, kinds: Collection[Kind], after: str, before: str) -> Place:
    """Return the place that the query names: by an item, or by what the page follows or precedes."""
    wanted = number_in(request.args, AT, REPLY)
    if wanted is not None:
        return place_at(state, article, kinds, wanted)
    return Place(number_in(request.args, after), number_in(request.args, before))


def place_at(state: State, article: Article, kinds: Collection[Kind], item_id: int) -> Place:
    return Place(after=state.desk.store.threads.page_start(article.key, item_id, kinds=kinds, size=PAGE))


def comments_page(state: State, context: dict[str, Any], places: tuple[Place, Place]) -> ItemPage:
    if not context["counts"].comments:
        return ItemPage()
    return item_page(state, context["article"], COMMENTS, places[0])


def item_page(state: State, article: Article, kinds: Collection[Kind], place: Place) -> ItemPage:
    """Return a page of the approved items of an article; the first one where there is no such page."""
    is_backwards = place.after is None and place.before is not None
    cursor = place.before if is_backwards else place.after
    page = state.desk.store.threads.page(article.key, cursor=cursor, limit=PAGE, newest_first=is_backwards, kinds=kinds)
    if is_backwards and page.next is not None:
        items = page.items[::-1]
        last = items[-1].id
        later = state.desk.store.threads.page(article.key, cursor=last, limit=1, newest_first=False, kinds=kinds).items
        return ItemPage(items, Pages(earlier=items[0].id, later=last if later else None))
    if is_backwards or (cursor is not None and not page.items):
        # A short page at the beginning would be part of the first one.
        return item_page(state, article, kinds, FIRST)
    return ItemPage(page.items, Pages(earlier=page.items[0].id if cursor is not None else None, later=page.next))


def nodes_of(state: State, comments: Collection[Item]) -> list[Node]:
    """Return comments as a tree, with stubs for those that are answered and no longer shown."""
    in_order = sorted(comments, key=lambda item: item.id)
    missing = missing_parents(in_order)
    parents = state.desk.store.threads.parents(missing) if missing else {}
    return tree(in_order, state.settings.max_depth, parents, say("This comment was removed."))
