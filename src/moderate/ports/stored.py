"""What goes into the store and comes out of it, beside items."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from moderate.lifecycle import Premoderation
    from moderate.model import Awaiting, Body, Counts, HistoryEntry, Item, Kind, Status


class Proposal(enum.StrEnum):
    """What a decision does with a changed text that waits behind an approved one; without one it says nothing."""

    #: It becomes the item's text: what was decided about is the newest.
    ACCEPT = "accept"
    #: It is dropped, and the item's status moves with the text that it has.
    DECLINE = "decline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items a moderator wants to see; None means "any"."""

    status: Status | None = None
    kind: Kind | None = None
    article: str | None = None
    author: str | None = None
    ip: str | None = None
    #: The host of a ping's source, or of an author's website.
    host: str | None = None
    #: The id of an item: that one, and those whose text is the same or nearly so.
    like: int | None = None
    q: str | None = None
    awaiting: Awaiting | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of items and the cursor (an item's id) of the next one, None at the end."""

    items: tuple[Item, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """Work to be written in the same transaction as what makes it necessary."""

    kind: str
    due_at: datetime
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored item, where it stood before (None where it is new), and whether this call wrote anything."""

    item: Item
    before: Status | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did. `changed` is False where the item stood there already."""

    item: Item
    before: Status
    changed: bool
    history: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """An item that a decision on many, or an undo, has left as it is, and why.

    `now` is the item as it stands, None where it is gone; `by` decided on it last. `code` is that
    of the refusal which the same would have met alone.
    """

    id: int
    code: str
    now: Item | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Bulk:
    """What became of many items at once."""

    done: tuple[Decided, ...] = ()
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A stretch of the log, newest first, and the cursor of the next one, None at the end."""

    entries: tuple[HistoryEntry, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a deferred verdict did. `item` is None where the item is gone; then there was nothing to settle.

    `changed` is False where a person had decided before, or where the verdict was about an earlier text.
    """

    item: Item | None
    before: Status | None
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an item says, as it was found at a ping's source."""

    body: Body
    author: str
    url: str | None = None
    title: str | None = None
    blog_name: str | None = None
    text_key: str = ""

    def columns(self) -> dict[str, object]:
        """By the names that `Item` gives to the same."""
        return {
            "author": self.author,
            "url": self.url,
            "text": self.body.raw,
            "html": self.body.html,
            "policy": self.body.policy,
            "links": list(self.body.links),
            "title": self.title,
            "blog_name": self.blog_name,
            "text_key": self.text_key,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """What a spam service was asked about an item, as it was sent, and what it answered."""

    payload: Mapping[str, object]
    verdict: str
    guid: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter row that did not match its items: what stood there, and what was counted."""

    article: str
    stored: Counts
    counted: Counts


@dataclass(frozen=True, slots=True)
class Overrides:
    """What moderators set for one article; None leaves the host's own word."""

    comments_open: bool | None = None
    pings_open: bool | None = None
    premoderation: Premoderation | None = None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A moderator's bearer token as listed: never the secret."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    #: When it ends by itself; None for a token that is good until it is revoked.
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that was found out, as JSON values, and when."""

    value: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How often what was done, by labels.

    `verdicts`: (check, status) where a check put an item. `decisions`: (act, from, to) by moderators.
    `overrides`: (check, from, to) where a moderator took an item from where a check had put it.
    """

    verdicts: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    decisions: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    overrides: Mapping[tuple[str, ...], int] = field(default_factory=dict)


class RetentionKind(enum.StrEnum):
    """What is removed after some days, each on its own."""

    #: The IP addresses of items.
    IP = "ip"
    #: Their user agents and referrers.
    USER_AGENT = "user_agent"
    #: What the spam service was asked, which repeats both.
    SAMPLES = "samples"
    SPAM = "spam"
    TRASH = "trash"
    #: Tasks that were given up.
    TASKS = "tasks"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The outcome of `Store.forget`."""

    count: int
    #: The id after which to go on; None where nothing is left.
    position: int | None
    #: Why some rows could not be changed, None where all could.
    error: str | None = None
