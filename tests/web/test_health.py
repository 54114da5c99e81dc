"""Health: what a monitor and a load balancer ask every second, and what a moderator asks when something is wrong."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

from moderate import Moderator
from moderate.akismet.stand_in import AkismetStandIn
from moderate.checks.base import ALL_KINDS
from moderate.errors import ConfigError
from moderate.protocols.trackback import Trackback
from moderate.tasks.housekeeping import check_up
from tests.redis_servers import PATIENT, RedisCluster
from tests.servers import Redis
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import PostgreSQL


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, akismet: AkismetStandIn) -> Iterator[Host]:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="a key", MODERATE_AKISMET_URL=akismet.url)
    yield host
    host.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Host]:
    """A site whose Akismet is down: no server listens at port 1."""
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="a key", MODERATE_AKISMET_URL="http://127.0.0.1:1")
    yield host
    host.close()


def look(host: Host, query: str = "", **headers: str) -> Any:
    return host.client.get(f"/discuss/health{query}", headers=headers)


def worker_looks(host: Host) -> bool:
    with host.app.app_context():
        return check_up(host.state.desk)


def test_a_health_check_writes_one_row_of_its_own_and_calls_no_other_site(site: Host, akismet: AkismetStandIn) -> None:
    look(site)
    asked = []
    event.listen(site.state.desk.store.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    for _ in range(3):
        assert look(site).json["akismet"] == "unknown"
    assert asked
    rows = [text for text in asked if not text.startswith("SELECT") and "WHERE 0 = 1" not in " ".join(text.split())]
    assert {" ".join(text.split()[:3]) for text in rows} == {"INSERT INTO moderate_states"}
    assert akismet.received == []


def test_results_found_by_a_worker_are_reported_by_every_process(
    site: Host, tmp_path: Path, akismet: AkismetStandIn
) -> None:
    assert worker_looks(site)
    other = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="a key", MODERATE_AKISMET_URL=akismet.url)
    assert look(other).json["akismet"] == "ok"
    other.close()


def test_all_workers_together_check_services_once_in_ten_minutes(site: Host, akismet: AkismetStandIn) -> None:
    assert [worker_looks(site) for _ in range(3)] == [True, False, False]
    assert len(akismet.received) == 1
    site.clock.advance(minutes=10)
    assert worker_looks(site)
    assert len(akismet.received) == 2


def test_an_unreachable_service_is_down_and_old_results_are_ignored(lonely: Host) -> None:
    worker_looks(lonely)
    answer = look(lonely)
    assert (answer.status_code, answer.json["status"], answer.json["akismet"]) == (503, "degraded", "down")
    lonely.clock.advance(hours=2)
    assert look(lonely).json["akismet"] == "unknown"


def test_a_moderator_can_start_a_check_and_gets_instructions(lonely: Host) -> None:
    answer = look(lonely, "?deep=1", **lonely.token())
    assert answer.status_code == 503
    assert "Akismet" not in answer.json["details"]["database"]
    assert "nothing is published meanwhile" in answer.json["advice"]["akismet"]
    assert lonely.state.desk.store.states.get("akismet") is None
    assert look(lonely, "?deep=1").status_code == 401


def test_the_status_can_be_that_of_a_single_part(lonely: Host) -> None:
    worker_looks(lonely)
    assert look(lonely, "?part=database").status_code == 200
    assert look(lonely, "?part=database").json["akismet"] == "down"
    assert look(lonely, "?part=akismet").status_code == 503
    assert look(lonely, "?part=weather").json["code"] == "invalid"


def test_without_a_database_health_reports_it_down_and_akismet_unknown(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'no' / 'where.db'}")
    answer = look(site)
    assert answer.status_code == 503
    assert [answer.json[name] for name in ("database", "akismet", "tasks")] == ["down", "unknown", "down"]


# --- health tries real operations, not only a connection --------------------------------------------


def a_site(folder: Path, **config: Any) -> Host:
    """A site with all its tables, whose owner is signed in."""
    host = Host(folder, **{"MODERATE_LIMITS": {}, **config})
    host.moderator = Moderator("mori")
    with host.app.app_context():
        host.moderate.create_tables()
    return host


def is_ill(host: Host, part: str, words: str) -> bool:
    """Return True when /health and check-config both report that *part* does not work, with *words* as the reason."""
    answer = look(host, f"?part={part}")
    assert (answer.status_code, answer.json[part]) == (503, "down")
    assert words not in answer.text
    result = host.app.test_cli_runner().invoke(args=["moderate", "check-config"])
    assert result.exit_code == 1
    said = next(line for line in result.output.splitlines() if line.startswith(f"{part}: "))
    return words in said and words in look(host, "?deep=1").json["details"][part]


def test_a_standby_of_postgresql_is_unhealthy(tmp_path: Path, postgresql: PostgreSQL, pg_url: str) -> None:
    site = a_site(tmp_path, MODERATE_DATABASE_URL=pg_url)
    assert look(site).status_code == 200
    postgresql.run(f'ALTER DATABASE "{urlsplit(pg_url).path[1:]}" SET default_transaction_read_only = on')
    site.state.desk.store.database.dispose()
    assert is_ill(site, "database", "it can only be read")
    assert site.comment().status_code == 503
    assert site.client.get("/thaw").status_code == 200


def test_a_user_without_rights_on_postgresql_is_unhealthy(tmp_path: Path, postgresql: PostgreSQL, pg_url: str) -> None:
    a_site(tmp_path, MODERATE_DATABASE_URL=pg_url).state.desk.store.database.dispose()
    postgresql.run("DROP ROLE IF EXISTS reader")
    postgresql.run("CREATE ROLE reader LOGIN PASSWORD 'moderate'")
    engine = create_engine(pg_url)
    with engine.begin() as conn:
        conn.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
        conn.execute(text("GRANT INSERT, UPDATE ON moderate_states TO reader"))
    engine.dispose()
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=pg_url.replace("postgres:", "reader:"))
    host.moderator = Moderator("mori")
    assert is_ill(host, "database", "grant it SELECT, INSERT")
    assert host.comment().status_code == 503
    host.state.desk.store.database.dispose()


def test_a_read_only_mariadb_is_unhealthy(tmp_path: Path, mariadb_url: str) -> None:
    a_site(tmp_path, MODERATE_DATABASE_URL=mariadb_url).state.desk.store.database.dispose()
    url = f"{mariadb_url}&init_command=SET SESSION TRANSACTION READ ONLY"
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=url)
    host.moderator = Moderator("mori")
    assert is_ill(host, "database", "it can only be read")
    host.state.desk.store.database.dispose()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_read_only_file_is_unhealthy_and_its_pages_are_still_served(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "site.sqlite3"
    first = a_site(tmp_path, MODERATE_DATABASE_URL=f"sqlite:///{file}")
    first.state.close()
    with closing(sqlite3.connect(file)) as conn:
        conn.execute(f"PRAGMA journal_mode = {mode}")
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///file:{file}?mode=ro&uri=true")
    site.moderator = Moderator("mori")
    assert is_ill(site, "database", "cannot be written: check the rights of the file")
    assert site.comment().status_code == 503
    page = site.client.get("/thaw")
    assert 'name="form_token"' in page.text


def test_a_full_disk_is_unhealthy(tmp_path: Path) -> None:
    """Rolled back data never reaches the disk, so only a commit shows the fault."""
    site = a_site(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = (tmp_path / "moderate.sqlite3-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, before[1]))
    try:
        assert is_ill(site, "database", "takes no more: is it full")
        assert site.comment().status_code == 503
        assert site.client.get("/thaw").status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert look(site).status_code == 200


def test_a_disk_without_room_for_a_long_comment_is_unhealthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small write may succeed for long on such a disk: it fits into what the ``-wal`` has left."""
    site = a_site(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    assert is_ill(site, "database", "the disk of ")
    monkeypatch.undo()
    assert look(site).status_code == 200


def test_a_database_locked_by_another_process_is_unhealthy_meanwhile(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    with closing(sqlite3.connect(tmp_path / "moderate.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert is_ill(site, "database", "it is locked: another process")
        other.execute("ROLLBACK")
    assert look(site).status_code == 200


def test_a_missing_table_is_unhealthy(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    with site.state.desk.store.database.write() as conn:
        conn.execute(text("DROP TABLE moderate_history"))
    assert is_ill(site, "database", "tables missing")


REDIS = {
    "a replica": ((), ("REPLICAOF", "127.0.0.1", "1"), "this server is a read-only replica"),
    "full memory": (("--maxmemory-policy", "noeviction"), ("CONFIG", "SET", "maxmemory", "1"), "its memory is full"),
    "no rights on our keys": ((), ("ACL", "SETUSER", "default", "resetkeys", "~other:*"), "check its ACL"),
    "no rights on scripts": ((), ("ACL", "SETUSER", "default", "-evalsha", "-eval"), "+evalsha +eval"),
    "no rights within scripts": ((), ("ACL", "SETUSER", "default", "-set"), "check its ACL"),
}


@pytest.mark.parametrize("sort", REDIS)
def test_a_redis_that_answers_ping_but_cannot_limit_is_unhealthy(tmp_path: Path, sort: str) -> None:
    options, command, words = REDIS[sort]
    with Redis(*options) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command(*command)
            assert client.ping()
        site = a_site(tmp_path, MODERATE_REDIS_URL=server.url + PATIENT)
        assert is_ill(site, "redis", words)
        site.state.close()


# The oldest versions of redis-py leave a socket open whose file is not there.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://{place}/99" + PATIENT, "it has no database of that number: check the end of MODERATE_REDIS_URL"),
        ("rediss://{place}/0", "does it speak TLS at this port?"),
        ("unix:///no/such/socket", "a file or socket that its address names is not there"),
        ("redis://no-such-host.invalid/0", "its host name could not be found (DNS)"),
    ],
)
def test_the_error_for_a_wrong_redis_address_names_the_fault(
    tmp_path: Path, redis_url: str, url: str, words: str
) -> None:
    place = redis_url.partition("://")[2].partition("/")[0]
    site = a_site(tmp_path, MODERATE_REDIS_URL=url.format(place=place))
    assert is_ill(site, "redis", words)
    site.state.close()


def test_a_redis_user_with_only_the_rights_for_limits_is_healthy(tmp_path: Path) -> None:
    rights = ("+evalsha", "+eval", "+time", "+mget", "+set")
    with Redis() as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "limits", "on", ">pw", "~{moderate}:*", *rights)
        address = server.url.replace("redis://", "redis://limits:pw@") + PATIENT
        site = a_site(tmp_path, MODERATE_REDIS_URL=address)
        assert (look(site).status_code, look(site).json["redis"]) == (200, "ok")
        site.state.close()


def test_a_single_cluster_node_is_reported_as_such(tmp_path: Path) -> None:
    words = "this is one node of a Redis Cluster: hand a RedisCluster client to Moderate(redis="
    found = []
    with RedisCluster() as cluster:
        for node in cluster.nodes:
            site = a_site(tmp_path, MODERATE_REDIS_URL=node.url + PATIENT)
            answer = look(site, "?deep=1")
            found.append(answer.status_code)
            assert words in answer.json["advice" if answer.status_code == 200 else "details"]["redis"]
            site.state.close()
    assert sorted(found) == [200, 503, 503]


# --- what a host hands in ---------------------------------------------------------------------------


@pytest.mark.parametrize("given", [redis.asyncio.Redis(), redis.Redis, 6379, {"host": "localhost"}, lambda: "redis"])
def test_an_invalid_redis_client_stops_the_start_with_a_message(tmp_path: Path, given: object) -> None:
    with pytest.raises(TypeError, match=r"Moderate\(redis=.* is not usable: accepted is a redis-py client"):
        Host(tmp_path, extension={"redis": given})


@pytest.mark.parametrize("as_callable", [False, True])
def test_an_address_or_a_callable_may_replace_a_redis_client(tmp_path: Path, redis_url: str, as_callable: bool) -> None:
    address = redis_url + PATIENT
    with redis.Redis.from_url(address, retry=Retry(NoBackoff(), 0)) as client:
        given = (lambda: client) if as_callable else address
        site = Host(tmp_path, extension={"redis": given})
        assert site.comment().status_code == 202
        assert client.keys("{moderate}:*")
        site.state.close()


@pytest.mark.parametrize("given", [5, {"url": "sqlite://"}, Session, object()])
def test_an_invalid_engine_stops_the_start_with_a_message(tmp_path: Path, given: object) -> None:
    with pytest.raises(TypeError, match=r"Moderate\(engine=.* is not usable: accepted is an SQLAlchemy engine"):
        Host(tmp_path, extension={"engine": given})


class Bare:
    """A check of a host that inherits nothing, without the attributes that a test leaves out."""

    def __init__(self, *left_out: str) -> None:
        values = {"name": "bare", "version": 1, "remote": False, "kinds": ALL_KINDS, "look": lambda *_: None}
        self.__dict__.update({name: value for name, value in values.items() if name not in left_out})


@pytest.mark.parametrize(
    ("given", "words"),
    [*((Bare(name), f"Bare is not usable: it has no '{name}'") for name in vars(Bare())), (Bare, r"write Bare\(\)")],
)
def test_an_unusable_check_stops_the_start_with_a_message(tmp_path: Path, given: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Host(tmp_path, extension={"checks": [given]})


class Unpaid(Trackback):
    name, rule, limit = "unpaid", "/unpaid", "nothing"


@pytest.mark.parametrize(
    ("given", "words"),
    [(Unpaid(), "'unpaid' is not usable: its limit 'nothing' is no row of MODERATE_LIMITS"), (Unpaid, r"Unpaid\(\)")],
)
def test_an_unusable_protocol_stops_the_start_with_a_message(tmp_path: Path, given: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Host(tmp_path, extension={"protocols": [given]})


def test_a_check_needs_no_optional_attributes(tmp_path: Path) -> None:
    site = Host(tmp_path, extension={"checks": iter([Bare()])})
    assert site.comment().status_code == 202
    assert [check.name for check in site.state.desk.checks] == ["bare"]


def test_a_callable_that_returns_no_engine_is_reported_with_a_message(tmp_path: Path) -> None:
    host = Host(tmp_path, extension={"engine": lambda: "db"})
    result = host.app.test_cli_runner().invoke(args=["moderate", "check-config"])
    assert result.exit_code == 1
    assert "accepted is an SQLAlchemy engine (not an async one)" in result.output


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("DATABASE_URL", "postgresql://mo:pa#ss@w/o:rd%?@db.example/site"),
        ("DATABASE_URL", "postgresql://mo:secret@word@db.example/site"),
        ("DATABASE_URL", "mariadb://mo:pa@ss/word@db.example:3306/site"),
        ("DATABASE_URL", "postgresql://mo:sec@ret:word@db.example/site"),
        ("REDIS_URL", "redis://:pa#ss@w/o:rd%?@redis.example:6379/0"),
        ("REDIS_URL", "redis://mo:12/34@redis.example:6379/0"),
        ("REDIS_URL", "redis://mo:12#34@redis.example:6379/0"),
        ("REDIS_URL", "rediss://mo:secret/word?@redis.example:6379/0"),
    ],
)
def test_a_password_that_is_not_url_encoded_is_reported_without_being_shown(tmp_path: Path, key: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"MODERATE_{key} .* must be percent-encoded") as wrong:
        Host(tmp_path, **{f"MODERATE_{key}": url})
    assert not [
        part
        for part in ("pa#ss", "secret", "word", "12/34", "@db", "ss@w")
        if part in str(wrong.value).replace("password", "")
    ]


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///x.db", "postgresql+asyncpg://mo:pw@db.example/site"])
def test_an_asynchronous_driver_is_refused_with_a_message(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="is an asynchronous driver"):
        Host(tmp_path, MODERATE_DATABASE_URL=url)


@pytest.mark.parametrize("obstacle", ["a file", "a folder that cannot be written"])
def test_an_unusable_instance_folder_is_named(tmp_path: Path, obstacle: str) -> None:
    place = tmp_path / "instance"
    if obstacle == "a file":
        place.write_text("")
    else:
        place = Path("/proc/self")
    with pytest.raises(
        ConfigError, match=f"MODERATE_DATABASE_URL.* instance folder {place}.* cannot be (made|written)"
    ):
        Host(place)
