"""Limits in this process: the algorithm, the limiter over a dictionary, and the guard for outages of Redis.

The algorithm is the generic cell rate algorithm (GCRA). The state of a budget is one moment: when it will be full
again. The time until then is its debt. An event adds one interval (the window divided by the count) to the debt and is
allowed while the debt stays within capacity x interval. A refusal writes nothing, so a client that keeps retrying is
allowed again exactly when the algorithm says so. All times are whole microseconds, so that this limiter and `take.lua`
give equal answers (ITU-T I.371, virtual scheduling).

In an outage there is one policy, one log line and no waiting. The first request that meets it waits for the
limiter's own time-out (a quarter of a second) and opens the circuit breaker. From then on requests are answered at
once by the policy, while a thread asks the limiter once a second, so that no request waits for a probe and the
return is noticed with or without traffic.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from functools import partial
from operator import ge
from typing import TYPE_CHECKING, Literal

from moderate.errors import ServiceDown
from moderate.limits.rates import SECOND, Bucket, Rate, Taken
from moderate.lru import LRUCache
from moderate.outbound.failures import CircuitBreaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.ports import Clock, Limiter


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
        debts, wait = [], 0
        with self._lock:
            now = int(self._clock.monotonic() * SECOND)
            for bucket in buckets:
                rate = bucket.rate
                debt = min(max((self._full_at.get(bucket.key) or now) - now, 0), rate.span)
                debts.append(debt)
                wait = max(wait, debt + rate.interval - rate.span)
            if spend and wait <= 0:
                for index, bucket in enumerate(buckets):
                    debts[index] += bucket.rate.interval
                    self._full_at.put(bucket.key, now + debts[index])
                # Each decision looks at as many of the oldest as it wrote, and one more, so that budgets that are
                # full again are dropped without a sweep of their own.
                is_full = partial(ge, now)
                for _ in range(len(buckets) + 1):
                    if not self._full_at.expire_oldest(is_full):
                        break
        return Taken(wait / SECOND, buckets, debts)


OutagePolicy = Literal["local", "open", "closed"]
"""`local`: the same rates in each process, starting fresh. `open`: no limits. `closed`: everything is refused."""

_log = logging.getLogger("moderate")

#: A decision that concerns no client, to try the limiter by. A server may answer PING and still refuse to write
#: (a replica, full memory, a user without rights, one node of a Cluster).
PROBE = (Bucket("probe", "probe", Rate(1000, 1)),)

_POLICY_WORDS = {
    "local": "each process counts for itself until it is back",
    "open": "nothing is limited until it is back",
    "closed": "what is limited is refused until it is back",
}


@dataclass(slots=True)
class Outage:
    """An outage under way: its last error, its beginning (monotonic seconds), and the limiter that stands in."""

    error: ServiceDown
    began: float
    fallback: LocalLimiter
    #: The number of decisions that were taken without the limiter so far.
    decisions: int = 0

    @property
    def reason(self) -> str:
        return self.error.reason


class GuardedLimiter:
    """A `Limiter` around another one. Raises `ServiceDown` under the policy ``closed`` only.

    While *limiter* is down it is asked every *probe_seconds* by a thread.
    """

    def __init__(
        self, limiter: Limiter, clock: Clock, policy: OutagePolicy = "local", *, probe_seconds: float = 1.0
    ) -> None:
        self._limiter = limiter
        self._clock = clock
        self._policy = policy
        self._probe_seconds = probe_seconds
        self._breaker = CircuitBreaker("limiter", clock, failures=1, rest=math.inf, most=math.inf)
        #: The latest outage, which is under way while the breaker is open.
        self._outage: Outage | None = None
        self._watcher: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        #: The number of outages since the start of the process.
        self.outages = 0

    @property
    def outage(self) -> Outage | None:
        """The outage under way, None while the limiter answers."""
        return self._outage if self._breaker.is_open else None

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        outage = self.outage
        if outage is None:
            try:
                return self._limiter.take(buckets, spend=spend)
            except ServiceDown as error:
                outage = self._begin(error)
        self._keep_watch()
        with self._lock:
            outage.decisions += 1
        if self._policy == "open":
            return Taken(0.0)
        if self._policy == "closed":
            raise ServiceDown(outage.error.service, outage.reason) from outage.error
        return outage.fallback.take(buckets, spend=spend)

    def close(self) -> None:
        """Stop the thread that waits for the limiter's return."""
        self._closed.set()
        watcher = self._watcher
        if watcher is not None:
            watcher.join(timeout=2)

    def _begin(self, error: ServiceDown) -> Outage:
        with self._lock:
            if self._outage is None or not self._breaker.is_open:
                self._outage = Outage(error, self._clock.monotonic(), LocalLimiter(self._clock))
                self._breaker.failed()
                self.outages += 1
                fields = {"moderate_service": error.service}
                _log.warning("Limits: %s; %s.", error, _POLICY_WORDS[self._policy], extra=fields)
            return self._outage

    def _keep_watch(self) -> None:
        # A process that was forked in the middle of an outage has no such thread.
        if self._watcher is not None and self._watcher.is_alive():
            return
        with self._lock:
            is_watched = self._watcher is not None and self._watcher.is_alive()
            if self._outage is None or is_watched or not self._breaker.is_open or self._closed.is_set():
                return
            self._watcher = threading.Thread(
                target=self._watch, args=(self._outage,), name="moderate-limits", daemon=True
            )
            self._watcher.start()

    def _watch(self, outage: Outage) -> None:
        while not self._closed.wait(self._probe_seconds):
            try:
                self._limiter.take(PROBE)
            except ServiceDown as error:
                outage.error = error
            else:
                break
        else:
            return
        with self._lock:
            # Within the lock, so that a failure from now on begins an outage with a thread of its own.
            self._watcher = None
            self._breaker.succeeded()
        _log.info(
            "Limits: %s is back after %.0f s; %d decisions were taken without it.",
            outage.error.service,
            self._clock.monotonic() - outage.began,
            outage.decisions,
            extra={"moderate_service": outage.error.service},
        )
