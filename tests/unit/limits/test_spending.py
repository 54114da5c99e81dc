"""The budgets that a request spends from, the protection of shared budgets, and the header fields."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.errors import RateLimited, ServiceDown
from moderate.limits import spending
from moderate.limits.local import LocalLimiter
from moderate.limits.rates import DEFAULT_LIMITS, Bucket, Rate, Taken, parse_limits
from moderate.limits.spending import (
    CLAIMANTS,
    NETWORK_FACTOR,
    OVERDRAFT,
    Costs,
    Limits,
    client_net,
    ratelimit_headers,
    retry_after_seconds,
)
from moderate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def limits_of(clock: ManualClock, **rows: list[str]) -> Limits:
    return Limits(parse_limits(rows), LocalLimiter(clock), secret=lambda: b"secret", clock=clock)


def passes(limits: Limits, costs: Costs, tries: int = 1000) -> int:
    """Return how many of *tries* pass, including those after a refusal."""
    done = 0
    for _ in range(tries):
        try:
            limits.spend(costs)
        except RateLimited:
            continue
        done += 1
    return done


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_an_empty_table_limits_nothing_and_calls_no_limiter(clock: ManualClock) -> None:
    limits = Limits(parse_limits({}), Unasked(), secret=lambda: b"secret", clock=clock)
    limits.tighten(50, 3600)
    assert limits.spend(Costs("comments", "192.0.2.1")) == Taken(0.0)


class Unasked:
    """A limiter that must not be asked."""

    def take(self, buckets: object, *, spend: bool = True) -> Taken:
        raise AssertionError("asked")


def test_each_client_has_a_budget_of_its_own(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["5/minute per client"])
    assert passes(limits, Costs("comments", "192.0.2.1")) == 5
    assert passes(limits, Costs("comments", "192.0.2.2")) == 5


def test_the_addresses_of_an_ipv6_64_share_a_budget_and_those_of_a_48_a_larger_one(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["5/minute per client"])
    assert sum(passes(limits, Costs("comments", f"2001:db8::{n:x}"), 2) for n in range(1, 20)) == 5
    own_48 = [Costs("comments", f"2001:db8:7:{n:x}::1") for n in range(100)]
    assert sum(passes(limits, costs, 9) for costs in own_48) == 5 * NETWORK_FACTOR


def test_requests_without_a_readable_address_share_one_budget(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["5/minute per client"])
    assert sum(passes(limits, Costs("comments", address), 5) for address in ("", "unix:", "1.2.3.4:80")) == 5


def test_a_scope_missing_from_a_request_does_not_limit_it(clock: ManualClock) -> None:
    limits = limits_of(clock, pings=["1/hour per source-host", "1/hour per author", "2/hour per article"])
    assert passes(limits, Costs("trackback", "192.0.2.1")) == 1000


def test_names_of_hosts_and_authors_count_alike_in_every_spelling(clock: ManualClock) -> None:
    limits = limits_of(clock, pings=["2/hour per source-host"], comments=["2/hour per author"])
    for host in ("Blog.Example", "blog.example."):
        limits.spend(Costs("webmention", "192.0.2.1", source_host=host))
    assert passes(limits, Costs("webmention", "192.0.2.1", source_host="blog.example")) == 0
    limits.spend(Costs("comments", "192.0.2.1", author=" Jo "))
    assert passes(limits, Costs("comments", "192.0.2.9", author="jo")) == 1


def test_a_false_claim_to_be_a_blog_does_not_use_up_its_budget(clock: ManualClock) -> None:
    limits = limits_of(clock, pings=["5/minute per source-host"])
    assert passes(limits, Costs("webmention", "192.0.2.66", source_host="blog.example"), 99) == 5
    assert passes(limits, Costs("webmention", "192.0.2.1", source_host="blog.example"), 99) == 5
    # A crowd has a bound all the same, for each ping makes us read that blog's pages.
    crowd = [Costs("webmention", f"198.51.100.{n}", source_host="blog.example") for n in range(99)]
    assert sum(passes(limits, costs, 9) for costs in crowd) == 5 * CLAIMANTS - 10


def test_the_three_protocols_share_the_budget_of_pings(clock: ManualClock) -> None:
    limits = limits_of(clock, pings=["3/hour per source-host"])
    for action in ("trackback", "pingback", "webmention"):
        limits.spend(Costs(action, "192.0.2.1", source_host="blog.example"))
    with pytest.raises(RateLimited):
        limits.spend(Costs("trackback", "192.0.2.1", source_host="blog.example"))


def test_an_article_can_be_charged_alone(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["1/hour per client", "2/hour per article", "1/hour per site"])
    crowded = [limits.spend_of_article("comments", "a").crowded for _ in range(3)]
    assert crowded == [(), (), ("2/hour per article",)]
    assert limits.spend(Costs("comments", "", article="b")).crowded == ()


def test_to_charge_an_article_or_no_budget_says_nothing_about_client_addresses(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning comes once: a false one would send the operator after a proxy, and hide a true one."""
    spending._unreadable_logged.clear()
    client_net.cache_clear()
    limits_of(clock, webmention=["1/hour per article"]).spend_of_article("webmention", "a")
    limits_of(clock).spend(Costs("webmention", ""))
    limits_of(clock).look(Costs("moderation", ""))
    assert caplog.messages == []


def test_an_unknown_action_raises_an_error(clock: ManualClock) -> None:
    with pytest.raises(KeyError):
        limits_of(clock).spend(Costs("commments", "192.0.2.1"))


def test_one_sender_cannot_use_up_a_shared_budget(clock: ManualClock) -> None:
    limits = Limits(parse_limits(DEFAULT_LIMITS), LocalLimiter(clock), secret=lambda: b"secret", clock=clock)
    for _ in range(120):
        passes(limits, Costs("comments", "192.0.2.1", article="a"), 10)
        passes(limits, Costs("trackback", "192.0.2.1", article="a", source_host="evil.example"), 10)
        clock.advance(seconds=30)
    assert limits.spend(Costs("comments", "192.0.2.9", article="a")).crowded == ()
    assert limits.spend(Costs("trackback", "192.0.2.9", article="a", source_host="blog.example")).passed


def test_comments_beyond_a_shared_budget_are_held_and_far_beyond_it_refused(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["10/hour per article"])
    costs = Costs("comments", "192.0.2.1", article="a")
    crowded = [limits.spend(costs).crowded for _ in range(10 * OVERDRAFT)]
    assert crowded == [()] * 10 + [("10/hour per article",)] * (10 * OVERDRAFT - 10)
    with pytest.raises(RateLimited):
        limits.spend(costs)
    assert limits.spend(Costs("comments", "192.0.2.1", article="another")).crowded == ()


def test_peeking_agrees_with_spending_for_a_shared_budget(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["2/hour per article"])
    costs = Costs("comments", "192.0.2.1", article="a")
    for _ in range(2 * OVERDRAFT):
        foreseen = limits.look(costs).crowded
        assert limits.spend(costs).crowded == foreseen


def test_pings_beyond_a_shared_budget_are_refused(clock: ManualClock) -> None:
    limits = limits_of(clock, pings=["10/hour per article"])
    assert passes(limits, Costs("trackback", "192.0.2.1", article="a")) == 10


def test_failed_sign_ins_are_checked_before_and_charged_after_the_attempt(clock: ManualClock) -> None:
    limits = limits_of(clock, moderation=["2/hour per client"])
    costs = Costs("moderation", "192.0.2.1")
    for _ in range(2):
        limits.look(costs)
        limits.spend(costs)
    with pytest.raises(RateLimited):
        limits.look(costs)


def test_a_spam_wave_tightens_the_limits_of_each_sender_for_a_while(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["10/hour per client", "100/hour per article"], previews=["10/hour per client"])
    limits.tighten(5, seconds=600)
    costs = Costs("comments", "192.0.2.1", article="a")
    assert passes(limits, costs, 3) == 2
    with pytest.raises(RateLimited) as refused:
        limits.spend(costs)
    assert refused.value.retry_after == pytest.approx(5 * 360)
    assert passes(limits, Costs("previews", "192.0.2.1")) == 10
    clock.advance(seconds=600)
    assert passes(limits, Costs("comments", "192.0.2.2", article="a")) == 10


def test_a_spam_wave_leaves_shared_budgets_as_they_are(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["20/hour per article"], pings=["20/hour per site"])
    limits.tighten(5, seconds=600)
    assert [limits.spend(Costs("comments", "192.0.2.1", article="a")).crowded for _ in range(20)] == [()] * 20
    assert passes(limits, Costs("trackback", "192.0.2.1")) == 20


@pytest.mark.parametrize("factor", [0, 0.5, 101, float("nan")])
def test_tightening_by_a_factor_outside_1_to_100_is_refused(clock: ManualClock, factor: float) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        limits_of(clock).tighten(factor, 60)


def test_a_refusal_has_retry_after_in_whole_seconds_and_names_all_limits(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["2/minute per client", "7/hour burst 3 per client"])
    costs = Costs("comments", "192.0.2.1")
    limits.spend(costs)
    clock.advance(seconds=0.5)
    limits.spend(costs)
    with pytest.raises(RateLimited) as refused:
        limits.spend(costs)
    assert refused.value.retry_after == pytest.approx(29.5)
    assert dict(ratelimit_headers(refused.value)) == {
        "Retry-After": "30",
        "RateLimit-Policy": '"2/minute per client";q=2;w=60, "7/hour burst 3 per client";q=7;w=3600',
        "RateLimit": '"2/minute per client";r=0;t=30, "7/hour burst 3 per client";r=1;t=514',
    }
    clock.advance(seconds=29.5)
    assert limits.spend(costs).passed


def test_an_accepted_request_has_the_limit_fields_without_retry_after(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["10/hour per article"])
    costs = Costs("comments", "192.0.2.1", article="a")
    assert ratelimit_headers(limits.spend(costs)) == [
        ("RateLimit-Policy", '"10/hour per article";q=10;w=3600'),
        ("RateLimit", '"10/hour per article";r=9;t=360'),
    ]
    for _ in range(12):
        taken = limits.spend(costs)
    assert dict(ratelimit_headers(taken))["RateLimit"] == '"10/hour per article";r=0;t=1440'


def test_an_unused_budget_has_no_waiting_time(clock: ManualClock) -> None:
    limits = limits_of(clock, comments=["10/hour per client"])
    looked = limits.look(Costs("comments", "192.0.2.1"))
    assert dict(ratelimit_headers(looked))["RateLimit"] == '"10/hour per client";r=10'


def test_no_header_fields_are_sent_without_limits() -> None:
    assert ratelimit_headers(Taken(0.0)) == []


@pytest.mark.parametrize(("wait", "seconds"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (59.9, 60)])
def test_retry_after_is_rounded_up_and_never_zero(wait: float, seconds: int) -> None:
    assert retry_after_seconds(RateLimited(wait)) == seconds
    assert retry_after_seconds(ServiceDown("redis", retry_after=wait)) == seconds


class Counting:
    """A limiter that counts how often it is asked."""

    def __init__(self, clock: ManualClock) -> None:
        self.limiter, self.asked = LocalLimiter(clock), 0

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        self.asked += 1
        return self.limiter.take(buckets, spend=spend)


def test_a_flood_of_refused_requests_asks_the_limiter_once_a_second(clock: ManualClock) -> None:
    counting = Counting(clock)
    limits = Limits(parse_limits({"comments": ["2/minute per client"]}), counting, secret=bytes, clock=clock)
    costs = Costs("comments", "192.0.2.1")
    for _ in range(2):
        limits.spend(costs)
    for past in range(40):
        with pytest.raises(RateLimited) as refused:
            limits.spend(costs)
        assert refused.value.retry_after == pytest.approx(30 - past / 8)
        assert dict(ratelimit_headers(refused.value))["RateLimit"].endswith(f"r=0;t={math.ceil(30 - past / 8)}")
        clock.advance(seconds=1 / 8)
    assert counting.asked == 2 + 5
    with pytest.raises(RateLimited):
        limits.look(costs)
    assert limits.spend(Costs("comments", "192.0.2.2")).passed


@given(
    st.lists(st.tuples(st.integers(0, 900), st.sampled_from("aab"), st.sampled_from([True, True, False])), max_size=60)
)
def test_what_is_remembered_of_refusals_changes_no_answer(steps: list[tuple[int, str, bool]]) -> None:
    clock = ManualClock()
    table = parse_limits({"comments": ["2/second per client", "99/minute per client", "9/minute per article"]})
    sides = [Limits(table, LocalLimiter(clock), secret=bytes, clock=clock) for _ in range(2)]
    for pause, client, spend in steps:
        clock.advance(seconds=pause / 1000)
        costs = Costs("comments", f"192.0.2.{ord(client)}", article="a")
        # The same budgets, but a charge that no one has been refused with.
        sides[1]._charge.cache_clear()
        answers = [answer_of(limits.spend if spend else limits.look, costs) for limits in sides]
        assert answers[0][0] == pytest.approx(answers[1][0], abs=1e-9)
        assert answers[0][1] == answers[1][1]


def answer_of(ask: Callable[[Costs], Taken], costs: Costs) -> tuple[float, tuple[str, ...]]:
    try:
        return 0, ask(costs).crowded
    except RateLimited as refused:
        return refused.retry_after, ()


def test_the_memory_of_the_in_process_limiter_is_bounded(clock: ManualClock) -> None:
    limiter = LocalLimiter(clock, max_buckets=100)
    keeper = Bucket("keeper", "keeper", Rate(1000, 3600))
    for number in range(1000):
        limiter.take([Bucket("b", str(number), Rate(5, 3600)), keeper])
    assert len(limiter) == 100
    # What is spent from again and again is not what is forgotten.
    assert limiter.take([keeper]).passed is False


def test_full_budgets_are_removed_from_memory(clock: ManualClock) -> None:
    limiter = LocalLimiter(clock)
    for number in range(50):
        limiter.take([Bucket("b", str(number), Rate(5, 60))])
    clock.advance(minutes=2)
    for number in range(50):
        limiter.take([Bucket("b", f"later {number}", Rate(5, 60))])
    assert len(limiter) == 50
