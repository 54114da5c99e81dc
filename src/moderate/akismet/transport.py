"""How calls of the `akismet` client go over the wire: to our base address, with our fields, before our deadline.

The client builds absolute addresses of its own, rejects fields that the service takes, and shows
no response headers. All three are mended here, below it, through its public argument `http_client`.
"""

from __future__ import annotations

import socket
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpcore
import httpx

from moderate.errors import FetchFailed
from moderate.outbound.wire import Lookups, first_that_answers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    from moderate.outbound.addresses import Address
    from moderate.outbound.wire import Resolver
    from moderate.ports import Clock

#: Akismet's answers are a word or a few lines of JSON.
MOST_BYTES = 65_536


@dataclass(slots=True)
class Call:
    """One call: what is added to it, until when it may last (`Clock.monotonic`), and which headers came back."""

    fields: tuple[tuple[str, str], ...]
    deadline: float
    headers: Mapping[str, str] = field(default_factory=dict)


#: The call that this thread is making. Calls of other threads have a context of their own.
current_call: ContextVar[Call] = ContextVar("moderate_akismet_call")


class AkismetTransport(httpx.BaseTransport):
    """Sends every request to *base_url*, whatever address the client wrote on it. Redirects are not followed."""

    def __init__(self, base_url: str, clock: Clock, ssl_context: ssl.SSLContext | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=20,
            keepalive_expiry=30,
            network_backend=DeadlineBackend(clock),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = current_call.get()
        target = httpx.URL(self._base_url + request.url.raw_path.decode("ascii"))
        with self._pool.stream(
            request.method,
            str(target),
            headers=headers_of(request, target, body := body_of(request, call.fields)),
            content=body,
        ) as response:
            content = read_at_most(response.iter_stream(), MOST_BYTES)
            answer = httpx.Response(response.status, headers=response.headers, content=content)
        call.headers = answer.headers
        return answer

    def close(self) -> None:
        self._pool.close()


def body_of(request: httpx.Request, fields: Iterable[tuple[str, str]]) -> bytes:
    """The client's form with our fields behind it."""
    body = request.read()
    more = urlencode(list(fields), errors="replace").encode("ascii")
    return b"&".join(part for part in (body, more) if part) if request.method == "POST" else body


def headers_of(request: httpx.Request, target: httpx.URL, body: bytes) -> list[tuple[bytes, bytes]]:
    """The client's headers without those that belong to the address and the body that it wrote."""
    # An answer that comes compressed could not be capped by counting what arrives.
    replaced = {b"host", b"content-length", b"accept-encoding"}
    kept = [(name, value) for name, value in request.headers.raw if name.lower() not in replaced]
    kept += [(b"Host", target.netloc), (b"Accept-Encoding", b"identity")]
    return [*kept, (b"Content-Length", str(len(body)).encode("ascii"))] if body else kept


def read_at_most(chunks: Iterable[bytes], most: int) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > most:
            raise httpcore.RemoteProtocolError("The answer is longer than any answer of this service.")
    return bytes(content)


class DeadlineBackend(httpcore.NetworkBackend):
    """Gives every connect, read and write only what is left until the call's deadline.

    A client's own time-outs begin anew with every byte, so that a server which sends one byte a
    second keeps a caller for hours. A name server that does not answer keeps nobody longer, either.
    """

    def __init__(self, clock: Clock, resolver: Resolver = socket.getaddrinfo) -> None:
        self._clock = clock
        self._lookups = Lookups(resolver, limit=4)
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        def connect(address: Address, share: int) -> httpcore.NetworkStream:
            left = time_left(self._clock, httpcore.ConnectTimeout) / share
            stream = self._backend.connect_tcp(str(address), port, left, local_address, socket_options)
            return DeadlineStream(stream, self._clock)

        return first_that_answers(self._addresses(host, port), connect)

    def _addresses(self, host: str, port: int) -> list[Address]:
        left = time_left(self._clock, httpcore.ConnectTimeout)
        try:
            return self._lookups.addresses(host, port, left)
        except FetchFailed as error:
            kind = httpcore.ConnectTimeout if error.kind == "timeout" else httpcore.ConnectError
            raise kind(error.reason) from None


class DeadlineStream(httpcore.NetworkStream):
    """A connection whose every step must end by the deadline of the call that uses it."""

    def __init__(self, stream: httpcore.NetworkStream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, time_left(self._clock, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, time_left(self._clock, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = time_left(self._clock, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def time_left(clock: Clock, late: type[httpcore.TimeoutException]) -> float:
    """Seconds until the current call's deadline. Raises *late* where it has passed."""
    left = current_call.get().deadline - clock.monotonic()
    if left <= 0:
        raise late("The deadline of the call has passed.")
    return left
