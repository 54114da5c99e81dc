"""Everything below the prefix: one blueprint, made anew for each app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from moderate.confirmation import views as confirmation
from moderate.http import caching
from moderate.http.openapi import OpenApi
from moderate.http.routing import PlacedBlueprint, add_rule, nothing_here, prepare, route
from moderate.http.state import current_state
from moderate.http.words import found
from moderate.moderation import articles_views as moderation_articles
from moderate.moderation import bulk_views as moderation_bulk
from moderate.moderation import forms as moderation_forms
from moderate.moderation import items_csv, sign_in
from moderate.moderation import queue as moderation_page
from moderate.moderation import views as moderation_api
from moderate.monitoring.metrics import Metrics
from moderate.monitoring.proxies import ProxyWatch
from moderate.monitoring.views import health
from moderate.notices import views as mail_links
from moderate.protocols.views import LOOKS, add_ping, webmention_status
from moderate.reading import feed
from moderate.reading import views as read
from moderate.rules import views as moderation_rules
from moderate.submit import author_views as author
from moderate.submit.views import intake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Blueprint, Flask, Response

    from moderate.protocols.base import InboundProtocol


def build_blueprint(protocols: Sequence[InboundProtocol]) -> Blueprint:
    """The blueprint named ``moderate`` with the routes of all protocols and of the moderators."""
    blueprint = PlacedBlueprint("moderate", __name__, template_folder="templates", static_folder="static")
    prepare(blueprint)
    for protocol in protocols:
        add_protocol(blueprint, protocol)
    add_public(blueprint)
    add_moderation(blueprint)
    add_mail_links(blueprint)
    add_confirmation(blueprint)
    blueprint.before_request(begin)
    blueprint.before_request(ProxyWatch())
    blueprint.after_request(unsniffed)
    blueprint.after_request(caching.settle)
    add_rule(blueprint, "/<path:_>", "nothing_here", nothing_here)
    add_rule(blueprint, "/moderation/<path:_>", "nothing_at_the_desk", moderation_page.nothing_here)
    return blueprint


def unsniffed(response: Response) -> Response:
    """No browser may take an answer of ours for another kind of thing than we say."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def begin() -> None:
    """Say once in the log what should be known of the app and which outages are over; note the request's sub-path."""
    state = current_state()
    state.remarks.say()
    state.desk.outages.settle()
    state.address.note(request)


def start_worker(app: Flask, **_: object) -> None:
    """Start this process's worker threads at the first request, the host's own ones included; for `request_started`.

    Nothing starts at import, because servers fork. In tests (`TESTING`) nothing starts unless the host has set
    MODERATE_WORKER itself: a thread would outlive its test.
    """
    if not app.testing or "MODERATE_WORKER" in app.config:
        current_state().worker.start()


def add_protocol(blueprint: Blueprint, protocol: InboundProtocol) -> None:
    """One way in. The comments' address shows the thread to who only looks."""
    if protocol.name in LOOKS:
        add_ping(blueprint, protocol)
        return
    views = {"GET": read.thread} if protocol.name == "comment" else {}
    route(blueprint, protocol.rule, protocol.name, {"POST": intake(protocol), **views}, checks_body=False)


def add_public(blueprint: Blueprint) -> None:
    route(
        blueprint,
        "/items/<int:item_id>",
        "item",
        {"GET": read.item, "PATCH": author.patch, "DELETE": author.delete},
    )
    # Readers see beside their form why there is no preview.
    route(blueprint, "/preview", "preview", {"POST": read.preview}, told=found)
    route(blueprint, "/counts", "counts", {"GET": read.counts})
    route(blueprint, "/webmention/<token>", "webmention_status", {"GET": webmention_status})
    route(blueprint, "/feed", "feed", {"GET": feed.feed})
    route(blueprint, "/feed/<path:article>", "feed_of_article", {"GET": feed.feed_of_article})
    route(blueprint, "/openapi.json", "openapi", {"GET": OpenApi()})
    route(blueprint, "/health", "health", {"GET": health})
    route(blueprint, "/metrics", "metrics", {"GET": Metrics()})


def add_mail_links(blueprint: Blueprint) -> None:
    route(blueprint, "/moderation/mail/<token>", "mail_link", {"GET": mail_links.look, "POST": mail_links.act})
    route(
        blueprint,
        "/moderation/unsubscribe/<token>",
        "unsubscribe",
        {"GET": mail_links.leave_page, "POST": mail_links.leave},
    )


def add_confirmation(blueprint: Blueprint) -> None:
    """How commenters have their e-mail addresses confirmed; nothing is there where the site does not want it."""
    there = confirmation.where_wanted
    route(blueprint, "/items/<int:item_id>/confirmation", "confirmation_ask", {"POST": there(confirmation.ask)})
    link = {"GET": there(confirmation.look), "POST": there(confirmation.act)}
    stop = {"GET": there(confirmation.stop_page), "POST": there(confirmation.stop)}
    route(blueprint, "/confirmation/forget", "forget_address", {"POST": there(confirmation.forget)})
    route(blueprint, "/confirmation/<token>", "confirmation", link)
    route(blueprint, "/confirmation/stop/<token>", "confirmation_stop", stop)


def add_moderation(blueprint: Blueprint) -> None:
    route(blueprint, "/moderation/", "queue", {"GET": moderation_page.queue})
    add_queue_forms(blueprint)
    route(blueprint, "/moderation/items", "moderation_items", {"GET": moderation_api.items})
    route(blueprint, "/moderation/items.csv", "moderation_items_csv", {"GET": items_csv.items})
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
    route(blueprint, "/moderation/sign-in/<token>", "sign_in", {"GET": sign_in.show, "POST": sign_in.enter})
    route(blueprint, "/moderation/sign-out", "sign_out", {"POST": sign_in.leave})
    rules = {"GET": moderation_rules.rules, "POST": moderation_rules.add}
    one_rule = {"GET": moderation_rules.rule, "DELETE": moderation_rules.remove}
    article = {"GET": moderation_articles.article, "PUT": moderation_articles.change}
    route(blueprint, "/moderation/rules", "moderation_rules", rules)
    route(blueprint, "/moderation/rules/<int:rule_id>", "moderation_rule", one_rule)
    route(blueprint, "/moderation/articles", "moderation_articles", {"POST": moderation_articles.change_older})
    route(blueprint, "/moderation/articles/<path:article>", "moderation_article", article)
    route(blueprint, "/moderation/history", "moderation_history", {"GET": moderation_bulk.history})


def add_queue_forms(blueprint: Blueprint) -> None:
    """What the queue page sends and asks."""
    forms = moderation_forms
    route(blueprint, "/moderation/queue/<int:item_id>", "queue_decide", {"POST": forms.decide})
    route(blueprint, "/moderation/queue/selected", "queue_selected", {"POST": forms.decide_selected})
    route(blueprint, "/moderation/queue/all", "queue_all", {"POST": forms.decide_all})
    route(blueprint, "/moderation/queue/undo", "queue_undo", {"POST": forms.undo})
    route(blueprint, "/moderation/queue/like", "queue_like", {"GET": forms.like})
    route(blueprint, "/moderation/queue/cards", "queue_cards", {"GET": moderation_page.cards})
    route(blueprint, "/moderation/queue/news", "queue_news", {"GET": moderation_page.news})
