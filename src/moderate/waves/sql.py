"""Bursts and waves of spam in SQL, so that all processes agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    Integer,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from moderate.database.schema import bursts, waves
from moderate.database.statements import Prepared, upsert
from moderate.i18n import from_text, to_text
from moderate.lifecycle import Burst

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import CTE, BindParameter, ColumnElement
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert

    from moderate.database.engine import Database
    from moderate.lifecycle import Suspicion

OPEN = "open"
IS_OPEN = waves.c.open_key == OPEN
THE_OPEN_ONE = select(waves.c.id, waves.c.started_at, waves.c.until, waves.c.reason, waves.c.seen).where(IS_OPEN)
MORE = update(waves).where(IS_OPEN).values(seen=waves.c.seen + literal_column("1"))
ONE_MORE = Prepared(MORE)
STANDING = (bursts.c.name, bursts.c.seen, bursts.c.first_item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A spam wave: everything is held, and limits are stricter, until `until`. `reason` is for moderators."""

    id: int
    started_at: datetime
    until: datetime
    reason: str
    #: The number of suspicious items since the wave was noticed.
    seen: int


class Waves:
    """Bursts and waves, the same for all processes. Failures raise `ServiceDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, suspicion: Suspicion, item: int, now: datetime) -> Mapping[str, Burst]:
        """Count a suspicious item that is stored already; see `count_suspicious`."""
        return self._database.transaction(lambda conn: count_suspicious(conn, suspicion, item, now))

    def open(self) -> Wave | None:
        """Return the wave that is open, even if it is past its time."""
        with self._database.read() as conn:
            row = conn.execute(THE_OPEN_ONE).first()
        return None if row is None else Wave(**{**row._asdict(), "reason": from_text(row.reason)})

    def begin(self, reason: str, now: datetime, until: datetime) -> Wave | None:
        """Open a wave; None where one is open already, which another process may have done just now."""
        row = {"open_key": OPEN, "started_at": now, "until": until, "reason": to_text(reason), "seen": 1}
        try:
            self._database.transaction(lambda conn: conn.execute(insert(waves), row).rowcount)
        except IntegrityError:
            return None
        return self.open()

    def prolong(self, wave: int, until: datetime) -> None:
        """Let the wave go on until then, never shorter than before."""
        shorter = and_(waves.c.id == wave, IS_OPEN, waves.c.until < until)
        self._database.transaction(lambda conn: conn.execute(update(waves).where(shorter).values(until=until)).rowcount)

    def end(self, wave: int, now: datetime) -> bool:
        """Close a wave whose time is over; return whether this call did it. Does not wait for other writers."""
        over = and_(waves.c.id == wave, IS_OPEN, waves.c.until <= now)
        values = {"open_key": None, "ended_at": now}
        return self._database.promptly(lambda conn: conn.execute(update(waves).where(over).values(values)).rowcount > 0)

    def forget(self, before: datetime) -> None:
        """Delete bursts that began before then. Writes only where there are any."""
        old = bursts.c.started_at < before
        with self._database.read() as conn:
            found = conn.execute(select(bursts.c.name).where(old).limit(1)).first()
        if found is not None:
            self._database.transaction(lambda conn: conn.execute(delete(bursts).where(old)).rowcount)


def count_suspicious(conn: Connection, suspicion: Suspicion, item: int, now: datetime) -> dict[str, Burst]:
    """Count one suspicious item under each name, and return how these bursts now stand."""
    values = {**_times(now, suspicion.window), "first_item": item}
    # SQLite has one writer, so that nothing changes between what it reads and writes. Elsewhere other writers wait for
    # rows that are written first.
    is_alone, names = conn.dialect.name == "sqlite", [*suspicion.names]
    if not is_alone:
        _add(conn, names, values)
    named = _named([*names, *(suspicion.first or ())])
    found = {name: (seen, first) for name, seen, first in _going_on(len(named)).fetch(conn, {**values, **named})}
    before = {name: found.get(name, (0, item)) for name in names}
    if not is_alone:
        before = {name: (seen - 1, first) for name, (seen, first) in before.items()}
    if suspicion.first is not None and before[suspicion.first[0]][0] == 0:
        other = suspicion.first[1]
        before[other] = found.get(other, (0, item))
        names.append(other)
    _add(conn, names if is_alone else names[len(suspicion.names) :], values)
    if suspicion.in_wave:
        ONE_MORE.run(conn, {})
    return standing(((name, seen + 1, first) for name, (seen, first) in before.items()), item)


def _add(conn: Connection, names: Collection[str], values: Mapping[str, Any]) -> None:
    """Add one to the burst of each name, or begin it."""
    if named := _named(names):
        _counting(conn.dialect.name, len(named)).run(conn, {**values, **named})


def _named(names: Collection[str]) -> dict[str, str]:
    # In the order of their names, so that two processes cannot deadlock.
    return {f"name_{number}": name for number, name in enumerate(sorted(set(names)))}


@lru_cache
def _counting(dialect: str, number: int) -> Prepared:
    """Return the statement that adds one to some bursts, or begins new ones where the old began by ``forgotten``."""
    rows = [{"name": name, "started_at": NOW, "seen": ONE, "first_item": ITEM} for name in _names(number)]
    return Prepared(_addition(dialect).values(rows))


@lru_cache
def _going_on(number: int) -> Prepared:
    """Return the statement that reads those of some bursts that began after ``forgotten``."""
    return Prepared(select(*STANDING).where(bursts.c.name.in_(_names(number)), bursts.c.started_at > FORGOTTEN))


def counting_beside(item: CTE, *, in_wave: bool) -> Select[Any]:
    """Return what PostgreSQL does beside an insert of *item* to count it: `count_suspicious` in the same statement.

    The rows have the item's id and how the bursts now stand.
    """
    columns = ["name", "started_at", "seen", "first_item"]
    rows = select(func.unnest(NAMES), NOW, ONE, item.c.id).select_from(item)
    counted = _addition("postgresql").from_select(columns, rows).returning(*STANDING).cte("counted")
    is_first = and_(counted.c.name == _of("name", "first_of"), counted.c.seen == ONE)
    first = select(_of("name", "first_under"), NOW, ONE, item.c.id).select_from(item.join(counted, is_first))
    again = _addition("postgresql").from_select(columns, first).returning(*STANDING).cte("again")
    both = union_all(select(counted), select(again)).subquery()
    found = select(item.c.id, *both.c).select_from(item.outerjoin(both, true()))
    return found.add_cte(MORE.cte("more")) if in_wave else found


def values_of(suspicion: Suspicion, now: datetime) -> dict[str, Any]:
    """Return the parameters of `counting_beside`."""
    first_of, first_under = suspicion.first or (None, None)
    names = {"names": sorted(set(suspicion.names)), "first_of": first_of, "first_under": first_under}
    return {**names, **_times(now, suspicion.window)}


def standing(rows: Iterable[Sequence[Any]], item: int) -> dict[str, Burst]:
    """Return the bursts of rows of `STANDING`, as they stand when *item* has come in."""
    return {name: Burst(seen, max(seen, item - first_item + 1)) for name, seen, first_item in rows}


def _of(column: str, name: str) -> BindParameter[Any]:
    return bindparam(name, type_=bursts.c[column].type)


def _names(number: int) -> list[BindParameter[Any]]:
    return [_of("name", f"name_{at}") for at in range(number)]


def _times(now: datetime, window: float) -> dict[str, datetime]:
    return {"started_at": now, "forgotten": now - timedelta(seconds=window)}


NAMES: BindParameter[Any] = bindparam("names", type_=ARRAY(String))
NOW, ITEM, FORGOTTEN = (
    _of(column, name)
    for column, name in (("started_at", "started_at"), ("first_item", "first_item"), ("started_at", "forgotten"))
)
ONE: ColumnElement[int] = literal_column("1", Integer)


def _addition(dialect: str) -> Insert:
    """Build an insert that adds one to a burst that is there, or begins it anew where it began by ``forgotten``."""
    is_over = bursts.c.started_at <= FORGOTTEN

    def merge(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
        # MySQL assigns from first to last: `started_at`, by which the burst is over or not, changes last.
        return {
            "seen": case((is_over, ONE), else_=bursts.c.seen + ONE),
            "first_item": case((is_over, new["first_item"]), else_=bursts.c.first_item),
            "started_at": case((is_over, new["started_at"]), else_=bursts.c.started_at),
        }

    return upsert(dialect, bursts, "name", merge)
