"""The budgets that a request spends from, what follows where one is used up, and the header fields about it.

Fairness. A sender's own budgets (`client`, `author`, `source-host`) refuse: only a sender who is too fast is
refused. Shared budgets (`article`, `site`) are larger than any one sender's part, so that no sender can use them up
alone. A used-up shared budget does not refuse comments: they are accepted and held for a moderator
(`Taken.crowded`), because their writers did nothing wrong. Only at four times the shared budget are comments
refused as well, to protect the moderators' queue and the database. Pings are refused at the shared budget at once:
programs can try again, and each ping makes us fetch a page.

Clients. Only the address that the host's own proxy settings produced (`remote_addr`) is used. An IPv4 address counts
whole. An IPv6 client counts by its /64, because one subscriber has at least that much and may use a new address for
each request; a wider budget for the /48 above limits those who have many /64. Keys are keyed hashes, so that the
limiter stores no addresses.

Header fields. `RateLimit-Policy` and `RateLimit` follow draft-ietf-httpapi-ratelimit-headers-11 (May 2026): lists of
Strings with parameters (RFC 9651). `q` is the quota and `w` its window in seconds; `r` is what is left and `t` the
seconds until more becomes available. The partition key (`pk`) is never sent. `Retry-After` is in whole seconds
(RFC 9110, section 10.2.3).
"""

from __future__ import annotations

import hmac
import logging
import math
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, NamedTuple

from moderate.errors import RateLimited
from moderate.limits.local import GuardedLimiter
from moderate.limits.rates import ACTIONS, PING_ACTIONS, SECOND, Bucket, Rate, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from moderate.errors import ServiceDown
    from moderate.limits.local import Outage, OutagePolicy
    from moderate.limits.rates import Limit, LimitTable, Scope
    from moderate.ports import Clock, Limiter

_log = logging.getLogger("moderate")
_unreadable_logged = threading.Event()

#: The client that all requests without a readable address share.
UNKNOWN = "unknown"

#: Actions that are held instead of refused where a shared budget is used up.
HOLDING = frozenset({"comments"})

#: The multiple of a shared budget up to which submissions are held, and beyond which they are refused.
OVERDRAFT = 4

#: The budget of an IPv6 /48, as a multiple of that of a /64 in it.
NETWORK_FACTOR = 10

#: The budget of a source host for all clients together, as a multiple of that of one client. The host that a ping
#: comes from is only claimed: one client alone must not use up a good blog's budget. The wider one limits how often
#: many clients together can make us read one site's pages.
CLAIMANTS = 4

#: Microseconds for which a refusal of the same client, article, source host and author is not asked for again.
REMEMBERED = SECOND

_WAVE_ACTIONS = frozenset({"comments", "pings", *PING_ACTIONS})


class Costs(NamedTuple):
    """The subjects that one request is charged to: `client_ip` is the raw `remote_addr`, `author` a verified identity.

    Limits of a scope that is None here do not apply; clients without an address share one budget.
    """

    action: str
    client_ip: str | None
    article: str | None = None
    source_host: str | None = None
    author: str | None = None


#: The budgets of one limit where its scope has more than one: the subject, the size as a multiple of the limit, and
#: the words for the subject in header fields.
_BUDGETS: Mapping[Scope, tuple[tuple[str, int, str], ...]] = {
    "client": (("client", 1, "client"), ("network", NETWORK_FACTOR, "network")),
    "source-host": (("source-host", 1, "source-host"), ("claimed-host", CLAIMANTS, "source-host of all clients")),
}


class _Budget(NamedTuple):
    """One budget of an action, prepared for use: its subject, its name, the beginning of its keys, and its rates.

    `rate` is that of the settings, for `factor` senders. `most` has in addition the *extra* events up to which
    submissions are held.
    """

    subject: str
    name: str
    key: str
    limit: Limit
    factor: int
    extra: int
    rate: Rate
    most: Rate

    def stricter(self, factor: float) -> Rate:
        """Return the rate to ask the limiter for in a spam wave."""
        if self.limit.shared:
            return self.most
        rate = self.limit.rate
        capacity = max(1, int(rate.capacity / factor))
        return _times(Rate(rate.count, math.ceil(rate.seconds * factor), capacity), self.factor)


@dataclass(slots=True, eq=False)
class _Charge:
    """The budgets of one request: `asked` as the limiter counts them, `shown` as header fields show them.

    `held` has those that hold a submission: the place in the two, the name, what one event costs, and the debt above
    which the submission is held, both in microseconds. `refusal` is the limiter's last one, and when it was asked
    (monotonic seconds).
    """

    asked: tuple[Bucket, ...]
    shown: tuple[Bucket, ...]
    held: tuple[tuple[int, str, int, int], ...]
    refusal: tuple[float, Taken] | None = None


class Limits:
    """All limits of one site: call `spend` once per request, before anything expensive. Safe for threads.

    *secret* returns the key that turns addresses into bucket keys: the same in all processes of a site, and a
    different one for each site on the same Redis.
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
        #: The factor by which senders' own budgets are smaller, and until when (monotonic seconds).
        self._wave = (1.0, 0.0)
        self._budgets = {action: tuple(_budgets(table, action)) for action in ACTIONS}
        #: When the limiter last refused a request (monotonic seconds).
        self._last_refusal = -math.inf
        # Cached, because a client that sends much is looked up as often, and a flood should cost little.
        self._charge = lru_cache(maxsize=1024)(self._make_charge)

    def spend(self, costs: Costs) -> Taken:
        """Charge a request to all its budgets, or to none.

        Raises `RateLimited` where a budget is used up, and `ServiceDown` where the limiter is down
        under the policy `closed`. The answer names in `crowded` the shared budgets that are used up:
        hold such a submission.
        """
        return self._take(costs, spend=True)

    def spend_of_article(self, action: str, article: str) -> Taken:
        """Charge an *article*'s budgets for *action* alone. Raises as `spend` does."""
        return self._take(Costs(action, None, article=article), only="article", spend=True)

    def look(self, costs: Costs) -> Taken:
        """Ask whether `spend` would pass, and spend nothing; for actions charged only on failure (a sign-in)."""
        return self._take(costs, spend=False)

    def tighten(self, factor: float, seconds: float) -> None:
        """Shrink senders' own budgets for comments and pings by *factor* for some seconds, against a spam wave.

        Holds in this process; a later call replaces an earlier one, and a factor of 1 ends it.
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
        """The number of outages of the limiter that this process has seen."""
        return self._guard.outages

    def close(self) -> None:
        """Stop the thread that waits for the limiter's return."""
        self._guard.close()

    def refuse_again(self, costs: Costs) -> None:
        """Raise the `RateLimited` that a request with these *costs* met less than a second ago, if any.

        Asks no limiter. A request that names more than these costs would be refused as well.
        """
        now = self._clock.monotonic()
        if (now - self._last_refusal) * SECOND >= REMEMBERED or self._guard.outage is not None:
            return
        charge = self._charge_of(costs, now)
        taken = _remembered(charge, now)
        if taken is not None:
            raise _refused(charge, taken)

    def _take(self, costs: Costs, *, spend: bool, only: str | None = None) -> Taken:
        if not self._budgets[costs.action]:
            return Taken(0.0)
        now = self._clock.monotonic()
        charge = self._charge_of(costs, now, only)
        if not charge.asked:
            return Taken(0.0)
        # In an outage its policy decides each time; the answer may be of an outage that began, or has just ended.
        was_down = self._guard.outage is not None
        taken = None if was_down else _remembered(charge, now)
        if taken is None:
            taken = self._guard.take(charge.asked, spend=spend)
            is_kept = taken.wait > 0 and not was_down and self._guard.outage is None
            charge.refusal = (now, taken) if is_kept else None
            if is_kept:
                self._last_refusal = now
        if taken.wait > 0:
            raise _refused(charge, taken)
        debts = taken.debts
        if not debts:
            return taken
        # A request that is only looked at is not yet counted.
        crowded = [name for at, name, cost, most in charge.held if debts[at] + (0 if spend else cost) > most]
        return Taken(taken.wait, charge.shown, debts, tuple(crowded))

    def _charge_of(self, costs: Costs, now: float, only: str | None = None) -> _Charge:
        strictness, until = self._wave
        is_wave = now < until and costs.action in _WAVE_ACTIONS
        return self._charge(costs, self._secret(), strictness if is_wave else None, only)

    def _make_charge(self, costs: Costs, secret: bytes, strictness: float | None, only: str | None) -> _Charge:
        """Return the budgets that a request spends from, those of the subject *only* where it is not None.

        *strictness* is the factor of a spam wave.
        """
        budgets = self._budgets[costs.action]
        subjects = {only: costs.article} if only else _subjects(costs) if budgets else {}
        asked: list[Bucket] = []
        shown: list[Bucket] = []
        held: list[tuple[int, str, int, int]] = []
        for budget in budgets:
            subject = subjects.get(budget.subject)
            if subject is None:
                continue
            rate = budget.most if strictness is None else budget.stricter(strictness)
            bucket = Bucket(budget.name, f"{budget.key}:{keyed(secret, budget.subject, subject)}", rate)
            if budget.extra:
                held.append((len(asked), budget.name, budget.rate.interval, budget.rate.span))
            asked.append(bucket)
            shown.append(bucket._replace(rate=budget.rate) if budget.extra else bucket)
        return _Charge(tuple(asked), tuple(shown), tuple(held))


def _refused(charge: _Charge, taken: Taken) -> RateLimited:
    return RateLimited(taken.wait, Taken(taken.wait, charge.shown, taken.debts).policies)


def _remembered(charge: _Charge, now: float) -> Taken | None:
    """Return the last refusal as it is *now*, None where it is over, or where the limiter has to be asked again.

    A refusal spends nothing, so that the budget that is used up lets nothing through sooner than it said. The shared
    budgets beside it may have been spent from since, and the limiter may have lost its counts.
    """
    # Read once: other threads write it.
    refusal = charge.refusal
    if refusal is None:
        return None
    at, taken = refusal
    # In whole microseconds, as limiters count.
    past, wait = int(now * SECOND) - int(at * SECOND), round(taken.wait * SECOND)
    if past >= min(wait, REMEMBERED):
        return None
    debts = [max(0, debt - past) for debt in taken.debts]
    return taken._replace(wait=(wait - past) / SECOND, debts=debts)


def _subjects(costs: Costs) -> Mapping[str, str | None]:
    """Return a request's subjects, in plain text: who sends it, and what it is about."""
    client = client_net(costs.client_ip)
    host = (costs.source_host or "").lower().rstrip(".") or None
    return {
        "client": client.own,
        "network": client.wider,
        "source-host": f"{host}\0{client.own}" if host else None,
        "claimed-host": host,
        "author": (costs.author or "").strip().casefold() or None,
        "article": costs.article or None,
        "site": "",
    }


def _budgets(table: LimitTable, action: str) -> Iterator[_Budget]:
    row = table.row(action)
    for limit in row.limits:
        extra = limit.rate.capacity * (OVERDRAFT - 1) if limit.shared and action in HOLDING else 0
        for subject, factor, words in _BUDGETS.get(limit.scope, ((limit.scope, 1, limit.scope),)):
            rate = _times(limit.rate, factor)
            key = f"{row.name}:{limit.rate.count}/{limit.rate.seconds}:{subject}"
            most = Rate(rate.count, rate.seconds, rate.capacity + extra) if extra else rate
            yield _Budget(subject, f"{rate.text} per {words}", key, limit, factor, extra, rate, most)


def _times(rate: Rate, factor: int) -> Rate:
    return Rate(rate.count * factor, rate.seconds, rate.burst * factor)


# --- clients --------------------------------------------------------------------------------------


class ClientNet(NamedTuple):
    """A client as limits see it: its own address or /64, and for IPv6 the /48 around it."""

    own: str
    wider: str | None = None


@lru_cache(maxsize=1024)
def client_net(remote_addr: str | None) -> ClientNet:
    """Return the client of *remote_addr*. Unreadable addresses share one client, and are logged once per process."""
    try:
        address = ip_address((remote_addr or "").partition("%")[0])
    except ValueError:
        if not _unreadable_logged.is_set():
            _unreadable_logged.set()
            _log.warning(
                "The client address %.60r cannot be read; all such clients share one limit. "
                "Behind a proxy or a unix socket, let werkzeug's ProxyFix set the address.",
                remote_addr,
            )
        return ClientNet(UNKNOWN)
    # ::ffff:192.0.2.1 is what a dual-stack socket calls 192.0.2.1 (RFC 4291, section 2.5.5.2).
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if isinstance(address, IPv4Address):
        return ClientNet(str(address))
    return ClientNet(str(IPv6Network((address, 64), strict=False)), str(IPv6Network((address, 48), strict=False)))


def key_of(secret: bytes, scope: str, subject: str) -> str:
    """Return a key for *subject* that only a holder of *secret* can compute: 96 bits of HMAC-SHA256, as text."""
    digest = hmac.digest(secret, f"{scope}\0{subject}".encode("utf-8", "surrogatepass"), "sha256")
    return urlsafe_b64encode(digest[:12]).decode("ascii")


# Most requests are about few articles, and all about one site.
keyed = lru_cache(maxsize=1024)(key_of)


# --- header fields --------------------------------------------------------------------------------


def retry_after_seconds(refusal: RateLimited | ServiceDown) -> int:
    """Return the whole seconds after which one more request passes: rounded up, at least 1."""
    return max(1, math.ceil(refusal.retry_after))


def ratelimit_headers(answer: RateLimited | Taken) -> list[tuple[str, str]]:
    """Return the fields for a refusal (with Retry-After) or for a passed request; empty where nothing was limited."""
    fields = [("Retry-After", str(retry_after_seconds(answer)))] if isinstance(answer, RateLimited) else []
    policies = answer.policies
    if policies:
        # `t` is optional, and left out where the budget is full: there is nothing to wait for.
        left = [f'"{each.name}";r={each.remaining}' + (f";t={each.reset}" if each.reset else "") for each in policies]
        quotas = [f'"{each.name}";q={each.quota};w={each.window}' for each in policies]
        fields += [("RateLimit-Policy", ", ".join(quotas)), ("RateLimit", ", ".join(left))]
    return fields
