"""The values of notices: destinations, events, the state of mailboxes, and the confirmation of e-mail addresses."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from moderate.hooks import CONFIRMED
from moderate.model import Awaiting, Status
from moderate.web_address import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from moderate.model import Item


#: The prefix of a secret that is in base64 (Standard Webhooks).
ENCODED = "whsec_"

#: Addresses that every mail server accepts: no quoted local parts, no comments, and domains in their ASCII form.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Event(enum.StrEnum):
    """The state of an item, as destinations are notified of it."""

    WAITING = "waiting"
    APPROVED = "approved"
    SPAM = "spam"
    TRASH = "trash"


#: The event that an item is announced as, by its status and what it awaits; none as long as checks are awaited.
#: An approved item with a changed text that waits for a moderator counts as waiting.
EVENTS: Mapping[tuple[Status, Awaiting | None], Event] = {
    **{(status, Awaiting.MODERATOR): Event.WAITING for status in Status},
    (Status.APPROVED, None): Event.APPROVED,
    (Status.SPAM, None): Event.SPAM,
    (Status.TRASH, None): Event.TRASH,
}


class Recipient(NamedTuple):
    """A moderator's mailbox. The history shows `name` for decisions that were made from a mail."""

    name: str
    email: str
    #: One mail for each item (until there are many), digests only, or no mails.
    notify: Literal["each", "digest", "off"] = "each"
    #: The language of the mails, such as ``ja``; None is the site's own.
    language: str | None = None

    @property
    def key(self) -> str:
        """The name of the mailbox in tasks, links and tables: a hash of the address."""
        return short_key(f"mailto:{self.email.lower()}")


class Hook(NamedTuple):
    """A webhook. Every one of `secrets` signs each call, so that receivers can switch from an old one to a new one."""

    url: str
    secrets: tuple[str, ...]
    events: frozenset[Event] = frozenset({Event.WAITING})

    def __repr__(self) -> str:
        return f"Hook({self.host})"

    @property
    def key(self) -> str:
        """The name of the webhook in tasks, which does not depend on its secrets."""
        return short_key(self.url)

    @property
    def host(self) -> str:
        """The part of the address that may be shown: paths and queries of webhooks often are secrets."""
        return host_of(self.url) or "webhook"


def signing_key(secret: str) -> bytes:
    """Return the key of a webhook's secret: its UTF-8 bytes, or after ``whsec_`` the bytes that are there in base64.

    Raises ValueError for invalid base64.
    """
    if not secret.startswith(ENCODED):
        return secret.encode("utf-8", "surrogatepass")
    return base64.b64decode(secret.removeprefix(ENCODED), validate=True)


def is_address(value: object) -> bool:
    """Return whether *value* is a mail address that fits into a header as it is."""
    return isinstance(value, str) and ADDRESS.fullmatch(value) is not None


def short_key(place: str) -> str:
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to one destination.

    `id` is the same for each attempt, so that receivers recognise a repeat. `items` holds the one item that it is
    about or, in a digest, the newest of the `total` that wait.
    """

    id: str
    event: Event
    items: tuple[Item, ...]
    total: int
    at: datetime
    is_digest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """The state of a mailbox: since when its owner wants no mails, and which ones were sent lately."""

    unsubscribed_at: datetime | None = None
    #: The beginning of the hour in which mails are counted.
    hour_at: datetime | None = None
    sent: int = 0
    #: When the next digest is due, None where nothing is gathered for one.
    digest_due: datetime | None = None
    #: Items that waited at this time were in a digest.
    digest_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """One mail to a person who may never have asked for it.

    It holds nothing that a commenter wrote but the address that it goes to, *to*, in the form in which mails are sent.
    *id* is the same for each attempt; *mailbox* is a keyed hash of the address.
    """

    id: str
    item: int
    to: str
    mailbox: str
    article_title: str
    article_url: str
    at: datetime


class Confirming(NamedTuple):
    """The parts that confirming needs.

    *send* sends a mail; it raises `ServiceDown` where trying again may help, else `Undeliverable`. *secret* returns the
    key of the hashes. It must be the same in all processes and must not change: identities depend on it.
    """

    send: Callable[[ConfirmationRequest], None]
    secret: Callable[[], bytes]

    def author_id(self, email: str) -> str:
        """Return the identity of an address, in the spelling in which items hold it."""
        return CONFIRMED + self._hash("identity", email, 32)

    def mailbox(self, to: str) -> str:
        """Return a keyed hash of the mailbox of an address; many providers deliver all these spellings to one."""
        local, _, domain = to.casefold().rpartition("@")
        return self._hash("mailbox", f"{local.partition('+')[0].replace('.', '')}@{domain}", 24)

    def _hash(self, purpose: str, text: str, length: int) -> str:
        words = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret(), words, "sha256").hex()[:length]
