"""Nearly equal texts, bursts and waves of spam, the spam service's account, and what was not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moderate.database.types import UtcDateTime, exact, json, row_id

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    add_to_items(op)
    op.create_table(
        "moderate_bursts",
        sa.Column("name", exact(96), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.Column("first_item", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_moderate_bursts"),
    )
    op.create_index("ix_moderate_bursts_started_at", "moderate_bursts", ["started_at"])
    op.create_table(
        "moderate_waves",
        sa.Column("id", row_id(), nullable=False, autoincrement=True),
        sa.Column("open_key", sa.String(8)),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_moderate_waves"),
        sa.UniqueConstraint("open_key", name="uq_moderate_waves_open_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "moderate_account_notes",
        sa.Column("topic", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("told_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_moderate_account_notes"),
    )


def add_to_items(op: Operations) -> None:
    """Earlier items have none of it: what came days ago is no flood of today."""
    op.add_column("moderate_items", sa.Column("skipped", json()))
    op.add_column("moderate_items", sa.Column("simhash", sa.BigInteger))
    for number in range(1, 5):
        op.add_column("moderate_items", sa.Column(f"near_{number}", sa.Integer))
        op.create_index(f"ix_moderate_items_near_{number}_id", "moderate_items", [f"near_{number}", "id"])
