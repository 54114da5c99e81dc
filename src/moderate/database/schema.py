"""The tables, and column types that mean the same on every database.

The code relies on primary keys and unique constraints only. There are no foreign keys: history outlives its item, a
reply outlives its parent, and a host's SQLite engine may not enforce them. Tables carry the prefix ``moderate_`` so
that they can live in the host's own database, and every constraint has a name so that migrations can find it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from json import loads
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator, UserDefinedType

from moderate.model import PINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


#: SQLAlchemy's names of the dialects for MySQL and MariaDB; both need the same variants.
MYSQL = ("mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored without a zone in UTC with microseconds, and always returned aware in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in MYSQL:
            from sqlalchemy.dialects.mysql import DATETIME

            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        # SQLAlchemy's own conversion to the same text takes five times as long.
        return sqlite_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else in_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def in_utc(value: datetime) -> datetime:
    """Return the moment in UTC without its zone. Raises `ValueError` where it has none."""
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be stored")
    return value.astimezone(UTC).replace(tzinfo=None)


def sqlite_text(value: datetime | None) -> str | None:
    """Return the text that SQLAlchemy stores for a moment on SQLite."""
    return None if value is None else in_utc(value).isoformat(" ", "microseconds")


class ReadAsText(TypeDecorator[Any]):
    """A JSON document that the database returns as text, read here: PostgreSQL's driver would parse each one.

    So rows can be compared without their documents being parsed.
    """

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else loads(value)


def exact(length: int) -> String:
    """Text that is compared letter by letter; on MySQL and MariaDB see `moderate.database.repairs`."""
    return String(length)


def short_text(length: int) -> String:
    """Short text that is searched by equality; PostgreSQL has no use for the length."""
    return String(length).with_variant(Text(), "postgresql")


def long_text() -> Text:
    """Text of any length: what MySQL calls TEXT ends after 64 KB."""
    return Text().with_variant(NamedType("LONGTEXT"), *MYSQL)


class NamedType(UserDefinedType[str]):
    """A type of one database. That of SQLAlchemy would load its dialect where the database is another one."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


def search_terms() -> Text:
    """Return the type of a text's distinct words with spaces between; see `moderate.store.search`."""
    return long_text().with_variant(NamedType("TSVECTOR"), "postgresql")


def row_id() -> BigInteger:
    """Return a primary key that counts up. SQLite only does so for a column declared ``INTEGER``."""
    return BigInteger().with_variant(Integer(), "sqlite")


def json() -> JSON:
    """Return the type of a JSON document, where Python's None is SQL's NULL."""
    return JSON(none_as_null=True)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: The counters row of the whole site. Article keys have at least one character.
SITE = ""

items = Table(
    "moderate_items",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("awaiting", String(16)),
    Column("version", Integer, nullable=False),
    Column("article_key", exact(200), nullable=False),
    Column("author", short_text(255), nullable=False),
    Column("email", short_text(320)),
    Column("url", long_text()),
    Column("author_id", exact(255)),
    Column("parent_id", BigInteger),
    Column("text", long_text(), nullable=False),
    Column("html", long_text(), nullable=False),
    Column("policy", String(64), nullable=False),
    Column("links", json(), nullable=False),
    Column("source_url", long_text()),
    # Digests, so that a source address or a client's key of any length fits an index.
    Column("source_key", String(64)),
    Column("idempotency_key", String(64)),
    Column("fingerprint", String(64)),
    Column("text_key", String(64), nullable=False),
    Column("title", long_text()),
    Column("blog_name", long_text()),
    Column("ip", String(64)),
    Column("user_agent", long_text()),
    Column("referrer", long_text()),
    Column("honeypot", long_text(), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("edited_at", UtcDateTime),
    # When it last became public, and when it last came to wait for a moderator. Both stay when the item moves on,
    # so that an undo can restore them; `status` and `awaiting` say whether they hold.
    Column("public_at", UtcDateTime),
    Column("waiting_since", UtcDateTime),
    Column("decided_by", short_text(255)),
    Column("findings", json(), nullable=False),
    Column("passed", json(), nullable=False),
    # Which checks were skipped, and why; NULL where none were.
    Column("skipped", json()),
    Column("proposed", json()),
    # The words that moderators' searches look at: see `moderate.store.search`, which also makes the indexes for it.
    Column("search", search_terms()),
    # Keys of nearly equal texts: see `moderate.text.similarity`; NULL where a text is too short for it.
    Column("simhash", BigInteger),
    Column("near_1", Integer),
    Column("near_2", Integer),
    Column("near_3", Integer),
    Column("near_4", Integer),
    # How suspicious the findings make the item, in thousandths: see `moderate.lifecycle.score_of`.
    Column("score", Integer, nullable=False, server_default="0"),
    # NULLs never collide, so comments without a key and pings share the two constraints.
    UniqueConstraint("article_key", "idempotency_key"),
    UniqueConstraint("article_key", "source_key"),
    # The thread, and any list by article and status.
    Index(None, "article_key", "status", "id"),
    # A page of comments, or of pings.
    Index(None, "article_key", "kind", "status", "id"),
    # The feeds.
    Index(None, "article_key", "status", "public_at"),
    Index(None, "status", "public_at"),
    # The queue: keyset paging by status, flat in depth.
    Index(None, "status", "id"),
    # The queue, the most suspicious first.
    Index(None, "status", "score", "id"),
    # The newest of one kind: few of a million items may be trackbacks.
    Index(None, "kind", "status", "id"),
    # Items that wait, changed texts of approved items included.
    Index(None, "awaiting", "kind", "status", "id"),
    # What nobody has decided on, of one kind and status.
    Index(None, "decided_by", "kind", "status", "id"),
    # Which item has waited longest.
    Index(None, "status", "awaiting", "waiting_since"),
    # Other items of the same author.
    Index(None, "author", "id"),
    Index(None, "email", "id"),
    Index(None, "author_id", "status"),
    Index(None, "ip", "id"),
    # Items with the same text; with the id, so that no row is read for it.
    Index(None, "text_key", "created_at", "id"),
    *(Index(None, f"near_{number}", "id") for number in range(1, 5)),
    # Ids are never used twice: cookies, mails and histories name them.
    sqlite_autoincrement=True,
)

history = Table(
    "moderate_history",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("item_id", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("act", String(16), nullable=False),
    Column("actor", short_text(255)),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("note", long_text()),
    Column("batch", String(64)),
    # The check, and the rule of it, that put the item there: "akismet", "rules:7"; NULL where a person acted.
    Column("cause", String(96)),
    # The text that a decision replaced, for as long as the item is there: an undo puts it back.
    Column("was", json()),
    # Who had decided on the item before, which an undo restores too.
    Column("decided_before", short_text(255)),
    Index(None, "item_id", "id"),
    Index(None, "actor", "id"),
    Index(None, "batch"),
    sqlite_autoincrement=True,
)

counters = Table(
    "moderate_counters",
    metadata,
    Column("article_key", exact(200), primary_key=True),
    Column("comments", BigInteger, nullable=False),
    *(Column(kind.value, BigInteger, nullable=False) for kind in PINGS),
    Column("pending_comment", BigInteger, nullable=False),
    Column("spam_comment", BigInteger, nullable=False),
    Column("trash_comment", BigInteger, nullable=False),
    # Grows with every change that readers see.
    Column("revision", BigInteger, nullable=False),
    # Optional in an insert: they default to 0.
    *(
        Column(f"{status}_{kind.value}", BigInteger, nullable=False, server_default="0")
        for status in ("pending", "spam", "trash")
        for kind in PINGS
    ),
)

tasks = Table(
    "moderate_tasks",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("item_id", BigInteger, nullable=False),
    # ``open`` or ``dead``: done tasks are deleted, dead ones are kept for a person.
    Column("state", String(16), nullable=False),
    # Set while open, so that one item has at most one open task of a kind; NULL once dead.
    Column("open_key", String(96), unique=True),
    Column("due_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("lease_owner", String(64)),
    Column("payload", json(), nullable=False),
    Column("last_error", long_text()),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "state", "due_at"),
    Index(None, "item_id"),
    sqlite_autoincrement=True,
)

articles = Table(
    "moderate_articles",
    metadata,
    Column("key", exact(200), primary_key=True),
    Column("title", long_text(), nullable=False),
    Column("url", long_text(), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    # What moderators set; NULL leaves the host's own setting.
    Column("comments_open", Boolean),
    Column("pings_open", Boolean),
    Column("premoderation", String(16)),
    # With "strangers": only what carries a link waits, which is "links". Older code, which has no "links", would
    # publish everything.
    Column("links_only", Boolean),
)

article_urls = Table(
    "moderate_article_urls",
    metadata,
    Column("url_key", String(64), primary_key=True),
    Column("url", long_text(), nullable=False),
    Column("article_key", exact(200), nullable=False),
    Index(None, "article_key"),
)

tokens = Table(
    "moderate_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", short_text(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    # NULL for a token that is good until it is revoked; a signed-in session ends by itself.
    Column("expires_at", UtcDateTime),
    Index(None, "name"),
)

secrets = Table(
    "moderate_secrets",
    metadata,
    Column("name", exact(64), primary_key=True),
    Column("value", String(128), nullable=False),
)

reservations = Table(
    "moderate_reservations",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
)

samples = Table(
    "moderate_samples",
    metadata,
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payload", json(), nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("guid", String(255)),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

# The counts of the learned filter, by keyed hashes: the table is no word list.
token_counts = Table(
    "moderate_token_counts",
    metadata,
    Column("token", row_id(), primary_key=True, autoincrement=False),
    Column("spam", BigInteger, nullable=False),
    Column("good", BigInteger, nullable=False),
    # The weight in the logistic regression; the row of all messages has the constant.
    Column("weight", Double, nullable=False, server_default="0"),
)

# As spam or as good each item was learned, and what that added to the weights of its tokens, so that learning twice
# counts once and can be reverted.
learned_items = Table(
    "moderate_learned_items",
    metadata,
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("is_spam", Boolean, nullable=False),
    Column("step", Double, nullable=False, server_default="0"),
)

# Moderators' own rules; a value stands once for each kind.
rules = Table(
    "moderate_rules",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("value", exact(200), nullable=False),
    Column("effect", String(16), nullable=False),
    Column("note", long_text(), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", short_text(255), nullable=False),
    Column("hits", BigInteger, nullable=False),
    Column("last_hit_at", UtcDateTime),
    UniqueConstraint("kind", "value"),
    sqlite_autoincrement=True,
)

# The recipients of mails, by a digest of the address: since when they want none, and how many they got.
mailboxes = Table(
    "moderate_mailboxes",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("unsubscribed_at", UtcDateTime),
    Column("hour_at", UtcDateTime),
    Column("sent", Integer, nullable=False),
    Column("digest_due", UtcDateTime),
    Column("digest_at", UtcDateTime),
)

# How much that looked like spam came lately, by sort: an article, a text, all together. See `moderate.waves.watch`.
bursts = Table(
    "moderate_bursts",
    metadata,
    Column("name", exact(96), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen", Integer, nullable=False),
    # The first item: ids count up, so the difference to a later one gives how many came in all.
    Column("first_item", BigInteger, nullable=False),
    Index(None, "started_at"),
)

waves = Table(
    "moderate_waves",
    metadata,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    # Set while the wave goes on, so that there is one at most; NULL once it is over.
    Column("open_key", String(8), unique=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("reason", long_text(), nullable=False),
    Column("seen", Integer, nullable=False),
    sqlite_autoincrement=True,
)

# The spam service's last messages about the site's account.
account_notes = Table(
    "moderate_account_notes",
    metadata,
    Column("topic", String(32), primary_key=True),
    Column("text", long_text(), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # When people were last notified of it.
    Column("told_at", UtcDateTime, nullable=False),
)

# Small facts that all processes share; see `moderate.monitoring.sql`.
states = Table(
    "moderate_states",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", json(), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
