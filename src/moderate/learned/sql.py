"""The counts of the learned filter in SQL. See `moderate.ports.TokenCounts`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from moderate.database.engine import Database, Stale
from moderate.database.schema import learned_items, token_counts
from moderate.database.statements import insert_unless_there, upsert
from moderate.ports import TokenTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import Executable


#: The two rows that count all messages and all tokens. A token has such a hash with a probability of 2⁻⁶² only.
MESSAGES, TOKENS = 0, 1

COLUMNS = (token_counts.c.token, token_counts.c.spam, token_counts.c.good)

#: One parameter for any number of tokens, so that the statement is prepared once.
ON_SQLITE = (
    "SELECT c.token, c.spam, c.good FROM json_each(?) AS wanted"
    " CROSS JOIN moderate_token_counts AS c ON c.token = wanted.value"
)
ON_POSTGRESQL = select(*COLUMNS).where(token_counts.c.token == func.any(bindparam("tokens", type_=ARRAY(BigInteger))))
ELSEWHERE = select(*COLUMNS).where(token_counts.c.token.in_(bindparam("tokens", expanding=True)))


class SqlTokenCounts:
    """The counts as rows; each method is one query or one transaction. Failures raise `ServiceDown`.

    *key* returns the secret and is called when it is first needed: the database need not be there at the start.
    """

    def __init__(self, database: Database, key: Callable[[], bytes]) -> None:
        self._database = database
        self.key: Callable[[], bytes] = cache(key)
        self._most_seen = 0

    def has_seen(self, least: int) -> bool:
        if self._most_seen < least:
            self._most_seen = min(self.lookup(()).messages)
        return self._most_seen >= least

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        wanted = [MESSAGES, TOKENS, *tokens]
        rows: Iterable[Sequence[int]]
        if self._database.dialect == "sqlite":
            # By the driver itself: for hundreds of short rows that halves the time, which every comment
            # pays. A list of whole numbers is written the same in Python and in JSON.
            rows = self._database.ask_sqlite(ON_SQLITE, (str(wanted),))
        else:
            query = ON_POSTGRESQL if self._database.dialect == "postgresql" else ELSEWHERE
            with self._database.read() as conn:
                rows = conn.execute(query, {"tokens": wanted}).all()
        counts = {token: (spam, good) for token, spam, good in rows}
        return TokenTable(counts, counts.pop(MESSAGES, (0, 0)), counts.pop(TOKENS, (0, 0)))

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None) -> bool:
        return self._database.transaction(lambda conn: self._teach(conn, item, tokens, is_spam))

    def _teach(self, conn: Connection, item: int, tokens: Collection[int], is_spam: bool | None) -> bool:
        before = conn.execute(select(learned_items.c.is_spam).where(learned_items.c.item_id == item)).scalar()
        if before is is_spam:
            return False
        self._note(conn, item, before, is_spam)
        # Each row once and always in the same order, so that two processes cannot deadlock.
        moves = sorted({MESSAGES: 1, TOKENS: len(tokens), **dict.fromkeys(tokens, 1)}.items())
        if before is not None:
            kind = "spam" if before else "good"
            conn.execute(taken_back(kind), [{"of": token, "step": size} for token, size in moves])
        if is_spam is not None:
            rows = [{"token": token, "spam": size * is_spam, "good": size * (not is_spam)} for token, size in moves]
            conn.execute(self._added(), rows)
        return True

    def _note(self, conn: Connection, item: int, before: bool | None, after: bool | None) -> None:
        """Store whether the item was learned as spam. Raises `Stale` where another process was faster."""
        here = learned_items.c.item_id == item
        if before is None:
            first = insert_unless_there(self._database.dialect, learned_items, "item_id")
            done = conn.execute(first, {"item_id": item, "is_spam": after}).rowcount
        elif after is None:
            done = conn.execute(delete(learned_items).where(here, learned_items.c.is_spam == before)).rowcount
        else:
            change = update(learned_items).where(here, learned_items.c.is_spam == before).values(is_spam=after)
            done = conn.execute(change).rowcount
        if not done:
            raise Stale

    def _added(self) -> Executable:
        counts = token_counts.c
        return upsert(
            self._database.dialect,
            token_counts,
            "token",
            lambda new: {"spam": counts.spam + new.spam, "good": counts.good + new.good},
        )


def taken_back(kind: str) -> Executable:
    """Return the statement that lowers one count, never below 0: an edited text has tokens that were not counted."""
    count = token_counts.c[kind]
    step: Any = bindparam("step", type_=BigInteger)
    lowered = case((count > step, count - step), else_=0)
    return update(token_counts).where(token_counts.c.token == bindparam("of")).values({kind: lowered})
