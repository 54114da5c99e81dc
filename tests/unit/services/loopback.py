"""Real web servers on loopback that misbehave as a test defines, and names that resolve as it defines."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    Handler = Callable[["Connection"], None]

PUBLIC = "93.184.215.14"


class Connection:
    """One accepted connection, its request read to the end.

    A connection that is closed before is reset, and the answer that was on its way may be lost with it.
    """

    def __init__(self, stream: socket.socket, stop: threading.Event) -> None:
        self.stream = stream
        self.stop = stop
        self.request = b""
        self.body = b""
        while self._is_unfinished():
            data = stream.recv(65536)
            if not data:
                break
            self.request += data
            self.body = self.request.partition(b"\r\n\r\n")[2]

    def _is_unfinished(self) -> bool:
        return b"\r\n\r\n" not in self.request or len(self.body) < int(self.fields.get("content-length", "0"))

    @property
    def fields(self) -> dict[str, str]:
        """The header fields, their names in small letters."""
        pairs = (line.partition(": ") for line in self.lines[1:])
        return {name.lower(): value for name, _, value in pairs}

    @property
    def host(self) -> str:
        return self.fields["host"]

    @property
    def lines(self) -> list[str]:
        return self.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def path(self) -> str:
        return self.lines[0].split(" ")[1]

    def send(self, data: bytes) -> None:
        self.stream.sendall(data)

    def drip(self, data: bytes, pause: float = 0.02) -> None:
        """Byte by byte until the other end leaves or the test ends."""
        for byte in data:
            self.send(bytes([byte]))
            if self.stop.wait(pause):
                return

    def endless(self, data: bytes) -> None:
        while not self.stop.is_set():
            self.send(data)

    def silence(self) -> None:
        self.stop.wait(30)

    def answer(self, body: bytes = b"", *, status: int = 200, **fields: str) -> None:
        named = {"content_type": "text/html", "content_length": str(len(body)), **fields}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        self.send(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)


class Server:
    """Serves until `close`; `connections` are those whose request has come in."""

    def __init__(self, handler: Handler, context: ssl.SSLContext | None = None) -> None:
        self.connections: list[Connection] = []
        self._handler = handler
        self._context = context
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/") -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(stream,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, stream: socket.socket) -> None:
        # The other end leaves in the middle: that is what is tested.
        with stream, contextlib.suppress(OSError):
            stream.settimeout(30)
            if self._context:
                stream = self._context.wrap_socket(stream, server_side=True)
            with stream:
                connection = Connection(stream, self._stop)
                # A client may reach its deadline before it has sent anything.
                if connection.request:
                    self.connections.append(connection)
                    self._handler(connection)

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@contextlib.contextmanager
def serving(handler: Handler, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(handler, context)
    try:
        yield server
    finally:
        server.close()


class Names:
    """A resolver: each host has successive answers, of which the last one stays."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self._answers = {host.lower().rstrip("."): list(rows) for host, rows in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int) -> Sequence[tuple[Any, ...]]:  # noqa: A002  # noqa: A002
        self.asked.append(host)
        rows = self._answers.get(host, [])
        addresses = rows.pop(0) if len(rows) > 1 else (rows or [[]])[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))
            for address in addresses
        ]


class _Elsewhere(httpcore.NetworkStream):
    """A stream to loopback that says where it would have gone."""

    def __init__(self, inner: httpcore.NetworkStream, peer: tuple[str, int]) -> None:
        self._inner = inner
        self._peer = peer
        self.read = inner.read  # type: ignore[method-assign]
        self.write = inner.write  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]
        self.start_tls = inner.start_tls  # type: ignore[method-assign]

    def get_extra_info(self, info: str) -> Any:
        return self._peer if info == "server_addr" else self._inner.get_extra_info(info)


class Internet(httpcore.NetworkBackend):
    """A replacement for the route to public addresses: notes the destination of a connection, and makes it to loopback.

    `servers` are by port. Connections to a port without one are refused.
    """

    def __init__(self, servers: dict[int, Server]) -> None:
        self._servers = servers
        self._real = httpcore.SyncBackend()
        self.connected: list[tuple[str, int]] = []

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.NetworkStream:
        self.connected.append((host, port))
        if port not in self._servers:
            raise httpcore.ConnectError("refused")
        stream = self._real.connect_tcp("127.0.0.1", self._servers[port].port, *args, **options)
        return _Elsewhere(stream, (host, port))
