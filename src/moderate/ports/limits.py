"""Counting: rates, buckets, and what spends from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` events per `seconds`, of which `burst` may come at once (`count` unless told)."""

    count: int
    seconds: int
    burst: int = 0

    @property
    def capacity(self) -> int:
        return self.burst or self.count


@dataclass(frozen=True, slots=True)
class Bucket:
    """One budget that a request spends from. `key` holds no plain address or e-mail."""

    name: str
    key: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class BucketState:
    """How one bucket stood after a decision: what is left, and seconds until it is full again."""

    bucket: Bucket
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer of one decision. `wait` is 0 where all buckets were spent from, else seconds to wait.

    `crowded` names the shared budgets (of an article, of the site) that are used up although the
    sender stays within its own: what comes in is to be held for a person, not refused.
    """

    wait: float
    states: tuple[BucketState, ...] = ()
    crowded: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.wait <= 0


class Limiter(Protocol):
    """Spends one from each bucket, or from none. Raises `ServiceDown`; a time-out is never counted twice."""

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        """With `spend=False` only looks: the answer tells whether one more would pass."""


class RemoteLimiter(Limiter, Protocol):
    """A limiter on a server of its own, which operators want to know about."""

    def describe(self) -> str:
        """What is connected, without any secret; the address alone where the server tells nothing of itself."""

    def advice(self) -> tuple[str, ...]:
        """What an operator had better change about the connection."""

    def remarks(self) -> tuple[str, ...]:
        """Return what the server's memory and disk do to the counts, as far as it tells."""
