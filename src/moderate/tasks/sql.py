"""Deferred work as rows, written in the transaction that makes it necessary, leased, and deleted when done."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, not_, null, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from moderate.database.engine import DUE
from moderate.database.schema import items, tasks
from moderate.database.statements import upsert
from moderate.errors import ServiceDown
from moderate.model import DEATHS, REPLAYED, Task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Delete, Insert, Update

    from moderate.database.engine import Database
    from moderate.model import NewTask

OPEN = "open"
DEAD = "dead"

#: By how much the clocks of hosts may differ, and by how much one may be turned back.
AHEAD = timedelta(minutes=10)
TURNED_BACK = timedelta(days=1)

#: For how long a task of an unknown kind is left to the workers of a newer version.
LEFT = timedelta(days=3)

#: The error of a task whose lease ended without a result.
DIED = "its worker died or hung"


def enqueue(conn: Connection, item_ids: Sequence[int], wanted: Sequence[NewTask], now: datetime) -> None:
    """Write tasks for items. One of a kind that is open already is requested again, and becomes due no later.

    A worker that has leased it loses the lease, so that the task is done once more: the worker may have read the
    item before the reason for the new request was there.
    """
    if not wanted or not item_ids:
        return
    # In the order of the ids, in which all transactions lock them.
    rows = [
        {
            "kind": task.kind,
            "item_id": item_id,
            "state": OPEN,
            "open_key": open_key(item_id, task.kind),
            "due_at": task.due_at,
            "attempts": 0,
            "payload": dict(task.payload),
            "created_at": now,
        }
        for item_id in sorted(item_ids)
        for task in wanted
    ]
    conn.execute(_request(conn.dialect.name), rows)
    if any(task.due_at <= now for task in wanted):
        # Workers are woken once the transaction is committed: see `Database.write`.
        conn.info[DUE] = True


@lru_cache
def _request(dialect: str) -> Insert:
    def merge(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
        return {
            "due_at": case((new["due_at"] < tasks.c.due_at, new["due_at"]), else_=tasks.c.due_at),
            "payload": new["payload"],
            # No other values than the new row's: PyMySQL cannot repeat such a statement for several rows.
            "attempts": new["attempts"],
            "lease_owner": null(),
        }

    return upsert(dialect, tasks, "open_key", merge)


def open_key(item_id: int, kind: str) -> str:
    """Return the unique key of an item's open task of a kind."""
    return f"{item_id}:{kind}"


def finish(conn: Connection, task: Task) -> None:
    """Delete a task that is done."""
    _end_lease(conn, task, delete(tasks))


def retry(conn: Connection, task: Task, due_at: datetime, error: str | None, *, is_attempt: bool = True) -> None:
    values: dict[str, Any] = {"due_at": due_at, "last_error": error, "lease_until": None, "lease_owner": None}
    if not is_attempt:
        values["attempts"] = tasks.c.attempts - 1
    _end_lease(conn, task, update(tasks).values(values))


def _end_lease(conn: Connection, task: Task, change: Delete | Update) -> None:
    """Make a change to the task if it still has this lease: another worker may have taken over.

    A task that was requested again meanwhile may be leased at once.
    """
    if not conn.execute(change.where(tasks.c.id == task.id, tasks.c.lease_owner == task.lease)).rowcount:
        nobodys = and_(tasks.c.id == task.id, tasks.c.lease_owner.is_(None))
        conn.execute(update(tasks).where(nobodys).values(lease_until=None))


def _undo_lease(conn: Connection, owner: str) -> int:
    """Return the number of tasks that this owner has leased, after taking their leases back."""
    never = {"lease_until": None, "lease_owner": None, "attempts": tasks.c.attempts - 1}
    return conn.execute(update(tasks).where(tasks.c.lease_owner == owner).values(never)).rowcount


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition for tasks that are due by *now*, or were due at once by a clock that is or was ahead."""
    at_once = and_(tasks.c.due_at <= tasks.c.created_at, tasks.c.last_error.is_(None))
    return or_(tasks.c.due_at <= now, and_(tasks.c.due_at <= now + TURNED_BACK, at_once))


def _has_ended(now: datetime, seconds: float) -> ColumnElement[bool]:
    """Return the condition that no lease of *seconds* holds a task any more."""
    # A lease reaches AHEAD and *seconds* at most beyond its taker's clock, which may be AHEAD of this one.
    # One that reaches further was taken by a clock that was set back since, and by a worker that has died.
    furthest = now + 2 * AHEAD + timedelta(seconds=seconds)
    return or_(tasks.c.lease_until.is_(None), tasks.c.lease_until <= now, tasks.c.lease_until > furthest)


def _known(known: Collection[str] | None) -> ColumnElement[bool]:
    """Return the condition that a task's kind, up to a colon, is among those that are known."""
    if known is None:
        return true()
    return or_(*(condition for kind in known for condition in (tasks.c.kind == kind, tasks.c.kind.like(f"{kind}:%"))))


def _from_others(sites: Collection[str]) -> list[ColumnElement[bool]]:
    """Return conditions for tasks whose sources are on none of *sites*, by the common spellings of their addresses."""
    if not sites:
        return []
    source = select(items.c.source_url).where(items.c.id == tasks.c.item_id).scalar_subquery()
    # A slash behind it, so that an address without a path ends its host as the others do.
    address = func.coalesce(source, "") + "/"
    parts = [f"{before}{site}{behind}" for site in sites for before in ("//", ".") for behind in "/:?#"]
    return [not_(or_(*(address.icontains(part, autoescape=True) for part in parts)))]


class Tasks:
    """Tasks as rows: written, leased by workers, and deleted when done.

    Only the worker that holds a task's lease may change the task: for one that has lost it to another worker,
    `finish`, `retry` and `bury` are without effect.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        #: The owners of leases of which it is not known whether the database has stored them, and when they end.
        self._unanswered: dict[str, datetime] = {}

    def lease_due(
        self,
        now: datetime,
        *,
        limit: int,
        seconds: float,
        kinds: Collection[str] | None = None,
        without: Collection[str] = (),
        known: Collection[str] | None = None,
        not_from: Collection[str] = (),
        is_fresh: bool = False,
        takes_over: bool = True,
    ) -> list[Task]:
        """Lease tasks that are due, for *seconds*; no two workers get the same one.

        *kinds* are the only ones to take, *without* those not to take. Where *known* names the kinds that the
        caller can do, up to a colon, others are left to a newer version of it for three days. *not_from* passes
        over tasks about sources on these sites (host names, with all below them); *is_fresh* takes only tasks
        that were never tried, and without *takes_over* those that another worker has leased are left alone,
        even where its lease has ended.
        """
        is_left = or_(_known(known), tasks.c.due_at <= now - LEFT)
        is_free = _has_ended(now, seconds) if takes_over else tasks.c.lease_until.is_(None)
        wanted = [tasks.c.state == OPEN, is_left, _is_due(now), is_free, *_from_others(not_from)]
        if kinds is not None:
            wanted.append(tasks.c.kind.in_(kinds))
        if without:
            wanted.append(tasks.c.kind.not_in(without))
        if is_fresh:
            wanted.append(tasks.c.attempts == 0)
        due = select(tasks).where(*wanted)
        self._free_unanswered(now)
        # Most look-ups find nothing, and a look-up takes no lock.
        with self._database.read() as conn:
            if conn.execute(due.with_only_columns(tasks.c.id).limit(1)).first() is None:
                return []
        first = due.order_by(tasks.c.due_at, tasks.c.id).limit(limit).with_for_update(skip_locked=True)
        owner = secrets.token_hex(8)

        def take(conn: Connection) -> list[Task]:
            rows = conn.execute(first).all()
            chosen = [row.id for row in rows]
            if chosen:
                # A task from the future comes from a host whose clock is ahead; the lease must last by that clock too.
                since = max(now, min(now + AHEAD, max(row.created_at for row in rows)))
                until = since + timedelta(seconds=seconds)
                step = {"lease_owner": owner, "lease_until": until, "attempts": tasks.c.attempts + 1}
                conn.execute(update(tasks).where(tasks.c.id.in_(chosen)).values(step))
            for row in rows:
                # A lease that was ended properly has no `lease_until`.
                if row.lease_until is not None:
                    died = {"payload": _with_a_death(row.payload), "last_error": DIED}
                    conn.execute(update(tasks).where(tasks.c.id == row.id).values(died))
            return [_leased(row, owner) for row in rows]

        try:
            return self._database.transaction(take)
        except ServiceDown:
            self._unanswered[owner] = now + timedelta(seconds=seconds)
            raise

    def _free_unanswered(self, now: datetime) -> None:
        """Give back the leases that were perhaps stored during an outage: they would end as if a worker had died.

        The database may still be at work on such a commit, so that its lease appears only later: what was not found
        is looked for again until the lease has ended.
        """
        for owner, until in list(self._unanswered.items()):
            if self._database.transaction(partial(_undo_lease, owner=owner)) or now >= until:
                self._unanswered.pop(owner, None)

    def add(self, item_id: int, wanted: Sequence[NewTask], now: datetime) -> None:
        """Write tasks for an item on their own; one of a kind that is open already is merged with it."""
        self._database.transaction(lambda conn: enqueue(conn, [item_id], wanted, now))

    def finish(self, task: Task) -> None:
        """End a task that is done."""
        self._database.transaction(lambda conn: finish(conn, task))

    def retry(self, task: Task, due_at: datetime, error: str, *, is_attempt: bool = True) -> None:
        """Make a task that failed due again at `due_at`.

        Without *is_attempt* it was only put off, and no attempt is counted.
        """
        self._database.transaction(lambda conn: retry(conn, task, due_at, error, is_attempt=is_attempt))

    def bury(self, task: Task, error: str) -> None:
        """Give up a task that cannot be done; it is kept for a person."""
        values = {"state": DEAD, "open_key": None, "lease_until": None, "lease_owner": None, "last_error": error}
        self._database.transaction(lambda conn: _end_lease(conn, task, update(tasks).values(values)))

    def revive(self, task_id: int, now: datetime) -> bool:
        """Try a task again that was given up. Return False where there is none, or an open one of its kind."""

        def reopen(conn: Connection) -> bool:
            dead = and_(tasks.c.id == task_id, tasks.c.state == DEAD)
            row = conn.execute(select(tasks.c.item_id, tasks.c.kind, tasks.c.payload).where(dead)).first()
            if row is None:
                return False
            conn.info[DUE] = True
            again = {
                "state": OPEN,
                "open_key": open_key(row.item_id, row.kind),
                "due_at": now,
                "attempts": 0,
                "payload": {**{key: value for key, value in row.payload.items() if key != DEATHS}, REPLAYED: True},
            }
            return conn.execute(update(tasks).where(dead).values(again)).rowcount == 1

        try:
            return self._database.transaction(reopen)
        except IntegrityError:
            return False

    def delete(self, ids: Sequence[int]) -> int:
        """Delete tasks that were given up, at most some hundred; return how many there were."""
        doomed = delete(tasks).where(tasks.c.id.in_(list(ids)), tasks.c.state == DEAD)
        return self._database.transaction(lambda conn: conn.execute(doomed).rowcount)

    def dead(self, limit: int = 100) -> Sequence[Task]:
        """Return tasks that were given up, the latest first."""
        query = select(tasks).where(tasks.c.state == DEAD).order_by(tasks.c.id.desc()).limit(limit)
        with self._database.read() as conn:
            return [_task(row) for row in conn.execute(query)]

    def late(self, before: datetime, limit: int = 100) -> Sequence[Task]:
        """Return open tasks that were due before then, the oldest first."""
        query = select(tasks).where(tasks.c.state == OPEN, tasks.c.due_at < before).order_by(tasks.c.due_at)
        with self._database.read() as conn:
            return [_task(row) for row in conn.execute(query.limit(limit))]

    def lag(self, now: datetime, known: Collection[str] | None = None) -> float:
        """Return for how many seconds the oldest task of the *known* kinds has been due, 0 where nothing is late."""
        query = select(func.min(tasks.c.due_at)).where(tasks.c.state == OPEN, _known(known))
        with self._database.read() as conn:
            oldest: datetime | None = conn.execute(query).scalar()
        return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _with_a_death(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {**payload, DEATHS: payload.get(DEATHS, 0) + 1}


def _leased(row: Row[Any], lease: str) -> Task:
    """Return the task as it stands after it was leased."""
    task = replace(_task(row), attempts=row.attempts + 1, lease=lease)
    return task if row.lease_until is None else replace(task, payload=_with_a_death(row.payload), error=DIED)


def _task(row: Row[Any]) -> Task:
    return Task(
        id=row.id,
        kind=row.kind,
        item=row.item_id,
        attempts=row.attempts,
        due_at=row.due_at,
        created_at=row.created_at,
        payload=row.payload,
        error=row.last_error,
    )
