"""What article pages show: the thread with its form, the numbers, the discovery links."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from markupsafe import Markup

from moderate.errors import Closed, ServiceDown
from moderate.hooks import is_key, key_text
from moderate.http.once import once_per_request
from moderate.http.state import current_state
from moderate.http.words import say
from moderate.model import Counts, Kind
from moderate.protocols import discovery
from moderate.reading.thread_page import thread_html
from moderate.submit.desk import refuse_closed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.http.state import State
    from moderate.lifecycle import Overrides
    from moderate.model import Article

K = TypeVar("K", bound="str | int")

#: Stands in for the thread while the database is away: the host's page goes out all the same.
AWAY = Markup('<p class="moderate-notice" role="status">{}</p>')


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
        return thread_html(
            state, article, comments_open=is_open(state, article, Kind.COMMENT), endpoints=endpoints_of(state, article)
        )
    except ServiceDown as error:
        state.page_outages.met(error)
        return AWAY.format(say("The comments cannot be shown right now."))


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
        state.page_outages.met(error)
        return discovery.Endpoints()
    mounted = {protocol.name for protocol in state.protocols}
    address = state.edge.absolute_url
    return discovery.Endpoints(
        trackback=address("trackback", article=article.key) if "trackback" in mounted else None,
        pingback=address("pingback") if "pingback" in mounted else None,
        webmention=address("webmention") if "webmention" in mounted else None,
    )


def is_open(state: State, article: Article, kind: Kind) -> bool:
    try:
        refuse_closed(state.desk, article, overrides_of(state, article), kind)
    except Closed:
        return False
    return True


def overrides_of(state: State, article: Article) -> Overrides:
    """Return what moderators have set for the article; the head, the thread and the header fields all need it."""
    return once_per_request(("overrides", article.key), lambda: state.desk.store.articles.overrides(article.key))
