"""Sign in to a mail server (SMTP AUTH, RFC 4954) by a password, or by a token that a command prints (XOAUTH2)."""

from __future__ import annotations

import base64
import hmac
import os
import select
import signal
import smtplib
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moderate.clock import SystemClock
from moderate.errors import ServiceDown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: Returns the response to a challenge of the server, which is empty for the first one of some mechanisms.
    Answer = Callable[[bytes], bytes]

#: The longest token that a command may print, in bytes.
MOST_TOKEN = 16 * 1024

#: Token commands take real time, in tests too.
CLOCK = SystemClock()

#: How often a running token command is checked for its end, in milliseconds.
LOOK_MS = 50

#: How many challenges a server may send; LOGIN, the longest mechanism, has two.
MOST_CHALLENGES = 5

TOKEN_COMMAND = "MODERATE_MAIL_TOKEN_COMMAND"


@dataclass(frozen=True, slots=True)
class Account:
    """The name to sign in with, and its password or the *token_command* that prints an access token.

    The command is a list of words and is run without a shell.
    """

    name: str
    password: str = field(default="", repr=False)
    token_command: Sequence[str] = field(default=(), repr=False)

    def mechanisms(self, seconds: float) -> Mechanisms:
        """Return the mechanisms to sign in with, the best first.

        *seconds* bounds the token command. Raises `ServiceDown` where the command fails or the name or the
        password cannot be sent.
        """
        name = as_utf8(self.name, "MODERATE_MAIL_USERNAME")
        if self.token_command:
            access_token = token(self.token_command, seconds)
            # A refusal comes as a challenge, which an empty answer turns into an error.
            return (("XOAUTH2", b"user=%b\x01auth=Bearer %b\x01\x01" % (name, access_token), lambda _: b""),)
        return by_password(name, as_utf8(self.password, "MODERATE_MAIL_PASSWORD"))


#: The name of a mechanism, its initial response or None, and what answers the challenges.
Mechanisms = tuple[tuple[str, bytes | None, "Answer"], ...]


def as_utf8(value: str, setting: str) -> bytes:
    """Return *value* as UTF-8 (RFC 4616 §2). Raises `ServiceDown` where it has none, or has a NUL character."""
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise ServiceDown("mail", f"{setting} has characters that cannot be sent; it must be UTF-8 without NUL")
    return encoded


def by_password(name: bytes, password: bytes) -> Mechanisms:
    """Return CRAM-MD5 (RFC 2195), PLAIN (RFC 4616) and LOGIN."""

    def digest(challenge: bytes) -> bytes:
        return name + b" " + hmac.new(password, challenge, "md5").hexdigest().encode()

    parts = iter((name, password))
    plain: Mechanisms = (
        ("PLAIN", b"\0%b\0%b" % (name, password), lambda _: b""),
        ("LOGIN", None, lambda _: next(parts, b"")),
    )
    try:
        digest(b"")
    except ValueError:
        # Systems under FIPS 140 switch MD5 off.
        return plain
    return (("CRAM-MD5", None, digest), *plain)


def sign_in(server: smtplib.SMTP, mechanisms: Mechanisms) -> None:
    """Sign in with the first of *mechanisms* that the server offers and accepts.

    Raises `ServiceDown` where it offers none or accepts none. The error names the reply code only, as the text of a
    reply may repeat what was sent.
    """
    server.ehlo_or_helo_if_needed()
    offered = server.esmtp_features.get("auth", "").upper().split()
    usable = [mechanism for mechanism in mechanisms if mechanism[0] in offered]
    if not usable:
        raise ServiceDown("mail", none_in_common([name for name, *_ in mechanisms], offered))
    code = 0
    for name, initial, answer in usable:
        try:
            code = converse(server, name, initial, answer)
        except smtplib.SMTPServerDisconnected:
            # Some servers disconnect after the first refusal, whose code then describes the failure.
            if code == 0:
                raise
            break
        if code in (235, 503):
            return
    raise ServiceDown("mail", turned_away(code, is_token=mechanisms[0][0] == "XOAUTH2"))


def converse(server: smtplib.SMTP, name: str, initial: bytes | None, answer: Answer) -> int:
    """Do one AUTH exchange, and return the reply code that ends it."""
    command = f"AUTH {name}" if initial is None else f"AUTH {name} {in_base64(initial)}"
    code, challenge = server.docmd(command)
    for _ in range(MOST_CHALLENGES):
        if code != 334:
            break
        try:
            reply = in_base64(answer(base64.b64decode(challenge)))
        except ValueError:
            # Not base64. An asterisk cancels the exchange (RFC 4954 §4).
            reply = "*"
        code, challenge = server.docmd(reply)
    return code


def in_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def none_in_common(ours: list[str], offered: list[str]) -> str:
    if not offered:
        return "the mail server offers no way to sign in here; leave MODERATE_MAIL_USERNAME empty if it wants none"
    others = ", ".join(word[:20] for word in offered[:8])
    words = f"the mail server offers no suitable authentication method: it has {others}, this site {', '.join(ours)}"
    return f"{words}; set {TOKEN_COMMAND}" if "XOAUTH2" in offered else words


def turned_away(code: int, *, is_token: bool) -> str:
    if 400 <= code < 500:
        return f"the mail server cannot check the sign-in at the moment ({code})"
    if code == 534:
        return f"the mail server wants a stronger way of signing in, such as a password for apps ({code})"
    if code in (530, 538):
        return f"the mail server wants an encrypted connection for a sign-in; set MODERATE_MAIL_SECURITY ({code})"
    if 500 <= code <= 504:
        return f"the mail server does not understand this way of signing in ({code})"
    given = f"the token of {TOKEN_COMMAND}" if is_token else "the password"
    return f"the mail server does not accept the name or {given} ({code})"


# --- the token command ----------------------------------------------------------------------------


def token(command: Sequence[str], seconds: float) -> bytes:
    """Return the access token that *command* prints as its one line, within *seconds*.

    Raises `ServiceDown` with what went wrong, never with what was printed. A command that takes too long or prints
    too much is killed with its process group. One that has ended is not waited for, even where a program that it
    has left running (an agent) keeps its output open.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # the site's own setting, and no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise command_failed("is not there" if isinstance(error, FileNotFoundError) else "cannot be run") from None
    deadline = CLOCK.monotonic() + seconds
    with process:
        printed = output_of(process, deadline)
        try:
            left = 0.0 if len(printed) > MOST_TOKEN else deadline - CLOCK.monotonic()
            status: int | None = process.wait(max(left, 0.0))
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(process.pid, signal.SIGKILL)
    return checked(printed, status, seconds)


def output_of(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return what a process prints until it ends or *deadline* (of `CLOCK`), or more than `MOST_TOKEN`."""
    printed, stream = b"", process.stdout
    if stream is None:
        return printed
    poller = select.poll()
    poller.register(stream, select.POLLIN)
    while len(printed) <= MOST_TOKEN and CLOCK.monotonic() < deadline:
        # Checked before reading, so that nothing is missed that the process prints just before its end.
        has_ended = process.poll() is not None
        if poller.poll(0 if has_ended else LOOK_MS):
            piece = os.read(stream.fileno(), MOST_TOKEN)
            if not piece:
                break
            printed += piece
        elif has_ended:
            break
    return printed


def checked(printed: bytes, status: int | None, seconds: float) -> bytes:
    """Return the token that a command has printed. A *status* of None means that the command was killed."""
    found = printed.strip()
    if len(printed) > MOST_TOKEN:
        raise command_failed("printed more than a token")
    if status is None:
        raise command_failed(f"did not end within {seconds:.0f} seconds")
    if status != 0:
        raise command_failed(f"was ended by signal {-status}" if status < 0 else f"ended with status {status}")
    if not found:
        raise command_failed("printed no token")
    if not (found.isascii() and found.decode().isprintable()) or b" " in found:
        raise command_failed("must print one line with nothing but the token")
    return found


def command_failed(words: str) -> ServiceDown:
    return ServiceDown("mail", f"the command in {TOKEN_COMMAND} {words}")
