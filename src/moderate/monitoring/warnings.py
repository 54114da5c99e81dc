"""Warnings for operators in the log: hints about the site's set-up, and outages of services.

An outage takes two lines: one when a service or page begins to fail, and one when it works again.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moderate.errors import ServiceDown
    from moderate.ports import Clock

log = logging.getLogger("moderate")

#: For an app without `ProxyFix` behind a proxy: all readers share one address, and one limit.
NO_PROXY_FIX = (
    "Requests carry X-Forwarded-For, but the app has no ProxyFix: if a proxy of yours sets it, all readers "
    "share one rate limit. See https://flask.palletsprojects.com/deploying/proxy_fix/. If you have no "
    "proxy, nothing is wrong: the header is a stranger's and is not read."
)


class Hints:
    """Sentences that are logged once per process.

    *waiting* are for the first request: each command builds the same app, and need not repeat them.
    """

    def __init__(self, waiting: Sequence[str] = ()) -> None:
        self.waiting = waiting
        self._lock = threading.Lock()
        self._logged: set[str] = set()

    def log_waiting(self) -> None:
        """Log the sentences that have not been logged yet."""
        waiting, self.waiting = self.waiting, ()
        for sentence in waiting:
            self.log_once(sentence)

    def log_once(self, sentence: str) -> None:
        """Log *sentence*, unless this process has done so before."""
        with self._lock:
            is_new = sentence not in self._logged
            self._logged.add(sentence)
        if is_new:
            log.warning(sentence)


#: Seconds without a failure after which a service counts as back. One that fails now and then is one outage.
QUIET = 5.0


@dataclass(slots=True)
class Episode:
    """One outage: its beginning and its latest failure in monotonic seconds, and the number of failures."""

    service: str
    began: float
    latest: float
    #: The value of *done* at the latest failure; None for an outage that ends by `Outages.over`.
    done: int | None
    failures: int = 1


class Outages:
    """The outages that requests and workers of this process notice. Safe for threads.

    *done* returns a number that grows with each statement of the database: its outage ends only after one has
    succeeded. Outages of other services end by time, or by `over` where they were noted by `failed`.
    """

    def __init__(self, clock: Clock, done: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._done = done
        self._lock = threading.Lock()
        #: By the names of the services.
        self.ongoing: dict[str, Episode] = {}

    def met(self, error: ServiceDown) -> None:
        """Note a failure; the first one of an outage is logged."""
        self._note(error.service, error, self._done())

    def failed(self, name: str, error: ServiceDown) -> None:
        """Note a failure of a rarely used service; the outage called *name* lasts until `over` is called."""
        self._note(name, error, None)

    def _note(self, name: str, error: ServiceDown, done: int | None) -> None:
        now = self._clock.monotonic()
        with self._lock:
            known = self.ongoing.get(name)
            if known is None:
                self.ongoing[name] = Episode(error.service, now, now, done)
            else:
                known.latest, known.done = now, done
                known.failures += 1
        if known is None:
            log.error("%s", error, extra={"moderate_service": error.service})

    def over(self, name: str) -> None:
        """End the outage called *name*, if there is one."""
        if name in self.ongoing:
            with self._lock:
                known = self.ongoing.pop(name, None)
            if known is not None:
                self._tell_end(known)

    def settle(self) -> None:
        """End the outages that are over by time."""
        now = self._clock.monotonic()
        with self._lock:
            names = [name for name, known in self.ongoing.items() if self._is_over(known, now)]
            over = [self.ongoing.pop(name) for name in names]
        for known in over:
            self._tell_end(known)

    def _tell_end(self, known: Episode) -> None:
        log.info(
            "%s: it is back after %.0f s; it failed %d times.",
            known.service,
            self._clock.monotonic() - known.began,
            known.failures,
            extra={"moderate_service": known.service},
        )

    def _is_over(self, known: Episode, now: float) -> bool:
        if known.done is None or now - known.latest < QUIET:
            return False
        return known.service != "database" or self._done() != known.done


class PageOutages:
    """Logs pages of the host that were sent incomplete: one line when this begins, and one when it ends.

    An outage ends with the first complete page some seconds after the last failure, because one part of a page may
    work while another does not. Safe for threads.
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
