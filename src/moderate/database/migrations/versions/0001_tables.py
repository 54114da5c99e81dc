"""All tables of the first release, as they were then: this file does not follow `moderate.database.schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, UniqueConstraint

from moderate.database.schema import UtcDateTime, exact, json, long_text, row_id, search_terms, short_text
from moderate.store import search

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

tables = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def upgrade(op: Operations) -> None:
    """Create the tables, and the index for searches."""
    tables.create_all(op.get_bind(), checkfirst=False)
    search.create_index(op.get_bind())


Table(
    "moderate_items",
    tables,
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
    Column("public_at", UtcDateTime),
    Column("waiting_since", UtcDateTime),
    Column("decided_by", short_text(255)),
    Column("findings", json(), nullable=False),
    Column("passed", json(), nullable=False),
    Column("skipped", json()),
    Column("proposed", json()),
    Column("search", search_terms()),
    Column("simhash", BigInteger),
    Column("near_1", Integer),
    Column("near_2", Integer),
    Column("near_3", Integer),
    Column("near_4", Integer),
    UniqueConstraint("article_key", "idempotency_key"),
    UniqueConstraint("article_key", "source_key"),
    Index(None, "article_key", "status", "id"),
    Index(None, "article_key", "kind", "status", "id"),
    Index(None, "article_key", "status", "public_at"),
    Index(None, "status", "public_at"),
    Index(None, "status", "id"),
    Index(None, "awaiting", "status", "id"),
    Index(None, "status", "awaiting", "waiting_since"),
    Index(None, "author", "id"),
    Index(None, "email", "id"),
    Index(None, "author_id", "status"),
    Index(None, "ip", "id"),
    Index(None, "text_key", "created_at"),
    *(Index(None, f"near_{number}", "id") for number in range(1, 5)),
    sqlite_autoincrement=True,
)

Table(
    "moderate_history",
    tables,
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
    Column("cause", String(96)),
    Column("was", json()),
    Index(None, "item_id", "id"),
    Index(None, "actor", "id"),
    Index(None, "batch"),
    sqlite_autoincrement=True,
)

Table(
    "moderate_counters",
    tables,
    Column("article_key", exact(200), primary_key=True),
    Column("comments", BigInteger, nullable=False),
    Column("trackback", BigInteger, nullable=False),
    Column("pingback", BigInteger, nullable=False),
    Column("webmention", BigInteger, nullable=False),
    Column("pending_comment", BigInteger, nullable=False),
    Column("spam_comment", BigInteger, nullable=False),
    Column("trash_comment", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    *(
        Column(f"{status}_{kind}", BigInteger, nullable=False, server_default="0")
        for status in ("pending", "spam", "trash")
        for kind in ("trackback", "pingback", "webmention")
    ),
)

Table(
    "moderate_tasks",
    tables,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("item_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
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

Table(
    "moderate_articles",
    tables,
    Column("key", exact(200), primary_key=True),
    Column("title", long_text(), nullable=False),
    Column("url", long_text(), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Column("comments_open", Boolean),
    Column("pings_open", Boolean),
    Column("premoderation", String(16)),
)

Table(
    "moderate_article_urls",
    tables,
    Column("url_key", String(64), primary_key=True),
    Column("url", long_text(), nullable=False),
    Column("article_key", exact(200), nullable=False),
    Index(None, "article_key"),
)

Table(
    "moderate_tokens",
    tables,
    Column("id", String(32), primary_key=True),
    Column("name", short_text(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Index(None, "name"),
)

Table(
    "moderate_secrets",
    tables,
    Column("name", exact(64), primary_key=True),
    Column("value", String(128), nullable=False),
)

Table(
    "moderate_reservations",
    tables,
    Column("name", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
)

Table(
    "moderate_samples",
    tables,
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payload", json(), nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("guid", String(255)),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

Table(
    "moderate_token_counts",
    tables,
    Column("token", row_id(), primary_key=True, autoincrement=False),
    Column("spam", BigInteger, nullable=False),
    Column("good", BigInteger, nullable=False),
)

Table(
    "moderate_learned_items",
    tables,
    Column("item_id", BigInteger, primary_key=True, autoincrement=False),
    Column("is_spam", Boolean, nullable=False),
)

Table(
    "moderate_rules",
    tables,
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

Table(
    "moderate_mailboxes",
    tables,
    Column("key", String(32), primary_key=True),
    Column("unsubscribed_at", UtcDateTime),
    Column("hour_at", UtcDateTime),
    Column("sent", Integer, nullable=False),
    Column("digest_due", UtcDateTime),
    Column("digest_at", UtcDateTime),
)

Table(
    "moderate_bursts",
    tables,
    Column("name", exact(96), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("first_item", BigInteger, nullable=False),
    Index(None, "started_at"),
)

Table(
    "moderate_waves",
    tables,
    Column("id", row_id(), primary_key=True, autoincrement=True),
    Column("open_key", String(8), unique=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("reason", long_text(), nullable=False),
    Column("seen", Integer, nullable=False),
    sqlite_autoincrement=True,
)

Table(
    "moderate_account_notes",
    tables,
    Column("topic", String(32), primary_key=True),
    Column("text", long_text(), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
)

Table(
    "moderate_states",
    tables,
    Column("name", String(32), primary_key=True),
    Column("value", json(), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
