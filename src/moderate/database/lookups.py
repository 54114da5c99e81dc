"""Short look-ups that every request makes, answered by SQLite's driver itself.

What SQLAlchemy does around a statement costs five times what SQLite takes to find a row by its key.
On the other databases the way to the server and back decides, and these are statements like any other.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.sql import Select
    from sqlalchemy.types import TypeEngine

    from moderate.database.engine import Database

SQLITE = sqlite.dialect()


class Lookup:
    """A select whose parameters are single values; make it once, ask it often. Safe for threads."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query

    def rows(self, database: Database, **values: Any) -> Sequence[Sequence[Any]]:
        """All rows, in the types of their columns. Failures raise `ServiceDown`."""
        if database.dialect == "sqlite":
            return self._by_driver(database, values)
        with database.read() as conn:
            return conn.execute(self._query, values).all()

    def first(self, database: Database, **values: Any) -> Sequence[Any] | None:
        rows = self.rows(database, **values)
        return rows[0] if rows else None

    def _by_driver(self, database: Database, values: dict[str, Any]) -> Sequence[Sequence[Any]]:
        text, parameters, columns = self._compiled
        given = [to_sqlite(values.get(name, default)) for name, default, to_sqlite in parameters]
        rows = database.ask_sqlite(text, given)
        if columns is None:
            return rows
        return [[of_sqlite(value) for of_sqlite, value in zip(columns, row, strict=True)] for row in rows]

    @cached_property
    def _compiled(self) -> tuple[str, list[tuple[str, Any, Callable[[Any], Any]]], list[Callable[[Any], Any]] | None]:
        """The text, each parameter in order with its default, and the columns' types where any needs a change."""
        compiled = self._query.compile(dialect=SQLITE, compile_kwargs={"render_postcompile": True})
        parameters: list[tuple[str, Any, Callable[[Any], Any]]] = [
            (name, compiled.params[name], of(compiled.binds[name].type).bind_processor(SQLITE) or as_it_is)
            for name in compiled.positiontup or ()
        ]
        columns: list[Callable[[Any], Any] | None] = [
            of(column.type).result_processor(SQLITE, None) for column in self._query.selected_columns
        ]
        changed = [column or as_it_is for column in columns] if any(columns) else None
        return str(compiled), parameters, changed


def of(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type as SQLite has it."""
    return kind.dialect_impl(SQLITE)


def as_it_is(value: Any) -> Any:
    return value
