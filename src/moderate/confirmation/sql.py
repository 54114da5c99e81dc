"""Whose a comment is, once its e-mail address was confirmed. See `moderate.ports.Store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, update

from moderate.database.schema import items
from moderate.store.reads import find_item

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database
    from moderate.model import Item


class Confirmations:
    """One column of one item. Neither its text nor its status moves, so that its version and history stay."""

    database: Database

    def confirm(self, item_id: int, author_id: str) -> Item | None:
        """See the port."""
        unknown = and_(items.c.id == item_id, items.c.author_id.is_(None))

        def work(conn: Connection) -> Item | None:
            conn.execute(update(items).where(unknown).values(author_id=author_id))
            return find_item(conn, item_id)

        return self.database.transaction(work)
