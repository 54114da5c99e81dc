"""SQLite: its connections' settings, and its files, with the ``-wal`` and ``-shm`` of processes that have it open."""

from __future__ import annotations

import logging
import secrets
import shutil
import sqlite3
import threading
from collections import deque
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError

from moderate.database.outages import MOVED, pause
from moderate.database.url import LOCK_SECONDS
from moderate.errors import EXPLAINED, ServiceDown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import URL, Connection, Dialect, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

    from moderate.ports import Clock

log = logging.getLogger("moderate")

#: Tries to write the ``-wal`` into the database: two processes that close it at once block each other.
FOLDS = 5

#: Seconds that a thread may wait for the others of its process without SQLite's own wait becoming shorter.
SHORT = 1.0

#: Takes the lock for writers at once, and not at the first write.
BEGIN = "BEGIN IMMEDIATE"

#: Tries to switch to WAL while others do the same.
SWITCHES = 10

#: Bytes that a long comment with its entries in the indexes may need.
ROOM = 262_144


#: Seconds between two looks whether the database is still where it was.
LOOK_EVERY = 0.5

#: Looks for damage of the file; see `damage`.
INTEGRITY = "PRAGMA integrity_check(3)"

#: The keys in a connection's ``info`` for the identities of the files that it has open.
OPENED = "moderate_opened"
WAL = "moderate_wal"
SHM = "moderate_shm"

#: The key for how often files had been moved when the connection was opened.
MOVES = "moderate_moves"


def listen_on_sqlite(engine: Engine, synchronous: Literal["full", "normal"]) -> None:
    """Set what each new connection needs."""

    @event.listens_for(engine, "connect")
    def configure(raw: Any, _entry: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, too late and without the lock for writers.
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}")
        _write_ahead(raw)
        raw.execute(f"PRAGMA synchronous = {synchronous}")
        raw.execute("PRAGMA foreign_keys = ON")


class WriterQueue:
    """Has the threads of one process write one after another, in the order in which they came.

    Threads that meet at SQLite's own lock sleep up to 100 ms at a time, and the next one may be any of them. And where
    one begins to write before the last one's checkpoint is done, the ``-wal`` grows, with a checkpoint at each commit.
    """

    def __init__(self, clock: Clock | None) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        #: A lock for each thread, the first of which writes now; the others wait until theirs is released.
        self._queue: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self, patience: float | None) -> Iterator[float | None]:
        """Wait for this thread's turn, which is the block, and yield what is left of *patience* for SQLite's own lock.

        None is the time that the connection waits anyway.
        """
        mine = threading.Lock()
        mine.acquire()
        try:
            with self._guard:
                self._queue.append(mine)
                is_first = self._queue[0] is mine
            yield patience if is_first else self._wait(mine, patience)
        finally:
            with self._guard:
                # A signal's handler may have raised an exception before it was added.
                if mine in self._queue:
                    was_first = self._queue[0] is mine
                    self._queue.remove(mine)
                    if was_first and self._queue:
                        self._queue[0].release()

    def _wait(self, mine: threading.Lock, patience: float | None) -> float | None:
        began, longest = self._now(), LOCK_SECONDS if patience is None else patience
        if not mine.acquire(timeout=longest):
            error = sqlite3.OperationalError("database is locked")
            raise DBAPIError.instance(BEGIN, None, error, sqlite3.Error)
        waited = self._now() - began
        return patience if patience is None and waited < SHORT else max(0.0, longest - waited)

    def _now(self) -> float:
        return self._clock.monotonic() if self._clock is not None else 0.0


def begin_immediate(conn: Connection) -> None:
    """Take SQLite's write lock before anything is read, also on an engine of the host.

    A transaction that reads first and writes later fails at once with "database is locked" where another has
    written in between, and no timeout helps. By the driver itself, for speed; errors are those of SQLAlchemy.
    """
    raw: Any = conn.connection.dbapi_connection
    if getattr(raw, "in_transaction", True):
        return
    try:
        raw.execute(BEGIN)
    except sqlite3.Error as error:
        raise DBAPIError.instance(BEGIN, None, error, sqlite3.Error) from error


def _write_ahead(raw: Any) -> None:
    """Switch to WAL, which SQLite refuses without waiting while another process does the same."""
    for _ in range(SWITCHES):
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                # It can be read as it is.
                return
            if "locked" not in str(error):
                raise
            # Waits for the lock, which the pragma does not do.
            raw.execute("BEGIN EXCLUSIVE")
            raw.execute("COMMIT")
        else:
            return


def file_of(url: URL) -> Path | None:
    """Return the path of an SQLite database, or None for one in memory."""
    name = url.database or ":memory:"
    if name.startswith("file:"):
        parts = urlsplit(name)
        name = ":memory:" if "mode=memory" in parts.query else unquote(parts.path)
    return None if name in {"", ":memory:"} else Path(name).absolute()


def beside(path: Path, ending: str) -> Path:
    """Return the path of the file that SQLite keeps beside a database: ``-wal``, ``-shm`` or ``-journal``.

    It lies beside the file itself, wherever a symbolic link to it is.
    """
    path = path.resolve()
    return path.with_name(path.name + ending)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 where there is none."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def damage(found: Iterable[Sequence[Any]]) -> str:
    """Return the damage among the rows that `INTEGRITY` has given; an empty text where there is none."""
    words = "; ".join(" ".join(str(row[0]).split()) for row in found)
    return "" if words == "ok" else words


def refuse_full_disk(path: Path | None) -> None:
    """Raise `ServiceDown` where the disk of a database has no room for a long comment.

    A small test write would not show it: it may fit into the free part of the ``-wal``.
    """
    with suppress(OSError):
        if path is not None and shutil.disk_usage(path.parent).free < ROOM:
            raise ServiceDown("database", f"the disk of {path} is full", kind=EXPLAINED)


def fold_in(path: Path | None) -> None:
    """Write the rest of the ``-wal`` into the database and remove it, so that the one file is complete.

    SQLite does this by itself when the last connection is closed, unless another process closes its last
    one at the same moment: then the files beside stay, with or without content. They stay too where the file
    cannot be written or others have it open.
    """
    for attempt in range(1, FOLDS + 1):
        if path is None or identity(beside(path, "-wal")) is None:
            return
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pause(attempt)


def identity(path: Path) -> tuple[int, int] | None:
    """Return a key that differs for another file of the same name, None for no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class FileWatch:
    """Closes connections of an engine to a file that was moved or replaced while they were open.

    They would go on writing into the moved file, and SQLite would use their ``-wal`` for the new one.
    Listens to the engine's pool; a look at the folder at most every `LOOK_EVERY` seconds.
    """

    def __init__(self, engine: Engine, path: Path, clock: Clock | None) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = float("-inf")
        #: What was there at the last look, and when a connection was last handed out.
        self._now: tuple[int, int] | None = None
        self._there: tuple[int, int] | None = None
        self._reported: tuple[int, int] | None = None
        #: Connections from before the last one that was left have lost their ``-wal``, also if the file is there again.
        self._moves = 0
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "checkout", self._checked_out)

    def _before_connect(self, _dialect: Dialect, entry: Any, _args: Any, _parameters: Any) -> None:
        """Note which file is there, and keep SQLite from making an empty one where the database has been before."""
        entry.info[OPENED] = identity(self._path)
        if entry.info[OPENED] is None and self._there is not None:
            raise sqlite3.OperationalError(MOVED)

    def _connected(self, _raw: Any, entry: ConnectionPoolEntry) -> None:
        if entry.info[OPENED] is None:
            entry.info[OPENED] = identity(self._path)
        entry.info[MOVES] = self._moves
        entry.info[WAL] = identity(beside(self._path, "-wal"))
        entry.info[SHM] = identity(beside(self._path, "-shm"))
        # Was it replaced while it was being opened?
        self._looked_at = float("-inf")

    def _checked_out(self, raw: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Replace a connection to another file than the one that is there. Raises OperationalError for none."""
        now = self._clock.monotonic() if self._clock is not None else float("inf")
        if now - self._looked_at >= LOOK_EVERY:
            self._now, self._looked_at = identity(self._path), now
        opened, there = entry.info[OPENED], self._now
        if there == opened:
            self._there = opened
            if entry.info[MOVES] != self._moves:
                raise DisconnectionError(MOVED)
            return
        self._leave(raw, entry)
        if there is None:
            raise sqlite3.OperationalError(MOVED)
        raise DisconnectionError(MOVED)

    def _leave(self, raw: Any, entry: ConnectionPoolEntry) -> None:
        """Write the ``-wal`` into the file that it belongs to, and remove it from beside the new one."""
        self._moves += 1
        if self._reported != entry.info[OPENED]:
            self._reported = entry.info[OPENED]
            log.warning(
                "%s was moved or replaced while the site runs. What was written before is in the file that was there.",
                self._path,
            )
        with suppress(sqlite3.Error):
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path = self._path.resolve()
        aside = path.with_name(f"{path.name}.replaced-{secrets.token_hex(4)}")
        for ending, known in (("-wal", entry.info[WAL]), ("-shm", entry.info[SHM])):
            left = beside(self._path, ending)
            if known is None or identity(left) != known:
                continue
            with suppress(OSError):
                # Others may not have noticed yet, and still write there.
                if ending == "-wal" and size_of(left):
                    left.rename(beside(aside, ending))
                else:
                    left.unlink()
