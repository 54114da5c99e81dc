"""Short look-ups give what the same statement gives by SQLAlchemy, on each database."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import DateTime, bindparam, event, select, update
from sqlalchemy.dialects import sqlite

from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.database.queries import KEPT
from moderate.database.schema import UtcDateTime, articles
from moderate.database.sqlite import LOOK_EVERY
from moderate.database.statements import Lookup
from moderate.database.url import ConnectionOptions
from moderate.errors import ServiceDown
from moderate.lifecycle import Overrides
from moderate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from moderate.store.store import Store
    from tests.servers import PostgreSQL

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

CHANGED = (
    select(articles.c.comments_open, articles.c.pings_open, articles.c.updated_at)
    .where(articles.c.key == bindparam("of_key"), articles.c.updated_at >= bindparam("since"))
    .limit(1)
)
#: Changes no row.
TOUCHED = update(articles).where(articles.c.key == "nowhere").values(pings_open=None)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A database without tables."""
    database = Database(empty_url)
    yield database
    database.dispose()


def test_values_have_the_types_of_their_columns(store: Store) -> None:
    store.articles.set_overrides("thaw", Overrides(comments_open=False), NOON)
    found = Lookup(CHANGED).first(store.database, of_key="thaw", since=NOON)
    assert found is not None
    comments_open, pings_open, updated_at = found
    assert (comments_open is False, pings_open, updated_at) == (True, None, NOON)
    with store.database.read() as conn:
        assert tuple(found) == tuple(conn.execute(CHANGED, {"of_key": "thaw", "since": NOON}).one())


@pytest.mark.parametrize(
    "at",
    [
        NOON,
        NOON.replace(microsecond=0),
        NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30))),
        datetime(7, 1, 2, tzinfo=UTC),
    ],
)
def test_a_moment_is_stored_on_sqlite_as_sqlalchemy_stores_it(at: datetime) -> None:
    dialect = sqlite.dialect()
    stored, expected = (kind.dialect_impl(dialect).bind_processor(dialect) for kind in (UtcDateTime(), DateTime()))
    assert stored is not None
    assert expected is not None
    assert stored(at) == expected(at.astimezone(UTC).replace(tzinfo=None))
    assert stored(None) is None
    with pytest.raises(ValueError, match="without a time zone"):
        stored(at.replace(tzinfo=None))


def test_a_missing_row_is_none(store: Store) -> None:
    store.articles.set_overrides("thaw", Overrides(), NOON)
    lookup = Lookup(CHANGED)
    assert lookup.first(store.database, of_key="frost", since=NOON) is None
    assert lookup.rows(store.database, of_key="thaw", since=NOON.replace(year=2027)) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, migrated_database: Callable[[str], str]) -> str:
    """The address of a database whose driver runs look-ups itself."""
    return migrated_database(request.param)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(url: str, clock: ManualClock) -> Iterator[Database]:
    made = Database(url, clock=clock)
    yield made
    made.dispose()


def look(database: Database) -> None:
    assert Lookup(CHANGED).first(database, of_key="thaw", since=NOON) is None


def change(database: Database) -> None:
    """Write by one statement, as what requests store is written."""
    database.transaction(lambda conn: conn.execute(TOUCHED), is_single=True)


class Interrupting(list[int]):
    """Parameters at which the driver is interrupted, as by a signal."""

    def __len__(self) -> int:
        raise RuntimeError


@pytest.fixture(params=[look, change])
def use(request: pytest.FixtureRequest) -> Callable[[Database], None]:
    """A use of the database whose connection is kept for the next one."""
    made: Callable[[Database], None] = request.param
    return made


def test_a_connection_is_taken_from_the_pool_twice_a_second(
    database: Database, clock: ManualClock, use: Callable[[Database], None]
) -> None:
    taken: list[object] = []
    event.listen(database.engine, "checkout", lambda raw, *_: taken.append(raw))
    # The first one also asks for the level of isolation of the server.
    use(database)
    clock.advance(seconds=1)
    taken.clear()
    for _ in range(5):
        use(database)
        look(database)
    assert len(taken) == 1
    clock.advance(seconds=0.5)
    use(database)
    assert len(taken) == 2


def test_connections_that_several_threads_have_left_are_given_back(
    database: Database, clock: ManualClock, use: Callable[[Database], None]
) -> None:
    # One in use, and meanwhile another.
    for _ in range(2):
        database.transaction(lambda _: look(database), is_single=True)
    pool: Any = database.engine.pool
    assert pool.checkedout() == 2
    clock.advance(seconds=1)
    use(database)
    assert pool.checkedout() == 1


def test_a_connection_is_not_kept_where_a_transaction_failed(database: Database) -> None:
    def fail(conn: Connection) -> None:
        conn.execute(TOUCHED)
        raise LookupError

    change(database)
    with pytest.raises(LookupError):
        database.transaction(fail, is_single=True)
    taken: list[object] = []
    event.listen(database.engine, "checkout", lambda raw, *_: taken.append(raw))
    change(database)
    assert len(taken) == 1


def test_a_query_that_is_interrupted_gives_its_connection_back(database: Database) -> None:
    look(database)
    # Else the end of its frames would give it back too.
    with pytest.raises(RuntimeError) as interrupted:
        database.ask("SELECT 1 WHERE 1 = ?", Interrupting())
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert interrupted.tb


def test_a_signal_that_interrupts_a_query_after_a_write_is_raised_itself(pg_url: str, clock: ManualClock) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    database = Database(pg_url, clock=clock)
    upgrade(database)
    change(database)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(InterruptedError):
            database.ask("SELECT pg_sleep(20)", ())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    change(database)
    database.dispose()


def test_a_connection_that_is_kept_is_closed_with_the_others(
    database: Database, use: Callable[[Database], None]
) -> None:
    use(database)
    closed: list[object] = []
    for name in ("close", "close_detached"):
        event.listen(database.engine, name, lambda raw, *_: closed.append(raw))
    use(database)
    database.dispose()
    assert len(closed) == 1
    use(database)
    # As after an outage, which replaces the pool alone.
    database.engine.dispose()
    use(database)
    assert len(closed) == 2


def test_a_connection_whose_pool_is_replaced_within_a_transaction_is_closed(database: Database) -> None:
    change(database)
    closed: list[object] = []
    for name in ("close", "close_detached"):
        event.listen(database.engine, name, lambda raw, *_: closed.append(raw))

    def replace_pool(conn: Connection) -> None:
        database.close_connections()
        assert not closed
        conn.execute(TOUCHED)

    database.transaction(replace_pool, is_single=True)
    assert len(closed) == 1


def test_a_small_pool_keeps_all_of_its_connections_for_transactions(
    url: str, clock: ManualClock, use: Callable[[Database], None]
) -> None:
    options = ConnectionOptions(pool_size=1, max_overflow=1, pool_timeout=1)
    database = Database(url, clock=clock, options=options)
    use(database)
    with database.read() as one, database.read() as other:
        assert one.execute(select(1)).scalar() == other.execute(select(1)).scalar()
    database.dispose()


def test_a_connection_that_is_kept_goes_to_transactions_that_need_it(
    url: str, clock: ManualClock, use: Callable[[Database], None]
) -> None:
    options = ConnectionOptions(pool_size=2, max_overflow=2, pool_timeout=1)
    database = Database(url, clock=clock, options=options)
    for _ in range(2):
        use(database)
        with ExitStack() as held:
            conns = [held.enter_context(database.read()) for _ in range(3)]
            # One that comes while all others are in use is not kept either.
            look(database)
            conns.append(held.enter_context(database.write()))
            assert [conn.execute(select(1)).scalar() for conn in conns] == [1] * 4
    database.dispose()


def test_a_lookup_gets_over_a_connection_that_was_lost_while_it_was_kept(
    pg_url: str, postgresql: PostgreSQL, clock: ManualClock
) -> None:
    database = Database(pg_url, clock=clock)
    upgrade(database)
    look(database)
    postgresql.end_connections(pg_url)
    look(database)
    database.dispose()


def test_a_file_that_is_moved_while_a_connection_to_it_is_kept_is_noticed(
    tmp_path: Path, clock: ManualClock, use: Callable[[Database], None]
) -> None:
    path = tmp_path / "moderate.db"
    database = Database(f"sqlite:///{path}", clock=clock)
    upgrade(database)
    use(database)
    path.rename(tmp_path / "elsewhere.db")
    # A second, as documented, also for a connection that is taken just before the next look at the folder.
    clock.advance(seconds=KEPT + LOOK_EVERY)
    assert KEPT + LOOK_EVERY <= 1
    with pytest.raises(ServiceDown, match="moved"):
        use(database)
    database.dispose()


def test_missing_tables_are_an_outage_with_instructions(empty: Database) -> None:
    with pytest.raises(ServiceDown, match="flask moderate db upgrade"):
        Lookup(CHANGED).rows(empty, of_key="thaw", since=NOON)


def test_a_database_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(ServiceDown, match="cannot be opened: its folder must exist"):
        Lookup(CHANGED).rows(nowhere, of_key="thaw", since=NOON)
    nowhere.dispose()
