"""Counters for each kind and status: what waits, spam and trash, by kind as the approved ones have been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moderate.database.types import exact
from moderate.database.upsert import upsert

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATUSES = ("pending", "spam", "trash")
KINDS = ("comment", "trackback", "pingback", "webmention")
KEPT = ("comments", "trackback", "pingback", "webmention", "revision")
COLUMNS = {f"{status}_{kind}": (status, kind) for status in STATUSES for kind in KINDS}

items = sa.table("moderate_items", sa.column("article_key"), sa.column("status"), sa.column("kind"))
counters = sa.Table(
    "moderate_counters",
    sa.MetaData(),
    sa.Column("article_key", exact(200), primary_key=True),
    *(sa.Column(name, sa.BigInteger) for name in (*KEPT, *COLUMNS)),
)


def upgrade(op: Operations) -> None:
    # Renamed and not dropped: SQLite learned to drop columns long after it learned to rename them.
    for status in STATUSES:
        op.alter_column(
            "moderate_counters",
            status,
            new_column_name=f"{status}_comment",
            existing_type=sa.BigInteger(),
            existing_nullable=False,
        )
    for name, (_, kind) in COLUMNS.items():
        if kind != "comment":
            op.add_column("moderate_counters", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.execute(fill(op))


def fill(op: Operations) -> Any:
    """Count anew what is not approved, for each article and, under the empty key, for the site.

    The approved ones stay as they are, and with them what is kept of pages.
    """
    of_articles = sa.select(items.c.article_key, items.c.status, items.c.kind)
    of_site = sa.select(sa.literal_column("''").label("article_key"), items.c.status, items.c.kind)
    every = of_articles.union_all(of_site).subquery("every")
    sums = [
        sa.func.sum(sa.case((sa.and_(every.c.status == status, every.c.kind == kind), 1), else_=0))
        for status, kind in COLUMNS.values()
    ]
    zeros: list[Any] = [sa.literal_column("0")] * len(KEPT)
    # SQLite takes the ON after a table for a join's, unless there is a condition between.
    counted = sa.select(every.c.article_key, *zeros, *sums).where(every.c.status != "").group_by(every.c.article_key)
    dialect = op.get_bind().dialect.name
    change = upsert(dialect, counters, "article_key", lambda new: {name: new[name] for name in COLUMNS})
    return change.from_select(["article_key", *KEPT, *COLUMNS], counted)
