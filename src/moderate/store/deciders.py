"""The condition that a person has decided on an item, or that only checks have, in a form that an index serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, false, func, select

from moderate.database.schema import items

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Up to how many moderators the items of each are looked up. Where more decide, a person has decided on most items.
MOST_DECIDERS = 20

_by = items.c.decided_by
_first = select(func.min(_by).label("name")).cte("deciders", recursive=True)
_next = select(func.min(_by)).where(_by > _first.c.name).scalar_subquery()
_names = _first.union_all(select(_next).where(_first.c.name.is_not(None)))
#: The names of those who have decided on items, each found in the index from the one before.
DECIDERS = select(_names.c.name).where(_names.c.name.is_not(None)).limit(MOST_DECIDERS + 1)


def by_decision(
    decided: int, conn: Connection, *, is_found: bool
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Return conditions of which one holds for each item that is wanted, each a look-up by index, or a plain one.

    *decided* is that of `ItemFilter`. A plain one is for items that are found by other conditions (*is_found*), and
    for sites with many moderators.
    """
    if not is_found and not decided:
        return [_by.is_(None)], []
    names = conn.execute(DECIDERS).scalars().all() if not is_found else ()
    if not is_found and len(names) <= MOST_DECIDERS:
        return [_by == name for name in names] or [false()], []
    # Concatenated, so that no planner takes the index for it.
    plain = _by.concat("")
    return [], [plain.is_not(None) if decided else plain.is_(None)]
