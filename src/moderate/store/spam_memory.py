"""Who wrote spam that was deleted: it counts against them for as long as if it were still there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, select

from moderate.database.schema import reservations
from moderate.database.statements import upsert
from moderate.model import Status
from moderate.store.rows import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from moderate.model import Item

#: How long after it came in deleted spam is remembered: as far back as anybody is asked about for trust.
REMEMBERED = timedelta(days=90)


def remember(conn: Connection, item: Item) -> None:
    """Keep of an item that is deleted who wrote it, as a digest, where it is spam of a verified author's."""
    if item.status is Status.SPAM and item.author_id is not None:
        row = {"name": _name(item.author_id), "expires_at": item.created_at + REMEMBERED}
        conn.execute(upsert(conn.dialect.name, reservations, "name", _later), row)


def is_remembered(conn: Connection, author_id: str, since: datetime) -> bool:
    """Whether spam of this author's was deleted that had come in after *since*."""
    known = and_(reservations.c.name == _name(author_id), reservations.c.expires_at >= since + REMEMBERED)
    return conn.execute(select(reservations.c.name).where(known)).first() is not None


def _name(author_id: str) -> str:
    return digest(f"deleted-spam:{author_id}")


def _later(new: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, Any]:
    stored = reservations.c.expires_at
    return {"expires_at": case((new["expires_at"] > stored, new["expires_at"]), else_=stored)}
