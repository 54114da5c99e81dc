"""Which budgets a request spends from, and what becomes of it where one is used up.

Fairness. A sender's own budgets (`client`, `author`, `source-host`) refuse: only who is too fast is
told so. Shared budgets (`article`, `site`) are larger than any one sender's part, so that nobody can use
them up alone. Where people write, a used-up shared budget does not refuse either: a comment is accepted
and held for a moderator (`Taken.crowded`), because its writer did nothing wrong and a person's words are
dear. Only at four times the shared budget are comments refused as well, to protect the moderators' queue
and the database. Pings are refused at the shared budget at once: machines can try again, and each ping
makes us fetch a page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moderate.errors import Policy, RateLimited
from moderate.limits.clients import client_net, keyed
from moderate.limits.gcra import seconds_to_next
from moderate.limits.outage import GuardedLimiter
from moderate.limits.rates import ACTIONS, PING_ACTIONS, SCOPES, Bucket, BucketState, Limit, Rate, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moderate.limits.outage import Outage, OutagePolicy
    from moderate.limits.rates import LimitTable, Scope
    from moderate.ports import Clock, Limiter

HOLDING = frozenset({"comments"})
"""Actions that are held instead of refused where a shared budget is used up."""

OVERDRAFT = 4
"""How many times a shared budget may be used, held, before it refuses as well."""

NETWORK_FACTOR = 10
"""How much wider the budget of an IPv6 /48 is than that of a /64 in it."""

CLAIMANTS = 4
"""How much wider the budget of a source host is for all clients together than for one of them.

Which host a ping comes from is only claimed: one client alone must not use up a good blog's budget. The
wider one bounds how often a crowd can make us read one site's pages.
"""

_WAVE_ACTIONS = frozenset({"comments", "pings", *PING_ACTIONS})


@dataclass(frozen=True, slots=True)
class Costs:
    """What one request is charged to. `client_ip` is `remote_addr` as it stands; `author` a verified identity.

    Limits of a scope that is None here do not apply.
    """

    action: str
    client_ip: str | None
    article: str | None = None
    source_host: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class _Charge:
    """A limit made ready for use: how its buckets are called, and what its overdraft is."""

    scope: Scope
    name: str
    network_name: str
    rate: Rate
    extra: int
    key: str

    def asked_rate(self, strictness: float) -> Rate:
        """The rate that the limiter is asked for: with the overdraft, or stricter in a spam wave."""
        if self.extra:
            return Rate(self.rate.count, self.rate.seconds, self.rate.capacity + self.extra)
        if strictness == 1.0 or self.scope in ("article", "site"):
            return self.rate
        capacity = max(1, int(self.rate.capacity / strictness))
        return Rate(self.rate.count, math.ceil(self.rate.seconds * strictness), capacity)


class Limits:
    """All limits of one site: `spend` once per request, before anything dear is done.

    `secret` gives the key that turns addresses into bucket keys: every process of a site must have the same,
    and no other site on the same Redis.
    Safe for threads.
    """

    def __init__(
        self,
        table: LimitTable,
        limiter: Limiter,
        *,
        secret: Callable[[], bytes],
        clock: Clock,
        outage: OutagePolicy = "local",
    ) -> None:
        self._guard = GuardedLimiter(limiter, clock, outage)
        self._secret = secret
        self._clock = clock
        self._wave = (1.0, 0.0)
        self._charges = {action: tuple(_charges(table, action)) for action in ACTIONS}

    def spend(self, costs: Costs) -> Taken:
        """Charge a request to all its budgets, or to none.

        Raises `RateLimited` where a budget is used up, and `ServiceDown` where the limiter is down
        under the policy `closed`. The answer names in `crowded` the shared budgets that are used up:
        hold such a submission.
        """
        return self._ask(costs, spend=True)

    def spend_of_article(self, action: str, article: str) -> Taken:
        """Charge an *article*'s budgets for *action* alone. Raises as `spend` does."""
        return self._take(self._buckets(Costs(action, "", article=article), frozenset({"article"})), spend=True)

    def look(self, costs: Costs) -> Taken:
        """Ask whether `spend` would pass, and spend nothing; for what is charged only when it fails (a sign-in)."""
        return self._ask(costs, spend=False)

    def tighten(self, factor: float, seconds: float) -> None:
        """Against a spam wave: a sender's own budgets for comments and pings shrink by `factor`, for so long.

        Holds in this process; a later call replaces an earlier one. 1 takes it back.
        """
        if not 1 <= factor <= 100:
            raise ValueError("factor: 1 to 100")
        self._wave = (float(factor), self._clock.monotonic() + seconds)

    @property
    def outage(self) -> Outage | None:
        """The limiter's outage under way, None while it answers."""
        return self._guard.outage

    @property
    def outages(self) -> int:
        """How many outages of the limiter this process has seen."""
        return self._guard.outages

    def close(self) -> None:
        """Stop the thread that waits for the limiter's return, if there is one."""
        self._guard.close()

    def _ask(self, costs: Costs, *, spend: bool) -> Taken:
        return self._take(self._buckets(costs), spend=spend)

    def _take(self, charged: list[tuple[_Charge, Bucket]], *, spend: bool) -> Taken:
        if not charged:
            return Taken(0.0)
        taken = self._guard.take([bucket for _, bucket in charged], spend=spend)
        if not taken.states:
            return taken
        pairs = list(zip((charge for charge, _ in charged), taken.states, strict=True))
        states = tuple(_without_overdraft(charge, state) for charge, state in pairs)
        if not taken.passed:
            raise RateLimited(taken.wait, [policy_of(state) for state in states])
        due = 0 if spend else 1
        crowded = tuple(charge.name for charge, state in pairs if charge.extra and state.remaining - due < charge.extra)
        return Taken(0.0, states, crowded)

    def _buckets(self, costs: Costs, scopes: frozenset[str] = frozenset(SCOPES)) -> list[tuple[_Charge, Bucket]]:
        charges = [charge for charge in self._charges[costs.action] if charge.scope in scopes]
        if not charges:
            return []
        subjects = self._subjects(costs, {charge.scope for charge in charges})
        strictness = self._strictness(costs.action)
        charged = []
        for charge in charges:
            for name, subject, factor in subjects.get(charge.scope, ()):
                rate = charge.asked_rate(strictness)
                label = charge.name if factor == 1 else charge.network_name
                charged.append((charge, Bucket(label, f"{charge.key}:{name}:{subject}", _wider(rate, factor))))
        return charged

    def _subjects(self, costs: Costs, scopes: set[Scope]) -> dict[str, list[tuple[str, str, int]]]:
        """For each scope: short name, keyed subject, and how much wider than the limit its budget is."""
        secret = self._secret()
        found = {"site": [("site", keyed(secret, "site", ""), 1)]}
        if "client" in scopes:
            client = client_net(costs.client_ip)
            found["client"] = [("client", keyed(secret, "client", client.own), 1)]
            if client.wider:
                found["client"].append(("network", keyed(secret, "network", client.wider), NETWORK_FACTOR))
        host = costs.source_host and costs.source_host.lower().rstrip(".")
        if host and "source-host" in scopes:
            claimed = f"{host}\0{client_net(costs.client_ip).own}"
            found["source-host"] = [
                ("source-host", keyed(secret, "source-host", claimed), 1),
                ("claimed-host", keyed(secret, "claimed-host", host), CLAIMANTS),
            ]
        for scope, subject in (
            ("author", costs.author and costs.author.strip().casefold()),
            ("article", costs.article),
        ):
            if subject and scope in scopes:
                found[scope] = [(scope, keyed(secret, scope, subject), 1)]
        return found

    def _strictness(self, action: str) -> float:
        factor, until = self._wave
        return factor if action in _WAVE_ACTIONS and self._clock.monotonic() < until else 1.0


def policy_of(state: BucketState) -> Policy:
    """A budget as it stood, in the terms of the RateLimit header fields."""
    rate = state.bucket.rate
    return Policy(state.bucket.name, rate.count, rate.seconds, state.remaining, math.ceil(seconds_to_next(state)))


def _charges(table: LimitTable, action: str) -> Iterator[_Charge]:
    row = table.row(action)
    for limit in row.limits:
        extra = limit.rate.capacity * (OVERDRAFT - 1) if limit.shared and action in HOLDING else 0
        network = _wider_text(limit)
        key = f"{row.name}:{limit.rate.count}/{limit.rate.seconds}"
        yield _Charge(limit.scope, limit.text, network, limit.rate, extra, key)


def _wider_text(limit: Limit) -> str:
    """How the wider budget is called that goes with a limit per client, or per source host."""
    if limit.scope == "source-host":
        return Limit(_wider(limit.rate, CLAIMANTS), limit.scope).text + " of all clients"
    return Limit(_wider(limit.rate, NETWORK_FACTOR), limit.scope).text.replace("per client", "per network")


def _wider(rate: Rate, factor: int) -> Rate:
    return rate if factor == 1 else Rate(rate.count * factor, rate.seconds, rate.burst * factor)


def _without_overdraft(charge: _Charge, state: BucketState) -> BucketState:
    if not charge.extra:
        return state
    bucket = Bucket(state.bucket.name, state.bucket.key, charge.rate)
    return BucketState(bucket, max(0, state.remaining - charge.extra), state.reset)
