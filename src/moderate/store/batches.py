"""The progress of decisions on many items, on which workers decide some at a time.

The progress of each is a row of moderate_states. It changes in the transaction of each chunk, and is locked last, after
the rows of items, counters and tasks. So a chunk counts once, whatever becomes of its worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, insert, select, update

from moderate.database.schema import states
from moderate.errors import Halted
from moderate.i18n import decode, encode
from moderate.model import NO_ITEM
from moderate.tasks.sql import enqueue

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database
    from moderate.model import NewTask


class BatchProgress(NamedTuple):
    """The progress of a batch whose items a worker decides on, some at a time."""

    batch: str
    #: The decision, or ``undo``.
    act: str
    by: str
    total: int
    #: The time of the last change.
    at: datetime
    #: ``running``, ``done``, ``stopped`` by an undo, or ``failed``: then `reason` says why.
    state: str = "running"
    decided: int = 0
    conflicts: int = 0
    reason: str | None = None

    @property
    def position(self) -> int:
        """The number of items that were dealt with."""
        return self.decided + self.conflicts

    @property
    def is_open(self) -> bool:
        """Return True for a batch that goes on as long as its task does. Operators may replay that of a failed one."""
        return self.state in {"running", "failed"}


class Batches:
    """The progress of large batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, batch: str, task: NewTask, now: datetime, *, act: str, by: str, total: int) -> BatchProgress:
        """Store a batch and the task that works on it."""
        progress = BatchProgress(batch=batch, act=act, by=by, total=total, at=now)

        def work(conn: Connection) -> None:
            conn.execute(insert(states), {"name": _state_of(batch), **_progress_columns(progress)})
            enqueue(conn, [NO_ITEM], [task], now)

        self._database.transaction(work)
        return progress

    def get(self, batch: str) -> BatchProgress | None:
        """Return the progress of a batch, None for one that was decided at once, and for an unknown one."""
        with self._database.read() as conn:
            return _progress(conn, batch)

    def stop(self, batch: str, now: datetime, state: str = "stopped", reason: str | None = None) -> None:
        """End a batch that is not done. Chunks that are being decided are done first, or not at all."""

        def work(conn: Connection) -> None:
            progress = _progress(conn, batch, locks=True)
            if progress is not None and progress.is_open:
                _store(conn, progress._replace(state=state, reason=reason, at=now))

        self._database.transaction(work)

    def forget(self, before: datetime) -> None:
        """Delete the progress of batches that ended before then; their decisions can be undone as before.

        That of a failed one stays, because its task may be replayed.
        """
        is_over = states.c.value["state"].as_string().in_(("done", "stopped"))
        old = select(states.c.name).where(states.c.name.startswith(_state_of("")), states.c.at < before, is_over)
        with self._database.read() as conn:
            names = conn.execute(old).scalars().all()
        if names:
            self._database.transaction(lambda conn: conn.execute(delete(states).where(states.c.name.in_(names))))


def count_chunk(conn: Connection, batch: str, position: int, now: datetime, *, decided: int, conflicts: int) -> None:
    """Count a chunk as the last step of its transaction; *position* is the number of items before it.

    Raises `Halted` where the batch was stopped or has moved on.
    """
    progress = _progress(conn, batch, locks=True)
    if progress is None or not progress.is_open or progress.position != position:
        raise Halted
    now_at = progress._replace(
        decided=progress.decided + decided, conflicts=progress.conflicts + conflicts, reason=None, at=now
    )
    _store(conn, now_at._replace(state="running" if now_at.position < progress.total else "done"))


def _progress(conn: Connection, batch: str, *, locks: bool = False) -> BatchProgress | None:
    query = select(states.c.value, states.c.at).where(states.c.name == _state_of(batch))
    row = conn.execute(query.with_for_update() if locks else query).first()
    if row is None:
        return None
    return BatchProgress(**{**row.value, "reason": decode(row.value["reason"])}, batch=batch, at=row.at)


def _store(conn: Connection, progress: BatchProgress) -> None:
    conn.execute(update(states).where(states.c.name == _state_of(progress.batch)).values(_progress_columns(progress)))


def _progress_columns(progress: BatchProgress) -> dict[str, Any]:
    value = progress._asdict()
    del value["batch"], value["at"]
    return {"value": {**value, "reason": encode(progress.reason)}, "at": progress.at}


def _state_of(batch: str) -> str:
    return f"batch:{batch}"
