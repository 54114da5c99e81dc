"""One `INSERT … or else update` for databases that each spell it in their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import mysql, postgresql, sqlite

from moderate.database.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Table
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert


def upsert(
    dialect: str,
    table: Table,
    key: str,
    merge: Callable[[ReadOnlyColumnCollection[str, Any]], Mapping[str, Any]],
) -> Insert:
    """An insert that, where a row with the same unique *key* is there, sets what *merge* says.

    `merge` is given the columns as they would have been inserted; the table's own columns stand
    for what is there.
    """
    if dialect in MYSQL:
        change = mysql.insert(table)
        # A list, because SQLAlchemy would bring a dictionary into the order of the table's columns.
        return change.on_duplicate_key_update(list(merge(change.inserted).items()))
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(table)
    return into.on_conflict_do_update(index_elements=[table.c[key]], set_=dict(merge(into.excluded)))


def insert_unless_there(dialect: str, table: Table, key: str) -> Insert:
    """An insert that leaves a row with the same unique *key* as it is; its `rowcount` tells whether it wrote one."""
    if dialect in MYSQL:
        # With "on duplicate key" a row that is there would count as one written.
        return mysql.insert(table).prefix_with("IGNORE")
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(table).on_conflict_do_nothing(index_elements=[table.c[key]])
    # Of an insert SQLAlchemy does not keep the number otherwise, and says -1 on PostgreSQL.
    return into.execution_options(preserve_rowcount=True)
