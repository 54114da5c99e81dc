"""The system's clock, corrected by the time of the database's server. The only module that asks the system for time.

The hosts of a site may disagree about the time; all their processes go by the database's clock.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.ports import Clock

#: The difference from another clock from which on the system's clock is corrected.
TOLERANCE = timedelta(seconds=2)

#: Seconds by which a clock and the monotonic one may part between two looks without the clock having been set.
DRIFT = 2.0


class SystemClock:
    """The system's time, corrected by another clock where that is known. A `Clock`."""

    def __init__(self) -> None:
        self._correction = timedelta(0)

    def now(self) -> datetime:
        return self.system() + self._correction

    # Looked up at each call, so that tools with which hosts freeze the time in their tests reach them.

    def system(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def follow(self, other: datetime) -> float:
        """Go by a clock that shows *other* now; return the seconds by which the system's clock is ahead of it."""
        ahead = self.system() - other
        self._correction = -ahead if abs(ahead) > TOLERANCE else timedelta(0)
        return ahead.total_seconds()


def follow(clock: Clock, server_time: Callable[[], datetime | None]) -> float:
    """Correct *clock* by the database server's time; return the seconds by which this host's clock is ahead.

    Returns 0 where the server has no clock of its own, or where the host's app handed in another clock, which
    stays as it is.
    """
    if not isinstance(clock, SystemClock):
        return 0.0
    now = server_time()
    return 0.0 if now is None else clock.follow(now)


class ClockSteps:
    """Detect that a clock was set, by comparing it with the monotonic one. Safe for threads.

    After such a step leases seem to have ended, or to last far too long, although their holders are still at work:
    taking over their tasks would send notices twice. Nor may a lease be taken by a clock that is wrong.
    """

    def __init__(self, clock: Clock, server_time: Callable[[], datetime | None], seconds: float) -> None:
        """*seconds* is the time after a step in which a lease that seems to have ended is not believed."""
        self._clock = clock
        self._server_time = server_time
        self._seconds = seconds
        self._lock = threading.Lock()
        self._believed_from = clock.monotonic()
        self._distance = self._measure()

    def believes_leases(self) -> bool:
        """Return True if a lease that has ended by the clock may be taken over. Call it before each lease is taken.

        A clock that was set since the last call is first corrected by the database server's.
        """
        with self._lock:
            distance = self._measure()
            if abs(distance - self._distance) > DRIFT:
                self._believed_from = self._clock.monotonic() + self._seconds
                follow(self._clock, self._server_time)
                distance = self._measure()
            self._distance = distance
            return self._clock.monotonic() >= self._believed_from

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
