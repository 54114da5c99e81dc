"""The settings table of limits, from readable text to values.

A limit is written as people say it: ``"5/minute per client"``, ``"20/minute burst 5 per source-host"``,
``"10/5 minutes per article"``. Each row of the table names an action and lists its limits; all of
them are asked in one decision.

A limit is a budget of `burst` events (by default the count) that refills evenly: ``5/minute`` allows
five at once and one more every twelve seconds after that.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from moderate.errors import Policy
from moderate.model import PINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scope = Literal["client", "author", "source-host", "article", "site"]
"""The subject of a budget: `client`, `author` and `source-host` are a sender's own; `article` and `site` are shared.

`author` is a verified identity (a login of the host's site or a confirmed e-mail address), never a typed one, with
which one sender could use up another's share. A source host is only claimed, so its budget is each client's own,
with a wider one over all clients. Limits are asked in this order, whatever the order in the settings.
"""

SCOPES: tuple[Scope, ...] = get_args(Scope)
SHARED: frozenset[Scope] = frozenset({"article", "site"})

PING_ACTIONS = tuple(kind.value for kind in PINGS)
"""Each may have a row of its own; without one it shares the budget of the row `pings`."""

ACTIONS = ("comments", "pings", *PING_ACTIONS, "previews", "edits", "confirmations", "reports", "moderation", "reads")

DEFAULT_LIMITS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "comments": ("5/minute per client", "30/hour per client", "60/minute per article", "300/minute per site"),
        "pings": (
            "20/minute burst 5 per source-host",
            "30/minute burst 10 per client",
            "200/hour per client",
            "60/minute per article",
        ),
        "previews": ("30/minute per client",),
        "edits": ("10/minute per client",),
        "confirmations": ("3/hour per client", "10/day per client"),
        "reports": ("10/minute per client",),
        "moderation": ("10/5 minutes per client", "30/hour per client"),
        "reads": (),
    }
)
"""The default of MODERATE_LIMITS. `moderation` counts failed sign-ins."""

#: Microseconds, in which limiters count.
SECOND = 1_000_000

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` events per `seconds`, of which `burst` may come at once (by default `count`).

    Computed of these: `capacity` is the number that may come at once, `interval` the microseconds that one event
    costs, rounded up so that never more than the rate passes, `span` the microseconds in which a used-up budget is full
    again, and `packed` the two as `take.lua` reads them.
    """

    count: int
    seconds: int
    burst: int = 0
    capacity: int = field(init=False, repr=False, compare=False)
    interval: int = field(init=False, repr=False, compare=False)
    span: int = field(init=False, repr=False, compare=False)
    packed: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "capacity", self.burst or self.count)
        object.__setattr__(self, "interval", -(-self.seconds * SECOND // self.count))
        object.__setattr__(self, "span", self.interval * self.capacity)
        object.__setattr__(self, "packed", struct.pack(">dd", self.interval, self.span))

    @property
    def text(self) -> str:
        """The canonical way to write the rate."""
        unit, size = next((name, size) for name, size in reversed(_UNITS.items()) if self.seconds % size == 0)
        window = unit if self.seconds == size else f"{self.seconds // size} {unit}s"
        return f"{self.count}/{window}" + (f" burst {self.burst}" if self.burst else "")


class Bucket(NamedTuple):
    """One budget that a request spends from. `key` holds no plain address or e-mail."""

    name: str
    key: str
    rate: Rate


class Taken(NamedTuple):
    """The answer of one decision. `wait` is 0 where all buckets were spent from, else the seconds to wait.

    `debts` has the microseconds until each of `buckets` is full again, after the decision. `crowded` names the shared
    budgets (of an article, of the site) that are used up although the sender stays within its own: hold such a
    submission for a moderator.
    """

    wait: float
    buckets: Sequence[Bucket] = ()
    debts: Sequence[int] = ()
    crowded: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.wait <= 0

    @property
    def policies(self) -> list[Policy]:
        """The buckets in the terms of the RateLimit header fields."""
        return [policy_of(bucket, debt) for bucket, debt in zip(self.buckets, self.debts, strict=True)]


def policy_of(bucket: Bucket, debt: int) -> Policy:
    """Return the state of a bucket whose *debt* is in microseconds."""
    rate = bucket.rate
    used = min(-(-debt // rate.interval), rate.capacity)
    # Until one more event than now fits in.
    wait = debt - (used - 1) * rate.interval if used else 0
    return Policy(bucket.name, rate.count, rate.seconds, rate.capacity - used, -(-wait // SECOND))


_LIMIT = re.compile(
    r"(?P<count>\d{1,7})\s*/\s*(?:(?P<times>\d{1,5})\s*)?(?P<unit>second|minute|hour|day)s?"
    r"(?:\s+burst\s+(?P<burst>\d{1,7}))?\s+per\s+(?P<scope>[a-z-]+)",
    re.ASCII,
)
_LONGEST_REFILL = 31 * 86400
_FORM = (
    'write it like "5/minute per client", "10/5 minutes per article" or "20/minute burst 5 per source-host"; '
    f"units are second, minute, hour and day, scopes are {', '.join(SCOPES)}"
)


class Limit(NamedTuple):
    """One limit: a rate and the scope of its budget."""

    rate: Rate
    scope: Scope

    @property
    def text(self) -> str:
        """The canonical way to write the limit."""
        return f"{self.rate.text} per {self.scope}"

    @property
    def shared(self) -> bool:
        """True where many senders spend from the same budget."""
        return self.scope in SHARED


class Row(NamedTuple):
    """The limits of one action. `name` is that of their row: `pings` for a trackback without a row of its own."""

    name: str
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitTable:
    """All limits by action. An empty table limits nothing."""

    rows: Mapping[str, Row] = field(default_factory=dict)

    def row(self, action: str) -> Row:
        """Return the row of an action. Raises `KeyError` for an unknown action, which is a bug and not a setting."""
        found = self.rows.get(action)
        if found is not None:
            return found
        if action in PING_ACTIONS:
            return self.rows.get("pings", Row("pings"))
        if action not in ACTIONS:
            raise KeyError(action)
        return Row(action)

    def remarks(self) -> tuple[str, ...]:
        """Return one sentence for each shared budget that one client could use up alone, for ``check-config``."""
        return tuple(
            f"{row.name}: one client alone can use up {limit.text!r}; add a smaller limit per client"
            for row in self.rows.values()
            for limit in row.limits
            if limit.shared and not any(_below(own.rate, limit.rate) for own in row.limits if own.scope == "client")
        )


def parse_limits(table: Mapping[str, Sequence[str]]) -> LimitTable:
    """Read the settings table. Raises `ValueError`, which names the row, the text and what is accepted."""
    rows = {}
    for name, texts in table.items():
        if name not in ACTIONS:
            raise ValueError(f"there is no action {name!r}; actions are {', '.join(ACTIONS)}")
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f'{name}: give a list of texts, like ["5/minute per client", "30/hour per client"]')
        rows[name] = Row(name, _without_repeats(name, [parse_limit(text, row=name) for text in texts]))
    return LimitTable(MappingProxyType(rows))


def parse_limit(text: str, *, row: str = "") -> Limit:
    """Read one limit. Raises `ValueError`, which says what is wrong and how to write it."""
    where = f"{row}: {text!r}" if row else repr(text)
    match = _LIMIT.fullmatch(" ".join(text.split()).lower())
    if match is None:
        raise ValueError(f"{where} is not a limit; {_FORM}")
    scope = next((known for known in SCOPES if known == match["scope"]), None)
    if scope is None:
        raise ValueError(f"{where}: there is no scope {match['scope']!r}; scopes are {', '.join(SCOPES)}")
    count, seconds = int(match["count"]), int(match["times"] or 1) * _UNITS[match["unit"]]
    burst = int(match["burst"] or count)
    if count < 1 or seconds < 1 or burst < 1:
        raise ValueError(f"{where}: count, time and burst must be 1 or more; leave a row empty to limit nothing")
    if burst * seconds > count * _LONGEST_REFILL:
        raise ValueError(f"{where}: this budget would take more than 31 days to refill; choose a shorter time")
    return Limit(Rate(count, seconds, burst if match["burst"] else 0), scope)


def _without_repeats(name: str, limits: Sequence[Limit]) -> tuple[Limit, ...]:
    seen: set[tuple[int, int, Scope]] = set()
    for limit in limits:
        # Two budgets of one scope and one rate would be one and the same key.
        key = (limit.rate.count, limit.rate.seconds, limit.scope)
        if key in seen:
            raise ValueError(f"{name}: {limit.text!r} stands there twice; keep one")
        seen.add(key)
    return tuple(sorted(limits, key=lambda limit: SCOPES.index(limit.scope)))


def _below(own: Rate, shared: Rate) -> bool:
    slower = own.count * shared.seconds < shared.count * own.seconds
    return slower and own.capacity < shared.capacity
