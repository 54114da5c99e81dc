"""Brings the tables up to date: `upgrade`, `current` and `check`, for the start and the command line.

The migrations are part of the package, keep their own version table, and never look at a table of
the host. Alembic is only imported where there is something to do.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from moderate.errors import ServiceDown
from moderate.store import search
from moderate.store.letters import every_word, make_fit
from moderate.store.outages import reason
from moderate.store.schema import metadata
from moderate.store.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from sqlalchemy.engine import Connection

    from moderate.store.engine import Database

VERSION_TABLE = "moderate_alembic_version"

#: The revision that this code works with; a test holds it equal to the newest migration.
HEAD = "0008"

#: Any number that no other user of advisory locks in the same database is likely to take.
_LOCK = 0x6D6F6465


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the tables up to date and return the revisions before and after.

    Two processes that start at once both succeed: one upgrades, the other waits and finds it done.
    Raises `ServiceDown` where a migration fails. Nothing of it remains; but MySQL and MariaDB cannot
    take back changes of tables, so there this holds for the first upgrade alone.
    """
    before = current(database)
    if before == HEAD:
        return before, HEAD
    try:
        with _alone(database), _taken_back(database), database.write() as conn:
            return _upgrade(conn), HEAD
    except SQLAlchemyError as error:
        raise ServiceDown("database", f"its tables could not be upgraded: {reason(error)}") from error


def _upgrade(conn: Connection) -> str | None:
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    before = _stamped(conn)
    if before != HEAD:
        from alembic import command

        with every_word(conn):
            command.upgrade(config(conn), "head")
            make_fit(conn)
    return before


def current(database: Database) -> str | None:
    """The revision of the tables as they are, None where there are none."""
    with database.read() as conn:
        return _stamped(conn)


def check(database: Database) -> list[str]:
    """What differs between the tables and this code, in words; nothing where all is well."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.read() as conn:
        context = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE, "include_name": is_ours})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            differences = compare_metadata(context, metadata)
    return [_words(difference) for difference in differences]


def config(conn: Connection) -> Config:
    """Alembic's configuration without any file, working on a connection that is open."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", "moderate:store/migrations")
    made.attributes["connection"] = conn
    return made


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Whether a table in the database is one of ours; what belongs to a table is asked for with it.

    The index for searches is each database's own, and no part of the tables as the code declares them.
    """
    return name in metadata.tables if kind == "table" else name != search.INDEX


def _stamped(conn: Connection) -> str | None:
    if not inspect(conn).has_table(VERSION_TABLE):
        return None
    return conn.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Let one process at a time go on, on MySQL and MariaDB, whose locks of tables end with each change of them.

    Held on a connection of its own until all is committed. PostgreSQL's lock is part of the transaction,
    and SQLite's one writer is alone anyway.
    """
    if database.dialect not in MYSQL:
        yield
        return
    with database.read() as conn:
        if not conn.execute(text("SELECT GET_LOCK(CONCAT('moderate_', MD5(DATABASE())), 60)")).scalar():
            raise ServiceDown("database", "another process has been upgrading its tables for a minute; try again later")
        try:
            yield
        finally:
            conn.execute(text("SELECT RELEASE_LOCK(CONCAT('moderate_', MD5(DATABASE())))"))


@contextmanager
def _taken_back(database: Database) -> Iterator[None]:
    """Where the first upgrade fails on MySQL or MariaDB, drop the tables that it has made by then."""
    if database.dialect not in MYSQL:
        yield
        return
    there = _tables(database)
    try:
        yield
    except (SQLAlchemyError, ServiceDown):
        if VERSION_TABLE not in there:
            with database.write() as conn:
                for name in {VERSION_TABLE, *metadata.tables} & (_tables(database) - there):
                    conn.execute(text(f"DROP TABLE {name}"))
        raise


def _tables(database: Database) -> set[str]:
    with database.read() as conn:
        return set(inspect(conn).get_table_names())


def _words(difference: Any) -> str:
    """One difference as Alembic reports it: a tuple, or a list of them for one column."""
    if isinstance(difference, list):
        return "; ".join(_words(part) for part in difference)
    return " ".join(str(getattr(part, "name", None) or part) for part in difference if part is not None)
