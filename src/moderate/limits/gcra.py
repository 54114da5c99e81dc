"""The generic cell rate algorithm, as far as both limiters share it.

Each budget is one moment: when it will be full again. The time until then is its debt. Spending one
adds an interval (the window divided by the count) to the debt, and is allowed while the debt stays
within capacity x interval. Nothing is ever written for a refusal, so a client that keeps knocking gets
its share again exactly when the algorithm allows it. All times are whole microseconds, so both
limiters reckon alike to the last digit (ITU-T I.371, virtual scheduling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.limits.rates import BucketState, Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.limits.rates import Bucket, Rate

_SECOND = 1_000_000


def interval_us(rate: Rate) -> int:
    """Microseconds that one event costs, rounded up so that never more than the rate passes."""
    return -(-rate.seconds * _SECOND // rate.count)


def answer(buckets: Sequence[Bucket], wait_us: int, debts_us: Sequence[int]) -> Taken:
    """What a limiter answers, from the wait and the debts after the decision, in microseconds."""
    states = tuple(
        BucketState(bucket, bucket.rate.capacity - -(-debt // interval_us(bucket.rate)), debt / _SECOND)
        for bucket, debt in zip(buckets, debts_us, strict=True)
    )
    return Taken(max(wait_us, 0) / _SECOND, states)


def seconds_to_next(state: BucketState) -> float:
    """Seconds until one more than now can be spent from this budget; 0 where it is full."""
    if state.reset <= 0:
        return 0.0
    room = state.bucket.rate.capacity - state.remaining - 1
    return max(0.0, state.reset - room * interval_us(state.bucket.rate) / _SECOND)
