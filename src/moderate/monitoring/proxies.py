"""Notices a site behind a proxy that has not said so: then all readers share one address, and one limit."""

from __future__ import annotations

import logging
import threading

from flask import current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix

log = logging.getLogger("moderate")


class ProxyWatch:
    """Warns once, at the first request that a proxy has passed on to an app without `ProxyFix`."""

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
