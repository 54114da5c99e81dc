"""Moves of items: status, history and counters are written in one place, together or not at all."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal_column,
    select,
    union_all,
    update,
)

from moderate.database.engine import Stale
from moderate.database.schema import SITE, counters, history, items, reservations, samples, tasks
from moderate.database.statements import Prepared, new_row, upsert
from moderate.lifecycle import Recorded, cause_of, counter_change, score_of
from moderate.model import Awaiting, Item, Kind, Status
from moderate.store.articles import NAMED, add_to_counters, addition
from moderate.store.rows import NEAR, altered, columns_of, digest, finding_from_json
from moderate.store.search import terms_of
from moderate.tasks.sql import enqueue, requests_beside, values_of
from moderate.text.similarity import near_text
from moderate.waves.sql import count_suspicious, counting_beside, standing
from moderate.waves.sql import values_of as values_of_bursts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import CTE
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Update

    from moderate.lifecycle import Suspicion
    from moderate.model import NewTask, Submission, Verdict
    from moderate.store.articles import CounterChanges
    from moderate.store.revising import Change

#: For how long after its arrival deleted spam is remembered: as far back as `author_record` looks for trust.
REMEMBERED = timedelta(days=90)

#: Columns that are NULL in each new item.
LATER = ("edited_at", "decided_by", "proposed")
ARRIVING = [column.name for column in items.c if column.name not in {"id", *LATER}]
NEW_ITEM = Prepared(new_row(items, ARRIVING))
#: The fields of a new item whose values are those of the columns.
AS_STORED = [
    field.name
    for field in fields(Item)
    if field.name in items.c
    and field.name not in {"id", "kind", "status", "awaiting", "links", "findings", "passed", "skipped"}
]
LINE = [column.name for column in history.c if column.name != "id"]
NEW_LINE = Prepared(new_row(history, LINE))

#: The condition that an item still is as it was read: changes hold for what was seen. A decision need not change the
#: version.
AS_READ = and_(
    items.c.id == bindparam("read_id"),
    items.c.version == bindparam("read_version"),
    *(
        column.is_not_distinct_from(bindparam(f"read_{column.name}", type_=column.type))
        for column in (items.c.awaiting, items.c.decided_by)
    ),
)
DELETED = Prepared(delete(items).where(AS_READ))


class Applied(NamedTuple):
    """The item after a change, and the id of the change's history line."""

    item: Item
    history: int


def receive(
    conn: Connection,
    submission: Submission,
    verdict: Verdict,
    wanted: Sequence[NewTask],
    now: datetime,
    *,
    suspicion: Suspicion | None = None,
) -> Recorded:
    """Store a new item with its tasks, and count it where it is suspicious.

    On PostgreSQL that is one statement. Raises SQLAlchemy's `IntegrityError` where an item with its key is there.
    """
    kind, status, article = submission.kind, verdict.status, submission.article
    row = columns_of(submission, verdict, now)
    row.update(derived_columns(row))
    cause = cause_of(verdict.findings, status)
    if conn.dialect.name == "postgresql":
        counting = values_of_bursts(suspicion, now) if suspicion else {}
        in_wave = suspicion.in_wave if suspicion else None
        statement = _all_of_it(tuple(_change(kind, None, status)), len(wanted), in_wave)
        rows = statement.fetch(conn, {**row, "cause": cause, **values_of(conn, wanted, now), **counting})
        item_id = rows[0][0]
        bursts = standing((row[1:] for row in rows), item_id) if suspicion else {}
    else:
        item_id = NEW_ITEM.add(conn, row)
        NEW_LINE.add(conn, _line(item_id, None, status, version=1, act="received", at=now, cause=cause))
        _count(conn, article.key, _change(kind, None, status))
        bursts = count_suspicious(conn, suspicion, item_id, now) if suspicion else {}
        enqueue(conn, [item_id], wanted, now)
    # Built from what was written, without another query.
    item = Item(
        **{name: row[name] for name in AS_STORED},
        id=item_id,
        kind=kind,
        status=status,
        awaiting=verdict.awaiting,
        article=article.key,
        article_title=article.title,
        article_url=article.url,
        parent=row["parent_id"],
        links=submission.body.links,
        # As they were stored, without numbers that JSON has not.
        findings=tuple(map(finding_from_json, row["findings"])),
        passed=verdict.passed,
        skipped=verdict.skipped,
    )
    return Recorded(item, None, is_new=True, bursts=bursts)


@lru_cache
def _all_of_it(names: tuple[str, ...], wanted: int, in_wave: bool | None) -> Prepared:
    """Return the statement by which PostgreSQL stores an item, its line in the history and its counters *names*.

    It also stores a number of tasks, and counts a suspicious item, for which *in_wave* is not None. It saves a round
    trip for each of them. All else selects from the item, so that it is written first. psycopg reads a statement anew
    each time where it has more than 50 parameters or 4,096 characters.
    """
    item = new_row(items, ARRIVING).returning(items.c.id).cte("item")
    line = {
        "item_id": item.c.id,
        "at": bindparam("created_at", type_=history.c.at.type),
        "act": literal_column("'received'"),
        "after": bindparam("status", type_=history.c.after.type),
        "version": bindparam("version", type_=history.c.version.type),
        "cause": bindparam("cause", type_=history.c.cause.type),
    }
    noted = insert(history).from_select([*line], select(*line.values())).cte("noted")
    added = _counting(item, dict.fromkeys(names, literal_column("1")))
    found = select(item.c.id) if in_wave is None else counting_beside(item, in_wave=in_wave)
    requested = [requests_beside(item, wanted).cte("requested")] if wanted else []
    return Prepared(found.add_cte(noted, added, *requested))


def _counting(item: CTE, steps: Mapping[str, ColumnElement[Any]]) -> CTE:
    """Return what PostgreSQL does beside a change of *item* to move the counters of its article and of the site."""
    given: dict[str, Any] = {**dict.fromkeys(NAMED, literal_column("0")), **steps}
    keys: Any = (bindparam("article_key", type_=counters.c.article_key.type), literal_column(f"'{SITE}'"))
    rows = [select(key, *given.values()).select_from(item) for key in keys]
    return addition("postgresql", tuple(steps)).from_select(["article_key", *given], union_all(*rows)).cte("added")


def apply(
    conn: Connection,
    item: Item,
    change: Change,
    act: str,
    at: datetime,
    *,
    tally: CounterChanges | None = None,
    wanted: Sequence[NewTask] = (),
    **about: Any,
) -> Applied:
    """Move a stored item as *change* says, with a line in its history and in step with the counters.

    *about* goes into the line: by, note, batch, cause. *wanted* are tasks that follow. Several changes in one
    transaction share a *tally*, which the caller writes at their end. On PostgreSQL all of it is one statement. Raises
    `Stale` where the item no longer is as it was read; then nothing is written.
    """
    act, after = change.act or act, change.after
    version = item.version + int(change.is_new_text or after is not item.status)
    awaiting = change.values.get("awaiting", item.awaiting)
    columns = {**change.values, **_moments(item, after, awaiting, act, at)}
    row = {**columns, **derived_columns(columns), "status": after.value, "version": version}
    about = {**about, "was": change.was, "decided_before": item.decided_by}
    line = _line(item.id, item.status, after, version=version, act=act, at=at, **about)
    steps = _change(item.kind, item.status, after, is_new_text=change.is_visible)
    if tally is not None:
        tally.add(item.article, steps)
        steps = {}
    if conn.dialect.name == "postgresql":
        number = _move_at_once(conn, item, row, line, steps, wanted=wanted)
    else:
        _update(conn, item, row)
        number = NEW_LINE.add(conn, line)
        _count(conn, item.article, steps)
        enqueue(conn, [item.id], wanted, at)
    return Applied(altered(item, {**columns, "status": after, "version": version}), number)


def _move_at_once(
    conn: Connection,
    item: Item,
    row: Mapping[str, Any],
    line: Mapping[str, Any],
    steps: Mapping[str, int],
    *,
    wanted: Sequence[NewTask],
) -> int:
    values = _of_update(item, row) | {f"line_{name}": value for name, value in line.items()}
    if steps:
        values |= {**steps, "article_key": item.article}
    if wanted:
        values |= values_of(conn, wanted, line["at"])
    statement = _moving(tuple(row), tuple(sorted(steps)), len(wanted))
    rows = statement.fetch(conn, values)
    _require(len(rows))
    number: int = rows[0][0]
    return number


@lru_cache
def _moving(names: tuple[str, ...], steps: tuple[str, ...], number: int) -> Prepared:
    """Return the statement by which PostgreSQL sets the columns *names* of an item and returns its line in the history.

    It moves the counters *steps* and writes a *number* of tasks. All else selects from the item, so that it is updated
    first. Of what the statement does not return, PostgreSQL does the last part first: tasks come after the counters, as
    everywhere.
    """
    item = _update_of(names).returning(items.c.id).cte("item")
    line = {name: bindparam(f"line_{name}", type_=history.c[name].type) for name in LINE}
    noted = insert(history).from_select(LINE, select(*line.values()).select_from(item)).returning(history.c.id)
    beside = [requests_beside(item, number).cte("requested")] if number else []
    if steps:
        beside.append(_counting(item, {name: bindparam(name, type_=counters.c[name].type) for name in steps}))
    return Prepared(select(noted.cte("noted").c.id).add_cte(*beside))


def remove(conn: Connection, item: Item, by: str, at: datetime) -> None:
    """Delete an item with its tasks and samples; its history stays. Raises `Stale`, as `apply` does."""
    _require(DELETED.run(conn, _of_update(item, {})).rowcount)
    line = _line(item.id, item.status, item.status, version=item.version + 1, act="deleted", at=at, by=by)
    NEW_LINE.add(conn, line)
    _count(conn, item.article, _change(item.kind, item.status, None))
    _remember_spam(conn, item)
    conn.execute(delete(tasks).where(tasks.c.item_id == item.id))
    conn.execute(delete(samples).where(samples.c.item_id == item.id))
    # The history keeps who decided what; replaced texts are deleted with the item.
    conn.execute(update(history).where(history.c.item_id == item.id, history.c.was.is_not(None)).values(was=None))


def _remember_spam(conn: Connection, item: Item) -> None:
    """Keep a digest of the author of an item that is deleted, where it is spam of a verified author."""
    if item.status is Status.SPAM and item.author_id is not None:
        row = {"name": key_of_spammer(item.author_id), "expires_at": item.created_at + REMEMBERED}
        conn.execute(upsert(conn.dialect.name, reservations, "name", _later), row)


def key_of_spammer(author_id: str) -> str:
    return digest(f"deleted-spam:{author_id}")


def _later(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
    stored = reservations.c.expires_at
    return {"expires_at": case((new["expires_at"] > stored, new["expires_at"]), else_=stored)}


def explain(conn: Connection, item: Item, values: Mapping[str, Any]) -> Item:
    """Replace columns of an item that stays where it is, without a line in its history. Raises `Stale`."""
    _update(conn, item, {**values, **derived_columns(values)})
    return altered(item, values)


def _moments(item: Item, after: Status, awaiting: str | None, act: str, at: datetime) -> dict[str, datetime]:
    """Return `public_at` and `waiting_since` where a change sets them.

    An undo restores an earlier state, and with it the moment at which that state began.
    """
    is_undo = act == "undone"
    moments = {}
    if after is Status.APPROVED and item.status is not after and not (is_undo and item.public_at):
        moments["public_at"] = at
    waits_already = item.status is after and item.awaiting is Awaiting.MODERATOR
    if awaiting == Awaiting.MODERATOR and not waits_already and not (is_undo and item.waiting_since):
        moments["waiting_since"] = at
    return moments


def derived_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that follow from others.

    A new text is found by them: by searches, and as nearly equal to another one. New findings have a score.
    """
    derived: dict[str, Any] = {}
    if "findings" in columns:
        derived["score"] = score_of(map(finding_from_json, columns["findings"]))
    if "text" in columns:
        near = near_text(columns["text"])
        keys = (near.simhash, *near.bands) if near else (None,) * len(NEAR)
        derived |= {"search": terms_of(columns), **dict(zip(NEAR, keys, strict=True))}
    return derived


def _line(
    item_id: int,
    before: Status | None,
    after: Status,
    *,
    version: int,
    act: str,
    at: datetime,
    by: str | None = None,
    note: str | None = None,
    batch: str | None = None,
    cause: str | None = None,
    was: Mapping[str, Any] | None = None,
    decided_before: str | None = None,
) -> dict[str, Any]:
    """Return the columns of a line of the history."""
    return {
        "item_id": item_id,
        "at": at,
        "act": act,
        "actor": by,
        "before": before.value if before else None,
        "after": after.value,
        "version": version,
        "note": note,
        "batch": batch,
        "cause": cause,
        "was": None if was is None else dict(was),
        "decided_before": decided_before,
    }


def _count(conn: Connection, article: str, steps: Mapping[str, int]) -> None:
    if steps:
        add_to_counters(conn, {article: steps, SITE: steps})


def _change(kind: Kind, before: Status | None, after: Status | None, *, is_new_text: bool = False) -> dict[str, int]:
    """Return the steps of the counters; *is_new_text* says that readers see another text although the status stays."""
    change = counter_change(kind, before, after)
    if is_new_text or (before is Status.APPROVED) is not (after is Status.APPROVED):
        change["revision"] = 1
    return change


def _update(conn: Connection, item: Item, values: Mapping[str, Any]) -> None:
    """Set columns of an item. Raises `Stale` where it no longer is as it was read."""
    statement = _updating(tuple(values))
    _require(statement.run(conn, _of_update(item, values)).rowcount)


def _of_update(item: Item, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of `_update_of`, without *values* those of `AS_READ`."""
    new = {f"new_{name}": value for name, value in values.items()}
    return {
        **new,
        "read_id": item.id,
        "read_version": item.version,
        "read_awaiting": item.awaiting,
        "read_decided_by": item.decided_by,
    }


@lru_cache
def _updating(names: tuple[str, ...]) -> Prepared:
    return Prepared(_update_of(names))


def _update_of(names: tuple[str, ...]) -> Update:
    new = {name: bindparam(f"new_{name}", type_=items.c[name].type) for name in names}
    return update(items).where(AS_READ).values(new)


def _require(rowcount: int) -> None:
    if rowcount != 1:
        raise Stale
