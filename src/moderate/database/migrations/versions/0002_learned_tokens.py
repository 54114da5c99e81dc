"""The counts of the learned filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moderate.database.types import row_id

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moderate_token_counts",
        sa.Column("token", row_id(), nullable=False, autoincrement=False),
        sa.Column("spam", sa.BigInteger, nullable=False),
        sa.Column("good", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_moderate_token_counts"),
    )
    op.create_table(
        "moderate_learned_items",
        sa.Column("item_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("is_spam", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("item_id", name="pk_moderate_learned_items"),
    )
