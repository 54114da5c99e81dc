"""The HTTP client for other servers: checked IP addresses, one deadline, and a limit on received bytes.

The fetcher, webhooks and Akismet all connect by it. httpcore asks a `NetworkBackend` for its connections, and here
that is the place where names are resolved: once for a connection, every answer checked, and connected to what was
checked. TLS still verifies the name, because httpcore passes it to `start_tls` separately.
"""

from __future__ import annotations

import ipaddress
import math
import os
import queue
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpcore

from moderate.errors import FetchFailed
from moderate.i18n import Message

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from moderate.ports import Clock
    from moderate.web_address import WebAddress

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network
    #: ``socket.getaddrinfo``, or a replacement with the same arguments and rows.
    Resolver = Callable[..., Sequence[tuple[Any, ...]]]


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from their CIDR notation. Raises `ValueError` for any other text."""
    return tuple(ipaddress.ip_network(text) for text in texts)


#: More addresses than this are not tried when a host does not answer.
MAX_TRIES = 3
#: Response head: status line and all fields, in bytes. Common servers send 1 to 10 KB.
MAX_HEAD = 32 * 1024
#: What chunk framing and trailers may add to a body on the wire, in bytes.
FRAMING = 64 * 1024

_READ_HEAD = 8 * 1024

_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_NOT_FOR_PEERS = networks(("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
#: Addresses at which clouds answer the machines that they host: Azure's wire server, the metadata services of AWS,
#: GCP and others, Alibaba, Oracle. Some are globally routable on paper. No setting allows them.
CLOUD_WIRE = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)
#: For servers that the operator has named: any network may be connected to.
EVERYWHERE = networks(("0.0.0.0/0", "::/0"))


def may_connect(address: Address, allow: Sequence[Network] = ()) -> bool:
    """Return whether a connection to this address is allowed: public unicast, or within `allow`.

    `is_global` is not enough. Python calls NAT64, 6to4, IPv4-compatible, site-local and multicast
    addresses global in one version or another, and through the first two a private IPv4 address
    is reached. Hence IPv6 counts as public within 2000::/3 alone, less what is reserved there.
    """
    address = unwrapped(address)
    if address in CLOUD_WIRE:
        return False
    if any(address in network for network in allow):
        return True
    if not address.is_global or any(address in network for network in _NOT_FOR_PEERS):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not address.is_multicast and not address.is_reserved
    return address.scope_id is None and address in _UNICAST_6


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address within an IPv4-mapped IPv6 one, to which the kernel would connect."""
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


class DeadlinePassed(TimeoutError):
    """The budget's time is used up."""


class TooMuchData(OSError):
    """The other side sent more bytes than its budget allows."""


@dataclass(slots=True)
class Budget:
    """The time and the bytes that one exchange may still use, over all its connections.

    `deadline` is on the clock's monotonic scale. `wire_bytes` bounds all received bytes, `head_bytes` those of one
    response head. `each` bounds the wait for one piece, in seconds.
    """

    clock: Clock
    deadline: float
    wire_bytes: int
    head_bytes: int = MAX_HEAD
    in_head: bool = False
    each: float = math.inf

    @classmethod
    def of(cls, clock: Clock, seconds: float, wire_bytes: int, each: float = math.inf) -> Budget:
        return cls(clock, clock.monotonic() + seconds, wire_bytes, each=each)

    def seconds(self) -> float:
        """Return how many seconds the next step may take, never 0. Raises `DeadlinePassed` where none are left."""
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise DeadlinePassed("the deadline has passed")
        return min(left, self.each)

    def spend(self, count: int) -> None:
        """Count received bytes. Raises `TooMuchData` where there are too many."""
        self.wire_bytes -= count
        if self.in_head:
            self.head_bytes -= count
        if self.wire_bytes < 0 or self.head_bytes < 0:
            raise TooMuchData("more was sent than is accepted")


class Lookups:
    """Resolves host names within a time limit, which ``getaddrinfo`` has not.

    A lookup runs in a thread of its own; one that takes too long is left to end by itself. At most
    `limit` run at once in this process, so that a name server that never answers cannot pile up threads.
    """

    def __init__(self, resolver: Resolver, *, limit: int) -> None:
        self._resolver = resolver
        self._limit = limit
        # By process: the lookups that were under way in the parent as it forked never end in its child.
        self._semaphores: dict[int, threading.BoundedSemaphore] = {}

    def addresses(self, host: str, port: int, seconds: float) -> list[Address]:
        """Return all addresses of a host, IPv4-mapped ones unwrapped. Raises `FetchFailed`."""
        free = self._semaphores.setdefault(os.getpid(), threading.BoundedSemaphore(self._limit))
        if not free.acquire(timeout=seconds):
            raise FetchFailed("timeout", "too many names were being looked up")
        answers: queue.SimpleQueue[list[Address] | FetchFailed] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(self._looked_up(host, port))
            finally:
                free.release()

        threading.Thread(target=look_up, name="moderate-dns", daemon=True).start()
        try:
            answer = answers.get(timeout=seconds)
        except queue.Empty:
            raise FetchFailed("timeout", Message("looking up {host} took too long", host=host)) from None
        if isinstance(answer, FetchFailed):
            raise answer
        return answer

    def _looked_up(self, host: str, port: int) -> list[Address] | FetchFailed:
        try:
            found = [
                unwrapped(ipaddress.ip_address(row[4][0]))
                for row in self._resolver(host, port, type=socket.SOCK_STREAM)
                if row[0] in {socket.AF_INET, socket.AF_INET6}
            ]
        except socket.gaierror:
            return FetchFailed("dns", Message("the host name {host} could not be found (DNS)", host=host))
        except (OSError, ValueError):
            found = []
        if not found:
            return FetchFailed("dns", Message("the host name {host} could not be looked up (DNS)", host=host))
        return list(dict.fromkeys(found))


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and returns streams that keep to the budget.

    *budget* returns the budget of the exchange under way. *claim* is called before each connection, and raises
    `FetchFailed` where the address is busy.
    """

    def __init__(
        self,
        inner: httpcore.NetworkBackend,
        lookups: Lookups,
        allow: Sequence[Network],
        budget: Callable[[], Budget],
        claim: Callable[[Address], None] = lambda _: None,
    ) -> None:
        self._inner = inner
        self._lookups = lookups
        self._allow = allow
        self._budget = budget
        self._claim = claim

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to one of the host's addresses, all of which must be allowed: see `may_connect`."""

        def connect(address: Address, share: int) -> httpcore.NetworkStream:
            self._claim(address)
            stream = self._inner.connect_tcp(
                str(address), port, timeout=self._budget().seconds() / share, socket_options=socket_options
            )
            return GuardedStream(_arrived(stream, address), self._budget)

        return first_that_answers(self._checked(host, port), connect)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Raise `FetchFailed`: other sites are not files."""
        raise FetchFailed("blocked", Message("{path} is not another site", path=path))

    def _checked(self, host: str, port: int) -> list[Address]:
        try:
            addresses: list[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            addresses = self._lookups.addresses(host, port, self._budget().seconds())
        if not all(may_connect(address, self._allow) for address in addresses):
            # Tried again like a name that does not resolve at all. Else the time until the sender gets
            # an answer would give away which names exist within this network.
            raise FetchFailed("blocked", Message("{host} has an address that is not public", host=host), temporary=True)
        return addresses


def first_that_answers(
    addresses: Sequence[Address], connect: Callable[[Address, int], httpcore.NetworkStream]
) -> httpcore.NetworkStream:
    """Return a stream to the first address that takes the connection, of `MAX_TRIES` at most.

    *connect* gets the address and the number of tries that are left, among which it divides the time: an address
    that stays silent uses up its own share only.
    """
    tries = addresses[:MAX_TRIES]
    for left in range(len(tries), 0, -1):
        try:
            return connect(tries[-left], left)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, FetchFailed) as error:
            may_go_on = not isinstance(error, FetchFailed) or error.kind == "busy"
            if left == 1 or not may_go_on:
                raise
    raise httpcore.ConnectError("The name has no address.")


def _arrived(stream: httpcore.NetworkStream, address: Address) -> httpcore.NetworkStream:
    """Return the stream if its other end is the address that was checked. Raises `FetchFailed` otherwise."""
    peer = stream.get_extra_info("server_addr")
    if peer is not None and unwrapped(ipaddress.ip_address(peer[0])) == address:
        return stream
    stream.close()
    raise FetchFailed("blocked", "the connection ended somewhere else")


class GuardedStream(httpcore.NetworkStream):
    """A stream whose every operation keeps to the deadline, and that counts the bytes received."""

    def __init__(self, inner: httpcore.NetworkStream, budget: Callable[[], Budget]) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        budget = self._budget()
        size = min(max_bytes, _READ_HEAD) if budget.in_head else max_bytes
        data = self._inner.read(size, budget.seconds())
        budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._budget().seconds())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._budget().seconds())
        return GuardedStream(stream, self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class OutboundClient:
    """Makes single requests to other servers, each on a connection of its own. Thread-safe.

    `allow` are networks that may be connected to though not public. `lookups` bounds the name lookups that run at
    once. `ssl_context`, `resolver` and `backend` replace the system's certificates, ``socket.getaddrinfo`` and real
    sockets.
    """

    def __init__(
        self,
        *,
        allow: Sequence[Network] = EVERYWHERE,
        lookups: int = 4,
        resolver: Resolver = socket.getaddrinfo,
        ssl_context: ssl.SSLContext | None = None,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._allow = allow
        self._lookups = Lookups(resolver, limit=lookups)
        self._ssl_context = ssl_context
        self._lock = threading.Lock()
        self._inner = backend or httpcore.SyncBackend()

    def backend(
        self, budget: Callable[[], Budget], claim: Callable[[Address], None] = lambda _: None
    ) -> httpcore.NetworkBackend:
        """Return a backend for a connection pool; see `GuardedBackend`."""
        return GuardedBackend(self._inner, self._lookups, self._allow, budget, claim)

    @contextmanager
    def request(
        self,
        method: str,
        address: WebAddress,
        budget: Budget,
        headers: list[tuple[str, str]],
        *,
        target: str | None = None,
        content: bytes | None = None,
        claim: Callable[[Address], None] = lambda _: None,
    ) -> Iterator[httpcore.Response]:
        """Send a request, and yield its response while the connection is open. Redirects are not followed.

        *target* replaces the percent-encoded path and query of the address on the request line. Raises
        `FetchFailed` where no connection may be made, `DeadlinePassed` or `TooMuchData` beyond the budget, and
        the errors of `httpcore`.
        """
        wire_target = address.target if target is None else target
        url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port_or_default, target=wire_target)
        sent: list[tuple[str | bytes, str | bytes]] = [("Host", address.authority), *headers, ("Connection", "close")]
        budget.in_head, budget.head_bytes = True, MAX_HEAD
        with (
            httpcore.ConnectionPool(
                ssl_context=self._trust() if address.scheme == "https" else None,
                max_connections=1,
                max_keepalive_connections=0,
                network_backend=self.backend(lambda: budget, claim),
            ) as pool,
            pool.stream(method, url, headers=sent, content=content) as response,
        ):
            budget.in_head = False
            yield response

    def probe(self, address: WebAddress, budget: Budget) -> None:
        """Connect, by TLS for https, and close the connection. Raises as `request` does."""
        stream = self.backend(lambda: budget).connect_tcp(address.host, address.port_or_default)
        try:
            if address.scheme == "https":
                stream = stream.start_tls(self._trust(), address.host)
        finally:
            stream.close()

    def _trust(self) -> ssl.SSLContext:
        with self._lock:
            if self._ssl_context is None:
                self._ssl_context = httpcore.default_ssl_context()
            return self._ssl_context
