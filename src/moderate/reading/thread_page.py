"""The thread on the host's article pages, with its form, the article's numbers and the discovery links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flask import request
from markupsafe import Markup, escape

from moderate.errors import ServiceDown
from moderate.hooks import is_key, key_text
from moderate.http.language import language, say
from moderate.http.site_address import AT
from moderate.http.state import current_state, request_scope
from moderate.model import PINGS, Counts, Kind
from moderate.notices.confirm import confirmable_address
from moderate.protocols import discovery
from moderate.reading.fragments import THREAD_PARTS, rendered, rendered_thread, shown, whole_thread
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
    from moderate.store.articles import Snapshot

K = TypeVar("K", bound="str | int")

#: Items on one page of a thread, of comments and of pings each; links lead to the other pages.
PAGE = 500

COMMENTS = (Kind.COMMENT,)

#: Seconds for which the parts of one page share what was read of its article.
SHARED_SECONDS = 1.0

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
        # One article is shown with its thread, as a rule.
        is_one = len(asked) == 1
        found = {asked[0]: snapshot_of(state, asked[0]).counts} if is_one else state.desk.store.counters.counts(asked)
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
    return announced(state, article).head


def moderate_feed_elements(key: str | int) -> Markup:
    """Return elements for the item about an article in the host's own RSS or Atom feed: where it takes trackbacks."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    return announced(state, article).elements if article else Markup()


def discovery_headers(key: str | int) -> list[tuple[str, str]]:
    """Return the header fields for the response to an article page; see `Moderate.discovery_headers`."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    return list(announced(state, article).headers) if article else []


class Announced(NamedTuple):
    """The addresses at which an article takes pings, and all forms in which its page announces them."""

    endpoints: discovery.Endpoints
    head: Markup
    rdf: Markup
    elements: Markup
    headers: Sequence[tuple[str, str]]


def announced(state: State, article: Article) -> Announced:
    """Return where an article takes pings, and store its addresses, by which pings name it."""
    try:
        overrides = snapshot_of(state, article.key).overrides
        takes_pings = is_open(state.desk, article, overrides, Kind.TRACKBACK)
        if takes_pings:
            state.desk.articles.remember(article)
    except ServiceDown as error:
        state.page_outages.met(error)
        takes_pings = False
    here = state.edge.here()
    key = article, takes_pings, here
    found: Announced | None = state.frames.get(key) if here else None
    if found is None:
        found = announcement(state, article, takes_pings)
        if here:
            state.frames.put(key, found, len(found.head) + len(found.rdf))
    return found


def announcement(state: State, article: Article, takes_pings: bool) -> Announced:
    endpoints: dict[str, str] = {}
    for protocol in state.protocols if takes_pings else ():
        rel = getattr(protocol, "rel", None)
        if rel is not None:
            values = {"article": article.key} if "<path:article>" in protocol.rule else {}
            endpoints[rel] = state.edge.absolute_url(protocol.name, **values)
    feed = discovery.feed_link(state.edge.absolute_url("feed_of_article", article=article.key))
    return Announced(
        endpoints=endpoints,
        head=Markup("\n").join(part for part in (discovery.head_links(endpoints), feed) if part),
        rdf=discovery.rdf_block(article, endpoints),
        elements=discovery.feed_elements(endpoints),
        headers=discovery.headers(endpoints),
    )


def snapshot_of(state: State, key: str) -> Snapshot:
    """Return what is stored of an article. The head, the numbers, the thread and the header fields of a page share it.

    It is read again after each change that this process commits, because a view may submit or decide and then show
    the page, and after `SHARED_SECONDS`, because a streamed page may go on for minutes.
    """
    database, now, scope = state.desk.store.database, state.desk.clock.monotonic(), request_scope()
    kept: tuple[Snapshot, object, float] | None = None if scope is None else scope.get((database, key))
    if kept is not None and kept[1] is database.last_commit and now - kept[2] < SHARED_SECONDS:
        return kept[0]
    last_commit = database.last_commit
    snapshot = state.desk.store.articles.snapshot(key)
    if scope is not None:
        scope[database, key] = (snapshot, last_commit, now)
    return snapshot


# --- the thread -------------------------------------------------------------------------------------


class ItemPage(NamedTuple):
    """A page of comments or of pings, with the cursors of its neighbours."""

    items: Sequence[Item] = ()
    pages: Pages = Pages()


def thread_html(state: State, article: Article) -> Markup:
    """Return the thread of an article with its form, as everybody sees it.

    A visitor who has something of their own on it gets another one in its place when the response is complete.
    """
    snapshot, pings = snapshot_of(state, article.key), announced(state, article)
    comments_open, counts = is_open(state.desk, article, snapshot.overrides, Kind.COMMENT), snapshot.counts
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
        "pings_open": bool(pings.endpoints),
        "rdf": pings.rdf,
        "suffix": suffix,
        "waiting": (),
        "confirmable": None,
        "is_confirmed": False,
        # The beginnings of queries by which pages of the thread link to others.
        "page_query": query,
        "at_query": f"{query}{AT}=",
        "reply_query": f"{query}{REPLY}=",
    }
    context |= {**lists_context(state, context, snapshot.revision, places), "form": {**form, "author": None}}
    public = whole_thread(state, context)
    own = own_context(state, context, places, form, waiting)
    return shown(public, whole_thread(state, {**context, **own})) if own else public


def suffix_of(article: Article) -> str:
    """Return what the ids of this thread end with: nothing in the first thread of a page, ``-2`` in the second."""
    on_page: list[str] = request.environ.setdefault("moderate.threads", [])
    if article.key not in on_page:
        on_page.append(article.key)
    number = on_page.index(article.key) + 1
    return f"-{number}" if number > 1 else ""


def own_waiting(state: State, article: Article) -> Sequence[Item]:
    """Return the waiting comments of this visitor under the article, going by the cookie and by the address."""
    if not state.edge.is_marked(request):
        return ()
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
    own: dict[str, Any] = {"form": form, "is_confirmed": is_confirmed}
    if waiting:
        comments = comments_page(state, context, places).items
        nodes = nodes_of(state, [*comments, *waiting])
        html = rendered("_comments", {**context, "nodes": nodes})
        own["nodes"], own["listed"] = nodes, {**context["listed"], "comments": html}
        own["waiting"] = [item.id for item in waiting]
        # The button is for those who can prove that the comment is theirs.
        mine = state.edge.own_items(request)
        asked = (item.id for item in reversed(waiting) if item.id in mine and confirmable_address(state.desk, item))
        own["confirmable"] = next(asked, None)
    return own


def lists_context(state: State, context: dict[str, Any], revision: int, places: tuple[Place, Place]) -> dict[str, Any]:
    """Return the lists as everybody sees them, from the cache of this process where they are in it.

    The *revision* was read before the items, so that newer ones are never missed.
    """
    article, query = context["article"], context["page_query"]
    is_cached = not context["suffix"] and state.templates.are_shipped(THREAD_PARTS)
    key = article.key, revision, places, language(), context["comments_open"]
    html = state.listings.get(key) if is_cached else None
    made: dict[str, Any] = {"nodes": (), "pings": ()}
    if html is None:
        comments = comments_page(state, context, places)
        pings = item_page(state, article, PINGS, places[1]) if context["counts"].trackbacks else ItemPage()
        made = {"nodes": nodes_of(state, comments.items), "pings": pings.items}
        html = rendered_thread({**context, **made}, comments.pages, pings.pages)
        if is_cached:
            state.listings.put(key, html, html.comments.size + html.pings.size)
    of_page = {"query": escape(query)}
    listed = {"comments": html.comments.filled(of_page), "pings": html.pings.filled(of_page)}
    return {**made, "listed": listed, "links": links(query, html)}


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
