"""Deferred work as rows, written in the transaction that makes it necessary, leased, and deleted when done."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from moderate.database.engine import DUE
from moderate.database.schema import items, tasks
from moderate.database.statements import Prepared, upsert
from moderate.errors import ServiceDown
from moderate.model import DEATHS, REPLAYED, Task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import CTE, BindParameter, ColumnElement
    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql import Select
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

#: The end of the name of a lease on several tasks, and the key in a task's payload that a worker died during such a
#: one: perhaps over another task.
TOGETHER = "+"
SUSPECT = "suspect"


def enqueue(conn: Connection, item_ids: Sequence[int], wanted: Sequence[NewTask], now: datetime) -> None:
    """Write tasks for items. One of a kind that is open already is requested again, and becomes due no later.

    A worker that has leased it loses the lease, so that the task is done once more: the worker may have read the
    item before the reason for the new request was there.
    """
    if not wanted or not item_ids:
        return
    # In the order of the ids, in which all transactions lock them.
    rows = [(item_id, task) for item_id in sorted(item_ids) for task in wanted]
    values = values_of(conn, [task for _, task in rows], now)
    for number, (item_id, task) in enumerate(rows):
        values |= {f"item_id_{number}": item_id, f"open_key_{number}": open_key(item_id, task.kind)}
    _requests(conn.dialect.name, len(rows)).run(conn, values)


def values_of(conn: Connection, wanted: Sequence[NewTask], now: datetime) -> dict[str, Any]:
    """Return the parameters of `requests_beside`, and note whether one is due."""
    if any(task.due_at <= now for task in wanted):
        # Workers are woken once the transaction is committed: see `Database.write`.
        conn.info[DUE] = True
    values: dict[str, Any] = {"created_at": now}
    for number, task in enumerate(wanted):
        given = {"kind": task.kind, "due_at": task.due_at, "payload": dict(task.payload)}
        values |= {f"{name}_{number}": value for name, value in given.items()}
    return values


@lru_cache
def _requests(dialect: str, rows: int) -> Prepared:
    given = [{**_row(number), **_parameters(number, "item_id", "open_key")} for number in range(rows)]
    return Prepared(_request(dialect).values(given))


def requests_beside(item: CTE, number: int) -> Insert:
    """Return what PostgreSQL does beside a change of *item* to write tasks: `enqueue` in the same statement."""
    rows = []
    for task in map(_row, range(number)):
        key = func.concat(item.c.id, literal_column("':'"), task["kind"])
        # In a union nothing tells the type of a driver's plain text.
        payload = cast(task["payload"], tasks.c.payload.type)
        rows.append({**task, "payload": payload, "item_id": item.c.id, "open_key": key})
    selected = union_all(*(select(*row.values()).select_from(item) for row in rows))
    return _request("postgresql").from_select([*rows[0]], selected)


def _row(number: int) -> dict[str, Any]:
    """Return the columns of a new task that do not depend on its item."""
    created_at = bindparam("created_at", type_=tasks.c.created_at.type)
    same = {"state": literal_column(f"'{OPEN}'"), "attempts": literal_column("0"), "created_at": created_at}
    return {**same, **_parameters(number, "kind", "due_at", "payload")}


def _parameters(number: int, *names: str) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(f"{name}_{number}", type_=tasks.c[name].type) for name in names}


def _request(dialect: str) -> Insert:
    def merge(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
        return {
            "due_at": case((new["due_at"] < tasks.c.due_at, new["due_at"]), else_=tasks.c.due_at),
            "payload": new["payload"],
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


def without_deaths(payload: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in payload.items() if key not in {DEATHS, SUSPECT}}


def _end_lease(conn: Connection, task: Task, change: Delete | Update) -> None:
    """Make a change to the task if it still has this lease: another worker may have taken over.

    A task that was requested again meanwhile may be leased at once.
    """
    if not conn.execute(change.where(tasks.c.id == task.id, tasks.c.lease_owner == task.lease)).rowcount:
        _free_requested(conn, [task.id])


def _finish_all(conn: Connection, owner: str, ids: Sequence[int]) -> None:
    """Delete the tasks of a lease that are done; see `_end_lease`."""
    if ids and conn.execute(delete(tasks).where(tasks.c.id.in_(ids), tasks.c.lease_owner == owner)).rowcount < len(ids):
        _free_requested(conn, ids)


def _free_requested(conn: Connection, ids: Sequence[int]) -> None:
    """Let those of the tasks that were requested again while they were leased be leased at once."""
    nobodys = and_(tasks.c.id.in_(ids), tasks.c.lease_owner.is_(None))
    conn.execute(update(tasks).where(nobodys).values(lease_until=None))


def _undo_lease(conn: Connection, owner: str) -> int:
    """Return the number of tasks that this owner has leased, after taking their leases back."""
    never = {"lease_until": None, "lease_owner": None, "attempts": tasks.c.attempts - 1}
    names = (owner, owner + TOGETHER)
    return conn.execute(update(tasks).where(tasks.c.lease_owner.in_(names)).values(never)).rowcount


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
    # Not by LIKE: SQLite plans a statement anew at each call where that has a parameter.
    return or_(
        *(
            condition
            for kind in known
            for condition in (tasks.c.kind == kind, func.substr(tasks.c.kind, 1, len(kind) + 1) == f"{kind}:")
        )
    )


def oldest_due(known: Collection[str]) -> Select[tuple[datetime]]:
    """Select when the oldest open task of the *known* kinds is due."""
    return select(func.min(tasks.c.due_at)).where(tasks.c.state == OPEN, _known(known))


def given_up(limit: int) -> Select[tuple[int]]:
    """Select the ids of tasks that were given up, at most *limit*."""
    return select(tasks.c.id).where(tasks.c.state == DEAD).limit(limit)


def _may_be_taken(
    now: datetime, by: datetime, seconds: float, known: Collection[str] | None
) -> list[ColumnElement[bool]]:
    """Return the conditions for tasks that no lease of *seconds* holds *now*, and that are due until *by*."""
    is_left = or_(_known(known), tasks.c.due_at <= now - LEFT)
    return [tasks.c.state == OPEN, is_left, _is_due(by), _has_ended(now, seconds)]


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
        #: The tasks of leases on several that are done, by the lease.
        self._finished: dict[str, list[int]] = {}

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
        together: bool = False,
        after: str = "",
    ) -> list[Task]:
        """Lease tasks that are due, for *seconds*; no two workers get the same one.

        *kinds* are the only ones to take, *without* those not to take. Where *known* names the kinds that the
        caller can do, up to a colon, others are left to a newer version of it for three days. *not_from* passes
        over tasks about sources on these sites (host names, with all below them); *is_fresh* takes only tasks
        that were never tried, and without *takes_over* those that another worker has leased are left alone,
        even where its lease has ended.

        With *together* the caller does the tasks one after another, ends those that are done by its next call, which
        gives the lease as *after*, and gives back by `release` what it cannot do soon. If it dies, it may have died
        over any of them: each is then leased on its own, and only a death during that lease counts against it.
        """
        chosen = (
            (not takes_over, tasks.c.lease_until.is_(None)),
            (kinds is not None, tasks.c.kind.in_(kinds or ())),
            (bool(without), tasks.c.kind.not_in(without)),
            (is_fresh, tasks.c.attempts == 0),
        )
        wanted = [*_may_be_taken(now, now, seconds, known), *_from_others(not_from)]
        wanted += [condition for is_wanted, condition in chosen if is_wanted]
        due = select(tasks).where(*wanted)
        self._free_unanswered(now)
        done = self._finished.get(after, [])
        if not done:
            # Most look-ups find nothing, and a look-up takes no lock.
            with self._database.read() as conn:
                if conn.execute(due.with_only_columns(tasks.c.id).limit(1)).first() is None:
                    return []
        first = due.order_by(tasks.c.due_at, tasks.c.id).limit(limit).with_for_update(skip_locked=True)
        owner = secrets.token_hex(8)

        def take(conn: Connection) -> list[Task]:
            _finish_all(conn, after, done)
            rows: Sequence[Row[Any]] = conn.execute(first).all()
            if together:
                rows = list(takewhile(lambda row: not _is_suspect(row), rows)) or rows[:1]
            name = owner + TOGETHER if together and len(rows) > 1 else owner
            if rows:
                # A task from the future comes from a host whose clock is ahead; the lease must last by that clock too.
                since = max(now, min(now + AHEAD, max(row.created_at for row in rows)))
                until = since + timedelta(seconds=seconds)
                step = {"lease_owner": name, "lease_until": until, "attempts": tasks.c.attempts + 1}
                conn.execute(update(tasks).where(tasks.c.id.in_([row.id for row in rows])).values(step))
            _record_deaths(conn, rows)
            return [_leased(row, name) for row in rows]

        try:
            leased = self._database.transaction(take)
        except ServiceDown:
            self._unanswered[owner] = now + timedelta(seconds=seconds)
            raise
        self._finished.pop(after, None)
        return leased

    def next_due(
        self, now: datetime, within: timedelta, *, seconds: float, fetching: Collection[str], known: Collection[str]
    ) -> tuple[datetime | None, datetime | None]:
        """Return when the next task may be taken, and the next of the kinds *fetching*, in one statement.

        None stands for no task that is due *within* that time. See `lease_due` for *seconds* and *known*.
        """
        due = select(tasks.c.due_at).where(*_may_be_taken(now, now + within, seconds, known))
        first = due.order_by(tasks.c.due_at).limit(1)
        kinds = (tasks.c.kind.not_in(fetching), tasks.c.kind.in_(fetching))
        with self._database.read() as conn:
            own, others = conn.execute(select(*(first.where(kind).scalar_subquery() for kind in kinds))).one()
        return own, others

    def release(self, lease: str, left: Sequence[int]) -> None:
        """End what is done of a lease on several tasks, and give the others back as if they had not been leased.

        *left* are the ids of those that were not begun.
        """
        if not lease.endswith(TOGETHER):
            return

        def work(conn: Connection) -> None:
            _finish_all(conn, lease, self._finished.get(lease, []))
            _undo_lease(conn, lease)
            _free_requested(conn, left)

        self._database.transaction(work)
        self._finished.pop(lease, None)

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

    def add_once(self, item_id: int, wanted: NewTask, now: datetime) -> None:
        """Write a task unless one of its kind is open that nobody has begun and that is due no later.

        Looks before it writes, because most calls find one.
        """
        begun = select(tasks.c.payload, tasks.c.due_at).where(
            tasks.c.open_key == open_key(item_id, wanted.kind), tasks.c.lease_until.is_(None)
        )
        with self._database.read() as conn:
            row = conn.execute(begun).first()
        if row is None or row.payload != wanted.payload or row.due_at > wanted.due_at:
            self.add(item_id, [wanted], now)

    def finish(self, task: Task) -> None:
        """End a task that is done, or note it as done where several were leased together."""
        if task.lease.endswith(TOGETHER):
            self._finished.setdefault(task.lease, []).append(task.id)
        else:
            self._database.transaction(lambda conn: finish(conn, task))

    def retry(self, task: Task, due_at: datetime, error: str, *, is_attempt: bool = True) -> None:
        """Make a task that failed due again at `due_at`.

        Without *is_attempt* it was only put off, and no attempt is counted.
        """
        self._database.transaction(lambda conn: retry(conn, task, due_at, error, is_attempt=is_attempt))

    def go_on(self, task: Task, payload: Mapping[str, object] | None = None) -> None:
        """Have a task that did a part of its work go on at its place in the line, as if nothing had gone wrong before.

        What it has already given rise to is later in the line. *payload* replaces its own.
        """
        values: dict[str, Any] = {"attempts": 0, "lease_until": None, "lease_owner": None}
        if task.deaths or payload is not None:
            payload = task.payload if payload is None else payload
            values |= {"payload": without_deaths(payload), "last_error": None}
        self._database.transaction(lambda conn: _end_lease(conn, task, update(tasks).values(values)))

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
                "payload": {**without_deaths(row.payload), REPLAYED: True},
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


def _is_suspect(row: Row[Any]) -> bool:
    """Return whether a worker may have died over this task."""
    return row.lease_until is not None or SUSPECT in row.payload or DEATHS in row.payload


def _record_deaths(conn: Connection, rows: Sequence[Row[Any]]) -> None:
    for row in rows:
        # A lease that was ended properly has no `lease_until`.
        if row.lease_until is not None:
            died = {"payload": _with_a_death(row), "last_error": DIED}
            conn.execute(update(tasks).where(tasks.c.id == row.id).values(died))


def _with_a_death(row: Row[Any]) -> dict[str, Any]:
    """Return the payload of a task whose worker has died; one of several that were leased together is only suspect.

    If a worker then dies over it alone, the first one counts as well.
    """
    if (row.lease_owner or "").endswith(TOGETHER):
        return {**row.payload, SUSPECT: True}
    return {**without_deaths(row.payload), DEATHS: row.payload.get(DEATHS, 0) + 1 + row.payload.get(SUSPECT, False)}


def _leased(row: Row[Any], lease: str) -> Task:
    """Return the task as it stands after it was leased."""
    task = replace(_task(row), attempts=row.attempts + 1, lease=lease)
    return task if row.lease_until is None else replace(task, payload=_with_a_death(row), error=DIED)


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
