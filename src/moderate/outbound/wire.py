"""The network under the guarded fetcher: checked addresses, one deadline, counted bytes.

httpcore asks a `NetworkBackend` for its connections, and here that is the place where names are
resolved: once for a connection, every answer checked, and connected to what was checked. TLS
still verifies the name, for httpcore hands it to `start_tls` apart.
"""

from __future__ import annotations

import ipaddress
import os
import queue
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpcore

from moderate.errors import FetchFailed
from moderate.i18n import Message
from moderate.outbound.addresses import may_connect, unwrapped

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from moderate.outbound.addresses import Address, Network
    from moderate.ports import Clock

#: More addresses than this are not tried when a host does not answer.
MAX_TRIES = 3
#: Response head: status line and all fields, in bytes. Common servers send 1 to 10 KB.
MAX_HEAD = 32 * 1024
#: What chunk framing and trailers may add to a body on the wire, in bytes.
FRAMING = 64 * 1024

_READ_HEAD = 8 * 1024


class Resolver(Protocol):
    """``socket.getaddrinfo``, or what stands in for it."""

    def __call__(self, host: str, port: int, *, type: int) -> Sequence[tuple[Any, ...]]: ...  # noqa: A002


@dataclass(slots=True)
class Budget:
    """What one fetch may still spend over all its hops: seconds until `deadline`, and bytes."""

    clock: Clock
    deadline: float
    wire_bytes: int
    head_bytes: int = MAX_HEAD
    in_head: bool = True

    def seconds(self) -> float:
        """Seconds left, never 0. Raises `FetchFailed` where none are left."""
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise FetchFailed("timeout", "the source took too long")
        return left

    def begin_head(self) -> None:
        self.in_head = True
        self.head_bytes = MAX_HEAD

    def spend(self, count: int) -> None:
        """Count bytes that came in. Raises `FetchFailed` where there are too many."""
        self.wire_bytes -= count
        if self.in_head:
            self.head_bytes -= count
        if self.wire_bytes < 0 or self.head_bytes < 0:
            raise FetchFailed("too-large", "the source sent more than is accepted")


class Lookups:
    """Resolves names within a time that getaddrinfo itself does not know.

    A lookup runs in a thread of its own; one that takes too long is left to end by itself. At most
    `limit` are under way in this process, so that a name server that never answers cannot
    pile up threads.
    """

    def __init__(self, resolver: Resolver, *, limit: int) -> None:
        self._resolver = resolver
        self._limit = limit
        # By process: the lookups that were under way in the parent as it forked never end in its child.
        self._places: dict[int, threading.BoundedSemaphore] = {}

    def addresses(self, host: str, port: int, seconds: float) -> list[Address]:
        """All addresses of a host, IPv4-mapped ones unwrapped. Raises `FetchFailed`."""
        free = self._places.setdefault(os.getpid(), threading.BoundedSemaphore(self._limit))
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
            return self._resolve(host, port)
        except socket.gaierror:
            return FetchFailed("dns", Message("the host name {host} could not be found (DNS)", host=host))
        except (OSError, ValueError):
            return FetchFailed("dns", Message("the host name {host} could not be looked up (DNS)", host=host))

    def _resolve(self, host: str, port: int) -> list[Address]:
        found = [
            unwrapped(ipaddress.ip_address(row[4][0]))
            for row in self._resolver(host, port, type=socket.SOCK_STREAM)
            if row[0] in {socket.AF_INET, socket.AF_INET6}
        ]
        if not found:
            raise OSError("no address")
        return list(dict.fromkeys(found))


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and returns streams that keep to the budget.

    *claim* is asked before each connection, and raises `FetchFailed` where the address is busy.
    """

    def __init__(
        self,
        inner: httpcore.NetworkBackend,
        lookups: Lookups,
        allow: Sequence[Network],
        budget: Budget,
        claim: Callable[[Address], None] = lambda _: None,
    ) -> None:
        self._inner = inner
        self._claim = claim
        self._lookups = lookups
        self._allow = allow
        self._budget = budget

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to one of the host's addresses, all of which must be allowed: see `may_connect`."""
        del timeout, local_address

        def connect(address: Address, share: int) -> httpcore.NetworkStream:
            self._claim(address)
            stream = self._inner.connect_tcp(
                str(address), port, timeout=self._budget.seconds() / share, socket_options=socket_options
            )
            return GuardedStream(_arrived(stream, address), self._budget)

        return first_that_answers(self._checked(host, port), connect)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Never: other sites are not files."""
        del timeout, socket_options
        raise FetchFailed("blocked", Message("{path} is not another site", path=path))

    def _checked(self, host: str, port: int) -> list[Address]:
        try:
            addresses: list[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            addresses = self._lookups.addresses(host, port, self._budget.seconds())
        if not all(may_connect(address, self._allow) for address in addresses):
            # Tried again like a name that does not resolve at all. Else the time until the sender is
            # told would give away which names exist within our network.
            raise FetchFailed("blocked", Message("{host} has an address that is not public", host=host), temporary=True)
        return addresses


def first_that_answers(
    addresses: Sequence[Address], connect: Callable[[Address, int], httpcore.NetworkStream]
) -> httpcore.NetworkStream:
    """Connect to the first that takes the connection; *connect* is told by what the time that is left is divided.

    So an address that stays silent may use up its share of the time, not that of the next one.
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
    """The stream, if its other end is the address that was checked; a transparent redirect is not followed."""
    peer = stream.get_extra_info("server_addr")
    if peer is not None and unwrapped(ipaddress.ip_address(peer[0])) == address:
        return stream
    stream.close()
    raise FetchFailed("blocked", "the connection ended somewhere else")


class GuardedStream(httpcore.NetworkStream):
    """A stream whose every operation keeps to the fetch's deadline and counts what comes in."""

    def __init__(self, inner: httpcore.NetworkStream, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        size = min(max_bytes, _READ_HEAD) if self._budget.in_head else max_bytes
        data = self._inner.read(size, self._budget.seconds())
        self._budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._inner.write(buffer, self._budget.seconds())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        return GuardedStream(self._inner.start_tls(ssl_context, server_hostname, self._budget.seconds()), self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
