"""The worker of a process: a thread pool in each web process by default, or ``flask moderate worker`` on its own.

The pool of a web process is started at the first request, never at import, because servers fork; a process that
was forked from one with threads starts its own.

One thread of the pool does the site's own tasks, one after another. Beside it one fetches the pages of pings'
sources; while there are more to fetch it starts others, which end when nothing is left. Each uses a connection to the
database for the time of a query or a short transaction, never while it waits for another server.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from moderate.clock import ClockSteps, follow
from moderate.errors import ServiceDown
from moderate.tasks.housekeeping import CHECK_UP, forget, tidy
from moderate.tasks.run import DEATHS, DEATHS_ON_THE_WEB, backoff, log_fields, run
from moderate.tasks.scheduler import LEASE, MAX_FETCHES, POLL, FetchScheduler, NextDue, OwnTasks, give_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from flask import Flask

    from moderate.model import Task
    from moderate.redis import WorkerChannel
    from moderate.submit.desk import Desk


log = logging.getLogger("moderate")

#: The signals that end ``flask moderate worker``.
ENDING_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

#: The time that a new pool may need for tasks that were left to it.
CATCH_UP = timedelta(minutes=2)

#: Seconds between two looks whether a spam wave is over.
WAVE = 60.0

#: Seconds that a fetching thread may take to end once it is told to; slower ones are left behind.
FETCH_END = 0.1


class Worker:
    """The thread pool of this process, idle until it is woken or a task falls due.

    *enabled* makes web processes do tasks themselves. Where they do not, they publish on *channel* to wake the
    workers; without one the workers find tasks by polling.
    """

    def __init__(self, app: Flask, desk: Desk, *, enabled: bool, channel: WorkerChannel | None = None) -> None:
        self._app = app
        self._desk = desk
        self._enabled = enabled
        self._channel = channel
        # By process: a lock that another thread held when the process forked stays locked in its child.
        self._locks: dict[int, threading.Lock] = {}
        self._pool: ThreadPool | None = None
        self._is_closed = False
        self._began: datetime | None = None

    def wake(self) -> None:
        """Have the workers look for tasks now. Called whenever tasks are written; see `build`."""
        pool = self._pool_here()
        if pool is not None:
            pool.wake()
        elif not self._enabled and self._channel is not None:
            self._channel.publish()

    def start(self) -> None:
        """Start the pool of a web process where it has none yet, and replace threads that hang.

        Called at every request.
        """
        if self._enabled and not self._is_closed and not self.watch():
            self._start(DEATHS_ON_THE_WEB)

    def work(self) -> None:
        """Start the pool of a process that only works, and subscribe to the channel."""
        pool = self._start(DEATHS)
        if self._channel is not None:
            threading.Thread(target=self._listen, args=(pool,), name="moderate-subscriber", daemon=True).start()

    def work_until_signal(self) -> None:
        """Work until SIGTERM or SIGINT; call it within `signals_blocked`, and `stop` afterwards."""
        self.work()
        while self.watch() and signal.sigtimedwait(ENDING_SIGNALS, POLL) is None:
            pass

    def drain(self) -> int:
        """Do all due tasks here and now; return their number."""
        return ThreadPool(self._app, self._desk).drain()

    def stop(self, patience: float | None = 30) -> None:
        """End the pool after the site's own task at hand, waiting *patience* seconds, or as long as it takes for None.

        Pages of other sites that are being fetched are not waited for: other workers fetch them again.
        """
        pool, self._pool = self._pool_here(), None
        if pool is not None:
            pool.end(patience)

    def close(self, patience: float | None = 30) -> None:
        """End the pool as `stop` does, and start no other one at later requests."""
        self._is_closed = True
        self.stop(patience)

    def is_catching_up(self) -> bool:
        """Return True if the pool began a moment ago: late tasks are no sign of trouble yet."""
        return self._began is not None and self._desk.clock.now() - self._began < CATCH_UP

    def watch(self) -> bool:
        """Replace threads that hang; return True if this process has a pool."""
        pool = self._pool_here()
        if pool is not None:
            pool.watch()
        return pool is not None

    def _pool_here(self) -> ThreadPool | None:
        pool = self._pool
        return pool if pool is not None and pool.pid == os.getpid() else None

    def _start(self, deaths: int) -> ThreadPool:
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            pool = self._pool_here()
            if pool is None:
                pool = ThreadPool(self._app, self._desk, deaths=deaths)
                pool.start()
                self._pool, self._began = pool, self._desk.clock.now()
            return pool

    def _listen(self, pool: ThreadPool) -> None:
        """Wake the pool at each message until it ends; while Redis is down the pool polls."""
        is_down = False

        def on_message() -> None:
            nonlocal is_down
            if is_down:
                is_down = False
                log.info("Workers are woken again.", extra={"moderate_service": "redis"})
            pool.wake()

        while self._channel is not None and not pool.over.is_set():
            try:
                self._channel.subscribe(on_message, pool.over.is_set)
            except ServiceDown as error:
                if not is_down and not pool.over.is_set():
                    words = "Workers are not woken (%s); they look for tasks every %.0f seconds."
                    log.warning(words, error, POLL, extra={"moderate_service": error.service})
                is_down = True
                pool.over.wait(POLL)


class ThreadPool:
    """The threads of one process. A process that is forked from it has none of them, and starts a pool of its own."""

    def __init__(self, app: Flask, desk: Desk, *, deaths: int = DEATHS) -> None:
        """*deaths* is the number of workers that may die over a task before it is given up."""
        self.pid = os.getpid()
        self.over = threading.Event()
        self._app = app
        self._desk = desk
        self._next = NextDue()
        self._own = OwnTasks(alone=deaths < DEATHS)
        self._fetches = FetchScheduler()
        self._steps = ClockSteps(desk.clock, desk.store.time, LEASE)
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._wake_worker = threading.Event()
        #: The fetching thread that waits for tasks, and all of those that fetch.
        self._reader: threading.Thread | None = None
        self._readers: set[threading.Thread] = set()
        self._wake_reader = threading.Event()
        self._tidied: datetime | None = None
        self._next_wave = float("-inf")
        self._done = 0
        #: The task of each busy thread with its start (monotonic seconds), and the threads that were given up.
        self._busy: dict[threading.Thread, tuple[Task, float]] = {}
        self._hung: set[threading.Thread] = set()
        #: True where retention may have more to remove.
        self._is_behind = False
        self._deaths = deaths
        #: Tasks whose outcome could not be stored.
        self._unsettled: list[Task] = []

    def start(self) -> None:
        """Start the threads."""
        self.wake()
        self._start_worker()
        self._start_reader()

    def _start_worker(self) -> None:
        wait = partial(self._next.wait, self._desk, fetching=False)
        self._worker = self._thread("moderate-worker", self._loop, self._wake_worker, wait, self._own_turn)

    def _start_reader(self) -> None:
        wait = partial(self._next.wait, self._desk, fetching=True)
        self._reader = self._thread("moderate-reader", self._loop, self._wake_reader, wait, self._fetch_turn)
        self._readers.add(self._reader)

    def watch(self) -> None:
        """Replace threads that have not returned from a task within its lease. Call it from time to time.

        A hook of the host may hang for ever, and a thread cannot be ended from outside. The task is taken again by
        another worker, and counts as one over which a worker died.
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
                extra=log_fields(task),
            )
            with self._lock:
                self._hung.add(thread)
                self._readers.discard(thread)
            self._fetches.done(task)
            if thread is self._worker:
                # The leases of the tasks that it has not begun end with that of the one over which it hangs.
                self._own.leave()
                self._start_worker()
            elif thread is self._reader:
                self._start_reader()

    def wake(self) -> None:
        """Have the threads look for tasks now."""
        self._next.forget()
        self._wake_worker.set()
        self._wake_reader.set()

    def end(self, patience: float | None) -> None:
        """End after the site's own task at hand, waiting at most *patience* seconds; None waits as long as it takes.

        Pages that are being fetched are left to other workers.
        """
        self.over.set()
        if self._busy:
            log.info("Told to end: nothing new is begun, and the site's own task at hand is waited for.")
        self.wake()
        with self._app.app_context():
            self._fetches.give_back(self._desk)
        if self._worker is not None:
            self._worker.join(patience)
        at_hand = self._busy.get(self._worker) if self._worker is not None else None
        left = [*([at_hand[0]] if at_hand is not None else []), *self._unsettled]
        with self._app.app_context():
            give_back(self._desk, left, self._own)
        for reader in self._current_readers():
            reader.join(FETCH_END)

    def drain(self) -> int:
        """Do all due tasks with this thread and as many fetching ones as allowed; return the number of tasks done.

        No fetching thread is left running, even where the database fails.
        """
        before = -1
        while before != self._done:
            before = self._done
            self._add_reader()
            try:
                with self._app.app_context():
                    self._keep_house()
                    self._do_own()
            finally:
                # Fetched pages may have led to tasks of the site's own, and the other way round.
                while readers := self._current_readers():
                    readers[0].join()
                with self._app.app_context():
                    # Where it is interrupted: what is done would be done again, and what is not begun would wait.
                    give_back(self._desk, [], self._own)
        return self._done

    def _current_readers(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._readers)

    def _thread(self, name: str, work: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, name=name, daemon=True)
        thread.start()
        return thread

    def _is_over(self) -> bool:
        """Return True if the current thread is to end."""
        return self.over.is_set() or threading.current_thread() in self._hung

    def _loop(self, wake: threading.Event, wait: Callable[[], float], turn: Callable[[], None]) -> None:
        while not self._is_over():
            wake.wait(wait())
            wake.clear()
            self._safely(turn)

    def _own_turn(self) -> None:
        self._keep_house()
        # After the last task once more, to know when the next one falls due.
        while (self._is_behind or self._next.is_due(self._desk, fetching=False)) and self._do_own():
            self._next.forget()

    def _fetch_turn(self) -> None:
        while self._next.is_due(self._desk, fetching=True) and self._do_fetches():
            self._next.forget()

    def _safely(self, turn: Callable[[], object]) -> None:
        try:
            with self._app.app_context():
                turn()
            self._desk.outages.settle()
        except ServiceDown as error:
            # The thread goes on: at the next poll the service may be back.
            self._desk.outages.met(error)
        except Exception:
            log.exception("The worker could not look for tasks; it tries again.")

    def _do_own(self) -> bool:
        """Do the site's own tasks that are due; return whether there was any."""
        before = self._done
        while not self._is_over():
            task = self._own.take(self._desk, takes_over=self._steps.believes_leases())
            if task is not None:
                self._run(task)
            # By time, and not only when no task is left: that may never happen.
            self._keep_house()
            if task is None and not self._is_behind:
                break
        return self._done != before

    def _do_fetches(self) -> bool:
        """Fetch the pages that are due; return whether there was any."""
        before = self._done
        while not self._is_over():
            task = self._fetches.take(self._desk, takes_over=self._steps.believes_leases())
            if task is None:
                break
            self._add_reader()
            try:
                self._run(task)
            finally:
                self._fetches.done(task)
        return self._done != before

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

    def _add_reader(self) -> None:
        """Start another fetching thread if there may be one more; it ends when it finds nothing to fetch."""
        with self._lock:
            if len(self._readers) < MAX_FETCHES and not self.over.is_set():
                self._readers.add(self._thread("moderate-reader", self._fetch_and_end))

    def _fetch_and_end(self) -> None:
        self._safely(self._do_fetches)
        with self._lock:
            self._readers.discard(threading.current_thread())

    def _keep_house(self) -> None:
        """Do what is due besides tasks; the duties of `tidy` every ten minutes."""
        # Leases that end on their own would look as if a worker had died.
        while self._unsettled:
            task = self._unsettled[-1]
            self._desk.store.tasks.retry(task, self._desk.clock.now() + backoff(task), "the database was away")
            self._unsettled.pop()
        if self._is_behind:
            self._is_behind = forget(self._desk)
        if self._desk.clock.monotonic() >= self._next_wave:
            self._next_wave = self._desk.clock.monotonic() + WAVE
            # Ends a wave that is over, which otherwise takes a request.
            self._desk.waves.current()
        now = self._desk.clock.now()
        # `abs`, because the clock may have been set back.
        if self._tidied is not None and abs(now - self._tidied) < CHECK_UP:
            return
        self._tidied = now
        follow(self._desk.clock, self._desk.store.time)
        tidy(self._desk)
        self._is_behind = True


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block SIGTERM and SIGINT, so that `signal.sigtimedwait` receives them; restore the default handlers on exit.

    A handler could stop the program for good: one that sets an event may interrupt the thread that waits for it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
