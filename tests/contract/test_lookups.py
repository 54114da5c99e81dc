"""Short look-ups give what the same statement gives by SQLAlchemy, on each database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import bindparam, select

from moderate.database.engine import Database
from moderate.database.schema import articles
from moderate.database.statements import Lookup
from moderate.errors import ServiceDown
from moderate.lifecycle import Overrides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moderate.store.store import Store

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


def test_a_missing_row_is_none(store: Store) -> None:
    store.articles.set_overrides("thaw", Overrides(), NOON)
    lookup = Lookup(CHANGED)
    assert lookup.first(store.database, of_key="frost", since=NOON) is None
    assert lookup.rows(store.database, of_key="thaw", since=NOON.replace(year=2027)) == []


def test_missing_tables_are_an_outage_with_instructions(empty: Database) -> None:
    with pytest.raises(ServiceDown, match="flask moderate db upgrade"):
        Lookup(CHANGED).rows(empty, of_key="thaw", since=NOON)


def test_a_database_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    nowhere = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(ServiceDown, match="cannot be opened: its folder must exist"):
        Lookup(CHANGED).rows(nowhere, of_key="thaw", since=NOON)
    nowhere.dispose()
