"""A private MariaDB server: on a free port and a socket, gone when the tests are. See `tests.servers`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pymysql

from tests.servers import HOST, Server, ServerFailed, connects, program, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence


class MariaDB(Server):
    """A server with a data folder of its own. It survives `kill` and `start`, as a real one does."""

    #: Nothing here needs to outlive the machine, so no write waits for a disk.
    options = (
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
        "--innodb-log-file-size=16M",
        "--innodb-fast-shutdown=2",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--max-connections=200",
    )

    def __init__(self) -> None:
        self.program = program("mariadbd", "mariadb-server-core")
        super().__init__("mariadb", in_memory())
        self.data, self.socket = self.folder / "data", self.folder / "socket"
        self._made = 0

    def command(self) -> Sequence[str | Path]:
        where = (f"--datadir={self.data}", f"--socket={self.socket}", f"--pid-file={self.folder}/pid", self._temporary)
        listen = (f"--port={self.port}", f"--bind-address={HOST}")
        return [self.program, "--no-defaults", *where, *listen, *self.options, *as_root()]

    def answers(self) -> bool:
        # PyMySQL would leave a socket open that no server listens to.
        if connects(self.port):
            with contextlib.suppress(pymysql.MySQLError):
                self.run("SELECT 1")
                return True
        return False

    def start(self) -> Self:
        if not self.data.exists():
            self._initialise()
        return super().start()

    def new_database(self) -> str:
        """The SQLAlchemy address of a fresh and empty database, with the server's own character set."""
        self._made += 1
        name = f"moderate_{self._made}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database. Its connections are ended first, since they would lock its tables."""
        self.end_connections(url)
        self.run(f"DROP DATABASE IF EXISTS {name_of(url)}")

    def end_connections(self, url: str) -> None:
        """End all connections to a database; return when they have ended."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name_of(url),))
            numbers = [number for (number,) in cursor.fetchall()]
            for number in numbers:
                # It may have gone by itself.
                with contextlib.suppress(pymysql.MySQLError):
                    cursor.execute(f"KILL {number}")
            left = "SELECT 1 FROM information_schema.processlist WHERE id IN %s"
            wait_until(lambda: not numbers or not cursor.execute(left, (numbers,)))

    def url(self, database: str = "mysql") -> str:
        return f"mariadb+pymysql://moderate:moderate@{HOST}:{self.port}/{database}?charset=utf8mb4"

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement as the server's own administrator, and return its rows."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def _connection(self) -> pymysql.Connection:  # type: ignore[type-arg]
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, connect_timeout=5)

    def _launch(self) -> None:
        super()._launch()
        self.run("CREATE USER IF NOT EXISTS moderate@'%' IDENTIFIED BY 'moderate'")
        self.run("GRANT ALL ON *.* TO moderate@'%'")

    @property
    def _temporary(self) -> str:
        """A folder of its own for temporary tables: a server that starts deletes those of others in the same folder."""
        return f"--tmpdir={self.folder}"

    def _initialise(self) -> None:
        maker = program("mariadb-install-db", "mariadb-server-core")
        how = ("--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db")
        made = subprocess.run(
            [maker, *how, f"--datadir={self.data}", self._temporary, *self.options[:4], *as_root()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        if made.returncode:
            raise ServerFailed(f"mariadb-install-db: {made.stdout}\n{made.stderr}")


def name_of(url: str) -> str:
    """Return the name of the database in an address."""
    return urlsplit(url).path.removeprefix("/")


def in_memory() -> Path | None:
    """A folder that is no disk, where there is one with room: MariaDB waits for the disk at each change of a table."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > 2**29 else None


def as_root() -> list[str]:
    """Return the option without which MariaDB does not run as root."""
    return ["--user=root"] if os.geteuid() == 0 else []
