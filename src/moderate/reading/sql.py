"""The queries for readers: pages of a thread, an author's waiting comments, and feeds."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Integer, and_, bindparam, exists, func, select

from moderate.database.schema import items
from moderate.model import Kind, Status
from moderate.store.rows import BRIEF, LEFT_OUT, TAKEN_BACK, WHOLE, items_of, page_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.sql import Select

    from moderate.database.engine import Database
    from moderate.model import Item, Page

OF_ARTICLE = items.c.article_key == bindparam("article")
IS_PUBLIC = items.c.status == Status.APPROVED.value

#: The condition for items that their author still sees although they are not public.
IS_MINE = and_(
    items.c.id.in_(bindparam("mine", expanding=True)),
    items.c.status != Status.TRASH.value,
    ~exists().where(TAKEN_BACK).correlate(items),
)
WAITING = WHOLE.where(OF_ARTICLE, IS_MINE, ~IS_PUBLIC, items.c.kind == Kind.COMMENT.value).order_by(items.c.id)
PARENTS = BRIEF.where(items.c.id.in_(bindparam("wanted", expanding=True)))


class Threads:
    """The items that readers see: pages of threads, an author's waiting comments, feeds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        article: str,
        *,
        cursor: int | None,
        limit: int,
        newest_first: bool,
        mine: Collection[int] = (),
        kinds: Collection[Kind] = (),
    ) -> Page:
        """Return approved items of an article in the order of their ids.

        With *kinds* only those; with *mine* the pending and spam ones among these ids as well.
        """
        wanted = {"article": article, "cursor": cursor, "more": limit + 1, "mine": list(mine)}
        shape = (tuple(kinds), newest_first, cursor is not None)
        with self._database.read() as conn:
            # Two look-ups by index; one with "or" would read the whole article.
            found = items_of(conn.execute(_thread_query(False, *shape), wanted), LEFT_OUT)
            if mine:
                found |= items_of(conn.execute(_thread_query(True, *shape), wanted))
        return page_of([found[key] for key in sorted(found, reverse=newest_first)], limit)

    def page_start(self, article: str, item_id: int, *, kinds: Collection[Kind], size: int) -> int | None:
        """Return the `page` cursor, oldest first, of the page of *size* items that holds an approved item.

        None means the first page, or that the item is not in the list.
        """
        of_list = _in_list(tuple(kinds))
        upto = select(func.count(), func.max(items.c.id)).where(of_list, items.c.id <= item_id)
        with self._database.read() as conn:
            rank, last = conn.execute(upto, {"article": article}).one()
            if last != item_id or rank <= size:
                return None
            before = (rank - 1) // size * size
            start = select(items.c.id).where(of_list).order_by(items.c.id).offset(before - 1).limit(1)
            found: int | None = conn.execute(start, {"article": article}).scalar()
        return found

    def waiting(self, article: str, mine: Collection[int]) -> Sequence[Item]:
        """Return the comments under an article, among these ids, that their author sees as waiting.

        Spam is among them, because its author is not informed of it; trashed and withdrawn comments are not.
        """
        with self._database.read() as conn:
            return list(items_of(conn.execute(WAITING, {"article": article, "mine": list(mine)})).values())

    def parents(self, wanted: Collection[int]) -> Mapping[int, Item]:
        """Return items by id, of any status, without the fields that only moderators see."""
        with self._database.read() as conn:
            return items_of(conn.execute(PARENTS, {"wanted": list(wanted)}), LEFT_OUT)

    def published(self, article: str | None = None, *, limit: int, without: Collection[str] = ()) -> Sequence[Item]:
        """Return the approved items that became public last, the latest first.

        They are those of one article, or of all articles *without* those of some keys.
        """
        query = _published_query(article is not None, bool(without))
        wanted = {"article": article, "without": list(without), "most": limit}
        with self._database.read() as conn:
            found = items_of(conn.execute(query, wanted), LEFT_OUT)
        return list(found.values())


def _in_list(kinds: tuple[Kind, ...]) -> ColumnElement[bool]:
    """Return the condition for the approved items of an article, of all kinds or of some."""
    if not kinds:
        return and_(OF_ARTICLE, IS_PUBLIC)
    values = [kind.value for kind in kinds]
    # An equality, so that the index gives the order too.
    of_kind = items.c.kind == values[0] if len(values) == 1 else items.c.kind.in_(values)
    return and_(OF_ARTICLE, of_kind, IS_PUBLIC)


@lru_cache
def _thread_query(of_mine: bool, kinds: tuple[Kind, ...], newest_first: bool, from_cursor: bool) -> Select[Any]:
    """Return the query for a page of a thread: the approved items, or the caller's own other ones.

    It fetches one item more than the page has, which only shows that there are more.
    """
    query = WHOLE.where(OF_ARTICLE, IS_MINE) if of_mine else BRIEF.where(_in_list(kinds))
    if from_cursor:
        cursor = bindparam("cursor", type_=items.c.id.type)
        query = query.where(items.c.id < cursor if newest_first else items.c.id > cursor)
    return query.order_by(items.c.id.desc() if newest_first else items.c.id).limit(bindparam("more", type_=Integer))


@lru_cache
def _published_query(of_article: bool, without_some: bool) -> Select[Any]:
    query = BRIEF.where(OF_ARTICLE, IS_PUBLIC) if of_article else BRIEF.where(IS_PUBLIC)
    if without_some:
        query = query.where(items.c.article_key.not_in(bindparam("without", expanding=True)))
    return query.order_by(items.c.public_at.desc(), items.c.id.desc()).limit(bindparam("most", type_=Integer))
