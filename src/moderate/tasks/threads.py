"""The threads that do one process's tasks, from when they are started until they are told to end.

One does the site's own tasks, one after another. Beside it stands one that reads the pages of pings'
sources; while there is more to read it has others come, and these leave when nothing is left. Each
uses a connection to the database for as long as a query or a short transaction takes, never
while it waits for another server.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.monitoring.clocks import ClockSteps, follow
from moderate.tasks.housekeeping import CHECK_UP, tidy
from moderate.tasks.recheck import DEATHS, backoff, keyed, run
from moderate.tasks.retention import forget
from moderate.tasks.scheduler import LANES, LEASE, Reading, give_back, take_own

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flask import Flask

    from moderate.model import Task
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: Seconds between two looks for tasks that nobody announced: retries that fell due, leases that ended.
POLL = 5.0

#: Seconds that a thread which reads may take to end once it is told; longer ones are left behind.
FAREWELL = 0.1


class Crew:
    """Threads of this process alone: a process that is forked from it has none of them, and makes its own."""

    def __init__(self, app: Flask, desk: Desk, *, deaths: int = DEATHS) -> None:
        """*deaths* is the number of workers that may die over a task before it is given up."""
        self.pid = os.getpid()
        self.over = threading.Event()
        self._app = app
        self._desk = desk
        self._reading = Reading()
        self._steps = ClockSteps(desk, LEASE)
        self._lock = threading.Lock()
        self._readers: set[threading.Thread] = set()
        self._own = threading.Event()
        self._pages = threading.Event()
        self._worker: threading.Thread | None = None
        self._reader: threading.Thread | None = None
        self._tidied: datetime | None = None
        self._done = 0
        #: The task that each thread does, since when (monotonic seconds), and which threads were given up.
        self._busy: dict[threading.Thread, tuple[Task, float]] = {}
        self._hung: set[threading.Thread] = set()
        #: Whether something may be left to forget.
        self._is_behind = False
        self._deaths = deaths
        #: Tasks of which the store could not be told what became of them.
        self._unsettled: list[Task] = []

    def start(self) -> None:
        """Work until `end`."""
        self.wake()
        self._start_own()
        self._start_reader()

    def _start_own(self) -> None:
        self._worker = self._thread("moderate-worker", lambda: self._attend(self._own, self._do_own))

    def _start_reader(self) -> None:
        self._reader = self._thread("moderate-reader", lambda: self._attend(self._pages, self._do_pages))
        self._readers.add(self._reader)

    def watch(self) -> None:
        """Replace threads that have not come back from a task within its lease. Call it from time to time.

        A hook of the host may wait for ever, and no thread can be ended from outside. The task is taken again by
        whoever comes first, and counts as one over which a worker died.
        """
        oldest = self._desk.clock.monotonic() - LEASE
        for thread, (task, since) in list(self._busy.items()):
            if since > oldest or self._busy.pop(thread, None) is None:
                continue
            log.error(
                "Task %d (%s) for item %d has not ended in %.0f s; another thread goes on.",
                task.id,
                task.kind,
                task.item,
                LEASE,
                extra=keyed(task),
            )
            with self._lock:
                self._hung.add(thread)
                self._readers.discard(thread)
            self._reading.done(task)
            if thread is self._worker:
                self._start_own()
            elif thread is self._reader:
                self._start_reader()

    def _is_over(self) -> bool:
        """Return whether the current thread is to end."""
        return self.over.is_set() or threading.current_thread() in self._hung

    def wake(self) -> None:
        """There may be a task: look now."""
        self._own.set()
        self._pages.set()

    def end(self, patience: float | None) -> None:
        """End after the site's own task at hand, for which is waited; pages that are being read are left to others."""
        self.over.set()
        if self._busy:
            log.info("Told to end: nothing new is begun, and the site's own task at hand is waited for.")
        self.wake()
        with self._app.app_context():
            self._reading.give_back(self._desk)
        if self._worker is not None:
            self._worker.join(patience)
        at_hand = self._busy.get(self._worker) if self._worker is not None else None
        left = [*([at_hand[0]] if at_hand is not None else []), *self._unsettled]
        if left:
            with self._app.app_context():
                give_back(self._desk, left)
        for reader in self._now_reading():
            reader.join(FAREWELL)

    def drain(self) -> int:
        """Do all that is due with this thread and as many readers as there may be; returns how much was done.

        No reader goes on afterwards, also where the database fails.
        """
        before = -1
        while before != self._done:
            before = self._done
            self._recruit()
            try:
                with self._app.app_context():
                    self._do_own()
            finally:
                # What was read may have left tasks of the site's own, and the other way round.
                while readers := self._now_reading():
                    readers[0].join()
        return self._done

    def _now_reading(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._readers)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def _attend(self, called: threading.Event, turn: Callable[[], None]) -> None:
        """Wait to be called, or for the next look, and do what is due; for as long as the crew works."""
        while not self._is_over():
            called.wait(POLL)
            called.clear()
            self._safely(turn)

    def _safely(self, turn: Callable[[], None]) -> None:
        try:
            with self._app.app_context():
                turn()
            self._desk.outages.settle()
        except ServiceDown as error:
            # The thread goes on: the next look may find the service back.
            self._desk.outages.met(error)
        except Exception:
            log.exception("The worker could not look for tasks; it tries again.")

    def _do_own(self) -> None:
        self._look_after()
        while not self._is_over():
            task = take_own(self._desk, takes_over=self._steps.believes_leases())
            if task is None and not self._is_behind:
                return
            if task is not None:
                self._run(task)
            # By time, and not when nothing else is left to do: that may never come.
            self._look_after()

    def _do_pages(self) -> None:
        while not self._is_over():
            task = self._reading.take(self._desk, takes_over=self._steps.believes_leases())
            if task is None:
                return
            self._recruit()
            try:
                self._run(task)
            finally:
                self._reading.done(task)

    def _run(self, task: Task) -> None:
        thread = threading.current_thread()
        self._busy[thread] = (task, self._desk.clock.monotonic())
        try:
            run(self._desk, task, deaths=self._deaths)
        except ServiceDown:
            with self._lock:
                self._unsettled.append(task)
            raise
        finally:
            self._busy.pop(thread, None)
        with self._lock:
            self._done += 1

    def _recruit(self) -> None:
        """Another reader, while there are not all; it leaves when it finds nothing to read."""
        with self._lock:
            if len(self._readers) < LANES and not self.over.is_set():
                self._readers.add(self._thread("moderate-reader", self._help))

    def _help(self) -> None:
        self._safely(self._do_pages)
        with self._lock:
            self._readers.discard(threading.current_thread())

    def _settle_late(self) -> None:
        """Free the tasks of an outage of the store: when their leases end, it would look as if a worker had died."""
        while self._unsettled:
            task = self._unsettled[-1]
            self._desk.store.tasks.retry(task, self._desk.clock.now() + backoff(task), "the database was away")
            self._unsettled.pop()

    def _look_after(self) -> None:
        """Housekeeping; the store is asked for its turn every ten minutes, not at every look."""
        self._settle_late()
        if self._is_behind:
            self._is_behind = forget(self._desk)
        # Whoever looks first ends a wave that is over, be it that nobody comes to the site.
        self._desk.waves.current()
        now = self._desk.clock.now()
        # Also where the clock was set back.
        if self._tidied is not None and abs(now - self._tidied) < CHECK_UP:
            return
        self._tidied = now
        follow(self._desk)
        tidy(self._desk)
        self._is_behind = True
