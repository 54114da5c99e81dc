"""Connections that are kept between uses, and single queries that the driver itself runs on them.

What SQLAlchemy does to take a connection from its pool and give it back takes longer than SQLite takes to find a row
by its key, and nearly half as long as it takes to store one. On PostgreSQL it is a third of a query.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from moderate.database.outages import may_run_again

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import Engine

    from moderate.ports import Clock

#: Seconds after which a connection goes back to the pool, which replaces those that are too old or to a moved file.
#: With `moderate.database.sqlite.LOOK_EVERY` it is a second until that is noticed.
KEPT = 0.5


class Kept(NamedTuple):
    """A connection with its cursor, and until when it may be kept (monotonic seconds).

    *generation* is that of the pool's connections, all of which are replaced after an outage.
    """

    conn: Connection
    cursor: Any
    generation: object
    until: float


class Queries:
    """Runs single queries on an engine, and lends its connections. Safe for threads.

    Of a pool of *total* connections a quarter is kept between uses, each for `KEPT` seconds. In the pool they count
    as used, so they are given back before another thread would wait for one; see `make_room`.
    """

    def __init__(self, engine: Engine, clock: Clock | None, total: int) -> None:
        self._engine = engine
        self._clock = clock
        self._total = total
        self._most = total // 4 if clock is not None and isinstance(engine.pool, QueuePool) else 0
        self._idle: list[Kept] = []
        self._generation = object()
        if total:
            event.listen(engine, "invalidate", self._renew)
            event.listen(engine, "engine_disposed", self._renew)

    def rows(self, text: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
        """Return all rows; None where the connection was lost, and the query may run on another one."""
        dialect = self._engine.dialect
        errors = dialect.loaded_dbapi.Error
        kept = self._take()
        try:
            kept.cursor.execute(text, parameters)
            rows: Sequence[Sequence[Any]] = kept.cursor.fetchall()
        except errors as error:
            is_lost = dialect.is_disconnect(error, kept.conn.connection.dbapi_connection, None)
            failed = DBAPIError.instance(text, None, error, errors, connection_invalidated=is_lost)
            if is_lost:
                kept.conn.invalidate(error)
            self._give_back(kept)
            if may_run_again(failed):
                return None
            if is_lost:
                # The others would be as silent.
                self._engine.dispose()
            raise failed from error
        except BaseException:
            self._give_back(kept)
            raise
        self._keep(kept)
        return rows

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection, which is kept after the block unless that failed."""
        kept = self._take()
        try:
            yield kept.conn
            # Where SQLAlchemy began a transaction for a statement that was committed by itself.
            kept.conn.rollback()
        except BaseException:
            self._give_back(kept)
            raise
        self._keep(kept)

    def make_room(self) -> None:
        """Give the connections that are kept back to the pool where all of its others are in use."""
        while self._idle and self._is_pool_empty():
            # Another thread may take it meanwhile, and gives it back by itself.
            with suppress(IndexError):
                self._give_back(self._idle.pop())

    def _give_all_back(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._give_back(self._idle.pop())

    def _is_pool_empty(self) -> bool:
        pool: Any = self._engine.pool
        in_use: int = pool.checkedout()
        return in_use >= self._total

    def _take(self) -> Kept:
        now = self._clock.monotonic() if self._clock is not None else 0.0
        try:
            kept = self._idle.pop()
        except IndexError:
            pass
        else:
            if now < kept.until and kept.generation is self._generation:
                return kept
            self._give_back(kept)
            # Those below it, which several threads at once have left, might lie there for long.
            self._give_all_back()
        generation, conn = self._generation, Connection(self._engine)
        return Kept(conn, conn.connection.cursor(), generation, now + KEPT)

    def _keep(self, kept: Kept) -> None:
        if len(self._idle) < self._most and not self._is_pool_empty():
            self._idle.append(kept)
            if kept.generation is not self._generation:
                # Disposed of meanwhile by another thread, which may have looked before.
                self._give_all_back()
        else:
            self._give_back(kept)

    def _give_back(self, kept: Kept) -> None:
        if not kept.conn.invalidated:
            kept.cursor.close()
            if kept.generation is not self._generation:
                # Perhaps to a pool that has been replaced, and nobody would close what comes back to it.
                kept.conn.detach()
        kept.conn.close()

    def _renew(self, *_: object) -> None:
        self._generation = object()

    def dispose(self) -> None:
        """Close all pooled connections of the engine."""
        self._engine.dispose()
        self._give_all_back()

    def forget(self) -> list[Kept]:
        """Return the connections that were kept, which a forked process must neither use nor close."""
        forgotten, self._idle = self._idle, []
        return forgotten
