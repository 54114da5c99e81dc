"""The tables as a whole, for the command line and the health check: version, faults and their repair, copies.

Faults are what a restore, a migration by hand or a tool leaves.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import MetaData, Table, false, select

from moderate.database import copies, migrate, repairs, sqlite
from moderate.database.engine import Database
from moderate.database.schema import items, metadata, states
from moderate.database.statements import overwrite
from moderate.database.url import database_key, is_memory
from moderate.store import search
from moderate.store.articles import Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from moderate.database.migrate import Trouble
    from moderate.ports import Clock
    from moderate.store.articles import Drift


#: Seconds that a try to write waits for another writer.
PATIENCE = 1.0

#: Seconds between two tries that are committed; those between are rolled back, and cost no wait for the disk.
KEPT_EVERY = 0.1

#: The name under which a try leaves its row among what is kept.
PROBE = "health"


class Fault(NamedTuple):
    """A fault of the database, in a sentence, and whether it was mended."""

    words: str
    is_mended: bool = False


#: The fault of a table whose sequence is lost.
NO_IDS = "{.name} gives no ids to new rows any more."


class _TakenBack(Exception):
    """Rolls a try back that succeeded."""


class Tables:
    """The tables of one database. Failures raise `ServiceDown`.

    *clock* bounds how often `probe` writes to the disk; give it a real one, also where the host's clock is another.
    Without one, each probe is committed.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock
        self._kept_at = float("-inf")

    def upgrade(self) -> tuple[str | None, str]:
        """Create the tables or bring them up to date; return the versions before (None: no tables) and after."""
        return migrate.upgrade(self._database)

    def current(self) -> str | None:
        """Return the version of the tables as they are, None where there are none."""
        return migrate.current(self._database)

    def describe(self) -> str:
        """Name the database, for operators; never a user or a password."""
        url = self._database.engine.url
        if self._database.dialect == "sqlite":
            return f"SQLite, {url.database or 'in memory'}"
        # An address may name its hosts among the parameters.
        host = url.host or url.query.get("host") or "localhost"
        return f"{url.get_backend_name()}, {url.database} at {host if isinstance(host, str) else ' and '.join(host)}"

    def trouble(self) -> Trouble:
        """Compare the tables with this version of the code."""
        return migrate.trouble(self._database)

    def faults(self, *, repair: bool) -> Iterator[Fault]:
        """Yield what is wrong with tables that are of this version: damage, changes, ids, indexes, counters.

        With *repair*, mend what can be mended without a loss.
        """
        with self._database.unhurried() as database:
            damage = ""
            if database.dialect == "sqlite":
                damage = sqlite.damage(database.ask(sqlite.INTEGRITY, ()))
            if damage:
                # Nothing else can be read from such a file for certain, and nothing should be written to it.
                yield Fault(f"The database is damaged: {damage}. Restore a backup.")
                return
            for words, look, mend in MENDS:
                with database.read() as conn:
                    wrong = [words.format(found) for found in look(conn)]
                if wrong and repair:
                    with database.write() as conn:
                        mend(conn)
                yield from (Fault(each, is_mended=repair) for each in wrong)
            yield from map(Fault, unmendable(database))
            for drift in Counters(database).recount(repair=repair):
                if drift is not None:
                    whose = drift.article or "the whole site"
                    yield Fault(f"The counters of {whose} do not match their items.", is_mended=repair)

    def probe(self, now: datetime, *, every_table: bool = False) -> None:
        """Write one small row. Raises `ServiceDown` where writing fails, or waits for another writer for a second.

        Cheap enough for several calls a second: it is committed ten times a second at most. With
        *every_table* the rights to write are tried on all of them.
        """
        moment = self._clock.monotonic() if self._clock is not None else 0.0
        is_kept = self._clock is None or moment - self._kept_at >= KEPT_EVERY
        with suppress(_TakenBack):
            self._database.promptly(lambda conn: _try_to_write(conn, now, every_table, is_kept), PATIENCE)
            self._kept_at = moment
        if self._database.dialect == "sqlite":
            sqlite.refuse_full_disk(sqlite.file_of(self._database.engine.url))

    def is_shared_with(self, engine: Any) -> bool:
        """Return whether an SQLAlchemy engine of the host leads to the database of these tables."""
        ours = self._database.engine
        return engine is ours or (not is_memory(ours.url) and database_key(engine.url) == database_key(ours.url))

    def has_hosts_migrations(self) -> bool:
        """Return whether an Alembic other than this package's own has worked on this database."""
        return migrate.has_hosts_migrations(self._database)

    def are_left_out_by(self, include_name: Any, include_object: Any) -> bool:
        """Return whether these filters of the host's Alembic, each of which may be None, leave out all these tables."""

        def is_left_out(name: str) -> bool:
            parents = {"schema_name": None, "schema_qualified_table_name": name}
            if include_name is not None and not include_name(name, "table", parents):
                return True
            table = metadata.tables.get(name, Table(name, MetaData()))
            return include_object is not None and not include_object(table, name, "table", True, None)

        return all(is_left_out(name) for name in migrate.TABLES)

    def backup(self, target: Path, *, overwrite: bool) -> int:
        """Copy the database into a file, as `moderate.database.copies.backup` says; return the file's size in bytes."""
        return copies.backup(self._database, target, overwrite=overwrite)

    def restore(self, source: Path, now: datetime) -> tuple[str, Path | None]:
        """Replace the database by a backup, as `moderate.database.copies.restore` says.

        Return the version of its tables and where the old database is kept.
        """
        return copies.restore(self._database, source, now)

    def count_rows(self) -> int:
        """Return how many rows there are in all tables together."""
        return copies.count_rows(self._database)

    def copy_to(self, address: str, progress: Callable[[int], None]) -> list[Drift]:
        """Copy all rows into the database at *address*, as `moderate.database.copies.copy` says.

        Return the counters that do not match their items in the copy; they did not match in the source either.
        Raises `ConfigError` for a wrong address.
        """
        target = Database(address)
        try:
            copies.copy(self._database, target, progress)
            return [drift for drift in Counters(target).recount(repair=False) if drift is not None]
        finally:
            target.dispose()


def _try_to_write(conn: Connection, now: datetime, every_table: bool, is_kept: bool) -> None:
    """Do what a submission needs of the database, and leave nothing but one row."""
    for table in metadata.sorted_tables if every_table else (items,):
        # No row is touched, and the rights are looked at all the same.
        conn.execute(table.insert().from_select([*table.columns.keys()], select(table).where(false())))
        column = next(iter(table.columns))
        conn.execute(table.update().where(false()).values({column: column}))
        conn.execute(table.delete().where(false()))
    conn.execute(overwrite(conn.dialect.name, states, "name", "value", "at"), {"name": PROBE, "value": {}, "at": now})
    if not is_kept:
        raise _TakenBack


def unmendable(database: Database) -> Iterator[str]:
    """Yield the differences between the tables and this code that cannot be mended."""
    differences = migrate.check(database)
    if differences:
        yield f"The tables were changed: {'; '.join(differences)}. {migrate.LOST}"
    with database.read() as conn:
        for key in repairs.lost_keys(conn):
            rows = repairs.in_the_way(conn, key)
            if rows:
                yield f"{key.words}, and {rows} stand in the way: change or delete them, and run this again."
        yield from map(NO_IDS.format, repairs.tables_without_ids(conn, is_mendable=False))


def damaged_search(conn: Connection) -> Iterable[str]:
    return () if search.is_whole(conn) else (search.INDEX,)


#: Faults that can be mended: the sentence about each thing that is wrong, these things, and how they are mended.
MENDS: tuple[tuple[str, Callable[[Connection], Iterable[object]], Callable[[Connection], object]], ...] = (
    ("The texts of {} are in another character set or collation.", repairs.misfits, repairs.make_fit),
    ("{.words}.", repairs.mendable_keys, repairs.give_back),
    (NO_IDS, repairs.tables_without_ids, repairs.give_ids),
    ("The sequence of {.name} is behind its rows.", repairs.tables_behind, repairs.raise_sequences),
    ("The index {.name} is missing.", repairs.missing_indexes, repairs.make_indexes),
    ("The index for searches is missing or damaged.", damaged_search, search.make_again),
)
