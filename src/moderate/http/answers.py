"""Answers: JSON with ETags, problem documents (RFC 9457), and pages from the package's templates."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
import sys
from collections import ChainMap
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from flask import Response, current_app, jsonify, render_template, request, url_for
from jinja2 import BaseLoader, Environment, FileSystemLoader, TemplateNotFound, defaults, nodes
from jinja2.runtime import Context
from markupsafe import Markup, escape
from pydantic import Field
from werkzeug.http import parse_etags

from moderate.errors import DecidedMeanwhile, Invalid, NotAllowed, RateLimited, Refused, ServiceDown, UnexpectedNumber
from moderate.http.item_json import ModeratorItem, moderator_item
from moderate.http.operation import JSON, PROBLEM, Answer, Count
from moderate.i18n import PLACE, Message, translator
from moderate.limits.spending import ratelimit_headers
from moderate.model import Status  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from types import CodeType
    from wsgiref.types import WSGIEnvironment

    from jinja2 import Template
    from pydantic import BaseModel
    from werkzeug.datastructures import Headers


#: For answers that depend on who asks: only the reader's own cache may store them, and has to ask again each time.
OWN = "private, no-cache"


# `json.dumps` makes an encoder for each call with other settings than its own.
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_spaced = json.JSONEncoder(ensure_ascii=False).encode


def as_json(body: object) -> bytes:
    return _compact(body).encode()


def digest_of(data: bytes) -> str:
    """Return the tag of what has none of its own."""
    return hashlib.sha256(data).hexdigest()[:32]


def tagged(
    data: bytes, tag: str | None = None, content_type: str = JSON, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return *data* with the ETag *tag*, by default one over its bytes; 304 where the client has it already.

    *headers* are further fields of both answers, or another ``Cache-Control`` than ``no-cache``.
    """
    tag = tag or digest_of(data)
    if is_known(tag):
        return not_modified(tag, headers)
    return Finished(data, headers=[("Content-Type", content_type), *fields_of(tag, headers)])


def is_known(tag: str) -> bool:
    """Return whether the client has what is called *tag* already."""
    asked = request.environ.get("HTTP_IF_NONE_MATCH")
    # A proxy that compresses makes our tag a weak one; it names the same thread all the same (RFC 9110, 13.1.2).
    return asked is not None and (asked == f'"{tag}"' or parse_etags(asked).contains_weak(tag))


def not_modified(tag: str, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Return 304 for what is called *tag*."""
    return Finished(status=304, headers=fields_of(tag, headers))


def fields_of(tag: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    fields = {"ETag": f'"{tag}"', "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", **headers}
    return [*fields.items()]


class Finished(Response):
    """An answer that has all of its header fields, so that they are not copied to be completed when it is sent."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        headers = self.headers
        # A function of the host may have made another answer of it.
        is_bare = self.status_code in {204, 304} and "Content-Length" in headers
        if is_bare or not headers.get("Location", "").isascii():
            return super().get_wsgi_headers(environ)
        return headers


def see_other(uri: str) -> Response:
    """Return a redirect (303) to a URI. Flask's own would take it apart and put it together again."""
    link = escape(uri)
    page = f'<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<p><a href="{link}">{link}</a>\n'
    fields = {
        "Content-Type": "text/html; charset=utf-8",
        "Location": uri,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Finished(page, 303, headers=[*fields.items()])


def unstored(body: BaseModel | dict[str, object] | str, status: int = 200) -> Response:
    """Return JSON, of values or as text, that no cache may store. Members of a model that were not set are left out."""
    if isinstance(body, str):
        fields = [("Content-Type", JSON), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
        return Finished(body, status, fields)
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
    # Together, because each field that is set alone is first looked for among the others.
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store", **headers_of(error)}
    return Response(_spaced(body | particulars(error, translate)), status, headers)


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
#
# The package's own are compiled for each language, with the translations of their texts in them: a page has hundreds.

FOLDER = str(Path(__file__).parent / "templates")

#: What the names of the package's templates begin with.
PREFIX = "moderate/"


class Templates:
    """The templates of one app by name. The environment of a language is made once, at the first request for it.

    *functions* are the globals of the package's templates beside Jinja's own, ``url_for`` and ``request``.
    """

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.functions = {**defaults.DEFAULT_NAMESPACE, "url_for": url_for, "request": request, **functions}
        self._shipped: dict[tuple[str, ...], bool] = {}
        self._environments: dict[str, ShippedEnvironment] = {}

    def render(self, name: str, /, **values: Any) -> str:
        """Render ``moderate/NAME.html`` with *values*, which take precedence over the host's context processors."""
        return render_template(self._current(name), **values)

    def macro(self, name: str, macro: str, /, **values: Any) -> Callable[..., Markup]:
        """Return a macro of ``moderate/NAME.html``, which sees *values* as a template that `render` renders."""
        current_app.update_template_context(values)
        found: Callable[..., Markup] = getattr(self._current(name).make_module(values), macro)
        return found

    def get(self, name: str) -> Template:
        """Return the template ``moderate/NAME.html``: the host's where it has one, else the package's."""
        return self._environment().get_template(f"{PREFIX}{name}.html")

    def are_shipped(self, names: tuple[str, ...]) -> bool:
        """Return True where the host replaces none of the templates *names*."""
        known = self._shipped.get(names)
        if known is None:
            environments = [self.get(name).environment for name in names]
            known = all(isinstance(environment, ShippedEnvironment) for environment in environments)
            # Jinja looks for changed templates at each request only where it is told to.
            if not environments[0].auto_reload:
                self._shipped[names] = known
        return known

    def _current(self, name: str) -> Template:
        """Return a template with the host's globals as they are now."""
        template = self.get(name)
        if isinstance(template.environment, ShippedEnvironment):
            template.environment.follow()
        return template

    def _environment(self) -> ShippedEnvironment:
        """Return the environment of the page's language."""
        language = self.functions["moderate_language"]()
        found = self._environments.get(language)
        if found is None:
            made = ShippedEnvironment(current_app.jinja_env, self.functions, language)
            found = self._environments.setdefault(language, made)
        return found


class ShippedContext(Context):
    """Resolves the names of the package's functions first, so that no variable of the host can replace one."""

    environment: ShippedEnvironment

    def resolve_or_missing(self, key: str) -> Any:
        functions = self.environment.functions
        return functions[key] if key in functions else super().resolve_or_missing(key)


class ShippedEnvironment(Environment):
    """The environment of the package's own templates in one language, beside the one of the *host*."""

    context_class = ShippedContext

    def __init__(self, host: Environment, functions: Mapping[str, Any], language: str) -> None:
        super().__init__(autoescape=True, auto_reload=host.auto_reload)
        self.functions = functions
        self.language = language
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
def compiled(source: str, name: str, filename: str, language: str) -> CodeType:
    """Return the code of one of the package's own templates in a language, the same one for all apps of the process.

    Nothing of a host takes part in compiling it.
    """
    environment = Environment(autoescape=True)
    template = environment.parse(source, name, filename)
    for output in template.find_all(nodes.Output):
        output.nodes = [part for node in output.nodes for part in translated(node, language)]
    return environment.compile(template, name, filename)


def translated(node: nodes.Expr, language: str) -> list[nodes.Expr]:
    """Return what to write for ``{{ moderate_say('By {name}', name=…) }}``: the translation, with the value in it.

    Every other expression stays as it is.
    """
    is_said = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "moderate_say"
    if not (is_said and isinstance(node, nodes.Call) and isinstance(node.args[0], nodes.Const)):
        return [node]
    values = {value.key: value.value for value in node.kwargs}
    text, *rest = PLACE.split(translator(language).template(node.args[0].value))
    parts: list[nodes.Expr] = [nodes.TemplateData(escape(text))]
    for place, after in zip(rest[::2], rest[1::2], strict=True):
        parts += values[place], nodes.TemplateData(escape(after))
    return parts


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
        if is_shipped:
            code = compiled(source, name, filename, self.shipped.language)
        else:
            code = fitting.compile(source, name, filename)
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


# --- kept HTML ----------------------------------------------------------------------------------------

#: Before and after the name of a slot in cached HTML. It is secret, so that no comment can contain it.
MARK = secrets.token_hex(16)
SLOT = re.compile(f"{MARK}([a-z]+?){MARK}")


class Frame:
    """HTML with named slots, which hold something else on each page. `size` is in bytes of memory."""

    def __init__(self, html: str) -> None:
        self._parts = SLOT.split(html)
        self._names = self._parts[1::2]
        self.size = sum(map(sys.getsizeof, self._parts))

    def filled(self, values: Mapping[str, str]) -> Markup:
        """Return the HTML with *values*, which are HTML as well, in the slots of their names."""
        parts = self._parts.copy()
        parts[1::2] = [values[name] for name in self._names]
        return Markup("".join(parts))  # noqa: S704 - our templates escape

    def __bool__(self) -> bool:
        return self._parts != [""]


def slot(name: str) -> Markup:
    """Return what a template has to write for a slot of that *name* in a `Frame`; lower-case letters."""
    return Markup(f"{MARK}{name}{MARK}")  # noqa: S704 - letters and digits
