"""Lists of items in the order of their scores: the most suspicious first, among equals the newest."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, select

from moderate.database.schema import items
from moderate.database.statements import Lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.database.engine import Database

#: A place in such a list is one number: the score times this, and the id. It stays below 2⁵³, up to which all readers
#: of JSON take whole numbers exactly.
IDS = 2**42

#: The number of items that a filter matches which are sorted, the newest ones.
MOST_SORTED = 10_000

SCORES = select(items.c.id, items.c.score)


def cursor_of(number: int, score: int) -> int:
    """Return the place of an item in a list by score. Those behind it have lower ones."""
    return score * IDS + number


def ranked(scores: Mapping[int, int], cursor: int | None) -> list[tuple[int, int]]:
    """Return items with their scores in the order of the list, from behind the *cursor* on."""
    places = sorted(((cursor_of(number, score), number) for number, score in scores.items()), reverse=True)
    return [(number, scores[number]) for place, number in places if cursor is None or place < cursor]


def most_suspicious(database: Database, status: str, cursor: int | None, limit: int) -> list[tuple[int, int]]:
    """Return the most suspicious items of a status behind the *cursor*, at most *limit*, with their scores."""
    score, number = divmod(cursor, IDS) if cursor is not None else (None, None)
    # One condition after the other, because joined by "or" they would not be one stretch of the index.
    parts = ("all",) if score is None else ("equal", "lower")
    found: list[tuple[int, int]] = []
    for part in parts:
        if len(found) < limit:
            about = {"of_status": status, "most": limit - len(found)}
            rows = _stretch(part).rows(database, **about, last_score=score, last_id=number)
            found += [(row[0], row[1]) for row in rows]
    return found


@lru_cache
def _stretch(part: str) -> Lookup:
    last_score, last_id = bindparam("last_score", type_=Integer), bindparam("last_id", type_=items.c.id.type)
    behind = {
        "all": (),
        "equal": (items.c.score == last_score, items.c.id < last_id),
        "lower": (items.c.score < last_score,),
    }
    wanted = SCORES.where(items.c.status == bindparam("of_status"), *behind[part])
    return Lookup(wanted.order_by(items.c.score.desc(), items.c.id.desc()).limit(bindparam("most", type_=Integer)))
