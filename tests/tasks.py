"""Doing deferred tasks one by one, without threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.tasks.run import run
from moderate.tasks.scheduler import FetchScheduler, take_own

if TYPE_CHECKING:
    from moderate.submit.desk import Desk


def run_due(desk: Desk) -> int:
    """Do the next task; return the number of tasks done, 0 where none is due."""
    task = take_own(desk) or FetchScheduler().take(desk)
    if task is None:
        return 0
    run(desk, task)
    return 1
