"""Repairs of tables after a restore, a migration by hand or a tool: keys, ids, character sets, indexes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, func, inspect, select, text
from sqlalchemy.exc import IntegrityError

from moderate.database.outages import code
from moderate.database.schema import MYSQL, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Column, Index, Table
    from sqlalchemy.engine import Connection


# --- primary keys and unique constraints -----------------------------------------------------------

#: Most groups of conflicting rows that are named, and most rows of each.
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


def lost_keys(conn: Connection) -> list[Key]:
    """Return the keys that are gone, comparing columns and not names. SQLite cannot lose them."""
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
    """Describe the rows that share their values of a lost key or have none; an empty text where none do."""
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


def mendable_keys(conn: Connection) -> list[Key]:
    """Return the lost keys that all rows satisfy."""
    return [key for key in lost_keys(conn) if not in_the_way(conn, key)]


def give_back(conn: Connection) -> None:
    """Create the mendable keys again."""
    for key in mendable_keys(conn):
        columns = ", ".join(key.names)
        kind = "PRIMARY KEY" if key.is_primary else "UNIQUE"
        conn.execute(text(f"ALTER TABLE {key.table.name} ADD CONSTRAINT {key.name} {kind} ({columns})"))


# --- ids -------------------------------------------------------------------------------------------

# Each id is given once, because cookies, mails and histories name items by it.

#: SQLSTATE of PostgreSQL: a key that is there already; no value for a column that needs one.
TAKEN = "23505"
NO_VALUE = "23502"

#: The highest id that a table has ever given, rows that were deleted since included.
HIGHEST = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = :table",
    "postgresql": "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)",
    "mysql": "SELECT auto_increment - 1 FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = :table",
}

COUNT_ON = {
    "sqlite": (
        "DELETE FROM sqlite_sequence WHERE name = :table",
        "INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :number)",
    ),
    "postgresql": ("SELECT setval(pg_get_serial_sequence(:table, :column), :number)",),
    "mysql": ("ALTER TABLE {table} AUTO_INCREMENT = {next}",),
}

#: Statements that have the database give ids again.
GIVE = {
    "postgresql": (
        "CREATE SEQUENCE IF NOT EXISTS {table}_{column}_seq",
        "ALTER SEQUENCE {table}_{column}_seq OWNED BY {table}.{column}",
        "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{table}_{column}_seq')",
    ),
    "mysql": ("ALTER TABLE {table} MODIFY {column} BIGINT NOT NULL AUTO_INCREMENT",),
}

#: The tables whose id the database itself gives no longer.
WITHOUT = {
    # The sequence may be left where only the column's default was dropped.
    "postgresql": "SELECT 1 WHERE pg_get_serial_sequence(:table, :column) IS NULL OR NOT EXISTS (SELECT 1"
    " FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attname = :column"
    " AND (atthasdef OR attidentity <> ''))",
    "mysql": "SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = :table AND column_name = :column AND extra NOT LIKE '%auto_increment%'",
}


def counting() -> Iterator[Table]:
    """Yield the tables that give ids."""
    return (table for table in metadata.sorted_tables if table.autoincrement_column is not None)


def highest_ids(conn: Connection) -> dict[Table, int]:
    """Return for each table the highest id that it has ever given."""
    return {table: max(last_id(conn, table), highest_id(conn, table)) for table in counting()}


def last_id(conn: Connection, table: Table) -> int:
    """Return the id after which the database continues to count, 0 where it begins."""
    return int(conn.execute(text(HIGHEST[dialect_of(conn)]), parameters(table)).scalar() or 0)


def highest_id(conn: Connection, table: Table) -> int:
    """Return the highest id that is in the table, 0 where it is empty."""
    return int(conn.execute(select(func.max(table.autoincrement_column))).scalar() or 0)


def go_on_counting(conn: Connection, highest: Mapping[Table, int]) -> None:
    """Have the next row of each table get an id that has never been given."""
    for table, number in highest.items():
        for statement in COUNT_ON[dialect_of(conn)] if number else ():
            asked = text(statement.format(table=table.name, next=number + 1))
            conn.execute(asked, {**parameters(table), "number": number})


def tables_behind(conn: Connection) -> list[Table]:
    """Return the tables that would give an existing id again: their rows were restored without the sequence.

    This happens on PostgreSQL only; the others look at the rows by themselves.
    """
    if conn.dialect.name != "postgresql":
        return []
    return [table for table in counting() if highest_id(conn, table) > last_id(conn, table)]


def tables_without_ids(conn: Connection, *, is_mendable: bool = True) -> list[Table]:
    """Return the tables whose ids the database gives no longer, because the column was created again without that.

    MySQL and MariaDB can count only where the column is a key; *is_mendable* selects such tables or the others.
    """
    dialect = dialect_of(conn)
    if dialect not in WITHOUT:
        return []
    query = text(WITHOUT[dialect])
    found = [table for table in counting() if conn.execute(query, parameters(table)).scalar()]
    keyless = {key.table for key in lost_keys(conn) if key.is_primary} if found and dialect == "mysql" else set()
    return [table for table in found if (table not in keyless) is is_mendable]


def give_ids(conn: Connection) -> None:
    """Have the database give ids again, above all existing ones."""
    for table in tables_without_ids(conn):
        for statement in GIVE[dialect_of(conn)]:
            conn.execute(text(statement.format(**parameters(table))))
        go_on_counting(conn, {table: highest_id(conn, table)})


def raise_sequences(conn: Connection) -> list[str]:
    """Set each sequence that is behind to the highest id of its table; return the names of these tables."""
    tables = tables_behind(conn)
    for table in tables:
        # A transaction that takes an id at this moment holds a lock that this one waits for.
        conn.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
        go_on_counting(conn, {table: max(last_id(conn, table), highest_id(conn, table))})
    return [table.name for table in tables]


def gave_no_id(error: BaseException | None) -> bool:
    """Return whether a row was refused because PostgreSQL gave it an existing id, or none."""
    if not isinstance(error, IntegrityError) or code(error) not in {TAKEN, NO_VALUE}:
        return False
    refused: Any = getattr(error.orig, "diag", None)
    table = metadata.tables.get(getattr(refused, "table_name", None) or "")
    if table is None or table.autoincrement_column is None:
        return False
    if code(error) == NO_VALUE:
        return bool(refused.column_name == table.autoincrement_column.name)
    # A restore may have renamed the primary key, so this is any constraint or index but those of other columns.
    others: set[Any] = {*table.constraints, *table.indexes} - {table.primary_key}
    return refused.constraint_name not in {part.name for part in others}


def dialect_of(conn: Connection) -> str:
    return "mysql" if conn.dialect.name in MYSQL else conn.dialect.name


def parameters(table: Table) -> dict[str, Any]:
    return {"table": table.name, "column": table.autoincrement_column.name}  # type: ignore[union-attr]


# --- encodings, modes and collations ---------------------------------------------------------------

# On MySQL and MariaDB the collation of a table decides which characters it holds, and whether ``A`` equals ``a`` or
# ``key`` equals ``key`` with a space behind it. A new table takes the database's, which is often that of one language
# or of western letters alone; so the package's tables get one that compares letter by letter. The other databases need
# none of this.

#: PostgreSQL's name of the one encoding that holds every text.
UTF8 = "UTF8"

ENCODING_ADVICE = (
    "It cannot hold every text. Dump the database, create a new one by CREATE DATABASE … ENCODING 'UTF8' TEMPLATE "
    "template0, and restore the dump into it; see 'Encodings and modes' in docs/operating.md."
)
CLIENT_ADVICE = "Give your engine connect_args={'client_encoding': 'utf8'}."
MODE_ADVICE = "Take EMPTY_STRING_IS_NULL out of the sql_mode of the server, or of your engine's connections."


def unfit(conn: Connection) -> tuple[str, str]:
    """Return why the database cannot hold every text, in a few words, and what to do; empty texts where it can."""
    if conn.dialect.name == "postgresql":
        server, client = (conn.exec_driver_sql(f"SHOW {name}_encoding").scalar() for name in ("server", "client"))
        if server != UTF8:
            return f"encoding {server}", ENCODING_ADVICE
        if client != UTF8:
            return f"connections in {client}", CLIENT_ADVICE
    elif conn.dialect.name in MYSQL:
        mode = str(conn.exec_driver_sql("SELECT @@sql_mode").scalar())
        if "EMPTY_STRING_IS_NULL" in mode:
            return "sql_mode EMPTY_STRING_IS_NULL", MODE_ADVICE
    return "", ""


#: The best first: MariaDB's, MySQL 8's, and that of older ones, which does not see spaces at the end.
COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")

KNOWN = text("SELECT collation_name FROM information_schema.collations WHERE collation_name IN :names").bindparams(
    bindparam("names", COLLATIONS, expanding=True)
)
TABLES = text(
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name IN :names AND table_collation <> :collation"
).bindparams(bindparam("names", expanding=True))
#: Columns that a restore or a tool has given another character set, or a collation for which A equals a.
COLUMNS = text(
    "SELECT DISTINCT table_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :names"
    " AND (character_set_name <> 'utf8mb4' OR collation_name NOT LIKE '%bin')"
).bindparams(bindparam("names", expanding=True))
#: MySQL's TEXT ends after 64 KB; where characters take more bytes, MySQL itself chooses the next larger type.
SHORT_TEXTS = text(
    "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :names AND data_type IN ('text', 'mediumtext')"
).bindparams(bindparam("names", expanding=True))


@contextmanager
def every_word(conn: Connection) -> Iterator[None]:
    """Have an index for searches that is created within the block include common words such as "www"."""
    if conn.dialect.name not in MYSQL:
        yield
        return
    conn.execute(text("SET SESSION innodb_ft_enable_stopword = OFF"))
    yield
    conn.execute(text("SET SESSION innodb_ft_enable_stopword = DEFAULT"))


def misfits(conn: Connection) -> list[str]:
    """Return the names of the package's tables whose texts have another character set or collation."""
    if conn.dialect.name not in MYSQL:
        return []
    return sorted(conn.execute(COLUMNS, {"names": list(metadata.tables)}).scalars())


def make_fit(conn: Connection) -> None:
    """Give the package's tables the best collation of the server and LONGTEXT columns, where they have not."""
    if conn.dialect.name not in MYSQL:
        return
    known = set(conn.execute(KNOWN).scalars())
    collation = next(name for name in COLLATIONS if name in known)
    letters = f"CHARACTER SET utf8mb4 COLLATE {collation}"
    ours = {"names": list(metadata.tables), "collation": collation}
    # One change for each table: MariaDB writes it anew each time.
    others = {*conn.execute(TABLES, ours).scalars(), *misfits(conn)}
    changes = {table: [f"CONVERT TO {letters}"] for table in sorted(others)}
    for table, column, is_nullable in conn.execute(SHORT_TEXTS, ours):
        wide = f"MODIFY `{column}` LONGTEXT {letters} {'NULL' if is_nullable == 'YES' else 'NOT NULL'}"
        changes.setdefault(table, []).append(wide)
    for table, steps in changes.items():
        conn.execute(text(f"ALTER TABLE {table} {', '.join(steps)}"))


# --- indexes ------------------------------------------------------------------------


def missing_indexes(conn: Connection) -> list[Index]:
    """Return the indexes that are gone."""
    found = inspect(conn).get_multi_indexes(filter_names=list(metadata.tables))
    names = {(table, entry["name"]) for (_, table), entries in found.items() for entry in entries}
    every = (index for table in metadata.sorted_tables for index in table.indexes)
    return [index for index in every if (index.table.name, index.name) not in names]  # type: ignore[union-attr]


def make_indexes(conn: Connection) -> None:
    for index in missing_indexes(conn):
        index.create(conn)
