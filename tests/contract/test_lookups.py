"""Short look-ups give what the same statement gives by SQLAlchemy, on each database."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import DateTime, bindparam, event, select
from sqlalchemy.dialects import sqlite

from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.database.schema import UtcDateTime, articles
from moderate.database.statements import Lookup
from moderate.database.url import ConnectionOptions
from moderate.errors import ServiceDown
from moderate.lifecycle import Overrides
from moderate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moderate.store.store import Store
    from tests.servers import PostgreSQL

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

CHANGED = (
    select(articles.c.comments_open, articles.c.pings_open, articles.c.updated_at)
    .where(articles.c.key == bindparam("of_key"), articles.c.updated_at >= bindparam("since"))
    .limit(1)
)


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


def test_lookups_take_a_connection_from_the_pool_once_a_second(database: Database, clock: ManualClock) -> None:
    taken: list[object] = []
    event.listen(database.engine, "checkout", lambda raw, *_: taken.append(raw))
    for _ in range(5):
        look(database)
    assert len(taken) == 1
    clock.advance(seconds=1)
    look(database)
    assert len(taken) == 2


def test_a_connection_that_is_kept_for_lookups_is_closed_with_the_others(database: Database) -> None:
    closed: list[object] = []
    for name in ("close", "close_detached"):
        event.listen(database.engine, name, lambda raw, *_: closed.append(raw))
    look(database)
    database.dispose()
    assert len(closed) == 1
    look(database)
    # As after an outage, which replaces the pool alone.
    database.engine.dispose()
    look(database)
    assert len(closed) == 2


def test_a_small_pool_keeps_all_of_its_connections_for_transactions(url: str, clock: ManualClock) -> None:
    options = ConnectionOptions(pool_size=1, max_overflow=1, pool_timeout=1)
    database = Database(url, clock=clock, options=options)
    look(database)
    with database.read() as one, database.read() as other:
        assert one.execute(select(1)).scalar() == other.execute(select(1)).scalar()
    database.dispose()


def test_a_connection_that_is_kept_for_lookups_goes_to_transactions_that_need_it(url: str, clock: ManualClock) -> None:
    options = ConnectionOptions(pool_size=2, max_overflow=2, pool_timeout=1)
    database = Database(url, clock=clock, options=options)
    for _ in range(2):
        look(database)
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
    name = pg_url.rpartition("/")[2]
    postgresql.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    look(database)
    database.dispose()


def test_a_file_that_is_moved_while_a_connection_to_it_is_kept_is_noticed(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "moderate.db"
    database = Database(f"sqlite:///{path}", clock=clock)
    upgrade(database)
    look(database)
    path.rename(tmp_path / "elsewhere.db")
    clock.advance(seconds=1)
    with pytest.raises(ServiceDown, match="moved"):
        look(database)
    database.dispose()


def test_missing_tables_are_an_outage_with_instructions(empty: Database) -> None:
    with pytest.raises(ServiceDown, match="flask moderate db upgrade"):
        Lookup(CHANGED).rows(empty, of_key="thaw", since=NOON)


def test_a_database_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(ServiceDown, match="cannot be opened: its folder must exist"):
        Lookup(CHANGED).rows(nowhere, of_key="thaw", since=NOON)
    nowhere.dispose()
