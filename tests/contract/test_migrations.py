"""The tables are made and kept up to date by the package itself, in a database that may be the host's."""

from __future__ import annotations

import logging
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from alembic.environment import EnvironmentContext
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, inspect, select, text

from moderate.database import migrate
from moderate.database.engine import Database
from moderate.database.migrate import check, current, include_name, is_required, migrate_to, trouble, upgrade
from moderate.database.repairs import every_word, make_fit
from moderate.database.schema import metadata, states
from moderate.errors import ServiceDown
from moderate.model import Decision
from moderate.store import search
from moderate.store.store import Store
from tests.factories import HELD, NOON, a_comment, decide_one
from tests.next_version import ADDITIONS, install_next_version
from tests.processes import PROCESSES
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return partial(install_next_version, tmp_path / "migrations", monkeypatch)


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    made = Database(empty_url)
    yield made
    made.dispose()


def test_an_upgrade_creates_all_tables_of_the_code(database: Database) -> None:
    assert current(database) is None
    assert upgrade(database) == (None, migrate.HEAD)
    assert current(database) == migrate.HEAD
    assert check(database) == []
    with database.read() as conn:
        names = set(inspect(conn).get_table_names())
    # SQLite keeps the index for searches in tables beside the items.
    assert {name for name in names if not name.startswith("moderate_search")} == {
        *metadata.tables,
        migrate.VERSION_TABLE,
    }


def test_the_migrations_create_the_tables_of_the_metadata(database: Database) -> None:
    """To the last name, type, default and index: an upgrade, and then the same database made from the metadata."""
    upgrade(database)
    migrated = details_of(database)
    with database.write() as conn:
        if conn.dialect.name == "sqlite":
            for name in search.SQLITE_TRIGGERS:
                conn.execute(text(f"DROP TRIGGER {name}"))
            for name in (search.SQLITE_INDEX, search.SQLITE_STATE):
                conn.execute(text(f"DROP TABLE {name}"))
        metadata.drop_all(conn)
    with database.write() as conn, every_word(conn):
        metadata.create_all(conn)
        search.create_index(conn)
        make_fit(conn)
    assert details_of(database) == migrated


def details_of(database: Database) -> dict[str, Any]:
    """Return everything that the database reports about its tables, without the order of columns."""
    with database.read() as conn:
        inspector = inspect(conn)
        found: dict[str, Any] = {}
        for name in inspector.get_table_names():
            if name == migrate.VERSION_TABLE:
                continue
            columns = [{**column, "type": repr(column["type"])} for column in inspector.get_columns(name)]
            found[name] = {
                "columns": {column["name"]: column for column in columns},
                "key": inspector.get_pk_constraint(name),
                "unique": {each["name"]: each for each in inspector.get_unique_constraints(name)},
                "indexes": {each["name"]: each for each in inspector.get_indexes(name)},
                "checks": {each["sqltext"] for each in inspector.get_check_constraints(name)},
                "references": inspector.get_foreign_keys(name),
            }
        # SQLAlchemy does not report these on SQLite and MariaDB.
        for what, query in UNREPORTED.get(database.dialect, {}).items():
            found[what] = {tuple(row) for row in conn.execute(text(query))}
    return found


UNREPORTED = {
    "sqlite": {
        "search": "SELECT name, sql FROM sqlite_master WHERE name LIKE '%_search%'",
        "autoincrement": "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'",
        "collations": "SELECT name FROM sqlite_master WHERE sql LIKE '%COLLATE%'",
        "order": "SELECT made.name, part.name, part.seqno, part.desc, part.coll FROM sqlite_master AS made"
        " JOIN pragma_index_xinfo(made.name) AS part WHERE made.type = 'index'",
    },
    "mariadb": {
        "order": "SELECT table_name, index_name, column_name, seq_in_index, collation"
        " FROM information_schema.statistics WHERE table_schema = DATABASE()",
        "checks of columns": "SELECT table_name, constraint_name, check_clause"
        " FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()",
    },
}


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    upgrade(database)
    item = Store(database).items.record(a_comment(), HELD, [], NOON).item
    assert upgrade(database) == (migrate.HEAD, migrate.HEAD)
    assert Store(database).items.get(item.id) == item


def test_the_newest_migration_is_the_version_of_the_code() -> None:
    scripts = ScriptDirectory(str(ROOT / "src" / "moderate" / "database" / "migrations"))
    assert scripts.get_current_head() == migrate.HEAD
    assert {script.revision for script in scripts.walk_revisions()} == migrate.KNOWN


def test_a_difference_is_described_in_words(database: Database) -> None:
    upgrade(database)
    with database.write() as conn:
        conn.execute(text("DROP TABLE moderate_samples"))
        conn.execute(text("ALTER TABLE moderate_items DROP COLUMN referrer"))
    found = check(database)
    assert any("moderate_samples" in words for words in found)
    assert any("referrer" in words for words in found)


def test_tables_of_the_host_are_left_unchanged(database: Database) -> None:
    hosts = MetaData()
    Table("users", hosts, Column("id", Integer, primary_key=True), Column("name", String(20), index=True))
    Table("alembic_version", hosts, Column("version_num", String(32), primary_key=True))
    with database.write() as conn:
        hosts.create_all(conn)
        conn.execute(text("INSERT INTO alembic_version VALUES ('hosts-own')"))
        conn.execute(text("INSERT INTO users VALUES (1, 'Mika')"))
    upgrade(database)
    assert check(database) == []
    with database.read() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == "hosts-own"
        assert conn.execute(text("SELECT name FROM users")).scalar() == "Mika"


def test_an_upgrade_that_fails_midway_leaves_nothing(database: Database) -> None:
    with database.write() as conn:
        # In the way of a table that is made late, and no table itself.
        conn.execute(text("CREATE VIEW moderate_states AS SELECT 1 AS one"))
    with pytest.raises(ServiceDown, match="_states"):
        upgrade(database)
    with database.read() as conn:
        assert inspect(conn).get_table_names() == []
    with database.write() as conn:
        conn.execute(text("DROP VIEW moderate_states"))
    assert upgrade(database) == (None, migrate.HEAD)


def test_missing_tables_are_named_and_not_recreated(database: Database) -> None:
    upgrade(database)
    with database.write() as conn:
        conn.execute(text("DROP TABLE moderate_history"))
        conn.execute(text("DROP TABLE moderate_samples"))
    with pytest.raises(ServiceDown, match=r"moderate_history, moderate_samples\. .*Restore them from a backup"):
        upgrade(database)
    assert trouble(database)[0] == "tables missing"
    assert "moderate_history" in trouble(database)[1]
    with database.read() as conn:
        assert "moderate_history" not in inspect(conn).get_table_names()


def test_a_missing_column_is_named(database: Database) -> None:
    upgrade(database)
    with database.write() as conn:
        conn.execute(text("ALTER TABLE moderate_items DROP COLUMN blog_name"))
    with pytest.raises(ServiceDown, match=r"gone from its tables: moderate_items\.blog_name\. "):
        upgrade(database)


def test_tables_of_the_previous_version_are_upgraded(database: Database, next_version: Callable[[], None]) -> None:
    upgrade(database)
    item = Store(database).items.record(a_comment(), HELD, [], NOON).item
    before = migrate.HEAD
    next_version()
    assert trouble(database) == ("outdated", "Run: flask moderate db upgrade", False)
    assert upgrade(database) == (before, migrate.HEAD)
    assert (trouble(database).state, current(database)) == ("", migrate.HEAD)
    with database.read() as conn:
        assert conn.execute(text("SELECT weight FROM moderate_items")).scalar() == 0
        assert "moderate_moods" in inspect(conn).get_table_names()
    assert Store(database).items.get(item.id) == item
    assert not any(Store(database).counters.recount(repair=False))


def test_an_index_that_an_earlier_checkout_made_is_replaced(database: Database) -> None:
    with database.write() as conn:
        migrate_to(conn, "0002")
        op = Operations(MigrationContext.configure(conn))
        op.drop_index("ix_moderate_items_awaiting_kind_status_id", "moderate_items")
        columns = ["awaiting", "status", "id", "kind"]
        op.create_index("ix_moderate_items_awaiting_status_id_kind", "moderate_items", columns)
    upgrade(database)
    assert check(database) == []


def test_a_loss_before_an_upgrade_is_noticed_by_it(database: Database, next_version: Callable[[], None]) -> None:
    upgrade(database)
    next_version()
    with database.write() as conn:
        conn.execute(text("DROP TABLE moderate_samples"))
    with pytest.raises(ServiceDown, match="moderate_samples"):
        upgrade(database)


def test_tables_without_a_version_are_not_taken_for_a_new_database(database: Database) -> None:
    upgrade(database)
    Store(database).items.record(a_comment(), HELD, [], NOON)
    with database.write() as conn:
        conn.execute(text(f"DROP TABLE {migrate.VERSION_TABLE}"))
    with pytest.raises(ServiceDown, match=f"{migrate.VERSION_TABLE} is gone or empty, but tables are left"):
        upgrade(database)
    assert Store(database).counters.totals().pending == 1


# --- tables that are newer than the code: after a rollback, and while a deploy goes on ---------------


def test_older_code_works_with_additions_to_the_tables(database: Database) -> None:
    upgrade(database)
    add_a_revision(database)
    assert upgrade(database) == ("0099", "0099")
    assert current(database) == "0099"
    assert trouble(database).serves
    assert "Its tables are of version 0099, newer than this code" in trouble(database).advice
    assert "db upgrade" not in trouble(database).advice
    assert check(database) == []
    store = Store(database)
    item = store.items.record(a_comment(), HELD, [], NOON).item
    assert decide_one(store, item.id, Decision.APPROVE, version=1, by="mo", note=None, now=NOON).changed
    assert not any(store.counters.recount(repair=False))


UNFIT = {
    "a column is gone": (["ALTER TABLE moderate_items DROP COLUMN blog_name"], "which needs moderate_items.blog_name"),
    "a column was renamed": (
        ["ALTER TABLE moderate_items RENAME COLUMN title TO heading"],
        "which needs moderate_items.title",
    ),
    "a table is gone": (["DROP TABLE moderate_samples"], "which needs moderate_samples"),
    "a new column has to be filled in": (
        [
            "DROP TABLE moderate_account_notes",
            "CREATE TABLE moderate_account_notes (topic VARCHAR(32) PRIMARY KEY, text VARCHAR(99) NOT NULL,"
            " at TIMESTAMP NOT NULL, told_at TIMESTAMP NOT NULL, colour VARCHAR(9) NOT NULL)",
        ],
        "which cannot fill in moderate_account_notes.colour",
    ),
}


@pytest.mark.parametrize("sort", UNFIT)
def test_code_that_cannot_use_newer_tables_gives_the_reason_and_changes_nothing(database: Database, sort: str) -> None:
    statements, words = UNFIT[sort]
    upgrade(database)
    add_a_revision(database, *statements)
    assert trouble(database)[::2] == ("newer", False)
    assert words in trouble(database).advice
    assert "Install the version of flask-moderate that made them" in trouble(database).advice
    assert "db upgrade" not in trouble(database).advice
    with pytest.raises(ServiceDown, match=words):
        upgrade(database)
    assert current(database) == "0099"


def test_a_newer_upgrade_may_forbid_its_tables_to_older_code(database: Database) -> None:
    upgrade(database)
    add_a_revision(database)
    for oldest, serves in ((migrate.OLDEST, True), ("0050", False)):
        with database.write() as conn:
            migrate.note_oldest(conn, oldest)
        assert trouble(database).serves is serves
    assert "only code of version 0050 or newer works with them" in trouble(database).advice
    with pytest.raises(ServiceDown, match="only code of version 0050"):
        upgrade(database)


def test_each_upgrade_records_the_oldest_code_that_works_with_its_tables(database: Database) -> None:
    upgrade(database)
    with database.read() as conn:
        kept = conn.execute(select(states.c.value).where(states.c.name == "tables")).scalar()
    assert kept == {"oldest": migrate.OLDEST}


def test_migrations_since_the_oldest_compatible_code_only_add_to_the_tables(database: Database) -> None:
    """The rule of CONTRIBUTING.md, which lets deploys be rolled back: raise `OLDEST` where it must be broken."""
    with database.write() as conn:
        migrate_to(conn, migrate.OLDEST)
    before = shape_of(database)
    upgrade(database)
    assert breaks(before, shape_of(database)) == []


def test_the_check_of_additions_detects_changes_that_break_older_code(database: Database) -> None:
    upgrade(database)
    before = shape_of(database)
    add_a_revision(database)
    assert breaks(before, shape_of(database)) == []
    for statements, _ in UNFIT.values():
        add_a_revision(database, *statements)
    add_a_revision(database, "CREATE UNIQUE INDEX one_note ON moderate_rules (effect)")
    assert set(breaks(before, shape_of(database))) >= {
        "moderate_account_notes.colour has to be filled in",
        "moderate_items.blog_name is gone",
        "moderate_items.title is gone",
        "moderate_rules must be unique by effect",
        "moderate_samples is gone",
    }


def add_a_revision(database: Database, *statements: str) -> None:
    """Run a migration of a later version, as `ADDITIONS` where none is given, and stamp the tables with it."""
    with database.write() as conn:
        for statement in statements or ADDITIONS:
            conn.execute(text(statement))
        conn.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '0099'"))


class Shape(NamedTuple):
    """Tables with their columns as the database describes them, and by which columns rows must be unique."""

    columns: dict[str, dict[str, Any]]
    unique: set[tuple[str, ...]]


def shape_of(database: Database) -> Shape:
    with database.read() as conn:
        inspector = inspect(conn)
        names = [name for name in inspector.get_table_names() if name in metadata.tables]
        columns = {name: {column["name"]: column for column in inspector.get_columns(name)} for name in names}
        unique = {
            (name, *index["column_names"]) for name in names for index in inspector.get_indexes(name) if index["unique"]
        }
        unique |= {(name, *each["column_names"]) for name in names for each in inspector.get_unique_constraints(name)}
    return Shape(columns, unique)


def breaks(before: Shape, after: Shape) -> list[str]:
    """Return what code for the tables *before* fails on with those *after*."""
    found = [f"{table} is gone" for table in before.columns.keys() - after.columns.keys()]
    for table in before.columns.keys() & after.columns.keys():
        old, new = before.columns[table], after.columns[table]
        found += [f"{table}.{name} is gone" for name in old.keys() - new.keys()]
        found += [f"{table}.{name} has to be filled in" for name in new.keys() - old.keys() if is_required(new[name])]
        found += [
            f"{table}.{name} is of another kind"
            for name in old.keys() & new.keys()
            if (str(old[name]["type"]), old[name]["nullable"]) != (str(new[name]["type"]), new[name]["nullable"])
        ]
    rules = {rule for rule in after.unique - before.unique if rule[0] in before.columns}
    found += [f"{table} must be unique by {', '.join(columns)}" for table, *columns in rules]
    return sorted(found)


def test_an_upgrade_creates_the_secrets_of_pages(database: Database) -> None:
    upgrade(database)
    with database.read() as conn:
        assert len(conn.execute(text("SELECT name FROM moderate_secrets")).all()) == 3


def test_an_upgrade_within_a_run_of_the_hosts_alembic_does_not_disturb_it(database: Database, tmp_path: Path) -> None:
    """As where the host's ``env.py`` creates its app, which upgrades an embedded database."""
    from alembic import context, op
    from alembic.config import Config
    from alembic.operations import Operations

    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    engine = create_engine("sqlite://")
    with EnvironmentContext(Config(), ScriptDirectory(str(scripts))), engine.connect() as conn:
        context.configure(connection=conn)
        with Operations.context(context.get_context()):
            upgrade(database)
            op.execute("CREATE TABLE articles (id INTEGER)")
            assert context.config is not None
        assert inspect(conn).get_table_names() == ["articles"]
    engine.dispose()
    assert check(database) == []


def test_migrations_of_the_host_do_not_see_the_tables_of_moderate(database: Database) -> None:
    hosts = MetaData()
    Table("moderate_words_of_mine", hosts, Column("id", Integer, primary_key=True))
    upgrade(database)
    with database.write() as conn:
        hosts.create_all(conn)
    with database.read() as conn:
        seen = {name for name in inspect(conn).get_table_names() if include_name(name, "table", {"schema_name": None})}
    assert seen == {"moderate_words_of_mine"}
    assert include_name("moderate_items", "column", {"table_name": "host"})
    both = include_name(lambda name, type_, parents: name != "legacy")
    asked = [both(name, "table", {"schema_name": None}) for name in ("moderate_items", "legacy", "users")]
    assert asked == [False, False, True]


def test_the_logging_of_the_host_is_left_unchanged(database: Database) -> None:
    before = (list(logging.root.handlers), logging.root.level, logging.getLogger("alembic").level)
    disabled = {name: logger.disabled for name, logger in loggers()}
    upgrade(database)
    assert (list(logging.root.handlers), logging.root.level, logging.getLogger("alembic").level) == before
    assert {name: logger.disabled for name, logger in loggers() if name in disabled} == disabled


def loggers() -> list[tuple[str, logging.Logger]]:
    found = list(logging.root.manager.loggerDict.items())
    return [(name, logger) for name, logger in found if isinstance(logger, logging.Logger)]


def _upgrade_and_write(url: str) -> None:
    database = Database(url)
    upgrade(database)
    Store(database).items.record(a_comment(), HELD, [], NOON)
    database.dispose()


def test_processes_starting_at_once_all_succeed(empty_url: str, database: Database) -> None:
    workers = [PROCESSES.Process(target=_upgrade_and_write, args=(empty_url,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert check(database) == []
    assert Store(database).counters.totals().pending == 4


def test_a_site_imports_what_it_uses_before_the_first_request_and_nothing_else(tmp_path: Path) -> None:
    """The first process makes the tables, which needs Alembic; the second one finds them."""
    lines = (
        "import sys",
        "from flask import Flask",
        "from moderate import Article, Moderate",
        f"app, moderate = Flask('host', instance_path={str(tmp_path)!r}), Moderate()",
        "app.config.update(SECRET_KEY='k', MODERATE_WORKER='external')",
        "moderate.article_loader(lambda key: Article(key, key, f'http://localhost/{key}'))",
        "moderate.init_app(app)",
        "from moderate.protocols.comment import model_for",
        "model = model_for(app.extensions['moderate'].settings.honeypot)",
        "assert model.__pydantic_complete__, 'it is left to the first request'",
        "before = {*sys.modules}",
        "sent = app.test_client().post('/discuss/comments/a', json={'author': 'A', 'text': 'The <b>first</b>.'})",
        "assert sent.status_code == 202, sent.text",
        "moderate.close(app)",
    )
    unused = ("alembic", "mako", "httpcore", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql")
    loaded = f"assert not [name for name in sys.modules if name.startswith({unused})]"
    late = "assert not [name for name in {*sys.modules} - before if name.startswith(('moderate', 'bleach'))]"
    for more in ((), (loaded, late)):
        subprocess.run([sys.executable, "-c", "\n".join((*lines, *more))], check=True, timeout=60)


def test_requests_that_a_command_of_the_host_serves_find_models_that_are_built(tmp_path: Path) -> None:
    """Threads must not build one at once: pydantic 2.11 fails there."""
    lines = (
        "import click",
        "from flask import Flask",
        "from moderate import Moderate",
        "from moderate.protocols.comment import model_for",
        f"app, moderate = Flask('host', instance_path={str(tmp_path)!r}), Moderate()",
        "app.config.update(SECRET_KEY='k', MODERATE_WORKER='external')",
        "with click.Context(click.Command('serve'), info_name='serve'):",
        "    moderate.init_app(app)",
        "model = model_for(app.extensions['moderate'].settings.honeypot)",
        "before = model.__pydantic_complete__",
        "app.test_client().get('/elsewhere')",
        "assert (before, model.__pydantic_complete__) == (False, True)",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)


def test_an_engine_of_the_host_can_be_upgraded(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'host.db'}")
    database = Database(engine)
    assert upgrade(database) == (None, migrate.HEAD)
    assert check(database) == []
    engine.dispose()
