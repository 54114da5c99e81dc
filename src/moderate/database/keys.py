"""Primary keys and unique constraints that tables have lost, and giving them back where no row stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, inspect, select, text

from moderate.database.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Column, Table
    from sqlalchemy.engine import Connection

#: How many groups of rows, and how many of each, are named that stand in the way.
SHOWN = 3


class Key(NamedTuple):
    """The columns of a table that no two rows share. All of a primary key have values."""

    table: Table
    name: str
    columns: tuple[Column[Any], ...]
    is_primary: bool

    @property
    def words(self) -> str:
        if self.is_primary:
            return f"{self.table.name} has lost its primary key"
        return f"{self.table.name} may hold the same {' and '.join(self.names)} twice: it has lost a unique constraint"

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def is_among(self, found: Mapping[str, list[set[Any]]]) -> bool:
        return set(self.names) in found.get(self.table.name, [])


def keys_of(table: Table) -> Iterator[Key]:
    """Yield the primary key of a table and its unique constraints."""
    for constraint in table.constraints:
        is_primary = constraint is table.primary_key
        if is_primary or constraint.__visit_name__ == "unique_constraint":
            yield Key(table, str(constraint.name), tuple(constraint.columns), is_primary)  # type: ignore[attr-defined]


def lost(conn: Connection) -> list[Key]:
    """Return the keys that are gone, whatever names those have that are there. SQLite cannot lose them."""
    if conn.dialect.name == "sqlite":
        return []
    names, look = list(metadata.tables), inspect(conn)
    primary: dict[str, list[set[Any]]] = {
        table: [set(key["constrained_columns"])]
        for (_, table), key in look.get_multi_pk_constraint(filter_names=names).items()
    }
    unique: dict[str, list[set[Any]]] = {
        table: [set(index["column_names"]) for index in indexes if index["unique"]]
        for (_, table), indexes in look.get_multi_indexes(filter_names=names).items()
    }
    every = (key for table in metadata.sorted_tables for key in keys_of(table))
    return [key for key in every if not key.is_among(primary if key.is_primary else unique)]


def in_the_way(conn: Connection, key: Key) -> str:
    """Return which rows share their values of a lost key or have none, in words; an empty text where none do."""
    if key.is_primary and conn.execute(select(key.table).where(and_(*(c.is_(None) for c in key.columns)))).first():
        return f"rows without {' and '.join(key.names)}"
    filled = [column.is_not(None) for column in key.columns]
    twice = select(*key.columns).where(*filled).group_by(*key.columns).having(func.count() > 1).limit(SHOWN)
    name = next(iter(key.table.primary_key.columns))
    found = []
    for row in conn.execute(twice):
        same = [column == value for column, value in zip(key.columns, row, strict=True)]
        numbers = conn.execute(select(name).where(*same).limit(SHOWN)).scalars()
        found.append(", ".join(str(number) for number in numbers))
    return f"rows with the same values ({name.name} {'; '.join(found)})" if found else ""


def mendable(conn: Connection) -> Iterator[str]:
    return (f"{key.words}." for key in lost(conn) if not in_the_way(conn, key))


def unmendable(conn: Connection) -> Iterator[str]:
    for key in lost(conn):
        rows = in_the_way(conn, key)
        if rows:
            yield f"{key.words}, and {rows} stand in the way: change or delete them, and run this again."


def give_back(conn: Connection) -> None:
    """Make the lost keys again that no row stands in the way of."""
    for key in lost(conn):
        if in_the_way(conn, key):
            continue
        columns = ", ".join(key.names)
        kind = "PRIMARY KEY" if key.is_primary else "UNIQUE"
        conn.execute(text(f"ALTER TABLE {key.table.name} ADD CONSTRAINT {key.name} {kind} ({columns})"))
