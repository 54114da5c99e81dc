"""Copies of all rows from one database into another, such as from SQLite to PostgreSQL, and back.

The metadata lists the tables, so that a new table is copied as well. The source is read as of one moment; the
target gets everything in one transaction, or nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from moderate.database import migrate
from moderate.database.keys import go_on_counting, highest_ids
from moderate.database.outages import reason
from moderate.database.schema import counters, items, metadata, secrets, states
from moderate.errors import CopyRefused, ServiceDown
from moderate.store import search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database

#: Number of rows that are in memory at a time.
BATCH = 500

OF_OTHER_VERSION = "{what} is at version {found}, and this program needs {head}. {advice}"


def copy(source: Database, target: Database, progress: Callable[[int], None]) -> None:
    """Copy every row. *progress* is called after each batch with the number of its rows.

    The target must be empty, with or without the package's tables. Raises `CopyRefused`, and `ServiceDown`
    where a database fails; then nothing has been written but empty tables.
    """
    refuse_version("The site's database", migrate.current(source))
    prepare(target)
    try:
        with target.write() as into:
            _copy(source, into, progress)
    except SQLAlchemyError as error:
        # A value that does not fit, or a row that another process has written in between.
        raise CopyRefused(
            f"The new database refused a row, so nothing was copied: {reason(error, target.engine.url)}"
        ) from error
    search.update_index(target, most=max(1, count_rows(target)), lag=1)


def _copy(source: Database, into: Connection, progress: Callable[[int], None]) -> None:
    empty(into)
    with snapshot(source) as rows:
        copied = counted(rows)
        # First, as MySQL ends a transaction there.
        go_on_counting(into, highest_ids(rows))
        for table in metadata.sorted_tables:
            copy_table(table, rows, into, progress)
    refuse_difference(copied, counted(into), "The new database holds other numbers of rows than the old one")
    with snapshot(source) as later:
        now = counted(later)
    refuse_difference(copied, now, "The site was still being written to. Stop it and its workers, and run this again")


def prepare(target: Database) -> None:
    """Create the tables in the target, where there are none. Raises `CopyRefused`."""
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
        is_older = found is None or found in migrate.KNOWN
        advice = "Run there: flask moderate db upgrade" if is_older else "Copy with the flask-moderate that made it."
        raise CopyRefused(OF_OTHER_VERSION.format(what=what, found=found or "none", head=migrate.HEAD, advice=advice))


def empty(conn: Connection) -> None:
    """Delete the rows of an upgrade and of health checks. Raises `CopyRefused` where there are any others."""
    new = {counters.name, secrets.name, states.name}
    full = [f"{name} ({number})" for name, number in counted(conn).items() if number and name not in new]
    if full:
        raise CopyRefused(f"The new database is not empty, so nothing was copied. Rows are in: {', '.join(full)}")
    conn.execute(delete(counters))
    conn.execute(delete(secrets))
    conn.execute(delete(states))


def refuse_difference(wanted: Mapping[str, int], found: Mapping[str, int], words: str) -> None:
    differing = [f"{name}: {number}, now {found[name]}" for name, number in wanted.items() if found[name] != number]
    if differing:
        raise CopyRefused(f"{words}. Nothing was copied. ({'; '.join(differing)})")


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """Yield a connection all of whose statements see the same moment."""
    with database.read() as conn:
        if conn.dialect.name == "sqlite":
            # Neither the driver nor the engine begins a transaction for reading.
            conn.exec_driver_sql("BEGIN")
        else:
            conn.execution_options(isolation_level="REPEATABLE READ")
        yield conn


def count_rows(database: Database) -> int:
    """Return the number of rows in all tables together."""
    with database.read() as conn:
        return sum(counted(conn).values())


def counted(conn: Connection) -> dict[str, int]:
    """Return the number of rows in each table."""
    tables = metadata.sorted_tables
    return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def copy_table(table: Table, rows: Connection, into: Connection, progress: Callable[[int], None]) -> None:
    every = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=BATCH)
    with rows.execute(every) as found:
        for part in found.mappings().partitions(BATCH):
            into.execute(insert(table), [copied_row(table, row) for row in part])
            progress(len(part))


def copied_row(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row for the other database: the terms for searches have another form in each."""
    values = {column.name: row[column] for column in table.columns}
    return {**values, "search": search.terms_of(values)} if table is items else values
