"""The first tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from moderate.database.types import UtcDateTime, exact, json, row_id, words

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    _items(op)
    _item_indexes(op)
    _history(op)
    _counters(op)
    _tasks(op)
    _articles(op)
    _article_urls(op)
    _tokens(op)
    _secrets(op)
    _reservations(op)
    _samples(op)


def _items(op: Operations) -> None:
    op.create_table(
        "moderate_items",
        sa.Column("id", row_id(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("awaiting", sa.String(16)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("article_key", exact(200), nullable=False),
        sa.Column("author", words(255), nullable=False),
        sa.Column("email", words(320)),
        sa.Column("url", sa.Text),
        sa.Column("author_id", exact(255)),
        sa.Column("parent_id", sa.BigInteger),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("html", sa.Text, nullable=False),
        sa.Column("policy", sa.String(64), nullable=False),
        sa.Column("links", json(), nullable=False),
        sa.Column("source_url", sa.Text),
        sa.Column("source_key", sa.String(64)),
        sa.Column("idempotency_key", sa.String(64)),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("text_key", sa.String(64), nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("blog_name", sa.Text),
        sa.Column("ip", sa.String(64)),
        sa.Column("user_agent", sa.Text),
        sa.Column("referrer", sa.Text),
        sa.Column("honeypot", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("edited_at", UtcDateTime),
        sa.Column("decided_by", words(255)),
        sa.Column("findings", json(), nullable=False),
        sa.Column("passed", json(), nullable=False),
        sa.Column("proposed", json()),
        sa.UniqueConstraint("article_key", "idempotency_key", name="uq_moderate_items_article_key_idempotency_key"),
        sa.UniqueConstraint("article_key", "source_key", name="uq_moderate_items_article_key_source_key"),
        sa.PrimaryKeyConstraint("id", name="pk_moderate_items"),
        sqlite_autoincrement=True,
    )


def _item_indexes(op: Operations) -> None:
    op.create_index("ix_moderate_items_article_key_status_id", "moderate_items", ["article_key", "status", "id"])
    op.create_index("ix_moderate_items_author_id", "moderate_items", ["author", "id"])
    op.create_index("ix_moderate_items_author_id_status", "moderate_items", ["author_id", "status"])
    op.create_index("ix_moderate_items_awaiting_status_id", "moderate_items", ["awaiting", "status", "id"])
    op.create_index("ix_moderate_items_email_id", "moderate_items", ["email", "id"])
    op.create_index("ix_moderate_items_ip_id", "moderate_items", ["ip", "id"])
    op.create_index("ix_moderate_items_status_id", "moderate_items", ["status", "id"])
    op.create_index("ix_moderate_items_text_key_created_at", "moderate_items", ["text_key", "created_at"])


def _history(op: Operations) -> None:
    op.create_table(
        "moderate_history",
        sa.Column("id", row_id(), autoincrement=True, nullable=False),
        sa.Column("item_id", sa.BigInteger, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("actor", words(255)),
        sa.Column("before", sa.String(16)),
        sa.Column("after", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("batch", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_moderate_history"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_moderate_history_actor_id", "moderate_history", ["actor", "id"])
    op.create_index("ix_moderate_history_batch", "moderate_history", ["batch"])
    op.create_index("ix_moderate_history_item_id_id", "moderate_history", ["item_id", "id"])


def _counters(op: Operations) -> None:
    op.create_table(
        "moderate_counters",
        sa.Column("article_key", exact(200), nullable=False),
        sa.Column("comments", sa.BigInteger, nullable=False),
        sa.Column("trackback", sa.BigInteger, nullable=False),
        sa.Column("pingback", sa.BigInteger, nullable=False),
        sa.Column("webmention", sa.BigInteger, nullable=False),
        sa.Column("pending", sa.BigInteger, nullable=False),
        sa.Column("spam", sa.BigInteger, nullable=False),
        sa.Column("trash", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("article_key", name="pk_moderate_counters"),
    )


def _tasks(op: Operations) -> None:
    op.create_table(
        "moderate_tasks",
        sa.Column("id", row_id(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("item_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("open_key", sa.String(96)),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("payload", json(), nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("open_key", name="uq_moderate_tasks_open_key"),
        sa.PrimaryKeyConstraint("id", name="pk_moderate_tasks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_moderate_tasks_item_id", "moderate_tasks", ["item_id"])
    op.create_index("ix_moderate_tasks_state_due_at", "moderate_tasks", ["state", "due_at"])


def _articles(op: Operations) -> None:
    op.create_table(
        "moderate_articles",
        sa.Column("key", exact(200), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("comments_open", sa.Boolean),
        sa.Column("pings_open", sa.Boolean),
        sa.Column("premoderation", sa.String(16)),
        sa.PrimaryKeyConstraint("key", name="pk_moderate_articles"),
    )


def _article_urls(op: Operations) -> None:
    op.create_table(
        "moderate_article_urls",
        sa.Column("url_key", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("article_key", exact(200), nullable=False),
        sa.PrimaryKeyConstraint("url_key", name="pk_moderate_article_urls"),
    )
    op.create_index("ix_moderate_article_urls_article_key", "moderate_article_urls", ["article_key"])


def _tokens(op: Operations) -> None:
    op.create_table(
        "moderate_tokens",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", words(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("last_used_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_moderate_tokens"),
    )
    op.create_index("ix_moderate_tokens_name", "moderate_tokens", ["name"])


def _secrets(op: Operations) -> None:
    op.create_table(
        "moderate_secrets",
        sa.Column("name", exact(64), nullable=False),
        sa.Column("value", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_moderate_secrets"),
    )


def _reservations(op: Operations) -> None:
    op.create_table(
        "moderate_reservations",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_moderate_reservations"),
    )
    op.create_index("ix_moderate_reservations_expires_at", "moderate_reservations", ["expires_at"])


def _samples(op: Operations) -> None:
    op.create_table(
        "moderate_samples",
        sa.Column("item_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("payload", json(), nullable=False),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("guid", sa.String(255)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("item_id", name="pk_moderate_samples"),
    )
    op.create_index("ix_moderate_samples_created_at", "moderate_samples", ["created_at"])
