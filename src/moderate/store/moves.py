"""Moves of items: status, history and counters are written in one place, together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, case, delete, insert, update

from moderate.database.engine import Stale
from moderate.database.schema import SITE, history, items, reservations, samples, tasks
from moderate.database.statements import upsert
from moderate.lifecycle import cause_of, counter_change
from moderate.model import Awaiting, Item, Kind, Status
from moderate.store.articles import add_to_counters
from moderate.store.rows import HIDDEN, NEAR, RENAMED, altered, columns_of, digest, finding_from_json
from moderate.store.search import terms_of
from moderate.text.similarity import near_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from moderate.model import Submission, Verdict
    from moderate.store.articles import CounterChanges
    from moderate.store.revising import Change

#: For how long after its arrival deleted spam is remembered: as far back as `author_record` looks for trust.
REMEMBERED = timedelta(days=90)

NEW_ITEM = insert(items)
NEW_LINE = insert(history)


@dataclass(frozen=True, slots=True)
class Applied:
    """The item after a change, and the id of the change's history line."""

    item: Item
    history: int


def receive(conn: Connection, submission: Submission, verdict: Verdict, now: datetime) -> Item:
    """Store a new item. Raises SQLAlchemy's `IntegrityError` where one with its key is there."""
    kind, status, article = submission.kind, verdict.status, submission.article
    columns = columns_of(submission, verdict, now)
    place = {"kind": kind.value, "article_key": article.key, "status": status.value, "version": 1}
    row = {**columns, **_search_columns(columns), **place}
    item_id: int = conn.execute(NEW_ITEM, row).inserted_primary_key[0]  # type: ignore[index]
    cause = cause_of(verdict.findings, status)
    _log(conn, item_id, None, status, version=1, act="received", at=now, cause=cause)
    _count(conn, kind, article.key, None, status)
    # Built from what was written, without another query.
    values = columns | {"id": item_id, "kind": kind, "status": status, "version": 1, "awaiting": verdict.awaiting}
    values |= {"article": article.key, "article_title": article.title, "article_url": article.url}
    values |= {"links": submission.body.links, "passed": verdict.passed, "skipped": verdict.skipped}
    # As they were stored, without numbers that JSON has not.
    values["findings"] = tuple(map(finding_from_json, columns["findings"]))
    values["parent"] = columns["parent_id"]
    for name in (*HIDDEN, *RENAMED):
        values.pop(name, None)
    return Item(**values)


def apply(
    conn: Connection,
    item: Item,
    change: Change,
    act: str,
    at: datetime,
    *,
    tally: CounterChanges | None = None,
    **about: Any,
) -> Applied:
    """Move a stored item as *change* says, with a line in its history and in step with the counters.

    *about* goes into the line: by, note, batch, cause. Several changes in one transaction share a *tally*, which
    the caller writes at their end. Raises `Stale` where the item no longer is as it was read.
    """
    act, after = change.act or act, change.after
    version = item.version + int(change.is_new_text or after is not item.status)
    awaiting = change.values.get("awaiting", item.awaiting)
    columns = {**change.values, **_moments(item, after, awaiting, act, at)}
    row = {**columns, **_search_columns(columns), "status": after.value, "version": version}
    _require(conn.execute(update(items).where(_as_read(item)).values(row)).rowcount)
    line = _log(conn, item.id, item.status, after, version=version, act=act, at=at, was=change.was, **about)
    _count(conn, item.kind, item.article, item.status, after, is_new_text=change.is_visible, tally=tally)
    return Applied(altered(item, {**columns, "status": after, "version": version}), line)


def remove(conn: Connection, item: Item, by: str, at: datetime) -> None:
    """Delete an item with its tasks and samples; its history stays. Raises `Stale`, as `apply` does."""
    _require(conn.execute(delete(items).where(_as_read(item))).rowcount)
    _log(conn, item.id, item.status, item.status, version=item.version + 1, act="deleted", at=at, by=by)
    _count(conn, item.kind, item.article, item.status, None)
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
    _require(conn.execute(update(items).where(_as_read(item)).values(dict(values))).rowcount)
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


def _search_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns by which a new text is found: by searches, and as nearly equal to another one."""
    if "text" not in columns:
        return {}
    near = near_text(columns["text"])
    keys = (near.simhash, *near.bands) if near else (None,) * len(NEAR)
    return {"search": terms_of(columns), **dict(zip(NEAR, keys, strict=True))}


def _log(
    conn: Connection,
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
) -> int:
    """Write a line of the history and return its id."""
    line = {
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
    }
    key: int = conn.execute(NEW_LINE, line).inserted_primary_key[0]  # type: ignore[index]
    return key


def _count(
    conn: Connection,
    kind: Kind,
    article: str,
    before: Status | None,
    after: Status | None,
    *,
    is_new_text: bool = False,
    tally: CounterChanges | None = None,
) -> None:
    """Move the counters; *is_new_text* says that readers see another text although the status stays."""
    change = counter_change(kind, before, after)
    if is_new_text or (before is Status.APPROVED) is not (after is Status.APPROVED):
        change["revision"] = 1
    if tally is not None:
        tally.add(article, change)
    elif change:
        add_to_counters(conn, {article: change, SITE: change})


def _as_read(item: Item) -> ColumnElement[bool]:
    """Return the condition that the item still is as it was read: decisions hold for what was seen."""
    waits = items.c.awaiting == (item.awaiting.value if item.awaiting else None)
    return and_(items.c.id == item.id, items.c.version == item.version, waits)


def _require(rowcount: int) -> None:
    if rowcount != 1:
        raise Stale
