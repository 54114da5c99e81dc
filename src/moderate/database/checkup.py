"""Faults of the tables, as a restore, a migration by hand or a tool leaves them, and their repair where it is safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from moderate.database import encodings, keys, migrate
from moderate.database.schema import metadata
from moderate.store import search
from moderate.store.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Index
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the database, in a sentence, and whether it was mended."""

    words: str
    is_mended: bool = False


def faults(database: Database, *, repair: bool) -> Iterator[Fault]:
    """Yield the faults of the database; with *repair*, mend those that can be mended without a loss.

    The tables must be of the version that this code works with.
    """
    damage = damage_of(database)
    if damage:
        # Nothing else can be read from such a file for certain, and nothing should be written to it.
        yield Fault(f"The database is damaged: {damage}. Restore a backup.")
        return
    for look, mend in MENDS:
        with database.read() as conn:
            wrong = list(look(conn))
        if wrong and repair:
            with database.write() as conn:
                mend(conn)
        yield from (Fault(words, is_mended=repair) for words in wrong)
    for words in structure(database):
        yield Fault(words)
    for drift in Counters(database).recount(repair=repair):
        if drift is not None:
            yield Fault(f"The counters of {drift.article or 'the whole site'} do not match their items.", repair)


def damage_of(database: Database) -> str:
    """Return the damage that SQLite finds in its file; an empty text on a server, which checks its own files."""
    if database.dialect != "sqlite":
        return ""
    with database.read() as conn:
        found = [str(row[0]) for row in conn.exec_driver_sql("PRAGMA integrity_check(3)")]
    return "" if found == ["ok"] else "; ".join(" ".join(words.split()) for words in found)


def structure(database: Database) -> Iterator[str]:
    """Yield the differences between the tables and this code that cannot be mended."""
    differences = migrate.check(database)
    if differences:
        yield f"The tables were changed: {'; '.join(differences)}. {migrate.LOST}"
    with database.read() as conn:
        yield from keys.unmendable(conn)
        for table in keys.tables_without_ids(conn, is_mendable=False):
            yield f"{table.name} gives no ids to new rows any more."


# --- what can be mended --------------------------------------------------------------------------------


def ids_missing(conn: Connection) -> Iterator[str]:
    return (
        f"{table.name} gives no ids to new rows any more." for table in keys.tables_without_ids(conn, is_mendable=True)
    )


def sequences_behind(conn: Connection) -> Iterator[str]:
    return (f"The sequence of {table.name} is behind its rows." for table in keys.tables_behind(conn))


def missing_indexes(conn: Connection) -> list[Index]:
    """Return the indexes that are gone."""
    found = inspect(conn).get_multi_indexes(filter_names=list(metadata.tables))
    names = {(table, entry["name"]) for (_, table), entries in found.items() for entry in entries}
    every = (index for table in metadata.sorted_tables for index in table.indexes)
    return [index for index in every if (index.table.name, index.name) not in names]  # type: ignore[union-attr]


def indexes_missing(conn: Connection) -> Iterator[str]:
    return (f"The index {index.name} is missing." for index in missing_indexes(conn))


def make_indexes(conn: Connection) -> None:
    for index in missing_indexes(conn):
        index.create(conn)


def other_letters(conn: Connection) -> Iterator[str]:
    return (f"The texts of {table} are in another character set or collation." for table in encodings.misfits(conn))


def search_missing(conn: Connection) -> Iterable[str]:
    return () if search.is_whole(conn) else ("The index for searches is missing or damaged.",)


#: Pairs of a function that yields faults and one that mends them.
MENDS: tuple[tuple[Callable[[Connection], Iterable[str]], Callable[[Connection], object]], ...] = (
    (other_letters, encodings.make_fit),
    (keys.mendable, keys.give_back),
    (ids_missing, keys.give_ids),
    (sequences_behind, keys.raise_sequences),
    (indexes_missing, make_indexes),
    (search_missing, search.make_again),
)
