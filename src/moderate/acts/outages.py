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

    began: float
    latest: float
    #: How much the database had done when it failed last.
    done: int
    failures: int = 1


class Outages:
    """The outages that requests and workers of this process meet. Safe for threads.

    *done* returns a number that grows with everything that the database does: its outage ends only after it has done
    something. Other services are tried again by themselves, and their outages end by time.
    """

    def __init__(self, clock: Clock, done: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._done = done
        self._lock = threading.Lock()
        self._open: dict[str, Episode] = {}

    def met(self, error: ServiceDown) -> None:
        """Note a failure; the first one of an outage is logged."""
        now = self._clock.monotonic()
        with self._lock:
            known = self._open.get(error.service)
            if known is None:
                self._open[error.service] = Episode(now, now, self._done())
            else:
                known.latest, known.done = now, self._done()
                known.failures += 1
        if known is None:
            log.error("%s", error, extra={"moderate_service": error.service})

    def settle(self) -> None:
        """End the outages that are over."""
        if not self._open:
            return
        now = self._clock.monotonic()
        with self._lock:
            over = {service: known for service, known in self._open.items() if self._is_over(service, known, now)}
            for service in over:
                del self._open[service]
        for service, known in over.items():
            log.info(
                "%s: it is back after %.0f s; it failed %d times.",
                service,
                now - known.began,
                known.failures,
                extra={"moderate_service": service},
            )

    def _is_over(self, service: str, known: Episode, now: float) -> bool:
        return now - known.latest >= QUIET and (service != "database" or self._done() != known.done)
