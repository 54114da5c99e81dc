"""Named states that all processes share, and tallies of the history: counts of what checks and moderators have done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from moderate.database.schema import history, states
from moderate.database.statements import overwrite
from moderate.lifecycle import UNDOABLE, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from moderate.database.engine import Database

#: The acts of checks in an item's history.
JUDGED = ("received", "judged", "revised")

#: The name of the state in which the tally is stored.
TALLY = "tally"

#: The age from which on the history is tallied. A line may appear after younger ones: when its transaction ends.
SETTLED = timedelta(minutes=5)

MEASURES = ("verdicts", "decisions", "overrides")


@dataclass(frozen=True, slots=True)
class Kept:
    """A state as JSON values, and the time at which it was stored."""

    value: Mapping[str, Any]
    at: datetime


class States:
    """States by name, as JSON values, that all processes share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Kept | None:
        """Return the state of a name, or None."""
        with self._database.read() as conn:
            row = conn.execute(select(states.c.value, states.c.at).where(states.c.name == name)).first()
        return None if row is None else Kept(row.value, row.at)

    def keep(self, name: str, value: Mapping[str, object], now: datetime, *, waits: bool = True) -> None:
        """Store a state, in place of an earlier one of the same name.

        With *waits* false, raises `ServiceDown` at once where another process is writing.
        """
        row = {"name": name, "value": dict(value), "at": now}
        newest = overwrite(self._database.dialect, states, "name", "value", "at")
        write = self._database.transaction if waits else self._database.promptly
        write(lambda conn: conn.execute(newest, row))


class Tallies:
    """Counts of what moderators and checks have done, from the history, which is only ever added to.

    The counts are stored once an hour, so that a look reads no more than the last hour of the history.
    """

    def __init__(self, database: Database, states: States) -> None:
        self._database = database
        self._states = states

    def total(self) -> Tally:
        """Return the counts from the beginning up to now. Writes nothing."""
        upto, counted = self._stored()
        return _sum(counted, self.tally(upto))

    def keep(self, now: datetime) -> None:
        """Count the lines that have settled since the last call, and store the total."""
        before, counted = self._stored()
        upto = self.newest_entry(now - SETTLED)
        if upto <= before:
            return
        total = _sum(counted, self.tally(before, upto))
        values = {name: [[*labels, number] for labels, number in getattr(total, name).items()] for name in MEASURES}
        self._states.keep(TALLY, {"upto": upto, **values}, now)

    def _stored(self) -> tuple[int, Tally]:
        """Return the id of the last line of the history that is counted in the stored tally, and that tally."""
        stored = self._states.get(TALLY)
        if stored is None:
            return 0, Tally()
        values = {name: {tuple(labels): number for *labels, number in stored.value.get(name, ())} for name in MEASURES}
        return int(stored.value["upto"]), Tally(**values)

    def newest_entry(self, before: datetime) -> int:
        """Return the id of the newest line of the history that is older than *before*; 0 without one."""
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


def _sum(one: Tally, other: Tally) -> Tally:
    def add(a: Mapping[tuple[str, ...], int], b: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
        return {labels: a.get(labels, 0) + b.get(labels, 0) for labels in (*a, *b)}

    return Tally(**{name: add(getattr(one, name), getattr(other, name)) for name in MEASURES})


def _cause_before() -> Any:
    """Return the cause of the line before a decision: a check, or NULL where a moderator had acted last."""
    earlier = history.alias()
    line = select(earlier.c.cause).where(earlier.c.item_id == history.c.item_id, earlier.c.id < history.c.id)
    return line.order_by(earlier.c.id.desc()).limit(1).scalar_subquery().label("cause")


def _added(rows: Iterable[Any], *, is_cause: bool = True) -> dict[tuple[str, ...], int]:
    """Return rows of labels and a number as a mapping; the rules of a check count as one."""
    found: dict[tuple[str, ...], int] = {}
    for first, *others, number in rows:
        labels = (first.partition(":")[0] if is_cause else first, *(label or "" for label in others))
        found[labels] = found.get(labels, 0) + number
    return found
