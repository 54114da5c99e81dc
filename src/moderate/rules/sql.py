"""Moderators' rules in the database, with the number of their matches, and a copy of them in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from moderate.database.schema import rules
from moderate.ports import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

    from moderate.database.engine import Database
    from moderate.model import Finding
    from moderate.ports import Clock

#: Seconds after which changes by other processes take effect.
MAX_AGE = 5.0

HIT = (
    update(rules)
    .where(rules.c.id == bindparam("met"))
    .values(hits=rules.c.hits + 1, last_hit_at=bindparam("last_hit_at"))
)


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A stored rule: who wrote it, and how often it has matched."""

    rule: Rule
    created_at: datetime
    created_by: str
    hits: int
    last_hit_at: datetime | None


class RuleTable:
    """The rules as rows, of which each kind and value has one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Grows with every change that this process makes.
        self.changes = 0

    def add(self, rule: Rule, by: str, now: datetime) -> tuple[RuleInfo, bool]:
        """Store a moderator's rule, and return it with whether it is new.

        A value that is there already takes the new effect and note.
        """
        said = {"effect": rule.effect, "note": rule.note}
        same = and_(rules.c.kind == rule.kind, rules.c.value == rule.value)
        row = {"kind": rule.kind, "value": rule.value, **said, "created_at": now, "created_by": by, "hits": 0}
        try:
            self._database.transaction(lambda conn: conn.execute(insert(rules), row))
            is_new = True
        except IntegrityError:
            self._database.transaction(lambda conn: conn.execute(update(rules).where(same).values(said)))
            is_new = False
        self.changes += 1
        with self._database.read() as conn:
            return _info(conn.execute(select(rules).where(same)).one()), is_new

    def all(self) -> Sequence[RuleInfo]:
        """Return all rules, the oldest first."""
        with self._database.read() as conn:
            return [_info(row) for row in conn.execute(select(rules).order_by(rules.c.id))]

    def delete(self, rule_id: int) -> bool:
        """Delete a rule; return whether there was one."""
        gone = delete(rules).where(rules.c.id == rule_id)
        removed: int = self._database.transaction(lambda conn: conn.execute(gone).rowcount)
        self.changes += 1
        return bool(removed)


class RuleBook:
    """A copy of the rules in memory, for a few seconds; changes by this process take effect at once.

    See `moderate.ports.Rules`.
    """

    def __init__(self, rows: RuleTable, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        self._known: tuple[int, float, tuple[Rule, ...]] | None = None

    def active(self) -> Sequence[Rule]:
        now, changes = self._clock.monotonic(), self._rows.changes
        known = self._known
        if known is None or known[0] != changes or now >= known[1]:
            known = (changes, now + MAX_AGE, tuple(info.rule for info in self._rows.all()))
            self._known = known
        return known[2]


def note_hits(conn: Connection, found: Iterable[Finding], before: Iterable[Finding], now: datetime) -> None:
    """Count matches of the rules among *found* that are not among *before*.

    Call it before the transaction writes items or counters: a transaction that waits for a rule's row then
    holds no row that another one waits for, so that they cannot deadlock.
    """
    met = {finding.rule for finding in found if finding.rule is not None}
    if met:
        met.difference_update([finding.rule for finding in before])
    for number in sorted(met):
        conn.execute(HIT, {"met": number, "last_hit_at": now})


def _info(row: Row[Any]) -> RuleInfo:
    rule = Rule(row.id, row.kind, row.value, row.effect, row.note)
    return RuleInfo(rule, row.created_at, row.created_by, row.hits, row.last_hit_at)
