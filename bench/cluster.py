"""Three groups of web processes and two workers on one PostgreSQL and a Redis Cluster: throughput, latency, drift.

``python -m bench.cluster --help`` has the options. One table shows the same mix of requests at growing numbers of web
processes, each with one thread; another what one kind of request costs the web processes, PostgreSQL and Redis. In the
end every comment that was acknowledged is stored, and the counters are compared with the items.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from bench.requests import ROWS, settings
from bench.requests_load import Server, cpu_between, cpu_times, is_whole
from tests.redis_servers import RedisCluster
from tests.servers import HOST, ROOT, PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Web processes in each of the groups, one level after another.
LEVELS = ((1,), (1, 1), (1, 1, 1), (2, 2, 2), (4, 4, 4))
WORKERS = 2
#: Connections of the load generator, over all groups.
LINES = 24
#: The mix of a busy news site: requests in a hundred.
MIX = {"page": 60, "counts": 20, "post": 10, "plain": 5, "decision": 5}
ALONE = ("page", "counts", "unchanged", "post", "plain", "decision")
TARGET = "bench.requests_site:create_app()"
MODERATE = (sys.executable, "-m", "flask", "--app", TARGET.removesuffix("()"), "moderate")


class DurablePostgreSQL(PostgreSQL):
    """A server that waits for the disk at each commit, as those of the tests need not."""

    options = ("max_connections=200", "jit=off", "unix_socket_directories=")


@dataclass
class Load:
    """What one run of the load generator saw."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def errors(self) -> int:
        return sum(times for status, times in self.statuses.items() if status not in {200, 303, 304})

    @property
    def posted(self) -> int:
        return self.statuses[303]


def drive(ports: Sequence[int], make: Callable[[], bytes], seconds: float) -> Load:
    """Keep one request at a time under way on each of `LINES` connections, for some seconds."""
    load, poll, began = Load(), select.poll(), time.monotonic()
    lines, sent, parts = {}, {}, {}
    with contextlib.ExitStack() as stack:
        # Each sends at once, for a connection on which nothing is sent keeps a thread of the server waiting.
        for at, first in enumerate([make() for _ in range(LINES)]):
            line = stack.enter_context(socket.create_connection((HOST, ports[at % len(ports)]), timeout=60))
            lines[line.fileno()] = line
            sent[line.fileno()], parts[line.fileno()] = time.monotonic(), b""
            poll.register(line, select.POLLIN)
            line.sendall(first)
        while lines:
            for number, _ in poll.poll(60_000):
                got = lines[number].recv(1 << 18)
                parts[number] += got
                if got and not is_whole(parts[number]):
                    continue
                now = time.monotonic()
                load.milliseconds.append((now - sent[number]) * 1000)
                load.statuses[int(parts[number][9:12] or 0)] += 1
                if not got or now > began + seconds:
                    poll.unregister(number)
                    del lines[number]
                    continue
                sent[number], parts[number] = now, b""
                lines[number].sendall(make())
    load.seconds = time.monotonic() - began
    return load


class Worker(Server):
    """One ``flask moderate worker``."""

    def command(self) -> Sequence[str | Path]:
        return [*MODERATE, "worker"]

    def start(self) -> Worker:
        self._process = self._spawn(self.command(), env=self.env, start_new_session=True)
        return self


class Cluster(contextlib.ExitStack):
    """The servers that all web processes share, with a filled site, and how many comments these have acknowledged."""

    acknowledged = 0

    def __enter__(self) -> Cluster:
        super().__enter__()
        folder = self.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        self.postgresql = self.enter_context(DurablePostgreSQL())
        self.redis = self.enter_context(RedisCluster())
        self.url = self.postgresql.new_database()
        self.place = {
            "name": "site",
            "folder": folder,
            "cluster": (HOST, self.redis.port),
            "settings": {**settings(self.url, ""), "MODERATE_DATABASE_OPTIONS": {"pool_size": 2, "max_overflow": 3}},
        }
        with Server(TARGET, {**self.place, "fill": True, "decided": 200}, ROOT):
            pass
        self.workers = [self.enter_context(Worker(TARGET, self.place, ROOT)) for _ in range(WORKERS)]
        return self

    @contextlib.contextmanager
    def groups(self, level: Sequence[int]) -> Iterator[list[Server]]:
        """Start a group of so many web processes for each number."""
        alone = ("--threads", "1", "--timeout", "120")
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(Server(TARGET, self.place, ROOT, workers, *alone)) for workers in level]

    def cpu(self, web: Sequence[Server]) -> dict[str, dict[int, float]]:
        """Return the CPU times of the processes of each part."""
        return {
            "web": cpu_times(server.pid for server in web),
            "PostgreSQL": cpu_times([self.postgresql.pid]),
            "Redis": cpu_times(node.pid for node in self.redis.nodes),
            "workers": cpu_times(worker.pid for worker in self.workers),
        }

    def moderate(self, *words: str) -> str:
        """Run a command of ``flask moderate`` and return its output; raise where it fails."""
        env = self.workers[0].env
        done = subprocess.run([*MODERATE, *words], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"flask moderate {' '.join(words)}: {done.stdout} {done.stderr}"
        return done.stdout

    def stored(self) -> int:
        engine = create_engine(self.url)
        try:
            with engine.connect() as conn:
                return int(conn.execute(text("SELECT count(*) FROM moderate_items")).scalar_one())
        finally:
            engine.dispose()


def mixed(server: Server, mix: dict[str, int]) -> Callable[[], bytes]:
    """Return a function that makes one request of a mix after another."""
    chance, ready = random.Random(13), dict[str, list[bytes]]()
    # Some of an earlier run's decisions were made and not sent.
    vars(server).pop("decided", None)

    def make() -> bytes:
        kind = chance.choices(list(mix), list(mix.values()))[0]
        if not ready.get(kind):
            ready[kind] = ROWS[kind].job.make(server, 10)
        return ready[kind].pop()

    return make


def measure(cluster: Cluster, web: Sequence[Server], mix: dict[str, int], seconds: float) -> dict[str, Any]:
    """Return one line of a table: a mix of requests at the running web processes."""
    ports, make = [server.port for server in web], mixed(web[0], mix)
    cluster.acknowledged += drive(ports, make, seconds / 5).posted
    before = cluster.cpu(web)
    load = drive(ports, make, seconds)
    cluster.acknowledged += load.posted
    after, done = cluster.cpu(web), len(load.milliseconds)
    percentiles = statistics.quantiles(load.milliseconds, n=100)
    return {
        "requests/s": done / load.seconds,
        "POST/s": load.posted / load.seconds,
        "p50 ms": percentiles[49],
        "p99 ms": percentiles[98],
        "errors": load.errors,
        **{f"{part} us": cpu_between(before[part], after[part]) / done * 1e6 for part in before},
    }


def main(words: Sequence[str] = ()) -> None:
    asked = arguments().parse_args(list(words))
    results: dict[str, dict[str, Any]] = {}

    def show(name: str, found: dict[str, Any]) -> None:
        if len(results) in {0, len(LEVELS)}:
            print(f"| | {' | '.join(found)} |\n|---{'|---' * len(found)}|")
        results[name] = found
        shown = (f"{value:.{1 if value < 100 else 0}f}" for value in found.values())
        print(f"| {name} | {' | '.join(shown)} |", flush=True)

    with Cluster() as cluster:
        stored = cluster.stored()
        for level in LEVELS:
            with cluster.groups(level) as web:
                show(f"{sum(level)} in {len(level)}", measure(cluster, web, MIX, asked.seconds))
        with cluster.groups(LEVELS[2]) as web:
            for kind in ALONE:
                show(kind, measure(cluster, web, {kind: 1}, asked.seconds / 2))
        results["end"] = end(cluster, stored)
    print("\n" + ", ".join(f"{name}: {value}" for name, value in results["end"].items()))
    if asked.json:
        Path(asked.json).write_text(json.dumps(results, indent=1), encoding="ascii")
    assert not any(found["errors"] for found in results.values()), "there were errors"


def end(cluster: Cluster, stored: int) -> dict[str, Any]:
    """Compare what was acknowledged with what is stored, and the counters with the items."""
    drift = cluster.moderate("recount", "--dry-run").strip().splitlines()[-1]
    lost = stored + cluster.acknowledged - cluster.stored()
    return {"acknowledged": cluster.acknowledged, "lost": lost, "recount": drift, "errors": lost}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="seconds of each line (15)")
    parser.add_argument("--json", metavar="FILE", help="write the results to a file")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
