"""Stand-ins for hosts' tests: a clock that is moved by hand, and spam services that answer from a script."""

from __future__ import annotations

import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from moderate.akismet.stand_in import AkismetStandIn
from moderate.akismet.stand_in import run as serve_akismet_stand_in
from moderate.errors import ServiceDown
from moderate.ports import SpamAnswer, SpamUsage, SpamWord

if TYPE_CHECKING:
    from moderate.ports import SpamSample

__all__ = ["AkismetStandIn", "ManualClock", "ScriptedSpamService", "serve_akismet_stand_in"]


class ManualClock:
    """A `Clock` that stands still until `advance` is called."""

    def __init__(self, start: datetime = datetime(2026, 1, 13, 20, 22, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the time and the monotonic clock forward."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._now += step
        self._monotonic += step.total_seconds()


class ScriptedSpamService:
    """A `SpamService` that answers from a script, and records what it is asked and taught.

    The last answer is repeated. A `ServiceDown` in the script is raised. Without a script everything is ham.
    """

    def __init__(self, *answers: SpamAnswer | SpamWord | ServiceDown) -> None:
        self._answers = deque(answers or (SpamWord.HAM,))
        self._lock = threading.Lock()
        self.samples: list[SpamSample] = []
        self.taught: list[tuple[SpamSample, bool]] = []

    def check(self, sample: SpamSample) -> SpamAnswer:
        with self._lock:
            self.samples.append(sample)
            answer = self._answers[0] if len(self._answers) == 1 else self._answers.popleft()
        if isinstance(answer, ServiceDown):
            raise answer
        return SpamAnswer(word=answer) if isinstance(answer, SpamWord) else answer

    def teach(self, sample: SpamSample, is_spam: bool) -> None:
        with self._lock:
            self.taught.append((sample, is_spam))

    def verify(self) -> bool:
        return True

    def usage(self) -> SpamUsage:
        return SpamUsage(limit=None, used=len(self.samples), percentage=0.0, throttled=False)

    def close(self) -> None:
        """Do nothing: there is no connection."""
