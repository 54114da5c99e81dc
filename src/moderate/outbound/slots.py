"""How many fetches run at once: few for one host or address, not many in all."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.ports import Clock

#: Seconds for which those who hold a site's places may be waited for. Whoever takes longer is slow, and is not.
YOUNG = 1.0


class Slots:
    """Places for work, `per_host` for one host (or address) and `total` for all, in this process.

    First come, first served, except that whoever waits for a busy host lets the others pass. Those
    who would wait for a slow one are turned away at once: a site that never answers must not keep
    others waiting at its door.
    """

    def __init__(self, clock: Clock, *, per_host: int, total: int) -> None:
        self._clock = clock
        self._per_host = per_host
        self._total = total
        # By process: what the parent was doing as it forked keeps nobody waiting in its child.
        self._here: dict[int, Places] = {}

    @contextmanager
    def hold(self, host: str, seconds: float) -> Iterator[None]:
        """Hold a place for the time of the block. Raises `TimeoutError` where none came free in time."""
        places = self._here.setdefault(os.getpid(), Places())
        ticket = (object(), host)
        with places.changed:
            places.waiting.append(ticket)
            try:
                self._wait(places, ticket, self._clock.monotonic() + seconds)
                since = self._clock.monotonic()
                places.busy[host].append(since)
            finally:
                places.waiting.remove(ticket)
                places.changed.notify_all()
        try:
            yield
        finally:
            places.leave(host, since)

    def _wait(self, places: Places, ticket: tuple[object, str], until: float) -> None:
        while not self._is_next(places, ticket):
            left = min(until, self._patience(places, ticket[1])) - self._clock.monotonic()
            # Asked once more at the end, for a clock may stand still.
            if left <= 0 or not (places.changed.wait(left) or self._is_next(places, ticket)):
                raise TimeoutError(ticket[1])

    def _patience(self, places: Places, host: str) -> float:
        """Until when it is worth waiting for the host: while one of those who are there has just come."""
        return float("inf") if self._has_place(places, host) else max(places.busy[host]) + YOUNG

    def _is_next(self, places: Places, ticket: tuple[object, str]) -> bool:
        if sum(map(len, places.busy.values())) >= self._total:
            return False
        return ticket is next((waiting for waiting in places.waiting if self._has_place(places, waiting[1])), None)

    def _has_place(self, places: Places, host: str) -> bool:
        return len(places.busy.get(host, ())) < self._per_host


class Places:
    """Who is where, and who waits, in one process."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: list[tuple[object, str]] = []
        #: Since when each place of a host is taken.
        self.busy: defaultdict[str, list[float]] = defaultdict(list)

    def leave(self, host: str, since: float) -> None:
        with self.changed:
            self.busy[host].remove(since)
            if not self.busy[host]:
                del self.busy[host]
            self.changed.notify_all()
