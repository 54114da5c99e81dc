"""Earlier items, as checks ask about them.

Spam that is deleted counts against its author as long as if it were still there; a digest of the author is kept.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, func, null, select, type_coerce, union_all

from moderate.database.schema import articles, items, reservations
from moderate.database.statements import Lookup
from moderate.lifecycle import Overrides
from moderate.model import Kind, Status
from moderate.store.articles import OVERRIDING
from moderate.store.moves import REMEMBERED, key_of_spammer
from moderate.text.similarity import Alike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column
    from sqlalchemy.sql import Select

    from moderate.database.engine import Database
    from moderate.text.similarity import NearText

#: Run with every submission, and so built once.
SAME_TEXT = Lookup(
    select(items.c.kind, items.c.status, items.c.article_key)
    .where(items.c.text_key == bindparam("of_text"), items.c.created_at >= bindparam("since"))
    .order_by(items.c.created_at.desc(), items.c.id.desc())
    .limit(50)
)

#: Most items that are compared by each key; a flood brings more of a text than is needed.
FROM_EACH = 20


def _alike(same: ColumnElement[bool], age: Column[Any] = items.c.id) -> Select[Any]:
    # The newest of all, and only of these the recent ones: an old flood is never read as a whole.
    newest = select(items.c.id).where(same).order_by(age.desc()).limit(FROM_EACH)
    # A subquery, because SQLite takes no limit within a union otherwise.
    return select(newest.subquery().c.id)


#: One look-up by index for each band and one for the whole text; an "or" would read all items.
NEARLY = [_alike(items.c[f"near_{number}"] == bindparam(f"band_{number}")) for number in range(1, 5)]
OF_TEXT = _alike(items.c.text_key == bindparam("of_text"), items.c.created_at)
ALIKE = (items.c.id, items.c.kind, items.c.status, items.c.article_key, items.c.text_key, items.c.simhash)
# A subquery, because MariaDB would look through all items for those that are "in" a union.
_FOUND = select(union_all(OF_TEXT, *NEARLY).subquery().c.id)
IS_ALIKE = and_(items.c.id.in_(_FOUND), items.c.created_at >= bindparam("since"))
NEAR_TEXT = Lookup(select(*ALIKE).where(IS_ALIKE).order_by(items.c.id.desc()))
#: The same, and behind it a row of what moderators set for an article, if there is one.
KNOWN = Lookup(
    union_all(
        select(*ALIKE, *(type_coerce(null(), column.type).label(column.name) for column in OVERRIDING)).where(IS_ALIKE),
        select(*(null() for _ in ALIKE), *OVERRIDING).where(articles.c.key == bindparam("of_key")),
    )
)


#: How much of a text is read to learn its script.
BEGINNING = 200
NEWEST_PUBLIC = Lookup(
    select(func.substr(items.c.text, 1, BEGINNING))
    .where(items.c.status == Status.APPROVED.value)
    .order_by(items.c.id.desc())
    .limit(bindparam("most", type_=items.c.id.type))
)


def _bands(near: NearText) -> dict[str, int]:
    return {f"band_{number}": band for number, band in enumerate(near.bands, 1)}


def _alike_of(row: Sequence[Any]) -> Alike:
    return Alike(row[0], Kind(row[1]), Status(row[2]), *row[3:])


class EarlierItems:
    """The queries of checks about earlier items; see `moderate.ports.Earlier`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Return kind, status and article of items with that text since then, newest first, at most 50."""
        rows = SAME_TEXT.rows(self._database, of_text=text_key, since=since)
        return [(Kind(kind), Status(status), article) for kind, status, article in rows]

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Return items since then that may say nearly the same, or do say the same; newest first, at most 100."""
        rows = NEAR_TEXT.rows(self._database, of_text=text_key, since=since, **_bands(near))
        return [_alike_of(row) for row in rows]

    def known(self, article: str, text_key: str, near: NearText, since: datetime) -> tuple[Overrides, Sequence[Alike]]:
        """Return what moderators set for an article, and what `near_text` returns, in one query."""
        rows = KNOWN.rows(self._database, of_key=article, of_text=text_key, since=since, **_bands(near))
        overrides, found = Overrides(), []
        for row in rows:
            if row[0] is None:
                overrides = Overrides(*row[len(ALIKE) :])
            else:
                found.append(_alike_of(row[: len(ALIKE)]))
        return overrides, sorted(found, key=attrgetter("id"), reverse=True)

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """Return how many items of a verified author stand where: all, or those since then, with deleted spam."""
        query = select(items.c.status, func.count()).where(items.c.author_id == author_id)
        if since is not None:
            query = query.where(items.c.created_at >= since)
        with self._database.read() as conn:
            record = {Status(status): number for status, number in conn.execute(query.group_by(items.c.status))}
            if since is not None and Status.SPAM not in record:
                deleted = [
                    reservations.c.name == key_of_spammer(author_id),
                    reservations.c.expires_at >= since + REMEMBERED,
                ]
                if conn.execute(select(reservations.c.name).where(*deleted)).first() is not None:
                    record[Status.SPAM] = 1
        return record

    def newest_public(self, most: int) -> Sequence[str]:
        """Return how the texts of the newest public items begin, at most *most*."""
        return [row[0] for row in NEWEST_PUBLIC.rows(self._database, most=most)]
