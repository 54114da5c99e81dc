"""How many fetches run at once: few for one host, not many in all."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Slots:
    """Places for work on hosts, `per_host` for one and `total` for all, in this process.

    First come, first served, except that whoever waits for a busy host lets the others pass: one
    slow site with many pings does not hold up the rest.
    """

    def __init__(self, *, per_host: int, total: int) -> None:
        self._per_host = per_host
        self._total = total
        self._busy: Counter[str] = Counter()
        self._waiting: list[tuple[object, str]] = []
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, host: str, seconds: float) -> Iterator[None]:
        """Hold a place for the time of the block. Raises `TimeoutError` where none came free in time."""
        ticket = (object(), host)
        with self._changed:
            self._waiting.append(ticket)
            try:
                if not self._changed.wait_for(lambda: self._is_next(ticket), seconds):
                    raise TimeoutError(host)
                self._busy[host] += 1
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            self._leave(host)

    def _is_next(self, ticket: tuple[object, str]) -> bool:
        if self._busy.total() >= self._total:
            return False
        return ticket is next((waiting for waiting in self._waiting if self._has_place(waiting[1])), None)

    def _has_place(self, host: str) -> bool:
        return self._busy[host] < self._per_host

    def _leave(self, host: str) -> None:
        with self._changed:
            self._busy[host] -= 1
            if not self._busy[host]:
                del self._busy[host]
            self._changed.notify_all()
