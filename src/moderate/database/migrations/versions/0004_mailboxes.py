"""Who wants no more mail, and what each mailbox got lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moderate.database.types import UtcDateTime

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moderate_mailboxes",
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("unsubscribed_at", UtcDateTime),
        sa.Column("hour_at", UtcDateTime),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("digest_due", UtcDateTime),
        sa.Column("digest_at", UtcDateTime),
        sa.PrimaryKeyConstraint("key", name="pk_moderate_mailboxes"),
    )
