"""Completion of items that an older version has stored: their search terms, keys of near texts, and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, bindparam, case, cast, or_, select, update

from moderate.database.schema import items, states
from moderate.database.statements import overwrite
from moderate.store.moves import derived_columns
from moderate.store.retention import rest
from moderate.store.rows import NEAR
from moderate.store.search import SEARCHED, STATE, host_terms, update_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

    from moderate.database.engine import Database

#: Items that are read, and changed in one transaction.
BATCH = 50

#: Seconds that a step waits for other writers.
PATIENCE = 1.0

#: The items among which those are that an older version has left incomplete.
SUSPECTS = (
    select(
        *(items.c[name] for name in ("id", "version", "search", "simhash", "findings", "score")),
        *(items.c[name] for name in SEARCHED),
    )
    .where(items.c.id > bindparam("after"))
    .where(
        or_(
            *(items.c[name].is_(None) for name in ("search", "simhash")),
            items.c.url != "",
            items.c.source_url != "",
            and_(items.c.score == 0, cast(items.c.findings, Text) != "[]"),
        )
    )
    .order_by(items.c.id)
    .limit(BATCH)
)
COMPLETED = (
    update(items)
    .where(items.c.id == bindparam("of_id"), items.c.version == bindparam("of_version"))
    .values({name: bindparam(name) for name in ("search", *NEAR)})
    # New findings, and with them a score, need not change the version.
    .values(score=case((items.c.score == bindparam("of_score"), bindparam("new_score")), else_=items.c.score))
)


class Backfill:
    """The walk over all items once, and from then on over the new ones, which an older version may write meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_due(self, before: datetime) -> bool:
        """Return whether items are left to be looked at, or new ones have not been looked at since *before*."""
        with self._database.read() as conn:
            row = conn.execute(select(states.c.value, states.c.at).where(states.c.name == STATE)).first()
        return row is None or not row.value["is_complete"] or bool(row.value.get("is_left")) or row.at <= before

    def run(self, now: datetime, is_over: Callable[[], bool]) -> bool:
        """Go on from where the last call ended, in short transactions; return whether there is more to do.

        Each step may be repeated: where this is killed, the next call does a part again.
        """
        while update_index(self._database, patience=PATIENCE):
            if is_over():
                return True
        with self._database.read() as conn:
            kept = conn.execute(select(states.c.value).where(states.c.name == STATE)).scalar()
        upto, is_left = self._step(kept["upto"] if kept else 0)
        while is_left and not is_over():
            upto, is_left = self._step(upto)
        is_complete = not is_left or bool(kept and kept["is_complete"])
        value = {"upto": upto, "is_complete": is_complete, "is_left": is_left}
        newest = overwrite(self._database.dialect, states, "name", "value", "at")
        self._database.transaction(lambda conn: conn.execute(newest, {"name": STATE, "value": value, "at": now}))
        return is_left

    def _step(self, after: int) -> tuple[int, bool]:
        """Complete some items above *after*; return the id of the last one, and whether there are more."""
        with self._database.read() as conn:
            rows = conn.execute(SUSPECTS, {"after": after}).all()
        changed = [changes for row in rows if (changes := changes_of(row))]
        if changed:
            self._database.transaction(lambda conn: complete(conn, changed))
            rest(self._database)
        return (rows[-1].id if rows else after), len(rows) == BATCH


def changes_of(row: Row[Any]) -> dict[str, Any] | None:
    """Return the parameters of `COMPLETED` for an item, None for one that has all that this version gives it."""
    values = row._asdict()
    new = derived_columns(values)
    found = frozenset((row.search or "").replace("'", "").split())
    is_found = row.search is not None and row.simhash == new["simhash"] and found.issuperset(host_terms(values))
    if is_found and row.score == new["score"]:
        return None
    score = new.pop("score")
    return {"of_id": row.id, "of_version": row.version, "of_score": row.score, "new_score": score, **new}


def complete(conn: Connection, changed: list[dict[str, Any]]) -> None:
    """Write columns, except for items whose text has changed since it was read."""
    conn.execute(COMPLETED, changed)
