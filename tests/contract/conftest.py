"""The stores that every promise of `moderate.store.store.Store` is tested on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.database.schema import metadata
from moderate.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from tests.mariadb_servers import MariaDB
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
    return migrated(postgresql.new_database())


@pytest.fixture(scope="session")
def migrated_mariadb_url(mariadb: MariaDB) -> str:
    return migrated(mariadb.new_database())


def migrated(url: str) -> str:
    database = Database(url)
    upgrade(database)
    database.dispose()
    return url


BACKENDS = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("pg_url" if request.param == "postgresql" else "mariadb_url")
    return url


@pytest.fixture
def migrated_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the address of a database of one backend, with all tables and nothing in them."""

    def address(backend: str) -> str:
        if backend == "sqlite":
            shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "moderate.db")
            return f"sqlite:///{tmp_path / 'moderate.db'}"
        url: str = request.getfixturevalue("migrated_url" if backend == "postgresql" else "migrated_mariadb_url")
        database = Database(url)
        with database.write() as conn:
            empty(conn)
        database.dispose()
        return url

    return address


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, migrated_database: Callable[[str], str]) -> str:
    """The address of a database with all tables and nothing in them."""
    return migrated_database(request.param)


def empty(conn: Connection) -> None:
    """Nothing in any table, and ids begin at 1 again."""
    names = [table.name for table in metadata.sorted_tables]
    if conn.dialect.name == "postgresql":
        conn.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY"))
        return
    # To truncate is to make anew for MariaDB, which is slow and would make the index for searches another one.
    for name in names:
        conn.execute(text(f"DELETE FROM {name}"))
    counting = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment > 1"
    for name in conn.execute(text(counting)).scalars().all():
        conn.execute(text(f"ALTER TABLE {name} AUTO_INCREMENT = 1"))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    database = Database(database_url)
    yield Store(database)
    database.dispose()
