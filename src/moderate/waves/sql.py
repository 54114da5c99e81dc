"""Bursts and waves of spam in SQL, so that all processes agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from moderate.database.schema import bursts, waves
from moderate.database.statements import upsert
from moderate.i18n import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert

    from moderate.database.engine import Database

OPEN = "open"
IS_OPEN = waves.c.open_key == OPEN
THE_OPEN_ONE = select(waves.c.id, waves.c.started_at, waves.c.until, waves.c.reason, waves.c.seen).where(IS_OPEN)
ONE_MORE = update(waves).where(IS_OPEN).values(seen=waves.c.seen + 1)
OF_NAMES = select(bursts).where(bursts.c.name.in_(bindparam("names", expanding=True)))
NO_FIRSTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """The number `seen` of suspicious items of one sort since `started_at`, of `received` items in all."""

    name: str
    started_at: datetime
    seen: int
    received: int


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

    def count(
        self, names: Collection[str], item: int, now: datetime, window: float, *, firsts: Mapping[str, str] = NO_FIRSTS
    ) -> Mapping[str, Burst]:
        """Count one suspicious item under each name, and return how these bursts now stand.

        A burst is forgotten, and begins anew, *window* seconds after it began. *firsts* gives names
        that the item is counted under as well where it is the first under another of *names*.
        """
        forgotten = now - timedelta(seconds=window)
        row = {"started_at": now, "seen": 1, "first_item": item, "forgotten": forgotten}

        def work(conn: Connection) -> Mapping[str, Burst]:
            found = _counted(conn, names, row)
            conn.execute(ONE_MORE)
            for name, other in firsts.items():
                if found[name].seen == 1:
                    found |= _counted(conn, [other], row)
            return found

        return self._database.transaction(work)

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
        """Delete bursts that began before then."""
        old = delete(bursts).where(bursts.c.started_at < before)
        self._database.transaction(lambda conn: conn.execute(old).rowcount)


def _counted(conn: Connection, names: Iterable[str], new: Mapping[str, Any]) -> dict[str, Burst]:
    """Add one to the burst of each name, or begin it with *new*, and return how they now stand."""
    # In the order of their names, so that two processes cannot deadlock. One by one, because
    # PyMySQL cannot repeat a statement whose change has values of its own.
    wanted = sorted(set(names))
    for name in wanted:
        conn.execute(_counting(conn.dialect.name), {"name": name, **new})
    found = {}
    for row in conn.execute(OF_NAMES, {"names": wanted}):
        received = max(row.seen, new["first_item"] - row.first_item + 1)
        found[row.name] = Burst(name=row.name, started_at=row.started_at, seen=row.seen, received=received)
    return found


@lru_cache
def _counting(dialect: str) -> Insert:
    """Return the statement that adds one to a burst, or begins a new one if the old one began by ``forgotten``."""
    is_over = bursts.c.started_at <= bindparam("forgotten", type_=bursts.c.started_at.type)

    def merge(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
        # MySQL assigns from first to last: `started_at`, by which the burst is over or not, changes last.
        return {
            "seen": case((is_over, 1), else_=bursts.c.seen + 1),
            "first_item": case((is_over, new["first_item"]), else_=bursts.c.first_item),
            "started_at": case((is_over, new["started_at"]), else_=bursts.c.started_at),
        }

    return upsert(dialect, bursts, "name", merge)
