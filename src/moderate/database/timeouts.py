"""Time-outs of connections: for locks, between two tries, and for answers of the server."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager, suppress
from secrets import SystemRandom
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError

from moderate.database.outages import TIMED_OUT
from moderate.database.schema import MYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sqlalchemy.engine import Connection, Engine


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
    with pragma_cursor(conn) as cursor:
        (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    try:
        yield
    finally:
        if not conn.closed and not conn.invalidated:
            with pragma_cursor(conn) as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def pragma_cursor(conn: Connection) -> Iterator[Any]:
    """Yield a cursor of the driver's own: SQLAlchemy would begin a transaction."""
    cursor = conn.connection.cursor()
    try:
        yield cursor
    finally:
        cursor.close()


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
