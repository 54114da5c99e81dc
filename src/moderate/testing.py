"""Stand-ins for hosts' tests: a clock that is moved by hand, services that answer from a script."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from moderate.akismet.stand_in import AkismetStandIn
from moderate.akismet.stand_in import run as serve_akismet_stand_in
from moderate.stand_ins import ScriptedSpamService

__all__ = ["AkismetStandIn", "ManualClock", "ScriptedSpamService", "serve_akismet_stand_in"]


class ManualClock:
    """Stands still until it is told to move; see `moderate.ports.Clock`."""

    def __init__(self, start: datetime = datetime(2026, 1, 13, 20, 22, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move both faces of the clock forward."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._now += step
        self._monotonic += step.total_seconds()
