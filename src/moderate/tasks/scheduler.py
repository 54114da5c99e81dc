"""The scheduler: which task a thread takes next.

A ping names a server that we then wait for, and that need never answer. So that no number of such pings delays the
site's own tasks or a genuine ping:

- tasks that fetch pages run apart from the site's own tasks, at most `MAX_FETCHES` at a time in each process;
- at most one of them is about a page of any one site;
- at most `MAX_LATER_FETCHES` of them are retries or later looks at a source, and first looks go first.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moderate.errors import ServiceDown
from moderate.model import FIRST_LOOK, TASK_KINDS
from moderate.web_address import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.model import Task
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: Seconds of a task's lease: longer than any fetch or service may take.
LEASE = 120.0

#: The kinds of tasks that wait for another site's server, up to MODERATE_FETCH_TIMEOUT each.
FETCHING = (FIRST_LOOK, "look")

MAX_FETCHES = 4
MAX_LATER_FETCHES = 2


def take_own(desk: Desk, *, takes_over: bool = True) -> Task | None:
    """Lease one task that fetches no page; None where none is due.

    *takes_over* includes tasks that another worker had begun and whose lease has ended.
    """
    return lease(desk, without=FETCHING, known=TASK_KINDS, takes_over=takes_over)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A task that this process is doing, and the site whose page it fetches."""

    task: Task
    sites: frozenset[str]
    is_first_look: bool


class FetchScheduler:
    """The fetching tasks of one process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fetches: dict[int, Fetch] = {}
        self._is_over = False

    def take(self, desk: Desk, *, takes_over: bool = True) -> Task | None:
        """Lease the next fetching task; None where none may be done now. See `take_own` for *takes_over*."""
        with self._lock:
            if self._is_over:
                return None
            sites = frozenset[str]().union(*(fetch.sites for fetch in self._fetches.values()))
            wanted = {"not_from": sites, "takes_over": takes_over}
            task, is_first_look = lease(desk, kinds=(FIRST_LOOK,), is_fresh=True, **wanted), True
            if task is None and sum(not fetch.is_first_look for fetch in self._fetches.values()) < MAX_LATER_FETCHES:
                task, is_first_look = lease(desk, kinds=FETCHING, **wanted), False
            if task is not None:
                self._fetches[task.id] = Fetch(task, sites_of(desk, task), is_first_look)
            return task

    def done(self, task: Task) -> None:
        """Free the place of a task that has ended."""
        with self._lock:
            self._fetches.pop(task.id, None)

    def give_back(self, desk: Desk) -> None:
        """Take no more tasks, and leave those that are being done to other workers at once."""
        with self._lock:
            self._is_over = True
            left = [fetch.task for fetch in self._fetches.values()]
        give_back(desk, left)


def give_back(desk: Desk, tasks: Iterable[Task]) -> None:
    """Leave tasks that this process has begun to other workers."""
    try:
        for task in tasks:
            desk.store.tasks.retry(task, desk.clock.now(), "its worker was told to end", is_attempt=False)
    except ServiceDown as error:
        log.warning("What was being done waits until its leases end (%s).", error)


def lease(desk: Desk, **wanted: Any) -> Task | None:
    """Lease one task for the usual time; see `Tasks.lease_due` for *wanted*."""
    found = desk.store.tasks.lease_due(desk.clock.now(), limit=1, seconds=LEASE, **wanted)
    return found[0] if found else None


def sites_of(desk: Desk, task: Task) -> frozenset[str]:
    """Return the site of the page that a task reads, in all its spellings."""
    item = desk.store.items.get(task.item)
    address = read(item.source_url or "") if item is not None else None
    return address.sites if address else frozenset()
