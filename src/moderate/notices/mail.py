"""Build mails from templates (RFC 5322, MIME), and hand them to what sends them.

Every mail of the package is built here: notices to moderators and the mail that confirms an address. Names, titles and
texts in them come from strangers. In headers they are one printable line; in the plain text each of their lines is
quoted, so that none looks like one of the mail's own; in HTML Jinja escapes them.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from moderate.errors import ServiceDown
from moderate.text.characters import is_printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from moderate.i18n import Translator

#: Format characters without which Persian words and many emoji fall apart, and that move nothing.
JOINERS = "\u200c\u200d"

#: Fields that hold one long word: to fold them would be to break or to encode it.
UNFOLDED = frozenset({"list-unsubscribe", "message-id", "references"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The content of one mail: ``templates/TEMPLATE.txt`` and ``.html`` with *values*.

    *id* and *thread* become Message-ID and References; *id* is the same for each attempt, so that a mail that arrives
    twice can be recognised. *unsubscribe* is the address of a link that ends such mails with one click (RFC 8058).
    """

    to: Address
    id: str
    subject: str
    at: datetime
    template: str
    values: Mapping[str, object]
    unsubscribe: str
    thread: str = ""


class Transport(Protocol):
    """A way for finished mails to go. Raises `ServiceDown`, or `Undeliverable` for an address refused for good."""

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None: ...

    def probe(self) -> None:
        """Check that it would take a mail, without sending one. Raises `ServiceDown`."""


@dataclass(frozen=True, slots=True)
class Mailer:
    """Builds and sends mails. *sender* is the value of From, *host* the right-hand side of message ids."""

    transport: Transport
    sender: str
    host: str

    def send(self, mail: Mail, words: Translator) -> None:
        """Send a mail in the language of *words*. Raises `ServiceDown` or `Undeliverable`."""
        message = self.build(mail, words)
        self.transport.send(message, sender=parseaddr(self.sender)[1], to=mail.to.addr_spec)

    def build(self, mail: Mail, words: Translator) -> EmailMessage:
        message = EmailMessage(policy=POLICY)
        name, address = parseaddr(self.sender)
        message["From"] = Address(name, addr_spec=address)
        message["To"] = mail.to
        message["Subject"] = encoded(mail.subject)
        message["Date"] = format_datetime(mail.at)
        message["Message-ID"] = f"<{mail.id}@{self.host}>"
        if mail.thread:
            message["References"] = f"<{mail.thread}@{self.host}>"
        # No absence notices, please: RFC 3834, and [MS-OXCMAIL] for Exchange, which has a field of its own.
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        # RFC 2369, and RFC 8058 for the one click.
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(rendered(f"{mail.template}.txt", mail, words), cte="quoted-printable")
        html = rendered(f"{mail.template}.html", mail, words)
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return message


class MailPolicy(EmailPolicy):
    """The standard library's own, but long addresses stay whole (RFC 5322 allows 998 characters a line)."""

    def fold(self, name: str, value: Any) -> str:
        if name.lower() == "subject":
            return f"{name}: {encoded(str(value), self.linesep)}{self.linesep}"
        return f"{name}: {value}{self.linesep}" if name.lower() in UNFOLDED else super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        is_own = name.lower() in {*UNFOLDED, "subject"}
        return self.fold(name, value).encode("ascii") if is_own else super().fold_binary(name, value)


POLICY = MailPolicy(linesep="\r\n", cte_type="7bit")


def encoded(subject: str, linesep: str = "") -> str:
    """Encode a subject as its header holds it (RFC 2047), so that a mail program shows exactly this text.

    `email.headerregistry` loses blanks, and decodes text that a stranger typed in the form of an encoded word.
    """
    is_plain = subject.isascii() and "=?" not in subject
    charset = "us-ascii" if is_plain else "utf-8"
    return Header(subject, charset, maxlinelen=75, header_name="Subject").encode(linesep=linesep)


# --- templates and text ---------------------------------------------------------------------------


def rendered(template: str, mail: Mail, words: Translator) -> str:
    """Render one part of a mail. Its texts are translated by the functions that the templates of pages have."""
    return TEMPLATES.get_template(template).render(
        mail.values,
        language=words.language,
        unsubscribe=mail.unsubscribe,
        moderate_say=words.say,
        moderate_count=words.count,
    )


def quoted(text: str) -> str:
    """Put ``>`` before every line; a line may end with any character that programs take for its end."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines()) or ">"


def visible(text: str) -> str:
    """Replace control and format characters, those for directions among them, by blanks, and keep the ends of lines."""
    lines = text.splitlines()
    return "\n".join("".join(char if char in JOINERS or is_printable(char) else " " for char in line) for line in lines)


def one_line(text: str) -> str:
    """Return *text* as one line of visible characters, fit for a header or a line of the mail's own."""
    return " ".join(visible(text).split())


def clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


#: Apart from the host's environment: mails are written outside of requests, and hosts replace pages only.
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",), default=False),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
)
TEMPLATES.filters["quoted"] = quoted


# --- transports for development -------------------------------------------------------------------


class FolderTransport:
    """Writes each mail to a folder, as a file that mail programs open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        name = "".join(char if char.isalnum() or char in ".-" else "_" for char in message["Message-ID"].strip("<>"))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{name}.eml").write_bytes(message.as_bytes())
        except OSError as error:
            raise ServiceDown("mail", "the folder for mails cannot be written") from error

    def probe(self) -> None:
        place = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        if not (place.is_dir() and os.access(place, os.W_OK)):
            raise ServiceDown("mail", "the folder for mails cannot be written")


class ConsoleTransport:
    """Prints the text of each mail to standard error."""

    def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        body = message.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        sys.stderr.write(f"--- mail to {to}: {one_line(str(message['Subject']))}\n{text}---\n")

    def probe(self) -> None:
        pass
