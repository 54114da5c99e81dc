"""Telling people and programs about items."""

from __future__ import annotations

import base64
import enum
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from moderate.model import Awaiting, Status

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.model import Item


#: What a secret begins with whose rest is base64.
ENCODED = "whsec_"

#: What every mail server takes: no quoted local parts, no comments, internationalised domains in their ASCII form.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Event(enum.StrEnum):
    """Where an item has come to, as it is told."""

    WAITING = "waiting"
    APPROVED = "approved"
    SPAM = "spam"
    TRASH = "trash"


def event_of(status: Status, awaiting: Awaiting | None) -> Event | None:
    """What there is to tell of an item that stands there; None as long as checks are awaited.

    A changed text that waits behind an approved one waits like any other.
    """
    if awaiting is not None:
        return Event.WAITING if awaiting is Awaiting.MODERATOR else None
    told = {Status.APPROVED: Event.APPROVED, Status.SPAM: Event.SPAM, Status.TRASH: Event.TRASH}
    return told.get(status)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A moderator with a mailbox. `name` is whom the history will name for what is decided by mail."""

    name: str
    email: str
    #: One mail for each item (until there are many), now and then one for all, or none.
    notify: Literal["each", "digest", "off"] = "each"
    #: The language of the mails, such as ``ja``; None is the site's own.
    language: str | None = None

    @property
    def key(self) -> str:
        """Names the mailbox in tasks, links and tables, without telling the address."""
        return short_key(f"mailto:{self.email.lower()}")


@dataclass(frozen=True, slots=True)
class Hook:
    """A program that wants to be told. All `secrets` sign, so that an old one can be replaced in peace."""

    url: str
    secrets: tuple[str, ...]
    events: frozenset[Event] = frozenset({Event.WAITING})

    def __repr__(self) -> str:
        return f"Hook({self.host})"

    @property
    def key(self) -> str:
        """Names the hook in tasks; another secret leaves it the same."""
        return short_key(self.url)

    @property
    def host(self) -> str:
        """What may be shown: paths and queries of webhooks often are secrets."""
        return urlsplit(self.url).hostname or "webhook"


def signing_key(secret: str) -> bytes:
    """The bytes that sign: the text's own, or, behind ``whsec_``, what base64 tells (Standard Webhooks).

    Raises ValueError for broken base64.
    """
    if not secret.startswith(ENCODED):
        return secret.encode("utf-8", "surrogatepass")
    return base64.b64decode(secret.removeprefix(ENCODED), validate=True)


def is_address(value: object) -> bool:
    """Whether a mail can be addressed to it, and it can stand in a header as it is."""
    return isinstance(value, str) and ADDRESS.fullmatch(value) is not None


def short_key(place: str) -> str:
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one destination is told.

    `id` is the same however often it is tried, so that a receiver can tell a repeat. `items` is
    the one item that it is about, or the newest of the `total` that wait.
    """

    id: str
    event: Event
    items: tuple[Item, ...]
    total: int
    at: datetime
    is_digest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """What is remembered of a person who is told: since when they want nothing, and what they got lately."""

    unsubscribed_at: datetime | None = None
    #: The hour in which notices are counted began then.
    hour_at: datetime | None = None
    sent: int = 0
    #: When what was gathered is to be told, None where nothing is.
    digest_due: datetime | None = None
    #: All that waited until then has been told.
    digest_at: datetime | None = None
