"""All rows of ours from one database into another: the way from SQLite to PostgreSQL, and back.

Made over the metadata, so that a table which comes later is copied as well. The source is read as it
stood at one moment; the target gets everything in one transaction, or nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from moderate.errors import CopyRefused, ServiceDown
from moderate.store import migrate, search
from moderate.store.outages import reason
from moderate.store.schema import counters, items, metadata, secrets
from moderate.store.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from moderate.store.engine import Database

#: So many rows are in memory at a time.
BATCH = 500

OF_OTHER_VERSION = "{what} is at version {found}, and this program needs {head}. Run there: flask moderate db upgrade"


def copy(source: Database, target: Database, told: Callable[[int], None]) -> None:
    """Copy every row. *told* hears after each batch how many rows it had.

    The target must be empty, with or without our tables. Raises `CopyRefused`, and `ServiceDown`
    where a database fails; then nothing has been written but empty tables.
    """
    refuse_version("The site's database", migrate.current(source))
    prepare(target)
    try:
        with target.write() as into:
            _copy(source, into, told)
    except SQLAlchemyError as error:
        # A value that does not fit, or a row that somebody else has written in between.
        raise CopyRefused(
            f"The new database refused a row, so nothing was copied: {reason(error, target.engine.url)}"
        ) from error
    search.catch_up(target, most=max(1, count_rows(target)), lag=1)


def _copy(source: Database, into: Connection, told: Callable[[int], None]) -> None:
    empty(into)
    with snapshot(source) as rows:
        copied = counted(rows)
        # First, as MySQL ends a transaction there.
        go_on_counting(into, highest_ids(rows))
        for table in metadata.sorted_tables:
            copy_table(table, rows, into, told)
    refuse_difference(copied, counted(into), "The new database holds other numbers of rows than the old one")
    with snapshot(source) as later:
        now = counted(later)
    refuse_difference(copied, now, "The site was still being written to. Stop it and its workers, and run this again")


def prepare(target: Database) -> None:
    """Make our tables over there, where there are none."""
    try:
        found = migrate.current(target)
        if found is None:
            migrate.upgrade(target)
        else:
            refuse_version("The new database", found)
    except ServiceDown as error:
        raise CopyRefused(f"The new database does not work: {error.reason}") from error


def refuse_version(what: str, found: str | None) -> None:
    if found != migrate.HEAD:
        raise CopyRefused(OF_OTHER_VERSION.format(what=what, found=found or "none", head=migrate.HEAD))


def empty(conn: Connection) -> None:
    """Refuse a database that holds anything, and delete what new tables hold: secrets, and a counter of nothing."""
    new = {counters.name, secrets.name}
    full = [f"{name} ({number})" for name, number in counted(conn).items() if number and name not in new]
    if full:
        raise CopyRefused(f"The new database is not empty, so nothing was copied. Rows are in: {', '.join(full)}")
    conn.execute(delete(counters))
    conn.execute(delete(secrets))


def refuse_difference(wanted: Mapping[str, int], found: Mapping[str, int], words: str) -> None:
    differing = [f"{name}: {number}, now {found[name]}" for name, number in wanted.items() if found[name] != number]
    if differing:
        raise CopyRefused(f"{words}. Nothing was copied. ({'; '.join(differing)})")


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A connection all of whose statements see the same moment."""
    with database.read() as conn:
        if conn.dialect.name == "sqlite":
            # Neither the driver nor our engine begins a transaction for what only reads.
            conn.exec_driver_sql("BEGIN")
        else:
            conn.execution_options(isolation_level="REPEATABLE READ")
        yield conn


def count_rows(database: Database) -> int:
    """How many rows there are in all tables of ours."""
    with database.read() as conn:
        return sum(counted(conn).values())


def counted(conn: Connection) -> dict[str, int]:
    """The number of rows in each table."""
    tables = metadata.sorted_tables
    return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def copy_table(table: Table, rows: Connection, into: Connection, told: Callable[[int], None]) -> None:
    every = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=BATCH)
    with rows.execute(every) as found:
        for part in found.mappings().partitions(BATCH):
            into.execute(insert(table), [copied_row(table, row) for row in part])
            told(len(part))


def copied_row(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row as the other database takes it: each keeps the words to search for in a form of its own."""
    values = {column.name: row[column] for column in table.columns}
    return {**values, "search": search.terms_of(values)} if table is items else values


# --- ids, which are never used twice: cookies, mails and histories name them ----------------------


#: The highest id that a table has ever given, rows that were deleted since included.
HIGHEST = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = :table",
    "postgresql": "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)",
    "mysql": "SELECT auto_increment - 1 FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = :table",
}


def highest_ids(conn: Connection) -> dict[Table, int]:
    query = text(HIGHEST["mysql" if conn.dialect.name in MYSQL else conn.dialect.name])
    found = {}
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            given = conn.execute(query, parameters(query, table)).scalar() or 0
            found[table] = max(int(given), conn.execute(select(func.max(column))).scalar() or 0)
    return found


def go_on_counting(conn: Connection, highest: Mapping[Table, int]) -> None:
    """Let the next row of each table get an id that has never been given."""
    for table, number in highest.items():
        for statement in COUNT_ON["mysql" if conn.dialect.name in MYSQL else conn.dialect.name] if number else ():
            asked = text(statement.format(table=table.name, next=number + 1))
            conn.execute(asked, parameters(asked, table, number))


COUNT_ON = {
    "sqlite": (
        "DELETE FROM sqlite_sequence WHERE name = :table",
        "INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)",
    ),
    "postgresql": ("SELECT setval(pg_get_serial_sequence(:table, :column), :number)",),
    "mysql": ("ALTER TABLE {table} AUTO_INCREMENT = {next}",),
}


def parameters(statement: Any, table: Table, number: int = 0) -> dict[str, Any]:
    """What of the table's names a statement asks for."""
    column = table.autoincrement_column
    known = {"table": table.name, "column": column.name if column is not None else "", "number": number}
    return {name: known[name] for name in statement.compile().params}
