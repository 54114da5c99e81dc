"""The cost of one decision over four limits: beside a bare PING, and beside four calls of the library `limits`.

Run it with ``python -m bench.limits``. A redis-server of its own is started and stopped. All rows take
turns within each of many short rounds, so that a busy machine slows all of them alike; what is printed
are medians over the rounds. Where there are two processors the server gets one and the client the other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import limits
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from moderate.clock import SystemClock
from moderate.limits.local import LocalLimiter
from moderate.limits.rates import Bucket, Rate, parse_limits
from moderate.limits.spending import Costs, Limits
from moderate.redis import RedisLimiter, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 600
CALLS = 8
#: Rates that nothing here reaches, with the windows of the default table.
WINDOWS = (60, 3600, 61, 62)
SCOPES = ("client", "client", "article", "site")
PLENTY = 1_000_000

PING = "bare PING"
OURS = "four limits, one decision"
THEIRS = "four `limits` calls, fixed window"
TARGETS = ((PING, 1.4), (THEIRS, 0.35))


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A redis-server that keeps nothing; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            share_processors(server.pid)
            wait_for(port)
            yield f"redis://127.0.0.1:{port}/0?socket_timeout=10&socket_connect_timeout=10"
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int) -> None:
    """Return when a server accepts connections on the port."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
            return


def share_processors(server: int) -> None:
    """One processor for the server and one for us, where there are two and the system can do it."""
    if hasattr(os, "sched_setaffinity") and len(own := sorted(os.sched_getaffinity(0))) >= 2:
        os.sched_setaffinity(server, {own[0]})
        os.sched_setaffinity(0, {own[1]})


def rows(url: str) -> dict[str, Callable[[], object]]:
    """Return the calls that are measured, by name."""
    client = connect(url)
    clock = SystemClock()
    buckets = [Bucket(str(w), f"comments:5/{w}:client:pDhrwDFm3hW0lzLj", Rate(PLENTY, w)) for w in WINDOWS]
    ours, local = RedisLimiter(client), LocalLimiter(clock)
    texts = [f"{PLENTY}/{w} seconds per {scope}" for w, scope in zip(WINDOWS, SCOPES, strict=True)]
    whole = Limits(parse_limits({"comments": texts}), ours, secret=lambda: b"secret", clock=clock)
    costs = Costs("comments", "192.0.2.1", article="an/article")
    storage = RedisStorage(url.partition("?")[0])
    items = [limits.RateLimitItemPerSecond(PLENTY, w) for w in WINDOWS]
    fixed, moving = FixedWindowRateLimiter(storage), MovingWindowRateLimiter(storage)
    return {
        PING: client.ping,
        "one limit": lambda: ours.take(buckets[:1]),
        OURS: lambda: ours.take(buckets),
        "... with keys and policy (Limits.spend)": lambda: whole.spend(costs),
        THEIRS: lambda: [fixed.hit(item, "fixed", "192.0.2.1") for item in items],
        "four `limits` calls, moving window": lambda: [moving.hit(item, "moving", "192.0.2.1") for item in items],
        "four limits in this process": lambda: local.take(buckets),
    }


def measure(asked: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Microseconds per call and round."""
    took: dict[str, list[float]] = {name: [] for name in asked}
    for call in asked.values():
        call()
    for _ in range(ROUNDS):
        for name, call in asked.items():
            began = time.perf_counter()
            for _ in range(CALLS):
                call()
            took[name].append((time.perf_counter() - began) / CALLS * 1e6)
    return took


def ratio(took: dict[str, list[float]], name: str, base: str) -> float:
    """Return the ratio of the median times of *name* and *base*."""
    return statistics.median(took[name]) / statistics.median(took[base])


def main() -> int:
    """Print the table; the exit status is 0 when the targets are met."""
    with redis_server() as url:
        took = measure(rows(url))
    print(f"{'row':42} {'us':>8} {'(middle half)':>18} {'x PING':>8} {'x four calls':>13}")
    for name, values in took.items():
        low, _, high = statistics.quantiles(values)
        spread = f"({low:.1f} - {high:.1f})"
        beside = f"{ratio(took, name, PING):8.2f} {ratio(took, name, THEIRS):13.2f}"
        print(f"{name:42} {statistics.median(values):8.1f} {spread:>18} {beside}")
    met = True
    for base, most in TARGETS:
        reached = ratio(took, OURS, base)
        met = met and reached <= most
        print(f"{OURS} / {base}: {reached:.2f}, target {most:.2f}: {'met' if reached <= most else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
