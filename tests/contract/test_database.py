"""Connections: settings of own ones, unchanged ones of the host, and outages."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sqlite3
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql
import pytest
from sqlalchemy import create_engine, event, make_url, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from moderate.database.engine import ATTEMPTS, Database, Reading, Stale
from moderate.database.migrate import check, upgrade
from moderate.database.outages import reason
from moderate.database.schema import metadata
from moderate.database.url import ConnectionOptions, normalise
from moderate.errors import ConfigError, ServiceDown
from moderate.model import Counts, Decision, ItemFilter
from moderate.store.store import Store
from moderate.testing import ManualClock
from tests.factories import APPROVED, HELD, NOON, a_comment, an_article, decide_one
from tests.servers import PgBouncer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection, Engine

    from tests.mariadb_servers import MariaDB
    from tests.servers import PostgreSQL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "moderate.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{path}")
    yield made
    made.dispose()


@pytest.fixture
def hosts_engine(path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.05})
    yield engine
    engine.dispose()


def pragma(database: Database, name: str) -> object:
    with database.read() as conn:
        return conn.execute(text(f"PRAGMA {name}")).scalar()


# --- SQLite ----------------------------------------------------------------------------------------


def test_an_acknowledged_write_on_sqlite_survives_a_power_cut(database: Database) -> None:
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "synchronous") == 2
    assert pragma(database, "foreign_keys") == 1
    assert pragma(database, "busy_timeout") == 10_000


def test_a_write_that_waits_for_no_lock_leaves_the_wait_of_others_as_it_is(database: Database) -> None:
    assert database.promptly(lambda conn: conn.execute(text("PRAGMA busy_timeout")).scalar()) == 0
    assert pragma(database, "busy_timeout") == 10_000
    with pytest.raises(ZeroDivisionError):
        database.promptly(lambda _: 1 / 0)
    assert pragma(database, "busy_timeout") == 10_000


def test_durability_can_be_relaxed(path: Path) -> None:
    database = Database(f"sqlite:///{path}", sqlite_synchronous="normal")
    assert pragma(database, "synchronous") == 1
    database.dispose()


def test_writers_take_the_lock_before_they_read(database: Database) -> None:
    with database.write() as conn:
        conn.execute(text("CREATE TABLE t (n INTEGER)"))
        conn.execute(text("INSERT INTO t VALUES (0)"))

    def add(_: int) -> None:
        with database.write() as conn:
            n = conn.execute(text("SELECT n FROM t")).scalar_one()
            conn.execute(text("UPDATE t SET n = :n"), {"n": n + 1})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(80)))
    with database.read() as conn:
        assert conn.execute(text("SELECT n FROM t")).scalar() == 80


def make_table(database: Database) -> None:
    with database.write() as conn:
        conn.execute(text("CREATE TABLE t (n)"))


def add_row(conn: Connection, size: int = 1000) -> None:
    conn.execute(text("INSERT INTO t VALUES (randomblob(:size))"), {"size": size})


def test_threads_that_write_without_a_break_take_turns(database: Database) -> None:
    make_table(database)
    together, written = threading.Barrier(4), [0] * 4

    def write(thread: int) -> None:
        together.wait()
        while sum(written) < 400:
            database.transaction(add_row)
            written[thread] += 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert min(written) > 70


def test_the_wal_stays_short_while_threads_write_without_a_break(database: Database, path: Path) -> None:
    make_table(database)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: database.transaction(partial(add_row, size=40_000)), range(250)))
    # SQLite begins it anew after 1,000 pages of 4 KB; this was some 2,500.
    assert path.with_name(f"{path.name}-wal").stat().st_size < 1020 * 4120


def test_a_write_that_waits_for_no_lock_fails_beside_another_thread(database: Database) -> None:
    make_table(database)
    with ThreadPoolExecutor(1) as threads:
        with database.write():
            with pytest.raises(ServiceDown, match="it is locked"):
                threads.submit(database.promptly, add_row).result()
            with pytest.raises(ServiceDown, match="it is locked"):
                threads.submit(database.promptly, add_row, 0.05).result()
            waiting = threads.submit(database.transaction, add_row)
        waiting.result()
    database.promptly(add_row)


def test_the_wait_for_other_threads_counts_as_a_wait_for_the_lock(path: Path) -> None:
    waits = threading.Event()

    class Clock(ManualClock):
        def monotonic(self) -> float:
            now = super().monotonic()
            waits.set()
            return now

    clock = Clock()
    database = Database(f"sqlite:///{path}", clock=clock)

    def wait_left(conn: Connection) -> object:
        return conn.execute(text("PRAGMA busy_timeout")).scalar()

    for write, left in (
        (partial(database.transaction, wait_left), 7000),
        (partial(database.promptly, wait_left, 5.0), 2000),
    ):
        with ThreadPoolExecutor(1) as threads, database.write():
            waits.clear()
            waiting = threads.submit(write)
            assert waits.wait(60)
            clock.advance(seconds=3)
        assert waiting.result() == left
    assert pragma(database, "busy_timeout") == 10_000
    database.dispose()


def test_a_process_forked_while_a_thread_begins_to_write_can_write(database: Database) -> None:
    make_table(database)
    parent, begins, goes_on = os.getpid(), threading.Event(), threading.Event()

    @event.listens_for(database.engine, "checkout")
    def stop(*_: object) -> None:
        begins.set()
        if os.getpid() == parent:
            goes_on.wait()

    with ThreadPoolExecutor(1) as threads:
        beginning = threads.submit(database.transaction, add_row)
        begins.wait()
        child = forked(lambda: database.transaction(add_row))
        code = exit_code(child)
        goes_on.set()
        beginning.result()
    assert code == 0
    with database.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM t")).scalar() == 2


def test_an_exception_rolls_back_the_transaction(database: Database) -> None:
    upgrade(database)

    def fail(conn: Connection) -> None:
        conn.execute(text("INSERT INTO moderate_secrets VALUES ('a', 'b')"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.transaction(fail)
    with database.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM moderate_secrets WHERE name = 'a'")).scalar() == 0


def test_a_database_in_memory_is_shared_by_all_threads() -> None:
    database = Database("sqlite://")
    upgrade(database)
    store = Store(database)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.items.record(a_comment(str(number)), APPROVED, [], NOON), range(40)))
    assert store.counters.totals() == Counts(comments=40)
    assert not any(store.counters.recount(repair=False))
    database.dispose()


# --- the host's engine -----------------------------------------------------------------------------


def test_an_engine_of_the_host_is_used_unchanged(hosts_engine: Engine) -> None:
    database = Database(hosts_engine)
    upgrade(database)
    store = Store(database)
    store.items.record(a_comment(), HELD, [], NOON)
    assert store.counters.totals() == Counts(pending_comment=1)
    assert not database.is_ours
    assert pragma(database, "journal_mode") == "delete"
    database.dispose()
    assert hosts_engine.pool.checkedin() > 0


def test_the_log_of_an_engine_of_the_host_has_what_is_written(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(database_url)
    store = Store(Database(engine))
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    store.items.record(a_comment(), HELD, [], NOON)
    assert "INSERT INTO moderate_items" in caplog.text
    engine.dispose()


def test_many_threads_share_an_engine_of_the_host(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    store = Store(Database(engine))
    upgrade(store.database)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda number: store.items.record(a_comment(str(number)), APPROVED, [], NOON), range(48)))
    assert store.counters.totals() == Counts(comments=48)
    engine.dispose()


def test_an_engine_of_a_host_that_begins_transactions_itself_works(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def connect(raw: sqlite3.Connection, _entry: object) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN")

    store = Store(Database(engine))
    upgrade(store.database)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda number: store.items.record(a_comment(str(number)), APPROVED, [], NOON), range(48)))
    assert store.counters.totals() == Counts(comments=48)
    engine.dispose()


def test_a_callable_is_called_when_the_engine_is_first_needed(hosts_engine: Engine) -> None:
    asked: list[int] = []

    def engine() -> Engine:
        asked.append(1)
        return hosts_engine

    database = Database(engine)
    assert asked == []
    upgrade(database)
    assert database.dialect == "sqlite"
    assert asked == [1]


def test_a_lock_held_too_long_by_the_host_is_an_outage(hosts_engine: Engine, path: Path) -> None:
    store = Store(Database(hosts_engine))
    upgrade(store.database)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ServiceDown, match="locked"):
        store.items.record(a_comment(), HELD, [], NOON)
    other.execute("COMMIT")
    other.close()
    assert store.items.record(a_comment(), HELD, [], NOON).is_new


# --- outages ---------------------------------------------------------------------------------------


def test_the_error_for_missing_tables_has_instructions(database_without_tables: Database) -> None:
    store = Store(database_without_tables)
    with pytest.raises(ServiceDown, match="flask moderate db upgrade") as down:
        store.counters.totals()
    assert down.value.service == "database"
    assert down.value.__cause__ is not None
    with pytest.raises(ServiceDown, match="flask moderate db upgrade"):
        store.items.record(a_comment(), HELD, [], NOON)


@pytest.fixture
def database_without_tables(empty_url: str) -> Iterator[Database]:
    made = Database(empty_url)
    yield made
    made.dispose()


class Served(NamedTuple):
    server: PostgreSQL | MariaDB
    url: str


@pytest.fixture(params=["postgresql", "mariadb"])
def served(request: pytest.FixtureRequest) -> Served:
    """An empty database on a server."""
    url = request.getfixturevalue("pg_url" if request.param == "postgresql" else "mariadb_url")
    return Served(request.getfixturevalue(request.param), url)


def test_an_unreachable_server_is_an_outage_and_its_password_stays_secret() -> None:
    database = Database("postgresql://mo:hunter2hunter2@127.0.0.1:1/x?connect_timeout=2")
    with pytest.raises(ServiceDown) as down:
        Store(database).counters.totals()
    assert "hunter2hunter2" not in str(down.value)
    assert down.value.service == "database"
    database.dispose()


def test_a_wrong_password_is_an_outage_that_does_not_show_it(served: Served) -> None:
    database = Database(served.url.replace(":moderate@", ":hunter2hunter2@"))
    with pytest.raises(ServiceDown) as down:
        Store(database).counters.totals()
    assert "hunter2hunter2" not in str(down.value)
    database.dispose()


def test_a_password_repeated_by_a_driver_is_removed_from_messages() -> None:
    error = OperationalError("SELECT 1", {}, Exception("cannot reach mo:hunter2@db\nwith more lines"))
    assert reason(error, make_url("postgresql://mo:hunter2@db/x")) == "cannot reach mo:***@db"


@pytest.mark.parametrize(
    ("number", "text", "told"),
    [
        (1040, "Too many connections", "it gives no more connections: lower pool_size"),
        (
            2003,
            "Can't connect to MySQL server on 'db' (Connection refused)",
            "Can't connect to MySQL server on 'db' (Connection refused)",
        ),
    ],
)
def test_an_error_of_mariadb_is_reported_without_its_number(number: int, text: str, told: str) -> None:
    error = OperationalError("SELECT 1", {}, pymysql.err.OperationalError(number, text))
    assert reason(error, make_url("mariadb://mo@db/x")).startswith(told)


def test_a_file_that_is_no_database_is_an_outage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(ServiceDown):
        Store(database).counters.totals()
    database.dispose()


def test_a_missing_folder_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/x.db")
    with pytest.raises(ServiceDown):
        Store(database).counters.totals()
    database.dispose()


def test_a_refused_row_is_no_outage(database: Database) -> None:
    upgrade(database)
    with pytest.raises(IntegrityError), database.write() as conn:
        conn.execute(text("INSERT INTO moderate_secrets VALUES ('a', NULL)"))


def test_a_driver_that_is_not_installed_is_an_invalid_setting() -> None:
    with pytest.raises(ConfigError, match="MODERATE_DATABASE_URL") as wrong:
        Database("postgresql+pg8000://mo:hunter2hunter2@localhost/x").engine  # noqa: B018
    assert "hunter2hunter2" not in str(wrong.value)


def test_a_connection_that_died_while_idle_is_replaced_without_an_error(served: Served) -> None:
    store = Store(Database(served.url))
    upgrade(store.database)
    store.items.record(a_comment(), HELD, [], NOON)
    served.server.end_connections(served.url)
    assert store.counters.totals() == Counts(pending_comment=1)
    store.database.dispose()


# --- how many connections ----------------------------------------------------------------------------


def few_connections(served: Served) -> str:
    """The address of an upgraded database for a user who gets no more than three connections at once."""
    database = Database(served.url)
    upgrade(database)
    database.dispose()
    name = make_url(served.url).database
    if make_url(served.url).get_backend_name() == "postgresql":
        statements = [
            "DROP ROLE IF EXISTS few",
            "CREATE ROLE few LOGIN PASSWORD 'moderate' CONNECTION LIMIT 3 IN ROLE pg_read_all_data, pg_write_all_data",
        ]
    else:
        statements = [
            "CREATE OR REPLACE USER few@'%' IDENTIFIED BY 'moderate' WITH MAX_USER_CONNECTIONS 3",
            f"GRANT ALL ON {name}.* TO few@'%'",
        ]
    for statement in statements:
        served.server.run(statement)
    return make_url(served.url).set(username="few").render_as_string(hide_password=False)


def post_from_eight_threads(store: Store) -> list[str]:
    """Post 48 comments and return the words of each that was refused."""

    def post(number: int) -> str:
        try:
            store.items.record(a_comment(str(number)), HELD, [], NOON)
        except ServiceDown as error:
            return error.reason
        return ""

    with ThreadPoolExecutor(8) as threads:
        return [words for words in threads.map(post, range(48)) if words]


def test_many_threads_share_the_few_connections_that_a_server_gives(served: Served) -> None:
    options = ConnectionOptions(pool_size=3, max_overflow=0, pool_timeout=60)
    store = Store(Database(few_connections(served), options=options))
    assert post_from_eight_threads(store) == []
    assert store.counters.totals() == Counts(pending_comment=48)
    store.database.dispose()


def test_a_server_without_free_connections_is_reported_with_instructions(served: Served) -> None:
    database = Database(few_connections(served))
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(database.read())
        with pytest.raises(ServiceDown, match="lower pool_size and max_overflow in MODERATE_DATABASE_OPTIONS"):
            Store(database).counters.totals()
    database.dispose()


def test_a_pool_that_is_too_small_is_reported_with_instructions(served: Served) -> None:
    database = Database(served.url, options=ConnectionOptions(pool_size=1, max_overflow=1, pool_timeout=1))
    with database.read(), database.read(), pytest.raises(ServiceDown, match="a larger pool_size"):
        Store(database).counters.totals()
    database.dispose()


def test_a_lost_connection_that_finds_the_pool_in_use_is_reported_like_a_pool_that_is_too_small(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(served.url, options=ConnectionOptions(pool_size=1, max_overflow=0, pool_timeout=1))
    held: list[Any] = []
    rollback = Reading.rollback

    def taken_by_another(conn: Reading) -> None:
        rollback(conn)
        if conn.invalidated:
            held.append(database.engine.raw_connection())

    monkeypatch.setattr(Reading, "rollback", taken_by_another)
    with ExitStack() as reading:
        conn = reading.enter_context(database.read())
        served.server.end_connections(served.url)
        with pytest.raises(ServiceDown, match="a larger pool_size"), reading.pop_all():
            conn.execute(select(1))
    held[0].close()
    database.dispose()


def test_an_upgrade_needs_no_more_than_two_connections(served: Served) -> None:
    database = Database(served.url, options=ConnectionOptions(pool_size=1, max_overflow=1, pool_timeout=1))
    upgrade(database)
    assert check(database) == []
    database.dispose()


@pytest.mark.parametrize("use", ["read", "write", "failed write", "ask"])
def test_a_connection_in_use_at_the_end_is_closed_after_its_use(path: Path, use: str) -> None:
    """As of a request that is still served while its app is closed: the file is complete when it has ended."""
    database = Database(f"sqlite:///{path}", clock=ManualClock())
    upgrade(database)
    in_use, disposed = threading.Event(), threading.Event()

    def wait() -> int:
        in_use.set()
        return int(disposed.wait(10))

    event.listen(database.engine, "connect", lambda raw, _: raw.create_function("wait", 0, wait))
    database.close_connections()

    def ask() -> None:
        if use == "ask":
            assert database.ask("SELECT wait()", ()) == [(1,)]
            return
        with suppress(Stale), database.read() if use == "read" else database.write() as conn:
            assert conn.execute(text("SELECT wait()")).scalar_one() == 1
            if use == "failed write":
                raise Stale

    asking = threading.Thread(target=ask)
    asking.start()
    assert in_use.wait(10)
    database.close_connections()
    assert len(list(path.parent.iterdir())) == 3
    disposed.set()
    asking.join()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("seconds", "is_kept"), [(3600, True), (0, True), (1, False)])
def test_connections_are_replaced_after_the_configured_seconds(pg_url: str, seconds: int, is_kept: bool) -> None:
    database = Database(pg_url, options=ConnectionOptions(pool_recycle=seconds))

    def session() -> int:
        with database.read() as conn:
            return int(conn.execute(text("SELECT pg_backend_pid()")).scalar_one())

    first = session()
    with database.read() as conn:
        # As if it had been opened two seconds ago: the pool asks the machine's own clock.
        conn.connection._connection_record.starttime -= 2  # type: ignore[union-attr]
    assert (session() == first) is is_kept
    database.dispose()


def test_the_connect_timeout_and_the_keepalive_settings_reach_the_driver(pg_url: str) -> None:
    database = Database(f"{pg_url}?keepalives_idle=7", options=ConnectionOptions(connect_timeout=4))
    with database.read() as conn:
        used = conn.connection.dbapi_connection.info.get_parameters()
    assert (used["connect_timeout"], used["keepalives_idle"], used["tcp_user_timeout"]) == ("4", "7", "15000")
    database.dispose()


# --- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://mo@db/x", "postgresql+psycopg://mo@db/x"),
        ("postgresql://mo@db/x", "postgresql+psycopg://mo@db/x"),
        ("postgresql+psycopg2://mo@db/x", "postgresql+psycopg2://mo@db/x"),
        ("mysql://mo@db/x", "mysql+pymysql://mo@db/x?charset=utf8mb4"),
        ("mariadb://mo@db/x?charset=utf8", "mariadb+pymysql://mo@db/x?charset=utf8"),
        ("sqlite:///x.db", "sqlite:///x.db"),
    ],
)
def test_addresses_select_the_supported_drivers(given: str, used: str) -> None:
    assert normalise(given).render_as_string() == used


# --- lost races and forks --------------------------------------------------------------------------


def test_transactions_that_lose_a_race_are_retried_and_finally_given_up(database: Database) -> None:
    tries: list[int] = []

    def lose_twice(_conn: object) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise Stale
        return "done"

    assert database.transaction(lose_twice) == "done"
    assert len(tries) == 3

    def lose(_conn: object) -> None:
        tries.append(1)
        raise Stale

    with pytest.raises(ServiceDown):
        database.transaction(lose)
    assert len(tries) == 3 + ATTEMPTS


def test_a_deadlock_is_retried(served: Served) -> None:
    database = Database(served.url)
    with database.write() as conn:
        conn.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)"))
        conn.execute(text("INSERT INTO t VALUES (1, 0), (2, 0)"))
    both_hold_one = threading.Barrier(2)

    def cross(first: int) -> None:
        attempts = 0

        def work(conn: Connection) -> None:
            nonlocal attempts
            attempts += 1
            conn.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": first})
            if attempts == 1:
                both_hold_one.wait(30)
            conn.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": 3 - first})

        database.transaction(work)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(cross, (1, 2)))
    with database.read() as conn:
        assert conn.execute(text("SELECT sum(n) FROM t")).scalar() == 4
    database.dispose()


def test_writes_of_page_views_wait_for_no_lock_on_a_server(served: Served) -> None:
    """As a backup or the making of an index holds it: reading goes on, and a write would wait for its end."""
    store = Store(Database(served.url))
    upgrade(store.database)
    is_mariadb = store.database.dialect == "mariadb"
    held = "FLUSH TABLES WITH READ LOCK" if is_mariadb else "LOCK TABLE moderate_articles IN SHARE MODE"
    engine = create_engine(served.url)
    with engine.connect() as other:
        other.execute(text(held))
        with pytest.raises(ServiceDown):
            store.articles.remember(an_article("new"), {"k": "https://news.example/new"}, NOON)
        assert store.articles.by_url("k") is None
        other.rollback()
        if is_mariadb:
            other.execute(text("UNLOCK TABLES"))
    store.articles.remember(an_article("new"), {"k": "https://news.example/new"}, NOON)
    assert store.articles.by_url("k") == "new"
    if is_mariadb:
        with store.database.read() as conn:
            assert conn.execute(text("SELECT @@lock_wait_timeout > 0 AND @@innodb_lock_wait_timeout > 0")).scalar()
    store.database.dispose()
    engine.dispose()


ISOLATIONS = ("REPEATABLE READ", "SERIALIZABLE")


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_strict_isolation_level_of_the_hosts_engine_loses_no_decision(served: Served, isolation: str) -> None:
    """All of them move the counters of one article, so each meets the others again and again."""
    engine = create_engine(served.url, isolation_level=isolation)
    store = Store(Database(engine))
    upgrade(store.database)
    ids = [store.items.record(a_comment(str(number)), HELD, [], NOON).item.id for number in range(96)]

    def approve(item_id: int) -> bool:
        return decide_one(store, item_id, Decision.APPROVE, version=1, by="mo", note=None, now=NOON).changed

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(approve, ids)) == [True] * 96
    assert store.counters.totals() == Counts(comments=96)
    assert not any(store.counters.recount(repair=False))
    engine.dispose()


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_a_strict_isolation_level_of_the_server_makes_no_arrival_fail(
    postgresql: PostgreSQL, pg_url: str, isolation: str
) -> None:
    engine = create_engine(pg_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        name = conn.execute(text("SELECT current_database()")).scalar()
        conn.execute(text(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation.lower()}'"))
    engine.dispose()
    store = Store(Database(pg_url))
    upgrade(store.database)
    start = len(postgresql.log)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.items.record(a_comment(str(number)), HELD, [], NOON), range(200)))
    assert store.counters.totals().pending == 200
    assert "could not serialize" not in postgresql.log[start:]
    store.database.dispose()


# --- behind a pooler ---------------------------------------------------------------------------------


@pytest.fixture
def pooled(postgresql: PostgreSQL, pg_url: str) -> Iterator[str]:
    """The address of an empty database behind pgbouncer in transaction mode."""
    with PgBouncer(postgresql) as pooler:
        yield pooler.url(pg_url)


def post_and_read(store: Store) -> list[Exception]:
    """Return the errors of four threads that post and read, with each statement often enough to be prepared."""

    def work(thread: int) -> Iterator[Exception]:
        for number in range(12):
            try:
                store.items.record(a_comment(f"{thread} {number}"), APPROVED, [], NOON)
                store.threads.page("2026/thaw", cursor=None, limit=20, newest_first=True)
                store.counters.counts(["2026/thaw"])
            except Exception as error:
                yield error

    with ThreadPoolExecutor(4) as threads:
        return [error for errors in threads.map(lambda thread: list(work(thread)), range(4)) for error in errors]


@pytest.mark.parametrize("value", ["0", "none", "None"])
def test_a_transaction_pooler_works_without_prepared_statements(pooled: str, value: str) -> None:
    store = Store(Database(f"{pooled}?prepare_threshold={value}"))
    upgrade(store.database)
    assert post_and_read(store) == []
    assert store.counters.totals() == Counts(comments=48)
    assert not any(store.counters.recount(repair=False))
    store.database.dispose()


def test_prepared_statements_behind_a_transaction_pooler_are_reported_with_instructions(pooled: str) -> None:
    careful = Database(f"{pooled}?prepare_threshold=0")
    upgrade(careful)
    careful.dispose()
    store = Store(Database(f"{pooled}?prepare_threshold=1"))
    # A statement of that name may also be there, but another one.
    outages = [error for error in post_and_read(store) if isinstance(error, ServiceDown)]
    assert any("add ?prepare_threshold=0 to MODERATE_DATABASE_URL" in str(error) for error in outages)
    store.database.dispose()


def test_the_threshold_for_prepared_statements_is_a_number(pg_url: str) -> None:
    database = Database(f"{pg_url}?prepare_threshold=3")
    with database.read() as conn:
        assert conn.connection.dbapi_connection.prepare_threshold == 3
    database.dispose()
    with pytest.raises(ConfigError, match="takes a whole number, or 0 or none"):
        Database(f"{pg_url}?prepare_threshold=soon").engine  # noqa: B018


# --- psycopg2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "the host's"])
def test_psycopg2_is_supported(pg_url: str, is_ours: bool) -> None:
    url = pg_url.replace("+psycopg", "+psycopg2")
    engine = create_engine(url)
    database = Database(f"{url}?prepare_threshold=0" if is_ours else engine)
    store = Store(database)
    with pytest.raises(ServiceDown, match="flask moderate db upgrade"):
        store.counters.totals()
    upgrade(database)
    assert check(database) == []
    assert post_and_read(store) == []
    assert store.counters.totals() == Counts(comments=48)
    assert store.queue.page(ItemFilter(q="12"), cursor=None, limit=5) is not None
    tries: list[int] = []

    def race(conn: Connection) -> None:
        tries.append(1)
        if len(tries) == 1:
            conn.execute(text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$"))

    database.transaction(race)
    assert len(tries) == 2
    database.dispose()
    engine.dispose()


def forked(work: Callable[[], object]) -> int:
    """Run *work* in a forked process, and return its id."""
    with warnings.catch_warnings():
        # Later Pythons warn of any fork beside threads, and the test runner has some.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        # Nothing of the test process may continue in the child, even after an error.
        try:
            signal.alarm(60)
            work()
            gc.collect()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Two processes on one connection would wait for each other's answers for ever."""

    def too_long(*_: object) -> None:
        raise TimeoutError

    earlier = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "the host's"])
def test_a_forked_process_uses_its_own_connections(database_url: str, is_ours: bool) -> None:
    engine = create_engine(database_url)
    store = Store(Database(database_url if is_ours else engine, clock=ManualClock()))
    store.items.record(a_comment("before"), APPROVED, [], NOON)
    assert store.counters.totals() == Counts(comments=1)
    with store.database.read():
        pass
    opened: list[object] = []
    event.listen(store.database.engine, "connect", lambda raw, _: opened.append(raw))

    def write() -> None:
        for number in range(20):
            store.items.record(a_comment(str(number)), APPROVED, [], NOON)
            assert 2 <= store.counters.totals().comments <= 41

    child = forked(write)
    with at_most(60):
        write()
        assert exit_code(child) == 0
    # The child has closed none of those that were there.
    assert not opened
    assert store.counters.totals() == Counts(comments=41)
    assert not any(store.counters.recount(repair=False))
    store.database.dispose()
    engine.dispose()


def test_the_names_of_all_tables_begin_with_moderate() -> None:
    assert all(name.startswith("moderate_") for name in metadata.tables)
