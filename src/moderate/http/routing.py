"""Registration of routes that answer every method, and the placement of the blueprint at a host.

Flask answers a wrong method itself, before the blueprint can, in the form of the host. To answer with problem
documents, each route accepts all methods and refuses the wrong ones itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import PathConverter

from moderate.errors import ConfigError, Refused, ServiceDown, TooLarge, UnknownItem
from moderate.http.answers import MethodNotAllowed, NoSuchPage, problem
from moderate.http.body import refuse_unread
from moderate.http.state import current_state
from moderate.model import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask
    from flask.sansio.app import App
    from flask.typing import ResponseReturnValue

    from moderate.http.operation import Operation, Route, View
    from moderate.settings import Settings

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

#: An argument that every rule has. Frozen-Flask treats rules for GET without arguments as pages to freeze.
LIVE = "moderate_live"


class KeyConverter(PathConverter):
    """Converts the key of an article: any text, also one that begins with a slash, as that of hosts that use paths."""

    regex = "(?s:.+?)"
    # Werkzeug assumes that a pattern without a slash cannot match one.
    part_isolating = False


def prepare(blueprint: Blueprint) -> None:
    """Prepare *blueprint* for the rules of `add_rule`. Call it before any rule is added."""

    def add_converter(setup: BlueprintSetupState) -> None:
        setup.app.url_map.converters["moderate_key"] = KeyConverter

    def drop_live(_: str | None, values: dict[str, Any] | None) -> None:
        if values:
            values.pop(LIVE, None)

    blueprint.record(add_converter)
    blueprint.url_value_preprocessor(drop_live)


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


def mount(blueprint: ApiBlueprint, routes: Iterable[Route]) -> None:
    """Register *routes*, each endpoint with all methods that are declared for it. Call it once."""
    endpoints: dict[str, list[Route]] = {}
    for route in routes:
        endpoints.setdefault(route.operation.endpoint, []).append(route)
        blueprint.operations.append(route.operation)
    for endpoint, some in endpoints.items():
        (rule,) = {route.operation.rule for route in some}
        add_rule(blueprint, rule, endpoint, dispatcher(some))


def dispatcher(routes: list[Route]) -> View:
    """Return the view of one endpoint. HEAD is answered as GET, OPTIONS with Allow."""
    declared: dict[str, Route] = {route.operation.method: route for route in routes}
    others = next((route for route in routes if route.operation.takes_other_methods), None)
    allowed = ", ".join(sorted({*declared, "OPTIONS"} | ({"HEAD"} if "GET" in declared else set())))

    def dispatch(**values: Any) -> ResponseReturnValue:
        method = "GET" if request.method == "HEAD" else request.method
        found = declared.get(method, others)
        if found is None:
            if method == "OPTIONS":
                return Response(status=204, headers={"Allow": allowed})
            return problem(MethodNotAllowed(allowed))
        try:
            return guarded(found, values)
        except Exception:
            # Flask logs the path with an unexpected error, and the token of a link must not be in it.
            if "token" in values:
                request.path = request.path.replace(values["token"], "…")
            raise

    return dispatch


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


def guarded(route: Route, values: dict[str, Any]) -> ResponseReturnValue:
    """Return the answer of a view; what it refuses becomes a problem document."""
    operation = route.operation
    if values.get("item_id", 0) > MAX_ID:
        return problem(UnknownItem())
    try:
        if not (operation.reads_body or operation.answers_errors):
            refuse_unread()
        return route.view(**values)
    except (Refused, ServiceDown) as error:
        current_state().report(error)
        return problem(error, operation.translate)
    except RequestEntityTooLarge:
        return problem(TooLarge(), operation.translate)


def nothing_here(**_: str) -> ResponseReturnValue:
    """Answer all addresses below the prefix that no route has."""
    return problem(NoSuchPage())
