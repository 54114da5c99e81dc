"""Upgrades of the tables and their version: `upgrade`, `current` and `check`, for the start and the command line.

The migrations are part of the package, have their own version table, and never look at a table of the host;
`include_name` keeps the host's migrations from the package's tables. Alembic is only imported where there is
something to do.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from sqlalchemy import inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from moderate.database.outages import reason
from moderate.database.repairs import every_word, make_fit, unfit
from moderate.database.schema import MYSQL, metadata, states
from moderate.database.statements import overwrite
from moderate.errors import ServiceDown
from moderate.store import search
from moderate.store.tokens import make_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from alembic.migration import MigrationStep
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database

VERSION_TABLE = "moderate_alembic_version"

#: The folder of the migrations.
SCRIPTS = resources.files("moderate.database").joinpath("migrations")

#: All revisions, going by the names of their files, so that Alembic need not be imported to know them.
KNOWN = frozenset(file.name[:4] for file in SCRIPTS.joinpath("versions").iterdir() if file.name[:4].isdigit())

#: The revision that this code works with, the newest.
HEAD = max(KNOWN)

#: The oldest revision whose code also works with tables at `HEAD`, so that a deploy can be rolled back and old
#: and new processes can run side by side. A migration that older code cannot work with raises it; the rule is
#: in CONTRIBUTING.md, and a test holds the migrations to it.
OLDEST = "0001"

#: The name under which an upgrade leaves `OLDEST` in moderate_states, where code older than the tables finds it.
KEPT_AS = "tables"

#: The moment of that row, which has no meaning.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: All tables that are made here. On SQLite the index for searches brings tables of its own.
TABLES = frozenset({*metadata.tables, VERSION_TABLE, *search.SQLITE_TABLES})

#: Any number that no other user of advisory locks in the same database is likely to take.
_LOCK = 0x6D6F6465


def upgrade(database: Database) -> tuple[str, str] | tuple[None, str]:
    """Bring the tables up to date and return the revisions before and after.

    Tables that are newer than this code and that it can work with are left as they are. Two processes that
    start at once both succeed: one upgrades, the other waits and finds it done.
    Raises `ServiceDown` where a migration fails, where this code cannot work with newer tables, and where
    tables or columns are gone that should be there: nothing is created in their place, because that would
    hide the loss. Nothing of a failed upgrade remains, except on MySQL and MariaDB, which cannot roll back
    changes of tables: there this holds for the first upgrade only.
    """
    with database.read() as conn:
        found, advice = unfit(conn)
        if found:
            raise ServiceDown("database", f"it is not usable as it is: {found}. {advice}")
        settled = _settled(conn)
    if settled is not None:
        return settled, settled
    try:
        with database.unhurried() as slow, _alone(slow), _taken_back(slow), slow.write() as conn:
            return _upgrade(conn)
    except SQLAlchemyError as error:
        raise ServiceDown(
            "database", f"its tables could not be upgraded: {reason(error, database.engine.url)}"
        ) from error


def _upgrade(conn: Connection) -> tuple[str, str] | tuple[None, str]:
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    settled = _settled(conn)
    if settled is not None:
        return settled, settled
    before = _stamped(conn, _names(conn))
    migrate_to(conn, "head")
    refuse_losses(conn)
    make_secrets(conn)
    note_oldest(conn, OLDEST)
    return (before, HEAD) if before is not None else (None, HEAD)


def _settled(conn: Connection) -> str | None:
    """Return the version of the tables where there is nothing to upgrade, and None where there is."""
    version = _stamped(conn, _names(conn))
    if version is None or version in KNOWN - {HEAD}:
        return None
    if version == HEAD:
        refuse_losses(conn)
        return version
    words = incompatibility(conn)
    if words:
        raise ServiceDown("database", f"its tables are {newer(version)} {words}. {NEWER}")
    return version


def note_oldest(conn: Connection, revision: str) -> None:
    """Store the oldest revision whose code works with these tables."""
    conn.execute(
        overwrite(conn.dialect.name, states, "name", "value", "at"),
        {"name": KEPT_AS, "value": {"oldest": revision}, "at": EPOCH},
    )


def migrate_to(conn: Connection, revision: str) -> None:
    """Run the migrations up to *revision* within the transaction of *conn*.

    Alembic's global proxies (`alembic.context`, `alembic.op`) are not used: they may belong to a run of
    the host's own, whose ``env.py`` or migration is creating its app just now. Each migration gets the
    operations as its argument instead. Raises `ServiceDown` where the tables do not fit any revision.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationStep
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(SCRIPTS))

    def steps(heads: Sequence[str], _context: object) -> list[MigrationStep]:
        if not heads:
            refuse_unstamped(_names(conn))
        newest_first = scripts.iterate_revisions(revision, heads[0] if heads else None)
        upwards = reversed(list(newest_first))
        return [MigrationStep.upgrade_from_script(scripts.revision_map, script) for script in upwards]

    context = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE, "fn": steps})
    with every_word(conn), context.begin_transaction():
        context.run_migrations(op=Operations(context))
    make_fit(conn)


def refuse_unstamped(names: Collection[str]) -> None:
    """Raise `ServiceDown` where the tables' version is missing although tables are there."""
    left = sorted(set(metadata.tables) & set(names))
    if left:
        raise ServiceDown("database", f"{VERSION_TABLE} is gone or empty, but tables are left: {named(left)}. {LOST}")


def refuse_losses(conn: Connection) -> None:
    """Raise `ServiceDown` where tables or columns are gone, naming them and what to do."""
    lost = losses(conn)
    if lost:
        raise ServiceDown("database", f"these are gone from its tables: {named(lost)}. {LOST}")


def losses(conn: Connection) -> list[str]:
    """Return the tables that are gone, or where all are there the columns, as ``table.column``.

    The index for searches holds nothing of its own, so it is made again instead.
    """
    tables = sorted(set(metadata.tables) - _names(conn))
    return tables or [
        f"{table}.{column.name}"
        for table, found in _columns(conn).items()
        for column in metadata.tables[table].columns
        if column.name not in {entry["name"] for entry in found}
    ]


def incompatibility(conn: Connection) -> str:
    """Return why this code cannot work with tables of a newer version, or an empty text where it can.

    It cannot where a table or column that it needs is gone, where the upgrade has stored that only newer code works
    with the tables, and where a column that it does not know has to be filled in.
    """
    lost = losses(conn)
    if lost:
        return f"which needs {named(lost)}"
    kept = conn.execute(select(states.c.value).where(states.c.name == KEPT_AS)).scalar()
    oldest = kept.get("oldest") if isinstance(kept, dict) else None
    if isinstance(oldest, str) and oldest > HEAD:
        return f"and only code of version {oldest} or newer works with them"
    required = [
        f"{table}.{column['name']}"
        for table, found in _columns(conn).items()
        for column in found
        if column["name"] not in metadata.tables[table].columns and is_required(column)
    ]
    return f"which cannot fill in {named(required)}" if required else ""


def is_required(column: Mapping[str, Any]) -> bool:
    """Return whether each insert has to name the column; *column* is as SQLAlchemy's inspector describes it."""
    has_value = column.get("default") is not None or column.get("computed") or column.get("identity")
    return not (column["nullable"] or has_value)


def newer(version: str) -> str:
    return f"of version {version}, newer than this code ({HEAD}),"


def named(names: Sequence[str]) -> str:
    """Return the first of some names, for messages of a readable length."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


LOST = (
    "Perhaps a migration of the site's own dropped them: see 'Your own migrations' in docs/embedding.md. "
    "Restore them from a backup. To begin again with empty tables instead, drop every table whose name begins "
    f"with moderate_, {VERSION_TABLE} included, and run: flask moderate db upgrade"
)
NEWER = "Install the version of flask-moderate that made them, or restore the database as it was before."
SERVES = "which works with them. There is nothing to do: install the newer flask-moderate when you are ready."


class Trouble(NamedTuple):
    """The difference between the tables and what the code needs; `state` is empty where there is none.

    `state` is a word or two, `advice` a sentence or two on what to do. `serves` is True where the code works
    nevertheless: the tables are newer, and have only been added to.
    """

    state: str = ""
    advice: str = ""
    serves: bool = False


def trouble(database: Database) -> Trouble:
    """Compare the tables with this code.

    Makes a few queries, for the tables' names, their version and the encoding: cheap enough for health checks. Only
    newer tables are compared column by column.
    """
    with database.read() as conn:
        names = _names(conn)
        version = _stamped(conn, names)
        found, advice = unfit(conn)
        if found:
            return Trouble(found, advice)
        lost = sorted(set(metadata.tables) - names)
        left = sorted(set(metadata.tables) & names)
        if version in KNOWN - {HEAD} or (version is None and not left):
            return Trouble("outdated", "Run: flask moderate db upgrade")
        if version is None:
            return Trouble("version missing", f"{VERSION_TABLE} is gone or empty. {LOST}")
        if lost and version == HEAD:
            return Trouble("tables missing", f"These are gone: {named(lost)}. {LOST}")
        if version == HEAD:
            return Trouble()
        words = incompatibility(conn)
    ending = f"{words}. {NEWER}" if words else SERVES
    return Trouble("newer", f"Its tables are {newer(version)} {ending}", serves=not words)


def current(database: Database) -> str | None:
    """Return the revision of the tables as they are, None where there are none."""
    with database.read() as conn:
        return _stamped(conn, _names(conn))


def has_hosts_migrations(database: Database) -> bool:
    """Return whether there is a version table of Alembic under its default name: the host's own."""
    with database.read() as conn:
        return "alembic_version" in _names(conn)


def check(database: Database) -> list[str]:
    """Describe the differences between the tables and this code; empty where there are none.

    Additions of a newer version are no differences. Missing indexes and unique constraints, which
    `moderate.database.tables` makes again, are left out.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.read() as conn:
        context = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE, "include_name": is_ours})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            differences = compare_metadata(context, metadata)
        is_newer = _stamped(conn, _names(conn)) not in {None, *KNOWN}
    return [
        _words(found)
        for found in differences
        if not (is_newer and is_addition(found)) and not can_be_mended(found, database.dialect)
    ]


def is_addition(difference: Any) -> bool:
    """Return whether Alembic reports something in the database that this code does not know."""
    return isinstance(difference, tuple) and str(difference[0]).startswith("remove_")


def can_be_mended(difference: Any, dialect: str) -> bool:
    """Return whether Alembic reports a missing index or, on a server, a missing unique constraint."""
    kinds = {"add_index"} if dialect == "sqlite" else {"add_index", "add_constraint"}
    return isinstance(difference, tuple) and difference[0] in kinds


@overload
def include_name(name: str | None, type_: str, parent_names: Mapping[str, str | None]) -> bool: ...


@overload
def include_name(name: Callable[..., bool]) -> Callable[..., bool]: ...


def include_name(
    name: str | Callable[..., bool] | None,
    type_: str = "",
    parent_names: Mapping[str, str | None] | None = None,  # noqa: ARG001
) -> bool | Callable[..., bool]:
    """Keep moderate's tables out of the host's own migrations.

    Give it to Alembic as ``include_name``, to ``context.configure`` or to Flask-Migrate's ``Migrate``:
    autogenerate then neither reads these tables nor writes a migration that drops them. The names are
    compared as a whole, so that a host's own ``moderate_something`` is included as before. A host with a filter
    of its own gives ``include_name(own_filter)``, which applies both.
    """
    if callable(name):
        own = name
        return lambda name, type_, parents: include_name(name, type_, parents) and own(name, type_, parents)
    return type_ != "table" or name not in TABLES


def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Return whether an object in the database belongs to the tables as the code declares them.

    The index for searches does not: it is each database's own.
    """
    return name in metadata.tables if kind == "table" else name != search.INDEX


def _names(conn: Connection) -> set[str]:
    """Return the names of all tables in the database, the host's included."""
    return set(inspect(conn).get_table_names())


def _columns(conn: Connection) -> dict[str, list[Any]]:
    """Return the columns of the package's tables as they are in the database."""
    found = inspect(conn).get_multi_columns(filter_names=list(metadata.tables))
    return {table: list(columns) for (_, table), columns in found.items()}


def _stamped(conn: Connection, names: Collection[str]) -> str | None:
    if VERSION_TABLE not in names:
        return None
    return conn.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Exclude other upgrades on MySQL and MariaDB, whose locks of tables end with each change of them.

    The lock is held on a connection of its own until all is committed. PostgreSQL's lock is part of the
    transaction, and SQLite has one writer anyway.
    """
    if database.dialect not in MYSQL:
        yield
        return
    with database.read() as conn:
        if not conn.execute(text("SELECT GET_LOCK(CONCAT('moderate_', MD5(DATABASE())), 60)")).scalar():
            raise ServiceDown("database", "another process has been upgrading its tables for a minute; try again later")
        try:
            yield
        finally:
            conn.execute(text("SELECT RELEASE_LOCK(CONCAT('moderate_', MD5(DATABASE())))"))


@contextmanager
def _taken_back(database: Database) -> Iterator[None]:
    """Drop the tables of a first upgrade that fails on MySQL or MariaDB."""
    if database.dialect not in MYSQL:
        yield
        return
    there = _tables(database)
    try:
        yield
    except (SQLAlchemyError, ServiceDown):
        if VERSION_TABLE not in there:
            with database.write() as conn:
                for name in {VERSION_TABLE, *metadata.tables} & (_tables(database) - there):
                    conn.execute(text(f"DROP TABLE {name}"))
        raise


def _tables(database: Database) -> set[str]:
    with database.read() as conn:
        return _names(conn)


def _words(difference: Any) -> str:
    """Describe one difference as Alembic reports it: a tuple, or a list of them for one column."""
    if isinstance(difference, list):
        return "; ".join(_words(part) for part in difference)
    return " ".join(str(getattr(part, "name", None) or part) for part in difference if part is not None)
