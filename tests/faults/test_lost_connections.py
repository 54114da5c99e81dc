"""Failovers and lost connections: a useless connection is replaced, and nothing is lost or stored twice."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine, insert, select, text, update

from moderate import signals
from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.database.schema import counters, reservations
from moderate.database.url import ConnectionOptions
from moderate.errors import ServiceDown
from moderate.model import Counts, NewTask
from moderate.store.rows import find_item
from moderate.tasks.worker import ThreadPool
from tests.factories import NOON
from tests.mail_servers import MailServer
from tests.mariadb_servers import MariaDB
from tests.proxies import Proxy
from tests.servers import HOST, PostgreSQL, free_port, wait_until
from tests.sites import Host
from tests.web import mail_sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    Server = PostgreSQL | MariaDB

FORM = {"author": "Mika", "email": "mika@mail.example", "text": "Kept <b>words</b>"}
SERVERS = ("postgresql", "mariadb")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    made = server.new_database()
    yield made
    server.drop_database(made)


@pytest.fixture
def site(url: str, tmp_path: Path) -> Host:
    return a_site(tmp_path, url)


def a_site(folder: Path, url: str, **more: Any) -> Host:
    """A site on a server, with all its tables."""
    site = Host(folder, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=url, **more)
    with site.app.app_context():
        site.moderate.create_tables()
    return site


def database_of(site: Host) -> Database:
    found: Database = site.state.desk.store.database
    return found


def statuses(site: Host, text: str, tries: int = 2) -> list[int]:
    """Post one comment until it is taken, under one key, and return all answers."""
    client, found = site.app.test_client(), []
    while not found or (found[-1] != 202 and len(found) < tries):
        sent = {"author": "Mika", "text": text}
        answer = client.post("/discuss/comments/thaw", json=sent, headers={"Idempotency-Key": text})
        found.append(answer.status_code)
    return found


def has_exactly(site: Host, comments: int) -> bool:
    """Return whether this number of comments is pending and the counters match the items."""
    with site.app.app_context():
        store = site.state.desk.store
        return store.counters.totals() == Counts(pending_comment=comments) and not any(
            store.counters.recount(repair=False)
        )


def fill_pool(database: Database, connections: int = 4) -> None:
    """Open a number of connections at once, which then wait in the pool."""
    with ExitStack() as held:
        for _ in range(connections):
            held.enter_context(database.read())


# --- failover --------------------------------------------------------------------------------------

WAYS = ("postgresql-hosts", "postgresql-proxy", "mariadb-proxy")


@pytest.fixture(scope="module", params=WAYS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server, bool]]:
    """Two servers, the second of which is to take over, and whether an address names both."""
    kind, way = request.param.split("-")
    first = request.getfixturevalue(kind)
    with type(first)() as second:
        yield first, second, way == "hosts"


@pytest.fixture
def cluster(pair: tuple[Server, Server, bool]) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a database on both servers, and what lets the second take over.

    From then on the first one refuses to write and keeps its sessions, and new connections lead to the second.
    """
    first, second, has_hosts = pair
    name = urlsplit(first.new_database()).path[1:]
    second.run(f"CREATE DATABASE {name}")
    for each in (first, second):
        upgraded(each.url(name))
        let_write(each, name)
    with Proxy(first.port) as proxy:
        if has_hosts:
            hosts = f"host={HOST}:{first.port}&host={HOST}:{second.port}&target_session_attrs=read-write"
            address = f"postgresql+psycopg://postgres:moderate@/{name}?{hosts}"
        else:
            address = first.url(name).replace("moderate:moderate", "writer:moderate")
            address = address.replace(f":{first.port}/", f":{proxy.port}/")

        def take_over() -> None:
            set_read_only(first, "on")
            proxy.target = second.port

        yield address, take_over
        set_read_only(first, "off")
        proxy.drop()
    for each in (first, second):
        each.drop_database(each.url(name))


def let_write(server: Server, name: str) -> None:
    """Make a user for MariaDB without the right to write to a server that is read-only."""
    if isinstance(server, MariaDB):
        server.run("CREATE USER IF NOT EXISTS writer@'%' IDENTIFIED BY 'moderate'")
        server.run(f"GRANT ALL ON {name}.* TO writer@'%'")


def upgraded(url: str) -> None:
    database = Database(url)
    upgrade(database)
    database.dispose()


def set_read_only(server: Server, value: str) -> None:
    """Refuse writes ("on") or take them again ("off"), also on sessions that are open."""
    if isinstance(server, MariaDB):
        server.run(f"SET GLOBAL read_only = {value}")
        return
    server.run(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    server.run("SELECT pg_reload_conf()")

    def has_it() -> bool:
        with psycopg.connect(server.url().replace("+psycopg", "")) as conn:
            row = conn.execute("SHOW default_transaction_read_only").fetchone()
            return row == (value,)

    wait_until(has_it)


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "the host's"])
def test_after_a_failover_the_next_comment_goes_to_the_new_server(
    cluster: tuple[str, Callable[[], None]], tmp_path: Path, is_ours: bool
) -> None:
    address, take_over = cluster
    engine = create_engine(address)
    site = a_site(tmp_path, address, **({} if is_ours else {"extension": {"engine": engine}}))
    assert statuses(site, "before") == [202]
    fill_pool(database_of(site))
    take_over()
    assert [statuses(site, f"after {number}") for number in range(3)] == [[202]] * 3
    assert site.client.get("/discuss/health").status_code == 200
    # The first server's comment is not there: nothing copies it in this test.
    assert has_exactly(site, 3)
    site.close()
    engine.dispose()


def test_a_health_check_alone_finds_the_new_server(cluster: tuple[str, Callable[[], None]], tmp_path: Path) -> None:
    address, take_over = cluster
    site = a_site(tmp_path, address)
    fill_pool(database_of(site))
    take_over()
    assert site.client.get("/discuss/health").status_code == 200
    assert statuses(site, "after") == [202]
    site.close()


def test_a_server_that_is_read_only_for_a_while_takes_comments_again(
    server: Server, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "moderate")
    let_write(server, urlsplit(url).path[1:])
    site = a_site(tmp_path, url.replace("moderate:moderate", "writer:moderate"))
    set_read_only(server, "on")
    try:
        for _ in range(3):
            answer = site.client.post("/discuss/comments/thaw", data=FORM)
            assert answer.status_code == 503
            assert "Kept &lt;b&gt;words&lt;/b&gt;" in answer.text
            assert site.client.get("/discuss/health").json["database"] == "down"
            assert "The comments cannot be shown" not in site.client.get("/thaw").text
            site.clock.advance(seconds=60)
        # Pages are made all the while, and it is one outage.
        (line,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
        assert "it can only be read" in line
        assert "it is back" not in caplog.text
    finally:
        set_read_only(server, "off")
    assert statuses(site, "after") == [202]
    assert site.client.get("/discuss/health").status_code == 200
    assert caplog.text.count("it is back") == 1
    assert has_exactly(site, 1)
    site.close()


# --- lost connections ------------------------------------------------------------------------------


def test_connections_that_were_ended_while_idle_are_replaced_unnoticed(server: Server, url: str, site: Host) -> None:
    for number in range(3):
        fill_pool(database_of(site))
        server.end_connections(url)
        assert statuses(site, f"after {number}") == [202]
    assert has_exactly(site, 3)


def test_connections_that_a_server_ended_for_idleness_are_replaced_unnoticed(
    server: Server, url: str, site: Host
) -> None:
    name = urlsplit(url).path[1:]
    if isinstance(server, MariaDB):
        ending, staying = "SET GLOBAL wait_timeout = 1", "SET GLOBAL wait_timeout = 28800"
        left = f"SELECT 1 FROM information_schema.processlist WHERE db = '{name}'"
    else:
        ending = f"ALTER DATABASE {name} SET idle_session_timeout = 100"
        staying = f"ALTER DATABASE {name} RESET idle_session_timeout"
        left = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"
    database_of(site).dispose()
    server.run(ending)
    fill_pool(database_of(site))
    server.run(staying)
    wait_until(lambda: not server.run(left))
    assert statuses(site, "after") == [202]
    assert has_exactly(site, 1)


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "the host's"])
def test_connections_that_a_proxy_closed_are_replaced(server: Server, url: str, tmp_path: Path, is_ours: bool) -> None:
    with Proxy(server.port) as proxy:
        address = url.replace(f":{server.port}/", f":{proxy.port}/")
        engine = create_engine(address)
        site = a_site(tmp_path, address, **({} if is_ours else {"extension": {"engine": engine}}))
        fill_pool(database_of(site))
        proxy.drop()
        assert site.client.get("/discuss/comments/thaw").status_code == 200
        fill_pool(database_of(site))
        proxy.drop()
        assert statuses(site, "idle") == [202]
        assert has_exactly(site, 1)
        site.close()
        engine.dispose()


SILENT = {"connect_timeout": 1, "answer_timeout": 1}


def test_a_server_that_falls_silent_is_given_up_in_time_and_used_again_afterwards(
    server: Server, url: str, tmp_path: Path
) -> None:
    """The proxy takes everything and passes nothing on, which looks to the kernel like a server that works long."""
    with Proxy(server.port) as proxy:
        address = url.replace(f":{server.port}/", f":{proxy.port}/")
        patient = a_site(tmp_path / "patient", url)
        site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=address, MODERATE_DATABASE_OPTIONS=SILENT)
        # On a busy machine a server that works may not answer in time either.
        assert statuses(site, "before", tries=5)[-1] == 202
        proxy.silent.set()
        answer = site.client.post("/discuss/comments/thaw", data=FORM)
        assert answer.status_code == 503
        assert "Kept &lt;b&gt;words&lt;/b&gt;" in answer.text
        before = proxy.taken
        assert "The comments cannot be shown" in site.client.get("/thaw").text
        # A page asks several times, and waits once.
        assert proxy.taken - before == 1
        assert site.client.get("/discuss/health").json["database"] == "down"
        proxy.silent.clear()
        proxy.drop()
        assert statuses(site, "after", tries=5)[-1] == 202
        assert has_exactly(patient, 2)
        site.close()


def test_only_unhurried_work_may_exceed_the_answer_timeout(server: Server, url: str) -> None:
    database = Database(url, options=ConnectionOptions(answer_timeout=1))
    slow = text("SELECT SLEEP(1.5)" if isinstance(server, MariaDB) else "SELECT pg_sleep(1.5)")
    with pytest.raises(ServiceDown, match="did not answer in time"), database.read() as conn:
        conn.execute(slow)
    with database.unhurried() as unhurried, unhurried.read() as conn:
        conn.execute(slow)
    database.dispose()


def test_a_restart_costs_one_answer_at_most_and_no_text(server: Server, site: Host) -> None:
    assert statuses(site, "before") == [202]
    fill_pool(database_of(site))
    server.kill()
    try:
        answer = site.client.post("/discuss/comments/thaw", data=FORM)
        assert answer.status_code == 503
        assert "Kept &lt;b&gt;words&lt;/b&gt;" in answer.text
        assert site.client.get("/discuss/health").json["database"] == "down"
    finally:
        server.start()
    assert statuses(site, "after") in ([202], [503, 202])
    assert has_exactly(site, 2)
    assert site.client.get("/discuss/health").status_code == 200


def test_many_who_post_while_connections_are_ended_lose_nothing_and_store_nothing_twice(
    server: Server, url: str, site: Host
) -> None:
    with ThreadPoolExecutor(4) as threads:
        posting = [threads.submit(statuses, site, f"comment {number}", 20) for number in range(40)]
        for each in posting[::4]:
            server.end_connections(url)
            each.result()
    assert {each.result()[-1] for each in posting} == {202}
    fill_pool(database_of(site))
    assert has_exactly(site, 40)


def test_a_recount_goes_on_over_another_connection(server: Server, url: str, site: Host) -> None:
    site.add_article("frost")
    assert statuses(site, "a comment", 1) == [202]
    assert site.comment("Another", article="frost").status_code == 202
    database = database_of(site)
    with database.write() as conn:
        conn.execute(update(counters).values(pending_comment=7))
    steps = site.state.desk.store.counters.recount(repair=True)
    assert next(steps) is not None
    server.end_connections(url)
    assert len([step for step in steps if step is not None]) == 2
    assert has_exactly(site, 2)


# --- what is run again, and what is not --------------------------------------------------------------


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    upgraded(url)
    made = Database(url)
    yield made
    made.dispose()


def reserve(conn: Connection, name: str) -> None:
    conn.execute(insert(reservations), {"name": name, "expires_at": NOON})


def names(database: Database) -> list[str]:
    with database.read() as conn:
        return list(conn.execute(select(reservations.c.name)).scalars())


@pytest.mark.parametrize("way", ["transaction", "promptly"])
def test_work_whose_connection_is_lost_before_the_commit_is_run_once_more(
    server: Server, url: str, database: Database, way: str
) -> None:
    tries: list[int] = []

    def work(conn: Connection) -> None:
        tries.append(1)
        reserve(conn, "first")
        if len(tries) == 1:
            server.end_connections(url)
        reserve(conn, "second")

    getattr(database, way)(work)
    assert len(tries) == 2
    assert sorted(names(database)) == ["first", "second"]


def test_a_statement_that_reads_is_run_again_in_the_midst_of_others(
    server: Server, url: str, database: Database
) -> None:
    database.transaction(lambda conn: reserve(conn, "kept"))
    with database.read() as conn:
        for _ in range(2):
            server.end_connections(url)
            assert conn.execute(select(reservations.c.name)).scalars().all() == ["kept"]
            server.end_connections(url)
            # A prepared one.
            assert find_item(conn, 1) is None


def test_work_that_loses_each_connection_is_given_up_after_the_second(
    server: Server, url: str, database: Database
) -> None:
    tries: list[int] = []

    def work(conn: Connection) -> None:
        tries.append(1)
        server.end_connections(url)
        reserve(conn, "first")

    with pytest.raises(ServiceDown):
        database.transaction(work)
    assert len(tries) == 2
    fill_pool(database)
    assert names(database) == []


@pytest.mark.parametrize("way", ["transaction", "promptly"])
def test_a_commit_whose_outcome_is_unknown_is_not_run_again(
    server: Server, url: str, database: Database, way: str
) -> None:
    tries: list[int] = []

    def work(conn: Connection) -> None:
        tries.append(1)
        reserve(conn, "first")
        server.end_connections(url)

    with pytest.raises(ServiceDown):
        getattr(database, way)(work)
    assert len(tries) == 1
    database.transaction(lambda conn: reserve(conn, "after"))
    assert names(database) == ["after"]


def fields_of(page: str) -> dict[str, str]:
    """Return the hidden fields of the comment form on a page, together with the values of `FORM`."""
    form = page[page.index("<form") :]
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {**{name: unescape(value) for name, value in hidden}, **FORM}


def commit_of(server: Server) -> bytes:
    """Return a part of the request that commits a comment: on PostgreSQL of the one statement that writes it."""
    return b"\x03COMMIT" if isinstance(server, MariaDB) else b"INTO moderate_items"


@pytest.mark.parametrize("way", ["with a key", "without a key", "by form"])
def test_a_comment_whose_commit_lost_its_answer_is_stored_once(
    server: Server, url: str, tmp_path: Path, way: str
) -> None:
    """The server has committed, and its answer is lost on the way."""
    with Proxy(server.port) as proxy:
        site = a_site(tmp_path, url.replace(f":{server.port}/", f":{proxy.port}/"))
        received: list[Any] = []
        with signals.item_received.connected_to(lambda *_, **about: received.append(about), site.app):
            page = site.client.get("/thaw").text
            proxy.lose_answer_to = commit_of(server)
            if way == "by form":
                assert site.client.post("/discuss/comments/thaw", data=fields_of(page)).status_code == 303
            else:
                headers = {"Idempotency-Key": "1"} if way == "with a key" else {}
                answer = site.client.post("/discuss/comments/thaw", json=FORM, headers=headers)
                assert answer.status_code == 202
        assert not proxy.lose_answer_to
        assert len(received) == 1
        assert has_exactly(site, 1)
        site.close()


def test_a_form_sent_again_after_an_unknown_outcome_is_stored_once(server: Server, url: str, tmp_path: Path) -> None:
    """The server has committed, its answer is lost, and it cannot be reached for a while."""
    with Proxy(server.port) as proxy:
        site = a_site(tmp_path, url.replace(f":{server.port}/", f":{proxy.port}/"))
        page = site.client.get("/thaw").text
        proxy.lose_answer_to = commit_of(server)
        proxy.target = free_port()
        refused = site.client.post("/discuss/comments/thaw", data=fields_of(page))
        assert refused.status_code == 503
        proxy.target = server.port
        assert site.client.post("/discuss/comments/thaw", data=fields_of(refused.text)).status_code == 303
        assert site.client.post("/discuss/comments/thaw", data=fields_of(page)).status_code == 303
        assert has_exactly(site, 1)
        site.close()


def decisions(site: Host, item: int) -> list[str]:
    return [line.act for line in site.state.desk.store.history.of_item(item) if line.act != "received"]


def test_a_decision_after_connections_were_ended_while_idle_is_made_unnoticed(
    server: Server, url: str, site: Host
) -> None:
    site.add_article("thaw")
    with site.app.app_context():
        item = site.moderate.submit("thaw", **FORM).item
        fill_pool(database_of(site))
        server.end_connections(url)
        assert site.moderate.decide(item.id, "spam", version=1, by="mori").version == 2
        assert decisions(site, item.id) == ["decided"]
        assert not any(site.state.desk.store.counters.recount(repair=False))


def test_a_decision_over_a_connection_that_takes_no_writes_is_made_over_another_one(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    url = postgresql.new_database()
    site, name = a_site(tmp_path, url), urlsplit(url).path[1:]
    site.add_article("thaw")
    with site.app.app_context():
        item = site.moderate.submit("thaw", **FORM).item
        database_of(site).dispose()
        postgresql.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        fill_pool(database_of(site))
        postgresql.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        assert site.moderate.decide(item.id, "spam", version=1, by="mori").version == 2
        assert decisions(site, item.id) == ["decided"]
    site.close()
    postgresql.drop_database(url)


def test_a_decision_whose_commit_lost_its_answer_is_made_once(server: Server, url: str, tmp_path: Path) -> None:
    with Proxy(server.port) as proxy:
        site = a_site(tmp_path, url.replace(f":{server.port}/", f":{proxy.port}/"))
        site.add_article("thaw")
        with site.app.app_context():
            item = site.moderate.submit("thaw", **FORM).item
            proxy.lose_answer_to = b"\x03COMMIT" if isinstance(server, MariaDB) else b"UPDATE moderate_items"
            with pytest.raises(ServiceDown):
                site.moderate.decide(item.id, "spam", version=1, by="mori")
            assert site.moderate.decide(item.id, "spam", version=1, by="mori").version == 2
            assert decisions(site, item.id) == ["decided"]
            assert not any(site.state.desk.store.counters.recount(repair=False))
        site.close()


def test_a_task_whose_lease_was_stored_without_an_answer_is_taken_again_at_once(
    server: Server, url: str, tmp_path: Path
) -> None:
    """No worker holds that lease, and none died with it."""
    with Proxy(server.port) as proxy:
        site = a_site(tmp_path, url.replace(f":{server.port}/", f":{proxy.port}/"))
        store, now = site.state.desk.store, site.clock.now()
        store.tasks.add(1, [NewTask(kind="judge", due_at=now)], now)
        proxy.lose_answer_to = b"\x03COMMIT" if isinstance(server, MariaDB) else b"COMMIT\0"
        found = []

        def is_taken() -> bool:
            found.extend(store.tasks.lease_due(now, limit=1, seconds=120))
            return bool(found)

        if isinstance(server, PostgreSQL):
            proxy.passing.clear()
        with pytest.raises(ServiceDown):
            is_taken()
        if isinstance(server, PostgreSQL):
            # The server has not committed yet: the task is locked, and its lease cannot be seen.
            assert not is_taken()
            proxy.passing.set()
        wait_until(is_taken)
        (task,) = found
        assert (task.deaths, task.attempts) == (0, 1)
        assert store.tasks.lease_due(now, limit=1, seconds=120) == []
        site.close()


class Interruption(MailServer):
    """A mail server that takes a mail, and ends the database before its sender can note that."""

    def __init__(self, database: Server) -> None:
        super().__init__()
        self.database = database

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.database.kill()
        return await super().handle_DATA(server, session, envelope)


def test_a_worker_asked_to_stop_gives_back_a_task_that_an_outage_left_open(
    postgresql: PostgreSQL, pg_url: str, tmp_path: Path
) -> None:
    with Interruption(postgresql) as mail:
        site = mail_sites.a_site(tmp_path, mail.port, MODERATE_DATABASE_URL=pg_url)
        with site.app.app_context():
            site.moderate.create_tables()
        assert statuses(site, "before") == [202]
        pool = ThreadPool(site.app, site.state.desk)
        try:
            with pytest.raises(ServiceDown):
                pool.drain()
        finally:
            postgresql.start()
        pool.end(None)
        (task,) = site.state.desk.store.tasks.lease_due(site.clock.now(), limit=1, seconds=120)
        # Else the end of its lease would look as if a worker had died.
        assert task.deaths == 0
        site.close()
