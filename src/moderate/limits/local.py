"""Limits in this process: the algorithm of `take.lua` over a dictionary."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from moderate.limits.gcra import answer, interval_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.limits.rates import Bucket, Taken
    from moderate.ports import Clock


class LocalLimiter:
    """See the port `Limiter`. For one process; several processes each count for themselves.

    Memory is bounded: at most `max_buckets` budgets are remembered (about 200 bytes each), and the ones
    that were spent from longest ago are forgotten first. Safe for threads. Never raises.
    """

    def __init__(self, clock: Clock, *, max_buckets: int = 50_000) -> None:
        self._clock = clock
        self._max_buckets = max_buckets
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many budgets are remembered."""
        return len(self._full_at)

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        with self._lock:
            now = int(self._clock.monotonic() * 1_000_000)
            debts, wait = self._look(buckets, now)
            if spend and wait <= 0:
                debts = self._spend(buckets, debts, now)
        return answer(buckets, wait, debts)

    def _look(self, buckets: Sequence[Bucket], now: int) -> tuple[list[int], int]:
        debts, wait = [], 0
        for bucket in buckets:
            interval = interval_us(bucket.rate)
            most = interval * bucket.rate.capacity
            debt = min(max(self._full_at.get(bucket.key, now) - now, 0), most)
            debts.append(debt)
            wait = max(wait, debt + interval - most)
        return debts, wait

    def _spend(self, buckets: Sequence[Bucket], debts: list[int], now: int) -> list[int]:
        after = [debt + interval_us(bucket.rate) for bucket, debt in zip(buckets, debts, strict=True)]
        for bucket, debt in zip(buckets, after, strict=True):
            self._full_at[bucket.key] = now + debt
            self._full_at.move_to_end(bucket.key)
        self._forget(len(buckets), now)
        return after

    def _forget(self, at_most: int, now: int) -> None:
        # Each decision looks at as many of the oldest as it wrote, and one more, so that what is full again
        # goes away without a sweep of its own.
        for _ in range(at_most + 1):
            key = next(iter(self._full_at), None)
            if key is None or (self._full_at[key] > now and len(self._full_at) <= self._max_buckets):
                return
            del self._full_at[key]
