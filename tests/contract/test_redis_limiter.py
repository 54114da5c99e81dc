"""The contract of the limiter in Redis alone: one command, keys that expire, any kind of client."""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster as ClusterClient
from redis.retry import Retry

from moderate.clock import SystemClock
from moderate.limits.local import PROBE
from moderate.limits.rates import SECOND, Bucket, Rate, parse_limits
from moderate.limits.spending import Costs, Limits
from moderate.redis import RedisLimiter, connect
from tests.redis_servers import PATIENT, PausableRedis, RedisCluster, monitored
from tests.servers import HOST, Redis, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUR = [Bucket(f"limit {n}", f"limit:{n}", Rate(100 * n, 3600)) for n in (1, 2, 3, 4)]

TABLE = {"comments": ["5/minute per client", "30/hour per client", "60/minute per article", "300/minute per site"]}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url + PATIENT) as client:
        yield client


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as nodes:
        yield nodes


def limits(client: redis.Redis) -> Limits:
    return Limits(parse_limits(TABLE), RedisLimiter(client), secret=lambda: b"secret", clock=SystemClock())


def test_one_decision_is_one_command_for_any_number_of_limits(client: redis.Redis, redis_url: str) -> None:
    limiter = RedisLimiter(client)
    limiter.take(FOUR)
    with redis.Redis.from_url(redis_url) as watcher, monitored(watcher) as commands:
        for size in (1, 2, 3, 4):
            limiter.take(FOUR[:size])
    assert [command.split()[0] for command in commands] == ["EVALSHA"] * 4


def test_a_submission_with_four_limits_and_an_ipv6_client_is_one_command(client: redis.Redis, redis_url: str) -> None:
    spending = limits(client)
    spending.spend(Costs("comments", "2001:db8::1", article="a"))
    with redis.Redis.from_url(redis_url) as watcher, monitored(watcher) as commands:
        spending.spend(Costs("comments", "2001:db8::1", article="a"))
    assert [command.split()[0] for command in commands] == ["EVALSHA"]


def test_every_key_expires_when_its_budget_is_full(client: redis.Redis) -> None:
    taken = RedisLimiter(client).take(FOUR)
    for bucket, debt in zip(taken.buckets, taken.debts, strict=True):
        left = client.pttl("{moderate}:" + bucket.key) / 1000
        assert debt / SECOND - 5 <= left <= debt / SECOND + 1.1


def test_a_refusal_writes_nothing(client: redis.Redis) -> None:
    limiter, asked = RedisLimiter(client), [Bucket("a", "a", Rate(1, 3600)), Bucket("b", "b", Rate(9, 3600))]
    limiter.take(asked)
    before = {key: client.get(key) for key in client.scan_iter()}
    assert not limiter.take(asked).passed
    assert {key: client.get(key) for key in client.scan_iter()} == before


def test_keys_hold_no_readable_address_host_or_article(client: redis.Redis) -> None:
    table = parse_limits(
        {"pings": [f"5/minute per {scope}" for scope in ("client", "article", "source-host", "author")]}
    )
    spending = Limits(table, RedisLimiter(client), secret=lambda: b"secret", clock=SystemClock())
    spending.spend(Costs("trackback", "203.0.113.77", "my-article", "blog.example", "jo@example.org"))
    keys = b" ".join(client.keys())
    # One for each scope, and a second one for the source host, which all clients share.
    assert len(client.keys()) == 5
    for plain in (b"203.0", b"my-article", b"blog", b"jo@"):
        assert plain not in keys


def test_a_flushed_script_is_reloaded_without_counting_twice(client: redis.Redis) -> None:
    limiter, asked = RedisLimiter(client), [Bucket("a", "a", Rate(5, 3600))]
    for left in (4, 3, 2):
        client.script_flush()
        assert limiter.take(asked).policies[0].remaining == left


def test_a_client_that_decodes_responses_works(redis_url: str) -> None:
    patient = {"retry": Retry(NoBackoff(), 0), "decode_responses": True}
    with redis.Redis.from_url(redis_url + PATIENT, **patient) as client:
        assert RedisLimiter(client).take(FOUR).passed


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocol_versions_of_redis_work(redis_url: str, protocol: int) -> None:
    with connect(f"{redis_url}{PATIENT}&protocol={protocol}") as client:
        assert RedisLimiter(client).take(FOUR).policies[3].remaining == 399


def test_a_unix_socket_works_and_is_described() -> None:
    with PausableRedis() as server, connect(f"unix://{server.socket_path}{PATIENT}") as client:
        limiter = RedisLimiter(client)
        assert limiter.take(FOUR).passed
        assert str(server.socket_path) in limiter.describe()


def test_the_description_names_the_server_and_never_the_password() -> None:
    with PausableRedis("--requirepass", "s3cret") as server:
        with connect(f"redis://:s3cret@{HOST}:{server.port}/0{PATIENT}") as client:
            text = RedisLimiter(client).describe()
        assert f"at {HOST}:{server.port}/0" in text
        assert text.startswith("Redis ")
        assert "s3cret" not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("It keeps nothing on disk",)),
        (("--maxmemory", "100mb"), ("When its memory is full it refuses writes (noeviction)",)),
        (
            ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            ("When its memory is full it evicts counts of limits (allkeys-lru)",),
        ),
        (("--maxmemory", "1100000", "--maxmemory-policy", "allkeys-lru"), ("Warning: its memory is nearly full",)),
        (("--appendonly", "yes"), ()),
    ],
)
def test_the_consequences_of_full_memory_and_a_restart_are_reported(
    options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with Redis(*options) as server, connect(server.url + PATIENT) as client:
        limiter = RedisLimiter(client)
        limiter.take(FOUR)
        said = " ".join(limiter.remarks())
        assert all(word in said for word in words)
        assert ("nothing on disk" in said) == ("--appendonly" not in options)


def test_a_failed_write_to_disk_is_reported() -> None:
    with Redis() as server, connect(server.url + PATIENT) as client:
        client.set("k", "v")
        # Nothing can be saved in a folder that is gone.
        shutil.rmtree(server.folder)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert "Warning: its last write to disk failed" in " ".join(RedisLimiter(client).remarks())


def test_a_user_without_rights_gets_no_report() -> None:
    with Redis("--maxmemory", "100mb") as server:
        with redis.Redis.from_url(server.url) as admin:
            admin.execute_command("ACL", "SETUSER", "limits", "on", ">pw", "~{moderate}:*", "+evalsha")
        with connect(server.url.replace("redis://", "redis://limits:pw@") + PATIENT) as client:
            assert RedisLimiter(client).remarks() == ()


def test_another_url_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="redis://"):
        connect("http://127.0.0.1/")


def test_prefixes_keep_two_sites_apart(client: redis.Redis) -> None:
    asked = [Bucket("a", "a", Rate(1, 3600))]
    assert RedisLimiter(client, "one").take(asked).passed
    assert RedisLimiter(client, "two").take(asked).passed
    assert not RedisLimiter(client, "one").take(asked).passed


def spend_from_another_process(url: str, threads: int, tries: int, start: multiprocessing.synchronize.Barrier) -> int:
    asked = [Bucket("shared", "shared", Rate(23, 36_000)), Bucket("wide", "wide", Rate(1000, 36_000))]
    with connect(url) as client:
        limiter = RedisLimiter(client)
        limiter.take(PROBE)
        start.wait(30)
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda _: limiter.take(asked).passed, range(tries)))


def passed_in_all_processes(url: str, *, processes: int, threads: int, tries: int) -> int:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, spawn.Pool(processes) as pool:
        start = manager.Barrier(processes)
        return sum(pool.starmap(spend_from_another_process, [(url, threads, tries, start)] * processes))


def test_concurrent_processes_and_threads_together_get_exactly_the_limit(client: redis.Redis, redis_url: str) -> None:
    assert passed_in_all_processes(redis_url + PATIENT, processes=2, threads=4, tries=40) == 23


def cluster_client(nodes: RedisCluster) -> ClusterClient:
    return ClusterClient(
        host=HOST, port=nodes.port, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0)
    )


def test_a_cluster_decides_over_several_keys(cluster: RedisCluster) -> None:
    with cluster_client(cluster) as client:
        limiter = RedisLimiter(client)
        assert [limiter.take(FOUR).policies[0].remaining for _ in range(3)] == [99, 98, 97]
        assert limiter.describe().startswith("Redis ")
        assert limiter.advice() == ("give the Redis client socket_timeout=0.25 and socket_connect_timeout=0.25",)


def test_a_cluster_survives_a_flush_of_its_scripts(cluster: RedisCluster) -> None:
    with cluster_client(cluster) as client:
        limiter = RedisLimiter(client, "flushed")
        for left in (99, 98):
            client.script_flush()
            assert limiter.take(FOUR).policies[0].remaining == left
