"""SQLite's files: the database, and beside it the ``-wal`` and ``-shm`` of those who have it open."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from moderate.errors import ServiceDown
from moderate.store.waiting import pause

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

#: Tries to write the ``-wal`` into the database: two processes that close it at once keep each other from it.
FOLDS = 3

#: Bytes that a long comment with its entries in the indexes may need.
ROOM = 262_144


def file_of(url: URL) -> Path | None:
    """Return the path of an SQLite database, or None for one in memory."""
    name = url.database or ":memory:"
    if name.startswith("file:"):
        parts = urlsplit(name)
        name = ":memory:" if "mode=memory" in parts.query else unquote(parts.path)
    return None if name in {"", ":memory:"} else Path(name).absolute()


def beside(path: Path, ending: str) -> Path:
    """Return the path of the file that SQLite keeps beside a database: ``-wal``, ``-shm`` or ``-journal``."""
    return path.with_name(path.name + ending)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 where there is none."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def refuse_full_disk(path: Path | None) -> None:
    """Raise `ServiceDown` where the disk of a database has no room for a long comment.

    A small write alone would not tell: it may fit into what the ``-wal`` has left.
    """
    with suppress(OSError):
        if path is not None and shutil.disk_usage(path.parent).free < ROOM:
            raise ServiceDown("database", f"the disk of {path} is full")


def fold_in(path: Path | None) -> None:
    """Write what is left in the ``-wal`` into the database, so that the one file is whole.

    SQLite does this by itself when the last connection is closed, unless another process closes its last
    one at the same moment. Does nothing where the file cannot be written or others keep it busy.
    """
    for attempt in range(1, FOLDS + 1):
        if path is None or not size_of(beside(path, "-wal")):
            return
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pause(attempt)
