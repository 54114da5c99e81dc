"""A TCP proxy before a server, as balancers, poolers and floating addresses are."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

from tests.servers import HOST

if TYPE_CHECKING:
    from types import TracebackType


class Proxy:
    """Lead each new connection to *target*, which may be changed; connections that are open stay where they lead."""

    def __init__(self, target: int) -> None:
        self.target = target
        #: The next request that contains this reaches the server, and its client's connection ends without an answer.
        self.lose_answer_to = b""
        #: While clear, that request has not reached the server yet.
        self.passing = threading.Event()
        self.passing.set()
        #: While set, connections are taken and everything that comes is read, but nothing is passed on.
        self.silent = threading.Event()
        #: How many connections were taken.
        self.taken = 0
        self._listening = socket.create_server((HOST, 0), backlog=100)
        self.port: int = self._listening.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []

    def drop(self) -> None:
        """Close all connections at both ends, as a proxy does with those that were idle for long."""
        with self._lock:
            ends, self._open = self._open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.taken += 1
            try:
                server = socket.create_connection((HOST, self.target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Pass on all that comes, the end included."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.silent.is_set():
                    continue
                if self.lose_answer_to and self.lose_answer_to in data:
                    self.lose_answer_to = b""
                    source.shutdown(socket.SHUT_RDWR)
                    self.passing.wait(30)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop()
