"""Stops asking a service that keeps failing, and lets one call through now and then to see."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown

if TYPE_CHECKING:
    from moderate.ports import Clock


class CircuitBreaker:
    """Closed until *failures* calls in a row failed, then open for *rest* seconds, doubled up to *most*.

    While it is open `enter` raises `ServiceDown` of kind ``resting`` at once. After the rest one call
    is let through; its success closes the breaker, its failure opens it for longer. Thread-safe.
    """

    def __init__(self, service: str, clock: Clock, *, failures: int = 5, rest: float = 30, most: float = 900) -> None:
        self._service = service
        self._clock = clock
        self._allowed = failures
        self._rest = rest
        self._most = most
        self._lock = threading.Lock()
        self._failed = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        with self._lock:
            return self._failed >= self._allowed and self._clock.monotonic() < self._open_until

    def enter(self) -> None:
        """Ask for leave to call the service; report back with `succeeded` or `failed`."""
        with self._lock:
            if self._failed < self._allowed:
                return
            left = self._open_until - self._clock.monotonic()
            if left > 0:
                reason = f"not asked: it failed {self._failed} times in a row; next try in {left:.0f} seconds"
                raise ServiceDown(self._service, reason, retry_after=left, kind="resting")
            # The others keep waiting while this one call finds out.
            self._open_until = self._clock.monotonic() + self._rest

    def succeeded(self) -> None:
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        with self._lock:
            self._failed += 1
            over = self._failed - self._allowed
            if over >= 0:
                self._open_until = self._clock.monotonic() + min(self._rest * 2.0 ** min(over, 20), self._most)
