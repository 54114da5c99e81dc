"""What the mails to moderators say: a plain text, and the same as simple HTML.

Names, titles and texts are strangers'. In headers they are one printable line; in the plain text each
of their lines is marked as quoted, so that none can look like ours; in HTML all of it is escaped.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from moderate.model import Decision, Kind, Lean
from moderate.ports import Proposal

if TYPE_CHECKING:
    from moderate.model import Item
    from moderate.ports import Notice, NoticeLinks, Recipient

#: How much of a text a mail shows, in characters; the page behind the links has all of it.
EXCERPT = 2000
DIGEST_EXCERPT = 300

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

WORDS = {Kind.COMMENT: "Comment", Kind.TRACKBACK: "Trackback", Kind.PINGBACK: "Pingback", Kind.WEBMENTION: "Webmention"}

#: Format characters without which Persian words and many emoji fall apart, and that move nothing.
JOINERS = "\u200c\u200d"

#: Findings worth reading, the strongest first.
LEANS = (Lean.DISCARD, Lean.SPAM, Lean.HOLD, Lean.UNSURE, Lean.NOTE, Lean.TRUST)

WHY = "You get this because you moderate this site."


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail, before it is put into an envelope."""

    subject: str
    text: str
    html: str


def letter(notice: Notice, to: Recipient, links: NoticeLinks) -> Letter:
    """The words for one item, or for many."""
    texts = [item_text(item, to, links, notice.is_digest) for item in notice.items]
    bodies = [item_html(item, to, links, notice.is_digest) for item in notice.items]
    queue, leave = links.queue(), links.unsubscribe(to)
    head = f"{notice.total} items wait for a moderator. The newest:" if notice.is_digest else ""
    foot = f"The whole queue: {queue}\n\n{WHY} To get no more of these: {leave}\n"
    return Letter(
        subject=digest_subject(notice) if notice.is_digest else item_subject(notice.items[0]),
        text="\n\n".join([*([head] if head else []), *texts, foot]),
        html=page(head, bodies, queue, leave),
    )


def item_subject(item: Item) -> str:
    changed = "Changed: " if item.edited_at is not None or item.proposed is not None else ""
    title = clipped(one_line(item.article_title) or one_line(item.article), SUBJECT_PART)
    return f"{changed}{WORDS[item.kind]} by {clipped(who(item), SUBJECT_PART)} on {title}"


def digest_subject(notice: Notice) -> str:
    return f"{notice.total} items wait for a moderator"


def who(item: Item) -> str:
    """The author, or the page that pings."""
    name = item.author or item.blog_name or item.title or item.source_url or ""
    return one_line(name) or "somebody without a name"


# --- plain text -----------------------------------------------------------------------------------


def item_text(item: Item, to: Recipient, links: NoticeLinks, is_short: bool) -> str:
    facts = [f"{label}: {value}" for label, value in facts_of(item)]
    told = [
        line for name, text in texts_of(item, is_short) for line in ("", *([f"{name}:"] if name else []), quoted(text))
    ]
    offered = choices_of(item, to, links)
    width = max(len(words) for words, _ in offered) + 2
    return "\n".join([*facts, *told, "", *(f"{words + ':':<{width}}{address}" for words, address in offered)])


def choices_of(item: Item, to: Recipient, links: NoticeLinks) -> list[tuple[str, str]]:
    """What may be decided, in words, and the address of each."""
    offered = CHOICES if item.proposed is None else CHOICES_OF_CHANGE
    return [(words, links.decide(item, decision, to, proposal)) for decision, proposal, words in offered]


def facts_of(item: Item) -> list[tuple[str, str]]:
    """What is known of an item, each as one line."""
    found = [
        (WORDS[item.kind], f"{item.id} by {who(item)}"),
        ("Article", f"{one_line(item.article_title)} {one_line(item.article_url)}".strip()),
        ("Page", one_line(item.source_url or "")),
        ("Website", one_line(item.url or "") if not item.kind.is_ping else ""),
        *(("Found", f"{one_line(reason)}") for reason in reasons(item)),
    ]
    return [(label, clipped(value, 500)) for label, value in found if value]


def reasons(item: Item) -> list[str]:
    return [finding.reason for lean in LEANS for finding in item.findings if finding.lean is lean]


def quoted(text: str) -> str:
    """Every line marked, whatever the writer used to end lines with."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines()) or ">"


def texts_of(item: Item, is_short: bool) -> list[tuple[str, str]]:
    """The text, or, where a changed one waits, both under their names."""
    if item.proposed is None:
        return [("", excerpt(item.text, is_short))]
    waiting = excerpt(item.proposed.get("text") or "", is_short)
    return [("Public now", excerpt(item.text, is_short)), ("Waiting", waiting)]


def excerpt(text: str, is_short: bool) -> str:
    """A text as it was sent, without what a terminal or a mail program would obey."""
    return clipped(visible(text).strip(), DIGEST_EXCERPT if is_short else EXCERPT)


def visible(text: str) -> str:
    """Without control and format characters (directions among them) but for the ends of lines."""
    lines = text.splitlines()
    return "\n".join("".join(char if is_visible(char) else " " for char in line) for line in lines)


def is_visible(char: str) -> bool:
    if char in JOINERS:
        return True
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def one_line(text: str) -> str:
    """One line of visible characters: fit for a header, and for a line of ours."""
    return " ".join(visible(text).split())


def clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


# --- HTML -----------------------------------------------------------------------------------------


def item_html(item: Item, to: Recipient, links: NoticeLinks, is_short: bool) -> str:
    facts = "".join(f"<p><b>{escape(label)}:</b> <bdi>{escape(value)}</bdi></p>\n" for label, value in facts_of(item))
    texts = "".join(text_html(name, text) for name, text in texts_of(item, is_short))
    choices = " · ".join(f'<a href="{escape(address)}">{words}</a>' for words, address in choices_of(item, to, links))
    return f"{facts}{texts}<p>{choices}</p>\n"


def text_html(name: str, text: str) -> str:
    heading = f"<p><b>{name}:</b></p>\n" if name else ""
    lines = escape(text).replace("\n", "<br>\n")
    return f'{heading}<blockquote dir="auto">{lines}</blockquote>\n'


def page(head: str, bodies: list[str], queue: str, leave: str) -> str:
    title = f"<p>{escape(head)}</p>\n" if head else ""
    foot = (
        f'<p><a href="{escape(queue)}">The whole queue</a></p>\n'
        f'<p><small>{WHY} <a href="{escape(leave)}">Get no more of these</a></small></p>\n'
    )
    body = "<hr>\n".join(bodies)
    return f'<!doctype html>\n<html lang="en"><body>\n{title}{body}<hr>\n{foot}</body></html>\n'
