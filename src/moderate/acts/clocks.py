"""The clocks of a site's hosts: all go by that of the database's server, and what happens where one is set."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.desk import Desk
    from moderate.ports import Clock

#: By how many seconds a clock and the monotonic one may part between two looks without the clock having been set.
DRIFT = 2.0


@runtime_checkable
class Following(Protocol):
    """A clock that can be set right."""

    def follow(self, other: datetime) -> float: ...


def follow(desk: Desk) -> float:
    """Set this process's clock by the database's; returns for how many seconds this host's clock is ahead.

    A clock that was handed in stays as it is.
    """
    if not isinstance(desk.clock, Following):
        return 0.0
    told = desk.store.time()
    return 0.0 if told is None else desk.clock.follow(told)


class ClockSteps:
    """Notice when this process's clock is set, by comparing it with the monotonic clock. Safe for threads.

    Leases then seem to have ended, or to last for far too long, although their holders are still at work: to take over
    their tasks would be to send notices twice.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        """*seconds* is for how long after such a step no lease that seems to have ended is believed."""
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._believed_from = clock.monotonic()
        self._distance = self._measure()

    def believes_leases(self) -> bool:
        """Return whether a lease that has ended by the clock may be taken to have ended."""
        with self._lock:
            before, self._distance = self._distance, self._measure()
            now = self._clock.monotonic()
            if abs(self._distance - before) > DRIFT:
                self._believed_from = now + self._seconds
            return now >= self._believed_from

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
