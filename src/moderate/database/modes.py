"""What a database must be like to hold every text as it was written: its encoding, and the modes of its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.database.types import MYSQL

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: What PostgreSQL calls the one encoding that holds every text.
UTF8 = "UTF8"

ENCODING_ADVICE = (
    "It cannot hold every text. Dump the database, create a new one by CREATE DATABASE … ENCODING 'UTF8' TEMPLATE "
    "template0, and restore the dump into it; see 'Encodings and modes' in docs/operating.md."
)
CLIENT_ADVICE = "Give your engine connect_args={'client_encoding': 'utf8'}."
MODE_ADVICE = "Take EMPTY_STRING_IS_NULL out of the sql_mode of the server, or of your engine's connections."


def unfit(conn: Connection) -> tuple[str, str]:
    """Return what the database cannot hold, in a few words, and what to do; empty texts where all is well."""
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
