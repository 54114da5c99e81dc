"""Encodings, modes and collations: the conditions under which a database holds every text as it was written.

On MySQL and MariaDB the collation of a table decides which characters it holds, and whether ``A`` equals ``a`` or
``key`` equals ``key`` with a space behind it. A new table takes the database's, which is often that of one language
or of western letters alone; so the package's tables get one that compares letter by letter. The other databases need
none of this.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text

from moderate.database.schema import MYSQL, metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection


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
