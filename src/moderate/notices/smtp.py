"""Connections to a mail server that keep to a time and to a number of bytes, whatever the server says.

smtplib waits for each piece of an answer as long as it is told, and reads as many lines as come: a
server that sends one byte now and then, or lines without end, would keep a worker for ever.
"""

from __future__ import annotations

import io
import smtplib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from moderate.ports import Clock

#: All that a server may say while it takes one mail, in bytes.
MOST_BYTES = 64 * 1024

#: How many times as long as one answer the whole of it may take.
ANSWERS = 6

#: How long it may take at most, in seconds: less than a task is leased for, or another worker would send the mail too.
LONGEST = 100.0


@dataclass(slots=True)
class Bounds:
    """What is left for one conversation: seconds until `deadline`, and bytes."""

    clock: Clock
    timeout: float
    deadline: float
    left: int = MOST_BYTES

    @classmethod
    def of(cls, clock: Clock, timeout: float) -> Bounds:
        return cls(clock, timeout, clock.monotonic() + min(ANSWERS * timeout, LONGEST))

    def seconds(self) -> float:
        """Seconds to wait for the next piece. Raises `TimeoutError` where none are left."""
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise TimeoutError("the mail server took too long")
        return min(left, self.timeout)

    def spend(self, count: int) -> None:
        """Count what has come. Raises `OSError` where it is too much."""
        self.left -= count
        if self.left < 0:
            raise OSError("the mail server said more than any mail server says")


class Replies(io.RawIOBase):
    """What the server sends, within the bounds."""

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        super().__init__()
        self._sock = sock
        self._bounds = bounds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        self._sock.settimeout(self._bounds.seconds())
        count = self._sock.recv_into(buffer)
        self._bounds.spend(count)
        return count


class Bounded(smtplib.SMTP):
    """smtplib's client, which reads answers through `Replies`."""

    def __init__(self, bounds: Bounds, host: str, port: int, own_name: str, **options: Any) -> None:
        self._bounds = bounds
        super().__init__(host, port, own_name, timeout=bounds.timeout, **options)

    def deliver(self, mail: bytes, sender: str, to: str) -> None:
        """Send one mail to one address. Raises the errors of `smtplib` for refusals.

        Answers count by their first digit (RFC 5321 §4.2.1): a mail that was answered with 2xx is the server's.
        """
        self.ehlo_or_helo_if_needed()
        size = [f"size={len(mail)}"] if self.has_extn("size") else []
        code, reply = self.mail(sender, size)
        if not is_done(code):
            raise smtplib.SMTPSenderRefused(code, reply, "")
        code, reply = self.rcpt(to)
        if not is_done(code):
            raise smtplib.SMTPRecipientsRefused({"": (code, reply)})
        code, reply = self.data(mail)
        if not is_done(code):
            raise smtplib.SMTPDataError(code, reply)

    def __exit__(self, *_: object) -> None:
        """Say goodbye and close. Nothing that happens here changes the result."""
        try:
            self.docmd("QUIT")
        except (smtplib.SMTPException, OSError, ValueError):
            pass
        finally:
            with suppress(OSError):
                self.close()

    def getreply(self) -> tuple[int, bytes]:
        """See `smtplib.SMTP`; it makes `file` anew after each change of the connection to TLS."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(Replies(self.sock, self._bounds))
        return super().getreply()


def is_done(code: int) -> bool:
    return 200 <= code < 300


class BoundedTls(Bounded, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""
