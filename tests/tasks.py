"""Doing deferred tasks one by one, without threads, and asking when the next one may be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from moderate.database.schema import tasks
from moderate.tasks.run import run
from moderate.tasks.scheduler import FetchScheduler, OwnTasks
from moderate.tasks.sql import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from moderate.submit.desk import Desk
    from moderate.tasks.sql import Tasks


def run_due(desk: Desk) -> int:
    """Do the next task; return the number of tasks done, 0 where none is due."""
    task = OwnTasks(alone=True).take(desk) or FetchScheduler().take(desk)
    if task is None:
        return 0
    run(desk, task)
    return 1


def next_due(stored: Tasks, kinds: Iterable[str] | None = None, *, but: str = "") -> datetime | None:
    """Return when the next task may be taken, *but* for one kind, None where none is open."""
    wanted = [tasks.c.state == OPEN, tasks.c.kind != but]
    if kinds is not None:
        wanted.append(tasks.c.kind.in_(list(kinds)))
    with stored._database.read() as conn:
        due = conn.execute(select(func.min(tasks.c.due_at)).where(*wanted, tasks.c.lease_until.is_(None))).scalar()
        ends = conn.execute(select(func.min(tasks.c.lease_until)).where(*wanted)).scalar()
    return min((moment for moment in (due, ends) if moment is not None), default=None)
