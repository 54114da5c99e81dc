"""Working stand-ins for tests and trial runs: they keep their promises, in memory. See the ports."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from moderate.akismet.values import SpamAnswer, SpamUsage, SpamWord
from moderate.errors import ServiceDown
from moderate.ports import TokenTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moderate.akismet.values import SpamSample
    from moderate.ports import Rule


class ScriptedSpamService:
    """Answers from a script, the last answer again and again, and remembers what it was asked and taught.

    A `ServiceDown` in the script is raised. Without a script everything is ham. See `SpamService`.
    """

    def __init__(self, *answers: SpamAnswer | SpamWord | ServiceDown) -> None:
        self._answers = deque(answers or (SpamWord.HAM,))
        self._lock = threading.Lock()
        self.samples: list[SpamSample] = []
        self.taught: list[tuple[SpamSample, bool]] = []

    def check(self, sample: SpamSample) -> SpamAnswer:
        with self._lock:
            self.samples.append(sample)
            answer = self._answers[0] if len(self._answers) == 1 else self._answers.popleft()
        if isinstance(answer, ServiceDown):
            raise answer
        return SpamAnswer(word=answer) if isinstance(answer, SpamWord) else answer

    def teach(self, sample: SpamSample, is_spam: bool) -> None:
        with self._lock:
            self.taught.append((sample, is_spam))

    def verify(self) -> bool:
        return True

    def usage(self) -> SpamUsage:
        return SpamUsage(limit=None, used=len(self.samples), percentage=0.0, throttled=False)

    def close(self) -> None:
        """There is nothing to close."""


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
        self._items: dict[int, bool] = {}
        self._messages = [0, 0]
        self._tokens = [0, 0]
        self._lock = threading.Lock()

    def key(self) -> bytes:
        return self._key

    def has_seen(self, least: int) -> bool:
        return min(self._messages) >= least

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        with self._lock:
            known = {token: (seen[0], seen[1]) for token in tokens if (seen := self._counts.get(token)) is not None}
            return TokenTable(known, (self._messages[0], self._messages[1]), (self._tokens[0], self._tokens[1]))

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None) -> bool:
        with self._lock:
            before = self._items.get(item)
            if before is is_spam:
                return False
            if before is not None:
                self._count(tokens, before, -1)
                del self._items[item]
            if is_spam is not None:
                self._count(tokens, is_spam, 1)
                self._items[item] = is_spam
            return True

    def _count(self, tokens: Collection[int], is_spam: bool, step: int) -> None:
        column = 0 if is_spam else 1
        for token in tokens:
            seen = self._counts.setdefault(token, [0, 0])
            seen[column] = max(seen[column] + step, 0)
            if seen == [0, 0]:
                del self._counts[token]
        self._messages[column] += step
        self._tokens[column] = max(self._tokens[column] + step * len(tokens), 0)
