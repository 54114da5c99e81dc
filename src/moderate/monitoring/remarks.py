"""What an operator should know of the settings and of the host's code, said once in the log."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.errors import ServiceDown
    from moderate.ports import Clock

#: Seconds after the last failure after which a page that is whole again ends an outage.
QUIET = 5.0

log = logging.getLogger("moderate")


class Remarks:
    """Sentences that wait for the first request: each command builds the same app, and need not repeat them."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._left = list(words)
        self._said: set[str] = set()

    def say(self) -> None:
        """Write to the log whatever has not been said yet."""
        if not self._left:
            return
        with self._lock:
            left, self._left = self._left, []
        for words in left:
            log.warning(words)

    def once(self, words: str) -> None:
        """Write *words* to the log, unless this process has done so before."""
        with self._lock:
            is_new = words not in self._said
            self._said.add(words)
        if is_new:
            log.warning(words)


class PageOutages:
    """Tells of pages of the host that went out incomplete: one line as an outage begins, and one as it ends.

    An outage ends with the first page that is whole again some seconds after the last failure, because one
    part of a page may work while another does not. Safe for threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._parts = 0
        self._latest = 0.0

    def met(self, error: ServiceDown) -> None:
        """Count a part of a page that was left out because of *error*."""
        with self._lock:
            self._parts += 1
            self._latest = self._clock.monotonic()
            is_first = self._parts == 1
        if is_first:
            fields = {"moderate_service": error.service}
            log.warning("Pages go out without comments, numbers or addresses for pings: %s", error, extra=fields)

    def over(self) -> None:
        """Note that a part of a page could be made."""
        if not self._parts or self._clock.monotonic() - self._latest < QUIET:
            return
        with self._lock:
            parts, self._parts = self._parts, 0
        if parts:
            log.info("Pages go out complete again; %d parts were left out.", parts)
