"""Mails to moderators, by SMTP (RFC 5321) or, for development, to a folder or the terminal."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import contextmanager
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Any, Protocol

from moderate.clock import SystemClock
from moderate.errors import ServiceDown, Undeliverable
from moderate.notices.mail_failures import failures_named
from moderate.notices.mail_text import letter, one_line
from moderate.notices.smtp import Bounded, BoundedTls, Bounds
from moderate.notices.smtp_auth import sign_in
from moderate.outbound.breaker import CircuitBreaker
from moderate.ports.notices import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moderate.notices.smtp_auth import Account
    from moderate.ports import Clock, Notice, NoticeLinks, Recipient
    from moderate.words import Words

#: Fields that hold one long word: to fold them would be to break or to encode it.
WHOLE = frozenset({"list-unsubscribe", "message-id", "references"})


class MailPolicy(EmailPolicy):
    """The standard library's own, but long addresses stay whole (RFC 5322 allows 998 characters a line)."""

    def fold(self, name: str, value: Any) -> str:
        if name.lower() == "subject":
            return f"{name}: {encoded(str(value), self.linesep)}{self.linesep}"
        return f"{name}: {value}{self.linesep}" if name.lower() in WHOLE else super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        is_ours = name.lower() in {*WHOLE, "subject"}
        return self.fold(name, value).encode("ascii") if is_ours else super().fold_binary(name, value)


def encoded(subject: str, linesep: str = "") -> str:
    """A subject as a header holds it (RFC 2047): what comes out of a mail program is what went in.

    The standard library's newer way loses blanks, and reads encoded words that somebody has typed.
    """
    is_plain = subject.isascii() and "=?" not in subject
    charset = "us-ascii" if is_plain else "utf-8"
    return Header(subject, charset, maxlinelen=75, header_name="Subject").encode(linesep=linesep)


POLICY = MailPolicy(linesep="\r\n", cte_type="7bit")


def by_machine(message: EmailMessage) -> None:
    """Ask that nobody's absence be reported: RFC 3834, and [MS-OXCMAIL] for Exchange, which goes by its own field."""
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"


class Transport(Protocol):
    """Takes a finished mail. Raises `ServiceDown`, or `Undeliverable` where the address is refused for good."""

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None: ...

    def probe(self) -> None:
        """See whether it would take a mail, and send none. Raises `ServiceDown`."""


class MailNotifier:
    """One moderator's mailbox; see `moderate.ports.Notifier`.

    `sender` is what stands in From, `host` what stands behind the @ of message ids.
    """

    events = frozenset({Event.WAITING})

    def __init__(
        self,
        to: Recipient,
        transport: Transport,
        links: NoticeLinks,
        words: Words,
        *,
        sender: str,
        host: str,
        digest_after: int,
    ) -> None:
        self._to = to
        self._transport = transport
        self._links = links
        self._words = words
        self._sender = sender
        self._host = host
        self.key = to.key
        self.per_hour: int | None = 0 if to.notify == "digest" else digest_after

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        sender = parseaddr(self._sender)[1]
        self._transport.send(self.message(notice), sender=sender, to=self._to.email)

    def probe(self) -> None:
        """See the port."""
        self._transport.probe()

    def message(self, notice: Notice) -> EmailMessage:
        """The whole mail. What strangers wrote cannot end a header: it is one line, and the library looks again."""
        told = letter(notice, self._to, self._links, self._words)
        message = EmailMessage(policy=POLICY)
        message["From"] = address(self._sender)
        message["To"] = Address(one_line(self._to.name), addr_spec=self._to.email)
        # Encoded, or the library would take what looks like encoded for such.
        message["Subject"] = encoded(told.subject)
        message["Date"] = format_datetime(notice.at)
        # The same for each attempt, so that a mail that comes twice can be known as one.
        message["Message-ID"] = f"<{notice.id}.{self.key}@{self._host}>"
        if not notice.is_digest:
            message["References"] = f"<item.{notice.items[0].id}.{self.key}@{self._host}>"
        by_machine(message)
        # RFC 2369, and RFC 8058 for the one click.
        message["List-Unsubscribe"] = f"<{self._links.unsubscribe(self._to)}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(told.text, cte="quoted-printable")
        message.add_alternative(told.html, subtype="html", cte="quoted-printable")
        return message


def address(mailbox: str) -> Address:
    """What a setting such as ``News <news@example.org>`` means."""
    name, spec = parseaddr(mailbox)
    return Address(name, addr_spec=spec)


# --- ways for a mail to go ------------------------------------------------------------------------


class SmtpTransport:
    """A mail server. Each mail has a connection of its own.

    *account* signs in; None sends without. *own_name* is told in EHLO.
    """

    def __init__(
        self,
        server: str,
        port: int | None,
        *,
        security: str,
        account: Account | None,
        timeout: float,
        own_name: str,
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._breaker = CircuitBreaker("mail", self._clock)
        self._server = server
        self._port = port or {"starttls": 587, "tls": 465}.get(security, 25)
        self._security = security
        self._account = account
        self._timeout = timeout
        self._own_name = own_name
        self._ssl_context = ssl_context

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        """Send the mail. It is sent once the server has answered its end with 2xx, whatever follows.

        A server that keeps failing is left alone for a while, as one that hangs would hold up all other tasks.
        """
        self._breaker.enter()
        try:
            with failures_named(), self._signed_in() as server:
                server.deliver(message.as_bytes(), sender, to)
        except ServiceDown as error:
            if error.kind == "refused":
                self._breaker.succeeded()
            else:
                self._breaker.failed()
            raise
        except Undeliverable:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()

    def probe(self) -> None:
        """Connect and sign in; see the port."""
        with failures_named(), self._signed_in() as server:
            server.noop()

    @contextmanager
    def _signed_in(self) -> Iterator[Bounded]:
        bounds = Bounds.of(self._clock, self._timeout)
        mechanisms = self._account.mechanisms(bounds.seconds()) if self._account else None
        with self._connected(bounds) as server:
            if self._security == "starttls":
                server.starttls(context=self._trust())
            if mechanisms is not None:
                sign_in(server, mechanisms)
            yield server

    def _connected(self, bounds: Bounds) -> Bounded:
        if self._security == "tls":
            return BoundedTls(bounds, self._server, self._port, self._own_name, context=self._trust())
        return Bounded(bounds, self._server, self._port, self._own_name)

    def _trust(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context


class FolderTransport:
    """Puts each mail into a folder, as a file that mail programs open; for development."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        """See the port."""
        name = "".join(char if char.isalnum() or char in ".-" else "_" for char in message["Message-ID"].strip("<>"))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}.eml").write_bytes(message.as_bytes())
        except OSError as error:
            raise ServiceDown("mail", "the folder for mails cannot be written") from error

    def probe(self) -> None:
        """See the port."""
        place = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        if not (place.is_dir() and os.access(place, os.W_OK)):
            raise ServiceDown("mail", "the folder for mails cannot be written")


class ConsoleTransport:
    """Prints each mail's text to standard error; for development."""

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        """See the port."""
        body = message.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        sys.stderr.write(f"--- mail to {to}: {one_line(str(message['Subject']))}\n{text}---\n")

    def probe(self) -> None:
        """See the port."""
