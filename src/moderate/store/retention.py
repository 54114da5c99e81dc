"""Forgets what has been kept for long enough. See `moderate.ports.Store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select, update

from moderate.store.moves import remove
from moderate.store.reads import find_item
from moderate.store.schema import history, items

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from moderate.model import Status
    from moderate.store.engine import Database

#: Items in one transaction: a clean-up must not keep readers and writers waiting.
BATCH = 100


class Retention:
    """What is removed, and how much at a time."""

    database: Database

    def forget_clients(self, *, ip_before: datetime | None, user_agent_before: datetime | None) -> int:
        """Empty the IP addresses, and the user agents and referrers, of items that came in before then."""
        return sum(
            (
                self._empty({"ip": None}, items.c.ip.is_not(None), ip_before),
                self._empty(
                    {"user_agent": None, "referrer": None},
                    or_(items.c.user_agent.is_not(None), items.c.referrer.is_not(None)),
                    user_agent_before,
                ),
            )
        )

    def _empty(self, values: dict[str, None], filled: object, before: datetime | None) -> int:
        if before is None:
            return 0
        old = update(items).where(and_(items.c.created_at < before, filled)).values(values)  # type: ignore[arg-type]
        return self.database.transaction(lambda conn: conn.execute(old).rowcount)

    def purge(self, status: Status, before: datetime, now: datetime) -> int:
        """Delete items that have stood in *status* since before then, some at a time; returns how many."""
        with self.database.read() as conn:
            numbers = _standing_since(conn, status, before)
        return sum(self._purge_one(number, status, now) for number in numbers)

    def _purge_one(self, number: int, status: Status, now: datetime) -> bool:
        def work(conn: Connection) -> bool:
            item = find_item(conn, number)
            if item is None or item.status is not status:
                return False
            remove(conn, item, "retention", now)
            return True

        return self.database.transaction(work)


def _standing_since(conn: Connection, status: Status, before: datetime) -> Sequence[int]:
    """The ids of items whose last change is older than *before*."""
    last = select(func.max(history.c.at)).where(history.c.item_id == items.c.id).scalar_subquery()
    query = select(items.c.id).where(items.c.status == status.value, items.c.created_at < before, last < before)
    return list(conn.execute(query.order_by(items.c.id).limit(BATCH)).scalars())
