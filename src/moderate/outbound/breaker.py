"""The circuit breaker: calls to a service that keeps failing are refused at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.i18n import Message

if TYPE_CHECKING:
    from moderate.ports import Clock


class CircuitBreaker:
    """Refuses calls to *service* while it keeps failing. Thread-safe.

    Closed until *failures* calls in a row have failed, then open for *rest* seconds. After that one call is let
    through: its success closes the breaker, its failure opens it for twice as long, at most *most* seconds.
    With ``rest=math.inf, most=math.inf`` it stays open until `succeeded`, for callers with a probe of their own.

    Call `enter` before each call and `succeeded` or `failed` after it.
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
        """Return whether `enter` would refuse a call now. Takes no trial call."""
        return self._failed >= self._allowed and self._clock.monotonic() < self._open_until

    def enter(self) -> None:
        """Raise `ServiceDown` of kind ``resting`` while the breaker is open."""
        with self._lock:
            if self._failed < self._allowed:
                return
            left = self._open_until - self._clock.monotonic()
            if left > 0:
                reason = Message(
                    "not asked: it failed {times} times in a row; next try in {n} seconds",
                    times=self._failed,
                    n=f"{left:.0f}",
                )
                raise ServiceDown(self._service, reason, retry_after=left, kind="resting")
            # Other calls stay refused while this one tries.
            self._open_until = self._clock.monotonic() + self._rest

    def succeeded(self) -> None:
        """Close the breaker."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """Count a failure; from the *failures*-th in a row on, open the breaker."""
        with self._lock:
            self._failed += 1
            over = self._failed - self._allowed
            if over >= 0:
                self._open_until = self._clock.monotonic() + min(self._rest * 2.0 ** min(over, 20), self._most)
