"""Answers: JSON with ETags, problem documents (RFC 9457), and what caches may do with them (RFC 9111)."""

from __future__ import annotations

import hashlib
import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

from flask import Response, jsonify, request
from pydantic import Field

from moderate.errors import DecidedMeanwhile, Invalid, NotAllowed, RateLimited, Refused, ServiceDown, UnexpectedNumber
from moderate.http.item_json import ModeratorItem, moderator_item
from moderate.http.operation import JSON, Answer, Count
from moderate.i18n import Message
from moderate.limits.policy import ratelimit_headers
from moderate.model import Status  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
