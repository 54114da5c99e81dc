"""Mails to moderators: one item that waits, or a digest, each in its reader's language."""

from __future__ import annotations

from email.headerregistry import Address
from typing import TYPE_CHECKING

from moderate.i18n import Message
from moderate.model import ChangedText, Decision, Lean
from moderate.notices.mail import Mail, Mailer, clipped, one_line, visible
from moderate.notices.values import Event
from moderate.text.destinations import Destination, destinations

if TYPE_CHECKING:
    from moderate.i18n import Translator
    from moderate.model import Item
    from moderate.notices.values import Notice, Recipient
    from moderate.ports import NoticeLinks

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

CHOICES = (
    (Decision.APPROVE, ChangedText.ACCEPT, Message("Approve")),
    (Decision.SPAM, ChangedText.ACCEPT, Message("Spam")),
    (Decision.TRASH, ChangedText.ACCEPT, Message("Trash")),
)

#: For an item whose changed text waits.
CHOICES_OF_CHANGE = (
    (Decision.APPROVE, ChangedText.ACCEPT, Message("Take the change")),
    (Decision.APPROVE, ChangedText.DECLINE, Message("Keep the old text")),
    *CHOICES[1:],
)

#: The order of findings in a mail, the strongest first.
LEANS = (Lean.DISCARD, Lean.SPAM, Lean.HOLD, Lean.UNSURE, Lean.NOTE, Lean.TRUST)


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
            to=Address(one_line(self._to.name), addr_spec=self._to.email),
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
        choices = [
            (self._words.say(label), self._links.decide(item, decision, self._to, change))
            for decision, change, label in offered
        ]
        return {
            "facts": facts(item, self._words),
            "links": links(item, self._words, DIGEST_LINKS if is_short else LINKS),
            "texts": texts(item, self._words, DIGEST_EXCERPT if is_short else EXCERPT),
            "choices": choices,
            "choices_width": max(len(label) for label, _ in choices) + 2,
        }


def subject_of(item: Item, words: Translator) -> str:
    title = clipped(one_line(item.article_title) or one_line(item.article), SUBJECT_PART)
    kind, name = words.say(item.kind.label), clipped(name_of(item, words), SUBJECT_PART)
    subject = words.say("{kind} by {name} on {title}", kind=kind, name=name, title=title)
    is_changed = item.edited_at is not None or item.proposed is not None
    return words.say("Changed: {subject}", subject=subject) if is_changed else subject


def name_of(item: Item, words: Translator) -> str:
    """Return the author of a comment, or the name of the page that pings."""
    name = item.author or item.blog_name or item.title or item.source_url or ""
    return one_line(name) or words.say("somebody without a name")


def facts(item: Item, words: Translator) -> list[tuple[str, str]]:
    """Return labels and values of an item, each as one line: kind and author, article, and what the checks found."""
    reasons = [finding.reason for lean in LEANS for finding in item.findings if finding.lean is lean]
    found = [
        (words.say(item.kind.label), words.say("{id} by {name}", id=item.id, name=name_of(item, words))),
        (words.say("Article"), f"{one_line(item.article_title)} {one_line(item.article_url)}".strip()),
        *((words.say("Found"), one_line(words.found(reason))) for reason in reasons),
    ]
    return [(label, clipped(value, 500)) for label, value in found if value]


def links(item: Item, words: Translator, limit: int) -> list[tuple[str, Destination, str]]:
    """Return where the first links of an item lead: a label, the destination, and remarks on it as one line."""
    found = []
    for link in destinations(item)[:limit]:
        remarks = [f"({link.spelled})"] if link.spelled else []
        remarks += [words.say("“{text}”", text=link.words)] if link.words else []
        remarks += [words.say("Its words name another host: {host}", host=link.named)] if link.named else []
        found.append((words.say(PLACES[link.place]), link, one_line(" ".join(remarks))))
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
    return clipped(visible(text).strip(), length)
