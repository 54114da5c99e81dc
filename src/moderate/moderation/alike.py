"""The moderators' "everything like this": of one source host, or with nearly the same text, as conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select, union_all

from moderate.checks.near import NEAR
from moderate.database.schema import items
from moderate.store.search import found_by

if TYPE_CHECKING:
    from sqlalchemy import Column
    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Select

#: How many items one text is compared with, the newest of each sort.
COMPARED = 5_000

NOTHING = literal_column("1") == literal_column("0")

BANDS = (items.c.near_1, items.c.near_2, items.c.near_3, items.c.near_4)
KEYS = (items.c.text_key, items.c.simhash, *BANDS)


def of_host(host: str, conn: Connection) -> ColumnElement[bool]:
    """Items whose source, or whose author's website, is on that host.

    The index for searches finds those that name it anywhere; only of these the addresses are compared.
    """
    wanted = host.lower()
    return and_(found_by(wanted, conn), or_(_on_host(items.c.source_url, wanted), _on_host(items.c.url, wanted)))


def _on_host(column: Column[str], host: str) -> ColumnElement[bool]:
    address = func.lower(column)
    beginnings = [f"{scheme}://{host}" for scheme in ("https", "http")]
    return or_(
        address.in_(beginnings),
        *(address.startswith(start + after, autoescape=True) for start in beginnings for after in "/:?#"),
    )


def like(item_id: int, conn: Connection) -> ColumnElement[bool]:
    """The item itself, and those whose text is the same or nearly so; nothing where the item is gone."""
    known = conn.execute(select(*KEYS).where(items.c.id == item_id)).first()
    if known is None:
        return NOTHING
    same = [_newest(items.c.text_key == known.text_key)] if known.text_key else []
    if known.simhash is not None:
        pairs = zip(BANDS, known[2:], strict=True)
        same += [_newest(column == band) for column, band in pairs if band is not None]
    if not same:
        return items.c.id == item_id
    rows = conn.execute(select(items.c.id, items.c.text_key, items.c.simhash).where(items.c.id.in_(union_all(*same))))
    ids = {row.id for row in rows if row.text_key == known.text_key or _is_near(row.simhash, known.simhash)}
    return items.c.id.in_(sorted(ids | {item_id}))


def _newest(same: ColumnElement[bool]) -> Select[Any]:
    # A subquery, because SQLite takes no limit within a union otherwise.
    return select(select(items.c.id).where(same).order_by(items.c.id.desc()).limit(COMPARED).subquery().c.id)


def _is_near(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and ((one ^ other) & (1 << 64) - 1).bit_count() <= NEAR
