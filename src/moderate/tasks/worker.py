"""The worker of a process: a thread pool in each web process by default, or ``flask moderate worker`` on its own.

The pool of a web process is started at the first request, never at import, because servers fork; a process that
was forked from one with threads starts its own.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.tasks.run import DEATHS, DEATHS_ON_THE_WEB
from moderate.tasks.threads import POLL, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask import Flask

    from moderate.submit.desk import Desk
    from moderate.tasks.pubsub import WorkerChannel

log = logging.getLogger("moderate")

#: The signals that end ``flask moderate worker``.
ENDING_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

#: The time that a new pool may need for tasks that were left to it.
CATCH_UP = timedelta(minutes=2)


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
