"""Answers in JSON and with an ETag, and what caches may do with them (RFC 9111)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from flask import Response, jsonify, request

from moderate.http.operation import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

#: For answers that depend on who asks: only the reader's own cache may store them, and has to ask again each time.
OWN = "private, no-cache"


def json_response(body: Mapping[str, object]) -> Response:
    """Return JSON with a strong ETag over its bytes; 304 where the client has it already."""
    return tagged(as_json(body))


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


def settle_caching(response: Response) -> Response:
    """Let no cache store an answer whose view has said nothing about it; for `Blueprint.after_request`.

    Without such a word a cache may store a 200, 204, 404 or 405 for as long as it thinks fit.
    """
    if request.endpoint != "moderate.static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
