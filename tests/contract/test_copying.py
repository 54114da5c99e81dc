"""A site moves from one database to another: every row, all or nothing, and ids go on where they were."""

from __future__ import annotations

import enum
import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import BigInteger, Boolean, Double, Integer, delete, func, insert, select, text, update
from sqlalchemy.types import JSON

from moderate.database import migrate
from moderate.database.copies import BATCH, copy, count_rows
from moderate.database.engine import Database
from moderate.database.schema import UtcDateTime, counters, items, metadata, secrets, states
from moderate.database.tables import Tables
from moderate.errors import CopyRefused, ServiceDown
from moderate.model import ItemFilter
from moderate.store.search import terms_of
from moderate.store.store import Store
from tests.factories import APPROVED, HELD, NOON, a_comment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Column, Table

    from tests.mariadb_servers import MariaDB
    from tests.servers import PostgreSQL


class Way(enum.StrEnum):
    UP = "sqlite to postgresql"
    DOWN = "postgresql to sqlite"
    ASIDE = "sqlite to sqlite"
    OVER = "postgresql to mariadb"
    BACK = "mariadb to sqlite"


@pytest.fixture
def new_address(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Addresses of databases with nothing in them."""
    numbers, made = itertools.count(), []

    def new(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
        server: PostgreSQL | MariaDB = request.getfixturevalue(kind)
        made.append((server, server.new_database()))
        return made[-1][1]

    yield new
    for server, url in made:
        server.drop_database(url)


@pytest.fixture
def new_database(new_address: Callable[[str], str]) -> Iterator[Callable[[str], Database]]:
    made: list[Database] = []

    def new(kind: str) -> Database:
        made.append(Database(new_address(kind)))
        return made[-1]

    yield new
    for database in made:
        database.dispose()


@pytest.fixture(params=list(Way))
def ends(request: pytest.FixtureRequest, new_database: Callable[[str], Database]) -> tuple[Database, Database]:
    """The source, with all tables, and the target, with nothing at all."""
    source, _, target = request.param.partition(" to ")
    pair = new_database(source), new_database(target)
    migrate.upgrade(pair[0])
    return pair


@pytest.fixture
def moving(new_database: Callable[[str], Database]) -> tuple[Database, Database]:
    """From SQLite to PostgreSQL, with three comments."""
    source, target = new_database("sqlite"), new_database("postgresql")
    migrate.upgrade(source)
    for number in range(3):
        Store(source).items.record(a_comment(f"Number {number}"), HELD, [], NOON)
    return source, target


def nobody(_: int) -> None:
    """Ignore the progress."""


# --- every table with any contents ----------------------------------------------------------------

STRANGE = 'Ōgai\'s "é\u0301" 昨日 🙂 \\ %s :name \u202e'


def a_value(column: Column[Any], number: int) -> Any:
    """A value of the column's type, another one for each number."""
    kind = column.type
    if column.nullable and number % 3 == 2:
        return None
    if isinstance(kind, UtcDateTime):
        return NOON + timedelta(microseconds=number)
    if isinstance(kind, JSON):
        return {"words": [STRANGE, None, number, 1.5, True]}
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Double):
        return -1 / (number + 2)
    if isinstance(kind, BigInteger):
        return 2**62 + number if column.autoincrement is False or not column.primary_key else number
    if isinstance(kind, Integer):
        return -(2**31) + number
    length = getattr(kind, "length", None) or 300
    return f"{number} {STRANGE * 9}"[:length]


def fill(database: Database, rows: int) -> None:
    with database.write() as conn:
        for table in metadata.sorted_tables:
            made = [{c.name: a_value(c, number) for c in table.columns} for number in range(1, rows + 1)]
            for row in made:
                row.update({"search": terms_of(row)} if table is items else {})
            conn.execute(insert(table), made)


def rows_of(database: Database, table: Table) -> list[tuple[Any, ...]]:
    # Each database keeps the words to search for in a form of its own.
    columns = [c for c in table.columns if c is not items.c.search or database.dialect == "sqlite"]
    with database.read() as conn:
        return [tuple(row) for row in conn.execute(select(*columns).order_by(*table.primary_key.columns))]


def is_empty(database: Database) -> bool:
    """Return whether the database holds only the rows of new tables: secrets, their age, counters of zero."""
    tables = [table for table in metadata.sorted_tables if table not in (counters, secrets, states)]
    return not any(rows_of(database, table) for table in tables)


def test_every_row_of_every_table_is_copied_unchanged(new_database: Callable[[str], Database]) -> None:
    first, between, last = new_database("sqlite"), new_database("postgresql"), new_database("sqlite")
    migrate.upgrade(first)
    fill(first, rows=BATCH + 7)
    third = new_database("mariadb")
    copy(first, between, nobody)
    copy(between, third, nobody)
    copy(third, last, nobody)
    for table in metadata.sorted_tables:
        assert rows_of(last, table) == rows_of(first, table) != [], table.name


def test_progress_is_reported_up_to_the_number_of_rows(ends: tuple[Database, Database]) -> None:
    source, target = ends
    fill(source, rows=BATCH + 1)
    heard: list[int] = []
    copy(source, target, heard.append)
    assert sum(heard) == count_rows(source) == count_rows(target)
    assert max(heard) == BATCH


# --- what goes on over there ----------------------------------------------------------------------


def test_the_next_comment_gets_an_unused_id(ends: tuple[Database, Database]) -> None:
    source, target = ends
    for number in range(3):
        Store(source).items.record(a_comment(f"Number {number}"), HELD, [], NOON)
    with source.write() as conn:
        conn.execute(delete(items).where(items.c.id == 3))
    copy(source, target, nobody)
    assert Store(target).items.record(a_comment("Over there"), HELD, [], NOON).item.id == 4


def test_searches_counters_and_histories_work_after_copying(ends: tuple[Database, Database]) -> None:
    source, target = ends
    item = Store(source).items.record(a_comment("The ferry was late"), APPROVED, [], NOON).item
    Store(source).items.record(a_comment("昨日の会議で市長が"), HELD, [], NOON)
    secret = Store(source).secrets.get("signing")
    copy(source, target, nobody)
    store = Store(target)
    for query, expected in (("ferr", [1]), ("市長", [2]), ("boat", [])):
        assert [found.id for found in store.queue.page(ItemFilter(q=query), cursor=None, limit=9).items] == expected
    assert store.items.get(item.id) == item
    assert store.counters.counts([item.article]) == Store(source).counters.counts([item.article])
    assert store.history.of_item(item.id) == Store(source).history.of_item(item.id)
    assert store.secrets.get("signing") == secret
    assert migrate.check(target) == []


def test_counters_that_had_drifted_before_are_reported(moving: tuple[Database, Database]) -> None:
    source, target = moving
    address = target.engine.url.render_as_string(hide_password=False)
    with source.write() as conn:
        conn.execute(update(counters).values(comments=7))
    drifts = Tables(source).copy_to(address, nobody)
    assert {drift.article for drift in drifts} == {"2026/thaw"}
    with target.read() as conn:
        assert set(conn.execute(select(counters.c.comments)).scalars()) == {7}


# --- all or nothing -------------------------------------------------------------------------------


def test_a_target_that_is_not_empty_is_left_unchanged(ends: tuple[Database, Database]) -> None:
    source, target = ends
    fill(source, rows=2)
    migrate.upgrade(target)
    Store(target).items.record(a_comment("Was here first"), HELD, [], NOON)
    before = [rows_of(target, table) for table in metadata.sorted_tables]
    with pytest.raises(CopyRefused, match=r"not empty.*moderate_items \(1\)"):
        copy(source, target, nobody)
    assert [rows_of(target, table) for table in metadata.sorted_tables] == before


def test_rows_added_during_copying_stop_it_and_it_can_be_repeated(ends: tuple[Database, Database]) -> None:
    source, target = ends
    store = Store(source)
    store.items.record(a_comment("Before"), HELD, [], NOON)
    written = iter(["Meanwhile"])

    def somebody_writes(_: int) -> None:
        for words in written:
            store.items.record(a_comment(words), HELD, [], NOON)

    with pytest.raises(CopyRefused, match="still being written to"):
        copy(source, target, somebody_writes)
    assert is_empty(target)
    copy(source, target, somebody_writes)
    assert [item.text for item in Store(target).queue.page(ItemFilter(), cursor=None, limit=9).items] == [
        "Meanwhile",
        "Before",
    ]


def test_an_interrupted_copy_leaves_nothing_and_can_be_repeated(ends: tuple[Database, Database]) -> None:
    source, target = ends
    fill(source, rows=3)

    def interrupt(_: int) -> None:
        if next(left) == 0:
            raise KeyboardInterrupt

    left = iter([3, 2, 1, 0])
    with pytest.raises(KeyboardInterrupt):
        copy(source, target, interrupt)
    assert is_empty(target)
    copy(source, target, nobody)
    assert count_rows(target) == count_rows(source)


def test_a_row_refused_by_the_new_database_is_reported_with_a_message(moving: tuple[Database, Database]) -> None:
    source, target = moving
    with source.write() as conn:
        conn.execute(update(items).where(items.c.id == 2).values(policy="x" * 65))
    with pytest.raises(CopyRefused, match=r"refused a row.*too long"):
        copy(source, target, nobody)
    assert is_empty(target)


def test_tables_of_another_version_are_not_copied(moving: tuple[Database, Database]) -> None:
    source, target = moving
    for database, words in ((target, "The new database"), (source, "The site's database")):
        migrate.upgrade(database)
        with database.write() as conn:
            conn.execute(text("UPDATE moderate_alembic_version SET version_num = '0000'"))
        with pytest.raises(CopyRefused, match=f"{words} is at version 0000"):
            copy(source, target, nobody)
        with database.write() as conn:
            conn.execute(text(f"UPDATE moderate_alembic_version SET version_num = '{migrate.HEAD}'"))


def test_a_database_that_is_unavailable_is_named(moving: tuple[Database, Database], tmp_path: Path) -> None:
    source, target = moving
    away = Database(f"sqlite:///{tmp_path / 'no' / 'where.db'}")
    with pytest.raises(CopyRefused, match="The new database does not work"):
        copy(source, away, nobody)
    with pytest.raises(ServiceDown):
        copy(away, target, nobody)


def test_the_source_is_only_read(moving: tuple[Database, Database]) -> None:
    source, target = moving
    before = [rows_of(source, table) for table in metadata.sorted_tables]
    copy(source, target, nobody)
    assert [rows_of(source, table) for table in metadata.sorted_tables] == before
    with source.read() as conn:
        assert conn.execute(select(func.count()).select_from(items)).scalar() == 3


def test_a_copy_is_not_refused_where_its_search_index_has_to_wait(
    new_database: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = new_database("sqlite"), new_database("sqlite")
    migrate.upgrade(source)
    item = Store(source).items.record(a_comment("A lake in spring"), HELD, [], NOON).item

    def busy(*_: object) -> None:
        raise ServiceDown("database", "it is locked")

    monkeypatch.setattr(target, "promptly", busy)
    copy(source, target, nobody)
    assert count_rows(target) == count_rows(source)
    page = Store(target).queue.page(ItemFilter(q="lake"), cursor=None, limit=9)
    assert [found.id for found in page.items] == [item.id]
