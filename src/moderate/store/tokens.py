"""Bearer tokens, the site's own secrets, nonces, and samples for spam services."""

from __future__ import annotations

import hmac
import secrets as random
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from moderate.database.schema import reservations, samples, secrets, tokens
from moderate.database.statements import insert_unless_there, overwrite
from moderate.errors import ServiceDown
from moderate.store.rows import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database

PREFIX = "mod"

#: `last_used_at` is written at most this often, and not at every request.
USE_NOTED = timedelta(minutes=1)

#: The names of the site's own secrets. An upgrade creates them, so that no page has to.
SECRETS = ("signing", "addresses", "learned")

VALID = select(tokens).where(tokens.c.id == bindparam("token_id"), tokens.c.revoked_at.is_(None))


class TokenInfo(NamedTuple):
    """A moderator's bearer token as listed, without the secret."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    #: When it expires; None for a token that is valid until it is revoked.
    expires_at: datetime | None = None


class Sample(NamedTuple):
    """The last question to a spam service about an item, as it was sent, and the answer."""

    payload: Mapping[str, object]
    verdict: str
    guid: str | None
    created_at: datetime


class Tokens:
    """Moderators' bearer tokens. Only their digests are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, now: datetime, *, expires_at: datetime | None = None) -> str:
        """Create a token for a moderator and return it; it cannot be read again."""
        token_id, secret = random.token_hex(6), random.token_urlsafe(32)
        row = {"id": token_id, "name": name, "digest": digest(secret), "created_at": now, "expires_at": expires_at}
        ended = delete(tokens).where(tokens.c.expires_at < now)
        self._database.transaction(lambda conn: (conn.execute(ended), conn.execute(insert(tokens), row)))
        return f"{PREFIX}_{token_id}_{secret}"

    def owner(self, token: str, now: datetime) -> str | None:
        """Return the moderator's name, None for a token that is unknown or revoked. Compares in constant time."""
        prefix, _, rest = token.partition("_")
        token_id, _, secret = rest.partition("_")
        if prefix != PREFIX or not token_id.isalnum() or not token_id.isascii():
            return None
        with self._database.read() as conn:
            row = conn.execute(VALID, {"token_id": token_id}).first()
        if row is None or not hmac.compare_digest(row.digest, digest(secret)):
            return None
        if row.expires_at is not None and row.expires_at <= now:
            return None
        if row.last_used_at is None or now - row.last_used_at >= USE_NOTED:
            used = update(tokens).where(tokens.c.id == token_id).values(last_used_at=now)
            # A request that only reads does not wait for a writer: the next use writes it.
            with suppress(ServiceDown):
                self._database.promptly(lambda conn: conn.execute(used))
        return str(row.name)

    def all(self) -> Sequence[TokenInfo]:
        """Return all tokens, revoked ones too, the oldest first."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        with self._database.read() as conn:
            return [
                TokenInfo(row.id, row.name, row.created_at, row.last_used_at, row.revoked_at, row.expires_at)
                for row in conn.execute(query)
            ]

    def revoke(self, name_or_id: str, now: datetime) -> int:
        """Revoke tokens by the moderator's name or by id; return how many were revoked."""
        named = or_(tokens.c.name == name_or_id, tokens.c.id == name_or_id)
        revoked = update(tokens).where(named, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
        return self._database.transaction(lambda conn: conn.execute(revoked).rowcount)


class Secrets:
    """The site's own secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> bytes:
        """Return 32 random bytes, made once and the same for all processes."""
        query = select(secrets.c.value).where(secrets.c.name == name)
        with self._database.read() as conn:
            value = conn.execute(query).scalar()
        if value is None:
            # Rare, because an upgrade creates them; several processes that do this at once wait for one another.
            self._database.promptly(lambda conn: _make_secret(conn, name), patience=1.0)
            with self._database.read() as conn:
                value = conn.execute(query).scalar_one()
        return bytes.fromhex(value)


class Nonces:
    """Names that can be used once, as digests with the moment at which they expire."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use_once(self, name: str, expires_at: datetime, now: datetime) -> bool:
        """Use *name*, and return whether this is the first use; it is remembered until `expires_at`."""
        row = {"name": digest(name), "expires_at": expires_at}
        expired = delete(reservations).where(reservations.c.expires_at <= now)
        try:
            self._database.transaction(lambda conn: (conn.execute(expired), conn.execute(insert(reservations), row)))
        except IntegrityError:
            return False
        return True

    def is_used(self, name: str, now: datetime) -> bool:
        """Return whether `use_once` remembers *name*, without using it."""
        known = and_(reservations.c.name == digest(name), reservations.c.expires_at > now)
        with self._database.read() as conn:
            return conn.execute(select(reservations.c.name).where(known)).first() is not None


class Samples:
    """The last question to a spam service about each item, and the answer, for feedback to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, item_id: int, payload: Mapping[str, object], verdict: str, guid: str | None, now: datetime) -> None:
        """Replace an item's sample."""
        row = {"item_id": item_id, "payload": dict(payload), "verdict": verdict, "guid": guid, "created_at": now}
        latest = overwrite(self._database.dialect, samples, "item_id", "payload", "verdict", "guid", "created_at")
        self._database.transaction(lambda conn: conn.execute(latest, row))

    def get(self, item_id: int) -> Sample | None:
        """Return an item's sample, None where there is none."""
        with self._database.read() as conn:
            row = conn.execute(select(samples).where(samples.c.item_id == item_id)).first()
        return None if row is None else Sample(row.payload, row.verdict, row.guid, row.created_at)


def make_secrets(conn: Connection) -> None:
    """Create those of the site's secrets that are not there yet."""
    for name in SECRETS:
        _make_secret(conn, name)


def _make_secret(conn: Connection, name: str) -> None:
    """Create a secret; of two processes that do this at once, the first one's secret stays."""
    first = insert_unless_there(conn.dialect.name, secrets, "name")
    conn.execute(first, {"name": name, "value": random.token_hex(32)})
