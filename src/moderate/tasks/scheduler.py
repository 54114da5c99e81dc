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
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from moderate.errors import ServiceDown
from moderate.model import FIRST_LOOK, TASK_KINDS
from moderate.web_address import read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from moderate.model import Task
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: Seconds of a task's lease: longer than any fetch or service may take.
LEASE = 120.0

#: The kinds of tasks that wait for another site's server, up to MODERATE_FETCH_TIMEOUT each.
FETCHING = (FIRST_LOOK, "look")

#: Seconds between two looks for tasks that were not announced: retries of others, leases that ended.
POLL = 5.0

#: The most tasks that are leased together, and the seconds after which those that have not begun are given back.
MOST_TOGETHER = 32
HELD = 1.0

MAX_FETCHES = 4
MAX_LATER_FETCHES = 2


class NextDue:
    """The times at which the next tasks fall due, by a look at the database that serves all threads of a process.

    The first is that of the site's own tasks, the second that of tasks that fetch pages. Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: tuple[datetime | None, datetime | None] = (None, None)
        self._until = float("-inf")

    def is_due(self, desk: Desk, *, fetching: bool) -> bool:
        """Return whether a task may be due now. Looks where the last look is `POLL` seconds old or was forgotten."""
        with self._lock:
            now = desk.clock.monotonic()
            if now >= self._until:
                # A task that is written while we look is announced, and then makes us look again.
                self._until = now + POLL
                self._times = desk.store.tasks.next_due(
                    desk.clock.now(), timedelta(seconds=POLL), seconds=LEASE, fetching=FETCHING, known=TASK_KINDS
                )
        due = self._times[fetching]
        # Later ones are those that a clock which was ahead has written.
        return due is not None and not timedelta(0) < due - desk.clock.now() < timedelta(seconds=POLL)

    def forget(self) -> None:
        """Look again at the next question: tasks were written or done."""
        self._until = float("-inf")

    def wait(self, desk: Desk, *, fetching: bool) -> float:
        """Return the seconds until a task falls due, at most `POLL`; that too where it could not be taken by now."""
        due = self._times[fetching]
        left = POLL if due is None else (due - desk.clock.now()).total_seconds()
        return left if 0 < left < POLL else POLL


class OwnTasks:
    """The site's own tasks that a process has leased, for the one thread that does them.

    While tasks take little time, several are leased together: up to `MOST_TOGETHER`, as many as were done in good
    time before. One that takes long must not keep the others from other workers: those that have not begun `HELD`
    seconds after the lease are given back. Where a process may die over one task only once (*alone*), each is leased
    on its own.
    """

    def __init__(self, *, alone: bool) -> None:
        self._most = 1 if alone else MOST_TOGETHER
        self._number = 1
        self._held: deque[Task] = deque()
        self._lease = ""
        self._since = 0.0

    def take(self, desk: Desk, *, takes_over: bool = True) -> Task | None:
        """Return the next task, None where none is due.

        *takes_over* includes tasks that another worker had begun and whose lease has ended.
        """
        waited = desk.clock.monotonic() - self._since
        if self._held and waited >= HELD:
            self.give_back(desk)
        if not self._held:
            self._lease_more(desk, waited, takes_over=takes_over)
        try:
            return self._held.popleft()
        except IndexError:
            return None

    def give_back(self, desk: Desk) -> None:
        """Leave the tasks that were not begun to other workers. Call it while none is being done."""
        if self._lease:
            desk.store.tasks.release(self._lease, [task.id for task in self._held])
        self.leave()

    def leave(self) -> None:
        """Take nothing more of this lease; the next one still ends what is done of it."""
        self._held.clear()
        self._number = 1

    def _lease_more(self, desk: Desk, waited: float, *, takes_over: bool) -> None:
        if waited >= HELD:
            self._number = 1
        self._since = desk.clock.monotonic()
        found = lease(
            desk,
            self._number,
            without=FETCHING,
            known=TASK_KINDS,
            takes_over=takes_over,
            together=self._most > 1,
            after=self._lease,
        )
        self._number = min(2 * self._number, self._most) if len(found) == self._number else 1
        self._lease = found[0].lease if found else ""
        self._held.extend(found)


class Fetch(NamedTuple):
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
        """Lease the next fetching task; None where none may be done now. See `OwnTasks` for *takes_over*."""
        with self._lock:
            if self._is_over:
                return None
            sites = frozenset[str]().union(*(fetch.sites for fetch in self._fetches.values()))
            wanted = {"not_from": sites, "takes_over": takes_over}
            task, is_first_look = lease_one(desk, kinds=(FIRST_LOOK,), is_fresh=True, **wanted), True
            if task is None and sum(not fetch.is_first_look for fetch in self._fetches.values()) < MAX_LATER_FETCHES:
                task, is_first_look = lease_one(desk, kinds=FETCHING, **wanted), False
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


def give_back(desk: Desk, tasks: Iterable[Task], own: OwnTasks | None = None) -> None:
    """Leave tasks that this process has begun to other workers, and those of its own that it has not begun."""
    try:
        if own is not None:
            own.give_back(desk)
        for task in tasks:
            desk.store.tasks.retry(task, desk.clock.now(), "its worker was told to end", is_attempt=False)
    except ServiceDown as error:
        log.warning("What was being done waits until its leases end (%s).", error)


def lease(desk: Desk, number: int, **wanted: Any) -> list[Task]:
    """Lease that many tasks for the usual time; see `Tasks.lease_due` for *wanted*."""
    return desk.store.tasks.lease_due(desk.clock.now(), limit=number, seconds=LEASE, **wanted)


def lease_one(desk: Desk, **wanted: Any) -> Task | None:
    found = lease(desk, 1, **wanted)
    return found[0] if found else None


def sites_of(desk: Desk, task: Task) -> frozenset[str]:
    """Return the site of the page that a task reads, in all its spellings."""
    item = desk.store.items.get(task.item)
    address = read(item.source_url or "") if item is not None else None
    return address.sites if address else frozenset()
