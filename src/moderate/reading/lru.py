"""What this process has put together for readers before, so that it need not do it again for the next one.

Keys hold the article's revision, which is read from the database for each reader: whatever changes,
here or in another process, is asked for under another key, and what was kept under the old one ages out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")

MAX_ENTRIES = 256
MAX_BYTES = 8 * 1024 * 1024


class Kept(Generic[T]):
    """The values asked for last, within bounds in number and in size. Safe for threads."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: T, size: int) -> None:
        """Keep *value*, of *size* bytes; what is a quarter of all that may be kept would push too much out."""
        if size > self._max_bytes // 4:
            return
        with self._lock:
            _, before = self._values.pop(key, (value, 0))
            self._values[key] = (value, size)
            self._bytes += size - before
            while len(self._values) > self._max_entries or self._bytes > self._max_bytes:
                _, (_, gone) = self._values.popitem(last=False)
                self._bytes -= gone

    @property
    def size(self) -> int:
        """The bytes that are kept."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._values)
