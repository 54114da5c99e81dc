"""Mail servers that hang, babble, or are none: none of them keeps a worker, or gets what is secret."""

from __future__ import annotations

import base64
import os
import signal
import socket
import socketserver
import struct
import sys
import threading
import time
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from moderate.errors import ServiceDown, Undeliverable
from moderate.notices.smtp import SmtpTransport, budget_of
from moderate.notices.smtp_auth import Account, token
from moderate.tasks.scheduler import LEASE
from moderate.testing import ManualClock
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Server = Callable[[socket.socket, threading.Event], None]


@contextmanager
def speaking(server: Server) -> Iterator[tuple[int, bytearray]]:
    """A server on loopback that speaks first; yields its port and the bytes that it receives."""
    stop, heard = threading.Event(), bytearray()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.settimeout(30)
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
    values: dict[str, Any] = {"security": "none", "account": Account("news", "the password"), "timeout": 20}
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


def closed(stream: socket.socket, _: threading.Event) -> None:
    stream.close()


def silent(_: socket.socket, __: threading.Event) -> None:
    pass


def a_web_server(stream: socket.socket, _: threading.Event) -> None:
    stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def without_tls(stream: socket.socket, _: threading.Event) -> None:
    """Appear as a server whose STARTTLS was removed by an attacker on the way."""
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
def test_no_server_blocks_a_worker_or_receives_secrets(server: Server, security: str) -> None:
    started = time.monotonic()
    with speaking(server) as (port, heard), pytest.raises((ServiceDown, Undeliverable)) as told:
        send(port, security=security, timeout=0.4)
    # Six times 0.4 seconds, and what a busy machine adds.
    assert time.monotonic() - started < 20
    assert len(str(told.value)) < 400
    assert b"password" not in heard
    assert b"AUTH" not in heard
    assert b"secret" not in heard


def test_a_server_with_endless_responses_is_left() -> None:
    for server in (dripping, dripping_lines, babbling):
        started = time.monotonic()
        with speaking(server) as (port, _), pytest.raises(ServiceDown):
            send(port, account=None, timeout=0.4)
        assert time.monotonic() - started < 20


@pytest.mark.parametrize("timeout", [0.1, 10, 60])
def test_a_session_ends_before_the_lease_of_its_task(timeout: float) -> None:
    clock = ManualClock()
    budget = budget_of(clock, timeout)
    clock.advance(seconds=LEASE)
    with pytest.raises(TimeoutError):
        budget.seconds()


class Scripted:
    """A mail server that answers each line by its first word, and everything else with 250."""

    def __init__(self, **answers: str) -> None:
        self.answers = {"EHLO": "250 mail", "DATA": "354 go on", "QUIT": "221 bye", **answers}
        self.heard: list[str] = []

    def __call__(self, stream: socket.socket, _: threading.Event) -> None:
        lines = stream.makefile("rb")
        stream.sendall(b"220 mail\r\n")
        is_data = False
        for raw in lines:
            line = raw.decode().rstrip("\r\n")
            word = line.split(" ")[0].upper()
            if is_data and line != ".":
                continue
            if not is_data:
                self.heard.append(line)
            key = "END" if is_data else word
            is_data = word == "DATA" and not is_data
            answer = self.answers.get(key, "250 OK")
            if answer == "reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                lines.close()
                stream.close()
                return
            if answer != "silence":
                stream.sendall(f"{answer}\r\n".encode())


def test_a_server_that_keeps_hanging_is_paused_and_tried_again() -> None:
    clock, asked, are_resting = ManualClock(), [], []

    def hanging(_: socket.socket, __: threading.Event) -> None:
        asked.append(1)

    with speaking(hanging) as (port, _):
        options: dict[str, Any] = {"security": "none", "account": None, "timeout": 0.1, "own_name": "news"}
        transport = SmtpTransport("127.0.0.1", port, clock=clock, **options)
        for _ in range(7):
            with pytest.raises(ServiceDown) as told:
                transport.send(EmailMessage(), sender="news@mail.example", to="mori@mail.example")
            are_resting.append(told.value.kind == "resting")
        assert are_resting == [False] * 5 + [True] * 2
        clock.advance(minutes=1)
        with pytest.raises(ServiceDown, match="does not answer in time"):
            transport.send(EmailMessage(), sender="news@mail.example", to="mori@mail.example")
        # The client may have left before the server's thread has run.
        wait_until(lambda: len(asked) >= 6)
    assert len(asked) == 6


@pytest.mark.parametrize("goodbye", ["421 4.4.2 timeout", "500 what", "reset", "silence", "garbage", "250"])
def test_mail_accepted_by_the_server_counts_as_sent_whatever_follows(goodbye: str) -> None:
    with speaking(Scripted(QUIT=goodbye)) as (port, _):
        send(port, account=None, timeout=3 if goodbye == "silence" else 20)


def test_every_response_code_starting_with_2_accepts_the_mail() -> None:
    for answer in ("250-queued\r\n250 as 1", "252 will try", "251 forwarded"):
        with speaking(Scripted(MAIL=answer, RCPT=answer, END=answer)) as (port, _):
            send(port, account=None)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (a_web_server, "does not speak SMTP"),
        (closed, "it broke the connection off"),
        (gone, "does not speak SMTP"),
        (silent, "it does not answer in time"),
        (Scripted(EHLO="250 mail"), "offers no way to sign in here"),
        (Scripted(EHLO="250-mail\r\n250 AUTH XOAUTH2 NTLM"), "it has XOAUTH2, NTLM, this site CRAM-MD5, PLAIN, LOGIN"),
        (Scripted(EHLO="250-mail\r\n250 AUTH XOAUTH2"), "set MODERATE_MAIL_TOKEN_COMMAND"),
        (Scripted(EHLO="250-mail\r\n250 AUTH PLAIN", AUTH="454 4.7.0 later"), "cannot check the sign-in at the moment"),
        (Scripted(EHLO="250-mail\r\n250 AUTH PLAIN", AUTH="534 5.7.9 apps"), "a password for apps"),
        (Scripted(EHLO="250-mail\r\n250 AUTH PLAIN", AUTH="538 5.7.11 no"), "wants an encrypted connection"),
        (
            Scripted(EHLO="250-mail\r\n250 AUTH PLAIN", AUTH="530 5.7.0 STARTTLS first"),
            "set MODERATE_MAIL_SECURITY (530)",
        ),
        (Scripted(EHLO="250-mail\r\n250 AUTH PLAIN", AUTH="500 what"), "does not understand this way of signing in"),
        (Scripted(EHLO="421 4.3.2 busy", HELO="421 4.3.2 busy"), "refused the connection (it is busy or closing): 421"),
        (Scripted(EHLO="250-mail\r\n250 AUTH PLAIN LOGIN", AUTH="535 no"), "does not accept the name or the password"),
        (Scripted(EHLO="250-mail\r\n250 AUTH CRAM-MD5", AUTH="334 a"), "does not accept the name or the password"),
        (Scripted(EHLO="250-mail\r\n250 AUTH LOGIN", AUTH="reset"), "it broke the connection off"),
    ],
)
def test_each_kind_of_failure_has_its_own_message(server: Server, words: str) -> None:
    with speaking(server) as (port, _), pytest.raises(ServiceDown) as told:
        send(port, timeout=0.4 if server is silent else 20)
    assert words in str(told.value)
    assert "the password" not in str(told.value).replace("the name or the password", "")


# --- tokens ---------------------------------------------------------------------------------------

XOAUTH2 = "250-mail\r\n250 AUTH XOAUTH2 PLAIN"


def with_token(*command: str) -> Account:
    return Account("news@mail.example", token_command=command)


def test_a_token_printed_by_a_command_signs_in() -> None:
    server = Scripted(EHLO=XOAUTH2, AUTH="235 welcome")
    with speaking(server) as (port, _):
        send(port, account=with_token(sys.executable, "-c", "print('ya29.a_$HOME')"))
    (line,) = [line for line in server.heard if line.startswith("AUTH")]
    kind, _, response = line.removeprefix("AUTH ").partition(" ")
    assert kind == "XOAUTH2"
    assert base64.b64decode(response) == b"user=news@mail.example\x01auth=Bearer ya29.a_$HOME\x01\x01"


def test_a_refused_token_ends_the_exchange_and_is_reported() -> None:
    reason = base64.b64encode(b'{"status":"400"}').decode()
    server = Scripted(EHLO=XOAUTH2, AUTH=f"334 {reason}", **{"": "535 5.7.8 no"})
    with speaking(server) as (port, _), pytest.raises(ServiceDown, match=r"the token of MODERATE_MAIL_TOKEN_COMMAND"):
        send(port, account=with_token(sys.executable, "-c", "print('old')"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('s3cret'); sys.exit(3)", "ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9"),
        ("pass", "printed no token"),
        ("print('s3cret'); print('more')", "must print one line"),
        ("print('s3cret' * 100_000)", "printed more than a token"),
        ("import subprocess; print('s3cret', flush=True); subprocess.run(['sleep', '60'])", "did not end within"),
    ],
)
def test_a_failing_token_command_is_reported_without_its_output(code: str, words: str) -> None:
    with speaking(Scripted(EHLO=XOAUTH2)) as (port, _), pytest.raises(ServiceDown, match=words) as told:
        send(port, account=with_token(sys.executable, "-c", code), timeout=2 if "sleep" in code else 20)
    assert "s3cret" not in str(told.value)


def test_a_missing_token_command_is_reported() -> None:
    with pytest.raises(ServiceDown, match="MODERATE_MAIL_TOKEN_COMMAND is not there"):
        send(1, account=with_token("/no/such/program"))


def test_a_background_process_of_a_token_command_is_not_waited_for(tmp_path: Path) -> None:
    number = tmp_path / "pid"
    command = ("/bin/sh", "-c", f"setsid sleep 300 & echo $! > {number}; echo ya29")
    try:
        assert token(command, 60) == b"ya29"
        os.kill(int(number.read_text()), 0)
    finally:
        os.kill(int(number.read_text()), signal.SIGKILL)
