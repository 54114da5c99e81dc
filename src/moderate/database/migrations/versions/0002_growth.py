"""Indexes that keep lists fast in a table of a million items, and the task to complete its search terms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, inspect, select

from moderate.database.schema import UtcDateTime, json

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: Indexes by name: the table and its columns. One that is there already is left: an operator may have made it before
#: without a lock, and MySQL and MariaDB keep what an upgrade has made before it failed.
INDEXES = {
    "ix_moderate_items_kind_status_id": ("moderate_items", ["kind", "status", "id"]),
    "ix_moderate_items_awaiting_kind_status_id": ("moderate_items", ["awaiting", "kind", "status", "id"]),
    "ix_moderate_items_text_key_created_at_id": ("moderate_items", ["text_key", "created_at", "id"]),
}

#: The indexes that are the beginning of another one now.
REPLACED = ("ix_moderate_items_awaiting_status_id", "ix_moderate_items_text_key_created_at")

items = Table("moderate_items", MetaData(), Column("id"))
states = Table(
    "moderate_states",
    MetaData(),
    Column("name", String(32)),
    Column("value", json()),
    Column("at", UtcDateTime),
)


def upgrade(op: Operations) -> None:
    """Create the indexes, and have the workers complete the search terms of the items that are there."""
    conn = op.get_bind()
    for name, (table, columns) in INDEXES.items():
        if name not in {index["name"] for index in inspect(conn).get_indexes(table)}:
            op.create_index(name, table, columns)
    there = {index["name"] for index in inspect(conn).get_indexes("moderate_items")}
    for former in there.intersection(REPLACED):
        op.drop_index(str(former), "moderate_items")
    is_there = conn.execute(select(states.c.name).where(states.c.name == "search")).first()
    if is_there is None and conn.execute(select(items.c.id).limit(1)).first() is not None:
        row = {"name": "search", "value": {"upto": 0, "is_complete": False}, "at": datetime(1970, 1, 1, tzinfo=UTC)}
        conn.execute(states.insert(), row)
