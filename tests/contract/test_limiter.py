"""The contract of every limiter, tested with the one in this process and the one in Redis."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moderate.limits.local import LocalLimiter
from moderate.limits.rates import SECOND, Bucket, Rate
from moderate.redis import RedisLimiter, connect
from moderate.testing import ManualClock
from tests.redis_servers import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from moderate.ports import Limiter

#: Real time that may pass on the server's own clock during one example, in seconds.
SLACK = 4.0


class Local:
    """The limiter in this process, under a clock that is moved."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.limiter: Limiter = LocalLimiter(self.clock)

    def forward(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)

    def reset(self) -> None:
        self.__init__()


class InRedis:
    """The limiter in Redis. Its clock is the server's and cannot be moved; so the stored moments are.

    A budget is nothing but the moment at which it is full again. Moving all of these back, and their expiry
    with them, is the same as moving the clock forward; the script stays as it is.
    """

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.limiter: Limiter = RedisLimiter(client)

    def forward(self, seconds: float) -> None:
        for key in self.client.scan_iter():
            left = self.client.pttl(key) - int(seconds * 1000)
            moment = int(self.client.get(key)) - int(seconds * 1_000_000)
            if left <= 0:
                self.client.delete(key)
            else:
                self.client.set(key, moment, px=left)

    def reset(self) -> None:
        self.client.flushall()


@pytest.fixture(params=["local", "redis"])
def counted(request: pytest.FixtureRequest) -> Iterator[Local | InRedis]:
    if request.param == "local":
        yield Local()
        return
    with connect(request.getfixturevalue("redis_url") + PATIENT) as client:
        yield InRedis(client)


def bucket(key: str, count: int, seconds: int, burst: int = 0) -> Bucket:
    return Bucket(key, key, Rate(count, seconds, burst))


def passes(limiter: Limiter, *buckets: Bucket) -> int:
    """Return how many pass before the first refusal."""
    done = 0
    while limiter.take(buckets).passed:
        done += 1
    return done


def test_exactly_the_limit_passes_at_once(counted: Local | InRedis) -> None:
    assert passes(counted.limiter, bucket("a", 5, 3600)) == 5


def test_a_burst_limits_the_number_that_passes_at_once(counted: Local | InRedis) -> None:
    assert passes(counted.limiter, bucket("a", 20, 3600, burst=3)) == 3


def test_one_more_passes_after_one_interval_and_not_before(counted: Local | InRedis) -> None:
    asked = bucket("a", 6, 3600)
    passes(counted.limiter, asked)
    counted.forward(600 - SLACK)
    assert not counted.limiter.take([asked]).passed
    counted.forward(SLACK)
    assert passes(counted.limiter, asked) == 1


def test_the_reported_wait_ends_when_one_more_passes(counted: Local | InRedis) -> None:
    asked = bucket("a", 6, 3600)
    passes(counted.limiter, asked)
    taken = counted.limiter.take([asked])
    assert taken.wait == pytest.approx(600, abs=SLACK)
    assert taken.policies[0].reset == math.ceil(taken.wait)
    counted.forward(taken.wait)
    assert counted.limiter.take([asked]).passed


def test_a_refusal_by_one_bucket_charges_no_other(counted: Local | InRedis) -> None:
    wide, narrow = bucket("wide", 10, 3600), bucket("narrow", 2, 3600)
    assert passes(counted.limiter, wide, narrow) == 2
    for _ in range(20):
        assert not counted.limiter.take([wide, narrow]).passed
    assert passes(counted.limiter, wide) == 8


def test_refused_requests_do_not_delay_later_ones(counted: Local | InRedis) -> None:
    asked = bucket("a", 6, 3600)
    passes(counted.limiter, asked)
    for _ in range(60):
        counted.forward(10)
        if counted.limiter.take([asked]).passed:
            break
    else:
        pytest.fail("still refused after an interval of knocking")


def test_the_longest_wait_of_several_buckets_is_reported(counted: Local | InRedis) -> None:
    quick, slow = bucket("quick", 1, 60), bucket("slow", 1, 3600)
    counted.limiter.take([quick, slow])
    assert counted.limiter.take([quick, slow]).wait == pytest.approx(3600, abs=SLACK)


def test_peeking_charges_nothing_and_agrees_with_spending(counted: Local | InRedis) -> None:
    asked = bucket("a", 2, 3600)
    for _ in range(5):
        looked = counted.limiter.take([asked], spend=False)
        assert (looked.passed, looked.policies[0].remaining) == (True, 2)
    passes(counted.limiter, asked)
    assert not counted.limiter.take([asked], spend=False).passed


def test_the_remaining_budget_and_its_time_of_renewal_are_reported(counted: Local | InRedis) -> None:
    asked = bucket("a", 4, 3600)
    counted.limiter.take([asked])
    taken = counted.limiter.take([asked])
    assert taken.policies[0].remaining == 2
    assert taken.debts[0] / SECOND == pytest.approx(1800, abs=SLACK)


def test_a_stricter_rate_on_the_same_key_never_causes_a_wait_beyond_one_budget(
    counted: Local | InRedis,
) -> None:
    passes(counted.limiter, bucket("a", 100, 360_000))
    assert counted.limiter.take([bucket("a", 1, 60)]).wait <= 60


def test_an_empty_list_of_buckets_is_no_limit(counted: Local | InRedis) -> None:
    assert counted.limiter.take([]).passed


def test_concurrent_threads_together_get_exactly_the_limit(counted: Local | InRedis) -> None:
    for turn in range(5):
        asked = [bucket(f"a{turn}", 17, 36_000), bucket(f"b{turn}", 1000, 36_000)]
        start = threading.Barrier(4)

        def knock(asked: list[Bucket] = asked, start: threading.Barrier = start) -> int:
            start.wait()
            return sum(counted.limiter.take(asked).passed for _ in range(15))

        with ThreadPoolExecutor(4) as pool:
            got = sum(future.result() for future in [pool.submit(knock) for _ in range(4)])
        assert got == 17
        assert passes(counted.limiter, asked[1]) == 1000 - 17


class Model:
    """The algorithm said another way: how many seconds of debt each budget has."""

    def __init__(self) -> None:
        self.debts: dict[str, float] = {}

    def forward(self, seconds: float) -> None:
        self.debts = {key: max(0, debt - seconds) for key, debt in self.debts.items()}

    def take(self, buckets: list[Bucket]) -> float:
        waits = [0.0]
        for asked in buckets:
            interval = asked.rate.seconds / asked.rate.count
            waits.append(self.debts.get(asked.key, 0) + interval - asked.rate.capacity * interval)
        if max(waits) <= 0:
            for asked in buckets:
                self.debts[asked.key] = self.debts.get(asked.key, 0) + asked.rate.seconds / asked.rate.count
        return max(waits)


# All intervals and steps are multiples of ten seconds. Real time that passes on the server within one example
# is far less and only ever makes a debt smaller, so it can change no decision.
BUDGETS = [bucket("p", 6, 60), bucket("q", 2, 120, burst=4), bucket("r", 9, 270, burst=1), bucket("s", 1, 600)]
STEPS = st.lists(
    st.one_of(
        st.sampled_from([10.0, 20.0, 30.0, 60.0, 600.0]),
        st.lists(st.sampled_from(BUDGETS), min_size=1, max_size=4, unique_by=lambda asked: asked.key),
    ),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_limiter_agrees_with_the_model(counted: Local | InRedis, steps: list[float | list[Bucket]]) -> None:
    counted.reset()
    model = Model()
    for step in steps:
        if isinstance(step, float):
            counted.forward(step)
            model.forward(step)
            continue
        expected = model.take(step)
        taken = counted.limiter.take(step)
        assert taken.passed == (expected <= 0)
        assert taken.wait == pytest.approx(max(0, expected), abs=SLACK)
