"""The guarded fetcher: reads a page that a stranger named, and nothing else.

Whoever sends a ping makes this server open a connection. So the fetcher connects to checked public
addresses alone, on every hop; spends a fixed time and a fixed number of bytes over all hops together;
sends no cookie, no Referer and no credentials; and asks no environment for proxies.

Nothing of what went wrong reaches the sender but `FetchFailed.public`. Time tells as little: fetches
run in deferred work that no request waits for, and no connection is ever opened to an address that is
not allowed, so that the time taken is the same whatever listens there.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network
from typing import TYPE_CHECKING

import httpcore

from moderate.errors import FetchFailed
from moderate.i18n import Message
from moderate.outbound.addresses import fetchable, networks, port_of, redirected
from moderate.outbound.body import check_type, read_body
from moderate.outbound.failures import trouble
from moderate.outbound.slots import Slots
from moderate.outbound.wire import FRAMING, Budget, GuardedBackend, Lookups
from moderate.web_address import read

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Iterable, Iterator

    from moderate.outbound.addresses import Address
    from moderate.outbound.wire import Resolver
    from moderate.ports import Clock
    from moderate.web_address import WebAddress

#: RFC 9110 §15.4: those that name the one place to look instead. 300 and 305 leave a choice or name a proxy.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WEB_PORTS = frozenset({80, 443})
_ACCEPT = "text/html, application/xhtml+xml;q=0.9, application/json;q=0.5, text/plain;q=0.4"
_NOT_IN_COMMENT = re.compile(r"[^\x20-\x7e]|[()\\]")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of another site, whole and decompressed.

    `url` is where the redirects ended, without a fragment. `content_type` is the header field as
    it came. `body` is empty where `status` is 400 or more: what an error page says matters to nobody.
    """

    url: str
    status: int
    content_type: str
    body: bytes


class GuardedFetcher:
    """Reads pages of other sites, none of which is trusted. Safe for use by several threads.

    `timeout` is in seconds for the whole fetch: waiting for a place, names, redirects and body.
    `max_bytes` holds for the body on the wire and decompressed alike. `allow` are networks (CIDR)
    that may be reached though not public. `own` are URLs of this site: fetching oneself only makes
    loops. `per_host` and `total` bound what this process fetches at once; `per_host` holds for names
    and for the addresses behind them alike. `ssl_context`, `resolver`
    and `backend` take the place of the system's certificates, of ``socket.getaddrinfo`` and of
    real sockets; the rules hold above all three.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        user_agent: str,
        timeout: float = 10.0,
        max_bytes: int = 1_048_576,
        ports: Collection[int] = (80, 443),
        allow: Iterable[object] = (),
        own: Iterable[str] = (),
        resolver: Resolver = socket.getaddrinfo,
        max_redirects: int = 5,
        per_host: int = 2,
        total: int = 8,
        ssl_context: ssl.SSLContext | None = None,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._clock = clock
        self._user_agent = user_agent
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._ports = frozenset(ports)
        self._allow = networks(str(network) for network in allow)
        self._own = frozenset(places_of(own))
        self._max_redirects = max_redirects
        self._lookups = Lookups(resolver, limit=2 * total)
        self._hosts = Slots(clock, per_host=per_host, total=total)
        # Any number of names may lead to one server.
        self._addresses = Slots(clock, per_host=per_host, total=total)
        self._ssl_context = ssl_context
        self._ssl_lock = threading.Lock()
        self._backend = backend or httpcore.SyncBackend()

    def fetch(self, url: str, *, about: str, own: Iterable[str] = ()) -> Fetched:
        """GET a page and return the answer for every status of 200 to 299 and of 400 to 599.

        `about` says for whom and why, and goes into the User-Agent: ``"+https://news.example/;
        verifying webmention ping from 192.0.2.7"``. `own` are addresses of this site, whose host is
        not fetched from, nor where a redirect leads there: a stranger could make the site ask itself.
        Raises `FetchFailed` for all else. Blocks for seconds: only for deferred work, never within a request.
        """
        address = fetchable(url, ports=self._ports, allow=self._allow)
        places = self._own | set(places_of(own))
        budget = Budget(self._clock, self._clock.monotonic() + self._timeout, self._max_bytes + FRAMING)
        for _ in range(self._max_redirects + 1):
            if _place(address) in places:
                raise FetchFailed("blocked", "the source is this site itself")
            answer = self._hop(address, about, budget)
            if isinstance(answer, Fetched):
                return answer
            address = answer
        raise FetchFailed("redirects", Message("the source redirects more than {n} times", n=self._max_redirects))

    def _hop(self, address: WebAddress, about: str, budget: Budget) -> Fetched | WebAddress:
        with self._place(self._hosts, address.host, budget), self._answer(address, about, budget) as response:
            fields = _fields(response)
            location = fields.get("location")
            if response.status in _REDIRECTS and location is not None:
                return redirected(address, location, ports=self._ports, allow=self._allow)
            return self._fetched(address, response, fields)

    def _fetched(self, address: WebAddress, response: httpcore.Response, fields: dict[str, str]) -> Fetched:
        content_type = fields.get("content-type", "")
        if response.status >= 400:
            return Fetched(address.url, response.status, content_type, b"")
        if not 200 <= response.status < 300:
            raise FetchFailed("status", Message("the source answered {status}", status=response.status))
        check_type(content_type)
        body = read_body(response.iter_stream(), fields, self._max_bytes)
        return Fetched(address.url, response.status, content_type, body)

    @contextmanager
    def _place(self, slots: Slots, key: str, budget: Budget) -> Iterator[None]:
        try:
            with slots.hold(key, budget.seconds()):
                yield
        except TimeoutError:
            raise FetchFailed("busy", "other pages of the same server were being waited for") from None

    @contextmanager
    def _answer(self, address: WebAddress, about: str, budget: Budget) -> Iterator[httpcore.Response]:
        places = ExitStack()

        def claim(found: Address) -> None:
            places.enter_context(self._place(self._addresses, line_of(found), budget))

        backend = GuardedBackend(self._backend, self._lookups, self._allow, budget, claim)
        budget.begin_head()
        with (
            places,
            _failures_named(),
            httpcore.ConnectionPool(
                ssl_context=self._trust() if address.scheme == "https" else None,
                max_connections=1,
                max_keepalive_connections=0,
                network_backend=backend,
            ) as pool,
            pool.stream("GET", _request_url(address), headers=self._headers(address, about)) as response,
        ):
            budget.in_head = False
            yield response

    def _headers(self, address: WebAddress, about: str) -> list[tuple[str | bytes, str | bytes]]:
        return [
            ("Host", address.authority),
            ("User-Agent", f"{self._user_agent} ({_NOT_IN_COMMENT.sub('', about)[:200]})"),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip"),
            ("Connection", "close"),
        ]

    def _trust(self) -> ssl.SSLContext:
        with self._ssl_lock:
            if self._ssl_context is None:
                self._ssl_context = httpcore.default_ssl_context()
            return self._ssl_context


def places_of(urls: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield host and port of this site's own addresses; what is no web address is left out."""
    yield from (_place(address) for url in urls if (address := read(url)))


def _place(address: WebAddress) -> tuple[str, int]:
    """Host and port, http and https on their usual ports being one site."""
    return address.host, 0 if port_of(address) in _WEB_PORTS else address.port


def line_of(address: Address) -> str:
    """What belongs to one customer: an IPv4 address, or a whole /64 of IPv6."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), 64), strict=False))


def _request_url(address: WebAddress) -> httpcore.URL:
    return httpcore.URL(scheme=address.scheme, host=address.host, port=port_of(address), target=address.target)


def _fields(response: httpcore.Response) -> dict[str, str]:
    """Header fields by their lower-case names; of a repeated one the last, as only single ones are asked for."""
    return {name.decode("ascii").lower(): value.decode("utf-8", "replace") for name, value in response.headers}


@contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise FetchFailed("timeout", "the source took too long") from error
    except (httpcore.ConnectError, OSError) as error:
        raise FetchFailed("refused", Message("the source cannot be reached: {why}", why=trouble(error))) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise FetchFailed("bad-response", "the source broke off, or does not keep to the rules of HTTP") from error
