"""Databases' addresses in MODERATE_DATABASE_URL, and the options of their connections."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from moderate.database.schema import MYSQL
from moderate.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


#: Seconds that a writer waits for SQLite's lock.
LOCK_SECONDS = 10

#: What a connection to MySQL or MariaDB is set to: some defaults of a server would make empty texts NULL, cut what is
#: too long, or refuse or shorten what concerns many rows.
OWN_MODES = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
    " SESSION sql_safe_updates = 0, SESSION sql_auto_is_null = 0, SESSION sql_select_limit = 18446744073709551615"
)

#: The drivers for common spellings of a database's address.
DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}

#: The packages that bring drivers which not everybody has.
EXTRAS = {
    "postgresql+psycopg": "flask-moderate[postgres]",
    "postgresql+psycopg2": "psycopg2-binary",
    "mysql+pymysql": "flask-moderate[mysql]",
    "mariadb+pymysql": "flask-moderate[mysql]",
}

ADDRESSES = "accepted is an address such as 'postgresql://user:password@host/name' or 'sqlite:////path/to/file'"
ENCODE = (
    "characters of the password such as @ / : # ? % must be percent-encoded: "
    "python -c \"import getpass, urllib.parse; print(urllib.parse.quote(getpass.getpass(), safe=''))\""
)

#: The user and the password of an address, as SQLAlchemy reads them: up to the first @ after a colon.
SIGN_IN = re.compile(r"[^:/]*(?::[^@]*)?@")

#: Parameters of libpq, so that a host that is gone without a word is noticed within a minute: seconds of silence
#: until the first probe, between two, and how many.
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

#: The drivers for MySQL and MariaDB that limit the time for an answer.
LIMITING = {"pymysql", "mysqldb"}

#: psycopg's parameter for when to prepare statements on the server.
PREPARE = "prepare_threshold"


def read_address(source: str | URL) -> tuple[URL, dict[str, Any]]:
    """Return the URL with the driver in use, and keyword arguments for the driver.

    Raises `ConfigError`, which never shows the password, where nothing could be connected to.
    """
    if isinstance(source, str) and is_torn(source):
        raise refused(f"it has an @ too many: {ENCODE}")
    try:
        url = normalise(source)
        is_async = url.get_dialect().is_async
    except (ArgumentError, ValueError, TypeError):
        # Without the cause, whose text may hold the password.
        raise refused(f"{ADDRESSES}; {ENCODE}") from None
    if is_async:
        raise refused(f"{url.drivername} is an asynchronous driver; {ADDRESSES}")
    if PREPARE not in url.query or url.get_backend_name() != "postgresql":
        return url, {}
    threshold = prepare_threshold(url.query[PREPARE])
    url = url.difference_update_query([PREPARE])
    # Other drivers do not prepare statements by themselves, so there is nothing to turn off.
    return url, {PREPARE: threshold} if url.get_driver_name() == "psycopg" else {}


def is_torn(address: str) -> bool:
    """Return whether an @ of the password would be read as the end of it.

    What follows would be taken for a host, and shown in errors. Addresses of files have no password, and
    the values of query parameters may hold any character.
    """
    scheme, _, rest = address.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        return False
    signed_in = SIGN_IN.match(rest)
    place, _, query = rest[signed_in.end() if signed_in else 0 :].partition("?")
    return "@" in place or any("@" in pair.partition("=")[0] for pair in query.split("&"))


def prepare_threshold(value: object) -> int | None:
    """Return after how many executions psycopg prepares a statement; None for never, which ``0`` and ``none`` mean."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value) or None
    if isinstance(value, str) and value.lower() == "none":
        return None
    raise refused(f"{PREPARE} takes a whole number, or 0 or none to prepare no statements")


def refuse_unknown(dialect: Dialect, url: URL) -> None:
    """Raise `ConfigError` for parameters of an address that psycopg or PyMySQL does not know.

    They would be noticed at the first connection only, and each time as a mistake of a program.
    """
    unknown: set[str] = set()
    if url.get_driver_name() == "pymysql":
        options = dialect.create_connect_args(url)[1]
        unknown = set(options) - set(signature(dialect.loaded_dbapi.connect).parameters)
    elif url.get_driver_name() == "psycopg":
        unknown = {name for name in url.query if not is_of_libpq(dialect.loaded_dbapi, name)}
    if unknown:
        raise refused(f"its driver does not know the parameter {min(unknown)!r}; correct or remove it")


def is_of_libpq(psycopg: Any, name: str) -> bool:
    """Return whether PostgreSQL's client library has a parameter of that name."""
    try:
        psycopg.conninfo.make_conninfo(**{name: "1"})
    except psycopg.ProgrammingError:
        return False
    return True


def normalise(source: str | URL) -> URL:
    """Return the URL with an explicit driver: the default for ``postgresql://`` depends on SQLAlchemy's version."""
    url = make_url(source)
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() in MYSQL and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    return url


class ConnectionOptions(NamedTuple):
    """The options of a process's connections to its database: MODERATE_DATABASE_OPTIONS.

    Each process keeps `pool_size` connections and opens `max_overflow` more under load; a thread that finds all of
    them in use waits for `pool_timeout` seconds. On servers a connection is replaced after `pool_recycle` seconds
    (0: never), and a new one has to be open within `connect_timeout` seconds. A statement that is not answered within
    `answer_timeout` seconds (0: no limit) is an outage.
    """

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: int = 10
    pool_recycle: int = 1800
    connect_timeout: int = 5
    answer_timeout: int = 15


def options_of(url: URL, chosen: ConnectionOptions) -> dict[str, Any]:
    """Return the options of an engine for this address; parameters in the address take precedence over *chosen*."""
    backend = url.get_backend_name()
    if backend == "sqlite" and is_memory(url):
        return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    options: dict[str, Any] = {
        "pool_size": chosen.pool_size,
        "max_overflow": chosen.max_overflow,
        "pool_timeout": chosen.pool_timeout,
    }
    if backend == "sqlite":
        # The connection that was used last has read most of the file as it is now.
        return {**options, "pool_use_lifo": True, "connect_args": {"timeout": LOCK_SECONDS}}
    options["pool_recycle"] = chosen.pool_recycle or -1
    if backend in MYSQL:
        # As PostgreSQL does by itself: each statement sees what is there, and fewer gaps are locked.
        options["isolation_level"] = "READ COMMITTED"
    given = settings_of(url, chosen)
    options["connect_args"] = {name: value for name, value in given.items() if name not in url.query}
    return options


def settings_of(url: URL, chosen: ConnectionOptions) -> dict[str, Any]:
    """Return the parameters of a new connection to a server."""
    settings: dict[str, Any] = {"connect_timeout": chosen.connect_timeout}
    if url.get_backend_name() in MYSQL:
        settings["init_command"] = OWN_MODES
        if chosen.answer_timeout and url.get_driver_name() in LIMITING:
            settings |= {"read_timeout": chosen.answer_timeout, "write_timeout": chosen.answer_timeout}
    elif url.get_driver_name() in {"psycopg", "psycopg2"}:
        # In UTF-8, also where the server has another default for this user or database; `tcp_user_timeout` in ms.
        settings |= {"client_encoding": "utf8", **KEEPALIVES, "tcp_user_timeout": chosen.answer_timeout * 1000}
    return settings


def is_memory(url: URL) -> bool:
    return url.database in {None, "", ":memory:"}


def database_key(url: URL) -> tuple[object, ...]:
    """Return a key that is equal for addresses of one database, with any driver and user."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return backend, Path(url.database or "").resolve()
    default = 5432 if backend == "postgresql" else 3306
    return MYSQL[0] if backend in MYSQL else backend, url.host or "localhost", url.port or default, url.database


def refused(accepted: str) -> ConfigError:
    """Return the error for an address, which is not shown because it may hold a password."""
    return ConfigError("MODERATE_DATABASE_URL", "(not shown)", accepted)
