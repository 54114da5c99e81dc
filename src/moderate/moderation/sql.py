"""Moderators' work in SQL: decisions and their undo, and the queue."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Integer, and_, bindparam, func, or_, select, true, union_all

from moderate.database.schema import history, items
from moderate.database.statements import Lookup
from moderate.errors import ServiceDown
from moderate.lifecycle import Left
from moderate.lru import DerivedCache
from moderate.model import ChangedText, Decided, ItemFilter, Kind, Page, Status
from moderate.store import revising
from moderate.store.articles import CounterChanges
from moderate.store.batches import count_chunk
from moderate.store.by_score import MOST_SORTED, SCORES, cursor_of, most_suspicious, ranked
from moderate.store.deciders import by_decision
from moderate.store.history import TO_UNDO
from moderate.store.moves import apply
from moderate.store.rows import (
    WHOLE,
    WHOLE_NAMES,
    find_item,
    item_from,
    items_of,
    last_actor,
    last_dealt_with,
    page_of,
)
from moderate.store.search import (
    asked_host,
    asked_terms,
    found_by,
    found_newest,
    is_complete,
    one_of,
    update_index,
)
from moderate.tasks.sql import enqueue
from moderate.text.similarity import NEAR
from moderate.web_address import spellings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection, CursorResult
    from sqlalchemy.sql import Select

    from moderate.database.engine import Database
    from moderate.model import Decision, Item, NewTask
    from moderate.store.revising import Change

T = TypeVar("T")

#: How many items a text is compared with, step by step: the newest with the same text, and the newest in each band.
STEPS = (250, 1_000, 3_750)

BANDS = (items.c.near_1, items.c.near_2, items.c.near_3, items.c.near_4)
KEYS = (items.c.text_key, items.c.simhash, *BANDS)


class Bulk(NamedTuple):
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
        position: int | None = None,
    ) -> Bulk:
        """Decide on items, given as {id: version that the moderator saw}, in one transaction.

        Items that another decision has overtaken are left as they are, and so are unknown ids. The same decision
        as the current status is written down without another version where only checks have decided so far. Otherwise
        it changes nothing, on any version, unless another moderator has accepted or declined a changed text since. Such
        a text, where one waits, becomes the item's with any decision, because
        the newest one was decided about, or is dropped: *change* says which. *tasks* are written for the items
        that the decision changed. Several items stay locked meanwhile, so keep them to some dozens. *position* is
        for a batch in `Batches`: the number of its items before these. Raises `Halted` where it has moved on.
        """

        def work(conn: Connection) -> Bulk:
            def plan(item: Item) -> Change | Left | None:
                planned = revising.decided(item, versions[item.id], decision, change, by)
                is_stale = is_overtaken(conn, item, planned, versions[item.id], change)
                return _overtaken(conn, item) if is_stale else planned

            about = {"by": by, "note": note, "batch": batch}
            known = _locked(conn, versions)
            return _move_all(conn, known, plan, "decided", now, tasks=tasks, about=about, position=position)

        return self._database.transaction(work, is_single=len(versions) == 1 and position is None)

    def undo(
        self,
        lines: Mapping[int, int],
        *,
        by: str,
        batch: str,
        now: datetime,
        tasks: Sequence[NewTask] = (),
        position: int | None = None,
    ) -> Bulk:
        """Put items, given as {id: line of its history}, back to where they stood before it, in one transaction.

        Items that have changed, or were decided on, since are left as they are. A text that the decision had replaced
        or dropped comes back with it, and so does who had decided before. All lines must be of decisions or of their
        undo. See `decide` for *position*.
        """
        wanted = TO_UNDO.where(history.c.id.in_(lines.values()))

        def work(conn: Connection) -> Bulk:
            known = _locked(conn, lines)
            # Read after the items are locked: a decision since may have left the version as it was.
            undone = {row.item_id: row for row in conn.execute(wanted)}

            def plan(item: Item) -> Change | Left | None:
                line = undone[item.id]
                if item.version != line.version or line.last != line.id:
                    return _overtaken(conn, item)
                return revising.put_back(item, Status(line.before), line.was, line.decided_before or line.earlier)

            about = {"by": by, "batch": batch}
            return _move_all(conn, known, plan, "undone", now, tasks=tasks, about=about, position=position)

        return self._database.transaction(work, is_single=len(lines) == 1 and position is None)


#: The columns that a field of a filter equals.
EQUAL = {"status": items.c.status, "kind": items.c.kind, "article": items.c.article_key, "awaiting": items.c.awaiting}

VERSIONS = select(items.c.id, items.c.version)


class Queue:
    """The items as moderators list, search and count them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Items by their ids, made of rows, which takes longer than reading these.
        self._made: DerivedCache[Sequence[Any], Item] = DerivedCache(max_entries=1024, max_bytes=8 * 1024 * 1024)

    def page(self, which: ItemFilter, *, cursor: int | None, limit: int) -> Page:
        """Return a page of items for moderators, newest first."""
        given = which.given()
        if given.keys() <= EQUAL.keys():
            return page_of(self._listed(given, cursor, limit + 1), limit)
        found = self._newest(WHOLE, which, cursor, limit + 1, items_of)
        return page_of(list(found.values()), limit)

    def by_score(self, which: ItemFilter, *, cursor: int | None, limit: int) -> Page:
        """Return a page of items for moderators, the most suspicious first, among equals the newest.

        Where a filter asks for more than the status, the newest `MOST_SORTED` items that it matches are sorted.
        """
        given = which.given()
        if given.keys() == {"status"}:
            found = most_suspicious(self._database, given["status"], cursor, limit + 1)
        else:
            scores: dict[int, int] = self._newest(SCORES, which, None, MOST_SORTED, lambda rows: dict(rows.all()))  # type: ignore[arg-type]
            found = ranked(scores, cursor)[: limit + 1]
        known = self.these([number for number, _ in found[:limit]])
        further = cursor_of(*found[limit - 1]) if len(found) > limit else None
        return Page(tuple(known[number] for number, _ in found[:limit] if number in known), further)

    def versions(self, which: ItemFilter, limit: int) -> Mapping[int, int]:
        """Return the ids of items with their versions, newest first, at most *limit*."""
        given = which.given()
        if given.keys() <= EQUAL.keys():
            rows = _listing(VERSIONS, tuple(given), is_further=False).rows(self._database, **given, number=limit)
            return dict(rows)  # type: ignore[arg-type]
        return self._newest(VERSIONS, which, None, limit, lambda rows: dict(rows.all()))  # type: ignore[arg-type]

    def _newest(
        self,
        columns: Select[Any],
        which: ItemFilter,
        cursor: int | None,
        limit: int,
        by_id: Callable[[CursorResult[Any]], dict[int, T]],
    ) -> dict[int, T]:
        """Return the newest of the items below *cursor* that a filter matches, newest first, at most *limit*."""
        if which.q or which.host:
            with suppress(ServiceDown):
                update_index(self._database)
        found: dict[int, T] = {}
        with self._database.read() as conn:
            for wanted in conditions(which, conn, cursor, limit):
                query = columns.where(*wanted).order_by(items.c.id.desc()).limit(limit - len(found))
                found |= by_id(conn.execute(query))
                if len(found) >= limit:
                    break
        return found

    def _listed(self, given: Mapping[str, str], cursor: int | None, number: int) -> list[Item]:
        """Return the newest items of which columns of `EQUAL` have these values, below the *cursor* if there is one."""
        query = _listing(WHOLE, tuple(given), is_further=cursor is not None)
        rows = query.raw(self._database, **given, cursor=cursor, number=number)
        return [self._item(query, row) for row in rows]

    def _item(self, query: Lookup, row: Sequence[Any]) -> Item:
        known = self._made.get(row[0], row)
        if known is not None:
            return known
        item = item_from(dict(zip(WHOLE_NAMES, query.typed(self._database, row), strict=True)))
        return self._made.put(item.id, row, item, 4000 + len(item.text) + len(item.html))

    def these(self, ids: Sequence[int]) -> Mapping[int, Item]:
        """Return items by their ids, without those that are gone."""
        with self._database.read() as conn:
            return _whole(conn, ids)

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


def _move_all(
    conn: Connection,
    known: Mapping[int, Item | None],
    plan: Callable[[Item], Change | Left | None],
    act: str,
    now: datetime,
    *,
    tasks: Sequence[NewTask],
    about: Mapping[str, str | None],
    position: int | None,
) -> Bulk:
    """Move the items that *plan* allows. As everywhere, items come first and by id, then counters, and tasks last.

    The chunk is counted where a worker decides on the batch.
    """
    done, left = [], []
    several = CounterChanges() if len(known) > 1 else None
    for number, item in known.items():
        change = Left(number, "unknown-item") if item is None else plan(item)
        if isinstance(change, Left):
            left.append(change)
        elif item is not None and change is None:
            done.append(Decided(item, item.status, changed=False))
        elif item is not None and change is not None:
            with_it = () if several else tasks
            applied = apply(conn, item, change, act, now, tally=several, wanted=with_it, **about)
            done.append(Decided(applied.item, item.status, changed=True, history=applied.history))
    if several is not None:
        several.write(conn)
        enqueue(conn, [decided.item.id for decided in done if decided.changed], tasks, now)
    if position is not None and (batch := about["batch"]) is not None:
        count_chunk(conn, batch, position, now, decided=len(done), conflicts=len(left))
    return Bulk(tuple(done), tuple(left))


def _locked(conn: Connection, wanted: Collection[int]) -> dict[int, Item | None]:
    """Return items by id, in the order of the ids; None for one that is gone.

    Several are locked until the commit; SQLite has one writer and needs no lock. A single one is not locked: the
    version in the WHERE of its update detects that it was overtaken.
    """
    ids = sorted(wanted)
    if len(ids) == 1:
        return {ids[0]: find_item(conn, ids[0])}
    conn.execute(select(items.c.id).where(items.c.id.in_(ids)).order_by(items.c.id).with_for_update()).all()
    found = _whole(conn, ids)
    return {number: found.get(number) for number in ids}


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


def conditions(
    which: ItemFilter, conn: Connection, cursor: int | None, limit: int
) -> Iterator[Sequence[ColumnElement[bool]]]:
    """Yield a moderator's filter as SQL conditions, for items below *cursor*, newest first.

    Of several, each matches older items than the one before; together they match at least the newest *limit* items.
    """
    names = [name for name in which.given() if name in EQUAL]
    is_among = bool(which.like or which.q or which.host)
    wanted = [_equal(name, names, is_among=is_among) == str(getattr(which, name)) for name in names]
    if which.author is not None:
        wanted.append(_one_of((items.c.author, items.c.email, items.c.author_id), which.author))
    if which.ip is not None:
        wanted.append(_one_of((items.c.ip,), which.ip))
    deciders: list[ColumnElement[bool]] = []
    if which.decided is not None:
        is_found = any((is_among, which.article, which.author, which.ip, which.awaiting))
        deciders, condition = by_decision(which.decided, conn, is_found=is_found)
        wanted += condition
    asked = asked_terms(which.q) if which.q else []
    if which.host is not None:
        wanted.append(_of_host(which.host))
        if is_complete(conn):
            asked += [(term, False) for term in asked_host(which.host)]
        else:
            # By the words of the host, which also stand elsewhere in other items.
            spelled = sorted(spellings_of(which.host))
            wanted.append(or_(*(found_by(asked_terms(each), conn) for each in spelled)))
    if cursor is not None:
        wanted.append(items.c.id < cursor)
    parts: Iterator[ColumnElement[bool]] = iter((true(),))
    if which.like is not None:
        wanted += [found_by(asked, conn)] if which.q or asked else []
        parts = like(which.like, conn, cursor, wanted)
    elif which.q or asked:
        parts = found_newest(asked, conn, cursor)
    elif which.host is None:
        wanted = _newest_of_each(names, wanted, limit, deciders)
    return ((*wanted, part) for part in parts)


def _equal(name: str, names: Collection[str], *, is_among: bool = False) -> ColumnElement[Any]:
    """Return the column that a field of a filter equals, where those in *names* are given.

    *is_among* says that other conditions find the items. A planner without statistics would take the index of the
    kind or of what waits for these all the same, and read all of it.
    """
    hides = is_among and "status" not in names and name in {"kind", "awaiting"}
    return EQUAL[name].concat("") if hides else EQUAL[name]


@lru_cache
def _listing(columns: Select[Any], names: tuple[str, ...], *, is_further: bool) -> Lookup:
    """Return the look-up of items of which the columns *names* have given values, from a cursor on if *is_further*."""
    wanted = [_equal(name, names) == bindparam(name) for name in names]
    if is_further:
        wanted.append(items.c.id < bindparam("cursor"))
    number = bindparam("number", type_=Integer)
    wanted = _newest_of_each(names, wanted, number)
    return Lookup(columns.where(*wanted).order_by(items.c.id.desc()).limit(number))


def _newest_of_each(
    names: Collection[str],
    wanted: list[ColumnElement[bool]],
    limit: Any,
    deciders: Sequence[ColumnElement[bool]] = (),
) -> list[ColumnElement[bool]]:
    """Return the conditions for items whose columns *names* have given values, and for which one of *deciders* holds.

    The indexes of kinds and of articles go on with the status, those of what waits and of who decided with the kind and
    the status. Where the filter leaves these open, the newest of each are looked up, of which the newest of all are
    some.
    """
    by = {"decided_by"} if deciders else set()
    left_open = [
        [items.c[name] == each.value for each in values]
        for name, values, after in (
            ("kind", Kind, {"awaiting", "decided_by"}),
            ("status", Status, {"awaiting", "decided_by", "kind", "article"}),
        )
        if name not in names and not after.isdisjoint({*names, *by})
    ]
    if deciders:
        left_open.append(list(deciders))
    if not left_open:
        return wanted
    return [items.c.id.in_(union_all(*(_newest((*wanted, *each), limit) for each in product(*left_open))))]


def _one_of(columns: Sequence[Column[Any]], value: str) -> ColumnElement[bool]:
    """Return the condition that one of the columns is *value*, as a look-up by index that comes first.

    With plain conditions, a planner without statistics reads all items of a status instead, which takes
    100 ms for 300,000 items instead of less than 1 ms.
    """
    same = items.alias()
    ids = [select(same.c.id).where(same.c[column.name] == value) for column in columns]
    return items.c.id.in_(union_all(*ids))


def _of_host(host: str) -> ColumnElement[bool]:
    """Return the condition that an item's source, or its author's website, is on *host*.

    It compares addresses, of items that an index has found. An international name is found in its own letters and in
    ASCII.
    """
    columns = (items.c.source_url, items.c.url)
    return or_(*(_on_host(column, spelled) for spelled in sorted(spellings_of(host)) for column in columns))


def _on_host(column: Column[str], host: str) -> ColumnElement[bool]:
    address = func.lower(column)
    beginnings = [f"{scheme}://{host}" for scheme in ("https", "http")]
    return or_(
        address.in_(beginnings),
        *(address.startswith(start + after, autoescape=True) for start in beginnings for after in "/:?#"),
    )


def like(
    item_id: int, conn: Connection, cursor: int | None, wanted: Sequence[ColumnElement[bool]]
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions for an item and those below *cursor* with nearly the same text; none for an unknown id.

    Of a text that thousands have, only as many are compared as the page needs, and only those that are *wanted*.
    """
    known = conn.execute(select(*KEYS).where(items.c.id == item_id)).first()
    if known is None:
        return
    pairs = zip(BANDS, known[2:], strict=True) if known.simhash is not None else ()
    same = [column == band for column, band in pairs if band is not None]
    if known.text_key:
        same.insert(0, items.c.text_key == known.text_key)
    end = cursor
    for most in STEPS if same else ():
        below = () if end is None else (items.c.id < end,)
        ids, end = _alike(known, [and_(key, *below) for key in same], conn, wanted, most)
        yield one_of(ids, conn)
        if not end:
            break
    # It may be older than all that were compared.
    if not same or item_id < (end or 0):
        yield items.c.id == item_id


def _alike(
    known: Any, same: Sequence[ColumnElement[bool]], conn: Connection, wanted: Sequence[ColumnElement[bool]], most: int
) -> tuple[set[int], int]:
    """Return the ids of the newest items that are like one, and down to which id they are complete."""
    found = [conn.execute(_newest((key,), most)).scalars().all() for key in same]
    end = max((min(ids) for ids in found if len(ids) == most), default=0)
    near: set[int] = set().union(*found)
    near -= {number for number in near if number < end}
    exact = set(found[0]) & near if known.text_key else set()
    hashes = conn.execute(select(items.c.id, items.c.simhash).where(*wanted, one_of(sorted(near - exact), conn)))
    return exact | {number for number, simhash in hashes.all() if _is_near(simhash, known.simhash)}, end


def _newest(wanted: Sequence[ColumnElement[bool]], most: Any) -> Select[Any]:
    # A subquery, because SQLite takes no limit within a union otherwise.
    return select(select(items.c.id).where(*wanted).order_by(items.c.id.desc()).limit(most).subquery().c.id)


def _is_near(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and ((one ^ other) & (1 << 64) - 1).bit_count() <= NEAR
