"""What article pages show: the thread with its form, the numbers, the discovery links."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from flask import after_this_request, request
from markupsafe import Markup

from moderate.acts.confirming import is_confirmable
from moderate.answers import is_key, key_text
from moderate.desk import refuse_closed
from moderate.errors import Closed, ServiceDown
from moderate.model import Counts, Kind
from moderate.protocols import discovery
from moderate.web import listing
from moderate.web.kept_form import kept_form
from moderate.web.once import once_per_request
from moderate.web.rendering import render
from moderate.web.state import current_state
from moderate.web.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Response

    from moderate.model import Article, Item
    from moderate.ports import Overrides
    from moderate.web.state import State

log = logging.getLogger("moderate")

K = TypeVar("K", bound="str | int")

#: Stands in for the thread while the database is away: the host's page goes out all the same.
AWAY = Markup('<p class="moderate-notice" role="status">{}</p>')

#: Items on one page of a thread; the rest is one link away.
PAGE = 500

#: The query parameter of the "Reply" links, which work without JavaScript.
REPLY = "moderate_reply"
AFTER = "moderate_after"


@dataclass(slots=True)
class Node:
    """A comment with its answers, as the template walks them. `depth` stops at MAX_DEPTH; nothing is lost."""

    item: Item
    depth: int = 0
    is_mine: bool = False
    children: list[Node] = field(default_factory=list)
    #: What this one answers, where it stands beside it and not inside.
    answered: Item | None = None


def tree(items: Iterable[Item], max_depth: int) -> list[Node]:
    """Comments as a tree. An answer whose parent is not there stands at the top."""
    tops: list[Node] = []
    placed: dict[int, tuple[Node, list[Node]]] = {}
    for item in items:
        node = Node(item, is_mine=not item.is_public)
        siblings = place(node, placed.get(item.parent or 0), tops, max_depth)
        siblings.append(node)
        placed[item.id] = (node, siblings)
    return tops


def place(node: Node, above: tuple[Node, list[Node]] | None, tops: list[Node], max_depth: int) -> list[Node]:
    """The list that a comment belongs into. No chain of answers nests deeper than the page can show."""
    if above is None:
        return tops
    parent, beside = above
    if parent.depth + 1 < max_depth:
        node.depth = parent.depth + 1
        return parent.children
    # Below the deepest level shown, answers stand beside what they answer, not inside.
    node.depth, node.answered = parent.depth, parent.item
    return beside


def counts_of(keys: Iterable[K]) -> dict[K, Counts]:
    """Return the numbers of articles by the keys as they were given; see `Moderate.counts`."""
    texts = {key: key_text(key) for key in keys}
    asked = [text for text in dict.fromkeys(texts.values()) if is_key(text)]
    try:
        found = current_state().desk.store.counts(asked) if asked else {}
    except ServiceDown as error:
        log.warning("A page went out without its numbers: %s", error)
        found = {}
    return {key: found.get(text, Counts()) for key, text in texts.items()}


def moderate_counts(key: str | int) -> Counts:
    """For templates: ``moderate_counts(key).comments``, ``.trackbacks``, ``.pending``.

    While the database is away they are zero: the host's page is worth more than its numbers.
    """
    return counts_of([key])[key]


def moderate_thread(key: str | int) -> Markup:
    """For templates: the thread and the form of an article, usable without JavaScript."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    if article is None:
        return Markup()
    try:
        context = thread_context(state, article)
    except ServiceDown as error:
        log.warning("An article page went out without its comments: %s", error)
        return AWAY.format(say("The comments cannot be shown right now."))
    return Markup(render("thread", **context))  # noqa: S704


def moderate_discovery(key: str | int) -> Markup:
    """For templates, within ``<head>``: the link elements by which others' software finds us, and our feed."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    if article is None:
        return Markup()
    feed = discovery.feed_link(state.edge.absolute_url("feed_of_article", article=article.key))
    return Markup("\n").join(part for part in (discovery.head_links(endpoints_of(state, article)), feed) if part)


def moderate_feed_elements(key: str | int) -> Markup:
    """For templates of the host's own RSS or Atom, within the item about an article: where it takes trackbacks."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    return discovery.feed_elements(endpoints_of(state, article)) if article else Markup()


def discovery_headers(key: str | int) -> list[tuple[str, str]]:
    """The header fields for the response to an article page; see `Moderate.discovery_headers`."""
    state = current_state()
    article = state.desk.articles.load(key_text(key))
    return discovery.headers(endpoints_of(state, article)) if article else []


def endpoints_of(state: State, article: Article) -> discovery.Endpoints:
    """Where this article takes pings. Whoever is shown an endpoint must be able to find the article by it."""
    try:
        if not is_open(state, article, Kind.TRACKBACK):
            return discovery.Endpoints()
        state.desk.articles.remember(article)
    except ServiceDown as error:
        log.warning("An article page went out without its addresses for pings: %s", error)
        return discovery.Endpoints()
    mounted = {protocol.name for protocol in state.protocols}
    address = state.edge.absolute_url
    return discovery.Endpoints(
        trackback=address("trackback", article=article.key) if "trackback" in mounted else None,
        pingback=address("pingback") if "pingback" in mounted else None,
        webmention=address("webmention") if "webmention" in mounted else None,
    )


def thread_context(state: State, article: Article) -> dict[str, Any]:
    """Everything that ``moderate/thread.html`` shows."""
    mine = state.edge.own_items(request)
    comments_open = is_open(state, article, Kind.COMMENT)
    # What a stranger who answers nobody gets is the same for all of them.
    is_common = not mine and REPLY not in request.args and state.templates.are_shipped(listing.PARTS)
    key = listing.key_of(state, article, cursor(), comments_open=comments_open) if is_common else None
    context: dict[str, Any] = {
        "article": article,
        "counts": state.desk.store.counts([article.key])[article.key],
        "after_parameter": AFTER,
        "reply_parameter": REPLY,
        "reply_query": reply_query(),
        "comments_open": comments_open,
        "rdf": discovery.rdf_block(article, endpoints_of(state, article)),
    }
    found = state.listings.get(key) if key else None
    if found is None:
        context |= items_context(state, article, mine)
        found = listing.listed(context)
        if key:
            state.listings.put(key, found, found.size)
    else:
        empty: dict[str, Any] = {"nodes": (), "pings": (), "waiting": (), "confirmable": None}
        context |= {**empty, "next": found.next, "form": state.edge.form(article.key)}
    context["is_confirmed"] = is_known_by_address(state, context["form"])
    context["kept_form"] = kept_form(state, context["form"]) if comments_open else None
    return {**context, "listed": found.with_links(context["reply_query"])}


def is_known_by_address(state: State, form: dict[str, Any]) -> bool:
    """Whether to offer that this browser forget a confirmed address; such a page is its own."""
    is_known = form["author"] is None and state.edge.confirmed_here(request) is not None
    if is_known:
        after_this_request(keep_from_caches)
    return is_known


def items_context(state: State, article: Article, mine: list[int]) -> dict[str, Any]:
    """The items of a page of the thread, and the form, which may answer one of them."""
    page = state.desk.store.thread(article.key, cursor=cursor(), limit=PAGE, newest_first=False, mine=mine)
    comments = [item for item in page.items if item.kind is Kind.COMMENT]
    own = [item for item in comments if not item.is_public]
    waiting = [item.id for item in own]
    if waiting:
        after_this_request(keep_from_caches)
    return {
        "nodes": tree(comments, state.settings.max_depth),
        "pings": [item for item in page.items if item.kind.is_ping],
        "waiting": waiting,
        "confirmable": next((item.id for item in reversed(own) if is_confirmable(state.desk, item)), None),
        "next": page.next,
        "form": state.edge.form(article.key, reply_to=replied_to(comments)),
    }


def reply_query() -> str:
    """The query of this page for a "Reply" link; the number of a comment is its end."""
    kept = [pair for pair in request.args.items(multi=True) if pair[0] != REPLY]
    return "?" + urlencode([*kept, (REPLY, "")])


def cursor() -> int | None:
    return cursor_of(request.args.get(AFTER, ""))


def keep_from_caches(response: Response) -> Response:
    """Mark a page on which somebody sees their own waiting comment: a shared cache would show it to others."""
    response.cache_control.private = True
    response.cache_control.public = False
    return response


def cursor_of(value: str) -> int | None:
    """Where this page of the thread begins; the host's page begins at the top for whatever is no number of ours."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def replied_to(comments: list[Item]) -> Item | None:
    wanted = request.args.get(REPLY, type=int)
    return next((item for item in comments if item.id == wanted and item.is_public), None)


def is_open(state: State, article: Article, kind: Kind) -> bool:
    try:
        refuse_closed(state.desk, article, overrides_of(state, article), kind)
    except Closed:
        return False
    return True


def overrides_of(state: State, article: Article) -> Overrides:
    """Return what moderators have set for the article; the head, the thread and the header fields all need it."""
    return once_per_request(("overrides", article.key), lambda: state.desk.store.overrides(article.key))
