"""Answers: JSON with ETags, problem documents (RFC 9457), and pages from the package's templates."""

from __future__ import annotations

import hashlib
import json
import math
from collections import ChainMap
from functools import cached_property, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from flask import Response, current_app, jsonify, render_template, request, url_for
from jinja2 import BaseLoader, Environment, FileSystemLoader, TemplateNotFound, defaults
from jinja2.runtime import Context
from pydantic import Field

from moderate.errors import DecidedMeanwhile, Invalid, NotAllowed, RateLimited, Refused, ServiceDown, UnexpectedNumber
from moderate.http.item_json import ModeratorItem, moderator_item
from moderate.http.operation import JSON, Answer, Count
from moderate.i18n import Message
from moderate.limits.spending import ratelimit_headers
from moderate.model import Status  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping
    from types import CodeType

    from jinja2 import Template
    from pydantic import BaseModel


#: For answers that depend on who asks: only the reader's own cache may store them, and has to ask again each time.
OWN = "private, no-cache"


def as_json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def digest_of(data: bytes) -> str:
    """Return the tag of what has none of its own."""
    return hashlib.sha256(data).hexdigest()[:32]


def tagged(data: bytes, tag: str | None = None, content_type: str = JSON) -> Response:
    """Return *data* with the ETag *tag*, by default one over its bytes; 304 where the client has it already."""
    tag = tag or digest_of(data)
    unchanged = not_modified(tag)
    if unchanged is not None:
        return unchanged
    response = Response(data, content_type=content_type)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache"
    return response


def not_modified(tag: str | None) -> Response | None:
    """Return 304 where the client has what is called *tag* already, else None."""
    # A proxy that compresses makes our tag a weak one; it names the same thread all the same (RFC 9110, 13.1.2).
    if tag is None or not request.if_none_match.contains_weak(tag):
        return None
    response = Response(status=304)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache"
    return response


def unstored(body: BaseModel | dict[str, object], status: int = 200) -> Response:
    """Return JSON that no cache may store. Members of a model that were not set are left out."""
    values = body if isinstance(body, dict) else body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    response = jsonify(values)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


# --- problem documents ------------------------------------------------------------------------

STATUS_OF: dict[str, int] = {
    "invalid": 422,
    "too-large": 413,
    "unsupported-media-type": 415,
    "unknown-article": 404,
    "unknown-item": 404,
    "not-found": 404,
    "method-not-allowed": 405,
    "closed": 403,
    "rate-limited": 429,
    "unknown-decision": 404,
    "unknown-rule": 404,
    "decided-meanwhile": 409,
    "unexpected-number": 409,
    "not-allowed": 409,
    "unauthorized": 401,
    "forbidden": 403,
    "unavailable": 503,
}


class NoSuchPage(Refused):
    code = "not-found"
    default = "There is nothing at this address."


class MethodNotAllowed(Refused):
    """The address exists, but not for this method. `allowed` goes into the Allow field."""

    code = "method-not-allowed"
    default = "This address does not take that method."

    def __init__(self, allowed: str) -> None:
        super().__init__()
        self.allowed = allowed


class FieldProblem(Answer):
    field: str
    message: str


class Problem(Answer):
    """A problem document (RFC 9457). `code` is stable; the members below `detail` belong to some codes only."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    code: str
    detail: str
    errors: list[FieldProblem] | None = None
    by: str | None = None
    decision: Status | None = None
    item: ModeratorItem | None = None
    found: Count | None = None
    seen: str | None = None
    legal: list[str] | None = None


UNAVAILABLE = Message("This is not available right now. Please try again soon.")


def status_of(error: Refused | ServiceDown) -> int:
    return STATUS_OF.get(error.code, 400)


def public_text(error: Refused | ServiceDown) -> str:
    """Return the message for clients. It does not name the service that is down; logs and moderators' pages do."""
    return error.public if isinstance(error, Refused) else UNAVAILABLE


def problem(error: Refused | ServiceDown, translate: Callable[[str], str] = str) -> Response:
    """Return the error as a problem document with its header fields; *translate* is called with each message."""
    status = status_of(error)
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": translate(public_text(error)),
    }
    text = json.dumps(body | particulars(error, translate), ensure_ascii=False)
    response = Response(text, status, mimetype="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers_of(error))
    return response


def particulars(error: Refused | ServiceDown, translate: Callable[[str], str]) -> dict[str, object]:
    """Return the members that only some errors have."""
    if isinstance(error, Invalid):
        return {"errors": [{"field": entry.field, "message": translate(entry.message)} for entry in error.errors]}
    if isinstance(error, DecidedMeanwhile):
        return {"by": error.by, "decision": error.item.status.value, "item": moderator_item(error.item)}
    if isinstance(error, UnexpectedNumber):
        return {"found": error.found, "seen": error.seen}
    if isinstance(error, NotAllowed):
        return {"legal": list(error.legal)}
    return {}


def headers_of(error: Refused | ServiceDown) -> dict[str, str]:
    if isinstance(error, RateLimited):
        return dict(ratelimit_headers(error))
    if isinstance(error, ServiceDown):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    if error.code == "unauthorized":
        return {"WWW-Authenticate": 'Bearer realm="moderate"'}
    return {}


# --- pages ----------------------------------------------------------------------------------------
#
# Templates are rendered independently of the settings of the host's Jinja environment. The package's own are compiled
# in an environment of their own: usual delimiters, autoescaping, no extensions, Jinja's own filters and tests. A host's
# template that replaces one of them is compiled in an overlay of the host's environment with the usual delimiters and
# autoescaping, so that it can use the host's filters, globals and extensions. Every other template, such as the
# ``base.html`` which such a replacement extends, comes from the host's environment as it is.

FOLDER = str(Path(__file__).parent / "templates")

#: What the names of the package's templates begin with.
PREFIX = "moderate/"


class Templates:
    """The templates of one app by name. The environments are made once, at the first request for one.

    *functions* are the globals of the package's templates beside Jinja's own, ``url_for`` and ``request``.
    """

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.functions = {**defaults.DEFAULT_NAMESPACE, "url_for": url_for, "request": request, **functions}

    def render(self, name: str, /, **values: Any) -> str:
        """Render ``moderate/NAME.html`` with *values*, which take precedence over the host's context processors."""
        template = self.get(name)
        if isinstance(template.environment, ShippedEnvironment):
            template.environment.follow()
        return render_template(template, **values)

    def get(self, name: str) -> Template:
        """Return the template ``moderate/NAME.html``: the host's where it has one, else the package's."""
        return self._environment.get_template(f"{PREFIX}{name}.html")

    def are_shipped(self, names: Iterable[str]) -> bool:
        """Return True where the host replaces none of the templates *names*."""
        return all(self.get(name).environment is self._environment for name in names)

    @cached_property
    def _environment(self) -> Environment:
        return ShippedEnvironment(current_app.jinja_env, self.functions)


class ShippedContext(Context):
    """Resolves the names of the package's functions first, so that no variable of the host can replace one."""

    environment: ShippedEnvironment

    def resolve_or_missing(self, key: str) -> Any:
        functions = self.environment.functions
        return functions[key] if key in functions else super().resolve_or_missing(key)


class ShippedEnvironment(Environment):
    """The environment of the package's own templates, beside the one of the *host*."""

    context_class = ShippedContext

    def __init__(self, host: Environment, functions: Mapping[str, Any]) -> None:
        super().__init__(autoescape=True, auto_reload=host.auto_reload)
        self.functions = functions
        # A template renders synchronously in here, also where it is part of a page that renders asynchronously.
        self.host = host.overlay(enable_async=False, bytecode_cache=None) if host.is_async else host
        self.follow()
        self.replacements = replacements_environment(host, functions)
        self.loader = self.replacements.loader = Loader(self)

    def follow(self) -> None:
        """Take the host's globals as they are now, for replacements that a shipped template includes or imports."""
        self.globals |= {**self.host.globals, **self.functions}


def replacements_environment(host: Environment, functions: Mapping[str, Any]) -> Environment:
    """Return the overlay of *host* in which its replacements of the package's templates are compiled."""
    overlay = host.overlay(
        block_start_string=defaults.BLOCK_START_STRING,
        block_end_string=defaults.BLOCK_END_STRING,
        variable_start_string=defaults.VARIABLE_START_STRING,
        variable_end_string=defaults.VARIABLE_END_STRING,
        comment_start_string=defaults.COMMENT_START_STRING,
        comment_end_string=defaults.COMMENT_END_STRING,
        line_statement_prefix=None,
        line_comment_prefix=None,
        autoescape=True,
        # Code of the same source under other delimiters must not be taken for this one's.
        bytecode_cache=None,
        enable_async=False,
    )
    overlay.globals = ChainMap({}, host.globals, dict(functions))  # type: ignore[assignment]
    return overlay


@lru_cache(maxsize=128)
def compiled(source: str, name: str, filename: str) -> CodeType:
    """Return the code of one of the package's own templates, the same one for all apps of the process.

    Nothing of a host takes part in compiling it.
    """
    return Environment(autoescape=True).compile(source, name, filename)


class Loader(BaseLoader):
    """Find a template where the host's loader has it, and compile it in the environment that it belongs to."""

    def __init__(self, shipped: ShippedEnvironment) -> None:
        self.shipped = shipped
        self.fallback = FileSystemLoader(FOLDER)

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002
    ) -> Template:
        if not name.startswith(PREFIX):
            return self.shipped.host.get_template(name)
        source, filename, is_up_to_date = self.get_source(environment, name)
        is_shipped = filename is not None and filename.startswith(FOLDER)
        fitting = self.shipped if is_shipped else self.shipped.replacements
        code = compiled(source, name, filename) if is_shipped else fitting.compile(source, name, filename)
        return fitting.template_class.from_code(fitting, code, fitting.make_globals(None), is_up_to_date)

    def get_source(self, environment: Environment, template: str) -> Any:
        """Return source, file name and check for changes. A host's own loader may not know Flask's blueprints."""
        host = self.shipped.host
        if host.loader is not None:
            try:
                return host.loader.get_source(host, template)
            except TemplateNotFound:
                pass
        return self.fallback.get_source(environment, template)
