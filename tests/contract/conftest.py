"""The stores that every promise of `moderate.ports.Store` is tested on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from moderate.store import Database, SqlStore, metadata
from moderate.store.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgreSQL


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied: a migration for each test would take longer than the test."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_url(postgresql: PostgreSQL) -> str:
    url = postgresql.new_database()
    database = Database(url)
    upgrade(database)
    database.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with all tables and nothing in them."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "moderate.db")
        return f"sqlite:///{tmp_path / 'moderate.db'}"
    url: str = request.getfixturevalue("migrated_url")
    database = Database(url)
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with database.write() as conn:
        conn.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
    database.dispose()
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[SqlStore]:
    database = Database(database_url)
    yield SqlStore(database)
    database.dispose()
