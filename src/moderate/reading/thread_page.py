"""Put a page of a thread together: what everybody is shown, and what one reader is shown instead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flask import request
from markupsafe import Markup

from moderate.confirmation.confirm import is_confirmable
from moderate.http.rendering import render
from moderate.http.words import say
from moderate.model import Kind
from moderate.protocols.discovery import Endpoints, rdf_block
from moderate.reading import listing
from moderate.reading.form import kept_form
from moderate.reading.listing import Listing, Pages
from moderate.reading.personal import shown
from moderate.reading.thread_links import (
    AFTER,
    AT,
    BEFORE,
    FIRST,
    PINGS_AFTER,
    PINGS_BEFORE,
    REPLY,
    Place,
    hosts_query,
    number_in,
)
from moderate.reading.tree import Node, missing_parents, tree

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moderate.http.state import State
    from moderate.model import Article, Counts, Item

#: Comments on one page of a thread, and pings: the others are a link away.
PAGE = 500

COMMENTS = (Kind.COMMENT,)
PINGS = tuple(kind for kind in Kind if kind.is_ping)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of comments or of pings, and where its neighbours begin."""

    items: Sequence[Item] = ()
    pages: Pages = Pages()


def thread_html(state: State, article: Article, *, comments_open: bool, endpoints: Endpoints) -> Markup:
    """Return the thread of an article with its form, as everybody sees it.

    Whoever has something of their own on it gets another one, when the response is complete.
    """
    counts = state.desk.store.counters.counts([article.key])[article.key]
    waiting = own_waiting(state, article)
    places = asked_for(state, article, counts, waiting)
    query = hosts_query(request.args)
    form = state.edge.form(article.key, reply_to=replied_to(state, article) if comments_open else None)
    form["suffix"] = suffix_of(article)
    context: dict[str, Any] = {
        "article": article,
        "counts": counts,
        "comments_open": comments_open,
        "pings_open": endpoints != Endpoints(),
        "rdf": rdf_block(article, endpoints),
        "suffix": form["suffix"],
        "waiting": (),
        "confirmable": None,
        "is_confirmed": False,
        **queries(query),
    }
    context |= kept_lists(state, context, places) | form_context(state, {**form, "author": None}, context)
    public = Markup(render("thread", **context))  # noqa: S704 - our templates escape
    own = own_context(state, context, places, form, waiting)
    return shown(public, Markup(render("thread", **{**context, **own}))) if own else public  # noqa: S704


def suffix_of(article: Article) -> str:
    """Return what the ids of this thread end with: nothing in the first thread of a page, ``-2`` in the second."""
    shown: list[str] = request.environ.setdefault("moderate.threads", [])
    if article.key not in shown:
        shown.append(article.key)
    number = shown.index(article.key) + 1
    return f"-{number}" if number > 1 else ""


def queries(query: str) -> dict[str, str]:
    """Return the beginnings of the queries by which pages of the thread link to others, with the host's own *query*."""
    return {"page_query": f"?{query}", "at_query": f"?{query}{AT}=", "reply_query": f"?{query}{REPLY}="}


def form_context(state: State, form: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    return {"form": form, "kept_form": kept_form(state, form) if context["comments_open"] else None}


def own_waiting(state: State, article: Article) -> Sequence[Item]:
    """Return the waiting comments of this visitor under the article, going by the cookie and by the address."""
    sent = state.edge.sent_item(request)
    mine = {*state.edge.own_items(request), *([] if sent is None else [sent])}
    return state.desk.store.threads.waiting(article.key, mine) if mine else ()


def own_context(
    state: State, context: dict[str, Any], places: tuple[Place, Place], form: dict[str, Any], waiting: Sequence[Item]
) -> dict[str, Any] | None:
    """Return what is different for this reader: waiting comments, a known author. None where nothing is."""
    article = context["article"]
    is_confirmed = form["author"] is None and state.edge.confirmed_here(request) is not None
    if not (waiting or form["author"] or is_confirmed):
        return None
    own = {**form_context(state, form, context), "is_confirmed": is_confirmed}
    if waiting:
        comments = stretch(state, article, COMMENTS, places[0]) if context["counts"].comments else Stretch()
        nodes = nodes_of(state, [*comments.items, *waiting])
        html = listing.part("_comments", {**context, "nodes": nodes})
        own["nodes"], own["listed"] = nodes, replace(context["listed"], comments=html)
        own["waiting"] = [item.id for item in waiting]
        # The button is for those who can prove that the comment is theirs.
        mine = state.edge.own_items(request)
        asked = (item.id for item in reversed(waiting) if item.id in mine and is_confirmable(state.desk, item))
        own["confirmable"] = next(asked, None)
    return own


def kept_lists(state: State, context: dict[str, Any], places: tuple[Place, Place]) -> dict[str, Any]:
    """Return the lists as everybody sees them, from what this process has kept where it can."""
    article, is_open = context["article"], context["comments_open"]
    is_kept = not context["suffix"] and state.templates.are_shipped(listing.PARTS)
    key = listing.key_of(state, article, places, comments_open=is_open) if is_kept else None
    found = state.listings.get(key) if key else None
    made: dict[str, Any] = {"nodes": (), "pings": ()}
    if found is None:
        counts = context["counts"]
        comments = stretch(state, article, COMMENTS, places[0]) if counts.comments else Stretch()
        pings = stretch(state, article, PINGS, places[1]) if counts.trackbacks else Stretch()
        made = {"nodes": nodes_of(state, comments.items), "pings": pings.items}
        found = listing.listed({**context, **made}, comments.pages, pings.pages)
        if key:
            state.listings.put(key, found, found.size)
    return {**made, "listed": found.with_links(context["page_query"]), "links": links(context["page_query"], found)}


def links(query: str, listed: Listing) -> dict[str, str]:
    """Return the queries of the pages before and after this one, where there are any."""
    numbers = {
        "earlier": (BEFORE, listed.comment_pages.earlier),
        "later": (AFTER, listed.comment_pages.later),
        "earlier_pings": (PINGS_BEFORE, listed.ping_pages.earlier),
        "later_pings": (PINGS_AFTER, listed.ping_pages.later),
    }
    return {name: f"{query}{parameter}={number}" for name, (parameter, number) in numbers.items() if number is not None}


def asked_for(state: State, article: Article, counts: Counts, waiting: Sequence[Item]) -> tuple[Place, Place]:
    """Return where the pages of comments and of pings begin that the request asks for."""
    comments = pings = FIRST
    if counts.comments > PAGE:
        mine = {item.id: item for item in waiting}.get(number_in(request.args, AT) or 0)
        comments = place_of_mine(state, mine) if mine else place_in(state, article, COMMENTS, AFTER, BEFORE)
    if counts.trackbacks > PAGE:
        pings = place_in(state, article, PINGS, PINGS_AFTER, PINGS_BEFORE)
    return comments, pings


def place_of_mine(state: State, item: Item) -> Place:
    """Return the page for a waiting comment: that of what it answers, or the last before it."""
    if item.parent is None:
        return Place(before=item.id)
    return place_at(state, item.article, COMMENTS, item.parent)


def place_in(state: State, article: Article, kinds: Collection[Kind], after: str, before: str) -> Place:
    """Return the page of a list that the query asks for: by an item, or by what it follows or precedes."""
    wanted = number_in(request.args, AT, REPLY)
    if wanted is not None:
        return place_at(state, article.key, kinds, wanted)
    return Place(number_in(request.args, after), number_in(request.args, before))


def place_at(state: State, article: str, kinds: Collection[Kind], item_id: int) -> Place:
    return Place(after=state.desk.store.threads.page_start(article, item_id, kinds=kinds, size=PAGE))


def stretch(state: State, article: Article, kinds: Collection[Kind], place: Place) -> Stretch:
    """Return a page of the approved items of an article; the first one where there is no such page."""
    is_backwards = place.after is None and place.before is not None
    cursor = place.before if is_backwards else place.after
    page = state.desk.store.threads.page(article.key, cursor=cursor, limit=PAGE, newest_first=is_backwards, kinds=kinds)
    if is_backwards and page.next is not None:
        items = page.items[::-1]
        last = items[-1].id
        later = state.desk.store.threads.page(article.key, cursor=last, limit=1, newest_first=False, kinds=kinds).items
        return Stretch(items, Pages(earlier=items[0].id, later=last if later else None))
    if is_backwards or (cursor is not None and not page.items):
        # A short page at the beginning would be part of the first one.
        return stretch(state, article, kinds, FIRST)
    return Stretch(page.items, Pages(earlier=page.items[0].id if cursor is not None else None, later=page.next))


def nodes_of(state: State, comments: Collection[Item]) -> list[Node]:
    in_order = sorted(comments, key=lambda item: item.id)
    missing = missing_parents(in_order)
    parents = state.desk.store.threads.parents(missing) if missing else {}
    return tree(in_order, state.settings.max_depth, parents, say("This comment was removed."))


def replied_to(state: State, article: Article) -> Item | None:
    """Return the public comment of this article that the form is asked to answer."""
    return state.edge.parent(article.key, request.args.get(REPLY, ""))
