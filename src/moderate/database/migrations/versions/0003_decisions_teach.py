"""The score of items, with the task to compute it, weights for the learned filter, and who had decided before.

With indexes to sort by the score, and for items that nobody has decided on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Column, Double, Integer, MetaData, String, Table, inspect, select, update

from moderate.database.schema import json, short_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.operations import Operations
    from sqlalchemy.engine import Connection

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: Indexes by name: the table and its columns. What is there already is left, columns too: MySQL and MariaDB keep what
#: an upgrade has made before it failed, and an operator may have made an index before without a lock.
INDEXES = {
    "ix_moderate_items_status_score_id": ("moderate_items", ["status", "score", "id"]),
    "ix_moderate_items_decided_by_kind_status_id": ("moderate_items", ["decided_by", "kind", "status", "id"]),
    "ix_moderate_items_awaiting_kind_status_id": ("moderate_items", ["awaiting", "kind", "status", "id"]),
}

#: What the 0002 of earlier checkouts made in place of the last one.
REPLACED = "ix_moderate_items_awaiting_status_id_kind"

states = Table("moderate_states", MetaData(), Column("name", String(32)), Column("value", json()))


def upgrade(op: Operations) -> None:
    """Add columns and indexes, and have the workers complete all items once more."""
    conn = op.get_bind()
    for table, column in new_columns():
        if column.name not in {there["name"] for there in inspect(conn).get_columns(table)}:
            op.add_column(table, column)
    for name, (table, parts) in INDEXES.items():
        if name not in {index["name"] for index in inspect(conn).get_indexes(table)}:
            op.create_index(name, table, parts)
    if REPLACED in {index["name"] for index in inspect(conn).get_indexes("moderate_items")}:
        op.drop_index(REPLACED, "moderate_items")
    complete_again(conn)


def new_columns() -> Iterator[tuple[str, Column[Any]]]:
    """Yield each new column with its table."""
    yield "moderate_items", Column("score", Integer(), nullable=False, server_default="0")
    yield "moderate_token_counts", Column("weight", Double(), nullable=False, server_default="0")
    yield "moderate_learned_items", Column("step", Double(), nullable=False, server_default="0")
    yield "moderate_articles", Column("links_only", Boolean())
    yield "moderate_history", Column("decided_before", short_text(255))


def complete_again(conn: Connection) -> None:
    """Let the walk that completes items begin anew. Searches rely on what it had done, so that stays as it is."""
    walk = states.c.name == "search"
    value = conn.execute(select(states.c.value).where(walk)).scalar()
    if value is not None:
        conn.execute(update(states).where(walk).values(value={**value, "upto": 0, "is_left": True}))
