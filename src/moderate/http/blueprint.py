"""The blueprint of everything below the prefix: its routes, what is done for each request, and its place at a host.

Flask answers a wrong method itself, before the blueprint can, in the form of the host. To answer with problem
documents, each route accepts all methods and refuses the wrong ones itself.
"""

from __future__ import annotations

import logging
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import PathConverter
from werkzeug.wsgi import get_content_length, get_input_stream

from moderate.errors import ConfigError, Invalid, Refused, ServiceDown, TooLarge, UnknownItem
from moderate.http import openapi
from moderate.http.answers import Finished, MethodNotAllowed, NoSuchPage, problem
from moderate.http.operation import routes_in
from moderate.http.state import REFUSAL, current_request, current_state
from moderate.model import MAX_ID
from moderate.moderation import access, articles_views, bulk_views, forms, items_csv, queue
from moderate.moderation import views as moderation
from moderate.monitoring import health, metrics
from moderate.monitoring.warnings import NO_PROXY_FIX
from moderate.notices import confirmation_views
from moderate.notices import views as notices
from moderate.protocols.base import set_limits
from moderate.protocols.comment import model_for
from moderate.reading import feed
from moderate.reading import views as reading
from moderate.rules import views as rules
from moderate.submit import views as submission

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO

    from flask import Flask, Request
    from flask.sansio.app import App
    from flask.typing import ResponseReturnValue
    from pydantic import BaseModel

    from moderate.http.operation import Operation, Route, View
    from moderate.http.state import State
    from moderate.protocols.base import InboundProtocol
    from moderate.settings import Settings

log = logging.getLogger("moderate")

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
    bulk_views,
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


def build_blueprint(ways_in: Sequence[InboundProtocol]) -> ApiBlueprint:
    """Return the blueprint named ``moderate`` with everything that is declared in `VIEWS`, and all protocols."""
    blueprint = ApiBlueprint("moderate", __name__, template_folder="templates", static_folder="static")
    blueprint.record(lambda setup: setup.app.url_map.converters.update(moderate_key=KeyConverter))
    # The thread is mounted with the comments' protocol.
    routes = [route for module in VIEWS for route in routes_in(module) if route is not reading.thread]
    mount(blueprint, [*chain.from_iterable(map(submission.routes_of, ways_in)), *routes])
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
        values.pop(LIVE, None)
        incoming = current_request()
        begin(incoming)
        method = "GET" if incoming.method == "HEAD" else incoming.method
        found = declared.get(method, others)
        if found is None:
            is_asked = method == "OPTIONS"
            return Response(status=204, headers={"Allow": allowed}) if is_asked else problem(MethodNotAllowed(allowed))
        if values.get("item_id", 0) > MAX_ID:
            return problem(UnknownItem())
        operation = found.operation
        if REFUSAL in incoming.environ and not (operation.reads_body or operation.answers_errors):
            return problem(incoming.environ[REFUSAL], operation.translate)
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
                incoming.path = incoming.path.replace(values["token"], "…")
            raise

    return dispatch


def nothing_here(**_: str) -> ResponseReturnValue:
    """Answer all addresses below the prefix that no route has."""
    return problem(NoSuchPage())


def build_models(blueprint: ApiBlueprint, settings: Settings) -> None:
    """Build the models of bodies and answers. pydantic would build each at its first use, and 2.11 not thread-safely.

    A command needs none of them.
    """
    models: set[type[BaseModel] | None] = {model_for(settings.honeypot)}
    for operation in blueprint.operations:
        models.update(operation.bodies.values(), *(reply.models for reply in operation.replies))
    for model in models:
        if model is not None:
            model.model_rebuild()


# --- each request -------------------------------------------------------------------------------------


def prepare(app: Flask, **_: object) -> None:
    """Receive `flask.request_started`: start this process's worker, and get a request to the blueprint ready.

    Nothing starts at import, because servers fork, but at the first request, the host's own ones included. In tests
    (`TESTING`) nothing starts unless the host has set MODERATE_WORKER itself, because a thread would outlive its test.
    """
    state: State = app.extensions["moderate"]
    if "MODERATE_WORKER" in app.config or not app.testing:
        state.worker.start()
    incoming = current_request()
    rule = incoming.url_rule
    if rule is None or not rule.endpoint.startswith("moderate."):
        return
    # Exempt the blueprint from Flask-WTF's CSRFProtect, where the host uses it. Pings come from programs without a
    # token, and the moderators' forms have a token of our own. A host may set CSRFProtect up after us, so the
    # exemption is made on each request, before CSRFProtect checks it.
    csrf = app.extensions.get("csrf")
    if csrf is not None and hasattr(csrf, "exempt"):
        csrf.exempt(app.blueprints["moderate"])
    if incoming.method not in WITHOUT_BODY:
        keep_body(state, incoming)


def begin(incoming: Request) -> None:
    """Log hints about the app and the ends of outages once, and note the request's sub-path."""
    state = current_state()
    if state.hints.waiting:
        state.hints.log_waiting()
    if "HTTP_X_FORWARDED_FOR" in incoming.environ and not isinstance(current_app.wsgi_app, ProxyFix):
        state.hints.log_once(NO_PROXY_FIX)
    if state.desk.outages.ongoing:
        state.desk.outages.settle()
    state.address.note(incoming)


def finish(response: Response) -> Response:
    """Let no cache store an answer whose view has said nothing about it, and no browser guess its media type.

    Without such a word a cache may store a 200, 204, 404 or 405 for as long as it thinks fit.
    """
    if isinstance(response, Finished):
        return response
    headers = response.headers
    if "Cache-Control" not in headers and request.endpoint != "moderate.static":
        headers["Cache-Control"] = "no-store"
    headers["X-Content-Type-Options"] = "nosniff"
    return response


# --- the body of a request -----------------------------------------------------------------------------
#
# A host's ``before_request`` function that reads `request.form` empties the input stream, and Werkzeug keeps no bytes
# of it. Flask sends its signal `request_started` before the first of these functions is called: `prepare` receives
# it, and `keep_body` reads the body of a request to the blueprint under the blueprint's own limit and lets the request
# give those bytes from then on, to the host's code and to the views.

#: Bytes that are read where the address does not say otherwise.
MAX_BODY = 65_536

#: Fields of a multipart form; Flask's own default.
MAX_PARTS = 1000

WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

BODILESS = (
    "A request came without the body that it announced. Where this happens to every comment, WSGI middleware has read "
    "it: see 'Code of yours that reads requests' in docs/embedding.md. One client that broke off is no fault."
)


def keep_body(state: State, incoming: Request) -> None:
    """Read the body of a request to the blueprint.

    Raises nothing: a body that cannot be read is refused later, in the form of the address that was requested, with
    the error that stands as `REFUSAL` in the WSGI environment. The host's code finds an empty body then.
    """
    limit, announced = max_body(state, incoming.endpoint or ""), get_content_length(incoming.environ) or 0
    # The host's settings limit the host's own forms. These values replace them for this request.
    # One byte more than is accepted, because Werkzeug silently truncates a body without a length at this number.
    # Older versions compare the length that was announced; what is read is bounded by then.
    most_of_form = max(limit, announced) + 1
    set_limits(incoming, max_content_length=limit + 1, max_form_memory_size=most_of_form, max_form_parts=MAX_PARTS)
    try:
        body = read_body(incoming, limit, announced)
    except Refused as error:
        incoming.environ[REFUSAL] = error
        body = b""
    incoming.environ["wsgi.input"] = BytesIO(body)
    incoming.stream = BytesIO(body)
    incoming.get_data(cache=True)
    # For code of the host that reads the stream itself: `get_data` has emptied the one above.
    incoming.stream = BytesIO(body)


def max_body(state: State, endpoint: str) -> int:
    """Return the largest body, in bytes, that the view at *endpoint* takes."""
    name = endpoint.partition(".")[2]
    # An edit and a preview accept the text of a comment.
    takes_comment = name in {"item", "preview"}
    for protocol in state.protocols:
        if protocol.name == ("comment" if takes_comment else name):
            limit = protocol.max_body(state.edge)
            return max(MAX_BODY, limit) if takes_comment else limit
    return MAX_BODY


def read_body(incoming: Request, limit: int, announced: int) -> bytes:
    """Return the body. Raises `TooLarge` above *limit* bytes, `Invalid` where it is broken or ends before *announced*.

    Code that ran even before the signal (WSGI middleware, a session interface) may have read it. Then the
    input is rewound where the server's can be, else the bytes are those that Flask's request has kept.
    It is empty where only `request.form` is left of them, which protocols then read instead.
    """
    try:
        # A class of requests of the host may have a limit of its own, which cannot be set.
        is_used = "stream" in vars(incoming)
        stream = incoming.stream if is_used else get_input_stream(incoming.environ, max_content_length=limit + 1)
        body = stream.read() or read_again(incoming, limit)
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    except ClientDisconnected:
        body = read_again(incoming, limit)
    except Exception as error:
        # Servers raise their own errors for invalid chunks, whose messages may contain part of the body.
        log.info("The body of a request could not be read: %s.", type(error).__name__)
        raise Invalid.field("", "The request cannot be read.") from error
    # Werkzeug leaves this check to the server, and not all servers make it.
    is_short = len(body) < announced
    if is_short and (body or not vars(incoming).get("form")):
        if not body:
            current_state().hints.log_once(BODILESS)
        raise Invalid.field("", "The request ended early.")
    if len(body) > limit:
        raise TooLarge
    return body


def read_again(incoming: Request, limit: int) -> bytes:
    """Return the body of a request whose stream is at its end, empty where nothing is left of it."""
    try:
        if rewind(incoming.environ["wsgi.input"], incoming.content_length):
            return get_input_stream(incoming.environ, max_content_length=limit + 1).read()
        return incoming.get_data()
    except (ClientDisconnected, RequestEntityTooLarge):
        return b""


def rewind(stream: IO[bytes], length: int | None) -> bool:
    """Seek to the beginning of the body in an input that was read to its end. Return False where that is impossible.

    WSGI middleware may read the body before Flask does. Test clients and servers that buffer the body
    give an input that can be read again; from a socket it cannot.
    """
    try:
        start = stream.tell() - length if length is not None else 0
        if start < 0 or start == stream.tell():
            return False
        stream.seek(start)
    except (AttributeError, OSError, ValueError):
        return False
    return True


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
