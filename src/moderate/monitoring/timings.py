"""Statistics of checks in this process: how long they take and what they find."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.model import Finding

#: The upper bounds of the histogram in seconds: from a comparison in memory to a service that is slow.
BOUNDS = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)

PASSED = "passed"


@dataclass(slots=True)
class Timing:
    """The histogram of one check: the number of calls below each bound (the last one above all), and their total."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


class Timings:
    """Counters for all checks. Thread-safe. A forked process goes on from the numbers of its parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timings: dict[str, Timing] = {}
        self._findings: dict[tuple[str, str], int] = {}

    def asked(self, check: str, seconds: float, finding: Finding | None) -> None:
        """Count one call of a check."""
        lean = finding.lean.value if finding else PASSED
        with self._lock:
            timing = self._timings.setdefault(check, Timing())
            timing.counts[bisect_left(BOUNDS, seconds)] += 1
            timing.seconds += seconds
            self._findings[check, lean] = self._findings.get((check, lean), 0) + 1

    def timings(self) -> Mapping[str, Timing]:
        """Return a copy of the histograms, by check."""
        with self._lock:
            return {check: Timing(list(timing.counts), timing.seconds) for check, timing in self._timings.items()}

    def findings(self) -> Mapping[tuple[str, str], int]:
        """Return how often each check found what, by check and lean; the lean is "passed" where it found nothing."""
        with self._lock:
            return dict(self._findings)
