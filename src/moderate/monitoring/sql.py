"""Named states that all processes share, an overview of the site, and tallies of what was done by whom."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import case, func, literal_column, or_, select, true

from moderate.akismet.sql import AccountNote
from moderate.database.schema import SITE, account_notes, counters, history, items, states
from moderate.database.statements import Lookup, overwrite
from moderate.i18n import from_text
from moderate.lifecycle import UNDOABLE, Tally
from moderate.model import TASK_KINDS, Awaiting, Counts, Status
from moderate.rules.sql import PROPOSED
from moderate.store.articles import COLUMNS, OF_ARTICLE
from moderate.tasks.sql import given_up, oldest_due

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

#: Lines of the history that are counted in one query.
STEP = 10_000

MEASURES = ("verdicts", "decisions", "overrides")


class Kept(NamedTuple):
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


class Overview(NamedTuple):
    """The state of the whole site, as moderators and monitors see it."""

    totals: Counts
    #: The number of changed texts that wait, at most `MOST_CHANGED`.
    changed: int
    #: Since when the item that has waited longest waits for a moderator, None where none does.
    waiting_since: datetime | None
    #: When the oldest open task of a known kind was or is due, None where there is none.
    due_since: datetime | None
    #: The number of tasks that were given up, at most `MOST_GIVEN_UP`.
    given_up: int
    #: What the spam service says of the site's account.
    notes: tuple[AccountNote, ...]
    #: The newest rule that is proposed; see `moderate.rules.proposals.Proposal`.
    proposal: Mapping[str, Any] | None

    def lag(self, now: datetime) -> float:
        """Return for how many seconds the oldest task has been due, 0 where nothing is late."""
        return 0.0 if self.due_since is None else max(0.0, (now - self.due_since).total_seconds())


#: Up to how many changed texts and tasks that were given up are counted.
MOST_CHANGED = MOST_GIVEN_UP = 100

WAITS = items.c.awaiting == Awaiting.MODERATOR.value
CHANGED = select(items.c.id).where(items.c.status == Status.APPROVED.value, WAITS).limit(MOST_CHANGED).subquery()
GIVEN_UP = given_up(MOST_GIVEN_UP).subquery()
OLDEST_WAITING = select(func.min(items.c.waiting_since)).where(items.c.status == Status.PENDING.value, WAITS)
#: One row, without numbers where nothing was ever stored.
NUMBERS = (
    select(*COLUMNS).select_from(select(literal_column("1")).subquery().outerjoin(counters, OF_ARTICLE)).subquery()
)
#: One row for each account note, and one where there is none.
OVERVIEW = Lookup(
    select(
        *NUMBERS.c,
        select(func.count()).select_from(CHANGED).scalar_subquery(),
        OLDEST_WAITING.scalar_subquery(),
        oldest_due(TASK_KINDS).scalar_subquery(),
        select(func.count()).select_from(GIVEN_UP).scalar_subquery(),
        PROPOSED.limit(1).scalar_subquery(),
        account_notes.c.topic,
        account_notes.c.text,
        account_notes.c.at,
    )
    .select_from(NUMBERS.outerjoin(account_notes, true()))
    .order_by(account_notes.c.topic)
)


def overview(database: Database) -> Overview:
    """Look all of it up in one query."""
    rows = OVERVIEW.rows(database, key=SITE)
    numbers, (changed, waiting_since, due_since, dead, proposal, *_) = rows[0][: len(COLUMNS)], rows[0][len(COLUMNS) :]
    notes = tuple(AccountNote(topic, from_text(text), at) for *_, topic, text, at in rows if topic is not None)
    counts = Counts(*(number or 0 for number in numbers))
    return Overview(counts, changed, waiting_since, due_since, dead, notes, proposal)


class Tallies:
    """Counts of what moderators and checks have done, from the history, which is only ever added to.

    The counts are stored once an hour, so that a look reads no more than the last hour of the history.
    """

    def __init__(self, database: Database, states: States) -> None:
        self._database = database
        self._states = states

    def total(self) -> Tally | None:
        """Return the counts from the beginning up to now; None for a long history that was never tallied.

        Writes nothing. Where more than `STEP` lines have come since the last tally, the newest are counted later.
        """
        upto, counted = self._stored()
        if not upto:
            with self._database.read() as conn:
                newest = conn.execute(select(func.max(history.c.id))).scalar() or 0
            # Numbers that begin small and jump would look as if all had been done just now.
            if newest > STEP:
                return None
        return _sum(counted, self.tally(upto, upto + STEP))

    def keep(self, now: datetime) -> None:
        """Count the lines that have settled since the last call, and store the total."""
        before, counted = self._stored()
        upto = self.newest_entry(now - SETTLED)
        if upto <= before:
            return
        total = counted
        for start in range(before, upto, STEP):
            total = _sum(total, self.tally(start, min(start + STEP, upto)))
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

    def outcomes(self, after: int, upto: int) -> dict[tuple[str, ...], int]:
        """Count what checks did with items and what people decided next, in lines like those of `tally`.

        The labels are the check, the status that it led to, and that of the last decision before the item was judged
        again; empty where no check objected, and where nobody has decided or the decision was undone. What was judged
        again before anybody decided is counted once, for the last time.
        """
        later, person = history.alias(), history.alias()
        again = select(func.min(later.c.id)).where(
            later.c.item_id == history.c.item_id, later.c.id > history.c.id, later.c.act.in_(JUDGED)
        )
        columns = (history.c.id, history.c.item_id, history.c.cause, history.c.after)
        lines = select(*columns, again.scalar_subquery().label("again")).where(
            history.c.id > after, history.c.id <= upto, history.c.act.in_(JUDGED)
        )
        line = lines.subquery()
        # Text for "undone" as well, so that it is told from a missing line.
        word = case((person.c.act == "undone", ""), else_=person.c.after)
        decision = select(word).where(
            person.c.item_id == line.c.item_id,
            person.c.id > line.c.id,
            person.c.act.in_(UNDOABLE),
            or_(line.c.again.is_(None), person.c.id < line.c.again),
        )
        decided = decision.order_by(person.c.id.desc()).limit(1).scalar_subquery().label("decided")
        each = select(line.c.cause, line.c.after, decided, line.c.again.is_(None).label("is_last")).subquery()
        counted = select(each.c.cause, each.c.after, each.c.decided, func.count()).where(
            or_(each.c.is_last, each.c.decided.is_not(None))
        )
        with self._database.read() as conn:
            rows = conn.execute(counted.group_by(each.c.cause, each.c.after, each.c.decided)).all()
        return _added((cause or "", *rest) for cause, *rest in rows)


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
