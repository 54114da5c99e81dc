"""What the mails to moderators say, each in its reader's language: a plain text, and the same as simple HTML.

Names, titles and texts are strangers'. In headers they are one printable line; in the plain text each
of their lines is marked as quoted, so that none can look like ours; in HTML all of it is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from moderate.model import Decision, Kind, Lean
from moderate.ports import Proposal
from moderate.text.characters import is_printable
from moderate.text.destinations import destinations

if TYPE_CHECKING:
    from moderate.model import Item
    from moderate.ports import Notice, NoticeLinks, Recipient
    from moderate.text.destinations import Destination
    from moderate.words import Words

#: How much of a text a mail shows, in characters; the page behind the links has all of it.
EXCERPT = 2000
DIGEST_EXCERPT = 300

#: How many of an item's links a mail lists; the page behind its buttons has all of them.
LINKS, LINKS_IN_SHORT = 20, 5

#: The names of the places at which an item has links.
PLACES = {"source": "Source", "website": "Website", "text": "Link", "change": "Link of the changed text"}

#: How long a name or title may be in a subject, in characters.
SUBJECT_PART = 40

CHOICES = (
    (Decision.APPROVE, Proposal.ACCEPT, "Approve"),
    (Decision.SPAM, Proposal.ACCEPT, "Spam"),
    (Decision.TRASH, Proposal.ACCEPT, "Trash"),
)

#: For an item whose changed text waits.
CHOICES_OF_CHANGE = (
    (Decision.APPROVE, Proposal.ACCEPT, "Take the change"),
    (Decision.APPROVE, Proposal.DECLINE, "Keep the old text"),
    *CHOICES[1:],
)

KINDS = {Kind.COMMENT: "Comment", Kind.TRACKBACK: "Trackback", Kind.PINGBACK: "Pingback", Kind.WEBMENTION: "Webmention"}

#: Format characters without which Persian words and many emoji fall apart, and that move nothing.
JOINERS = "\u200c\u200d"

#: Findings worth reading, the strongest first.
LEANS = (Lean.DISCARD, Lean.SPAM, Lean.HOLD, Lean.UNSURE, Lean.NOTE, Lean.TRUST)


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail, before it is put into an envelope."""

    subject: str
    text: str
    html: str


def letter(notice: Notice, to: Recipient, links: NoticeLinks, words: Words) -> Letter:
    """The words for one item, or for many."""
    writer = Writer(to, links, words, notice.is_digest)
    if notice.is_digest:
        subject = words.count(notice.total, "{n} item waits for a moderator", "{n} items wait for a moderator")
        head = words.count(
            notice.total,
            "{n} item waits for a moderator. The newest:",
            "{n} items wait for a moderator. The newest:",
        )
    else:
        subject, head = writer.subject(notice.items[0]), ""
    texts = [writer.text(item) for item in notice.items]
    bodies = [writer.html(item) for item in notice.items]
    return Letter(
        subject=subject,
        text="\n\n".join([*([head] if head else []), *texts, writer.text_foot()]),
        html=page(words.language, head, [*bodies, writer.html_foot()]),
    )


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes to one moderator of one item after another, at length or in short."""

    to: Recipient
    links: NoticeLinks
    words: Words
    is_short: bool

    def subject(self, item: Item) -> str:
        title = clipped(one_line(item.article_title) or one_line(item.article), SUBJECT_PART)
        kind, name = self.words.say(KINDS[item.kind]), clipped(self.who(item), SUBJECT_PART)
        told = self.words.say("{kind} by {name} on {title}", kind=kind, name=name, title=title)
        is_changed = item.edited_at is not None or item.proposed is not None
        return self.words.say("Changed: {subject}", subject=told) if is_changed else told

    def who(self, item: Item) -> str:
        """The author, or the page that pings."""
        name = item.author or item.blog_name or item.title or item.source_url or ""
        return one_line(name) or self.words.say("somebody without a name")

    def facts(self, item: Item) -> list[tuple[str, str]]:
        """What is known of an item, each as one line."""
        words = self.words
        found = [
            (words.say(KINDS[item.kind]), words.say("{id} by {name}", id=item.id, name=self.who(item))),
            (words.say("Article"), f"{one_line(item.article_title)} {one_line(item.article_url)}".strip()),
            *((words.say("Found"), one_line(words.found(reason))) for reason in reasons(item)),
        ]
        return [(label, clipped(value, 500)) for label, value in found if value]

    def ways_out(self, item: Item) -> list[tuple[str, Destination, str]]:
        """Return where the links of an item lead: what each is, the address, and what else is to be known of it."""
        words, found = self.words, destinations(item)
        listed = []
        for link in found[:LINKS_IN_SHORT] if self.is_short else found[:LINKS]:
            told = [f"({link.spelled})"] if link.spelled else []
            told += [words.say("“{text}”", text=link.words)] if link.words else []
            told += [words.say("Its words name another host: {host}", host=link.named)] if link.named else []
            listed.append((words.say(PLACES[link.place]), link, one_line(" ".join(told))))
        return listed

    def texts(self, item: Item) -> list[tuple[str, str]]:
        """The text, or, where a changed one waits, both under their names."""
        if item.proposed is None:
            return [("", excerpt(item.text, self.is_short))]
        waiting = excerpt(item.proposed.get("text") or "", self.is_short)
        public = excerpt(item.text, self.is_short)
        return [(self.words.say("Public now"), public), (self.words.say("Waiting"), waiting)]

    def choices(self, item: Item) -> list[tuple[str, str]]:
        """What may be decided, in words, and the address of each."""
        offered = CHOICES if item.proposed is None else CHOICES_OF_CHANGE
        return [
            (self.words.say(label), self.links.decide(item, decision, self.to, proposal))
            for decision, proposal, label in offered
        ]

    def text(self, item: Item) -> str:
        """An item as plain text."""
        facts = [f"{label}: {value}" for label, value in self.facts(item)]
        facts += [f"{label}: {link.address} {told}".rstrip() for label, link, told in self.ways_out(item)]
        told = [line for name, text in self.texts(item) for line in ("", *([f"{name}:"] if name else []), quoted(text))]
        offered = self.choices(item)
        width = max(len(label) for label, _ in offered) + 2
        return "\n".join([*facts, *told, "", *(f"{label + ':':<{width}}{address}" for label, address in offered)])

    def html(self, item: Item) -> str:
        """The same as HTML."""
        facts = "".join(
            f"<p><b>{escape(label)}:</b> <bdi>{escape(value)}</bdi></p>\n" for label, value in self.facts(item)
        )
        facts += "".join(link_html(label, link, told) for label, link, told in self.ways_out(item))
        texts = "".join(text_html(name, text) for name, text in self.texts(item))
        choices = " · ".join(
            f'<a href="{escape(address)}">{escape(label)}</a>' for label, address in self.choices(item)
        )
        return f"{facts}{texts}<p>{choices}</p>\n"

    def text_foot(self) -> str:
        words, leave = self.words, self.links.unsubscribe(self.to)
        queue = words.say("The whole queue: {address}", address=self.links.queue())
        no_more = words.say("To get no more of these: {address}", address=leave)
        return f"{queue}\n\n{words.say('You get this because you moderate this site.')} {no_more}\n"

    def html_foot(self) -> str:
        words, leave = self.words, self.links.unsubscribe(self.to)
        why = escape(words.say("You get this because you moderate this site."))
        return (
            f'<p><a href="{escape(self.links.queue())}">{escape(words.say("The whole queue"))}</a></p>\n'
            f'<p><small>{why} <a href="{escape(leave)}">{escape(words.say("Get no more of these"))}</a></small></p>\n'
        )


# --- plain text -----------------------------------------------------------------------------------


def reasons(item: Item) -> list[str]:
    return [finding.reason for lean in LEANS for finding in item.findings if finding.lean is lean]


def quoted(text: str) -> str:
    """Every line marked, whatever the writer used to end lines with."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines()) or ">"


def excerpt(text: str, is_short: bool) -> str:
    """A text as it was sent, without what a terminal or a mail program would obey."""
    return clipped(visible(text).strip(), DIGEST_EXCERPT if is_short else EXCERPT)


def visible(text: str) -> str:
    """Without control and format characters (directions among them) but for the ends of lines."""
    lines = text.splitlines()
    return "\n".join("".join(char if is_visible(char) else " " for char in line) for line in lines)


def is_visible(char: str) -> bool:
    """Return whether a character may stand in a mail: joiners of emoji and scripts, and all that is printable."""
    return char in JOINERS or is_printable(char)


def one_line(text: str) -> str:
    """One line of visible characters: fit for a header, and for a line of ours."""
    return " ".join(visible(text).split())


def clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


# --- HTML -----------------------------------------------------------------------------------------


def link_html(label: str, link: Destination, told: str) -> str:
    """An address with its host in bold. It is no link: nobody should open it by chance."""
    address = f"{escape(link.before)}<b>{escape(link.host)}</b>{escape(link.after)}"
    more = f" <bdi>{escape(told)}</bdi>" if told else ""
    return f'<p><b>{escape(label)}:</b> <bdi dir="ltr">{address}</bdi>{more}</p>\n'


def text_html(name: str, text: str) -> str:
    heading = f"<p><b>{escape(name)}:</b></p>\n" if name else ""
    lines = escape(text).replace("\n", "<br>\n")
    return f'{heading}<blockquote dir="auto">{lines}</blockquote>\n'


def page(language: str, head: str, bodies: list[str]) -> str:
    title = f"<p>{escape(head)}</p>\n" if head else ""
    body = "<hr>\n".join(bodies)
    return f'<!doctype html>\n<html lang="{language}"><body>\n{title}{body}</body></html>\n'
