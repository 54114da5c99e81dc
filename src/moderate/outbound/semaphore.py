"""A semaphore per host: few fetches at once from one server, and not many in all."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.ports import Clock

#: Seconds for which a fetch waits for a busy host: once all fetches there have run this long, it is refused as busy.
YOUNG = 1.0


class HostSemaphore:
    """Permits for work: `per_host` for one host (or address) and `total` for all, in this process.

    Permits are given in order of arrival, but a waiter for a busy host lets the others pass. Waiters for a slow host
    are refused at once: a site that never answers must not delay the fetches of others.
    """

    def __init__(self, clock: Clock, *, per_host: int, total: int) -> None:
        self._clock = clock
        self._per_host = per_host
        self._total = total
        # By process: permits that the parent held when it forked are free in its child.
        self._here: dict[int, _Permits] = {}

    @contextmanager
    def hold(self, host: str, seconds: float) -> Iterator[None]:
        """Hold a permit within the block. Raises `TimeoutError` where none came free in time."""
        permits = self._here.setdefault(os.getpid(), _Permits())
        ticket = (object(), host)
        with permits.changed:
            permits.waiting.append(ticket)
            try:
                self._wait(permits, ticket, self._clock.monotonic() + seconds)
                since = self._clock.monotonic()
                permits.taken[host].append(since)
            finally:
                permits.waiting.remove(ticket)
                permits.changed.notify_all()
        try:
            yield
        finally:
            permits.release(host, since)

    def _wait(self, permits: _Permits, ticket: tuple[object, str], until: float) -> None:
        while not self._is_next(permits, ticket):
            left = min(until, self._patience(permits, ticket[1])) - self._clock.monotonic()
            # Compared once more at the end, because a test's clock may stand still.
            if left <= 0 or not (permits.changed.wait(left) or self._is_next(permits, ticket)):
                raise TimeoutError(ticket[1])

    def _patience(self, permits: _Permits, host: str) -> float:
        """Return until when to wait for the host: as long as one of the fetches there has only begun."""
        return float("inf") if self._has_permit(permits, host) else max(permits.taken[host]) + YOUNG

    def _is_next(self, permits: _Permits, ticket: tuple[object, str]) -> bool:
        if sum(map(len, permits.taken.values())) >= self._total:
            return False
        return ticket is next((waiting for waiting in permits.waiting if self._has_permit(permits, waiting[1])), None)

    def _has_permit(self, permits: _Permits, host: str) -> bool:
        return len(permits.taken.get(host, ())) < self._per_host


class _Permits:
    """The permits and the waiters of one process."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: list[tuple[object, str]] = []
        #: The times at which a host's permits were taken.
        self.taken: defaultdict[str, list[float]] = defaultdict(list)

    def release(self, host: str, since: float) -> None:
        with self.changed:
            self.taken[host].remove(since)
            if not self.taken[host]:
                del self.taken[host]
            self.changed.notify_all()
