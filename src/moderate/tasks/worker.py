"""What runs tasks: threads in each process by default, or ``flask moderate worker`` on its own.

Both have a `moderate.tasks.threads.Crew` do it. That of a web process is started at the first request,
never at import, because servers fork; a process that was forked from one with threads starts its own.
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
from moderate.tasks.recheck import DEATHS, DEATHS_ON_THE_WEB
from moderate.tasks.threads import POLL, Crew

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask import Flask

    from moderate.submit.desk import Desk
    from moderate.tasks.wake_up import RedisBell

log = logging.getLogger("moderate")

#: The signals that end ``flask moderate worker``.
ENDING_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

#: How long a crew that has just begun may need for what was left to it.
CATCH_UP = timedelta(minutes=2)


class Worker:
    """The crew of this process, idle until it is woken or a task falls due.

    *enabled* says that web processes work themselves. Where they do not, they ring the *bell*, and
    who works hears it; without one the workers find out by looking.
    """

    def __init__(self, app: Flask, desk: Desk, *, enabled: bool, bell: RedisBell | None = None) -> None:
        self._app = app
        self._desk = desk
        self._enabled = enabled
        self._bell = bell
        # By process: a lock that somebody held as the process forked stays locked in its child.
        self._locks: dict[int, threading.Lock] = {}
        self._crew: Crew | None = None
        self._is_closed = False
        self._began: datetime | None = None

    def wake(self) -> None:
        """There is a task: look for it now, or tell those who do. Called wherever tasks are written; see `build`."""
        crew = self._crew_here()
        if crew is not None:
            crew.wake()
        elif not self._enabled and self._bell is not None:
            self._bell.ring()

    def start(self) -> None:
        """Start the crew where this process has none yet; it takes up what an earlier process left behind.

        Called at every request, so that threads which hang are noticed.
        """
        if self._enabled and not self._is_closed and not self.watch():
            self._start(DEATHS_ON_THE_WEB)

    def work(self) -> None:
        """Start the crew in a process that is there for nothing else, and listen for the bell."""
        crew = self._start(DEATHS)
        if self._bell is not None:
            threading.Thread(target=self._listen, args=(crew,), name="moderate-bell", daemon=True).start()

    def work_until_signal(self) -> None:
        """Work until SIGTERM or SIGINT; call it within `signals_blocked`, and `stop` afterwards."""
        self.work()
        while self.watch() and signal.sigtimedwait(ENDING_SIGNALS, POLL) is None:
            pass

    def drain(self) -> int:
        """Do all that is due, here and now; returns how many tasks that were."""
        return Crew(self._app, self._desk).drain()

    def stop(self, patience: float | None = 30) -> None:
        """End the crew after the site's own task at hand, and wait for that *patience* seconds or as long as it takes.

        Pages of other sites that are being read are not waited for: other workers read them again.
        """
        crew, self._crew = self._crew_here(), None
        if crew is not None:
            crew.end(patience)

    def close(self, patience: float | None = 30) -> None:
        """End the crew as `stop` does, and start no other one at later requests."""
        self._is_closed = True
        self.stop(patience)

    def is_catching_up(self) -> bool:
        """Whether this process's crew began a moment ago: what is late by then is no sign of trouble yet."""
        return self._began is not None and self._desk.clock.now() - self._began < CATCH_UP

    def watch(self) -> bool:
        """Replace threads that hang; return whether this process has a crew."""
        crew = self._crew_here()
        if crew is not None:
            crew.watch()
        return crew is not None

    def _crew_here(self) -> Crew | None:
        crew = self._crew
        return crew if crew is not None and crew.pid == os.getpid() else None

    def _start(self, deaths: int) -> Crew:
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            crew = self._crew_here()
            if crew is None:
                crew = Crew(self._app, self._desk, deaths=deaths)
                crew.start()
                self._crew, self._began = crew, self._desk.clock.now()
            return crew

    def _listen(self, crew: Crew) -> None:
        """Hear the bell for as long as the crew works; while Redis is away the crew looks by itself."""
        is_deaf = False

        def heard() -> None:
            nonlocal is_deaf
            if is_deaf:
                is_deaf = False
                log.info("Workers are woken again.", extra={"moderate_service": "redis"})
            crew.wake()

        while self._bell is not None and not crew.over.is_set():
            try:
                self._bell.listen(heard, crew.over.is_set)
            except ServiceDown as error:
                if not is_deaf and not crew.over.is_set():
                    words = "Workers are not woken (%s); they look for tasks every %.0f seconds."
                    log.warning(words, error, POLL, extra={"moderate_service": error.service})
                is_deaf = True
                crew.over.wait(POLL)


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
