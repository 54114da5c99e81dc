"""The values that a host's hooks return, which check their fields when they are made.

A wrong field raises `TypeError` with its name. Neither these errors nor `HookError` contain a value, only its type,
so that no personal data gets into a log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import TYPE_CHECKING

log = logging.getLogger("moderate")

#: Characters of an article's key, of an author's id and of a moderator's name, at most; the widths of the columns.
MAX_KEY = 200
MAX_ID = 255
MAX_NAME = 255

#: The beginning of the stored id of a confirmed e-mail address; a keyed hash of the address follows.
CONFIRMED = "email:"

#: Put before an id of the host's login that begins like one of this package's, so that neither can pose as the other.
LOGIN = "login:"

#: Sets a field of a frozen dataclass while it is being made.
set_field = object.__setattr__

#: Characters that not every database can store.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")

#: Characters that no key and no id contains: controls and surrogates.
CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Article:
    """A page of the host that can be commented on.

    `key` is the host's own id: an int, or text of 1 to 200 characters without control characters. It is
    kept as text. `title` is plain text. `url` is the permalink, absolute or relative to MODERATE_SITE_URL;
    pings have to link to it or to one of the `aliases`. `published_at` takes a date, a naive datetime (UTC) or an
    aware one, and is kept as an aware datetime in UTC.
    """

    key: str
    title: str
    url: str
    published_at: datetime | None = None
    comments_open: bool = True
    pings_open: bool = True
    aliases: tuple[str, ...] = ()

    if TYPE_CHECKING:  # The types that are accepted, which are more than those that are kept.

        def __init__(  # noqa: PLR0917
            self,
            key: str | int,
            title: str,
            url: str,
            published_at: date | None = None,
            comments_open: bool = True,
            pings_open: bool = True,
            aliases: Iterable[str] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        set_field(self, "key", id_text("Article.key", self.key, MAX_KEY))
        set_field(self, "title", plain_text("Article.title", self.title))
        set_field(self, "url", plain_text("Article.url", self.url))
        if self.published_at is not None:
            set_field(self, "published_at", moment("Article.published_at", self.published_at))
        if isinstance(self.aliases, str | bytes | Mapping) or not isinstance(self.aliases, Iterable):
            raise wrong("Article.aliases", "a list or tuple of texts", self.aliases)
        set_field(self, "aliases", tuple(plain_text("Article.aliases", alias) for alias in self.aliases))
        for name in ("comments_open", "pings_open"):
            if not isinstance(getattr(self, name), bool):
                raise wrong(f"Article.{name}", "True or False", getattr(self, name))


@dataclass(frozen=True, slots=True)
class Author:
    """A person whom the host has verified.

    `id` is the host's own id of the account: an int, or text of 1 to 255 characters. It is kept as text.
    """

    name: str
    email: str | None = None
    url: str | None = None
    id: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            email: str | None = None,
            url: str | None = None,
            id: str | int | None = None,  # noqa: A002
        ) -> None: ...

    def __post_init__(self) -> None:
        set_field(self, "name", plain_text("Author.name", self.name))
        for name in ("email", "url"):
            set_field(self, name, optional_text(f"Author.{name}", getattr(self, name)))
        if self.id is not None:
            set_field(self, "id", id_text("Author.id", self.id, MAX_ID))


@dataclass(frozen=True, slots=True)
class Moderator:
    """A person who may decide on items. `name` is stored in the history with each decision."""

    name: str
    email: str | None = None

    def __post_init__(self) -> None:
        name = plain_text("Moderator.name", self.name)
        if not name.strip() or len(name) > MAX_NAME:
            raise TypeError(f"Moderator.name must have 1 to {MAX_NAME} characters that are not all blank.")
        set_field(self, "name", name)
        set_field(self, "email", optional_text("Moderator.email", self.email))


def is_key(key: str) -> bool:
    """Return whether an article can have that key: 1 to 200 characters, no control characters or surrogates."""
    return 1 <= len(key) <= MAX_KEY and not CONTROLS.search(key)


def are_keys(keys: Sequence[str]) -> bool:
    """Return whether articles can have all of these *keys*, of which there is at least one; see `is_key`."""
    lengths = [*map(len, keys)]
    return 1 <= min(lengths) <= max(lengths) <= MAX_KEY and not CONTROLS.search("".join(keys))


def key_text(key: object) -> str:
    """Return a key as text. Raises `TypeError` for anything but text and ints."""
    return int_text("key", key)


def id_of_login(given: str | None) -> str | None:
    """Return the host's id of an account as it is stored. Different ids stay different."""
    if given is None or not given.startswith((CONFIRMED, LOGIN)):
        return given
    stored = f"{LOGIN}{given}"
    # One that would be too long for the column is stored as its digest.
    return stored if len(stored) <= MAX_ID else f"{LOGIN}{sha256(given.encode()).hexdigest()}"


def is_confirmed(author_id: str) -> bool:
    """Return True for the id of a confirmed e-mail address, False for one of the host's login."""
    return author_id.startswith(CONFIRMED)


# --- single fields ----------------------------------------------------------------------------------


def id_text(name: str, value: object, longest: int) -> str:
    """Return an id as text of 1 to *longest* characters without control characters."""
    text = int_text(name, value)
    if not 1 <= len(text) <= longest or CONTROLS.search(text):
        raise TypeError(f"{name} must have 1 to {longest} characters, none of them control characters.")
    return text


def int_text(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return str.__str__(value)
    raise wrong(name, "text or a whole number", value)


def plain_text(name: str, value: object) -> str:
    """Return text that every database can store, that of a subclass such as Markup or an enum as a plain str."""
    if not isinstance(value, str):
        raise wrong(name, "text", value)
    text = str.__str__(value)
    if UNSTORABLE.search(text):
        raise TypeError(f"{name} must not contain null characters or surrogates.")
    return text


def optional_text(name: str, value: object) -> str | None:
    return None if value is None else plain_text(name, value)


def moment(name: str, value: object) -> datetime:
    """Return a date (midnight), a naive datetime (both UTC) or an aware one as an aware datetime in UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise wrong(name, "a date or datetime", value)
    if value.utcoffset() is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise TypeError(f"{name} lies outside of the years 1 to 9999 in UTC.") from None


def wrong(name: str, accepted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {accepted}, not {type_name(value)}.")


def type_name(value: object) -> str:
    """Return the full name of a value's own type, without asking the value."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
