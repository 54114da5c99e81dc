"""Moderators' rules in the database, with the number of their matches; a copy in memory; proposed rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from moderate.database.schema import items, rules, states
from moderate.database.statements import overwrite
from moderate.lru import LRUCache
from moderate.ports import Rule
from moderate.store.rows import WHOLE, items_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection, Row

    from moderate.database.engine import Database
    from moderate.model import Finding, Item
    from moderate.ports import Clock

#: Seconds after which changes by other processes take effect.
MAX_AGE = 5.0

#: The beginnings of the names of states: proposed rules, and those that a moderator does not want.
OPEN, DISMISSED = "proposal:", "dismissed:"

#: The most proposals that are listed, and the newest items among which those of a network are looked for.
MOST, LATEST = 20, 5000

HIT = (
    update(rules)
    .where(rules.c.id == bindparam("met"))
    .values(hits=rules.c.hits + 1, last_hit_at=bindparam("last_hit_at"))
)


class RuleInfo(NamedTuple):
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


#: The proposals, of which the queue page shows the first. The table is small.
PROPOSED = select(states.c.value).where(states.c.name.like(f"{OPEN}%")).order_by(states.c.at.desc(), states.c.name)


class Proposals:
    """Proposed rules by key, as states with the numbers that `moderate.rules.proposals` has counted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: By key, what this process has looked at in vain, a `moderate.rules.proposals.Nothing`.
        self.in_vain: LRUCache[Any] = LRUCache(1024)

    def known(self, keys: Collection[str]) -> Mapping[str, datetime | None]:
        """Return since when each of these rules is proposed; None for one that was dismissed, also if it is both."""
        names = [f"{start}{key}" for key in keys for start in (OPEN, DISMISSED)]
        query = select(states.c.name, states.c.at).where(states.c.name.in_(names)).order_by(states.c.name.desc())
        with self._database.read() as conn:
            rows = conn.execute(query).all()
        return {row.name.partition(":")[2]: row.at if row.name.startswith(OPEN) else None for row in rows}

    def all(self, limit: int | None = MOST) -> Sequence[Mapping[str, Any]]:
        """Return the proposals, the newest first, at most *limit*."""
        with self._database.read() as conn:
            return conn.execute(PROPOSED.limit(limit)).scalars().all()

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return one proposal, None where it is not open."""
        query = select(states.c.value).where(states.c.name == OPEN + key)
        with self._database.read() as conn:
            found: Mapping[str, Any] | None = conn.execute(query).scalar()
        return found

    def put(self, key: str, value: Mapping[str, object], now: datetime) -> None:
        """Store a proposal, in place of an earlier one of the same key."""
        self._database.transaction(lambda conn: conn.execute(self._newest(), _state(OPEN + key, now, value)))

    def drop(self, keys: Collection[str]) -> None:
        """Delete proposals; they may be made again."""
        gone = delete(states).where(states.c.name.in_([OPEN + key for key in keys]))
        self._database.transaction(lambda conn: conn.execute(gone))

    def dismiss(self, key: str, now: datetime) -> bool:
        """Delete a proposal for good; return whether there was one."""
        gone = delete(states).where(states.c.name == OPEN + key)

        def work(conn: Connection) -> bool:
            was_there = bool(conn.execute(gone).rowcount)
            if was_there:
                conn.execute(self._newest(), _state(DISMISSED + key, now, {}))
            return was_there

        return self._database.transaction(work)

    def forget(self, before: datetime) -> None:
        """Delete what was proposed before then and not answered: it may name a person's address."""
        old = delete(states).where(states.c.name.like(f"{OPEN}%"), states.c.at < before)
        self._database.transaction(lambda conn: conn.execute(old))

    def within(self, network: str, limit: int) -> Sequence[Item]:
        """Return the newest of the last items whose IPv6 addresses begin as those of a network do, at most *limit*."""
        beginning = network.partition("::")[0].rstrip(":") + ":"
        latest = select(func.max(items.c.id) - LATEST).scalar_subquery()
        query = WHOLE.where(items.c.id > latest, items.c.ip.startswith(beginning, autoescape=True))
        with self._database.read() as conn:
            return list(items_of(conn.execute(query.order_by(items.c.id.desc()).limit(limit))).values())

    def _newest(self) -> Any:
        return overwrite(self._database.dialect, states, "name", "value", "at")


def _state(name: str, now: datetime, value: Mapping[str, object]) -> dict[str, object]:
    return {"name": name, "value": dict(value), "at": now}


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
