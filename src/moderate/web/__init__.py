"""Everything below the prefix: one blueprint, made anew for each app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from moderate.web import author, moderation_api, moderation_bulk, moderation_page, read
from moderate.web.health import health
from moderate.web.intake import intake
from moderate.web.pings import LOOKS, add_ping, webmention_status
from moderate.web.proxies import ProxyWatch
from moderate.web.routing import METHODS, nothing_here, route
from moderate.web.state import current_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.protocols.base import InboundProtocol


def build_blueprint(protocols: Sequence[InboundProtocol]) -> Blueprint:
    """The blueprint named ``moderate`` with the routes of all protocols and of the moderators."""
    blueprint = Blueprint("moderate", __name__, template_folder="templates", static_folder="static")
    for protocol in protocols:
        add_protocol(blueprint, protocol)
    add_public(blueprint)
    add_moderation(blueprint)
    blueprint.before_request(start_worker)
    blueprint.before_request(ProxyWatch())
    blueprint.add_url_rule("/<path:_>", "nothing_here", nothing_here, methods=METHODS)
    return blueprint


def start_worker() -> None:
    """The first request of any kind starts this process's worker; never an import, for servers fork."""
    current_state().worker.start()


def add_protocol(blueprint: Blueprint, protocol: InboundProtocol) -> None:
    """One way in. The comments' address shows the thread to who only looks."""
    if protocol.name in LOOKS:
        add_ping(blueprint, protocol)
        return
    views = {"GET": read.thread} if protocol.name == "comment" else {}
    route(blueprint, protocol.rule, protocol.name, {"POST": intake(protocol), **views})


def add_public(blueprint: Blueprint) -> None:
    route(
        blueprint,
        "/items/<int:item_id>",
        "item",
        {"GET": read.item, "PATCH": author.patch, "DELETE": author.delete},
    )
    route(blueprint, "/preview", "preview", {"POST": read.preview})
    route(blueprint, "/counts", "counts", {"GET": read.counts})
    route(blueprint, "/webmention/<token>", "webmention_status", {"GET": webmention_status})
    route(blueprint, "/health", "health", {"GET": health})


def add_moderation(blueprint: Blueprint) -> None:
    route(blueprint, "/moderation/", "queue", {"GET": moderation_page.queue})
    route(blueprint, "/moderation/queue/<int:item_id>", "queue_decide", {"POST": moderation_page.decide})
    route(blueprint, "/moderation/items", "moderation_items", {"GET": moderation_api.items})
    route(
        blueprint,
        "/moderation/items/<int:item_id>",
        "moderation_item",
        {"GET": moderation_api.item, "DELETE": moderation_api.delete},
    )
    route(
        blueprint,
        "/moderation/items/<int:item_id>/decisions",
        "moderation_decide",
        {"POST": moderation_api.decide},
    )
    route(blueprint, "/moderation/decisions", "moderation_decisions", {"POST": moderation_bulk.decisions})
    route(blueprint, "/moderation/undo", "moderation_undo", {"POST": moderation_bulk.undo})
    route(blueprint, "/moderation/history", "moderation_history", {"GET": moderation_bulk.history})
