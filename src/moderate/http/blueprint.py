"""The blueprint of everything below the prefix, built from the routes that views declare, and its place at a host.

Flask answers a wrong method itself, before the blueprint can, in the form of the host. To answer with problem
documents, each route accepts all methods and refuses the wrong ones itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import PathConverter

from moderate.errors import ConfigError, Refused, ServiceDown, TooLarge, UnknownItem
from moderate.http import openapi
from moderate.http.answers import MethodNotAllowed, NoSuchPage, problem
from moderate.http.body import REFUSAL
from moderate.http.operation import routes_in
from moderate.http.state import current_state
from moderate.model import MAX_ID
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
    from collections.abc import Iterable, Sequence

    from flask import Flask
    from flask.sansio.app import App
    from flask.typing import ResponseReturnValue

    from moderate.http.operation import Operation, Route, View
    from moderate.protocols.base import InboundProtocol
    from moderate.settings import Settings


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

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

#: An argument that every rule has. Frozen-Flask treats rules for GET without arguments as pages to freeze.
LIVE = "moderate_live"


def build_blueprint(ways_in: Sequence[InboundProtocol]) -> Blueprint:
    """Return the blueprint named ``moderate`` with everything that is declared in `VIEWS`, and all protocols."""
    blueprint = ApiBlueprint("moderate", __name__, template_folder="templates", static_folder="static")
    blueprint.record(lambda setup: setup.app.url_map.converters.update(moderate_key=KeyConverter))
    # The thread is mounted with the comments' protocol.
    routes = [route for module in VIEWS for route in routes_in(module) if route is not reading.thread]
    mount(blueprint, [*chain.from_iterable(map(submission.routes_of, ways_in)), *routes])
    blueprint.url_value_preprocessor(preprocess)
    blueprint.before_request(begin)
    blueprint.after_request(finish)
    add_rule(blueprint, "/<path:_>", "nothing_here", nothing_here)
    add_rule(blueprint, "/moderation/<path:_>", "nothing_at_the_desk", queue.nothing_here)
    return blueprint


def mount(blueprint: ApiBlueprint, routes: Iterable[Route]) -> None:
    """Register *routes*, each endpoint with all methods that are declared for it. Call it once."""
    endpoints: dict[str, list[Route]] = {}
    for route in routes:
        endpoints.setdefault(route.operation.endpoint, []).append(route)
        blueprint.operations.append(route.operation)
    for endpoint, some in endpoints.items():
        (rule,) = {route.operation.rule for route in some}
        add_rule(blueprint, rule, endpoint, dispatcher(some))


def add_rule(blueprint: Blueprint, rule: str, endpoint: str, view: View) -> None:
    """Register *view* at *rule* for every method."""
    blueprint.add_url_rule(
        rule.replace("<path:", "<moderate_key:"),
        endpoint,
        view,
        methods=METHODS,
        defaults={LIVE: True},
        provide_automatic_options=False,
    )


def dispatcher(routes: list[Route]) -> View:
    """Return the view of one endpoint. What its views refuse becomes a problem document.

    HEAD is answered as GET, OPTIONS with Allow.
    """
    declared: dict[str, Route] = {route.operation.method: route for route in routes}
    others = next((route for route in routes if route.operation.takes_other_methods), None)
    allowed = ", ".join(sorted({*declared, "OPTIONS"} | ({"HEAD"} if "GET" in declared else set())))

    def dispatch(**values: Any) -> ResponseReturnValue:
        method = "GET" if request.method == "HEAD" else request.method
        found = declared.get(method, others)
        if found is None:
            is_asked = method == "OPTIONS"
            return Response(status=204, headers={"Allow": allowed}) if is_asked else problem(MethodNotAllowed(allowed))
        if values.get("item_id", 0) > MAX_ID:
            return problem(UnknownItem())
        operation = found.operation
        if REFUSAL in request.environ and not (operation.reads_body or operation.answers_errors):
            return problem(request.environ[REFUSAL], operation.translate)
        try:
            return found.view(**values)
        except (Refused, ServiceDown) as error:
            current_state().report(error)
            return problem(error, operation.translate)
        except RequestEntityTooLarge:
            return problem(TooLarge(), operation.translate)
        except Exception:
            # Flask logs the path with an unexpected error, and the token of a link must not be in it.
            if "token" in values:
                request.path = request.path.replace(values["token"], "…")
            raise

    return dispatch


def nothing_here(**_: str) -> ResponseReturnValue:
    """Answer all addresses below the prefix that no route has."""
    return problem(NoSuchPage())


# --- each request -------------------------------------------------------------------------------------


def preprocess(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Drop `LIVE` from the arguments, and exempt the blueprint from Flask-WTF's CSRFProtect, where the host uses it.

    Pings come from programs without a token, and the moderators' forms have a token of our own. A host may set
    CSRFProtect up after us, so the exemption is made on each request, before CSRFProtect checks it.
    """
    if values:
        values.pop(LIVE, None)
    csrf = current_app.extensions.get("csrf")
    if csrf is not None and hasattr(csrf, "exempt"):
        csrf.exempt(current_app.blueprints["moderate"])


def begin() -> None:
    """Log hints about the app and the ends of outages once, and note the request's sub-path."""
    state = current_state()
    if state.hints.waiting:
        state.hints.log_waiting()
    if "X-Forwarded-For" in request.headers and not isinstance(current_app.wsgi_app, ProxyFix):
        state.hints.log_once(NO_PROXY_FIX)
    if state.desk.outages.ongoing:
        state.desk.outages.settle()
    state.address.note(request)


def finish(response: Response) -> Response:
    """Let no cache store an answer whose view has said nothing about it, and no browser guess its media type.

    Without such a word a cache may store a 200, 204, 404 or 405 for as long as it thinks fit.
    """
    if request.endpoint != "moderate.static":
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def start_worker(app: Flask, **_: object) -> None:
    """Start this process's worker threads at the first request, the host's own ones included; for `request_started`.

    Nothing starts at import, because servers fork. In tests (`TESTING`) nothing starts unless the host has set
    MODERATE_WORKER itself, because a thread would outlive its test.
    """
    if not app.testing or "MODERATE_WORKER" in app.config:
        current_state().worker.start()


# --- the place at a host -------------------------------------------------------------------------------


class KeyConverter(PathConverter):
    """Converts the key of an article: any text, also one that begins with a slash, as that of hosts that use paths."""

    regex = "(?s:.+?)"
    # Werkzeug assumes that a pattern without a slash cannot match one.
    part_isolating = False


class ApiBlueprint(Blueprint):
    """A blueprint that knows what its routes are declared as.

    ``register_blueprint(…, host=…)`` puts it at one host; Flask itself only knows `subdomain`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.operations: list[Operation] = []

    def make_setup_state(
        self, app: App, options: dict[str, Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        return SetupAtHost(self, app, options, first_registration)


class SetupAtHost(BlueprintSetupState):
    """Adds every rule, that of the static files too, at the host of the registration."""

    def add_url_rule(self, rule: str, endpoint: str | None = None, view_func: Any = None, **options: Any) -> None:
        """See `flask.sansio.blueprints.BlueprintSetupState`."""
        options.setdefault("host", self.options.get("host"))
        super().add_url_rule(rule, endpoint, view_func, **options)


def place_of(app: Flask, settings: Settings) -> dict[str, str]:
    """Return the options with which the blueprint is registered. Raises `ConfigError` where it would be unreachable."""
    host, subdomain = settings.host, settings.subdomain
    if app.url_map.host_matching:
        if subdomain is not None:
            raise ConfigError("MODERATE_SUBDOMAIN", subdomain, "the app matches whole hosts; set MODERATE_HOST instead")
        if host is None:
            raise ConfigError(
                "MODERATE_HOST",
                host,
                "the app matches hosts (Flask(host_matching=True)); name the host of moderate, such as 'news.example'",
            )
        return {"host": host}
    if host is not None:
        raise ConfigError("MODERATE_HOST", host, "it needs an app that matches hosts: Flask(host_matching=True)")
    if subdomain is None:
        return {}
    if not app.subdomain_matching or not app.config.get("SERVER_NAME"):
        words = "it needs an app that matches subdomains, Flask(subdomain_matching=True), and its SERVER_NAME"
        raise ConfigError("MODERATE_SUBDOMAIN", subdomain, words)
    return {"subdomain": subdomain}
