"""Statements that SQLAlchemy does not provide: inserts that update, and statements that are compiled once.

What SQLAlchemy does around a statement costs five times what SQLite takes to find a row by its key, and more than
SQLite takes to insert an item. So those that requests run all the time are compiled once, and executed with the
driver's own parameters, by the driver itself.
"""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import ARRAY, bindparam, func, insert
from sqlalchemy.dialects import sqlite

from moderate.database.engine import Reading, is_heard
from moderate.database.schema import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.dialects.postgresql import Insert as OnPostgresql
    from sqlalchemy.engine import Connection, Dialect
    from sqlalchemy.sql import Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import Insert, UpdateBase
    from sqlalchemy.sql.selectable import SelectBase
    from sqlalchemy.types import TypeEngine

    from moderate.database.engine import Database

    #: From the value of a parameter to the driver's, or back from that of a column.
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
        from sqlalchemy.dialects import mysql

        change = mysql.insert(table)
        # A list, because SQLAlchemy would bring a dictionary into the order of the table's columns.
        return change.on_duplicate_key_update(list(merge(change.inserted).items()))
    into = insert_on(dialect, table)
    return into.on_conflict_do_update(index_elements=[table.c[key]], set_=dict(merge(into.excluded)))


@lru_cache
def overwrite(dialect: str, table: Table, key: str, *names: str) -> Insert:
    """Build an insert that sets the columns *names* of a row with the same unique *key* where there is one."""
    return upsert(dialect, table, key, lambda new: {name: new[name] for name in names})


def insert_unless_there(dialect: str, table: Table, key: str) -> Insert:
    """Build an insert that leaves a row with the same unique *key* as it is; its `rowcount` is 0 then, else 1."""
    if dialect in MYSQL:
        # With "on duplicate key" a row that is there would count as one written.
        return insert(table).prefix_with("IGNORE")
    into = insert_on(dialect, table).on_conflict_do_nothing(index_elements=[table.c[key]])
    # SQLAlchemy would not keep the number of an insert otherwise: it is -1 on PostgreSQL.
    return into.execution_options(preserve_rowcount=True)


def insert_on(dialect: str, table: Table) -> sqlite.Insert | OnPostgresql:
    """Build an insert on PostgreSQL or SQLite, which write the same after ``ON CONFLICT``.

    Each dialect is loaded by the sites that use it.
    """
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def new_row(table: Table, names: Iterable[str]) -> Insert:
    """Build an insert with a parameter for each of the columns *names*, called like it."""
    return insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in names})


def to_json(value: Any) -> str:
    # The lists of links and findings of most items are empty.
    return "[]" if value == [] else json.dumps(value)


SQLITE = sqlite.dialect(json_serializer=to_json)


class Compiled(NamedTuple):
    """A statement as the driver takes it, with the conversions of its parameters and columns."""

    text: str
    #: The parameters in the order of the text, each with its conversion.
    parameters: Sequence[tuple[str, Conversion | None]]
    #: The values of the parameters that the statement itself gives.
    given: Mapping[str, Any]
    is_positional: bool
    #: The conversions of columns, by their place.
    columns: Sequence[tuple[int, Conversion]]

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters as the driver takes them. Raises `KeyError` for a missing one."""
        if self.given:
            values = {**self.given, **values}
        if self.is_positional:
            return tuple([convert(values[name]) if convert else values[name] for name, convert in self.parameters])
        return {name: convert(values[name]) if convert else values[name] for name, convert in self.parameters}

    def converted(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """Return rows in the types of their columns."""
        if not self.columns:
            return rows
        lists = [*map(list, rows)]
        for row in lists:
            for at, convert in self.columns:
                row[at] = convert(row[at])
        return lists


class Prepared:
    """A statement with parameters by name, compiled once for each dialect. Safe for threads.

    Every parameter is a single value.
    """

    def __init__(self, statement: SelectBase | UpdateBase) -> None:
        self._statement = statement
        self._compiled: WeakKeyDictionary[Dialect, Compiled] = WeakKeyDictionary()

    def run(self, conn: Connection, values: Mapping[str, Any]) -> Any:
        """Execute it in the transaction of *conn*; return the driver's cursor, or what SQLAlchemy has in its place."""
        return self._execute(conn, self._for(conn.dialect), values)

    def add(self, conn: Connection, values: Mapping[str, Any]) -> int:
        """Execute an insert, and return the id of the new row."""
        cursor = self.run(conn, values)
        # SQLAlchemy has PostgreSQL return it.
        key: int = cursor.fetchone()[0] if conn.dialect.name == "postgresql" else cursor.lastrowid
        return key

    def fetch(self, conn: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Return all rows, in the types of their columns."""
        compiled = self._for(conn.dialect)
        return compiled.converted(self._execute(conn, compiled, values).fetchall())

    def _execute(self, conn: Connection, compiled: Compiled, values: Mapping[str, Any]) -> Any:
        # A connection for reading runs it again where a server has ended the session.
        is_again = isinstance(conn, Reading) and conn.dialect.name != "sqlite"
        if is_again or is_heard(conn.engine):
            return conn.exec_driver_sql(compiled.text, compiled.bound(values))
        return execute_by_driver(conn, compiled.text, compiled.bound(values))

    @cached_property
    def _on_sqlite(self) -> Compiled:
        return compiled_for(SQLITE, self._statement)

    def _for(self, dialect: Dialect) -> Compiled:
        if dialect.name == "sqlite":
            return self._on_sqlite
        found = self._compiled.get(dialect)
        if found is None:
            found = self._compiled[dialect] = compiled_for(dialect, self._statement)
        return found


class Lookup(Prepared):
    """A prepared select that needs no transaction."""

    def rows(self, database: Database, **values: Any) -> Sequence[Sequence[Any]]:
        """Return all rows, in the types of their columns. Failures raise `ServiceDown`."""
        compiled = self._for(database.engine.dialect)
        return compiled.converted(database.ask(compiled.text, compiled.bound(values)))

    def raw(self, database: Database, **values: Any) -> Sequence[Sequence[Any]]:
        """Return all rows as the driver gives them, which `typed` converts. Equal rows are of equal values."""
        compiled = self._for(database.engine.dialect)
        return database.ask(compiled.text, compiled.bound(values))

    def typed(self, database: Database, row: Sequence[Any]) -> Sequence[Any]:
        """Return a row of `raw` in the types of its columns."""
        return self._for(database.engine.dialect).converted((row,))[0]

    def first(self, database: Database, **values: Any) -> Sequence[Any] | None:
        rows = self.rows(database, **values)
        return rows[0] if rows else None


class ListLookup:
    """A select of the rows whose *column* is in a list, prepared once for lists of any length. Safe for threads."""

    def __init__(self, query: Select[Any], column: ColumnElement[Any]) -> None:
        self._query = query.where(column.in_(bindparam("wanted", expanding=True)))
        self._on_postgresql = Lookup(query.where(column == func.any(bindparam("wanted", type_=ARRAY(column.type)))))
        self._on_sqlite = lru_cache(self._for_sqlite)

    def rows(self, database: Database, wanted: list[Any]) -> Sequence[Sequence[Any]]:
        """Return all rows, as the driver gives them. Failures raise `ServiceDown`."""
        if database.dialect == "sqlite":
            return database.ask(self._on_sqlite(len(wanted)), wanted)
        if database.dialect == "postgresql":
            return self._on_postgresql.raw(database, wanted=wanted)
        with database.read() as conn:
            return conn.execute(self._query, {"wanted": wanted}).all()

    def _for_sqlite(self, number: int) -> str:
        query = self._query.params(wanted=[""] * number)
        return str(query.compile(dialect=SQLITE, compile_kwargs={"render_postcompile": True}))


def compiled_for(dialect: Dialect, statement: SelectBase | UpdateBase) -> Compiled:
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    names, binds = compiled.positiontup or compiled.params, compiled.binds
    parameters = [(name, on(dialect, binds[name].type).bind_processor(dialect)) for name in names]
    given = {name: compiled.params[name] for name in names if not binds[name].required}
    columns = [on(dialect, column.type).result_processor(dialect, None) for column in statement.exported_columns]
    converted = [(at, column) for at, column in enumerate(columns) if column]
    return Compiled(str(compiled), parameters, given, compiled.positiontup is not None, converted)


def on(dialect: Dialect, kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type as the dialect has it."""
    return kind.dialect_impl(dialect)


def execute_by_driver(conn: Connection, text: str, parameters: Any) -> Any:
    """Execute a statement by the driver itself, and return its cursor. Errors are those of SQLAlchemy."""
    raw: Any = conn.connection.dbapi_connection
    cursor = None
    try:
        cursor = raw.cursor()
        cursor.execute(text, parameters)
    except conn.dialect.loaded_dbapi.Error as error:
        # Private, but all that SQLAlchemy does after its own statements: a lost connection makes it replace the pool.
        conn._handle_dbapi_exception(error, text, parameters, cursor, None)
    return cursor
