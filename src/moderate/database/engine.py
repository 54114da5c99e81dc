"""One `Database` for each app: its engine, transactions, retries and outages."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.pool import Pool, SingletonThreadPool, StaticPool

from moderate.database.outages import (
    ENCODING,
    IDS,
    is_deadlock,
    is_explained,
    is_locked,
    is_lost,
    is_outage,
    is_silence,
    limit_answers,
    may_run_again,
    pause,
    reason,
    redact,
    server_patience,
    sqlite_patience,
    wrote_nothing,
)
from moderate.database.queries import Kept, Queries
from moderate.database.repairs import gave_no_id, raise_sequences
from moderate.database.sqlite import FileWatch, WriterQueue, begin_immediate, file_of, fold_in, listen_on_sqlite
from moderate.database.url import (
    ADDRESSES,
    EXTRAS,
    ConnectionOptions,
    is_memory,
    options_of,
    read_address,
    refuse_unknown,
)
from moderate.errors import EXPLAINED, ConfigError, ServiceDown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import ExceptionContext

    from moderate.ports import Clock

log = logging.getLogger("moderate")

T = TypeVar("T")

#: Tries of a transaction that lost a race, before it counts as an outage.
ATTEMPTS = 10

#: The same for "database is locked" on an SQLite engine of the host, whose own time-out applies.
LOCK_ATTEMPTS = 3

#: The key in a connection's ``info`` by which a transaction notes that it has written tasks which are due.
DUE = "moderate_due"

#: A context that changes nothing.
NOTHING = nullcontext()

#: The kind of an outage in which a commit was sent and its outcome is not known.
UNSURE = "unsure"

#: The key in a request's scope for the words of a time-out of the database.
SILENT = "moderate.silent"

ENGINES = (
    "accepted is an SQLAlchemy engine (not an async one), a callable without arguments that returns one, "
    "such as engine=lambda: db.engine, or a database's address"
)


class Stale(Exception):
    """Raised within `Database.transaction` where the row was no longer as it was read.

    The transaction is rolled back and run again on what is there now.
    """


class Reading(Connection):
    """A connection for statements that only read, each on its own.

    A pooled connection may have been lost while it was idle. As no statement depends on one before it, the one that
    finds this out is run again on a new connection, once.
    """

    def execute(self, *args: Any, **options: Any) -> Any:
        return self._run(super().execute, *args, **options)

    def exec_driver_sql(self, *args: Any, **options: Any) -> Any:
        return self._run(super().exec_driver_sql, *args, **options)

    def _run(self, execute: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return execute(*args, **options)
        except DBAPIError as error:
            if not may_run_again(error):
                raise
            self.invalidate(error)
        self.rollback()
        return execute(*args, **options)


class Engines(NamedTuple):
    """One engine with the options of each use, which cost as much as a short query to make."""

    plain: Engine
    reading: Engine
    writing: Engine
    #: None where SQLAlchemy runs all statements.
    queries: Queries | None


class Database:
    """The engine and the two ways to use it: `read` and `write` (or `transaction`, which retries).

    *source* is a database URL, an engine, or a callable without arguments that returns one and is
    asked when first needed (a host's engine may only be there within its app context). On an
    engine of the host no events are set, and its pragmas are as before after each transaction.
    """

    def __init__(
        self,
        source: str | URL | Engine | Callable[[], Engine],
        *,
        sqlite_synchronous: Literal["full", "normal"] = "full",
        clock: Clock | None = None,
        options: ConnectionOptions | None = None,
    ) -> None:
        self._source = source
        self._options = options or ConnectionOptions()
        self._synchronous = sqlite_synchronous
        self._clock = clock
        self._engines: Engines | None = None
        self._resolving = threading.Lock()
        # The one connection of an in-memory database serves one thread at a time.
        self._turn: AbstractContextManager[Any] = nullcontext()
        #: Keeps the threads that write in a queue, where the database needs that.
        self._writers: Callable[[float | None], AbstractContextManager[float | None]] = nullcontext
        #: Called after each commit that left tasks which are due.
        self.on_due: Callable[[], object] = lambda: None
        #: Returns the values of the current request, None outside of requests. Within a request, a database that timed
        #: out is not used again, because a page makes several queries, and each would wait as long.
        self.scope: Callable[[], MutableMapping[Any, Any] | None] = lambda: None
        #: A number that grows while the database works, roughly: threads count without a lock.
        #: After a failed write it grows with the next one that succeeds: reading may work all the while.
        self.done = 0
        self._write_failed = False
        #: Another object after each commit.
        self.last_commit = object()
        _databases.add(self)

    @property
    def is_ours(self) -> bool:
        """True for an engine that was made here, False for the host's."""
        return isinstance(self._source, str | URL)

    @property
    def engine(self) -> Engine:
        return (self._engines or self._resolve()).plain

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql``, ``mysql`` or ``mariadb``."""
        return (self._engines or self._resolve()).plain.dialect.name

    def _resolve(self) -> Engines:
        """Make the engine, or ask the host for it, at the first use; other threads wait for this one."""
        with self._resolving:
            if self._engines is None:
                self._engines = self._make_engines()
        return self._engines

    def _make_engines(self) -> Engines:
        if isinstance(self._source, str | URL):
            engine = make_engine(self._source, self._synchronous, self._options, self._clock)
        else:
            engine = self._source if isinstance(self._source, Engine) else self._source()
            if not isinstance(engine, Engine) or engine.dialect.is_async:
                raise ConfigError("Moderate(engine=…)", type(engine), ENGINES)
        if isinstance(engine.pool, StaticPool):
            self._turn = threading.Lock()
        elif self.is_ours and engine.dialect.name == "sqlite":
            self._writers = WriterQueue(self._clock).turn
        reading = writing = engine
        if engine.dialect.name == "postgresql":
            # Spares the round trips for BEGIN and ROLLBACK around each single statement that reads.
            if not self.is_ours:
                reading = engine.execution_options(isolation_level="AUTOCOMMIT")
            # The level that the transactions are written for. At the stricter levels of some hosts, those that change
            # the counters of one article at once would fail, and run again and again.
            writing = engine.execution_options(isolation_level="READ COMMITTED")
        queries = None
        if engine.dialect.name == "sqlite" or (engine.dialect.name == "postgresql" and self.is_ours):
            total = self._options.pool_size + self._options.max_overflow
            queries = Queries(reading, self._clock, total if self.is_ours else 0)
        if self.is_ours:
            # For apps that are discarded without `dispose`, and for the end of the process.
            weakref.finalize(self, queries.dispose if queries else engine.dispose)
        return Engines(engine, reading, writing, queries)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading. Each statement sees what was committed when it began."""
        engines = self._engines or self._resolve()
        if engines.queries:
            engines.queries.make_room()
        with self._turn, self._translated(), self._connection(engines.reading, Reading) as conn:
            yield conn

    @contextmanager
    def _connection(self, engine: Engine, kind: type[Connection] = Connection) -> Iterator[Connection]:
        """Yield a connection that returns to the pool after the block, unless it has become useless.

        A connection on which the server refuses writes is dropped with the rest of the pool: after a
        failover the server that was demoted may keep its sessions, and only a new connection leads elsewhere.
        One whose pool was disposed of meanwhile is closed, as nothing would close it later.
        """
        pool = engine.pool
        with kind(engine) as conn:
            try:
                yield conn
            except DBAPIError as error:
                if is_lost(error):
                    conn.invalidate(error)
                    # An engine of the host; another thread may have replaced its pool already.
                    if engine.pool is pool and not error.connection_invalidated:
                        engine.dispose()
                raise
            finally:
                if engine.pool is not pool and self.is_ours and not conn.invalidated:
                    conn.detach()

    def ask(self, text: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Return all rows of one query, which is in the driver's own form; see `moderate.database.statements`.

        By the driver itself where that needs no transaction: what SQLAlchemy does around it takes longer.
        """
        engines = self._engines or self._resolve()
        if engines.queries and (engines.plain.dialect.name == "sqlite" or not is_heard(engines.plain)):
            with self._turn, self._translated():
                rows = engines.queries.rows(text, parameters)
            if rows is not None:
                return rows
        with self.read() as conn:
            return conn.exec_driver_sql(text, parameters).fetchall()

    @contextmanager
    def write(self, patience: float | None = None, *, is_single: bool = False) -> Iterator[Connection]:
        """Yield a connection in one transaction, committed at the end of the block and rolled back by any exception.

        *patience* bounds the seconds for which it waits for the locks of other writers; *is_single* as `transaction`.
        """
        engines = self._engines or self._resolve()
        engine = engines.reading if is_single else engines.writing
        is_sqlite = engine.dialect.name == "sqlite"
        kept = engines.queries if self.is_ours and engine is engines.reading else None
        if engines.queries and not kept:
            engines.queries.make_room()
        with (
            self._turn,
            self._translated(is_write=True),
            self._writers(patience) as left,
            kept.connection() if kept else self._connection(engine) as conn,
            NOTHING if left is None or not is_sqlite else sqlite_patience(conn, left),
            NOTHING if is_single else conn.begin(),
            NOTHING if left is None or is_sqlite else server_patience(conn, left),
        ):
            if is_sqlite:
                begin_immediate(conn)
            info = conn.info
            info[DUE] = False
            yield conn
            is_due = info.get(DUE)
        self.last_commit = object()
        if is_due:
            self.on_due()

    def transaction(self, work: Callable[[Connection], T], *, is_single: bool = False) -> T:
        """Run *work* in one transaction, again where it lost a race (a lock, a deadlock, `Stale`).

        *work* may therefore be called more than once and must have no other effect. Between two tries there is a short
        pause of random length. Raises `ServiceDown` after `ATTEMPTS` lost races. *is_single* says that on PostgreSQL it
        writes by one statement, its last one, which then needs no round trips to begin and commit.
        """
        dialect = (self._engines or self._resolve()).writing.dialect
        # A statement by itself runs at the server's own level, which is known once there was a connection.
        level = getattr(dialect, "default_isolation_level", None)
        is_single &= dialect.name == "postgresql" and level == "READ COMMITTED"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._commit_once(work, None, is_single=is_single)
            except Stale:
                pass
            except ServiceDown as error:
                if not self._may_try_again(error.__cause__, attempt):
                    raise
            pause(attempt)
        raise ServiceDown("database", "others change the same rows faster than they can be read")

    def promptly(self, work: Callable[[Connection], T], patience: float = 0.0) -> T:
        """Run *work* in one transaction, without retrying lost races, and wait at most *patience* seconds for locks.

        For writes during a page view: raises `ServiceDown` where it cannot be written now.
        """
        return self._commit_once(work, patience)

    def _commit_once(self, work: Callable[[Connection], T], patience: float | None, *, is_single: bool = False) -> T:
        """Run *work* in one transaction, and once more if its connection was lost before the commit.

        Once a commit has been sent, only the server knows its outcome: running *work* again could store
        everything twice, so `ServiceDown` of the kind `UNSURE` is raised instead.
        """
        for is_last in (False, True):
            is_committing = False
            try:
                with self.write(patience, is_single=is_single) as conn:
                    # A single statement may be committed although its connection is lost.
                    is_committing = is_single
                    result = work(conn)
                    is_committing = True
            except ServiceDown as error:
                is_committing &= not wrote_nothing(error.__cause__)
                if is_committing and may_run_again(error.__cause__):
                    error.kind = UNSURE
                if is_last or is_committing or not may_run_again(error.__cause__):
                    raise
            else:
                return result
        raise AssertionError("unreachable")

    def _may_try_again(self, cause: BaseException | None, attempt: int) -> bool:
        if is_locked(cause):
            # Where this was a full wait for the lock, another one would take too long.
            return not self.is_ours and attempt < LOCK_ATTEMPTS
        if gave_no_id(cause):
            return attempt == 1 and self._have_ids_caught_up()
        return is_deadlock(cause) and attempt < ATTEMPTS

    def _have_ids_caught_up(self) -> bool:
        """Correct sequences that are behind their rows, as after a restore of rows alone, and log a warning."""
        with self.write() as conn:
            tables = ", ".join(raise_sequences(conn))
        if tables:
            log.warning("The sequences of these tables were behind their rows and were set right: %s", tables)
        return bool(tables)

    @contextmanager
    def unhurried(self) -> Iterator[Database]:
        """Yield the same database without a time limit for answers, for work that may take minutes."""
        if not self.is_ours or self.dialect == "sqlite":
            yield self
            return
        options = self._options._replace(answer_timeout=0)
        database = Database(self._source, clock=self._clock, options=options)
        try:
            yield database
        finally:
            database.dispose()

    def close_connections(self) -> None:
        """Close the idle connections of an engine that was made here; a database in memory stays."""
        if self._engines is not None and self.is_ours and not is_memory(self._engines.plain.url):
            (self._engines.queries or self._engines.plain).dispose()

    def dispose(self) -> None:
        """Close all pooled connections of an engine that was made here, and write an SQLite file's ``-wal`` into it."""
        if self._engines is not None and self.is_ours:
            engine = self._engines.plain
            (self._engines.queries or self._engines.plain).dispose()
            if engine.dialect.name == "sqlite":
                fold_in(file_of(engine.url))

    @contextmanager
    def _translated(self, *, is_write: bool = False) -> Iterator[None]:
        scope, key = self.scope(), (SILENT, id(self))
        if scope is not None and key in scope:
            raise ServiceDown("database", scope[key])
        try:
            yield
        except UnicodeError as error:
            raise ServiceDown("database", ENCODING, kind=EXPLAINED) from error
        except SQLAlchemyError as raised:
            # A statement on a lost connection wraps what the pool raises when it is asked for another one.
            wrapped = raised.orig if isinstance(raised, StatementError) else None
            cause = wrapped if isinstance(wrapped, SQLAlchemyError) else raised
            redact(raised)
            words = IDS if gave_no_id(cause) else reason(cause, self.engine.url) if is_outage(cause) else None
            if words is None:
                raise
            self._write_failed |= is_write
            if scope is not None and is_silence(cause):
                scope[key] = words
            kind = EXPLAINED if words == IDS or is_explained(cause) else ""
            raise ServiceDown("database", words, kind=kind) from cause
        self._write_failed &= not is_write
        self.done += not self._write_failed

    def forget_connections(self) -> None:
        """Drop the parent's connections in a forked child, without closing them."""
        self._resolving = threading.Lock()
        engine = self._engines.plain if self._engines else None
        if self._writers is not nullcontext:
            # Threads that are in the queue exist in the parent only.
            self._writers = WriterQueue(self._clock).turn
        # A database in memory exists in this connection only.
        if engine is not None and not isinstance(engine.pool, StaticPool | SingletonThreadPool):
            # The host's own engine too: one connection serves one process.
            _of_the_parent.append(engine.pool)
            if self._engines is not None and self._engines.queries is not None:
                _of_the_parent.extend(self._engines.queries.forget())
            engine.dispose(close=False)


def is_heard(engine: Engine) -> bool:
    """Return whether somebody, such as a host's instrumentation or log, hears statements that pass SQLAlchemy."""
    listeners = engine.dispatch
    is_listening = bool(listeners.before_cursor_execute or listeners.after_cursor_execute)
    return is_listening or engine.logger.isEnabledFor(logging.INFO)


def refuse_engine(engine: object) -> None:
    """Raise `TypeError` for a host's engine that cannot be used, as far as that shows without calling it."""
    if engine is None or isinstance(engine, str | URL):
        return
    is_async = bool(getattr(getattr(engine, "dialect", None), "is_async", False))
    if is_async or isinstance(engine, type) or not (isinstance(engine, Engine) or callable(engine)):
        raise TypeError(f"Moderate(engine={type(engine).__name__}) is not usable: {ENGINES}")


def make_engine(
    source: str | URL,
    synchronous: Literal["full", "normal"],
    chosen: ConnectionOptions,
    clock: Clock | None = None,
) -> Engine:
    """Create an engine for a database address. Raises `ConfigError` for one that cannot be used."""
    url, connect_args = read_address(source)
    backend = url.get_backend_name()
    # Errors and logs show which statement failed, never its values.
    options: dict[str, Any] = {"hide_parameters": True, **options_of(url, chosen)}
    options["connect_args"] = {**options.get("connect_args", {}), **connect_args}
    if backend == "postgresql":
        # For statements that read, each on its own; transactions have another level.
        options["isolation_level"] = "AUTOCOMMIT"
    try:
        engine = create_engine(url, **options)
    except ModuleNotFoundError as error:
        hidden = url.render_as_string(hide_password=True)
        extra = EXTRAS.get(url.drivername)
        words = f"its driver is not installed; run: pip install '{extra}'" if extra else ADDRESSES
        raise ConfigError("MODERATE_DATABASE_URL", hidden, words) from error
    refuse_unknown(engine.dialect, url)

    @event.listens_for(engine, "handle_error")
    def replace_useless(context: ExceptionContext) -> None:
        """Have the pool replace all its connections, also those in use, where the server refuses writes on one."""
        if is_lost(context.sqlalchemy_exception):
            context.is_disconnect = True

    if url.get_driver_name() == "psycopg" and chosen.answer_timeout:
        limit_answers(engine, chosen.answer_timeout)
    if backend == "sqlite":
        listen_on_sqlite(engine, synchronous)
        path = file_of(url)
        if path is not None:
            FileWatch(engine, path, clock)
    return engine


#: All databases of this process.
_databases: weakref.WeakSet[Database] = weakref.WeakSet()
#: Pools and connections that belong to the parent process; referenced here, so that they are not closed.
_of_the_parent: list[Pool | Kept] = []


def _after_fork() -> None:
    for database in list(_databases):
        database.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
