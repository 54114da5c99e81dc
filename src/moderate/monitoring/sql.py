"""What was found out last, and how often moderators and checks have done what: read from the history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from moderate.database.schema import history, states
from moderate.database.statements import upsert
from moderate.lifecycle import UNDOABLE, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy.sql.dml import Insert

    from moderate.database.engine import Database

#: The acts of checks in an item's history.
JUDGED = ("received", "judged", "revised")


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that was found out, as JSON values, and when."""

    value: Mapping[str, Any]
    at: datetime


class States:
    """Small facts by name, as JSON values, that all processes share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Kept | None:
        """Return what was kept under a name, and when."""
        with self._database.read() as conn:
            row = conn.execute(select(states.c.value, states.c.at).where(states.c.name == name)).first()
        return None if row is None else Kept(row.value, row.at)

    def keep(self, name: str, value: Mapping[str, object], now: datetime, *, waits: bool = True) -> None:
        """Replace what is kept under a name.

        With *waits* false, raises `ServiceDown` at once where another process is writing.
        """
        row = {"name": name, "value": dict(value), "at": now}
        newest = latest(self._database.dialect)
        write = self._database.transaction if waits else self._database.promptly
        write(lambda conn: conn.execute(newest, row))


class Tallies:
    """Counts of what moderators and checks have done, read from the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_entry(self, before: datetime) -> int:
        """Return the id of the newest line of the history that is older than that, 0 where there is none."""
        # Ids follow time, so the search from the newest ends after the few that are too young.
        query = select(history.c.id).where(history.c.at < before).order_by(history.c.id.desc()).limit(1)
        with self._database.read() as conn:
            return conn.execute(query).scalar() or 0

    def tally(self, after: int, upto: int | None = None) -> Tally:
        """Count the lines of the history whose ids are greater than *after*, and not greater than *upto*."""
        span = [history.c.id > after] + ([] if upto is None else [history.c.id <= upto])
        verdicts = select(history.c.cause, history.c.after, func.count()).where(
            *span, history.c.act.in_(JUDGED), history.c.cause.is_not(None)
        )
        decisions = select(history.c.act, history.c.before, history.c.after, func.count()).where(
            *span, history.c.act.in_(UNDOABLE)
        )
        decided = select(_cause_before(), history.c.before, history.c.after).where(
            *span, history.c.act == "decided", history.c.before != history.c.after
        )
        overrides = decided.subquery()
        grouped = select(*overrides.c, func.count()).where(overrides.c.cause.is_not(None)).group_by(*overrides.c)
        with self._database.read() as conn:
            return Tally(
                verdicts=_added(conn.execute(verdicts.group_by(history.c.cause, history.c.after))),
                decisions=_added(
                    conn.execute(decisions.group_by(history.c.act, history.c.before, history.c.after)), is_cause=False
                ),
                overrides=_added(conn.execute(grouped)),
            )


def _cause_before() -> Any:
    """The check behind the line before a decision; NULL where a person had acted last."""
    earlier = history.alias()
    line = select(earlier.c.cause).where(earlier.c.item_id == history.c.item_id, earlier.c.id < history.c.id)
    return line.order_by(earlier.c.id.desc()).limit(1).scalar_subquery().label("cause")


def _added(rows: Iterable[Any], *, is_cause: bool = True) -> dict[tuple[str, ...], int]:
    """Rows of labels and a number; the rules of a check count as one."""
    found: dict[tuple[str, ...], int] = {}
    for first, *others, number in rows:
        labels = (first.partition(":")[0] if is_cause else first, *(label or "" for label in others))
        found[labels] = found.get(labels, 0) + number
    return found


@lru_cache
def latest(dialect: str) -> Insert:
    return upsert(dialect, states, "name", lambda new: {"value": new["value"], "at": new["at"]})
