"""Outages in the log: one line as a service begins to fail, and one as it is back."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.errors import ServiceDown
    from moderate.ports import Clock

log = logging.getLogger("moderate")

#: Seconds without a failure after which a service counts as back. One that fails now and then is one outage.
QUIET = 5.0


@dataclass(slots=True)
class Episode:
    """One outage: when it began and was last met, in seconds of the monotonic clock, and how often it was met."""

    service: str
    began: float
    latest: float
    #: How much the database had done when it failed last; None for an outage that ends by `Outages.over`.
    done: int | None
    failures: int = 1


class Outages:
    """The outages that requests and workers of this process meet. Safe for threads.

    *done* returns a number that grows with everything that the database does: its outage ends only after it has done
    something. Outages of other services end by time, or by `over` where they were noted by `failed`.
    """

    def __init__(self, clock: Clock, done: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._done = done
        self._lock = threading.Lock()
        self._open: dict[str, Episode] = {}

    def met(self, error: ServiceDown) -> None:
        """Note a failure; the first one of an outage is logged."""
        self._note(error.service, error, self._done())

    def failed(self, name: str, error: ServiceDown) -> None:
        """Note a failure of a service that is seldom asked; the outage called *name* lasts until it is `over`."""
        self._note(name, error, None)

    def _note(self, name: str, error: ServiceDown, done: int | None) -> None:
        now = self._clock.monotonic()
        with self._lock:
            known = self._open.get(name)
            if known is None:
                self._open[name] = Episode(error.service, now, now, done)
            else:
                known.latest, known.done = now, done
                known.failures += 1
        if known is None:
            log.error("%s", error, extra={"moderate_service": error.service})

    def over(self, name: str) -> None:
        """End the outage called *name*, where there is one."""
        if name in self._open:
            with self._lock:
                known = self._open.pop(name, None)
            if known is not None:
                self._tell_end(known)

    def settle(self) -> None:
        """End the outages that are over by time."""
        if not self._open:
            return
        now = self._clock.monotonic()
        with self._lock:
            names = [name for name, known in self._open.items() if self._is_over(known, now)]
            over = [self._open.pop(name) for name in names]
        for known in over:
            self._tell_end(known)

    def _tell_end(self, known: Episode) -> None:
        log.info(
            "%s: it is back after %.0f s; it failed %d times.",
            known.service,
            self._clock.monotonic() - known.began,
            known.failures,
            extra={"moderate_service": known.service},
        )

    def _is_over(self, known: Episode, now: float) -> bool:
        if known.done is None or now - known.latest < QUIET:
            return False
        return known.service != "database" or self._done() != known.done
