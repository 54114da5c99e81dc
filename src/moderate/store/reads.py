"""Reads of one item, the queue, an item's history, and what checks ask of the past."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, func, select, union_all

from moderate.checks.near import Alike
from moderate.database.schema import articles, history, items
from moderate.database.statements import Lookup
from moderate.model import Kind, Page, Status
from moderate.store.rows import item_from
from moderate.store.spam_memory import is_remembered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column
    from sqlalchemy.engine import Connection, CursorResult
    from sqlalchemy.sql import Select

    from moderate.checks.near import NearText
    from moderate.database.engine import Database
    from moderate.model import Item

#: What a text is found by that says nearly the same: see `moderate.checks.near`.
NEAR = ("simhash", "near_1", "near_2", "near_3", "near_4")
#: Columns that no field of `Item` shows, and those that go by another name there.
HIDDEN = frozenset({"source_key", "idempotency_key", "fingerprint", "search", *NEAR})
RENAMED = {"article_key": "article", "parent_id": "parent"}

#: What only moderators and authors need, with what stands there instead: a thread of a hundred
#: would spend most of its time on fetching and parsing it.
LEFT_OUT: dict[str, Any] = {
    "text": "",
    "policy": "",
    "links": (),
    "honeypot": "",
    "ip": None,
    "user_agent": None,
    "referrer": None,
    "text_key": "",
    "findings": (),
    "passed": (),
    "skipped": None,
    "proposed": None,
    "waiting_since": None,
}


def _select(leaving_out: frozenset[str]) -> Select[Any]:
    columns = [
        column.label(RENAMED.get(column.name, column.name)) for column in items.c if column.name not in leaving_out
    ]
    about = (
        func.coalesce(articles.c.title, "").label("article_title"),
        func.coalesce(articles.c.url, "").label("article_url"),
    )
    return select(*columns, *about).select_from(items.outerjoin(articles, articles.c.key == items.c.article_key))


#: Rows whose names are the fields of `Item`: whole, or only what readers are shown.
WHOLE = _select(HIDDEN)
BRIEF = _select(HIDDEN | LEFT_OUT.keys())

# Statements that are made once cost a third of those made for each call, of which SQLAlchemy has
# to find out anew each time that it has compiled them before.
BY_ID = WHOLE.where(items.c.id == bindparam("wanted"))

#: Asked with every submission, and so put together once.
SAME_TEXT = Lookup(
    select(items.c.kind, items.c.status, items.c.article_key)
    .where(items.c.text_key == bindparam("of_text"), items.c.created_at >= bindparam("since"))
    .order_by(items.c.created_at.desc(), items.c.id.desc())
    .limit(50)
)

#: A flood brings more of a text than anybody needs to see.
FROM_EACH = 20


def _alike(same: ColumnElement[bool], age: Column[Any] = items.c.id) -> Select[Any]:
    # The newest of all, and only of these the recent ones: an old flood is never walked through.
    newest = select(items.c.id).where(same).order_by(age.desc()).limit(FROM_EACH)
    # A subquery, because SQLite takes no limit within a union otherwise.
    return select(newest.subquery().c.id)


#: One look-up by index for each band and one for the whole text; an "or" would read all items.
NEARLY = [_alike(items.c[f"near_{number}"] == bindparam(f"band_{number}")) for number in range(1, 5)]
OF_TEXT = _alike(items.c.text_key == bindparam("of_text"), items.c.created_at)
NEAR_TEXT = Lookup(
    select(items.c.id, items.c.kind, items.c.status, items.c.article_key, items.c.text_key, items.c.simhash)
    .where(items.c.id.in_(union_all(OF_TEXT, *NEARLY)))
    .where(items.c.created_at >= bindparam("since"))
    .order_by(items.c.id.desc())
)


def find_item(conn: Connection, item_id: int) -> Item | None:
    row = conn.execute(BY_ID, {"wanted": item_id}).first()
    return None if row is None else item_from(row._asdict())


#: That its author has taken an item back, and nobody has decided about it since.
TAKEN_BACK = and_(history.c.item_id == items.c.id, history.c.version == items.c.version, history.c.act == "withdrawn")
IS_TAKEN_BACK = select(history.c.id).join(items, TAKEN_BACK).where(items.c.id == bindparam("wanted")).limit(1)


def is_withdrawn(conn: Connection, item: Item) -> bool:
    """Whether its author has taken the item back, and nobody has decided about it since."""
    return conn.execute(IS_TAKEN_BACK, {"wanted": item.id}).first() is not None


def last_actor(conn: Connection, item_id: int) -> str | None:
    """Who wrote the last line of an item's history; None where checks or the author did."""
    query = select(history.c.actor).where(history.c.item_id == item_id)
    return conn.execute(query.order_by(history.c.id.desc()).limit(1)).scalar()


def last_dealt_with(conn: Connection, item_id: int, since: int = 0) -> Mapping[str, Any] | None:
    """What the last decision that replaced or dropped a text kept for its undo, if it came after version *since*."""
    query = select(history.c.was).where(
        history.c.item_id == item_id, history.c.was.is_not(None), history.c.version > since
    )
    found: Mapping[str, Any] | None = conn.execute(query.order_by(history.c.id.desc()).limit(1)).scalar()
    return found


class EarlierItems:
    """Questions of checks about earlier items; see `moderate.ports.Earlier`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Return kind, status and article of items with that text since then, newest first, at most 50."""
        rows = SAME_TEXT.rows(self._database, of_text=text_key, since=since)
        return [(Kind(kind), Status(status), article) for kind, status, article in rows]

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Return items since then that may say nearly the same, or do say the same; newest first, at most 100."""
        bands = {f"band_{number}": band for number, band in enumerate(near.bands, 1)}
        rows = NEAR_TEXT.rows(self._database, of_text=text_key, since=since, **bands)
        return [Alike(row[0], Kind(row[1]), Status(row[2]), *row[3:]) for row in rows]

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """Return how many items of a verified author stand where: all, or those since then, with deleted spam."""
        query = select(items.c.status, func.count()).where(items.c.author_id == author_id)
        if since is not None:
            query = query.where(items.c.created_at >= since)
        with self._database.read() as conn:
            record = {Status(status): number for status, number in conn.execute(query.group_by(items.c.status))}
            if since is not None and Status.SPAM not in record and is_remembered(conn, author_id, since):
                record[Status.SPAM] = 1
        return record


def items_of(rows: CursorResult[Any], left_out: Mapping[str, Any] = MappingProxyType({})) -> dict[int, Item]:
    """Return the items of rows by id; *left_out* stands for the fields that were not selected."""
    names = tuple(rows.keys())
    return {row.id: item_from({**left_out, **dict(zip(names, row, strict=True))}) for row in rows}


def page_of(found: list[Item], limit: int) -> Page:
    """Return the first *limit* of the items that were found, of which one more tells that there are more."""
    shown = tuple(found[:limit])
    return Page(shown, shown[-1].id if len(found) > limit and shown else None)
