"""The generic cell rate algorithm (GCRA), and the limiter that runs it over a dictionary in this process.

The state of a budget is one moment: when it will be full again. The time until then is its debt. An event adds
one interval (the window divided by the count) to the debt and is allowed while the debt stays within
capacity x interval. A refusal writes nothing, so a client that keeps retrying is allowed again exactly when the
algorithm says so. All times are whole microseconds, so that this limiter and `take.lua` give equal answers
(ITU-T I.371, virtual scheduling).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from moderate.limits.rates import BucketState, Taken
from moderate.lru import LRUCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.limits.rates import Bucket, Rate
    from moderate.ports import Clock

_SECOND = 1_000_000


def interval_us(rate: Rate) -> int:
    """Return the microseconds that one event costs, rounded up so that never more than the rate passes."""
    return -(-rate.seconds * _SECOND // rate.count)


def answer(buckets: Sequence[Bucket], wait_us: int, debts_us: Sequence[int]) -> Taken:
    """Return a limiter's answer from the wait and the debts after the decision, both in microseconds."""
    states = tuple(
        BucketState(bucket, bucket.rate.capacity - -(-debt // interval_us(bucket.rate)), debt / _SECOND)
        for bucket, debt in zip(buckets, debts_us, strict=True)
    )
    return Taken(max(wait_us, 0) / _SECOND, states)


def seconds_to_next(state: BucketState) -> float:
    """Return the seconds until one more event than now fits into this budget; 0 where it is full."""
    if state.reset <= 0:
        return 0.0
    room = state.bucket.rate.capacity - state.remaining - 1
    return max(0.0, state.reset - room * interval_us(state.bucket.rate) / _SECOND)


class LocalLimiter:
    """A `Limiter` for one process; several processes each count for themselves. Safe for threads; never raises.

    Memory is bounded: at most *max_buckets* budgets are kept (about 200 bytes each), and the least recently used
    ones are dropped first.
    """

    def __init__(self, clock: Clock, *, max_buckets: int = 50_000) -> None:
        self._clock = clock
        self._full_at: LRUCache[int] = LRUCache(max_buckets)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        intervals = [interval_us(bucket.rate) for bucket in buckets]
        debts, wait = [], 0
        with self._lock:
            now = int(self._clock.monotonic() * _SECOND)
            for bucket, interval in zip(buckets, intervals, strict=True):
                most = interval * bucket.rate.capacity
                debt = min(max((self._full_at.get(bucket.key) or now) - now, 0), most)
                debts.append(debt)
                wait = max(wait, debt + interval - most)
            if spend and wait <= 0:
                debts = [debt + interval for debt, interval in zip(debts, intervals, strict=True)]
                self._spend(buckets, debts, now)
        return answer(buckets, wait, debts)

    def _spend(self, buckets: Sequence[Bucket], debts: list[int], now: int) -> None:
        for bucket, debt in zip(buckets, debts, strict=True):
            self._full_at.put(bucket.key, now + debt)
        # Each decision looks at as many of the oldest as it wrote, and one more, so that budgets that are full
        # again are dropped without a sweep of their own.
        for _ in range(len(buckets) + 1):
            if not self._full_at.expire_oldest(lambda full_at: full_at <= now):
                break
