"""The LRU caches that everything in this process shares: bounded in number, optionally in bytes, safe for threads."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

S = TypeVar("S")
V = TypeVar("V")


class LRUCache(Generic[V]):
    """Values by key, of which the least recently used go first. Safe for threads.

    Holds at most *max_entries* values, of at most *max_bytes* together.
    """

    def __init__(self, max_entries: int, max_bytes: float = math.inf) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        """Return the value of *key* and make it the most recently used; None where there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: V, size: int = 0) -> None:
        """Store *value*, of *size* bytes. A value of more than a quarter of all bytes would evict too many others.

        Such a value is not stored.
        """
        if size > self._max_bytes / 4:
            return
        with self._lock:
            before = self._values.pop(key, None)
            self._values[key] = (value, size)
            self._bytes += size if before is None else size - before[1]
            while len(self._values) > self._max_entries or self._bytes > self._max_bytes:
                _, (_, gone) = self._values.popitem(last=False)
                self._bytes -= gone

    def expire_oldest(self, is_expired: Callable[[V], bool]) -> bool:
        """Remove the least recently used value if it *is_expired*; return whether it was removed."""
        with self._lock:
            key = next(iter(self._values), None)
            if key is None or not is_expired(self._values[key][0]):
                return False
            self._bytes -= self._values.pop(key)[1]
            return True

    @property
    def size(self) -> int:
        """The bytes that are stored."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._values)


class DerivedCache(Generic[S, V]):
    """Values that were made of something, each with its source: it is returned for an equal source only.

    Nothing has to be removed when a source changes; the value of the new one replaces that of the old one.
    """

    def __init__(self, max_entries: int, max_bytes: float) -> None:
        self._made: LRUCache[tuple[S, V]] = LRUCache(max_entries, max_bytes)

    def get(self, key: Hashable, source: S) -> V | None:
        """Return the value of *key* if it was made of an equal *source*, else None."""
        made = self._made.get(key)
        # Comparing the fields of an item takes longer than all the rest.
        if made is None or not (made[0] is source or made[0] == source):
            return None
        return made[1]

    def put(self, key: Hashable, source: S, value: V, size: int) -> V:
        """Store the *value* that was made of *source*, and return it. *size* is that of both in bytes, roughly."""
        self._made.put(key, (source, value), size)
        return value
