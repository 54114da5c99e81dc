"""Moderators' work in SQL: decisions and their undo, the queue, and the log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select, true, union_all

from moderate.database.schema import history, items
from moderate.errors import ServiceDown
from moderate.model import Awaiting, ChangedText, Decided, HistoryEntry, Left, Page, Status
from moderate.store import revising
from moderate.store.articles import CounterChanges
from moderate.store.moves import apply
from moderate.store.rows import WHOLE, entry_from, find_item, item_from, items_of, last_actor, last_dealt_with, page_of
from moderate.store.search import found_by, found_newest, update_index
from moderate.tasks.sql import enqueue
from moderate.text.similarity import NEAR
from moderate.web_address import spellings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection, Row
    from sqlalchemy.sql import Select

    from moderate.database.engine import Database
    from moderate.model import Decision, Item, ItemFilter, NewTask
    from moderate.store.revising import Change

#: How many items a text is compared with: the newest with the same text, and the newest in each band.
COMPARED = 5_000

NOTHING = literal_column("1") == literal_column("0")

BANDS = (items.c.near_1, items.c.near_2, items.c.near_3, items.c.near_4)
KEYS = (items.c.text_key, items.c.simhash, *BANDS)


@dataclass(frozen=True, slots=True)
class Bulk:
    """The result of a decision on many items."""

    done: tuple[Decided, ...] = ()
    left: tuple[Left, ...] = ()


class Decisions:
    """Moderators' decisions and their undo. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(
        self,
        versions: Mapping[int, int],
        decision: Decision,
        *,
        by: str,
        note: str | None,
        now: datetime,
        batch: str | None = None,
        tasks: Sequence[NewTask] = (),
        change: ChangedText = ChangedText.ACCEPT,
    ) -> Bulk:
        """Decide on items, given as {id: version that the moderator saw}, in one transaction.

        Items that another decision has overtaken are left as they are, and so are unknown ids. The same decision
        as the current status changes nothing, on any version, unless another moderator has accepted or
        declined a changed text since. Such a text, where one waits, becomes the item's with any decision, because
        the newest one was decided about, or is dropped: *change* says which. *tasks* are written for the items
        that the decision changed. Several items stay locked meanwhile, so keep them to some dozens.
        """

        def work(conn: Connection) -> Bulk:
            def plan(item: Item) -> Change | Left | None:
                planned = revising.decided(item, decision, change, by)
                is_stale = is_overtaken(conn, item, planned, versions[item.id], change)
                return _overtaken(conn, item) if is_stale else planned

            about = {"by": by, "note": note, "batch": batch}
            return _move_all(conn, versions, plan, "decided", now=now, tasks=tasks, about=about)

        return self._database.transaction(work)

    def undo(
        self, entries: Collection[int], *, by: str, batch: str, now: datetime, tasks: Sequence[NewTask] = ()
    ) -> Bulk:
        """Put items back to where they stood before these lines of the history, in one transaction.

        Items that have changed since are left as they are. A text that the decision had replaced or dropped
        comes back with it. All lines must be of decisions or of their undo.
        """
        wanted = select(history).where(history.c.id.in_(list(entries)))

        def work(conn: Connection) -> Bulk:
            # Of several lines of an item only the last can still be what it stands by.
            lines = {row.item_id: row for row in conn.execute(wanted.order_by(history.c.id))}

            def plan(item: Item) -> Change | Left | None:
                line = lines[item.id]
                if item.version != line.version:
                    return _overtaken(conn, item)
                return revising.put_back(item, Status(line.before), line.was, by)

            return _move_all(conn, lines, plan, "undone", now=now, tasks=tasks, about={"by": by, "batch": batch})

        return self._database.transaction(work)


class Queue:
    """The items as moderators list, search and count them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, which: ItemFilter, *, cursor: int | None, limit: int) -> Page:
        """Return a page of items for moderators, newest first."""
        if which.q:
            with suppress(ServiceDown):
                update_index(self._database)
        with self._database.read() as conn:
            wanted = conditions(replace(which, q=None), conn)
            if cursor is not None:
                wanted.append(items.c.id < cursor)
            found: dict[int, Item] = {}
            for part in found_newest(which.q, conn, cursor) if which.q else [true()]:
                query = WHOLE.where(*wanted, part).order_by(items.c.id.desc()).limit(limit + 1 - len(found))
                found |= items_of(conn.execute(query))
                if len(found) > limit:
                    break
        return page_of(list(found.values()), limit)

    def oldest_waiting(self) -> datetime | None:
        """Return since when the item that has waited longest waits for a moderator, None where none does."""
        waits = and_(items.c.status == Status.PENDING.value, items.c.awaiting == Awaiting.MODERATOR.value)
        with self._database.read() as conn:
            found: datetime | None = conn.execute(select(func.min(items.c.waiting_since)).where(waits)).scalar()
        return found

    def versions(self, which: ItemFilter, limit: int) -> Mapping[int, int]:
        """Return the ids of items with their versions, newest first, at most *limit*."""
        with self._database.read() as conn:
            query = select(items.c.id, items.c.version).where(*conditions(which, conn))
            rows = conn.execute(query.order_by(items.c.id.desc()).limit(limit)).all()
        return {row.id: row.version for row in rows}

    def related(self, item: Item, limit: int) -> Sequence[Item]:
        """Return the newest other items with the same verified author, e-mail or IP address."""
        same = {items.c.author_id: item.author_id, items.c.email: item.email, items.c.ip: item.ip}
        found: set[int] = set()
        with self._database.read() as conn:
            # One look-up by index for each; joined by "or" they would read the table.
            for column, value in same.items():
                if value:
                    query = select(items.c.id).where(column == value, items.c.id != item.id)
                    found.update(conn.execute(query.order_by(items.c.id.desc()).limit(limit)).scalars())
            newest = sorted(found, reverse=True)[:limit]
            others = _whole(conn, newest)
        return [others[number] for number in newest if number in others]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A stretch of the log, newest first, and the cursor of the next one, None at the end."""

    entries: tuple[HistoryEntry, ...]
    next: int | None


class History:
    """The log of all items: one line for each step that moved one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_item(self, item_id: int) -> Sequence[HistoryEntry]:
        """Return the history of one item, the oldest line first."""
        query = select(history).where(history.c.item_id == item_id).order_by(history.c.id)
        with self._database.read() as conn:
            return [entry_from(row) for row in conn.execute(query)]

    def page(
        self,
        *,
        moderator: str | None = None,
        item: int | None = None,
        batch: str | None = None,
        cursor: int | None,
        limit: int,
    ) -> HistoryPage:
        """Return a page of the log, newest first; of one moderator, item or batch where these are given."""
        equal = {history.c.actor: moderator, history.c.item_id: item, history.c.batch: batch}
        query = select(history).where(*(column == value for column, value in equal.items() if value is not None))
        if cursor is not None:
            query = query.where(history.c.id < cursor)
        with self._database.read() as conn:
            rows = conn.execute(query.order_by(history.c.id.desc()).limit(limit + 1)).all()
        entries = tuple(entry_from(row) for row in rows[:limit])
        return HistoryPage(entries, entries[-1].id if len(rows) > limit else None)

    def of_batch(self, batch: str) -> Mapping[int, int]:
        """Return the items of a batch's lines, by the id of the line. Only what can be undone has a batch."""
        query = select(history.c.id, history.c.item_id).where(history.c.batch == batch)
        with self._database.read() as conn:
            return {row.id: row.item_id for row in conn.execute(query)}

    def entry(self, entry_id: int) -> HistoryEntry | None:
        """Return one line of the log, None if there is no such line."""
        with self._database.read() as conn:
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
    """Move the items that *plan* allows. As everywhere, items come first and by id, then counters, and tasks last."""
    known = _locked(conn, wanted)
    changes, done, left = CounterChanges(), [], []
    for number in sorted(wanted):
        item = known.get(number)
        change = Left(number, "unknown-item") if item is None else plan(item)
        if isinstance(change, Left):
            left.append(change)
        elif item is not None and change is None:
            done.append(Decided(item, item.status, changed=False))
        elif item is not None and change is not None:
            applied = apply(conn, item, change, act, now, tally=changes, **about)
            done.append(Decided(applied.item, item.status, changed=True, history=applied.history))
    changes.write(conn)
    enqueue(conn, [decided.item.id for decided in done if decided.changed], tasks, now)
    return Bulk(tuple(done), tuple(left))


def _locked(conn: Connection, wanted: Collection[int]) -> dict[int, Item]:
    """Return items by id. Several are locked until the commit; SQLite has one writer and needs no lock.

    A single one is not locked: the version in the WHERE of its update detects that it was overtaken.
    """
    ids = sorted(wanted)
    if len(ids) == 1:
        found = find_item(conn, ids[0])
        return {} if found is None else {found.id: found}
    conn.execute(select(items.c.id).where(items.c.id.in_(ids)).order_by(items.c.id).with_for_update()).all()
    return _whole(conn, ids)


def _whole(conn: Connection, ids: Sequence[int]) -> dict[int, Item]:
    rows = conn.execute(WHOLE.where(items.c.id.in_(list(ids)))) if ids else ()
    return {row.id: item_from(row._asdict()) for row in rows}


def _overtaken(conn: Connection, item: Item) -> Left:
    return Left(item.id, "decided-meanwhile", item, last_actor(conn, item.id))


def is_overtaken(conn: Connection, item: Item, planned: Change | None, version: int, change: ChangedText) -> bool:
    """Return whether another decision since *version* makes this one about something else."""
    if planned is not None:
        return revising.is_overtaken(item, planned, version)
    # Where nothing is left to do, another moderator may have done the opposite with the changed text.
    done = revising.done_with_change(last_dealt_with(conn, item.id, version)) if version < item.version else None
    return done is not None and done is not change


def conditions(which: ItemFilter, conn: Connection) -> list[ColumnElement[bool]]:
    """Return a moderator's filter as SQL conditions, for lists and for decisions."""
    equal = {
        items.c.status: which.status,
        items.c.kind: which.kind,
        items.c.article_key: which.article,
        items.c.awaiting: which.awaiting,
    }
    wanted = [column == str(value) for column, value in equal.items() if value is not None]
    if which.author is not None:
        wanted.append(_one_of((items.c.author, items.c.email, items.c.author_id), which.author))
    if which.ip is not None:
        wanted.append(_one_of((items.c.ip,), which.ip))
    if which.host is not None:
        wanted.append(of_host(which.host, conn))
    if which.like is not None:
        wanted.append(like(which.like, conn))
    if which.q:
        wanted.append(found_by(which.q, conn))
    return wanted


def _one_of(columns: Sequence[Column[Any]], value: str) -> ColumnElement[bool]:
    """Return the condition that one of the columns is *value*, as a look-up by index that comes first.

    With plain conditions, a planner without statistics reads all items of a status instead, which takes
    100 ms for 300,000 items instead of less than 1 ms.
    """
    same = items.alias()
    ids = [select(same.c.id).where(same.c[column.name] == value) for column in columns]
    return items.c.id.in_(union_all(*ids))


def of_host(host: str, conn: Connection) -> ColumnElement[bool]:
    """Return the condition that an item's source, or its author's website, is on *host*.

    The search index finds the items that name the host anywhere; only the addresses of these are compared. An
    international name is found in its own letters and in ASCII.
    """
    return or_(
        *(
            and_(found_by(wanted, conn), or_(_on_host(items.c.source_url, wanted), _on_host(items.c.url, wanted)))
            for wanted in sorted(spellings_of(host))
        )
    )


def _on_host(column: Column[str], host: str) -> ColumnElement[bool]:
    address = func.lower(column)
    beginnings = [f"{scheme}://{host}" for scheme in ("https", "http")]
    return or_(
        address.in_(beginnings),
        *(address.startswith(start + after, autoescape=True) for start in beginnings for after in "/:?#"),
    )


def like(item_id: int, conn: Connection) -> ColumnElement[bool]:
    """Return the condition for an item and those with nearly the same text, a false one for an unknown id."""
    known = conn.execute(select(*KEYS).where(items.c.id == item_id)).first()
    if known is None:
        return NOTHING
    same = [_newest(items.c.text_key == known.text_key)] if known.text_key else []
    if known.simhash is not None:
        pairs = zip(BANDS, known[2:], strict=True)
        same += [_newest(column == band) for column, band in pairs if band is not None]
    if not same:
        return items.c.id == item_id
    rows = conn.execute(select(items.c.id, items.c.text_key, items.c.simhash).where(items.c.id.in_(union_all(*same))))
    ids = {row.id for row in rows if row.text_key == known.text_key or _is_near(row.simhash, known.simhash)}
    return items.c.id.in_(sorted(ids | {item_id}))


def _newest(same: ColumnElement[bool]) -> Select[Any]:
    # A subquery, because SQLite takes no limit within a union otherwise.
    return select(select(items.c.id).where(same).order_by(items.c.id.desc()).limit(COMPARED).subquery().c.id)


def _is_near(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and ((one ^ other) & (1 << 64) - 1).bit_count() <= NEAR
