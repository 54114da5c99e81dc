"""Damage after a restore, and its repair by `db check --repair`; databases that cannot hold every text."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from moderate.database.engine import Database
from moderate.database.migrate import migrate_to, upgrade
from moderate.database.tables import Tables
from moderate.errors import ServiceDown
from moderate.store.store import Store
from tests.factories import HELD, NOON, a_comment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mariadb_servers import MariaDB
    from tests.servers import PostgreSQL


def faults(store: Store, *, repair: bool = False) -> list[tuple[str, bool]]:
    return [(fault.words, fault.is_mended) for fault in Tables(store.database).faults(repair=repair)]


def tamper(store: Store, *statements: str) -> None:
    with store.database.write() as conn:
        for statement in statements:
            conn.execute(text(statement))


def on(store: Store, **statements: str) -> str:
    return statements["mariadb" if store.database.dialect in {"mysql", "mariadb"} else store.database.dialect]


def add(store: Store, times: int = 1) -> list[int]:
    return [store.items.record(a_comment(f"Number {number}"), HELD, [], NOON).item.id for number in range(times)]


def test_a_healthy_database_has_no_faults(store: Store) -> None:
    add(store, 3)
    assert faults(store) == []
    assert faults(store, repair=True) == []


def test_a_missing_index_is_recreated(store: Store) -> None:
    name = "ix_moderate_items_status_id"
    tamper(store, f"DROP INDEX {name}" + on(store, sqlite="", postgresql="", mariadb=" ON moderate_items"))
    assert faults(store) == [(f"The index {name} is missing.", False)]
    assert faults(store, repair=True) == [(f"The index {name} is missing.", True)]
    assert faults(store) == []


def test_counters_that_have_drifted_are_recounted(store: Store) -> None:
    add(store, 2)
    tamper(store, "UPDATE moderate_counters SET spam_pingback = 7")
    assert {mended for _, mended in faults(store)} == {False}
    assert {mended for _, mended in faults(store, repair=True)} == {True}
    assert faults(store) == []


def test_a_missing_search_index_is_recreated(store: Store) -> None:
    add(store, 3)
    tamper(
        store,
        on(
            store,
            sqlite="DROP TABLE moderate_search",
            postgresql="DROP INDEX ix_moderate_items_search",
            mariadb="DROP INDEX ix_moderate_items_search ON moderate_items",
        ),
    )
    words = "The index for searches is missing or damaged."
    assert faults(store) == [(words, False)]
    assert faults(store, repair=True) == [(words, True)]
    assert faults(store) == []
    number = add(store)[0]
    tamper(store, f"DELETE FROM moderate_items WHERE id = {number}")


#: The statements that remove a key from a table, by the fault that is reported: on PostgreSQL and on MariaDB.
LOSSES = {
    "moderate_samples has lost its primary key": (
        ("ALTER TABLE moderate_samples DROP CONSTRAINT pk_moderate_samples",),
        ("ALTER TABLE moderate_samples DROP PRIMARY KEY",),
    ),
    "moderate_items has lost its primary key": (
        ("ALTER TABLE moderate_items DROP CONSTRAINT pk_moderate_items",),
        ("ALTER TABLE moderate_items MODIFY id BIGINT NOT NULL", "ALTER TABLE moderate_items DROP PRIMARY KEY"),
    ),
    "moderate_tasks may hold the same open_key twice": (
        ("ALTER TABLE moderate_tasks DROP CONSTRAINT uq_moderate_tasks_open_key",),
        ("ALTER TABLE moderate_tasks DROP INDEX uq_moderate_tasks_open_key",),
    ),
    "moderate_items may hold the same article_key and source_key twice": (
        ("ALTER TABLE moderate_items DROP CONSTRAINT uq_moderate_items_article_key_source_key",),
        ("ALTER TABLE moderate_items DROP INDEX uq_moderate_items_article_key_source_key",),
    ),
    "moderate_items gives no ids to new rows": (
        ("ALTER TABLE moderate_items ALTER COLUMN id DROP DEFAULT", "DROP SEQUENCE moderate_items_id_seq"),
        ("ALTER TABLE moderate_items MODIFY id BIGINT NOT NULL",),
    ),
}


@pytest.fixture(params=["pg_url", "mariadb_url"])
def served(request: pytest.FixtureRequest) -> Iterator[Store]:
    store = Store(Database(request.getfixturevalue(request.param)))
    upgrade(store.database)
    yield store
    store.database.dispose()


@pytest.mark.parametrize("told", LOSSES)
def test_a_missing_key_is_restored(served: Store, told: str) -> None:
    numbers = add(served, 3)
    postgresql, mariadb = LOSSES[told]
    tamper(served, *(postgresql if served.database.dialect == "postgresql" else mariadb))
    found = faults(served)
    assert any(words.startswith(told) for words, _ in found)
    assert {mended for _, mended in faults(served, repair=True)} == {True}
    assert faults(served) == []
    assert add(served)[0] > max(numbers)


def test_rows_that_prevent_the_restoration_of_a_key_are_named(served: Store) -> None:
    numbers = add(served, 2)
    lost = LOSSES["moderate_items may hold the same article_key and source_key twice"]
    tamper(served, *lost[served.database.dialect != "postgresql"], "UPDATE moderate_items SET source_key = 'the same'")
    named = f"(id {numbers[0]}, {numbers[1]}) stand in the way"
    for repair in (False, True):
        ((words, mended),) = faults(served, repair=repair)
        assert named in words
        assert not mended
    tamper(served, f"UPDATE moderate_items SET source_key = NULL WHERE id = {numbers[1]}")
    assert [mended for _, mended in faults(served, repair=True)] == [True]
    assert faults(served) == []


@pytest.fixture
def behind(pg_url: str) -> Iterator[Store]:
    """Rows came back without their sequences, as by a restore of the data alone."""
    store = Store(Database(pg_url))
    upgrade(store.database)
    add(store, 40)
    with store.database.read() as conn:
        names = conn.execute(text("SELECT sequencename FROM pg_sequences")).scalars().all()
    tamper(store, *(f"ALTER SEQUENCE {name} RESTART" for name in names))
    yield store
    store.database.dispose()


def test_sequences_that_are_behind_are_reported_and_corrected(behind: Store) -> None:
    told = "The sequence of moderate_items is behind its rows."
    assert (told, False) in faults(behind)
    assert (told, True) in faults(behind, repair=True)
    assert faults(behind) == []
    assert add(behind) == [41]


def test_a_comment_is_stored_although_a_sequence_is_behind_its_rows(
    behind: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert add(behind, 2) == [41, 42]
    (line,) = [record.message for record in caplog.records if "sequences" in record.message]
    assert "moderate_items" in line
    assert faults(behind) == []


@pytest.mark.parametrize("lost", [[], ["DROP SEQUENCE moderate_items_id_seq"]], ids=["default", "sequence"])
def test_a_row_without_an_id_is_an_outage_with_instructions(pg_url: str, lost: list[str]) -> None:
    store = Store(Database(pg_url))
    upgrade(store.database)
    tamper(store, "ALTER TABLE moderate_items ALTER COLUMN id DROP DEFAULT", *lost)
    with pytest.raises(ServiceDown, match="db check"):
        add(store)
    assert ("moderate_items gives no ids to new rows any more.", True) in faults(store, repair=True)
    assert add(store)
    store.database.dispose()


# --- encodings and modes ------------------------------------------------------------------------------


@contextmanager
def encoded(postgresql: PostgreSQL, encoding: str) -> Iterator[str]:
    name = f"in_{encoding.lower()}"
    postgresql.run(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    yield postgresql.url(name)
    postgresql.drop_database(postgresql.url(name))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_database_that_is_not_in_utf8_is_refused_with_a_message(
    postgresql: PostgreSQL, encoding: str, driver: str
) -> None:
    with encoded(postgresql, encoding) as url:
        database = Database(url.replace("+psycopg", f"+{driver}"))
        with pytest.raises(ServiceDown, match=f"encoding {encoding}.*ENCODING 'UTF8'"):
            upgrade(database)
        assert Tables(database).trouble()[0] == f"encoding {encoding}"
        database.dispose()


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "the host's"])
def test_text_that_an_older_database_cannot_hold_is_an_outage(postgresql: PostgreSQL, is_ours: bool) -> None:
    """Tables that were made before such databases were refused."""
    with encoded(postgresql, "LATIN1") as url:
        engine = create_engine(url)
        database = Database(url if is_ours else engine)
        with database.write() as conn:
            migrate_to(conn, "head")
        store = Store(database)
        assert add(store)
        for typed in ("An emoji 🎉", "日本語", "A dash –"):
            with pytest.raises(ServiceDown, match="not in UTF-8"):
                store.items.record(a_comment(typed), HELD, [], NOON)
        engine.dispose()
        database.dispose()


def test_a_default_client_encoding_is_overridden_and_reported_for_an_engine_of_the_host(
    postgresql: PostgreSQL, pg_url: str
) -> None:
    postgresql.run(f"ALTER DATABASE {pg_url.rpartition('/')[2]} SET client_encoding = 'LATIN1'")
    store = Store(Database(pg_url))
    upgrade(store.database)
    kept = store.items.record(a_comment("日本語 🎉"), HELD, [], NOON).item
    assert store.items.get(kept.id) == kept
    engine = create_engine(pg_url)
    assert Tables(Database(engine)).trouble()[0] == "connections in LATIN1"
    engine.dispose()
    store.database.dispose()


MODES = "EMPTY_STRING_IS_NULL,STRICT_TRANS_TABLES"


def test_unsuitable_sql_modes_are_overridden_and_refused_for_an_engine_of_the_host(
    mariadb: MariaDB, mariadb_url: str
) -> None:
    mariadb.run(f"SET GLOBAL sql_mode = '{MODES}', GLOBAL sql_safe_updates = 1, GLOBAL sql_select_limit = 3")
    try:
        store = Store(Database(mariadb_url))
        upgrade(store.database)
        assert add(store, 5)
        assert faults(store) == []
        engine = create_engine(mariadb_url)
        hosts = Store(Database(engine))
        assert Tables(hosts.database).trouble()[0] == "sql_mode EMPTY_STRING_IS_NULL"
        with pytest.raises(ServiceDown, match="EMPTY_STRING_IS_NULL"):
            add(hosts)
        engine.dispose()
        store.database.dispose()
    finally:
        mariadb.run("SET GLOBAL sql_mode = DEFAULT, GLOBAL sql_safe_updates = 0, GLOBAL sql_select_limit = DEFAULT")


def test_tables_restored_in_another_character_set_are_repaired(mariadb_url: str) -> None:
    store = Store(Database(mariadb_url))
    upgrade(store.database)
    add(store)
    tamper(store, "ALTER TABLE moderate_items CONVERT TO CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    with pytest.raises(ServiceDown, match="not in UTF-8"):
        store.items.record(a_comment("日本語"), HELD, [], NOON)
    assert ("The texts of moderate_items are in another character set or collation.", True) in faults(
        store, repair=True
    )
    assert faults(store) == []
    assert store.items.record(a_comment("日本語 🎉"), HELD, [], NOON)
    store.database.dispose()
