"""``GET /health``, for monitors: the state of each part, never addresses, keys or error texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flask import request
from pydantic import Field

from moderate.errors import Invalid
from moderate.http.answers import unstored
from moderate.http.operation import Answer, Operation, Reply, query
from moderate.http.state import current_state
from moderate.i18n import Message
from moderate.moderation.access import moderator
from moderate.monitoring.health import examine

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.monitoring.health import Part

NAMES = ("database", "redis", "akismet", "tasks", "retention")


class HealthOut(Answer):
    """One word for each part; ``newer`` is a database that works and was upgraded by a later version.

    `advice` and `details` are for moderators who asked with ``deep=1``.
    """

    status: Literal["ok", "degraded"]
    database: str
    redis: str
    akismet: str
    tasks: str
    retention: str | None = Field(default=None, description="Only where it is late.")
    details: dict[str, str] | None = None
    advice: dict[str, str] | None = None


@Operation(
    "GET",
    "/health",
    "health",
    "Try what the site depends on: a write to the database, a decision of the limiter, Akismet, tasks",
    parameters=(
        query("deep", {"enum": ["0", "1"]}, "`1`, for moderators: ask Akismet now, and say what to do."),
        query("part", {"enum": list(NAMES)}, "This part alone decides the status."),
    ),
    replies=(Reply(200, "All is well.", HealthOut), Reply(503, "Something is not.", HealthOut)),
    problems=("unauthorized", "rate-limited"),
    needs_database=False,
)
def health() -> ResponseReturnValue:
    """Answer 200 where everything works, else 503. It may be asked every second.

    The database is written one small row, and Redis takes one decision of the limiter: an answer to a PING
    would not tell that either of them refuses writes. No other site is asked. ``part=database`` lets that part alone
    decide the status. ``deep=1``, for moderators, asks Akismet now, and says what to do.
    """
    state = current_state()
    deciding = choice("part", NAMES)
    deep = choice("deep", ("0", "1")) == "1"
    if deep:
        moderator(state)
    parts = examine(state, deep=deep)
    body: dict[str, object] = {"status": "ok" if all(part.is_well for part in parts) else "degraded"}
    # Monitors of the other parts keep working: retention is included only where it is late.
    body |= {part.name: word(part) for part in parts if part.name != "retention" or not part.is_well}
    if deep:
        body["details"] = {part.name: part.state for part in parts}
        body["advice"] = {part.name: part.advice for part in parts if part.advice}
    response = unstored(body)
    # Late retention does not affect readers.
    is_well = all(part.is_well for part in parts if part.name == deciding or (deciding is None and part.serves))
    response.status_code = 200 if is_well else 503
    return response


def choice(name: str, accepted: tuple[str, ...]) -> str | None:
    value = request.args.get(name)
    if value is not None and value not in accepted:
        raise Invalid.field(name, Message("One of {values}.", values=list(accepted)))
    return value


def word(part: Part) -> str:
    """Return the public word for a part. Details are for moderators and ``flask moderate check-config``."""
    if not part.is_well and part.serves:
        return "down"
    return part.state.partition(",")[0]
