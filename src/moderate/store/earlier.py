"""Earlier items, as checks ask about them: the same text again, nearly the same one, and an author's record.

Spam that is deleted counts against its author as long as if it were still there; a digest of the author is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, select, union_all

from moderate.database.schema import items, reservations
from moderate.database.statements import Lookup, upsert
from moderate.model import Kind, Status
from moderate.store.rows import digest
from moderate.text.similarity import Alike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from moderate.database.engine import Database
    from moderate.model import Item
    from moderate.text.similarity import NearText

#: Run with every submission, and so built once.
SAME_TEXT = Lookup(
    select(items.c.kind, items.c.status, items.c.article_key)
    .where(items.c.text_key == bindparam("of_text"), items.c.created_at >= bindparam("since"))
    .order_by(items.c.created_at.desc(), items.c.id.desc())
    .limit(50)
)

#: Most items that are compared by each key; a flood brings more of a text than is needed.
FROM_EACH = 20


def _alike(same: ColumnElement[bool], age: Column[Any] = items.c.id) -> Select[Any]:
    # The newest of all, and only of these the recent ones: an old flood is never read as a whole.
    newest = select(items.c.id).where(same).order_by(age.desc()).limit(FROM_EACH)
    # A subquery, because SQLite takes no limit within a union otherwise.
    return select(newest.subquery().c.id)


#: One look-up by index for each band and one for the whole text; an "or" would read all items.
NEARLY = [_alike(items.c[f"near_{number}"] == bindparam(f"band_{number}")) for number in range(1, 5)]
OF_TEXT = _alike(items.c.text_key == bindparam("of_text"), items.c.created_at)
NEAR_TEXT = Lookup(
    select(items.c.id, items.c.kind, items.c.status, items.c.article_key, items.c.text_key, items.c.simhash)
    .where(items.c.id.in_(union_all(OF_TEXT, *NEARLY)))
    .where(items.c.created_at >= bindparam("since"))
    .order_by(items.c.id.desc())
)

#: For how long after its arrival deleted spam is remembered: as far back as `author_record` looks for trust.
REMEMBERED = timedelta(days=90)


class EarlierItems:
    """The queries of checks about earlier items; see `moderate.ports.Earlier`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Return kind, status and article of items with that text since then, newest first, at most 50."""
        rows = SAME_TEXT.rows(self._database, of_text=text_key, since=since)
        return [(Kind(kind), Status(status), article) for kind, status, article in rows]

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Return items since then that may say nearly the same, or do say the same; newest first, at most 100."""
        bands = {f"band_{number}": band for number, band in enumerate(near.bands, 1)}
        rows = NEAR_TEXT.rows(self._database, of_text=text_key, since=since, **bands)
        return [Alike(row[0], Kind(row[1]), Status(row[2]), *row[3:]) for row in rows]

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """Return how many items of a verified author stand where: all, or those since then, with deleted spam."""
        query = select(items.c.status, func.count()).where(items.c.author_id == author_id)
        if since is not None:
            query = query.where(items.c.created_at >= since)
        with self._database.read() as conn:
            record = {Status(status): number for status, number in conn.execute(query.group_by(items.c.status))}
            if since is not None and Status.SPAM not in record and is_remembered(conn, author_id, since):
                record[Status.SPAM] = 1
        return record


def remember_spam(conn: Connection, item: Item) -> None:
    """Keep a digest of the author of an item that is deleted, where it is spam of a verified author."""
    if item.status is Status.SPAM and item.author_id is not None:
        row = {"name": _name(item.author_id), "expires_at": item.created_at + REMEMBERED}
        conn.execute(upsert(conn.dialect.name, reservations, "name", _later), row)


def is_remembered(conn: Connection, author_id: str, since: datetime) -> bool:
    """Return whether spam of this author was deleted that had come in after *since*."""
    known = and_(reservations.c.name == _name(author_id), reservations.c.expires_at >= since + REMEMBERED)
    return conn.execute(select(reservations.c.name).where(known)).first() is not None


def _name(author_id: str) -> str:
    return digest(f"deleted-spam:{author_id}")


def _later(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
    stored = reservations.c.expires_at
    return {"expires_at": case((new["expires_at"] > stored, new["expires_at"]), else_=stored)}
