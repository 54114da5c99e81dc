"""The databases and processes of `bench.soak`, and the faults that it does to them."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from tests.mariadb_servers import MariaDB
from tests.proxies import Proxy
from tests.servers import ROOT, Gunicorn, PostgreSQL, Redis, Server, ServerFailed, as_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.soak_site import HookReceiver, MailReceiver

#: Megabytes of the file system that a database has for itself.
DISK = 768
#: Seconds for which a fault that lasts is left in place, from and to.
HELD = (1.0, 5.0)


# --- databases ------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk() -> Iterator[tuple[Path, bool]]:
    """Yield the folder of a file system of its own in memory, and whether that was possible.

    It takes the right to mount; without it the folder is an ordinary one, which cannot be filled.
    """
    with tempfile.TemporaryDirectory(prefix="moderate-soak-", ignore_cleanup_errors=True) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", folder]
        is_own = sys.platform == "linux" and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        Path(folder).chmod(0o755)
        try:
            yield Path(folder), is_own
        finally:
            if is_own:
                # Lazily: a server that is about to end may still have files open.
                subprocess.run(["umount", "--lazy", folder], check=True)


class SoakedPostgreSQL(PostgreSQL):
    """A cluster that keeps every commit, as the tests' own need not."""

    options = ("max_connections=200", "jit=off", "unix_socket_directories=", "max_wal_size=64MB", "min_wal_size=32MB")


class SoakedMariaDB(MariaDB):
    """A server that keeps every commit, as the tests' own need not."""

    options = (
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-log-file-size=32M",
        "--skip-log-bin",
        "--skip-name-resolve",
        "--max-connections=200",
    )


class Database(Protocol):
    """A database that can be broken. `faults` maps the kinds of its own faults to what does them."""

    url: str | None
    faults: Mapping[str, Callable[[], None]]

    def revive(self) -> None:
        """Start the server where it has ended by itself, as a service manager does."""


class Sqlite:
    """A file in the instance folder."""

    url = None

    def __init__(self, folder: Path) -> None:
        self._file = folder / "moderate.sqlite3"
        self.faults = {"database: locked by another program": self.lock}

    def lock(self) -> None:
        with contextlib.closing(sqlite3.connect(self._file, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            hold()
            other.execute("ROLLBACK")

    def revive(self) -> None:
        pass


class Served:
    """A database on a server of its own, behind a proxy."""

    def __init__(self, server: PostgreSQL | MariaDB, proxy: Proxy) -> None:
        self._server, self._proxy = server, proxy
        url = server.new_database()
        if isinstance(server, MariaDB):
            # A user who may not write while the server is read-only.
            server.run("CREATE USER IF NOT EXISTS writer@'%' IDENTIFIED BY 'moderate'")
            server.run(f"GRANT ALL ON {urlsplit(url).path[1:]}.* TO writer@'%'")
            url = url.replace("moderate:moderate", "writer:moderate")
        self._direct = url
        self.url = url.replace(f":{server.port}/", f":{proxy.port}/")
        self.faults = {
            "database: restarted": self.restart,
            "database: killed": self.kill,
            "database: read-only for a while": self.refuse_writes,
            "database: connections cut by a proxy": proxy.drop,
            "database: connections ended by the server": lambda: server.end_connections(self._direct),
            "database: answer to a commit lost": self.lose_commit,
        }

    def restart(self) -> None:
        self._server.stop()
        hold()
        self._server.start()

    def kill(self) -> None:
        self._server.kill()
        hold()
        self._server.start()

    def refuse_writes(self) -> None:
        self._set_read_only("on")
        hold()
        self._set_read_only("off")

    def lose_commit(self) -> None:
        self._proxy.lose_answer_to = b"\x03COMMIT" if isinstance(self._server, MariaDB) else b"COMMIT\0"
        hold()
        self._proxy.lose_answer_to = b""

    def revive(self) -> None:
        while True:
            try:
                self._server.run("SELECT 1")
            except Exception:  # noqa: BLE001 - each driver has errors of its own
                with contextlib.suppress(ServerFailed):
                    self._server.kill()
                    self._server.start()
                time.sleep(0.2)
            else:
                return

    def _set_read_only(self, value: str) -> None:
        if isinstance(self._server, MariaDB):
            self._server.run(f"SET GLOBAL read_only = {value}")
        else:
            self._server.run(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            self._server.run("SELECT pg_reload_conf()")


def open_database(kind: str, disk: Path, stack: contextlib.ExitStack) -> Database:
    """Start the database of that kind, with its data on *disk*."""
    if kind == "sqlite":
        return Sqlite(disk)
    server = SoakedPostgreSQL() if kind == "postgresql" else SoakedMariaDB()
    server.data = disk / "data"
    if kind == "postgresql" and as_postgres():
        shutil.chown(disk, "postgres", "postgres")
    stack.enter_context(server)
    return Served(server, stack.enter_context(Proxy(server.port)))


# --- processes ------------------------------------------------------------------------------------


class Worker(Server):
    """One ``flask moderate worker``, or several below a process that replaces those that die."""

    def __init__(self, processes: int, env: Mapping[str, str]) -> None:
        super().__init__("worker")
        self.env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **env}
        self._processes = processes

    def command(self) -> Sequence[str | Path]:
        one = flask_moderate("worker")
        return one if self._processes == 1 else [sys.executable, "-m", "bench.soak_workers", str(self._processes), *one]

    def start(self) -> Worker:
        self._process = self._spawn(self.command(), env=self.env, start_new_session=True)
        return self

    def stop(self) -> None:
        """Send SIGTERM, and raise where that does not end it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=90)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise ServerFailed("the worker did not end within 90 seconds of SIGTERM") from error

    def kill(self) -> None:
        os.killpg(self.pid, signal.SIGKILL)
        super().kill()


def flask_moderate(*words: str) -> list[str | Path]:
    """Return the command line of ``flask moderate`` for the soaked site."""
    return [sys.executable, "-m", "flask", "--app", "bench.soak_site:create_app", "moderate", *words]


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def hit_child(server: Server, number: signal.Signals) -> None:
    """Send a signal to one of a server's processes, which is then replaced."""
    found = children(server.pid)
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(found), number)


def hold() -> None:
    """Leave a fault in place for a while."""
    threading.Event().wait(random.uniform(*HELD))


# --- faults ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """One that was done, with the moments of the monotonic clock between which it lasted."""

    kind: str
    began: float
    ended: float

    def may_repeat(self, at: float) -> bool:
        """Return whether a delivery that was answered at that moment may be repeated because of it.

        A sender that was killed, or could not reach the database, has not noted the answer: that is what "at least
        once" means. Some seconds before and after belong to it, as the machine is busy.
        """
        is_cause = self.kind.startswith("database") or (self.kind.startswith("worker") and "killed" in self.kind)
        return is_cause and self.began - 3 <= at <= self.ended + 3


class Faults:
    """All that can be done to one site, in rounds of every kind in random order."""

    def __init__(
        self,
        *,
        database: Database,
        web: Gunicorn,
        worker: Worker,
        redis: Redis,
        receivers: Mapping[str, HookReceiver | MailReceiver],
        clocks: Sequence[Path],
        disk: Path | None,
    ) -> None:
        """*disk* is the file system that the database has for itself, None where it has none that could be filled."""
        self.done: list[Fault] = []
        self._database, self._clocks, self._disk = database, clocks, disk
        self._kinds: dict[str, Callable[[], None]] = {
            **database.faults,
            "web: process killed": lambda: hit_child(web, signal.SIGKILL),
            "web: process ended": lambda: hit_child(web, signal.SIGTERM),
            "web: server restarted": lambda: self._again(web, web.stop),
            "web: server killed": lambda: self._again(web, web.kill),
            "worker: process killed": lambda: hit_child(worker, signal.SIGKILL),
            "worker: restarted": lambda: self._again(worker, worker.stop),
            "worker: killed": lambda: self._again(worker, worker.kill),
            "clock: set ahead or back": self._jump,
            "Redis: restarted": lambda: self._again(redis, redis.stop),
            **{
                f"{name}: slow, down or failing": partial(self._trouble, receiver)
                for name, receiver in receivers.items()
            },
        }
        if disk is not None:
            self._kinds["database: disk full"] = self._fill

    @property
    def kinds(self) -> list[str]:
        return list(self._kinds)

    def run(self, seconds: float, pause: float) -> None:
        """Do faults, *pause* seconds after each other, until the time is over."""
        over = time.monotonic() + seconds
        while True:
            for kind in random.sample(self.kinds, len(self.kinds)):
                if time.monotonic() > over:
                    return
                began = time.monotonic()
                self._kinds[kind]()
                self._database.revive()
                self.done.append(Fault(kind, began, time.monotonic()))
                threading.Event().wait(pause)

    def _again(self, server: Server, end: Callable[[], None]) -> None:
        end()
        until = time.monotonic() + 30
        while True:
            try:
                server.start()
            except OSError:
                # The processes of one that was killed give up its port a moment later.
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return

    def _jump(self) -> None:
        clock = random.choice(self._clocks)
        set_clock(clock, random.choice([-3600, -300, 300, 3600]))
        hold()
        set_clock(clock, 0)

    def _trouble(self, receiver: HookReceiver | MailReceiver) -> None:
        receiver.mode = random.choice(["slow", "down", "error"])
        hold()
        receiver.mode = "ok"

    def _fill(self) -> None:
        """Write a file until nothing more fits, and remove it."""
        assert self._disk is not None
        ballast = self._disk / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                until = time.monotonic() + random.uniform(*HELD)
                while time.monotonic() < until:
                    try:
                        file.write(b"\0" * 65536)
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        # What others free meanwhile is taken as well.
                        time.sleep(0.05)
        finally:
            ballast.unlink()


def set_clock(clock: Path, seconds: int) -> None:
    """Move a host's clock. Readers never see half a file."""
    new = clock.with_suffix(".new")
    new.write_text(str(seconds), encoding="ascii")
    new.replace(clock)
