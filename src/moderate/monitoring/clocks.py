"""The clocks of a site's hosts: all go by that of the database's server, and what happens where one is set."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.submit.desk import Desk

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
    their tasks would be to send notices twice. And no lease may be taken by a clock that is wrong.
    """

    def __init__(self, desk: Desk, seconds: float) -> None:
        """*seconds* is for how long after such a step no lease that seems to have ended is believed."""
        self._desk = desk
        self._seconds = seconds
        self._lock = threading.Lock()
        self._believed_from = desk.clock.monotonic()
        self._distance = self._measure()

    def believes_leases(self) -> bool:
        """Return whether a lease that has ended by the clock may be taken to have ended.

        Call it before each lease is taken: a clock that was set since is first set right by the database's.
        """
        with self._lock:
            distance = self._measure()
            if abs(distance - self._distance) > DRIFT:
                self._believed_from = self._desk.clock.monotonic() + self._seconds
                follow(self._desk)
                distance = self._measure()
            self._distance = distance
            return self._desk.clock.monotonic() >= self._believed_from

    def _measure(self) -> float:
        return self._desk.clock.now().timestamp() - self._desk.clock.monotonic()
