"""Outages of the database: the errors of drivers that mean one, with advice for each, and time-outs."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping
from contextlib import closing, contextmanager, suppress
from secrets import SystemRandom
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from moderate.database.schema import MYSQL
from moderate.outbound.failures import tls_trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from sqlalchemy.engine import URL, Connection, Engine


#: SQLSTATE of PostgreSQL and error numbers of MySQL for a table or column that is not there.
MISSING = frozenset({"42P01", "42703", 1146, 1054})

#: Serialization failure, deadlock; MySQL: lock wait timeout, deadlock, the table was altered meanwhile;
#: MariaDB: changed since it was read.
RACES = frozenset({"40001", "40P01", 1205, 1213, 1412, 1020})

#: A prepared statement that is not there, is there already, or is another one: a pooler mixed connections up.
POOLED = frozenset({"26000", "42P05", "08P01"})

#: A statement or the wait for a lock took longer than the server allows (PostgreSQL; MySQL and MariaDB), or was ended.
CANCELLED = frozenset({"57014", "55P03", 1205, 1317, 1969, 3024})

POOLER = (
    "a connection pooler in transaction mode stands between, where prepared statements do not work; "
    "add ?prepare_threshold=0 to MODERATE_DATABASE_URL, or to an engine of your own "
    "connect_args={'prepare_threshold': None}"
)

#: The beginning of the system's own messages, which only a programmer can read.
NUMBERS = re.compile(r"\[Errno -?\d+\] ")

#: Values of a refused row that MySQL and MariaDB quote.
QUOTED = re.compile(r"'.*' for (key|column)")

#: Transactions are read-only; MySQL and MariaDB: the server is, or only some users may write.
READ_ONLY = frozenset({"25006", 1290, 1792, 1836})

#: MariaDB and MySQL: the server is shutting down.
CLOSING = frozenset({1053})

#: The user may not do this.
DENIED = frozenset({"42501", 1142, 1143})

#: PostgreSQL and MySQL: characters that the database's encoding does not have, or invalid ones.
FOREIGN = frozenset({"22P05", "22021", 1366})

#: MySQL and MariaDB: a column that may not be NULL would be. The package never stores NULL there.
NULLED = frozenset({1048})

ENCODING = "it is not in UTF-8 and cannot hold these characters; see 'Encodings and modes' in docs/operating.md"
MODE = "its sql_mode has EMPTY_STRING_IS_NULL; see 'Encodings and modes' in docs/operating.md"
IDS = "it gives new rows ids that are there already, or none; run: flask moderate db check --repair"

#: The error's text where SQLite's file is not there any more; see `moderate.database.sqlite`.
MOVED = "the database was moved away"

TABLES = "its tables are missing or of another version; run `flask moderate db upgrade`"

TOO_MANY = (
    "it gives no more connections: lower pool_size and max_overflow in MODERATE_DATABASE_OPTIONS, or let it give more"
)

#: Messages of PyMySQL and of `limit_answers` for a server that did not answer in time, and of psycopg
#: for one that accepted no connection.
TIMED_OUT = ("timed out", "connection timeout expired")

SILENCE = "its server did not answer in time (connect_timeout and answer_timeout in MODERATE_DATABASE_OPTIONS)"

DAMAGED = "{file} is damaged: stop the site, and restore a backup by `flask moderate restore FILE`"

#: The meaning of errors and what to do about them, by the database's own codes.
BY_CODE = (
    (MISSING, TABLES),
    (POOLED, POOLER),
    (DENIED, "its user may not do this: grant it SELECT, INSERT, UPDATE and DELETE on all tables of moderate_…"),
    (FOREIGN, ENCODING),
    (NULLED, MODE),
    (READ_ONLY, "it can only be read: is this a standby, or was it set to be read-only?"),
)

#: The same by a part of the text in lower case: for SQLite, and for servers that refuse a connection.
BY_TEXT = (
    ("too many c", TOO_MANY),
    ("remaining connection slots", TOO_MANY),
    ("max_user_connections", TOO_MANY),
    *((words, SILENCE) for words in TIMED_OUT),
    (MOVED, "{file} was moved away or deleted while the site runs: put it, or a backup, in its place"),
    ("no such table", TABLES),
    ("no such column", TABLES),
    ("database is locked", "it is locked: another process has been writing to {file} for too long"),
    ("attempt to write a readonly database", "{file} cannot be written: check the rights of the file and its folder"),
    ("disk is full", "the disk of {file} is full"),
    ("disk i/o error", "the disk of {file} takes no more: is it full, or broken?"),
    # libpq does not give the reason.
    (
        "certificate verify failed",
        "its certificate cannot be verified: it has expired, its authority is not the one in sslrootcert, "
        "or this machine's clock is wrong",
    ),
    ("disk image is malformed", DAMAGED),
    ("malformed database schema", DAMAGED),
    ("file is not a database", DAMAGED),
    ("unable to open database file", "{file} cannot be opened: its folder must exist, and both must be writable"),
)


#: Codes of errors that the driver does not call operational, and that no text of a sender can cause.
REFUSALS = MISSING | POOLED | DENIED | FOREIGN | NULLED


def is_outage(error: BaseException) -> bool:
    """Return whether the database, its connection or its tables failed; a refused row is no outage."""
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeout):
        return True
    # A bare DatabaseError is how SQLite reports a file that is damaged or no database at all.
    if type(error) is DatabaseError:
        return True
    return isinstance(error, DBAPIError) and (error.connection_invalidated or code(error) in REFUSALS)


def is_deadlock(error: BaseException | None) -> bool:
    """Return whether the transaction only lost a race, and may succeed when it is run again."""
    return isinstance(error, DBAPIError) and code(error) in RACES


def is_cancelled(error: BaseException | None) -> bool:
    """Return whether the server cancelled a statement that took too long; a smaller one may succeed."""
    return isinstance(error, DBAPIError) and code(error) in CANCELLED


def is_locked(error: BaseException | None) -> bool:
    """Return whether another connection held SQLite's one lock for writers for too long."""
    return isinstance(error, DBAPIError) and "is locked" in str(error.orig)


def is_lost(error: BaseException | None) -> bool:
    """Return whether the connection is of no more use, while a new one may be: it ended, or takes no writes."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or code(error) in READ_ONLY | CLOSING)


def is_silence(error: BaseException | None) -> bool:
    """Return whether a wait timed out: for an answer, for a new connection, or for one of the pool."""
    message = str(error.orig) if isinstance(error, DBAPIError) else ""
    return isinstance(error, PoolTimeout) or any(words in message for words in TIMED_OUT)


def may_run_again(error: BaseException | None) -> bool:
    """Return whether the same work may succeed on a new connection, without a second wait for a time-out."""
    return is_lost(error) and not is_silence(error)


def wrote_nothing(error: BaseException | None) -> bool:
    """Return whether the statement that failed was a query, or was refused by a server that takes no writes."""
    if not isinstance(error, DBAPIError):
        return False
    return code(error) in READ_ONLY or (error.statement or "").startswith("SELECT")


def code(error: DBAPIError) -> str | int | None:
    """Return the database's own code of the error: an SQLSTATE, or MySQL's number."""
    # PyMySQL's errors have both, and some that differ here have one SQLSTATE in MySQL.
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0]
    # psycopg calls it sqlstate, psycopg2 pgcode.
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state if isinstance(state, str) else None


def redact(error: BaseException) -> None:
    """Remove from an error of SQLAlchemy, and from the driver's error that it chains, all values of rows.

    Only the first line of the driver's message is left: PostgreSQL's DETAIL quotes whole rows. In it the values of the
    statement are replaced, which MySQL and triggers repeat. Both errors are changed in place, because tracebacks
    show both.
    """
    if not isinstance(error, StatementError):
        return
    # Messages that are known by their text contain no values.
    is_known = isinstance(error, DBAPIError) and hint(error) is not None
    values = [] if is_known else sorted(set(values_in(error.params)), key=len, reverse=True)
    error.hide_parameters, error.params = True, None
    for each in (error, error.orig):
        if each is not None:
            each.args = tuple(redacted(part, values) if isinstance(part, str) else part for part in each.args)


def values_in(parameters: object) -> Iterator[str]:
    """Yield all texts among the parameters of a statement but the shortest ones, and how MySQL cuts long ones."""
    if isinstance(parameters, str) and len(parameters) > 2:
        yield from (parameters, parameters[:64])
    elif isinstance(parameters, Mapping):
        yield from values_in(list(parameters.values()))
    elif isinstance(parameters, list | tuple):
        for value in parameters:
            yield from values_in(value)


def redacted(message: str, values: Sequence[str]) -> str:
    # A value may itself have several lines.
    for value in values:
        message = message.replace(value, "…")
    return QUOTED.sub(r"'…' for \1", message.partition("\n")[0])


def reason(error: BaseException, url: URL) -> str:
    """Describe an error in one line for logs and moderators, without statement, parameters or the password of *url*."""
    if isinstance(error, PoolTimeout):
        return "all connections are in use; a larger pool_size in MODERATE_DATABASE_OPTIONS gives each process more"
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    known = hint(error)
    if known:
        return known.replace("{file}", url.database or "the database")
    # PyMySQL's errors are a number and a text.
    _, *said = getattr(error.orig, "args", ()) or ("",)
    lines = str(said[0] if said else error.orig).strip().splitlines()
    text = NUMBERS.sub("", lines[0])[:200] if lines else type(error.orig).__name__
    return text.replace(url.password, "***") if url.password else text


def is_explained(error: BaseException) -> bool:
    """Return whether the reason of an error says what to do, or where to look."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout)
    return hint(error) is not None and tls_trouble(error) is None and not is_silence(error)


def hint(error: DBAPIError) -> str | None:
    """Return the meaning of a common error and what to do; None for any other.

    ``{file}`` in it is to be replaced by the database's name.
    """
    by_code = next((words for codes, words in BY_CODE if code(error) in codes), None)
    said = str(error.orig).lower()
    return by_code or tls_trouble(error) or next((words for part, words in BY_TEXT if part in said), None)


# --- time-outs -------------------------------------------------------------------------------------

#: Seconds of the first pause after a lost race, at most; each further one may be twice as long, up to the longest.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25

#: Milliseconds that PostgreSQL waits for a lock where there is to be no wait: 0 would mean for ever.
LEAST = 10

#: Seconds between two looks at the clock while psycopg waits for an answer.
BEAT = 0.1


def pause(attempt: int) -> None:
    """Wait for a random time before another try, so that two transactions do not collide again.

    Waits on an event and does not use the clock: tests move the clock by hand, but a race is one of real threads.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    threading.Event().wait(SystemRandom().uniform(0, longest))


@contextmanager
def sqlite_patience(conn: Connection, seconds: float) -> Iterator[None]:
    """Have SQLite wait for its lock no longer than *seconds* within the block. Begin the transaction inside."""
    # The driver's own cursor: SQLAlchemy would begin a transaction.
    with closing(conn.connection.cursor()) as cursor:
        (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    try:
        yield
    finally:
        if not conn.closed and not conn.invalidated:
            with closing(conn.connection.cursor()) as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def server_patience(conn: Connection, seconds: float) -> Iterator[None]:
    """Have a server wait for a lock no longer than about *seconds* within the block, which is inside a transaction."""
    if conn.dialect.name == "postgresql":
        conn.execute(text(f"SET LOCAL lock_timeout = {max(LEAST, int(seconds * 1000))}"))
        yield
    elif conn.dialect.name in MYSQL:
        # In whole seconds; MySQL has no shorter wait than one.
        whole = max(math.ceil(seconds), 0 if conn.dialect.name == "mariadb" else 1)
        before = conn.execute(text("SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout")).one()
        wait_for(conn, whole, whole)
        try:
            yield
        except BaseException:
            # A connection that broke meanwhile is dropped, and its settings with it.
            with suppress(SQLAlchemyError):
                wait_for(conn, *before)
            raise
        wait_for(conn, *before)
    else:
        yield


def wait_for(conn: Connection, tables: int, rows: int) -> None:
    """Set for how many seconds MySQL and MariaDB wait for the lock of a table, and of a row."""
    conn.execute(text(f"SET SESSION lock_wait_timeout = {tables}, SESSION innodb_lock_wait_timeout = {rows}"))


def limit_answers(engine: Engine, seconds: float) -> None:
    """Have new connections of psycopg raise an error where the server has sent nothing for *seconds*.

    Neither psycopg nor the kernel notices a server that is stopped, or a proxy that accepts everything and forwards
    nothing. PyMySQL has a parameter for it.
    """
    from psycopg import Connection, OperationalError

    class Limited(Connection[Any]):
        def wait(self, gen: Generator[Any, Any, Any], *_: Any, **options: Any) -> Any:
            return super().wait(attentive(gen, self._abandon), **{**options, "interval": BEAT})

        def _abandon(self) -> None:
            self.close()
            raise OperationalError(f"the server was silent for {seconds:.0f} s ({TIMED_OUT[0]})")

    def attentive(steps: Generator[Any, Any, Any], abandon: Callable[[], None]) -> Generator[Any, Any, Any]:
        """Pass on what psycopg's steps wait for, and the outcome back to them; an empty outcome is one more beat."""
        waited, ready = 0.0, None
        while True:
            try:
                wanted = steps.send(ready)
            except StopIteration as end:
                return end.value
            ready = yield wanted
            waited = 0.0 if ready else waited + BEAT
            if waited >= seconds:
                abandon()

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _entry: Any, arguments: Any, options: Any) -> Any:
        return Limited.connect(*arguments, **options)
