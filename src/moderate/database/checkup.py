"""What a restore, a migration by hand or a tool can have done to the tables, and mending it where that is safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from moderate.database import collations as letters
from moderate.database import keys, migrate, sequences
from moderate.database.schema import metadata
from moderate.store import search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Index
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database
    from moderate.store.store import Store


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with the database, in a sentence, and whether it was mended."""

    words: str
    is_mended: bool = False


def faults(store: Store, *, repair: bool) -> Iterator[Fault]:
    """Yield what is wrong with the database; with *repair* what can be mended without a loss is mended.

    The tables must be of the version that this code works with.
    """
    database = store.database
    damage = damage_of(database)
    if damage:
        # Nothing else can be told of such a file, and nothing should be written to it.
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
    for drift in store.counters.recount(repair=repair):
        if drift is not None:
            yield Fault(f"The counters of {drift.article or 'the whole site'} do not match their items.", repair)


def damage_of(database: Database) -> str:
    """Return what SQLite finds damaged in its file; nothing on a server, which looks after its own."""
    if database.dialect != "sqlite":
        return ""
    with database.read() as conn:
        found = [str(row[0]) for row in conn.exec_driver_sql("PRAGMA integrity_check(3)")]
    return "" if found == ["ok"] else "; ".join(" ".join(words.split()) for words in found)


def structure(database: Database) -> Iterator[str]:
    """Yield what differs between the tables and this code, beyond what can be mended."""
    differences = migrate.check(database)
    if differences:
        yield f"The tables were changed: {'; '.join(differences)}. {migrate.LOST}"
    with database.read() as conn:
        yield from keys.unmendable(conn)
        for table in sequences.without(conn, is_mendable=False):
            yield f"{table.name} gives no ids to new rows any more."


# --- what can be mended --------------------------------------------------------------------------------


def ids_missing(conn: Connection) -> Iterator[str]:
    return (f"{table.name} gives no ids to new rows any more." for table in sequences.without(conn, is_mendable=True))


def sequences_behind(conn: Connection) -> Iterator[str]:
    return (f"The sequence of {table.name} is behind its rows." for table in sequences.behind(conn))


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
    return (f"The texts of {table} are in another character set or collation." for table in letters.misfits(conn))


def search_missing(conn: Connection) -> Iterable[str]:
    return () if search.is_whole(conn) else ("The index for searches is missing or damaged.",)


#: What to look for, and what mends it.
MENDS: tuple[tuple[Callable[[Connection], Iterable[str]], Callable[[Connection], object]], ...] = (
    (other_letters, letters.make_fit),
    (keys.mendable, keys.give_back),
    (ids_missing, sequences.give_ids),
    (sequences_behind, sequences.catch_up),
    (indexes_missing, make_indexes),
    (search_missing, search.make_again),
)
