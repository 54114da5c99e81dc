"""``GET /openapi.json``: an OpenAPI 3.1 document made from the declarations of the views and their models."""

from __future__ import annotations

import threading
from functools import lru_cache
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import current_app, request
from pydantic.json_schema import models_json_schema

from moderate.http.answers import STATUS_OF, Problem, as_json, digest_of, tagged
from moderate.http.operation import FORM, HTML, JSON, MULTIPART, PROBLEM, Json, Operation, Reply
from moderate.http.state import current_state
from moderate.protocols.comment import CommentIn, model_for
from moderate.text.clean import MAX_AUTHOR, MAX_AUTHOR_URL, MAX_EMAIL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flask.typing import ResponseReturnValue
    from pydantic import BaseModel

    from moderate.settings import Settings

#: Held while the models are built, which pydantic 2.11 does not do safely in two threads.
BUILDING = threading.Lock()

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

REFERENCES = "#/components/schemas/{model}"

#: Header fields of answers. Those of a limit come where a limit applies.
HEADERS: dict[str, Json] = {
    "Allow": {"description": "The methods of this address.", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "The name of the file.", "schema": {"type": "string"}},
    "ETag": {"description": "Send it back in If-None-Match.", "schema": {"type": "string"}},
    "Location": {"description": "The address to go to, or that of what was made.", "schema": {"type": "string"}},
    "Moderate-Form-Token": {"description": "For the form_token of a comment.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of each limit.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limits.", "schema": {"type": "string"}},
    "Retry-After": {"description": "After how many seconds to try again.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to sign in.", "schema": {"type": "string"}},
}

#: The header fields of problem documents by status.
PROBLEM_HEADERS: dict[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}


#: Lengths of the members of a comment that `moderate.text` enforces after validation.
BOUNDS: dict[str, Json] = {
    "author": {"maxLength": MAX_AUTHOR},
    "email": {"maxLength": MAX_EMAIL},
    "url": {"maxLength": MAX_AUTHOR_URL},
}


@Operation(
    "GET",
    "/openapi.json",
    "openapi",
    "This document",
    replies=(Reply(200, "OpenAPI 3.1.", types=(JSON,)),),
    has_etag=True,
    needs_database=False,
)
def openapi() -> ResponseReturnValue:
    return tagged(*written(current_app.blueprints["moderate"], request.script_root))


@lru_cache(maxsize=8)
def written(blueprint: Any, root: str) -> tuple[bytes, str]:
    """Return the current app's document with its tag; *root* is the path that the app is mounted at.

    *blueprint* is an `ApiBlueprint`, whose module imports this one.
    """
    with BUILDING:
        described = document(
            blueprint.operations, current_state().settings, root, current_app.config["SESSION_COOKIE_NAME"]
        )
    data = as_json(described)
    return data, digest_of(data)


def document(operations: Sequence[Operation], settings: Settings, root: str, session_cookie: str) -> Json:
    """Return the whole document as JSON values."""
    paths: dict[str, Json] = {}
    operations = sorted(
        (operation for operation in operations if operation.summary),
        key=lambda operation: (operation.path, METHODS.index(operation.method)),
    )
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "moderate",
            "version": version("flask-moderate"),
            "description": "Comments and trackbacks of this site. Errors are problem documents (RFC 9457) "
            "with a stable `code`.",
        },
        "servers": [{"url": root + settings.url_prefix}],
        "paths": paths,
        "components": {"schemas": schemas(operations, settings), "securitySchemes": security_schemes(session_cookie)},
    }


def security_schemes(session_cookie: str) -> Json:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A moderator's token: flask moderate token create.",
        },
        "login": {
            "type": "apiKey",
            "in": "cookie",
            "name": session_cookie,
            "description": "The host's own login, where it says who moderates.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "Goes with a login for every change; the queue page has it.",
        },
    }


# --- one operation ----------------------------------------------------------------------------------


def described(operation: Operation) -> Json:
    """Return the Operation Object."""
    body: Json = {
        "operationId": f"{operation.endpoint}_{operation.method.lower()}",
        "summary": operation.summary,
        "tags": ["moderation" if operation.is_for_moderators else "public"],
        "responses": responses(operation),
    }
    if parameters := operation.all_parameters():
        body["parameters"] = parameters
    if operation.bodies:
        content = {kind: {"schema": request_schema(kind, model)} for kind, model in operation.bodies.items()}
        body["requestBody"] = {"required": operation.is_body_required, "content": content}
    if operation.is_for_moderators:
        login: Json = {"login": []} if operation.method == "GET" else {"login": [], "csrf": []}
        body["security"] = [{"bearer": []}, login]
    return body


def request_schema(kind: str, model: type[BaseModel] | None) -> Json:
    if model is None:
        return {"type": "string"}
    return reference(f"{model.__name__}Form" if kind in {FORM, MULTIPART} else model.__name__)


def reference(name: str) -> Json:
    return {"$ref": REFERENCES.format(model=name)}


def responses(operation: Operation) -> dict[str, Json]:
    """Return the Responses Object: declared replies, and problem documents with the codes that may come."""
    found = {str(reply.status): described_reply(reply) for reply in operation.all_replies()}
    for status, codes in by_status(operation.codes()).items():
        described_before = found.get(str(status), {})
        answer = described_problem(operation, status, codes)
        answer["content"] = {**answer["content"], **described_before.get("content", {})}
        if described_before:
            answer["description"] = f"{described_before['description']} Or {answer['description']}."
        found[str(status)] = answer
    return dict(sorted(found.items()))


def described_reply(reply: Reply) -> Json:
    body: Json = {"description": reply.about}
    content: dict[str, Json] = {kind: {"schema": {"type": "string"}} for kind in reply.types}
    if reply.types == (JSON,):
        content = {JSON: {"schema": {"type": "object"}}}
    if reply.model is not None:
        either = [reference(model.__name__) for model in reply.models]
        schema = either[0] if len(either) == 1 else {"anyOf": either}
        content[JSON] = {"schema": schema}
    if reply.is_problem:
        content[PROBLEM] = {"schema": reference("Problem")}
    if content:
        body["content"] = content
    if reply.headers:
        body["headers"] = {name: HEADERS[name] for name in reply.headers}
    return body


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(STATUS_OF[code], []).append(code)
    return found


def described_problem(operation: Operation, status: int, codes: list[str]) -> Json:
    narrowed: Json = {"allOf": [reference("Problem"), {"properties": {"code": {"enum": codes}}}]}
    content: Json = {HTML: {"schema": {"type": "string"}}} if operation.has_problem_pages else {}
    content[PROBLEM] = {"schema": narrowed}
    answer: Json = {"description": " or ".join(f"`{code}`" for code in codes), "content": content}
    if status in PROBLEM_HEADERS:
        answer["headers"] = {name: HEADERS[name] for name in PROBLEM_HEADERS[status]}
    return answer


# --- schemas ----------------------------------------------------------------------------------------


def schemas(operations: Iterable[Operation], settings: Settings) -> dict[str, Json]:
    """Return the schemas of all bodies and answers by name. Forms have schemas of their own."""
    sent = {model for operation in operations for reply in operation.replies for model in reply.models}
    bodies = chain.from_iterable(operation.bodies.items() for operation in operations)
    taken = [(model, kind) for kind, model in bodies if model is not None]
    # The site's own model of comments has its honeypot.
    read = {model_for(settings.honeypot) if model is CommentIn else model for model, _ in taken}
    models: list[Any] = [
        (model, "serialization") for model in sorted(sent | {Problem}, key=lambda model: model.__name__)
    ]
    models += [(model, "validation") for model in sorted(read, key=lambda model: model.__name__)]
    found: dict[str, Json] = dict(models_json_schema(models, ref_template=REFERENCES)[1]["$defs"])
    bound(found, settings)
    if settings.require_author and "CommentIn" in found:
        found["CommentIn"]["required"].append("author")
    for model, kind in taken:
        if kind in {FORM, MULTIPART}:
            found[f"{model.__name__}Form"] = form_schema(found[model.__name__])
    return found


def bound(found: dict[str, Json], settings: Settings) -> None:
    """Add the lengths to the schemas of comments that are enforced after validation."""
    text = {"text": {"minLength": 1, "maxLength": settings.max_length}}
    for model, bounds in (("CommentIn", {**BOUNDS, **text}), ("PreviewIn", text), ("PreviewForm", text)):
        for name, limits in bounds.items():
            entry = found.get(model, {}).get("properties", {}).get(name, {})
            target = next((one for one in entry.get("anyOf", ()) if one.get("type") == "string"), entry)
            target.update(limits)


def form_schema(schema: Json) -> Json:
    """Return the schema of a form for that of JSON: fields may be absent but not null, and unknown ones are ignored."""
    properties = {name: without_null(entry) for name, entry in schema["properties"].items()}
    return {"type": "object", "properties": properties, "required": schema.get("required", [])}


def without_null(entry: Json) -> Json:
    kept = {
        name: value for name, value in entry.items() if name != "anyOf" and not (name == "default" and value is None)
    }
    for choice in entry.get("anyOf", ()):
        if choice != {"type": "null"}:
            kept |= choice
    return kept
