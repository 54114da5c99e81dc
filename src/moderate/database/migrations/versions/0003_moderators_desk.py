"""Rules, search, undo, sessions that end, and when articles were published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moderate.database.types import UtcDateTime, exact, json, row_id, terms, words
from moderate.store import search

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    op.create_table(
        "moderate_rules",
        sa.Column("id", row_id(), nullable=False, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", exact(200), nullable=False),
        sa.Column("effect", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", words(255), nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("last_hit_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_moderate_rules"),
        sa.UniqueConstraint("kind", "value", name="uq_moderate_rules_kind_value"),
        sqlite_autoincrement=True,
    )
    op.add_column("moderate_articles", sa.Column("published_at", UtcDateTime))
    op.add_column("moderate_tokens", sa.Column("expires_at", UtcDateTime))
    op.add_column("moderate_history", sa.Column("cause", sa.String(96)))
    op.add_column("moderate_history", sa.Column("was", json()))
    op.add_column("moderate_items", sa.Column("search", terms()))
    search.create_index(op.get_bind())
