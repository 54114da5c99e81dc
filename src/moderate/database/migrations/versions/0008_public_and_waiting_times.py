"""When an item became public, for feeds, and since when it waits for a moderator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moderate.database.types import UtcDateTime

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

items = sa.table(
    "moderate_items",
    sa.column("id"),
    sa.column("status"),
    sa.column("awaiting"),
    sa.column("created_at", UtcDateTime),
    sa.column("public_at", UtcDateTime),
    sa.column("waiting_since", UtcDateTime),
)
history = sa.table(
    "moderate_history", sa.column("item_id"), sa.column("at", UtcDateTime), sa.column("before"), sa.column("after")
)

INDEXES = (
    ("article_key", "kind", "status", "id"),
    ("article_key", "status", "public_at"),
    ("status", "public_at"),
    ("status", "awaiting", "waiting_since"),
)


def upgrade(op: Operations) -> None:
    op.add_column("moderate_items", sa.Column("public_at", UtcDateTime))
    op.add_column("moderate_items", sa.Column("waiting_since", UtcDateTime))
    op.execute(sa.update(items).where(items.c.status == "approved").values(public_at=arrival("approved")))
    op.execute(sa.update(items).where(items.c.awaiting == "moderator").values(waiting_since=arrival("pending")))
    for columns in INDEXES:
        op.create_index(f"ix_moderate_items_{'_'.join(columns)}", "moderate_items", list(columns))


def arrival(status: str) -> Any:
    """Return when an item last came to *status*, or when it was written where the history does not say."""
    came = sa.and_(
        history.c.item_id == items.c.id,
        history.c.after == status,
        sa.or_(history.c.before.is_(None), history.c.before != status),
    )
    return sa.func.coalesce(sa.select(sa.func.max(history.c.at)).where(came).scalar_subquery(), items.c.created_at)
