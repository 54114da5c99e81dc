"""Build the blueprint of everything below the prefix from the routes that views declare."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from flask import current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix

from moderate.http import openapi
from moderate.http.answers import settle_caching
from moderate.http.operation import routes_in
from moderate.http.routing import ApiBlueprint, add_rule, mount, nothing_here, prepare
from moderate.http.state import current_state
from moderate.moderation import access, articles_views, forms, items_csv, queue
from moderate.moderation import views as moderation
from moderate.monitoring import health, metrics
from moderate.monitoring.warnings import NO_PROXY_FIX
from moderate.notices import confirmation_views
from moderate.notices import views as notices
from moderate.reading import feed
from moderate.reading import views as reading
from moderate.rules import views as rules
from moderate.submit import views as submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Blueprint, Flask, Response

    from moderate.protocols.base import InboundProtocol


#: The modules whose views are mounted. Routes of a protocol are only where the site has that protocol.
VIEWS = (
    reading,
    feed,
    submission,
    openapi,
    health,
    metrics,
    confirmation_views,
    moderation,
    articles_views,
    items_csv,
    queue,
    forms,
    access,
    rules,
    notices,
)


def build_blueprint(ways_in: Sequence[InboundProtocol]) -> Blueprint:
    """Return the blueprint named ``moderate`` with everything that is declared in `VIEWS`, and all protocols."""
    blueprint = ApiBlueprint("moderate", __name__, template_folder="templates", static_folder="static")
    prepare(blueprint)
    # The thread is mounted with the comments' protocol.
    routes = [route for module in VIEWS for route in routes_in(module) if route is not reading.thread]
    mount(blueprint, [*chain.from_iterable(map(submission.routes_of, ways_in)), *routes])
    blueprint.before_request(begin)
    blueprint.after_request(unsniffed)
    blueprint.after_request(settle_caching)
    add_rule(blueprint, "/<path:_>", "nothing_here", nothing_here)
    add_rule(blueprint, "/moderation/<path:_>", "nothing_at_the_desk", queue.nothing_here)
    return blueprint


def unsniffed(response: Response) -> Response:
    """Forbid browsers to guess the media types of answers."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def begin() -> None:
    """Log hints about the app and the ends of outages once, and note the request's sub-path."""
    state = current_state()
    if state.hints.waiting:
        state.hints.log_waiting()
    if "X-Forwarded-For" in request.headers and not isinstance(current_app.wsgi_app, ProxyFix):
        state.hints.log_once(NO_PROXY_FIX)
    state.desk.outages.settle()
    state.address.note(request)


def start_worker(app: Flask, **_: object) -> None:
    """Start this process's worker threads at the first request, the host's own ones included; for `request_started`.

    Nothing starts at import, because servers fork. In tests (`TESTING`) nothing starts unless the host has set
    MODERATE_WORKER itself, because a thread would outlive its test.
    """
    if not app.testing or "MODERATE_WORKER" in app.config:
        current_state().worker.start()
