"""Small pieces of pages, in Python because a long thread asks for each of them hundreds of times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from moderate.web.thread_links import item_address
from moderate.web.words import say

if TYPE_CHECKING:
    from datetime import datetime

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

TIME = Markup('<time datetime="{}">{}</time>')
LINK = Markup('<a href="{}" rel="nofollow ugc noopener"><bdi>{}</bdi></a>')
WORDS = Markup("<bdi>{}</bdi>")


def moment(when: datetime) -> Markup:
    """A moment: for machines in UTC to the second, for people to the minute."""
    clock = f"{when.hour:02}:{when.minute:02}"
    words = say("{day} {month} {year}, {time} UTC", day=when.day, month=month(when), year=when.year, time=clock)
    return TIME.format(when.strftime("%Y-%m-%dT%H:%M:%SZ"), words)


def month(when: datetime) -> str:
    return say(MONTHS[when.month - 1])


def is_web(url: str | None) -> bool:
    """Only web addresses become links, whatever got into the database on some other way."""
    return bool(url) and str(url).startswith(("https://", "http://"))


def outward(url: str | None, words: object) -> Markup:
    """Somebody's words, as a link to their address where they gave one. It is no praise of ours."""
    return LINK.format(url, words) if is_web(url) else WORDS.format(words)


#: For templates, under names that no host has.
GLOBALS: dict[str, Any] = {
    "moderate_moment": moment,
    "moderate_is_web": is_web,
    "moderate_outward": outward,
    "moderate_item_address": item_address,
}
