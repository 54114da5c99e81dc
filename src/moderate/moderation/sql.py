"""Many items at once: decisions, their undo, and what moderators look up before either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from moderate.database.schema import history, items
from moderate.model import HistoryEntry, Status
from moderate.ports import Bulk, Decided, HistoryPage, Left, Proposal
from moderate.store import revising
from moderate.store.counters import Tally
from moderate.store.items import is_overtaken
from moderate.store.moves import apply
from moderate.store.reads import WHOLE, conditions, last_actor
from moderate.store.rows import entry_from, item_from
from moderate.tasks.sql import enqueue_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

    from moderate.database.engine import Database
    from moderate.model import Decision, Item
    from moderate.ports import ItemFilter, NewTask
    from moderate.store.revising import Change

#: The acts that can be undone.
DECISIONS = ("decided", "declined", "undone")


class BulkWrites:
    """See `moderate.ports.Store`."""

    database: Database

    def decide_many(
        self,
        versions: Mapping[int, int],
        decision: Decision,
        *,
        by: str,
        note: str | None,
        batch: str,
        now: datetime,
        tasks: Sequence[NewTask] = (),
        proposal: Proposal = Proposal.ACCEPT,
    ) -> Bulk:
        def work(conn: Connection) -> Bulk:
            def plan(item: Item) -> Change | Left | None:
                change = revising.decided(item, decision, proposal, by)
                is_stale = is_overtaken(conn, item, change, versions[item.id], proposal)
                return _overtaken(conn, item) if is_stale else change

            about = {"by": by, "note": note, "batch": batch}
            return _move_all(conn, versions, plan, "decided", now=now, tasks=tasks, about=about)

        return self.database.transaction(work)

    def undo(
        self, entries: Collection[int], *, by: str, batch: str, now: datetime, tasks: Sequence[NewTask] = ()
    ) -> Bulk:
        wanted = select(history).where(history.c.id.in_(list(entries)), history.c.act.in_(DECISIONS))

        def work(conn: Connection) -> Bulk:
            # Of several lines of an item only the last can still be what it stands by.
            lines = {row.item_id: row for row in conn.execute(wanted.order_by(history.c.id))}

            def plan(item: Item) -> Change | Left | None:
                line = lines[item.id]
                if item.version != line.version:
                    return _overtaken(conn, item)
                return revising.put_back(item, Status(line.before), line.was, by)

            return _move_all(conn, lines, plan, "undone", now=now, tasks=tasks, about={"by": by, "batch": batch})

        return self.database.transaction(work)

    def versions(self, which: ItemFilter, limit: int) -> Mapping[int, int]:
        with self.database.read() as conn:
            query = select(items.c.id, items.c.version).where(*conditions(which, conn))
            rows = conn.execute(query.order_by(items.c.id.desc()).limit(limit)).all()
        return {row.id: row.version for row in rows}

    def related(self, item: Item, limit: int) -> Sequence[Item]:
        same = {items.c.author_id: item.author_id, items.c.email: item.email, items.c.ip: item.ip}
        found: set[int] = set()
        with self.database.read() as conn:
            # One look-up by index for each; joined by "or" they would read the table.
            for column, value in same.items():
                if value:
                    query = select(items.c.id).where(column == value, items.c.id != item.id)
                    found.update(conn.execute(query.order_by(items.c.id.desc()).limit(limit)).scalars())
            newest = sorted(found, reverse=True)[:limit]
            others = _whole(conn, newest)
        return [others[number] for number in newest if number in others]

    def history_page(
        self,
        *,
        moderator: str | None = None,
        item: int | None = None,
        batch: str | None = None,
        cursor: int | None,
        limit: int,
    ) -> HistoryPage:
        equal = {history.c.actor: moderator, history.c.item_id: item, history.c.batch: batch}
        query = select(history).where(*(column == value for column, value in equal.items() if value is not None))
        if cursor is not None:
            query = query.where(history.c.id < cursor)
        with self.database.read() as conn:
            rows = conn.execute(query.order_by(history.c.id.desc()).limit(limit + 1)).all()
        entries = tuple(entry_from(row) for row in rows[:limit])
        return HistoryPage(entries, entries[-1].id if len(rows) > limit else None)

    def entry(self, entry_id: int) -> HistoryEntry | None:
        with self.database.read() as conn:
            row: Row[Any] | None = conn.execute(select(history).where(history.c.id == entry_id)).first()
        return None if row is None else entry_from(row)


def _move_all(
    conn: Connection,
    wanted: Collection[int],
    plan: Callable[[Item], Change | Left | None],
    act: str,
    *,
    now: datetime,
    tasks: Sequence[NewTask],
    about: Mapping[str, str | None],
) -> Bulk:
    """Move what can be moved. Items are locked first and by id, counters come after, tasks last: as everywhere."""
    known = _locked(conn, wanted)
    tally, done, left = Tally(), [], []
    for number in sorted(wanted):
        item = known.get(number)
        change = Left(number, "unknown-item") if item is None else plan(item)
        if isinstance(change, Left):
            left.append(change)
        elif item is not None and change is None:
            done.append(Decided(item, item.status, changed=False))
        elif item is not None and change is not None:
            applied = apply(conn, item, change, act, now, tally=tally, **about)
            done.append(Decided(applied.item, item.status, changed=True, history=applied.history))
    tally.write(conn)
    enqueue_all(conn, [decided.item.id for decided in done if decided.changed], tasks, now)
    return Bulk(tuple(done), tuple(left))


def _locked(conn: Connection, wanted: Collection[int]) -> dict[int, Item]:
    """The items as nobody else can change them until the commit; SQLite's one writer needs no lock."""
    ids = sorted(wanted)
    conn.execute(select(items.c.id).where(items.c.id.in_(ids)).order_by(items.c.id).with_for_update()).all()
    return _whole(conn, ids)


def _whole(conn: Connection, ids: Sequence[int]) -> dict[int, Item]:
    rows = conn.execute(WHOLE.where(items.c.id.in_(list(ids)))) if ids else ()
    return {row.id: item_from(row._asdict()) for row in rows}


def _overtaken(conn: Connection, item: Item) -> Left:
    return Left(item.id, "decided-meanwhile", item, last_actor(conn, item.id))
