"""Moves of items: status, history and counters are written in one place, together or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, delete, insert, update

from moderate.checks.near import near_text
from moderate.database.engine import Stale
from moderate.database.schema import history, items, samples, tasks
from moderate.lifecycle import cause_of, counter_change, is_public_change
from moderate.model import Awaiting, Item, Kind, Status
from moderate.store import counters, earlier
from moderate.store.rows import HIDDEN, NEAR, RENAMED, altered, columns_of, item_from
from moderate.store.search import terms_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.dml import Insert

    from moderate.model import Submission, Verdict
    from moderate.store.counters import Tally
    from moderate.store.revising import Change

NEW_ITEM = insert(items)
NEW_LINE = insert(history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of an item, as `_move` writes it.

    `before` is None for an item that is to be stored, `after` for one that is to be deleted.
    `version` is the one that was read, 0 for none.
    """

    kind: Kind
    article: str
    before: Status | None
    after: Status | None
    act: str
    at: datetime
    item: int | None = None
    version: int = 0
    awaiting: Awaiting | None = None
    by: str | None = None
    note: str | None = None
    batch: str | None = None
    cause: str | None = None
    was: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    is_new_text: bool = False
    is_visible: bool = False
    #: The values before the step; an undo keeps them.
    public_at: datetime | None = None
    waiting_since: datetime | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns to write beside `status` and `version`."""
        return {**self.values, **self._moments()}

    def _moments(self) -> dict[str, datetime]:
        """Return `public_at` and `waiting_since` where this step sets them.

        An undo restores an earlier state, and with it the moment at which that state began.
        """
        awaiting = self.values.get("awaiting", self.awaiting)
        is_restored = self.act == "undone"
        moves = self.before is not self.after
        moments = {}
        if moves and self.after is Status.APPROVED and not (is_restored and self.public_at):
            moments["public_at"] = self.at
        comes_to_wait = awaiting == Awaiting.MODERATOR and (moves or self.awaiting is not Awaiting.MODERATOR)
        if comes_to_wait and not (is_restored and self.waiting_since):
            moments["waiting_since"] = self.at
        return moments

    @property
    def version_after(self) -> int:
        return self.version + int(self.is_new_text or self.before is not self.after)


def _move(conn: Connection, move: Move, tally: Tally | None = None) -> tuple[int, int]:
    """Write one step: the item, its history, its counters. Returns the ids of the item and the history line.

    Several steps in one transaction share a *tally*, which the caller writes at their end.
    Raises `Stale` where the item no longer is as it was read.
    """
    item_id = _write_item(conn, move)
    line = {
        "item_id": item_id,
        "at": move.at,
        "act": move.act,
        "actor": move.by,
        "before": move.before.value if move.before else None,
        "after": (move.after or move.before or Status.TRASH).value,
        "version": move.version_after,
        "note": move.note,
        "batch": move.batch,
        "cause": move.cause,
        "was": None if move.was is None else dict(move.was),
    }
    line_id = _inserted(conn, NEW_LINE, line)
    change = counter_change(move.kind, move.before, move.after)
    is_visible = move.is_visible or is_public_change(move.before, move.after)
    if tally is not None:
        tally.add(move.article, change, is_visible=is_visible)
    elif change or is_visible:
        counters.add(conn, move.article, change, is_visible=is_visible)
    return item_id, line_id


def _write_item(conn: Connection, move: Move) -> int:
    # A new text brings its search terms and its keys for nearly equal texts.
    terms = {"search": terms_of(move.values), **near_columns(move.values["text"])} if "text" in move.values else {}
    if move.item is None:
        where = {"kind": move.kind.value, "article_key": move.article, "version": move.version_after}
        status = {"status": move.after.value if move.after else None}
        return _inserted(conn, NEW_ITEM, {**move.columns, **terms, **where, **status})
    seen = _seen(move.item, move.version, move.awaiting)
    if move.after is None:
        done = conn.execute(delete(items).where(seen))
    else:
        step = {**move.columns, **terms, "status": move.after.value, "version": move.version_after}
        done = conn.execute(update(items).where(seen).values(step))
    if done.rowcount != 1:
        raise Stale
    return move.item


def near_columns(text: str) -> dict[str, int | None]:
    """Return the columns by which nearly equal texts are found."""
    near = near_text(text)
    return dict(zip(NEAR, (near.simhash, *near.bands) if near else (None,) * len(NEAR), strict=True))


def _inserted(conn: Connection, new: Insert, row: Mapping[str, Any]) -> int:
    key = conn.execute(new, row).inserted_primary_key
    return int(key[0]) if key else 0


@dataclass(frozen=True, slots=True)
class Applied:
    """The item after a change, and the id of the change's history line."""

    item: Item
    history: int


def receive(conn: Connection, submission: Submission, verdict: Verdict, now: datetime) -> Item:
    """Store a new item. Raises SQLAlchemy's `IntegrityError` where one with its key is there."""
    move = Move(
        kind=submission.kind,
        article=submission.article.key,
        before=None,
        after=verdict.status,
        act="received",
        at=now,
        cause=cause_of(verdict.findings, verdict.status),
        values=columns_of(submission, verdict, now),
    )
    item_id, _ = _move(conn, move)
    shown = {RENAMED.get(name, name): value for name, value in move.columns.items() if name not in HIDDEN}
    known = {"id": item_id, "kind": move.kind, "status": move.after, "version": move.version_after}
    article = submission.article
    about = {"article": article.key, "article_title": article.title, "article_url": article.url}
    # Built from what was written, without another query.
    return item_from({**shown, **known, **about})


def apply(
    conn: Connection, item: Item, change: Change, act: str, at: datetime, *, tally: Tally | None = None, **about: Any
) -> Applied:
    """Move a stored item as *change* says. *about* goes into the history: by, note, batch, cause."""
    move = Move(
        kind=item.kind,
        article=item.article,
        before=item.status,
        after=change.after,
        act=change.act or act,
        at=at,
        item=item.id,
        version=item.version,
        awaiting=item.awaiting,
        values=change.values,
        is_new_text=change.is_new_text,
        is_visible=change.is_visible,
        was=change.was,
        public_at=item.public_at,
        waiting_since=item.waiting_since,
        **about,
    )
    _, line_id = _move(conn, move, tally)
    after = altered(item, {**move.columns, "status": change.after, "version": move.version_after})
    return Applied(after, line_id)


def remove(conn: Connection, item: Item, by: str, at: datetime) -> None:
    """Delete an item with its tasks and samples; its history stays."""
    move = Move(
        kind=item.kind,
        article=item.article,
        before=item.status,
        after=None,
        act="deleted",
        at=at,
        item=item.id,
        version=item.version,
        awaiting=item.awaiting,
        by=by,
    )
    _move(conn, move)
    earlier.remember_spam(conn, item)
    conn.execute(delete(tasks).where(tasks.c.item_id == item.id))
    conn.execute(delete(samples).where(samples.c.item_id == item.id))
    # The history keeps who decided what; replaced texts are deleted with the item.
    conn.execute(update(history).where(history.c.item_id == item.id, history.c.was.is_not(None)).values(was=None))


def explain(conn: Connection, item: Item, values: Mapping[str, Any]) -> Item:
    """Replace columns of an item that stays where it is, without a line in its history."""
    done = conn.execute(update(items).where(_seen(item.id, item.version, item.awaiting)).values(dict(values)))
    if done.rowcount != 1:
        raise Stale
    return altered(item, values)


def _seen(item_id: int, version: int, awaiting: Awaiting | None) -> ColumnElement[bool]:
    """Return the condition that the item still is as it was read: decisions hold for what was seen."""
    waits = items.c.awaiting == (awaiting.value if awaiting else None)
    return and_(items.c.id == item_id, items.c.version == version, waits)
