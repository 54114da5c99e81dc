"""Mail servers that hang, babble, or are none: none of them keeps a worker, or gets what is secret."""

from __future__ import annotations

import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from moderate.acts.lanes import LEASE
from moderate.errors import ServiceDown, Undeliverable
from moderate.services.mail import SmtpTransport
from moderate.services.smtp_connections import Bounds
from moderate.testing import ManualClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    Server = Callable[[socket.socket, threading.Event], None]


@contextmanager
def speaking(server: Server) -> Iterator[tuple[int, bytearray]]:
    """A server on loopback that speaks first; yields its port and what it is told."""
    stop, heard = threading.Event(), bytearray()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.settimeout(5)
                server(self.request, stop)
                while data := self.request.recv(65536):
                    heard.extend(data)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = False

    with Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener.server_address[1], heard
        finally:
            stop.set()
            listener.shutdown()
            thread.join()


def send(port: int, **changes: Any) -> None:
    values: dict[str, Any] = {"security": "none", "username": "news", "password": "the password", "timeout": 0.4}
    message = EmailMessage()
    message["Subject"] = "Something waits"
    message.set_content("A secret text.")
    transport = SmtpTransport("127.0.0.1", port, own_name="news", **{**values, **changes})
    transport.send(message, sender="news@mail.example", to="mori@mail.example")


def dripping(stream: socket.socket, stop: threading.Event) -> None:
    """One byte now and then, each of them in time."""
    while not stop.wait(0.1):
        stream.sendall(b"2")


def dripping_lines(stream: socket.socket, stop: threading.Event) -> None:
    """One line now and then, and always one more to come."""
    while not stop.wait(0.1):
        stream.sendall(b"220-\r\n")


def babbling(stream: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        stream.sendall(b"220-still greeting\r\n" * 100)


def one_long_line(stream: socket.socket, _: threading.Event) -> None:
    stream.sendall(b"220 " + b"x" * 1_000_000)


def garbage(stream: socket.socket, _: threading.Event) -> None:
    stream.sendall(bytes(range(256)) * 4 + b"\r\n")


def gone(stream: socket.socket, _: threading.Event) -> None:
    stream.sendall(b"22")
    stream.close()


def silent(_: socket.socket, __: threading.Event) -> None:
    pass


def a_web_server(stream: socket.socket, _: threading.Event) -> None:
    stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def without_tls(stream: socket.socket, _: threading.Event) -> None:
    """As somebody in between makes a server look who wants to read what is sent."""
    stream.sendall(b"220 mail\r\n")
    stream.recv(1000)
    stream.sendall(b"250-mail\r\n250 AUTH PLAIN LOGIN\r\n")


def speaking_ahead(stream: socket.socket, _: threading.Event) -> None:
    """Takes STARTTLS, and puts answers behind it that are to be taken for those of the secured server."""
    stream.sendall(b"220 mail\r\n")
    stream.recv(1000)
    stream.sendall(b"250-mail\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    stream.recv(1000)
    stream.sendall(
        b"220 go on\r\n250-mail\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok\r\n250 ok\r\n354 yes\r\n250 ok\r\n"
    )


SERVERS = [
    dripping,
    dripping_lines,
    babbling,
    one_long_line,
    garbage,
    gone,
    silent,
    a_web_server,
    without_tls,
    speaking_ahead,
]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_no_server_keeps_a_worker_or_gets_what_is_secret(server: Server, security: str) -> None:
    started = time.monotonic()
    with speaking(server) as (port, heard), pytest.raises((ServiceDown, Undeliverable)) as told:
        send(port, security=security)
    # Six times 0.4 seconds, and what a busy machine adds.
    assert time.monotonic() - started < 20
    assert len(str(told.value)) < 400
    assert b"password" not in heard
    assert b"AUTH" not in heard
    assert b"secret" not in heard


def test_a_server_that_never_ends_its_answers_is_left() -> None:
    for server in (dripping, dripping_lines, babbling):
        started = time.monotonic()
        with speaking(server) as (port, _), pytest.raises(ServiceDown):
            send(port, username=None, password=None)
        assert time.monotonic() - started < 20


@pytest.mark.parametrize("timeout", [0.1, 10, 60])
def test_a_conversation_ends_before_another_worker_may_take_its_task(timeout: float) -> None:
    clock = ManualClock()
    bounds = Bounds.of(clock, timeout)
    clock.advance(LEASE)
    with pytest.raises(TimeoutError):
        bounds.seconds()
