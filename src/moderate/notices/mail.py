"""Build all mails (RFC 5322, MIME): notices to moderators, and the mail that confirms a commenter's address.

Each mail is a plain text and the same as simple HTML, both of ``templates``. Names, titles and texts come from
strangers. In headers they are one printable line; in the plain text each of their lines is quoted, so
that none looks like one of the mail's own; in HTML Jinja escapes them. `moderate.notices.smtp` sends mails; the
transports at the end of this module are for development.
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
from moderate.i18n import Message
from moderate.model import Lean
from moderate.notices.values import Event
from moderate.text.characters import cropped, is_printable
from moderate.text.links import Destination, destinations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from moderate.i18n import Translator
    from moderate.model import Item
    from moderate.notices.values import ConfirmationRequest, Notice, Recipient
    from moderate.ports import NoticeLinks

#: Format characters without which Persian words and many emoji fall apart, and that move nothing.
JOINERS = "\u200c\u200d"

#: Fields that hold one long word: to fold them would be to break or to encode it.
UNFOLDED = frozenset({"list-unsubscribe", "message-id", "references"})

#: How much of a text a mail and a digest show, in characters; the page behind the links has all of it.
EXCERPT, DIGEST_EXCERPT = 2000, 300

#: How many of an item's links a mail and a digest list.
LINKS, DIGEST_LINKS = 20, 5

#: How long a name or title may be in a subject, in characters.
SUBJECT_PART = 40

#: The names of the places at which an item has links.
PLACES = {
    "source": Message("Source"),
    "website": Message("Website"),
    "text": Message("Link"),
    "change": Message("Link of the changed text"),
}

#: The buttons that a mail offers, by their names in `moderate.moderation.labels`.
CHOICES = (("approve", Message("Approve")), ("spam", Message("Spam")), ("trash", Message("Trash")))

#: For an item whose changed text waits.
CHOICES_OF_CHANGE = (("approve", Message("Take the change")), ("keep", Message("Keep the old text")), *CHOICES[1:])

#: The order of findings in a mail, the strongest first.
LEANS = (Lean.DISCARD, Lean.SPAM, Lean.HOLD, Lean.UNSURE, Lean.NOTE, Lean.TRUST)

#: How long the title of an article may be in the mail that confirms an address, in characters.
TITLE = 200


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
        # The functions that the templates of pages have.
        functions = {"moderate_say": words.say, "moderate_count": words.count}
        values = {**mail.values, **functions, "language": words.language, "unsubscribe": mail.unsubscribe}
        text, html = (TEMPLATES.get_template(f"{mail.template}.{kind}").render(values) for kind in ("txt", "html"))
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        self.transport.send(message, sender=address, to=mail.to.addr_spec)


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


def quoted(text: str) -> str:
    """Put ``>`` before every line; a line may end with any character that programs take for its end."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines()) or ">"


def visible(text: str) -> str:
    """Replace control and format characters, those for directions among them, by blanks, and keep the ends of lines."""
    lines = text.splitlines()
    return "\n".join("".join(char if char in JOINERS or is_printable(char) else " " for char in line) for line in lines)


def visible_line(text: str) -> str:
    """Return *text* as one line of visible characters, fit for a header or a line of the mail's own."""
    return " ".join(visible(text).split())


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


# --- mails to moderators -------------------------------------------------------------------------


class MailNotifier:
    """A moderator's mailbox; see `moderate.ports.Notifier`.

    More than *digest_after* mails in an hour are gathered into a digest.
    """

    events = frozenset({Event.WAITING})

    def __init__(
        self, to: Recipient, mailer: Mailer, links: NoticeLinks, words: Translator, *, digest_after: int
    ) -> None:
        self._to = to
        self._mailer = mailer
        self._links = links
        self._words = words
        self.key = to.key
        self.per_hour: int | None = 0 if to.notify == "digest" else digest_after

    def deliver(self, notice: Notice) -> None:
        """See the port."""
        self._mailer.send(self.mail(notice), self._words)

    def probe(self) -> None:
        """See the port."""
        self._mailer.transport.probe()

    def mail(self, notice: Notice) -> Mail:
        words, first = self._words, notice.items[0]
        if notice.is_digest:
            subject = words.count(notice.total, "{n} item waits for a moderator", "{n} items wait for a moderator")
        else:
            subject = subject_of(first, words)
        return Mail(
            to=Address(visible_line(self._to.name), addr_spec=self._to.email),
            id=f"{notice.id}.{self.key}",
            thread="" if notice.is_digest else f"item.{first.id}.{self.key}",
            subject=subject,
            at=notice.at,
            template="notice",
            values={
                "total": notice.total if notice.is_digest else None,
                "items": [self._entry(item, is_short=notice.is_digest) for item in notice.items],
                "queue": self._links.queue(),
            },
            unsubscribe=self._links.unsubscribe(self._to),
        )

    def _entry(self, item: Item, *, is_short: bool) -> dict[str, object]:
        """Return what the templates show of an item; *is_short* for its place in a digest."""
        offered = CHOICES if item.proposed is None else CHOICES_OF_CHANGE
        choices = [(self._words.say(label), self._links.decide(item, button, self._to)) for button, label in offered]
        return {
            "facts": facts(item, self._words),
            "links": links(item, self._words, DIGEST_LINKS if is_short else LINKS),
            "texts": texts(item, self._words, DIGEST_EXCERPT if is_short else EXCERPT),
            "choices": choices,
            "choices_width": max(len(label) for label, _ in choices) + 2,
        }


def subject_of(item: Item, words: Translator) -> str:
    title = cropped(visible_line(item.article_title) or visible_line(item.article), SUBJECT_PART, "…")
    kind, name = words.say(item.kind.label), cropped(name_of(item, words), SUBJECT_PART, "…")
    subject = words.say("{kind} by {name} on {title}", kind=kind, name=name, title=title)
    is_changed = item.edited_at is not None or item.proposed is not None
    return words.say("Changed: {subject}", subject=subject) if is_changed else subject


def name_of(item: Item, words: Translator) -> str:
    """Return the author of a comment, or the name of the page that pings."""
    name = item.author or item.blog_name or item.title or item.source_url or ""
    return visible_line(name) or words.say("somebody without a name")


def facts(item: Item, words: Translator) -> list[tuple[str, str]]:
    """Return labels and values of an item, each as one line: kind and author, article, and what the checks found."""
    reasons = [finding.reason for lean in LEANS for finding in item.findings if finding.lean is lean]
    found = [
        (words.say(item.kind.label), words.say("{id} by {name}", id=item.id, name=name_of(item, words))),
        (words.say("Article"), f"{visible_line(item.article_title)} {visible_line(item.article_url)}".strip()),
        *((words.say("Found"), visible_line(words.translate(reason))) for reason in reasons),
    ]
    return [(label, cropped(value, 500, "…")) for label, value in found if value]


def links(item: Item, words: Translator, limit: int) -> list[tuple[str, Destination, str]]:
    """Return where the first links of an item lead: a label, the destination, and remarks on it as one line."""
    found = []
    for link in destinations(item)[:limit]:
        remarks = [f"({link.spelled})"] if link.spelled else []
        remarks += [words.say("“{text}”", text=link.words)] if link.words else []
        remarks += [words.say("Its words name another host: {host}", host=link.named)] if link.named else []
        found.append((words.say(PLACES[link.place]), link, visible_line(" ".join(remarks))))
    return found


def texts(item: Item, words: Translator, length: int) -> list[tuple[str, str]]:
    """Return the text, or, where a changed one waits, both with their names, each with at most *length* characters."""
    public = excerpt(item.text, length)
    if item.proposed is None:
        return [("", public)]
    waiting = excerpt(item.proposed.get("text") or "", length)
    return [(words.say("Public now"), public), (words.say("Waiting"), waiting)]


def excerpt(text: str, length: int) -> str:
    """Return the beginning of a text without characters that a terminal or a mail program would obey."""
    return cropped(visible(text).strip(), length, "…")


# --- the mail to commenters ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfirmationMails:
    """Sends the mails whose button confirms a commenter's address. *site* is the address of the site for people.

    The recipient may never have asked for one. So everything in it is the package's own but the article's title and
    address, which are the host's: no name, text or address of the person who typed the recipient's can be sent through
    it.

    *confirm* and *stop* return the addresses of the links in a mail; see `moderate.notices.views`.
    """

    mailer: Mailer
    words: Translator
    site: str
    confirm: Callable[[ConfirmationRequest], str]
    stop: Callable[[ConfirmationRequest], str]

    def send(self, request: ConfirmationRequest) -> None:
        """Send one mail. Raises `ServiceDown` where trying again may help, else `Undeliverable`."""
        article = visible_line(request.article_url)
        mail = Mail(
            to=Address(addr_spec=request.to),
            id=request.id,
            subject=self.words.say("Confirm your e-mail address on {site}", site=self.site),
            at=request.at,
            template="confirm",
            values={
                "site": self.site,
                "confirm": self.confirm(request),
                "title": cropped(visible_line(request.article_title), TITLE, "…") or article,
                "article": article,
            },
            unsubscribe=self.stop(request),
        )
        self.mailer.send(mail, self.words)


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
        sys.stderr.write(f"--- mail to {to}: {visible_line(str(message['Subject']))}\n{text}---\n")

    def probe(self) -> None:
        pass
