"""Removal of old data, in short transactions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, or_, select, update

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
PURGED = 10

#: Ids that are searched in one query: many rows have nothing left to remove.
WINDOW = 5000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The outcome of `Retention.forget`."""

    count: int
    #: The id after which to continue; None where nothing is left.
    position: int | None
    #: Why some rows could not be changed, None where all could.
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """The rows of one kind: their id column, the condition for old ones, and the change to some of them."""

    key: Column[Any]
    is_old: ColumnElement[bool]
    change: Callable[[Connection, Sequence[int]], object]
    batch: int = BATCH


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
    ) -> Forgotten:
        """Remove what is older than *before*, in short transactions, some rows at a time.

        Goes through the ids above *after* until *is_over* returns True. Statements that the server
        cancels because they take too long are tried with fewer rows. Doing it again is harmless.
        """
        sort = sort_of(kind, before, now)
        walk = Walk(self._database, sort, self._batches.pop(kind, sort.batch))
        forgotten = walk.run(after, is_over)
        if forgotten.position is not None:
            self._batches[kind] = walk.batch
        return forgotten


class Walk:
    """One walk over the ids of a table. Sizes are halved where the server cancels a statement."""

    def __init__(self, database: Database, sort: Sort, batch: int) -> None:
        self._database = database
        self._sort = sort
        self._window = WINDOW
        self.batch = batch
        self._count = 0
        self._error: str | None = None

    def run(self, after: int, is_over: Callable[[], bool]) -> Forgotten:
        key = self._sort.key
        with self._database.read() as conn:
            last = conn.execute(select(key).order_by(key.desc()).limit(1)).scalar() or 0
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
        return Forgotten(self._count, None, self._error)

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
            self._database.transaction(lambda conn: self._sort.change(conn, chosen))
        except ServiceDown as error:
            self._note(error)
            self.batch = max(1, len(chosen) // 2)
            # A row that cannot be changed even alone is skipped, so that it does not stop the others.
            if len(chosen) > 1:
                return found
            self._error = error.reason
        else:
            self._count += len(chosen)
        # Writers that wait for SQLite's lock only try from time to time.
        pause(1)
        return found[len(chosen) :]

    def _note(self, error: ServiceDown) -> None:
        """Raise the error again, unless the server cancelled a statement for its time limit."""
        if not is_cancelled(error.__cause__):
            raise error


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
        lambda conn, ids: conn.execute(update(items).where(items.c.id.in_(ids), is_old).values(values)),
    )


def deleted(key: Column[Any], is_old: ColumnElement[bool]) -> Sort:
    return Sort(key, is_old, lambda conn, ids: conn.execute(delete(key.table).where(key.in_(ids), is_old)))


def purged(status: Status, before: datetime, now: datetime) -> Sort:
    """Return the sort for items that have been in *status* since *before*, by the last line of their history."""
    last = select(func.max(history.c.at)).where(history.c.item_id == items.c.id).scalar_subquery()

    def purge(conn: Connection, ids: Sequence[int]) -> None:
        for number in ids:
            item = find_item(conn, number)
            if item is not None and item.status is status:
                remove(conn, item, "retention", now)

    is_old = and_(items.c.status == status.value, items.c.created_at < before, last < before)
    return Sort(items.c.id, is_old, purge, PURGED)
