"""On MySQL and MariaDB our tables hold all texts, of every script and length, and tell them apart letter by letter.

Which characters a table can hold, and whether ``A`` equals ``a`` or ``key`` equals ``key`` with a space
behind it, is there a matter of the table's collation. A new table takes the database's, which is often
that of one language or of western letters alone. On the other databases nothing of this is needed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, text

from moderate.database.schema import metadata
from moderate.database.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection

#: The best first: MariaDB's, MySQL 8's, and that of older ones, which does not see spaces at the end.
COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb4_bin")

KNOWN = text("SELECT collation_name FROM information_schema.collations WHERE collation_name IN :names").bindparams(
    bindparam("names", COLLATIONS, expanding=True)
)
TABLES = text(
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name IN :names AND table_collation <> :collation"
).bindparams(bindparam("names", expanding=True))
#: Columns that a restore or a tool has given another character set, or a collation that takes A for a.
COLUMNS = text(
    "SELECT DISTINCT table_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :names"
    " AND (character_set_name <> 'utf8mb4' OR collation_name NOT LIKE '%bin')"
).bindparams(bindparam("names", expanding=True))
#: What MySQL calls TEXT ends after 64 KB; where characters take more room, it makes a size more of it.
SHORT_TEXTS = text(
    "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name IN :names AND data_type IN ('text', 'mediumtext')"
).bindparams(bindparam("names", expanding=True))


@contextmanager
def every_word(conn: Connection) -> Iterator[None]:
    """An index for searches that is made meanwhile leaves no common words out, such as "www"."""
    if conn.dialect.name not in MYSQL:
        yield
        return
    conn.execute(text("SET SESSION innodb_ft_enable_stopword = OFF"))
    yield
    conn.execute(text("SET SESSION innodb_ft_enable_stopword = DEFAULT"))


def misfits(conn: Connection) -> list[str]:
    """Return the names of our tables whose texts are in another character set, or compared in another way."""
    if conn.dialect.name not in MYSQL:
        return []
    return sorted(conn.execute(COLUMNS, {"names": list(metadata.tables)}).scalars())


def make_fit(conn: Connection) -> None:
    """Give our tables the best collation that the server has, and their texts room; what is fit is not touched."""
    if conn.dialect.name not in MYSQL:
        return
    known = set(conn.execute(KNOWN).scalars())
    collation = next(name for name in COLLATIONS if name in known)
    letters = f"CHARACTER SET utf8mb4 COLLATE {collation}"
    ours = {"names": list(metadata.tables), "collation": collation}
    # One change for each table: MariaDB writes it anew each time.
    unfit = {*conn.execute(TABLES, ours).scalars(), *misfits(conn)}
    changes = {table: [f"CONVERT TO {letters}"] for table in sorted(unfit)}
    for table, column, is_nullable in conn.execute(SHORT_TEXTS, ours):
        wide = f"MODIFY `{column}` LONGTEXT {letters} {'NULL' if is_nullable == 'YES' else 'NOT NULL'}"
        changes.setdefault(table, []).append(wide)
    for table, steps in changes.items():
        conn.execute(text(f"ALTER TABLE {table} {', '.join(steps)}"))
