"""The counts of the learned filter in SQL. See `moderate.ports.TokenCounts`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, BigInteger, Double, bindparam, case, delete, func, select, type_coerce, update
from sqlalchemy.types import NullType

from moderate.database.engine import Database, Stale
from moderate.database.schema import learned_items, token_counts
from moderate.database.statements import Lookup, insert_unless_there, upsert
from moderate.ports import Extent, TokenTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Executable

    from moderate.ports import Clock


#: The two rows that count all messages and all tokens. A token has such a hash with a probability of 2⁻⁶² only.
MESSAGES, TOKENS = 0, 1

#: How long a site counts as one that has learned too little, in seconds, unless this process teaches it something.
LOOK_EVERY = 5

#: The weight as the driver gives it: for its own type, SQLAlchemy would ask psycopg what it got.
COLUMNS = (
    *(token_counts.c.token, token_counts.c.spam, token_counts.c.good),
    type_coerce(token_counts.c.weight, NullType),
)

#: One parameter for any number of tokens, so that the statement is prepared once.
ON_SQLITE = (
    "SELECT c.token, c.spam, c.good, c.weight FROM json_each(?) AS wanted"
    " CROSS JOIN moderate_token_counts AS c ON c.token = wanted.value"
)
ON_POSTGRESQL = Lookup(
    select(*COLUMNS).where(token_counts.c.token == func.any(bindparam("tokens", type_=ARRAY(BigInteger))))
)
ELSEWHERE = select(*COLUMNS).where(token_counts.c.token.in_(bindparam("tokens", expanding=True)))


class SqlTokenCounts:
    """The counts as rows; each method is one query or one transaction. Failures raise `ServiceDown`.

    *key* returns the secret and is called when it is first needed: the database need not be there at the start.
    """

    def __init__(self, database: Database, key: Callable[[], bytes], clock: Clock) -> None:
        self._database = database
        self.key: Callable[[], bytes] = cache(key)
        self._clock = clock
        self._most_seen = 0
        #: When to look again (monotonic seconds).
        self._look_at = float("-inf")

    def has_seen(self, least: int) -> bool:
        if self._most_seen < least and (now := self._clock.monotonic()) >= self._look_at:
            self._most_seen = min(self.lookup(()).messages)
            self._look_at = now + LOOK_EVERY
        return self._most_seen >= least

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        wanted = [MESSAGES, TOKENS, *tokens]
        rows: Sequence[Sequence[Any]]
        if self._database.dialect == "sqlite":
            # By the driver itself: for hundreds of short rows that halves the time, which every comment
            # pays. A list of whole numbers is written the same in Python and in JSON.
            rows = self._database.ask(ON_SQLITE, (str(wanted),))
        elif self._database.dialect == "postgresql":
            rows = ON_POSTGRESQL.rows(self._database, tokens=wanted)
        else:
            with self._database.read() as conn:
                rows = conn.execute(ELSEWHERE, {"tokens": wanted}).all()
        counts = {token: (spam, good) for token, spam, good, _ in rows}
        weights = {token: weight for token, _, _, weight in rows}
        weights.pop(TOKENS, None)
        return TokenTable(
            counts, counts.pop(MESSAGES, (0, 0)), counts.pop(TOKENS, (0, 0)), weights, weights.pop(MESSAGES, 0.0)
        )

    def taught(self, items: Collection[int]) -> dict[int, bool]:
        query = select(learned_items.c.item_id, learned_items.c.is_spam).where(learned_items.c.item_id.in_(items))
        with self._database.read() as conn:
            return {row.item_id: row.is_spam for row in conn.execute(query)}

    def extent(self) -> Extent:
        texts = select(func.count()).where(learned_items.c.item_id < 0).scalar_subquery()
        # Tokens of what was taken back stay, with counts of 0.
        is_known = token_counts.c.spam + token_counts.c.good > 0
        known = select(func.count()).where(is_known, token_counts.c.token.not_in((MESSAGES, TOKENS))).scalar_subquery()
        with self._database.read() as conn:
            return Extent(*conn.execute(select(texts, known)).one())

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None, step: float = 0.0) -> bool:
        is_new = self._database.transaction(lambda conn: self._teach(conn, item, tokens, is_spam, step))
        self._look_at = float("-inf")
        return is_new

    def _teach(self, conn: Connection, item: int, tokens: Collection[int], is_spam: bool | None, step: float) -> bool:
        query = select(learned_items.c.is_spam, learned_items.c.step).where(learned_items.c.item_id == item)
        before, former = conn.execute(query).one_or_none() or (None, 0.0)
        if before is is_spam:
            return False
        self._note(conn, item, before, is_spam, step)
        # Each row once and always in the same order, so that two processes cannot deadlock.
        moves = sorted({MESSAGES: 1, TOKENS: len(tokens), **dict.fromkeys(tokens, 1)}.items())
        if before is not None:
            kind = "spam" if before else "good"
            conn.execute(taken_back(kind), [{"of": token, "by": size, "step": former} for token, size in moves])
        if is_spam is not None:
            rows = [
                {"token": token, "spam": size * is_spam, "good": size * (not is_spam), "weight": step}
                for token, size in moves
            ]
            conn.execute(self._added(), rows)
        return True

    def _note(self, conn: Connection, item: int, before: bool | None, after: bool | None, step: float) -> None:
        """Store whether the item was learned as spam, and its step. Raises `Stale` where another process was faster."""
        here = learned_items.c.item_id == item
        if before is None:
            first = insert_unless_there(self._database.dialect, learned_items, "item_id")
            done = conn.execute(first, {"item_id": item, "is_spam": after, "step": step}).rowcount
        elif after is None:
            done = conn.execute(delete(learned_items).where(here, learned_items.c.is_spam == before)).rowcount
        else:
            change = update(learned_items).where(here, learned_items.c.is_spam == before)
            done = conn.execute(change.values(is_spam=after, step=step)).rowcount
        if not done:
            raise Stale

    def _added(self) -> Executable:
        counts = token_counts.c
        return upsert(
            self._database.dialect,
            token_counts,
            "token",
            lambda new: {
                "spam": counts.spam + new.spam,
                "good": counts.good + new.good,
                "weight": counts.weight + new.weight,
            },
        )


def taken_back(kind: str) -> Executable:
    """Return the statement that lowers one count and a weight.

    No count goes below 0: a text that was edited, or learned by an older version, has tokens that were not counted.
    """
    count = token_counts.c[kind]
    by: Any = bindparam("by", type_=BigInteger)
    lowered = case((count > by, count - by), else_=0)
    weight = token_counts.c.weight - bindparam("step", type_=Double)
    return update(token_counts).where(token_counts.c.token == bindparam("of")).values({kind: lowered, "weight": weight})
