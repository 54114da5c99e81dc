"""Brings the tables up to date: `upgrade`, `current` and `check`, for the start and the command line.

The migrations are part of the package, keep their own version table, and never look at a table of
the host. Alembic is only imported where there is something to do.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from moderate.errors import ServiceDown
from moderate.store import search
from moderate.store.outages import reason
from moderate.store.schema import metadata
from moderate.store.types import MYSQL

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection

    from moderate.store.engine import Database

VERSION_TABLE = "moderate_alembic_version"

#: The revision that this code works with; a test holds it equal to the newest migration.
HEAD = "0007"

#: Any number that no other user of advisory locks in the same database is likely to take.
_LOCK = 0x6D6F6465


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the tables up to date and return the revisions before and after.

    Two processes that start at once both succeed: one upgrades, the other waits and finds it done.
    Raises `ServiceDown` where a migration fails; where DDL is part of transactions (PostgreSQL,
    SQLite), nothing of it remains.
    """
    before = current(database)
    if before == HEAD:
        return before, HEAD
    try:
        with database.write() as conn:
            return _upgrade(conn), HEAD
    except SQLAlchemyError as error:
        raise ServiceDown("database", f"its tables could not be upgraded: {reason(error)}") from error


def _upgrade(conn: Connection) -> str | None:
    _lock(conn)
    before = _stamped(conn)
    if before != HEAD:
        from alembic import command

        command.upgrade(config(conn), "head")
    _unlock(conn)
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


def _lock(conn: Connection) -> None:
    """Let one process at a time go on. SQLite's write lock is held already."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    elif conn.dialect.name in MYSQL:
        conn.execute(text("SELECT GET_LOCK('moderate_migrations', 60)"))


def _unlock(conn: Connection) -> None:
    # PostgreSQL and SQLite let go at the end of the transaction.
    if conn.dialect.name in MYSQL:
        conn.execute(text("SELECT RELEASE_LOCK('moderate_migrations')"))


def _words(difference: Any) -> str:
    """One difference as Alembic reports it: a tuple, or a list of them for one column."""
    if isinstance(difference, list):
        return "; ".join(_words(part) for part in difference)
    return " ".join(str(getattr(part, "name", None) or part) for part in difference if part is not None)
