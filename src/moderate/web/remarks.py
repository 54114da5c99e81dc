"""What an operator should know of the settings, said once in the log when the app begins to serve."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("moderate")


class Remarks:
    """Sentences that wait for the first request: each command builds the same app, and need not repeat them."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._left = list(words)

    def say(self) -> None:
        """Write to the log whatever has not been said yet."""
        if not self._left:
            return
        with self._lock:
            left, self._left = self._left, []
        for words in left:
            log.warning(words)
