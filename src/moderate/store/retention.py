"""Removal of old data, in short transactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, exists, or_, select, update

from moderate.database.outages import is_cancelled, pause
from moderate.database.schema import history, items, samples, tasks
from moderate.errors import ServiceDown
from moderate.lifecycle import RetentionKind
from moderate.model import Status
from moderate.store.moves import remove
from moderate.store.rows import find_item
from moderate.tasks.sql import DEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Column, ColumnElement
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database

#: Rows in one transaction: a clean-up must not keep readers and writers waiting.
BATCH = 200

#: The same for items that are deleted, because counters and history change with them.
PURGED = 2

#: The length of the pause after a transaction on SQLite; see `pause`.
REST = 4

#: Ids that are searched in one query: many rows have nothing left to remove.
WINDOW = 5000


#: The time by which the order of ids may differ from that of the rows' times, as where the clocks of two hosts do.
MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The outcome of `Retention.forget`."""

    count: int
    #: The id after which to continue; None where nothing is left.
    position: int | None
    #: Why some rows could not be changed, None where all could.
    error: str | None = None
    #: The id up to which a next round has nothing to look at; 0 where any row may be due then.
    upto: int = 0


class Sort(NamedTuple):
    """The rows of one kind: their id column, the condition for old ones, and the change to some of them."""

    key: Column[Any]
    is_old: ColumnElement[bool]
    #: Returns the number of rows that it changed; of items, where it deletes these by lines of their history.
    change: Callable[[Connection, Sequence[int]], int]
    batch: int = BATCH
    #: The column whose time grows with the ids and makes a row old; None where rows become old in any order.
    at: Column[Any] | None = None


class Retention:
    """Removal of old rows, in steps that stay below any time limit of the server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: The sizes to which batches were reduced in the rounds under way. A turn may be over with the first statement
        #: that is cancelled: one that began with a full batch each time would never come further.
        self._batches: dict[RetentionKind, int] = {}

    def forget(
        self,
        kind: RetentionKind,
        before: datetime,
        now: datetime,
        *,
        after: int = 0,
        is_over: Callable[[], bool] = lambda: False,
        is_whole: bool = False,
    ) -> Forgotten:
        """Remove what is older than *before*, in short transactions, some rows at a time.

        Goes through the ids above *after* until *is_over* returns True. Statements that the server
        cancels because they take too long are tried with fewer rows. Doing it again is harmless.
        """
        sort = sort_of(kind, before, now)
        walk = Walk(self._database, sort, before, self._batches.pop(kind, sort.batch), is_whole=is_whole)
        forgotten = walk.run(after, is_over)
        if forgotten.position is not None:
            self._batches[kind] = walk.batch
        return forgotten


class Walk:
    """One walk over the ids of a table. Sizes are halved where the server cancels a statement."""

    def __init__(self, database: Database, sort: Sort, before: datetime, batch: int, *, is_whole: bool) -> None:
        self._database = database
        self._sort = sort
        self._before = before
        self._is_whole = is_whole
        self._window = WINDOW
        self.batch = batch
        self._count = 0
        self._error: str | None = None

    def run(self, after: int, is_over: Callable[[], bool]) -> Forgotten:
        last = self._last(after)
        position = after
        while position < last:
            upto = min(position + self._window, last)
            found = self._found(position, upto)
            if found is None:
                self._window = max(1, (upto - position) // 2)
                continue
            while found:
                found = self._step(found)
                if found and is_over():
                    return Forgotten(self._count, found[0] - 1, self._error)
            position = upto
            if position < last and is_over():
                return Forgotten(self._count, position, self._error)
        at = self._sort.at
        upto = 0 if at is None else self._newest(at, self._before - MARGIN, after)
        return Forgotten(self._count, None, self._error, upto)

    def _last(self, after: int) -> int:
        """Return an id above which no row is old, at most *after* where there is nothing to do.

        Times follow ids but in a whole round, which looks at all rows.
        """
        key, at = self._sort.key, self._sort.at
        if at is not None and not self._is_whole:
            return self._newest(at, self._before, after)
        with self._database.read() as conn:
            if at is None and conn.execute(select(key).where(self._sort.is_old).limit(1)).first() is None:
                return after
            return conn.execute(select(key).order_by(key.desc()).limit(1)).scalar() or 0

    def _newest(self, at: Column[Any], before: datetime, after: int) -> int:
        """Return the highest id above *after* with a time before then, *after* where there is none."""
        key = self._sort.key
        with self._database.read() as conn:
            lowest, highest = after, conn.execute(select(key).order_by(key.desc()).limit(1)).scalar() or 0
            while lowest < highest:
                middle = (lowest + highest + 1) // 2
                row = conn.execute(select(key, at).where(key >= middle).order_by(key).limit(1)).first()
                lowest, highest = (row[0], highest) if row is not None and row[1] < before else (lowest, middle - 1)
        return lowest

    def _found(self, after: int, upto: int) -> list[int] | None:
        """Return the ids of old rows in a range, None where the server cancelled the search of more than one id."""
        key = self._sort.key
        query = select(key).where(key > after, key <= upto, self._sort.is_old).order_by(key)
        try:
            with self._database.read() as conn:
                return list(conn.execute(query).scalars())
        except ServiceDown as error:
            self._note(error)
            return None if upto - after > 1 else []

    def _step(self, found: list[int]) -> list[int]:
        """Change the first of the rows that were found, and return those which are left."""
        chosen = found[: self.batch]
        try:
            self._count += self._database.transaction(lambda conn: self._sort.change(conn, chosen))
        except ServiceDown as error:
            self._note(error)
            self.batch = max(1, len(chosen) // 2)
            # A row that cannot be changed even alone is skipped, so that it does not stop the others.
            if len(chosen) > 1:
                return found
            self._error = error.reason
        rest(self._database)
        return found[len(chosen) :]

    def _note(self, error: ServiceDown) -> None:
        """Raise the error again, unless the server cancelled a statement for its time limit."""
        if not is_cancelled(error.__cause__):
            raise error


def rest(database: Database) -> None:
    """Pause after a transaction: writers that wait for SQLite's lock only try from time to time, and should get it."""
    pause(REST if database.dialect == "sqlite" else 1)


def sort_of(kind: RetentionKind, before: datetime, now: datetime) -> Sort:
    """Return how rows of *kind* older than *before* are found, and how they are changed."""
    match kind:
        case RetentionKind.IP:
            return emptied({"ip": None}, items.c.ip.is_not(None), before)
        case RetentionKind.USER_AGENT:
            filled = or_(items.c.user_agent.is_not(None), items.c.referrer.is_not(None))
            return emptied({"user_agent": None, "referrer": None}, filled, before)
        case RetentionKind.SAMPLES:
            return deleted(samples.c.item_id, samples.c.created_at < before)
        case RetentionKind.TASKS:
            # A task is given up when it is due for the last time.
            return deleted(tasks.c.id, and_(tasks.c.state == DEAD, tasks.c.due_at < before))
        case RetentionKind.SPAM | RetentionKind.TRASH:
            return purged(Status(kind.value), before, now)


def emptied(values: dict[str, None], filled: ColumnElement[bool], before: datetime) -> Sort:
    is_old = and_(items.c.created_at < before, filled)
    return Sort(
        items.c.id,
        is_old,
        lambda conn, ids: conn.execute(update(items).where(items.c.id.in_(ids), is_old).values(values)).rowcount,
        at=items.c.created_at,
    )


def deleted(key: Column[Any], is_old: ColumnElement[bool]) -> Sort:
    return Sort(key, is_old, lambda conn, ids: conn.execute(delete(key.table).where(key.in_(ids), is_old)).rowcount)


def purged(status: Status, before: datetime, now: datetime) -> Sort:
    """Return the sort for items that have been in *status* since *before*, by the last move in their history.

    The lines are gone through, and not the items: each comes of age once, and an item may come into a status at any id.
    """
    later = history.alias()
    is_old = and_(
        history.c.after == status.value,
        history.c.at < before,
        exists().where(items.c.id == history.c.item_id, items.c.status == status.value),
        ~exists().where(later.c.item_id == history.c.item_id, later.c.at >= before, later.c.before != later.c.after),
    )

    def purge(conn: Connection, lines: Sequence[int]) -> int:
        numbers = select(history.c.item_id).where(history.c.id.in_(lines), is_old).distinct()
        found = [find_item(conn, number) for number in conn.execute(numbers).scalars().all()]
        there = [item for item in found if item is not None]
        for item in there:
            remove(conn, item, "retention", now)
        return len(there)

    return Sort(history.c.id, is_old, purge, PURGED, at=history.c.at)
