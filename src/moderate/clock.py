"""The real clock; see `moderate.ports.Clock`. The only place that asks the system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

#: By how many seconds the system's clock may differ from another before the other one counts.
TOLERANCE = timedelta(seconds=2)


class SystemClock:
    """The system's time, set right by another clock where that is known."""

    def __init__(self) -> None:
        self._correction = timedelta(0)

    def now(self) -> datetime:
        return self.system() + self._correction

    def system(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def follow(self, other: datetime) -> float:
        """Go by a clock that shows *other* now; returns for how many seconds the system's clock is ahead of it."""
        ahead = self.system() - other
        self._correction = -ahead if abs(ahead) > TOLERANCE else timedelta(0)
        return ahead.total_seconds()
