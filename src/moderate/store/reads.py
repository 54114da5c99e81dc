"""What is read: one item, a thread, the queue, an item's history, and what checks ask of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from moderate.model import Kind, Status
from moderate.ports import Page
from moderate.store.rows import digest, entry_from, item_from
from moderate.store.schema import articles, history, items

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Select

    from moderate.model import HistoryEntry, Item
    from moderate.ports import ItemFilter
    from moderate.store.engine import Database

#: Columns that no field of `Item` shows, and those that go by another name there.
HIDDEN = frozenset({"source_key", "idempotency_key", "fingerprint"})
RENAMED = {"article_key": "article", "parent_id": "parent"}

#: What only moderators and the author need; a thread of a hundred would spend its time on parsing it.
EXPLANATION = frozenset({"findings", "passed", "proposed"})


def _select(leaving_out: frozenset[str]) -> Select[Any]:
    columns = [
        column.label(RENAMED.get(column.name, column.name)) for column in items.c if column.name not in leaving_out
    ]
    about = (
        func.coalesce(articles.c.title, "").label("article_title"),
        func.coalesce(articles.c.url, "").label("article_url"),
    )
    return select(*columns, *about).select_from(items.outerjoin(articles, articles.c.key == items.c.article_key))


#: Rows whose names are the fields of `Item`: whole, or without the explanation.
WHOLE = _select(HIDDEN)
BRIEF = _select(HIDDEN | EXPLANATION)


def find_item(conn: Connection, item_id: int) -> Item | None:
    row = conn.execute(WHOLE.where(items.c.id == item_id)).first()
    return None if row is None else item_from(row._asdict())


def last_actor(conn: Connection, item_id: int) -> str | None:
    """Who wrote the last line of an item's history; None where checks or the author did."""
    query = select(history.c.actor).where(history.c.item_id == item_id)
    return conn.execute(query.order_by(history.c.id.desc()).limit(1)).scalar()


class ItemReads:
    """See `moderate.ports.Store`."""

    database: Database

    def item(self, item_id: int) -> Item | None:
        with self.database.read() as conn:
            return find_item(conn, item_id)

    def repeat_of(self, article: str, idempotency_key: str) -> Item | None:
        key = items.c.idempotency_key == digest(idempotency_key)
        with self.database.read() as conn:
            row = conn.execute(WHOLE.where(items.c.article_key == article, key)).first()
        return None if row is None else item_from(row._asdict())

    def thread(
        self, article: str, *, cursor: int | None, limit: int, newest_first: bool, mine: Collection[int] = ()
    ) -> Page:
        of_article = items.c.article_key == article
        own = and_(of_article, items.c.id.in_(list(mine)), items.c.status != Status.TRASH.value)
        # Two look-ups by index; one with "or" would read the whole article.
        queries = [BRIEF.where(of_article, items.c.status == Status.APPROVED.value)]
        queries += [WHOLE.where(own)] if mine else []
        found: dict[int, Item] = {}
        with self.database.read() as conn:
            for query in queries:
                found.update(_stretch(conn, query, cursor, limit, newest_first=newest_first))
        return _page([found[key] for key in sorted(found, reverse=newest_first)], limit)

    def items(self, which: ItemFilter, *, cursor: int | None, limit: int) -> Page:
        query = WHOLE.where(*conditions(which))
        with self.database.read() as conn:
            found = _stretch(conn, query, cursor, limit, newest_first=True)
        return _page(list(found.values()), limit)

    def history(self, item_id: int) -> Sequence[HistoryEntry]:
        query = select(history).where(history.c.item_id == item_id).order_by(history.c.id)
        with self.database.read() as conn:
            return [entry_from(row) for row in conn.execute(query)]

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        query = select(items.c.kind, items.c.status, items.c.article_key)
        query = query.where(items.c.text_key == text_key, items.c.created_at >= since)
        with self.database.read() as conn:
            rows = conn.execute(query.order_by(items.c.created_at.desc(), items.c.id.desc()).limit(50)).all()
        return [(Kind(row.kind), Status(row.status), row.article_key) for row in rows]

    def author_record(self, author_id: str) -> Mapping[Status, int]:
        query = select(items.c.status, func.count()).where(items.c.author_id == author_id)
        with self.database.read() as conn:
            return {Status(status): number for status, number in conn.execute(query.group_by(items.c.status))}


def _stretch(
    conn: Connection, query: Select[Any], cursor: int | None, limit: int, *, newest_first: bool
) -> dict[int, Item]:
    """One item more than *limit*, from where *cursor* stopped: the last one only tells that there is more."""
    if cursor is not None:
        query = query.where(items.c.id < cursor if newest_first else items.c.id > cursor)
    ordered = query.order_by(items.c.id.desc() if newest_first else items.c.id).limit(limit + 1)
    return {row.id: item_from(row._asdict()) for row in conn.execute(ordered)}


def _page(found: list[Item], limit: int) -> Page:
    shown = tuple(found[:limit])
    return Page(shown, shown[-1].id if len(found) > limit and shown else None)


def conditions(which: ItemFilter) -> list[ColumnElement[bool]]:
    """A moderator's filter as SQL; lists and bulk decisions share it."""
    equal = {
        items.c.status: which.status,
        items.c.kind: which.kind,
        items.c.article_key: which.article,
        items.c.ip: which.ip,
        items.c.awaiting: which.awaiting,
    }
    wanted = [column == str(value) for column, value in equal.items() if value is not None]
    if which.author is not None:
        names = (items.c.author, items.c.email, items.c.author_id)
        wanted.append(or_(*(column == which.author for column in names)))
    if which.q:
        searched = (items.c.text, items.c.author, items.c.title, items.c.source_url)
        wanted.append(or_(*(column.icontains(which.q, autoescape=True) for column in searched)))
    return wanted
