"""What happens to limits while the limiter does not answer: one policy, one log line, no waiting.

The first request that meets the outage pays for finding out (the limiter's own time-out, a quarter of
a second) and opens the breaker. From then on requests are answered at once by the policy, while a thread
asks the limiter once a second whether it is back, so that no request ever pays for a probe and the
return is noticed with or without traffic.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from moderate.errors import ServiceDown
from moderate.limits.local import LocalLimiter
from moderate.limits.rates import Bucket, Rate, Taken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moderate.ports import Clock, Limiter

OutagePolicy = Literal["local", "open", "closed"]
"""`local`: the same rates in each process, starting fresh. `open`: no limits. `closed`: everything is refused."""

_log = logging.getLogger("moderate")

#: A decision that harms nobody, to try the limiter by. A server may answer PING and still refuse to write
#: (a replica, full memory, a user without rights, one node of a Cluster).
PROBE = (Bucket("probe", "probe", Rate(1000, 1)),)

_POLICY_WORDS = {
    "local": "each process counts for itself until it is back",
    "open": "nothing is limited until it is back",
    "closed": "what is limited is refused until it is back",
}


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage under way: since when, why, and how many decisions were taken without the limiter so far."""

    since: datetime
    reason: str
    decisions: int


class _Episode:
    """One outage from its first failure to the limiter's return."""

    def __init__(self, error: ServiceDown, clock: Clock) -> None:
        self.error = error
        self.since = clock.now()
        self.began = clock.monotonic()
        self.decisions = 0
        self.fallback = LocalLimiter(clock)
        self.watcher: threading.Thread | None = None


class GuardedLimiter:
    """See the port `Limiter`. Raises `ServiceDown` under the policy `closed` only."""

    def __init__(
        self, limiter: Limiter, clock: Clock, policy: OutagePolicy = "local", *, probe_seconds: float = 1.0
    ) -> None:
        self._limiter = limiter
        self._clock = clock
        self._policy = policy
        self._probe_seconds = probe_seconds
        self._episode: _Episode | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.outages = 0
        """How many outages there were since the start of the process."""

    @property
    def outage(self) -> Outage | None:
        """The outage under way, None while the limiter answers."""
        episode = self._episode
        return None if episode is None else Outage(episode.since, episode.error.reason, episode.decisions)

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        episode = self._episode
        if episode is None:
            try:
                return self._limiter.take(buckets, spend=spend)
            except ServiceDown as error:
                episode = self._begin(error)
        self._keep_watch(episode)
        return self._without(episode, buckets, spend=spend)

    def close(self) -> None:
        """Stop asking whether the limiter is back."""
        self._closed.set()
        episode = self._episode
        if episode and episode.watcher:
            episode.watcher.join(timeout=2)

    def _without(self, episode: _Episode, buckets: Sequence[Bucket], *, spend: bool) -> Taken:
        with self._lock:
            episode.decisions += 1
        if self._policy == "open":
            return Taken(0.0)
        if self._policy == "closed":
            raise ServiceDown(episode.error.service, episode.error.reason) from episode.error
        return episode.fallback.take(buckets, spend=spend)

    def _begin(self, error: ServiceDown) -> _Episode:
        with self._lock:
            if self._episode is None:
                self._episode = _Episode(error, self._clock)
                self.outages += 1
                fields = {"moderate_service": error.service}
                _log.warning("Limits: %s; %s.", error, _POLICY_WORDS[self._policy], extra=fields)
            return self._episode

    def _keep_watch(self, episode: _Episode) -> None:
        # A process forked in the middle of an outage has the episode, but not the thread.
        if episode.watcher is not None and episode.watcher.is_alive():
            return
        with self._lock:
            watched = episode.watcher is not None and episode.watcher.is_alive()
            if watched or self._episode is not episode or self._closed.is_set():
                return
            episode.watcher = threading.Thread(target=self._watch, args=(episode,), name="moderate-limits", daemon=True)
            episode.watcher.start()

    def _watch(self, episode: _Episode) -> None:
        while not self._closed.wait(self._probe_seconds):
            try:
                self._limiter.take(PROBE)
            except ServiceDown as error:
                episode.error = error
            else:
                self._end(episode)
                return

    def _end(self, episode: _Episode) -> None:
        with self._lock:
            self._episode = None
        lasted = self._clock.monotonic() - episode.began
        _log.info(
            "Limits: %s is back after %.0f s; %d decisions were taken without it.",
            episode.error.service,
            lasted,
            episode.decisions,
            extra={"moderate_service": episode.error.service},
        )
