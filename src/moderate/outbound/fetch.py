"""The guarded fetcher: reads a page that the sender of a ping has named.

A sender so makes this server open a connection. The fetcher connects to checked public addresses alone, on every
hop; spends a fixed time and a fixed number of bytes over all hops together; sends no cookie, no Referer and no
credentials; and reads no proxies from the environment.

The sender learns nothing of a failure but `FetchFailed.public`. Nor does the time show anything: fetches run in
deferred work that no request waits for, and no connection is ever opened to an address that is not allowed, so that
the time taken does not depend on what listens there.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import zlib
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

import httpcore

from moderate.errors import FetchFailed
from moderate.i18n import Message
from moderate.outbound.client import FRAMING, Budget, DeadlinePassed, OutboundClient, TooMuchData, may_connect, networks
from moderate.outbound.failures import trouble
from moderate.web_address import MAX_ADDRESS, is_ip, read

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from moderate.outbound.client import Address, Network, Resolver
    from moderate.ports import Clock
    from moderate.web_address import WebAddress


#: The statuses that name one other address (RFC 9110 §15.4). 300 and 305 leave a choice or name a proxy.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WEB_PORTS = frozenset({80, 443})
_ACCEPT = "text/html, application/xhtml+xml;q=0.9, application/json;q=0.5, text/plain;q=0.4"
_TEXTUAL = frozenset({"text/html", "application/xhtml+xml", "application/xml", "text/xml", "text/plain"})
_JSON = "application/json"
#: zlib's numbers for "a gzip wrapper" and "a zlib wrapper", RFC 1952 and RFC 1950.
_WRAPPERS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_WEB = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_LEADING_ZERO = re.compile(r"[^/]*//[^/?#]*:0[0-9]*(?:[/?#]|$)")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\\\ud800-\udfff]")
_ESCAPED_LINE_END = re.compile(r"%0[0ad]", re.IGNORECASE)
_NOT_IN_COMMENT = re.compile(r"[^\x20-\x7e]|[()\\]")
#: Seconds for which a fetch waits for a busy host: once all fetches there have run this long, it is refused as busy.
YOUNG = 1.0


class Fetched(NamedTuple):
    """The answer of another site, whole and decompressed.

    `url` is where the redirects ended, without a fragment. `content_type` is the header field as
    it came. `body` is empty where `status` is 400 or more: error pages are not read.
    """

    url: str
    status: int
    content_type: str
    body: bytes


class GuardedFetcher:
    """Reads pages of other sites, none of which is trusted. Safe for use by several threads.

    `timeout` is in seconds for the whole fetch: waiting for a busy host, names, redirects and body.
    `max_bytes` bounds the body both on the wire and decompressed. `allow` are networks (CIDR)
    that may be reached though not public. `own` are URLs of this site: fetching oneself only makes
    loops. `per_host` and `total` bound what this process fetches at once; `per_host` holds for names
    as well as for the addresses behind them. `ssl_context`, `resolver` and `backend`: see `OutboundClient`.
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
        self._own = frozenset(own_sites(own))
        self._max_redirects = max_redirects
        self._client = OutboundClient(
            allow=self._allow, lookups=2 * total, resolver=resolver, ssl_context=ssl_context, backend=backend
        )
        self._hosts = HostSemaphore(clock, per_host=per_host, total=total)
        # Any number of names may lead to one server.
        self._addresses = HostSemaphore(clock, per_host=per_host, total=total)

    def fetch(self, url: str, *, about: str, own: Iterable[str] = ()) -> Fetched:
        """GET a page and return the answer for every status of 200 to 299 and of 400 to 599.

        `about` says for whom and why, and goes into the User-Agent: ``"+https://news.example/;
        verifying webmention ping from 192.0.2.7"``. `own` are addresses of this site, whose host is
        not fetched from, nor where a redirect leads there: a stranger could make the site ask itself.
        Raises `FetchFailed` for all else. Blocks for seconds: only for deferred work, never within a request.
        """
        address = fetchable(url, ports=self._ports, allow=self._allow)
        own_hosts = self._own | set(own_sites(own))
        budget = Budget.of(self._clock, self._timeout, self._max_bytes + FRAMING)
        for _ in range(self._max_redirects + 1):
            if _site_of(address) in own_hosts:
                raise FetchFailed("blocked", "the source is this site itself")
            answer = self._hop(address, about, budget)
            if isinstance(answer, Fetched):
                return answer
            address = answer
        raise FetchFailed("redirects", Message("the source redirects more than {n} times", n=self._max_redirects))

    def _hop(self, address: WebAddress, about: str, budget: Budget) -> Fetched | WebAddress:
        acquired = ExitStack()

        def claim(found: Address) -> None:
            acquired.enter_context(_acquired(self._addresses, line_of(found), budget))

        headers = [
            ("User-Agent", f"{self._user_agent} ({_NOT_IN_COMMENT.sub('', about)[:200]})"),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip"),
        ]
        with (
            _acquired(self._hosts, address.host, budget),
            acquired,
            _failures_named(),
            self._client.request("GET", address, budget, headers, claim=claim) as response,
        ):
            # Of a repeated field the last one, as only single ones are read.
            fields = {
                name.decode("ascii").lower(): value.decode("utf-8", "replace") for name, value in response.headers
            }
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
def _acquired(semaphore: HostSemaphore, key: str, budget: Budget) -> Iterator[None]:
    """Hold one of the host's permits. Raises `FetchFailed` of kind ``busy`` where none came free in time."""
    with ExitStack() as held:
        with _failures_named():
            seconds = budget.seconds()
        try:
            held.enter_context(semaphore.hold(key, seconds))
        except TimeoutError:
            raise FetchFailed("busy", "other pages of the same server were being waited for") from None
        yield


def own_sites(urls: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield host and port of this site's own addresses; what is no web address is left out."""
    yield from (_site_of(address) for url in urls if (address := read(url)))


def _site_of(address: WebAddress) -> tuple[str, int]:
    """Return host and port; http and https on their usual ports are one site."""
    return address.host, 0 if address.port_or_default in _WEB_PORTS else address.port


def line_of(address: Address) -> str:
    """Return the network of one customer as text: an IPv4 address, or a whole /64 of IPv6."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), 64), strict=False))


@contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, DeadlinePassed) as error:
        raise FetchFailed("timeout", "the source took too long") from error
    except TooMuchData as error:
        raise FetchFailed("too-large", "the source sent more than is accepted") from error
    except (httpcore.ConnectError, OSError) as error:
        raise FetchFailed("refused", Message("the source cannot be reached: {why}", why=trouble(error))) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise FetchFailed("bad-response", "the source broke off, or does not keep to the rules of HTTP") from error


# --- URLs -------------------------------------------------------------------------------------------
#
# Parsers disagree about backslashes, control characters, odd numbers and compatibility forms, and every disagreement
# has been a way past a filter. What is not plainly a web address is refused.


def fetchable(url: str, *, ports: Collection[int], allow: Sequence[Network] = ()) -> WebAddress:
    """Return an address that may be fetched from, or raise `FetchFailed` of kind ``blocked``.

    Refused are: schemes other than http and https, user names and passwords, ports outside `ports`,
    blanks, control characters and backslashes anywhere, hosts that only become ASCII by folding
    (``①②⑦.⓪.⓪.①``), numbers as hosts in any but the usual notation, and addresses instead of names
    unless they are within `allow`.
    """
    if len(url) > MAX_ADDRESS or _UNSAFE.search(url):
        raise _refused("is too long or holds blanks, control characters or backslashes")
    address = read(url)
    if address is None or address.has_user or _LEADING_ZERO.match(url):
        raise _refused("is not a plain http or https address")
    if address.is_disguised:
        raise _refused("has a host name in disguise")
    port = address.port_or_default
    if port not in ports:
        raise _refused(f"names port {port}, which is not allowed")
    if _ESCAPED_LINE_END.search(address.path + address.query):
        raise _refused("holds an encoded line end or NUL")
    if is_ip(address.host):
        literal = ip_address(address.host)
        if not any(literal in network for network in allow) or not may_connect(literal, allow):
            raise _refused("names an address instead of a host")
    return address


def _refused(what: str) -> FetchFailed:
    reason = f"the URL {what}"  # not translated: rarely seen, and for people who know URLs
    return FetchFailed("blocked", reason)


def redirected(base: WebAddress, location: str, *, ports: Collection[int], allow: Sequence[Network]) -> WebAddress:
    """Return the address that a Location field leads to. Raises `FetchFailed` as `fetchable` does.

    A relative reference stays on the host. A redirect from https to http is refused, because anyone on the way
    could answer in the page's place.
    """
    if (
        len(location) > MAX_ADDRESS
        or _UNSAFE.search(location)
        or (_SCHEME.match(location) and not _WEB.match(location))
    ):
        raise _refused("of a redirect is not a plain http or https address")
    try:
        address = fetchable(urljoin(base.url, location), ports=ports, allow=allow)
    except ValueError:
        raise _refused("of a redirect is not a plain http or https address") from None
    if base.scheme == "https" and address.scheme == "http":
        raise FetchFailed("redirects", "a redirect leads from https to http")
    return address


# --- permits ----------------------------------------------------------------------------------------


class HostSemaphore:
    """Permits for work: `per_host` for one host (or address) and `total` for all, in this process.

    Permits are given in order of arrival, but a waiter for a busy host lets the others pass. Waiters for a slow host
    are refused at once: a site that never answers must not delay the fetches of others.
    """

    def __init__(self, clock: Clock, *, per_host: int, total: int) -> None:
        self._clock = clock
        self._per_host = per_host
        self._total = total
        # By process: permits that the parent held when it forked are free in its child.
        self._here: dict[int, _Permits] = {}

    @contextmanager
    def hold(self, host: str, seconds: float) -> Iterator[None]:
        """Hold a permit within the block. Raises `TimeoutError` where none came free in time."""
        permits = self._here.setdefault(os.getpid(), _Permits())
        ticket = (object(), host)
        with permits.changed:
            permits.waiting.append(ticket)
            try:
                self._wait(permits, ticket, self._clock.monotonic() + seconds)
                since = self._clock.monotonic()
                permits.taken[host].append(since)
            finally:
                permits.waiting.remove(ticket)
                permits.changed.notify_all()
        try:
            yield
        finally:
            with permits.changed:
                permits.taken[host].remove(since)
                if not permits.taken[host]:
                    del permits.taken[host]
                permits.changed.notify_all()

    def _wait(self, permits: _Permits, ticket: tuple[object, str], until: float) -> None:
        while not self._is_next(permits, ticket):
            left = min(until, self._patience(permits, ticket[1])) - self._clock.monotonic()
            # Compared once more at the end, because a test's clock may stand still.
            if left <= 0 or not (permits.changed.wait(left) or self._is_next(permits, ticket)):
                raise TimeoutError(ticket[1])

    def _patience(self, permits: _Permits, host: str) -> float:
        """Return until when to wait for the host: as long as one of the fetches there has only begun."""
        return float("inf") if self._has_permit(permits, host) else max(permits.taken[host]) + YOUNG

    def _is_next(self, permits: _Permits, ticket: tuple[object, str]) -> bool:
        if sum(map(len, permits.taken.values())) >= self._total:
            return False
        return ticket is next((waiting for waiting in permits.waiting if self._has_permit(permits, waiting[1])), None)

    def _has_permit(self, permits: _Permits, host: str) -> bool:
        return len(permits.taken.get(host, ())) < self._per_host


class _Permits:
    """The permits and the waiters of one process."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: list[tuple[object, str]] = []
        #: The times at which a host's permits were taken.
        self.taken: defaultdict[str, list[float]] = defaultdict(list)


# --- bodies -----------------------------------------------------------------------------------------


def check_type(content_type: str) -> None:
    """Raise `FetchFailed` for a type of content without readable links, and for an answer without a type."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence not in _TEXTUAL and essence != _JSON and not essence.endswith("+json"):
        raise FetchFailed(
            "content-type",
            Message("the source is {type}", type=essence) if essence else "the source is of no named type",
        )


def read_body(chunks: Iterable[bytes], fields: Mapping[str, str], max_bytes: int) -> bytes:
    """Return the whole body, decompressed. Raises `FetchFailed` past `max_bytes`.

    A small answer may unfold a thousandfold, so decompression stops at the limit, instead of the
    size being compared afterwards.
    """
    if int(fields.get("content-length", "0")) > max_bytes:
        raise _too_large()
    encoding = fields.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return _plain(chunks, max_bytes)
    if encoding not in _WRAPPERS:
        raise FetchFailed("bad-response", "the source is compressed in a way that was not asked for")
    return _inflated(chunks, zlib.decompressobj(_WRAPPERS[encoding]), max_bytes)


def _too_large() -> FetchFailed:
    return FetchFailed("too-large", "the source is larger than is accepted")


def _plain(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise _too_large()
    return bytes(body)


def _inflated(chunks: Iterable[bytes], inflater: zlib._Decompress, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        for chunk in chunks:
            # One byte more than accepted shows that there is too much; the rest stays compressed.
            body += inflater.decompress(chunk, max_bytes + 1 - len(body))
            if len(body) > max_bytes:
                raise _too_large()
            if inflater.eof:
                return bytes(body)
    except zlib.error:
        raise FetchFailed("bad-response", "the source could not be decompressed") from None
    if body or not inflater.eof:
        raise FetchFailed("bad-response", "the compressed source ended early")
    return b""
