"""``GET /health``: for monitors. Tells which part is ill, never addresses, keys or error texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import jsonify

from moderate.health import examine
from moderate.web.state import current_state

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue


def health() -> ResponseReturnValue:
    """200 where everything works, else 503."""
    parts = examine(current_state())
    is_well = all(part.is_well for part in parts)
    body: dict[str, object] = {"status": "ok" if is_well else "degraded"}
    body |= {part.name: word(part.is_well, part.state) for part in parts}
    response = jsonify(body)
    response.status_code = 200 if is_well else 503
    response.headers["Cache-Control"] = "no-store"
    return response


def word(is_well: bool, state: str) -> str:
    """Details are for ``flask moderate check-config``; the public gets one of a few words."""
    return state if is_well else "down"
