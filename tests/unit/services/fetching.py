"""Fetchers for tests, and what they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate.clock import SystemClock
from moderate.errors import FetchFailed
from moderate.outbound.fetch import GuardedFetcher
from tests.unit.services.loopback import Internet, Names, Server, serving

if TYPE_CHECKING:
    from moderate.outbound.fetch import Fetched
    from tests.unit.services.loopback import Handler

#: Seconds; the deadline where it is to be met, and where it is not.
TIMEOUT = 0.4
AMPLE = 60.0
#: Seconds within which a server is left, also on a busy machine.
SOON = 20.0
ABOUT = "+https://news.example/; verifying webmention ping from 192.0.2.7"


def fetcher(*servers: Server, **options: Any) -> GuardedFetcher:
    """A fetcher that may reach these servers."""
    settings = {
        "clock": SystemClock(),
        "user_agent": "moderate/0.1",
        "timeout": AMPLE,
        "max_bytes": 100_000,
        "ports": [server.port for server in servers] or (80, 443),
        "allow": ["127.0.0.0/8"] if servers else (),
    }
    return GuardedFetcher(**{**settings, **options})


def fetched_from(handler: Handler, path: str = "/", **options: Any) -> Fetched:
    with serving(handler) as server:
        return fetcher(server, **options).fetch(server.url(path), about=ABOUT)


def failure_of(handler: Handler, **options: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as failure:
        fetched_from(handler, **options)
    return failure.value


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def behind(names: dict[str, list[list[str]]], server: Server, **options: Any) -> tuple[GuardedFetcher, Internet, Names]:
    """A fetcher that thinks it is on the open net, where port 80 of every address is this server."""
    internet, resolver = Internet({80: server, 443: server}), Names(names)
    return fetcher(backend=internet, resolver=resolver, **options), internet, resolver


def failed(source: GuardedFetcher, url: str) -> FetchFailed:
    with pytest.raises(FetchFailed) as failure:
        source.fetch(url, about=ABOUT)
    return failure.value
