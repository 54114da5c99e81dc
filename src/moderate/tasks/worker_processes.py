"""``flask moderate worker``: processes that do nothing else, and end when they are told.

SIGTERM and SIGINT end a process after the task at hand; a second one ends it at once, and then
another worker does the task again when its lease has ended. With several processes the first one
only looks after the others: it replaces those that die, and passes on what it is told.
"""

from __future__ import annotations

import logging
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moderate.tasks.scheduler import LEASE
from moderate.tasks.threads import POLL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moderate.ports import Clock
    from moderate.tasks.worker import Worker

log = logging.getLogger("moderate")

ENDS = frozenset({signal.SIGTERM, signal.SIGINT})
#: Seconds between two replacements: a process that cannot even start must not keep the machine busy.
BREATH = 1.0


def work_until_told(worker: Worker, parent: int | None = None) -> None:
    """Work in this process until a signal comes or, where *parent* is given, that process is gone."""
    with waited_for(ENDS):
        worker.work()
        while worker.watch() and parent in {None, os.getppid()}:
            if signal.sigtimedwait(ENDS, POLL) is not None:
                break
    # From here on a second signal does what it does everywhere.
    worker.stop(patience=LEASE)


@contextmanager
def waited_for(signals: frozenset[signal.Signals]) -> Iterator[None]:
    """Keep signals for `sigtimedwait`, and let later ones end the process as if nothing had been.

    No handler: one that sets an event can stop the program for good, where it interrupts who waits
    for the same event.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        for number in signals - {signal.SIGCHLD}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


class Processes:
    """So many worker processes, forked from this one, and replaced when they die."""

    def __init__(self, worker: Worker, clock: Clock, count: int, close: Callable[[], object]) -> None:
        """*close* is called in each process when it ends, and closes its connections."""
        self._worker = worker
        self._close = close
        self._clock = clock
        self._count = count
        self._children: set[int] = set()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then wait for all of them."""
        awaited = ENDS | {signal.SIGCHLD}
        with waited_for(awaited):
            for _ in range(self._count):
                self._fork()
            while (told := signal.sigtimedwait(awaited, BREATH)) is None or told.si_signo not in ENDS:
                self._replace()
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _fork(self) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._children.add(pid)
            return
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            work_until_told(self._worker, parent)
            self._close()
            code = 0
        except Exception:
            log.exception("A worker process ended by itself.")
        finally:
            # Nothing of the parent's is to be cleaned up here.
            os._exit(code)

    def _replace(self) -> None:
        """Fork a process for each that died, not faster than once in a breath."""
        ended = [pid for pid in self._children if os.waitpid(pid, os.WNOHANG)[0]]
        if not ended:
            return
        self._children.difference_update(ended)
        log.warning("%d of %d worker processes died and are replaced.", len(ended), self._count)
        until = self._clock.monotonic() + BREATH
        while (left := until - self._clock.monotonic()) > 0:
            told = signal.sigtimedwait(ENDS, left)
            if told is not None:
                # Told again, so that the loop above hears it.
                os.kill(os.getpid(), told.si_signo)
                return
        for _ in ended:
            self._fork()
