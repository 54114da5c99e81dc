"""The log of what happened to items, as moderators read it. It is written by `moderate.store.moves`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import case, func, select

from moderate.database.schema import history
from moderate.lifecycle import UNDOABLE
from moderate.store.rows import entry_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Row

    from moderate.database.engine import Database
    from moderate.model import HistoryEntry

_other = history.alias()
_same_item = _other.c.item_id == history.c.item_id
#: Lines of the history that are to be undone, with two more columns: `last` is the last decision on the item, or the
#: last undo of one, and `earlier` who had decided before by the lines, because earlier versions have not stored that.
TO_UNDO = select(
    history,
    select(func.max(_other.c.id)).where(_same_item, _other.c.act.in_(UNDOABLE)).scalar_subquery().label("last"),
    select(case((_other.c.act.in_(("decided", "declined")), _other.c.actor)))
    .where(_same_item, _other.c.id < history.c.id, _other.c.act.in_((*UNDOABLE, "withdrawn")))
    .order_by(_other.c.id.desc())
    .limit(1)
    .scalar_subquery()
    .label("earlier"),
)


class HistoryPage(NamedTuple):
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
