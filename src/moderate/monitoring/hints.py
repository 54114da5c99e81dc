"""Hints for operators in the log: settings that may not mean what they think, and a proxy without ProxyFix."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from flask import current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("moderate")


class Hints:
    """Sentences that are logged once per process.

    *sentences* wait for the first request: each command builds the same app, and need not repeat them.
    """

    def __init__(self, sentences: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._waiting = list(sentences)
        self._logged: set[str] = set()

    def log_waiting(self) -> None:
        """Log the sentences that have not been logged yet."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for sentence in waiting:
            log.warning(sentence)

    def log_once(self, sentence: str) -> None:
        """Log *sentence*, unless this process has done so before."""
        with self._lock:
            is_new = sentence not in self._logged
            self._logged.add(sentence)
        if is_new:
            log.warning(sentence)


class ProxyWatch:
    """A ``before_request`` function that warns once of a proxy in front of an app without `ProxyFix`.

    Without it all readers share one address, and one limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_settled = False

    def __call__(self) -> None:
        if self._is_settled or "X-Forwarded-For" not in request.headers:
            return
        with self._lock:
            if self._is_settled:
                return
            self._is_settled = True
        if not isinstance(current_app.wsgi_app, ProxyFix):
            log.warning(
                "Requests carry X-Forwarded-For, but the app has no ProxyFix: if a proxy of yours sets it, all readers "
                "share one rate limit. See https://flask.palletsprojects.com/deploying/proxy_fix/. If you have no "
                "proxy, nothing is wrong: the header is a stranger's and is not read."
            )
