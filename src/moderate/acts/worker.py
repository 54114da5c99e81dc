"""What runs tasks: a thread in each process by default, or ``flask moderate worker`` on its own.

Both call `moderate.recheck.run_due` in a thread. That of a web process is started at the first request,
never at import, because servers fork; a process that was forked from one with a thread starts its own.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.acts.housekeeping import CHECK_UP, tidy
from moderate.errors import ServiceDown
from moderate.recheck import run_due

if TYPE_CHECKING:
    from datetime import datetime

    from flask import Flask

    from moderate.desk import Desk
    from moderate.ports import Bell

log = logging.getLogger("moderate")

#: Seconds between two looks for tasks that nobody announced: retries that fell due, leases that ended.
POLL = 5.0

#: How long a thread that has just begun may need for what was left to it.
CATCH_UP = timedelta(minutes=2)


class Worker:
    """One daemon thread of this process, idle until it is woken or a task falls due.

    *enabled* says that web processes work themselves. Where they do not, they ring the *bell*, and
    who works hears it; without one the workers find out by looking.
    """

    def __init__(self, app: Flask, desk: Desk, *, enabled: bool, bell: Bell | None = None) -> None:
        self._app = app
        self._desk = desk
        self._enabled = enabled
        self._bell = bell
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._tidied: datetime | None = None
        self._began: datetime | None = None

    def wake(self) -> None:
        """There is a task: look for it now, or tell those who do."""
        self._work.set()
        if self._enabled:
            self.start()
        elif self._bell is not None:
            self._bell.ring()

    def start(self) -> None:
        """Start the thread where this process has none yet; it takes up what an earlier process left behind."""
        if self._enabled and not self.started():
            with self._lock:
                self._start()

    def work(self) -> None:
        """Start the thread in a process that is there for nothing else, and listen for the bell."""
        with self._lock:
            self._start()
        if self._bell is not None:
            threading.Thread(target=self._listen, name="moderate-bell", daemon=True).start()

    def stop(self, patience: float | None = 30) -> None:
        """End the thread after the task at hand, and wait for it, for *patience* seconds or as long as it takes."""
        self._stop.set()
        self._work.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout=patience)
        self._thread = None

    def is_catching_up(self) -> bool:
        """Whether this process's thread began a moment ago: what is late by then is no sign of trouble yet."""
        return self._began is not None and self._desk.clock.now() - self._began < CATCH_UP

    def started(self) -> bool:
        return self._thread is not None and self._pid == os.getpid()

    def _start(self) -> None:
        if self.started():
            return
        self._pid = os.getpid()
        self._began = self._desk.clock.now()
        self._stop.clear()
        self._work.set()
        self._thread = threading.Thread(target=self._run, name="moderate-worker", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        """Hear the bell for as long as the thread works; while Redis is away the thread looks by itself."""
        while self._bell is not None and not self._stop.is_set():
            try:
                self._bell.listen(self._work.set, self._stop.is_set)
            except ServiceDown as error:
                log.warning("Workers are not woken (%s); they look for tasks every %.0f seconds.", error, POLL)
                self._stop.wait(POLL)

    def _tidy(self) -> None:
        """Housekeeping; the store is asked for its turn every ten minutes, not at every look."""
        now = self._desk.clock.now()
        if self._tidied is None or now - self._tidied >= CHECK_UP:
            self._tidied = now
            tidy(self._desk)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._work.wait(POLL)
            self._work.clear()
            try:
                with self._app.app_context():
                    self._tidy()
                    # Whoever looks first ends a wave that is over, be it that nobody comes to the site.
                    self._desk.waves.current()
                    while not self._stop.is_set() and run_due(self._desk):
                        pass
            except Exception:
                # A store that is down must not end the thread: the next look may find it back.
                log.exception("The worker could not look for tasks; it tries again.")
