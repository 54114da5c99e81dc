"""What the addresses of the ping protocols answer to other methods than POST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from moderate.errors import Refused, ServiceDown, UnknownItem
from moderate.http.errors import problem, report
from moderate.http.routing import add_rule
from moderate.http.state import current_state
from moderate.model import Kind
from moderate.protocols import pingback, trackback, webmention
from moderate.reading.thread_page import PINGS
from moderate.reading.views import refuse_hidden_article
from moderate.submit.views import intake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Blueprint
    from flask.typing import ResponseReturnValue

    from moderate.model import Item
    from moderate.protocols.base import InboundProtocol

#: Pings in a list that a program asked for.
LISTED = 200


def add_ping(blueprint: Blueprint, protocol: InboundProtocol) -> None:
    """Register a ping protocol: POST goes the common way, all else is answered in its own tongue."""
    post, look = intake(protocol), LOOKS[protocol.name]

    def dispatch(**values: str) -> ResponseReturnValue:
        return post(**values) if request.method == "POST" else look(**values)

    add_rule(blueprint, protocol.rule, protocol.name, dispatch)


def look_at_trackback(article: str) -> ResponseReturnValue:
    state = current_state()
    found = state.desk.articles.load(article)

    def items() -> Iterable[Item]:
        if found is None:
            return []
        return state.desk.store.threads.page(found.key, cursor=None, limit=LISTED, newest_first=True, kinds=PINGS).items

    return trackback.look(request, found, items)


def look_at_pingback() -> ResponseReturnValue:
    return pingback.look(request)


def look_at_webmention() -> ResponseReturnValue:
    return webmention.look(request, current_state().edge)


def webmention_status(token: str) -> ResponseReturnValue:
    """``GET /webmention/<token>``: what became of a mention, for who sent it."""
    state = current_state()
    try:
        opened = state.signer.open("webmention", token)
        item = state.desk.store.items.get(opened[0]) if opened else None
        if item is None or item.kind is Kind.COMMENT:
            raise UnknownItem
        refuse_hidden_article(state, item)
    except (Refused, ServiceDown) as error:
        report(error)
        return problem(error)
    return webmention.status_page(request, item, state.edge)


LOOKS: dict[str, Callable[..., ResponseReturnValue]] = {
    "trackback": look_at_trackback,
    "pingback": look_at_pingback,
    "webmention": look_at_webmention,
}
