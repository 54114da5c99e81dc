"""Real servers for the tests: each one private, on a free port of 127.0.0.1, and gone when the tests are.

Every server runs in the foreground as a child of the test process and is told by the kernel when its
parent dies, so that none is left running, not even after a kill. Use them as context managers.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"


class ServerFailed(Exception):
    """A server did not start, or died. Carries what it said last."""


def free_port() -> int:
    """Return a port that was free a moment ago, below those that the kernel gives out by itself."""
    for _ in range(200):
        port = 10_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port
    raise ServerFailed("no port is free")


class Server:
    """One process in the foreground, with its own folder and its own log."""

    #: How this kind of server is asked to stop.
    farewell = signal.SIGTERM
    #: Seconds that it may take to answer after its start.
    patience = 30.0

    def __init__(self, name: str, within: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"moderate-{name}-", dir=within))
        self.log_path = self.folder / "log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str | Path]:
        """Return the command to run; `self.port` is already chosen."""
        raise AssertionError(f"{type(self).__name__} has no command")

    def answers(self) -> bool:
        """Return True when the server is up; called while it starts."""
        return connects(self.port)

    def start(self) -> Self:
        """Run the server on the port that it had before, or on a free one; return when it answers."""
        if self.port:
            self._launch()
            return self
        for _ in range(3):
            # Another process may take the port between our look and the server's start.
            self.port = free_port()
            try:
                self._launch()
            except ServerFailed:
                if "in use" not in self.log:
                    raise
            else:
                return self
        raise ServerFailed(self.log)

    def stop(self) -> None:
        """Ask politely, wait, then insist. Does nothing when the server is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.farewell)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the server as a power cut would, without a word. `start` brings it back on the same port."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Stop the server and remove all that it has written."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """Return the log of the server so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _launch(self) -> None:
        self._process = self._spawn(self.command())
        self._await_answer()

    def _spawn(self, command: Sequence[str | Path], **more: object) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*dies_with_us(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, **more
            )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self.patience
        while not self.answers():
            if self._ended_within(0.02):
                self._process = None
                raise ServerFailed(f"{type(self).__name__} ended at its start:\n{self.log[-4000:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{type(self).__name__} did not answer:\n{self.log[-4000:]}")

    def _ended_within(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


class Redis(Server):
    """A redis-server that keeps nothing on disk."""

    def __init__(self, *options: str) -> None:
        self.program = program("redis-server", "redis-server")
        super().__init__("redis")
        self.options = options

    def command(self) -> Sequence[str | Path]:
        where = ("--bind", HOST, "--port", str(self.port), "--dir", str(self.folder))
        return [self.program, *where, "--save", "", "--appendonly", "no", *self.options]

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self._say(b"PING") == b"+PONG"
        return False

    def flush(self) -> None:
        """Forget everything."""
        assert self._say(b"FLUSHALL") == b"+OK"

    def _say(self, command: bytes) -> bytes:
        with socket.create_connection((HOST, self.port), timeout=10) as line:
            line.sendall(command + b"\r\n")
            return line.recv(64).strip()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"


class PostgreSQL(Server):
    """A PostgreSQL cluster of its own. It survives `kill` and `start`, as a real one does."""

    farewell = signal.SIGINT
    #: Nothing here needs to outlive the machine, so no write waits for a disk.
    options = ("fsync=off", "full_page_writes=off", "max_connections=200", "jit=off", "unix_socket_directories=")

    def __init__(self) -> None:
        self.initdb = program("initdb", "postgresql", *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
        super().__init__("postgresql")
        self.data = self.folder / "data"
        self._made = 0

    def command(self) -> Sequence[str | Path]:
        settings = [word for option in self.options for word in ("-c", option)]
        where = ("-D", self.data, "-p", str(self.port), "-c", f"listen_addresses={HOST}")
        return [*as_postgres(), self.initdb.parent / "postgres", *where, *settings]

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self.run("SELECT 1")
            return True
        return False

    def start(self) -> Self:
        if not self.data.exists():
            self._initialise()
        return super().start()

    def kill(self) -> None:
        """End at once, without a checkpoint: the next start has to recover from the log."""
        self.farewell = signal.SIGQUIT
        self.stop()
        self.farewell = signal.SIGINT

    def new_database(self) -> str:
        """The SQLAlchemy address of a fresh and empty database."""
        self._made += 1
        name = f"moderate_{self._made}"
        # Copying the files of the empty template is quicker than logging each of its pages.
        self.run(f'CREATE DATABASE "{name}" TEMPLATE template0 STRATEGY file_copy')
        return self.url(name)

    def copy_of(self, url: str) -> str:
        """Return the address of a copy of the database at *url*, which must have no connections."""
        self._made += 1
        name = f"moderate_{self._made}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{urlsplit(url).path[1:]}" STRATEGY file_copy')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, also when it still has connections."""
        name = urlsplit(url).path.removeprefix("/")
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def end_connections(self, url: str) -> None:
        """End all connections to a database; return when they have ended."""
        name = urlsplit(url).path.removeprefix("/")
        ended = self.run(f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        numbers = ", ".join(str(number) for number, _ in ended)
        if numbers:
            # A session that is busy, or waits for the processor, serves on until it notices.
            wait_until(lambda: not self.run(f"SELECT 1 FROM pg_stat_activity WHERE pid IN ({numbers})"))

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres:moderate@{HOST}:{self.port}/{database}"

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement in the cluster's own database, outside any transaction, and return its rows."""
        address = self.url().replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _initialise(self) -> None:
        secret = self.folder / "secret"
        secret.write_text("moderate\n", encoding="ascii")
        if os.geteuid() == 0:
            for path in (self.folder, secret):
                shutil.chown(path, "postgres", "postgres")
        how = ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(
            [*as_postgres(), self.initdb, "-D", self.data, "-U", "postgres", *how],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        if made.returncode:
            raise ServerFailed(f"initdb: {made.stdout}\n{made.stderr}")


class PgBouncer(Server):
    """A pooler before a PostgreSQL cluster that gives each transaction another of a few connections."""

    def __init__(self, postgresql: PostgreSQL) -> None:
        self.program = program("pgbouncer", "pgbouncer", Path("/usr/sbin"))
        super().__init__("pgbouncer")
        self.postgresql = postgresql

    def command(self) -> Sequence[str | Path]:
        conf = self.folder / "pgbouncer.ini"
        conf.write_text(
            f"[databases]\n* = host={HOST} port={self.postgresql.port} user=postgres password=moderate\n"
            f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n",
            encoding="ascii",
        )
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        return [*as_postgres(), self.program, conf]

    def url(self, url: str) -> str:
        """The address by which the pooler leads to the database at *url*."""
        return url.replace(f":{self.postgresql.port}/", f":{self.port}/")


class Gunicorn(Server):
    """The real application server with several worker processes.

    *target* is in gunicorn's own notation, "module:app" or "module:create_app()". The socket is opened
    here and handed over, so that no other process can take the port in between.
    """

    def __init__(
        self,
        target: str,
        *,
        workers: int = 2,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        ready: str = "/",
    ) -> None:
        super().__init__("gunicorn")
        self.target, self.workers, self.options, self.ready = target, workers, options, ready
        self.env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **(env or {})}

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", "gunicorn", "--workers", str(self.workers), *self.options, self.target]

    def answers(self) -> bool:
        """Return True when the server sends any response, also a 404."""
        line = http.client.HTTPConnection(HOST, self.port, timeout=1)
        with contextlib.closing(line), contextlib.suppress(OSError, http.client.HTTPException):
            line.request("GET", self.ready)
            line.getresponse().read()
            return True
        return False

    def start(self) -> Self:
        self._launch()
        return self

    def kill(self) -> None:
        """End master and workers together."""
        if self._process is not None:
            os.killpg(self.pid, signal.SIGKILL)
        super().kill()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def _launch(self) -> None:
        with socket.create_server((HOST, self.port), backlog=512) as door:
            self.port = door.getsockname()[1]
            # The interactive control socket of newer versions is one file for all servers of a user.
            control = ("--no-control-socket",) if has_control_socket() else ()
            command = [*self.command()[:3], "--bind", f"fd://{door.fileno()}", *control, *self.command()[3:]]
            self._process = self._spawn(command, pass_fds=[door.fileno()], env=self.env, start_new_session=True)
        self._await_answer()


def has_control_socket() -> bool:
    from gunicorn.config import KNOWN_SETTINGS

    return any("--no-control-socket" in (setting.cli or ()) for setting in KNOWN_SETTINGS)


def connects(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def program(name: str, package: str, *folders: Path) -> Path:
    """Return the path of a program; when it is missing, the error names its Debian package."""
    found = shutil.which(name, path=os.pathsep.join(map(str, [*folders, *os.get_exec_path()])))
    if found is None:
        raise ServerFailed(f"{name} is not installed: run `make test`, or install the package {package}")
    return Path(found).resolve() if folders else Path(found)


def dies_with_us() -> list[str]:
    """Return the command by which the kernel ends the child when its parent has died."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def as_postgres() -> list[str]:
    """PostgreSQL refuses to run as root, so root runs it as the user that its package made."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    return [
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--pdeathsig", "INT",
    ]  # fmt: skip


def wait_until(condition: Callable[[], bool], *, within: float = 30.0) -> None:
    """Return as soon as *condition* holds; fail the test when it does not within *within* seconds."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not become true within {within} seconds"
        pause.wait(0.01)
