"""Stand-ins for tests of checks: rules and token counts in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from moderate.ports import Extent, TokenTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moderate.ports import Rule


class FixedRules:
    """The rules that it was given. See `Rules`."""

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def active(self) -> Sequence[Rule]:
        return self._rules


class MemoryTokenCounts:
    """Counts in this process; gone with it. See `TokenCounts`."""

    def __init__(self, key: bytes = b"a stand-in's key") -> None:
        self._key = key
        self._counts: dict[int, list[int]] = {}
        self._weights: dict[int, float] = {}
        self._bias = 0.0
        self._items: dict[int, tuple[bool, float]] = {}
        self._messages = [0, 0]
        self._tokens = [0, 0]
        self._most_seen = 0
        self._lock = threading.Lock()

    def key(self) -> bytes:
        return self._key

    def has_seen(self, least: int) -> bool:
        self._most_seen = max(self._most_seen, min(self._messages))
        return self._most_seen >= least

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        with self._lock:
            known = {token: (seen[0], seen[1]) for token in tokens if any(seen := self._counts.get(token, (0, 0)))}
            weights = {token: self._weights[token] for token in known}
            messages, total = (self._messages[0], self._messages[1]), (self._tokens[0], self._tokens[1])
            return TokenTable(known, messages, total, weights, self._bias)

    def taught(self, items: Collection[int]) -> dict[int, bool]:
        with self._lock:
            return {item: self._items[item][0] for item in items if item in self._items}

    def extent(self) -> Extent:
        with self._lock:
            return Extent(sum(item < 0 for item in self._items), sum(map(any, self._counts.values())))

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None, step: float = 0.0) -> bool:
        with self._lock:
            before, former = self._items.get(item, (None, 0.0))
            if before is is_spam:
                return False
            if before is not None:
                self._count(tokens, before, -1)
                self._weigh(tokens, -former)
                del self._items[item]
            if is_spam is not None:
                self._count(tokens, is_spam, 1)
                self._weigh(tokens, step)
                self._items[item] = is_spam, step
            return True

    def _weigh(self, tokens: Collection[int], step: float) -> None:
        self._bias += step
        for token in tokens:
            self._weights[token] = self._weights.get(token, 0.0) + step

    def _count(self, tokens: Collection[int], is_spam: bool, step: int) -> None:
        column = 0 if is_spam else 1
        for token in tokens:
            seen = self._counts.setdefault(token, [0, 0])
            seen[column] = max(seen[column] + step, 0)
        self._messages[column] += step
        self._tokens[column] = max(self._tokens[column] + step * len(tokens), 0)
