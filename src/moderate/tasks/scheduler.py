"""Which task is taken next, and by whom: the site's own work apart from reading other sites' pages.

Whoever sends a ping names a server on which we then wait, and it need never answer. So that no
number of such pings keeps anybody's genuine one from being read, there are several lanes for them, no
site gets two of these, what has failed before and what is looked at again after days never gets
all of them, and a ping that nobody has tried yet goes first.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.model import TASK_KINDS
from moderate.web_address import read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from moderate.model import Task
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: Seconds for which a task is a worker's own: longer than any fetch or service may take.
LEASE = 120.0

#: The first look at a ping's source.
FIRST_LOOK = "judge:ping"

#: Tasks that wait on another site's server, for up to MODERATE_FETCH_TIMEOUT each.
FETCHING = (FIRST_LOOK, "look")

#: How many of them one process does at once, and how many of these may be no first looks.
LANES = 4
LATER_LANES = 2


def take_own(desk: Desk, *, takes_over: bool = True) -> Task | None:
    """Lease one task that reads nobody's page: no flood of pings keeps a comment from its checks.

    *takes_over* includes tasks that another worker had begun and whose lease has ended.
    """
    now = desk.clock.now()
    due = desk.store.tasks.lease_due(
        now, limit=1, seconds=LEASE, without=FETCHING, known=TASK_KINDS, takes_over=takes_over
    )
    return next(iter(due), None)


@dataclass(frozen=True, slots=True)
class Held:
    """A task that this process is doing, and whose page it reads."""

    task: Task
    sites: frozenset[str]
    is_first_look: bool


class Reading:
    """The lanes of one process that read other sites' pages. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, Held] = {}
        self._is_over = False

    def take(self, desk: Desk, *, takes_over: bool = True) -> Task | None:
        """Lease the task whose turn it is; None where nothing is due that may be read now. See `take_own`."""
        with self._lock:
            if self._is_over:
                return None
            sites = frozenset[str]().union(*(held.sites for held in self._held.values()))
            task, is_first_look = lease(desk, sites, is_first_look=True, takes_over=takes_over), True
            if task is None and sum(not held.is_first_look for held in self._held.values()) < LATER_LANES:
                task, is_first_look = lease(desk, sites, is_first_look=False, takes_over=takes_over), False
            if task is not None:
                self._held[task.id] = Held(task, sites_of(desk, task), is_first_look)
            return task

    def done(self, task: Task) -> None:
        with self._lock:
            self._held.pop(task.id, None)

    def give_back(self, desk: Desk) -> None:
        """Take no more, and leave what is being read to other workers, who need not wait for the leases to end."""
        with self._lock:
            self._is_over = True
            left = [held.task for held in self._held.values()]
        give_back(desk, left)


def give_back(desk: Desk, tasks: Iterable[Task]) -> None:
    """Leave tasks that this process has begun to other workers."""
    try:
        for task in tasks:
            desk.store.tasks.retry(task, desk.clock.now(), "its worker was told to end", is_attempt=False)
    except ServiceDown as error:
        log.warning("What was being done waits until its leases end (%s).", error)


def lease(desk: Desk, sites: Collection[str], *, is_first_look: bool, takes_over: bool) -> Task | None:
    kinds = (FIRST_LOOK,) if is_first_look else FETCHING
    found = desk.store.tasks.lease_due(
        desk.clock.now(),
        limit=1,
        seconds=LEASE,
        kinds=kinds,
        not_from=sites,
        is_fresh=is_first_look,
        takes_over=takes_over,
    )
    return next(iter(found), None)


def sites_of(desk: Desk, task: Task) -> frozenset[str]:
    """Return the site of the page that a task reads, in all its spellings."""
    item = desk.store.items.get(task.item)
    address = read(item.source_url or "") if item is not None else None
    return address.sites if address else frozenset()
