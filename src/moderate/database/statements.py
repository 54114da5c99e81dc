"""Statements that SQLAlchemy does not provide: inserts that update, and short look-ups by SQLite's driver itself.

What SQLAlchemy does around a statement costs five times what SQLite takes to find a row by its key, so the look-ups
that every request makes go past it. On the other databases the round trip to the server decides, and these are
statements like any other.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import mysql, postgresql, sqlite

from moderate.database.schema import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.sql import Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert
    from sqlalchemy.types import TypeEngine

    from moderate.database.engine import Database

    #: From the value of a parameter to SQLite's, or back from that of a column.
    Conversion = Callable[[Any], Any]


def upsert(
    dialect: str,
    table: Table,
    key: str,
    merge: Callable[[ReadOnlyColumnCollection[str, Any]], Mapping[str, Any]],
) -> Insert:
    """Build an insert that updates a row with the same unique *key* where there is one.

    *merge* gets the columns as they would have been inserted and returns the values to set; in these the table's
    own columns are the values that are stored.
    """
    if dialect in MYSQL:
        change = mysql.insert(table)
        # A list, because SQLAlchemy would bring a dictionary into the order of the table's columns.
        return change.on_duplicate_key_update(list(merge(change.inserted).items()))
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(table)
    return into.on_conflict_do_update(index_elements=[table.c[key]], set_=dict(merge(into.excluded)))


@lru_cache
def overwrite(dialect: str, table: Table, key: str, *names: str) -> Insert:
    """Build an insert that sets the columns *names* of a row with the same unique *key* where there is one."""
    return upsert(dialect, table, key, lambda new: {name: new[name] for name in names})


def insert_unless_there(dialect: str, table: Table, key: str) -> Insert:
    """Build an insert that leaves a row with the same unique *key* as it is; its `rowcount` is 0 then, else 1."""
    if dialect in MYSQL:
        # With "on duplicate key" a row that is there would count as one written.
        return mysql.insert(table).prefix_with("IGNORE")
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    into = insert(table).on_conflict_do_nothing(index_elements=[table.c[key]])
    # SQLAlchemy would not keep the number of an insert otherwise: it is -1 on PostgreSQL.
    return into.execution_options(preserve_rowcount=True)


SQLITE = sqlite.dialect()


class Lookup:
    """A select whose parameters are single values, compiled once. Safe for threads."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query

    def rows(self, database: Database, **values: Any) -> Sequence[Sequence[Any]]:
        """Return all rows, in the types of their columns. Failures raise `ServiceDown`."""
        if database.dialect != "sqlite":
            with database.read() as conn:
                return conn.execute(self._query, values).all()
        text, parameters, columns = self._compiled
        given = []
        for name, default, to_sqlite in parameters:
            value = values.get(name, default)
            given.append(to_sqlite(value) if to_sqlite else value)
        rows = database.ask_sqlite(text, given)
        if not columns:
            return rows
        converted = [*map(list, rows)]
        for row in converted:
            for at, of_sqlite in columns:
                row[at] = of_sqlite(row[at])
        return converted

    def first(self, database: Database, **values: Any) -> Sequence[Any] | None:
        rows = self.rows(database, **values)
        return rows[0] if rows else None

    @cached_property
    def _compiled(self) -> tuple[str, list[tuple[str, Any, Conversion | None]], list[tuple[int, Conversion]]]:
        """The text, each parameter in order with its default and conversion, and the conversions of columns."""
        compiled = self._query.compile(dialect=SQLITE, compile_kwargs={"render_postcompile": True})
        parameters: list[tuple[str, Any, Conversion | None]] = [
            (name, compiled.params[name], of(compiled.binds[name].type).bind_processor(SQLITE))
            for name in compiled.positiontup or ()
        ]
        columns = [of(column.type).result_processor(SQLITE, None) for column in self._query.selected_columns]
        return str(compiled), parameters, [(at, column) for at, column in enumerate(columns) if column]


def of(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type as SQLite has it."""
    return kind.dialect_impl(SQLITE)
