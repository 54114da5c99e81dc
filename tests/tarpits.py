"""Servers that take every connection and never answer."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Tarpits:
    """A number of hosts, 127.0.1.1 and up, on one port. `open` counts the connections that are still open."""

    def __init__(self, count: int = 1) -> None:
        self.hosts = [f"127.0.1.{number}" for number in range(1, count + 1)]
        self.lock = threading.Lock()
        self.open: set[int] = set()
        self.most = 0
        self.taken: list[str] = []
        self._listening: list[socket.socket] = []
        self._connections: list[socket.socket] = []
        self.port = 0
        for host in self.hosts:
            listening = socket.create_server((host, self.port), backlog=100)
            self.port = listening.getsockname()[1]
            self._listening.append(listening)
            threading.Thread(target=self._take, args=(listening, host), daemon=True).start()

    def urls(self, count: int) -> list[str]:
        """Return *count* addresses of pages, on all hosts in turn."""
        return [f"http://{self.hosts[number % len(self.hosts)]}:{self.port}/{number}" for number in range(count)]

    def _take(self, listening: socket.socket, host: str) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with self.lock:
                self._connections.append(connection)
                self.taken.append(host)
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with self.lock:
            self.open.add(id(connection))
            self.most = max(self.most, len(self.open))
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(id(connection))
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listening in self._listening:
            # A close alone would leave a thread blocked in `accept`.
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        with self.lock:
            held = list(self._connections)
        for connection in held:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
