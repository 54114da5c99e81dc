"""Which errors of a database driver mean that the database is not there, and what to say about it."""

from __future__ import annotations

import re

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

#: SQLSTATE of PostgreSQL and error numbers of MySQL for a table or column that is not there.
MISSING = frozenset({"42P01", "42703", 1146, 1054})

#: Serialization failure, deadlock; MySQL: lock wait timeout, deadlock.
RACES = frozenset({"40001", "40P01", 1205, 1213})

#: What the system's own messages begin with, and nobody but a programmer can read.
NUMBERS = re.compile(r"\[Errno -?\d+\] ")


def is_outage(error: BaseException) -> bool:
    """Whether the database, its connection or its tables failed; a refused row is no outage."""
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout):
        return True
    # A bare DatabaseError is how SQLite reports a file that is damaged or no database at all.
    if type(error) is DatabaseError:
        return True
    return isinstance(error, DBAPIError) and (error.connection_invalidated or code(error) in MISSING)


def is_deadlock(error: BaseException | None) -> bool:
    """Whether the transaction only lost a race, and may succeed when it is run again."""
    return isinstance(error, DBAPIError) and code(error) in RACES


def is_locked(error: BaseException | None) -> bool:
    """Whether SQLite's one lock for writers was held by somebody else for too long."""
    return isinstance(error, DBAPIError) and "is locked" in str(error.orig)


def code(error: DBAPIError) -> str | int | None:
    """The database's own code of the error: an SQLSTATE, or MySQL's number."""
    # PyMySQL's errors have both, and MySQL's SQLSTATE leaves some of what matters here in one heap.
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0]
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def reason(error: BaseException, password: str | None = None) -> str:
    """One line for logs and moderators; never the statement, its parameters or the password."""
    if isinstance(error, PoolTimeout):
        return "all connections are in use"
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    if code(error) in MISSING or "no such table" in str(error.orig) or "no such column" in str(error.orig):
        return "its tables are missing or of another version; run `flask moderate db upgrade`"
    lines = str(error.orig).strip().splitlines()
    text = NUMBERS.sub("", lines[0])[:200] if lines else type(error.orig).__name__
    return text.replace(password, "***") if password else text
