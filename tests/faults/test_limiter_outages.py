"""Redis dies, hangs, restarts, forgets its scripts, refuses writes or fails over: what limits do meanwhile."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel as SentinelClient

from moderate.clock import SystemClock
from moderate.errors import RateLimited, ServiceDown
from moderate.limits.local import PROBE
from moderate.limits.rates import Bucket, Rate, parse_limits
from moderate.limits.spending import Costs, Limits
from moderate.redis import RedisLimiter, connect
from tests.redis_servers import PATIENT, PausableRedis, Sentinel
from tests.servers import HOST, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moderate.limits.local import OutagePolicy
    from moderate.limits.rates import Taken

#: The name of threads that wait for the return of Redis.
PROBING = "moderate-limits"
THREE = {"comments": ["3/hour per client"]}
MANY = {"comments": ["40/hour per client"]}


@pytest.fixture
def server() -> Iterator[PausableRedis]:
    with PausableRedis() as running:
        yield running


@pytest.fixture
def limits_at() -> Iterator[Callable[..., Limits]]:
    with ExitStack() as running:
        made: list[Limits] = []

        def make(
            where: str | redis.Redis, outage: OutagePolicy = "local", table: dict[str, list[str]] = THREE
        ) -> Limits:
            limiter = RedisLimiter(running.enter_context(connect(where)) if isinstance(where, str) else where)
            running.callback(limiter.close)
            limits = Limits(parse_limits(table), limiter, secret=lambda: b"secret", clock=SystemClock(), outage=outage)
            made.append(limits)
            return limits

        yield make
        for limits in made:
            limits.close()
        # A thread whose question is under way must not find its connection closed.
        wait_until(nobody_probes)


def nobody_probes() -> bool:
    return all(thread.name != PROBING for thread in threading.enumerate())


def spend(limits: Limits, ip: str = "192.0.2.1") -> bool:
    try:
        limits.spend(Costs("comments", ip))
    except RateLimited:
        return False
    return True


def seconds_of(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_a_dead_redis_leaves_the_same_rates_in_this_process(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + PATIENT)
    assert [spend(limits) for _ in range(2)] == [True, True]
    server.kill()
    assert [spend(limits) for _ in range(5)] == [True, True, True, False, False]


def test_with_the_policy_open_nothing_is_limited_meanwhile(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + PATIENT, "open")
    server.kill()
    assert all(spend(limits) for _ in range(20))


def test_with_the_policy_closed_what_is_limited_is_refused_as_unavailable(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + PATIENT, "closed")
    assert spend(limits)
    server.kill()
    for _ in range(3):
        with pytest.raises(ServiceDown) as down:
            spend(limits)
        assert (down.value.service, down.value.code) == ("redis", "unavailable")
        assert down.value.retry_after > 0


def test_a_hanging_redis_costs_one_request_its_time_out_and_all_others_nothing(
    server: PausableRedis, limits_at: Callable[..., Limits], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = limits_at(server.url + "?socket_timeout=1&socket_connect_timeout=10", "open")
    wait_until(lambda: spend(limits) and limits.outage is None)
    server.pause()
    assert seconds_of(lambda: spend(limits)) >= 0.9
    probes = Probes(monkeypatch)
    # No request waits for a probe under way, and none asks Redis itself.
    wait_until(lambda: probes.begun == 1)
    for _ in range(20):
        assert spend(limits)
    assert probes.ended == 0
    probes.may_end.set()
    # Nor does one after a probe that has timed out.
    wait_until(lambda: spend(limits) and probes.begun >= 2)
    assert probes.others == []


class Probes:
    """Counts the questions of the thread that waits for Redis's return; the first of them lasts until `may_end`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.ended = 0
        self.may_end = threading.Event()
        #: The threads that have asked Redis besides.
        self.others: list[str] = []
        original = RedisLimiter.take

        def take(limiter: RedisLimiter, *args: Any, **options: Any) -> Taken:
            name = threading.current_thread().name
            if name != PROBING:
                self.others.append(name)
                return original(limiter, *args, **options)
            self.begun += 1
            self.may_end.wait(30)
            try:
                return original(limiter, *args, **options)
            finally:
                self.ended += 1

        monkeypatch.setattr(RedisLimiter, "take", take)


def waits_once(meet: Callable[[], object]) -> bool:
    """Return whether *meet*, which meets a hang, waits for the time-out of a quarter of a second once, and not twice.

    Any try may be slowed by other work of the machine, but none can be quicker than its time-outs.
    """
    for _ in range(20):
        taken = seconds_of(meet)
        assert taken > 0.2
        if taken < 0.45:
            return True
    return False


def test_the_one_request_that_meets_a_hang_waits_once(server: PausableRedis, limits_at: Callable[..., Limits]) -> None:
    server.pause()
    assert waits_once(lambda: spend(limits_at(server.url)))


def test_a_hosts_own_client_with_the_defaults_of_its_library_waits_no_longer_and_stays_as_it_is(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    with redis.Redis(host=HOST, port=server.port) as theirs:
        before = repr(theirs)
        limiter = RedisLimiter(theirs)
        assert limiter.advice() == ()
        server.pause()
        with pytest.raises(ServiceDown, match="no answer in time"):
            limiter.take([Bucket("a", "a", Rate(1, 60))])
        assert waits_once(lambda: spend(limits_at(theirs)))
        assert repr(theirs) == before
        limiter.close()


def test_a_redis_that_wakes_up_is_noticed_without_any_traffic(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + "?socket_timeout=1")
    server.pause()
    spend(limits)
    assert limits.outage is not None
    server.resume()
    # So the very next request is counted where all processes count.
    wait_until(lambda: limits.outage is None, within=30)


def test_a_restarted_redis_is_noticed_and_counts_again(server: PausableRedis, limits_at: Callable[..., Limits]) -> None:
    limits = limits_at(server.url + PATIENT)
    spend(limits)
    server.kill()
    spend(limits)
    server.start()
    wait_until(lambda: limits.outage is None, within=30)
    assert [spend(limits) for _ in range(4)] == [True, True, True, False]
    with server.client() as client:
        assert client.dbsize() >= 1


def test_an_outage_is_logged_and_counted_once(
    server: PausableRedis, limits_at: Callable[..., Limits], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="moderate")
    limits = limits_at(server.url + PATIENT)
    server.kill()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: spend(limits), range(40)))
    assert limits.outage is not None
    assert limits.outage.decisions == 40
    server.start()
    wait_until(lambda: limits.outage is None, within=30)
    wait_until(lambda: len(caplog.messages) == 2)
    assert limits.outages == 1
    assert "refused" in caplog.messages[0]
    assert "40 decisions were taken without it" in caplog.messages[1]


def test_a_hang_is_never_counted_twice(server: PausableRedis, limits_at: Callable[..., Limits]) -> None:
    client = connect(server.url + "?socket_timeout=1&socket_connect_timeout=10")
    limits, patient = limits_at(client), limits_at(server.url + PATIENT)
    assert spend(patient)
    # With a connection that is open, so that the command reaches the server.
    wait_until(lambda: is_answered(client))
    server.pause()
    spend(limits)
    assert limits.outage is not None
    server.resume()
    wait_until(lambda: limits.outage is None, within=30)
    # The command that timed out was carried out by the waking server, once: one is left of three.
    assert [spend(patient) for _ in range(2)] == [True, False]
    client.close()


def is_answered(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.TimeoutError:
        return False


REASONS = {
    "wrong credentials": ("--requirepass", "right"),
    "read-only replica": ("--replicaof", HOST, "1", "--replica-serve-stale-data", "yes"),
    "memory is full": ("--maxmemory", "1", "--maxmemory-policy", "noeviction"),
    "ACL": ("--user", "default", "on", "nopass", "~*", "+@all", "-evalsha"),
}


@pytest.mark.parametrize("words", REASONS)
def test_the_reason_of_an_outage_is_reported_correctly(
    words: str, limits_at: Callable[..., Limits], caplog: pytest.LogCaptureFixture
) -> None:
    with PausableRedis(*REASONS[words]) as broken:
        password = ":wrong-secret@" if words == "wrong credentials" else ""
        limits = limits_at(f"redis://{password}{HOST}:{broken.port}/0{PATIENT}")
        assert spend(limits)
        assert limits.outage is not None
        assert words in limits.outage.reason
        assert words in caplog.text
        assert "secret" not in caplog.text
        limits.close()


def test_a_refused_connection_and_an_unknown_host_are_distinguished() -> None:
    for host, words in ((f"{HOST}:{free_port()}", "refused"), ("no-such-host.invalid:6379", "could not be found")):
        with connect(f"redis://{host}/0") as client, pytest.raises(ServiceDown, match=words):
            RedisLimiter(client).take(PROBE)


def test_a_hanging_server_is_reported_as_not_answering(server: PausableRedis) -> None:
    with connect(server.url) as client:
        server.pause()
        with pytest.raises(ServiceDown, match="no answer in time"):
            RedisLimiter(client).take(PROBE)


def under_load(limits: Limits, disturb: Callable[[], None], *, threads: int = 4, least: int = 200) -> int:
    """Spend from several threads while *disturb* runs; returns how many passed. Nothing but refusals may be raised."""
    stop = threading.Event()
    passed, done = [0] * threads, [0] * threads

    def knock(number: int) -> None:
        while not stop.is_set():
            passed[number] += spend(limits)
            done[number] += 1

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(knock, number) for number in range(threads)]
        try:
            disturb()
            before = sum(done)
            wait_until(lambda: sum(done) > before + least)
        finally:
            stop.set()
        for future in running:
            future.result()
    return sum(passed)


def test_flushed_scripts_under_load_count_nothing_twice_and_let_nothing_slip(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + PATIENT, table=MANY)

    def flush_often() -> None:
        with server.client() as client:
            for _ in range(30):
                client.script_flush()

    assert under_load(limits, flush_often) == 40
    assert limits.outages == 0


def test_a_kill_and_a_restart_under_load_give_each_count_once(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + PATIENT, table=MANY)

    def restart() -> None:
        wait_until(lambda: not spend(limits))
        server.kill()
        wait_until(lambda: limits.outage is not None and limits.outage.decisions > 100)
        server.start()
        wait_until(lambda: limits.outage is None, within=30)

    # One budget before, a fresh one in this process, and a fresh one in the empty server. The thread above
    # spends from the first and does not report it.
    assert 2 * 40 <= under_load(limits, restart) <= 3 * 40


def test_a_failover_under_load_keeps_serving(limits_at: Callable[..., Limits]) -> None:
    quick = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": Retry(NoBackoff(), 0)}
    with ExitStack() as running:
        primary = running.enter_context(PausableRedis("--repl-diskless-sync-delay", "0"))
        running.enter_context(PausableRedis("--replicaof", HOST, str(primary.port)))
        watching = running.enter_context(Sentinel(primary.port))
        sentinel = SentinelClient([(HOST, watching.port)], sentinel_kwargs=quick)
        running.callback(lambda: [one.close() for one in sentinel.sentinels])
        wait_until(lambda: len(sentinel.discover_slaves("main")) == 1, within=30)
        client = running.enter_context(sentinel.master_for("main"))
        limits = limits_at(client, table=MANY)

        def fail_over() -> None:
            primary.kill()
            wait_until(lambda: limits.outage is not None)
            wait_until(lambda: limits.outage is None, within=30)

        assert 40 <= under_load(limits, fail_over) <= 2 * 40 + 40
        limits.close()


def test_a_process_forked_in_an_outage_notices_the_return_by_itself(
    server: PausableRedis, limits_at: Callable[..., Limits]
) -> None:
    limits = limits_at(server.url + PATIENT)
    server.kill()
    spend(limits)
    child = os.fork()
    if child == 0:
        # The watching thread stayed with the parent; the first decision here must start another one.
        code = 1
        try:
            # A thread of the parent may have held a lock, which no one gives back here.
            signal.alarm(60)
            spend(limits)
            wait_until(lambda: limits.outage is None, within=20)
            code = 0
        finally:
            os._exit(code)
    server.start()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
