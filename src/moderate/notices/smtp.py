"""Send mails by SMTP (RFC 5321), and describe failures in words.

`smtplib` waits the whole time-out for each piece of an answer, and reads as many lines as come. `Bounded` limits the
time and the bytes of a whole conversation, so that no server can hold up a worker.
"""

from __future__ import annotations

import io
import re
import smtplib
import ssl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from moderate.clock import SystemClock
from moderate.errors import ServiceDown, Undeliverable
from moderate.notices.mail import visible_line
from moderate.notices.smtp_auth import sign_in
from moderate.outbound.client import Budget
from moderate.outbound.failures import CircuitBreaker, trouble

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from email.message import EmailMessage

    from moderate.notices.smtp_auth import Account
    from moderate.ports import Clock

#: How many bytes a server may send while it accepts one mail.
MOST_BYTES = 64 * 1024

#: How long a whole conversation may take, as a multiple of the time-out for one answer.
ANSWERS = 6

#: The same in seconds, at most: less than the lease of a task, or a second worker would send the mail too.
LONGEST = 100.0

RELAY = "it sends no mails elsewhere without a sign-in; set MODERATE_MAIL_USERNAME"

NO_STARTTLS = (
    "does not offer STARTTLS; set MODERATE_MAIL_SECURITY to 'tls' and the port to match, "
    "or to 'none' for a server on this machine"
)

#: Meanings of a refusal by the first part of "CODE REPLY" that fits: reply codes and enhanced codes (RFC 3463).
MEANINGS = (
    (r"\d+ [45]\.2\.2\b|quota|mailbox (is )?full", "the mailbox is full"),
    (r"\d+ [45]\.(3\.4|2\.3)\b|too (large|big)|size limit", "the mail is larger than it takes"),
    (r"552\b", "the mailbox is full or the mail larger than it takes"),
    (r"452\b", "it has no room at the moment"),
    (r"4.*gr[ae]y-?list", "it asks for another try later (greylisting)"),
    (r"530\b", "it wants a sign-in first; set MODERATE_MAIL_USERNAME"),
    (r"5.*(relay\w* (access )?(denied|not)|(unable|not \w+) to relay)", RELAY),
    (r"5\d\d 5\.1\.[0136]\b", "there is no such mailbox"),
    (r"[45]\d\d [45]\.7\.", "its policy forbids it"),
    (r"421\b", "it is busy or closing"),
    (r"4\d\d\b", "it asks for another try later"),
)

#: Server replies often repeat the addresses of a mail, which logs must not hold.
_MAILBOX = re.compile(r"[^\s<>\"'(),;:@]+@[^\s<>\"'(),;:@]+")


class SmtpTransport:
    """Sends mails to one server, each over a connection of its own.

    *security* is ``none``, ``starttls`` or ``tls``; *port* None is the usual one for it. *timeout* is in seconds, for
    one answer. Without an *account* there is no sign-in. *own_name* is sent in EHLO.
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
        """Send a mail. It counts as sent once the server has answered the end of DATA with 2xx.

        Raises `ServiceDown`, at once while the circuit breaker is open: a server that hangs would delay all other
        tasks. Raises `Undeliverable` for an address or a mail that is refused for good.
        """
        self._breaker.enter()
        try:
            with failures_named(), self._signed_in() as server:
                server.deliver(message.as_bytes(), sender, to)
        except (ServiceDown, Undeliverable) as error:
            # A server that refuses a mail works.
            if isinstance(error, ServiceDown) and error.kind != "refused":
                self._breaker.failed()
            else:
                self._breaker.succeeded()
            raise
        self._breaker.succeeded()

    def probe(self) -> None:
        """Connect and sign in, without sending a mail. Raises `ServiceDown`."""
        with failures_named(), self._signed_in() as server:
            server.noop()

    @contextmanager
    def _signed_in(self) -> Iterator[Bounded]:
        budget = budget_of(self._clock, self._timeout)
        mechanisms = self._account.mechanisms(budget.seconds()) if self._account else None
        with self._connected(budget) as server:
            if self._security == "starttls":
                server.starttls(context=self._trust())
            if mechanisms is not None:
                sign_in(server, mechanisms)
            yield server

    def _connected(self, budget: Budget) -> Bounded:
        if self._security == "tls":
            return BoundedTls(budget, self._server, self._port, self._own_name, context=self._trust())
        return Bounded(budget, self._server, self._port, self._own_name)

    def _trust(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context


# --- connections within a budget ---------------------------------------------------------------------


def budget_of(clock: Clock, timeout: float) -> Budget:
    """Return the budget of one conversation, in which each answer may take *timeout* seconds."""
    return Budget.of(clock, min(ANSWERS * timeout, LONGEST), MOST_BYTES, each=timeout)


class Replies(io.RawIOBase):
    """The server's answers as a stream that keeps within the budget."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        super().__init__()
        self._sock = sock
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._budget.seconds())
        count = self._sock.recv_into(buffer)
        self._budget.spend(count)
        return count


class Bounded(smtplib.SMTP):
    """An `smtplib` client that reads answers through `Replies`."""

    def __init__(self, budget: Budget, host: str, port: int, own_name: str, **options: Any) -> None:
        self._budget = budget
        super().__init__(host, port, own_name, timeout=budget.each, **options)

    def deliver(self, mail: bytes, sender: str, to: str) -> None:
        """Send one mail to one address. Raises the errors of `smtplib` for refusals.

        Only the first digit of an answer counts (RFC 5321 §4.2.1): with 2xx the server has accepted the mail.
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
        """Send QUIT and close the connection. Failures are ignored: the mail was accepted or refused before."""
        try:
            self.docmd("QUIT")
        except (smtplib.SMTPException, OSError, ValueError):
            pass
        finally:
            with suppress(OSError):
                self.close()

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer. `smtplib` sets `file` to None when it switches the connection to TLS."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(Replies(self.sock, self._budget))
        return super().getreply()


def is_done(code: int) -> bool:
    return 200 <= code < 300


class BoundedTls(Bounded, smtplib.SMTP_SSL):
    """A `Bounded` client that uses TLS from the first byte."""


# --- failures in words -----------------------------------------------------------------------------


@contextmanager
def failures_named() -> Iterator[None]:
    """Raise `ServiceDown` or `Undeliverable` in place of errors of `smtplib` and of the system.

    The new errors have no cause: those of `smtplib` hold addresses and what was sent.
    """
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        raise refused(code, reply, "the address") from None
    except smtplib.SMTPSenderRefused as error:
        raise sender_refused(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPDataError as error:
        raise refused(error.smtp_code, error.smtp_error, "the mail") from None
    except smtplib.SMTPResponseException as error:
        what = "the connection" if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError) else "STARTTLS"
        raise ServiceDown("mail", words_for(error.smtp_code, error.smtp_error, what)) from None
    except smtplib.SMTPServerDisconnected as error:
        words = trouble(error, "it broke the connection off")
        raise ServiceDown("mail", f"the mail server cannot be reached: {words}") from None
    except smtplib.SMTPNotSupportedError as error:
        lack = NO_STARTTLS if "STARTTLS" in str(error) else "lacks something that this mail needs (SMTPUTF8)"
        raise ServiceDown("mail", f"the mail server {lack}") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise ServiceDown("mail", f"the mail server cannot be reached: {trouble(error)}") from None


def refused(code: int, reply: bytes | str, what: str) -> ServiceDown | Undeliverable:
    """Return the error for a refusal: 5xx is for good, 4xx for now (RFC 5321 §4.2.1).

    What a setting would mend is for now as well. The kind ``refused`` says that the server itself works.
    """
    words = words_for(code, reply, what)
    is_for_good = 500 <= code < 600 and "MODERATE_" not in words
    return Undeliverable(words) if is_for_good else ServiceDown("mail", words, kind="refused")


def sender_refused(code: int, reply: bytes | str) -> ServiceDown | Undeliverable:
    """Return the error for a refused MAIL command, whose SIZE parameter also announces the mail (RFC 1870)."""
    is_about_mail = code < 500 or code == 552 or re.match(MEANINGS[1][0], f"{code} {reply_of(reply)}")
    return refused(code, reply, "the mail" if is_about_mail else "the sender, MODERATE_MAIL_FROM")


def words_for(code: int, reply: bytes | str, what: str) -> str:
    """Describe the refusal of *what*: the meaning of the reply code, where it has a common one, and the reply."""
    if not 200 <= code < 600:
        return "what is at MODERATE_MAIL_SERVER does not speak SMTP; check the port and MODERATE_MAIL_SECURITY"
    said = f"{code} {reply_of(reply)}".strip()
    meaning = next((words for pattern, words in MEANINGS if re.search(rf"^(?:{pattern})", said, re.IGNORECASE)), None)
    return f"the mail server refused {what}" + (f" ({meaning}): {said}" if meaning else f": {said}")


def reply_of(reply: bytes | str) -> str:
    """Return the text of an answer as one line of at most 200 characters, without mail addresses."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return _MAILBOX.sub("…", visible_line(text))[:200]
