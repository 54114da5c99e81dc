"""Rows of `bench.requests` besides requests: the limiter, imports, a command, and the memory of further workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.requests_load import Server, cpu_of, environment, memory_mib, output_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Prints the modules of other projects that the package loads, in their order.
LIBRARIES = """
import sys
before = set(sys.modules)
import moderate
ours = {*sys.stdlib_module_names, "moderate"}
print(*(name for name in sys.modules if name not in before and name.partition(".")[0] not in ours))
"""
#: Imports modules; those that compiled code makes up have no file.
IMPORT = """
from importlib import import_module
for name in {}:
    try:
        import_module(name)
    except ImportError:
        pass
"""
#: Prints the microseconds of a bare PING, and of a decision over four budgets: those of the quicker rounds.
LIMITER = """
import json, os, statistics
from bench import limits
os.sched_setaffinity(0, range(os.cpu_count()))
limits.ROUNDS = 100
with limits.redis_server() as url:
    rows = limits.rows(url)
    taken = limits.measure({name: rows[name] for name in (limits.PING, limits.OURS)})
print(json.dumps([statistics.quantiles(taken[name])[0] for name in (limits.PING, limits.OURS)]))
"""


@dataclass(frozen=True)
class Start:
    """One line of the table: what prepares the measurement of a tree, and the highest ratio.

    `prepare` gets the tree and a function that makes sites; it returns what measures the floor and the package once.
    """

    title: str
    prepare: Callable[[Path, Callable[..., tuple[str, dict[str, Any]]]], Callable[[], tuple[float, float]]]
    target: float
    #: A row whose floor and figure hardly move from one turn to the next needs few of them.
    most_rounds: int = 9


def limiter(source: Path, _: object) -> Callable[[], tuple[float, float]]:
    def turn() -> tuple[float, float]:
        ping, decision = json.loads(output_of(["-c", LIMITER], environment({}, source)))
        return ping, decision

    return turn


def imports(source: Path, _: object) -> Callable[[], tuple[float, float]]:
    env = environment({}, source)
    libraries = IMPORT.format(output_of(["-c", LIBRARIES], env).split())
    return lambda: (cpu_of(["-c", libraries], env), cpu_of(["-c", "import moderate"], env))


def command(source: Path, variant: Callable[..., tuple[str, dict[str, Any]]]) -> Callable[[], tuple[float, float]]:
    """``flask moderate queue`` beside a command of a Flask app that runs one SELECT with SQLAlchemy."""
    floor, site = variant("floor"), variant("still")
    for target, place in (floor, site):
        # The tables and what is in them are made by a first start.
        with Server(target, place, source):
            pass
    of_floor, of_site = environment(floor[1], source), environment({**site[1], "fill": False}, source)
    rows = ["-m", "flask", "--app", "bench.requests_floor:create_commands", "rows"]
    queue = ["-m", "flask", "--app", "bench.requests_site", "moderate", "queue"]
    return lambda: (cpu_of(rows, of_floor), cpu_of(queue, of_site))


def memory(source: Path, variant: Callable[..., tuple[str, dict[str, Any]]]) -> Callable[[], tuple[float, float]]:
    """MiB of each further worker: with its own copy of the code, and with the settings of docs/scaling.md."""
    target, place = variant("site")
    with Server(target, place, source):
        pass
    pages = ("/article/read", "/discuss/comments/read", "/discuss/counts?article=read")

    def further(*options: str) -> float:
        sizes = []
        for workers in (1, 3):
            ready = {**place, "fill": False, "warm": pages if options else ()}
            with Server(target, ready, source, workers, *options) as server:
                use(server)
                sizes.append(memory_mib([server.pid]))
        return (sizes[1] - sizes[0]) / 2

    return lambda: (further(), further("--preload"))


def use(server: Server) -> None:
    """Ask each worker for something of everything: new connections reach whatever worker is free."""
    from bench.requests import ROWS

    for _ in range(8):
        server.hang_up()
        for name in ("post", "plain", "counts", "page", "queue"):
            job = ROWS[name].job
            server.ask(job.make(server, 6), job.status)


STARTS = {
    "limiter": Start("limiter, 4 budgets / PING", limiter, 1.4),
    "import": Start("import of the package / of its libraries", imports, 1.2),
    "command": Start("flask moderate queue / a command, one SELECT", command, 1.5),
    "memory": Start("a further worker with --preload / without (MiB)", memory, 20.0, most_rounds=1),
}
