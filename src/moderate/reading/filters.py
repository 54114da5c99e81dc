"""Functions of the thread's templates, in Python because a long thread calls each of them hundreds of times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from moderate.http.language import say
from moderate.i18n import Message
from moderate.reading.thread import item_address

if TYPE_CHECKING:
    from datetime import datetime

MONTHS = (
    Message("January"), Message("February"), Message("March"), Message("April"), Message("May"), Message("June"),
    Message("July"), Message("August"), Message("September"), Message("October"), Message("November"),
    Message("December"),
)  # fmt: skip

TIME = Markup('<time datetime="{}">{}</time>')
LINK = Markup('<a href="{}" rel="nofollow ugc noopener"><bdi>{}</bdi></a>')
WORDS = Markup("<bdi>{}</bdi>")
TEXT = Markup('<div class="moderate-text" dir="auto">{}</div>')
#: A disclosure without content of its own: the style sheet cuts off what follows while it is closed.
FOLDED = Markup(
    '<div class="moderate-fold"><details><summary><span class="moderate-more">{}</span>'
    '<span class="moderate-less">{}</span></summary></details>{}</div>'
)

#: A text of a thread that takes more lines than this is folded.
LONG = 45

TAG = re.compile("<[^>]*>")
#: Elements and characters that take a line in cleaned HTML, or the space of one.
BREAK = re.compile(r"<p>|<br>(?!\n)|\n")
#: Letters beyond the Latin, Greek and Cyrillic ones, and those beyond the Basic Multilingual Plane.
WIDE, WIDEST = re.compile(r"[\u1100-\u11ff\u2000-\uffff]"), re.compile(r"[\U00010000-\U0010ffff]")


def moment(when: datetime) -> Markup:
    """Return a ``time`` element: for machines in UTC to the second, for people to the minute."""
    clock, month = f"{when.hour:02}:{when.minute:02}", say(MONTHS[when.month - 1])
    words = say("{day} {month} {year}, {time} UTC", day=when.day, month=month, year=when.year, time=clock)
    return TIME.format(when.strftime("%Y-%m-%dT%H:%M:%SZ"), words)


def is_web(url: str | None) -> bool:
    """Return True for a web address. Only these become links, should anything else get into the database."""
    return bool(url) and str(url).startswith(("https://", "http://"))


def outward(url: str | None, words: object) -> Markup:
    """Return an author's *words*, linked to *url* where that is a web address."""
    return LINK.format(url, words) if is_web(url) else WORDS.format(words)


def lines(html: str) -> int:
    """Estimate how many lines of 70 Latin letters *html* takes, with the space between its paragraphs.

    `WIDE` letters count twice, and `WIDEST` ones, which may be as wide as a word, four times.
    """
    words = TAG.sub("", html)
    letters = len(words)
    if not words.isascii():
        letters += len(WIDE.findall(words)) + 3 * len(WIDEST.findall(words))
    return letters // 70 + len(BREAK.findall(html))


def text(html: Markup) -> Markup:
    """Return the cleaned text of an item. A long one is folded by an element that opens without JavaScript."""
    shown = TEXT.format(html)
    return FOLDED.format(say("Show all of it"), say("Show less"), shown) if lines(html) > LONG else shown


#: The functions by their names in templates, which no host uses.
GLOBALS: dict[str, Any] = {
    "moderate_moment": moment,
    "moderate_is_web": is_web,
    "moderate_outward": outward,
    "moderate_item_address": item_address,
    "moderate_text": text,
}
