"""The cost of whole requests under gunicorn, beside floors that do the same work by hand: on SQLite and on PostgreSQL.

Run it with ``python -m bench.requests``, or with ``--quick`` and the names of some rows; ``--help`` has the rest.
`bench/README.md` says what each row means and how to read the table.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.requests_load import HTML, JSON, Server, cpu_between, cpu_times, form, request, use_processor
from bench.requests_site import KEYS, MARKED_UP, PLAIN, texts
from bench.requests_start import STARTS
from tests.servers import ROOT, PostgreSQL, Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROUNDS, QUICK_ROUNDS = 9, 3
#: Seconds of CPU that one turn of a row is to take about, from which the number of its requests follows.
TURN, QUICK_TURN = 0.2, 0.08
LAST = ROOT / "bench" / "last.json"
STORES = ("sqlite", "postgresql")
PLENTY = 1_000_000


@dataclass(frozen=True)
class Job:
    """One kind of request: the site that gets it, how it is made, the status of its answer."""

    site: str
    make: Callable[[Server, int], list[bytes]]
    status: int = 200


@dataclass(frozen=True)
class Row:
    """One line of the table: a job, its floor, and how many times the floor's CPU it may take, by database."""

    title: str
    job: Job
    floor: Job
    sqlite: float
    postgresql: float

    def target(self, store: str) -> float:
        return self.sqlite if store == "sqlite" else self.postgresql


# --- requests -------------------------------------------------------------------------------------

_numbers = itertools.count(1)
_texts = {beginning: texts(beginning, "sent") for beginning in (MARKED_UP, PLAIN)}
_excerpts = texts("The harbour log tells why. ")


def post(path: str, text: str, accept: dict[str, str] = HTML) -> Callable[[Server, int], list[bytes]]:
    """Return a maker of comments as a browser's form sends them. A floor gets the same fields, with any token."""

    def make(server: Server, count: int) -> list[bytes]:
        token = "x" * 120 if server.place["name"] == "floor" else server.form_token(path.rpartition("/")[2])
        values = {"author": "Mika", "email": "mika@mail.example", "url": "", "form_token": token, "homepage": ""}
        return [form(path, {**values, "text": next(_texts[text])}, accept) for _ in range(count)]

    return make


def get(path: str, fields: dict[str, str] = HTML) -> Callable[[Server, int], list[bytes]]:
    return lambda _, count: [request("GET", path, fields=fields)] * count


def unchanged(server: Server, count: int) -> list[bytes]:
    return [request("GET", "/discuss/comments/read", fields=JSON | {"If-None-Match": server.thread_tag})] * count


def trackback(_: Server, count: int) -> list[bytes]:
    def sent() -> dict[str, str]:
        source = f"https://blog-{next(_numbers)}.example/post"
        return {"url": source, "title": "Late again", "blog_name": "Log", "excerpt": next(_excerpts)[:240]}

    return [form("/discuss/trackback/article-3", sent()) for _ in range(count)]


def decision(server: Server, count: int) -> list[bytes]:
    """Approve items and put them into spam by turns, each with its version, by the host's login."""
    fields = JSON | {"X-Desk": "1", "X-CSRF-Token": server.csrf_token}
    made = []
    for _ in range(count):
        # The one that was decided on longest ago, so that no two requests under way are about one item.
        item, version = next(iter(server.decided.items()))
        server.decided[item] = server.decided.pop(item) + 1
        wanted = {"decision": "spam" if version % 2 == 0 else "approve", "version": version}
        path = f"/discuss/moderation/items/{item}/decisions"
        made.append(request("POST", path, json.dumps(wanted), fields=fields))
    return made


COMMENT = "/discuss/comments/article-1"
LIST = "/discuss/moderation/items?status=pending&limit=50"
EMPTY = Job("floor", get("/empty", JSON))
POST = Job("site", post(COMMENT, MARKED_UP), 303)
POST_PLAIN = Job("site", post("/discuss/comments/article-2", PLAIN), 303)

ROWS: dict[str, Row] = {
    "post": Row("POST 600 characters with markup, bleach", POST, Job("floor", post("/post", MARKED_UP), 303), 1.5, 1.5),
    "nh3": Row(
        "POST the same, nh3",
        Job("nh3", post(COMMENT, MARKED_UP), 303),
        Job("floor", post("/nh3", MARKED_UP), 303),
        2.0,
        2.0,
    ),
    "plain": Row("POST 600 plain characters", POST_PLAIN, Job("floor", post("/plain", PLAIN), 303), 2.0, 2.2),
    "suspicious": Row(
        "suspicious POST with markup / clean", Job("flood", post(COMMENT, MARKED_UP), 303), POST, 1.15, 1.15
    ),
    "suspicious-plain": Row(
        "suspicious plain POST / clean", Job("flood", post(COMMENT, PLAIN), 303), POST_PLAIN, 1.15, 1.15
    ),
    "trackback": Row("trackback / POST with markup", Job("site", trackback), POST, 0.7, 0.7),
    "decision": Row("decision by JSON, host's login", Job("still", decision), EMPTY, 4.0, 4.0),
    "counts": Row(
        "counts of 50",
        Job("site", get("/discuss/counts?" + "&".join(f"article={key}" for key in KEYS), JSON)),
        EMPTY,
        1.5,
        2.2,
    ),
    "thread": Row("thread of 100, JSON", Job("site", get("/discuss/comments/read", JSON)), EMPTY, 1.3, 2.0),
    "unchanged": Row("thread of 100, 304", Job("site", unchanged, 304), EMPTY, 1.2, 1.9),
    "page": Row("article page, thread of 100", Job("site", get("/article/read")), EMPTY, 2.5, 3.5),
    "refused": Row("refused by a limit, JSON", Job("still", post(COMMENT, MARKED_UP, JSON), 429), EMPTY, 1.6, 1.6),
    "refused-form": Row("refused by a limit, form", Job("still", post(COMMENT, MARKED_UP), 429), EMPTY, 2.5, 2.5),
    "queue-json": Row("queue of 50, JSON", Job("still", get(LIST, JSON | {"X-Desk": "1"})), EMPTY, 6.0, 6.0),
    "queue": Row("queue of 50, page", Job("still", get("/discuss/moderation/", HTML | {"X-Desk": "1"})), EMPTY, 20, 20),
}

# --- sites ----------------------------------------------------------------------------------------


def settings(database: str, redis: str, **changes: Any) -> dict[str, Any]:
    row = [f"{PLENTY}/{each}" for each in ("hour per client", "day per client", "minute per article", "day per site")]
    return {
        "SECRET_KEY": "for benchmarks only",
        "MODERATE_DATABASE_URL": database,
        "MODERATE_SQLITE_SYNCHRONOUS": "normal",
        "MODERATE_REDIS_URL": redis,
        "MODERATE_WORKER": "external",
        "MODERATE_LIMITS": {"comments": row, "pings": row},
        "MODERATE_MAX_LINKS": 10,
        "MODERATE_MIN_SECONDS": 0,
        **changes,
    }


#: The settings by which sites differ: `flood` finds each comment too fast, and `still` refuses all but the first.
SITES: dict[str, dict[str, Any]] = {
    "site": {},
    "nh3": {"MODERATE_SANITIZER": "nh3"},
    "flood": {"MODERATE_MIN_SECONDS": 3600},
    "still": {
        "MODERATE_LIMITS": {"comments": ["1/day per client", *[f"{PLENTY}/{n} days per site" for n in (1, 2, 3)]]}
    },
}


class Place(contextlib.ExitStack):
    """One database server with Redis, and the variants on them, each started when it is asked for first.

    *trees* are the working copies whose code is measured: ``now``, and ``before`` where there is one to compare.
    """

    def __init__(self, store: str, trees: dict[str, Path]) -> None:
        super().__init__()
        self.store, self.trees = store, trees
        self._servers: dict[tuple[str, str], Server] = {}

    def __enter__(self) -> Place:
        super().__enter__()
        use_processor(0)
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        self.redis = self.enter_context(Redis())
        self.postgresql = self.enter_context(PostgreSQL()) if self.store == "postgresql" else None
        use_processor(1)
        return self

    def server(self, site: str, tree: str = "now") -> Server:
        """Return the running server of a site, of the code of a tree; the floors are the same for all trees."""
        tree = "now" if site == "floor" else tree
        if (site, tree) not in self._servers:
            use_processor(0)
            server = Server(*self.variant("served", tree, site), self.trees[tree])
            self._servers[site, tree] = self.enter_context(server)
            use_processor(1)
            if site == "still":
                server.ask(POST.make(server, 1), 303)
        return self._servers[site, tree]

    def variant(self, prefix: str, tree: str, site: str) -> tuple[str, dict[str, Any]]:
        """Return the app of a site in gunicorn's notation, and its place: its own folder and database."""
        folder = self.folder / f"{prefix}-{site}-{tree}"
        folder.mkdir()
        database = self.postgresql.new_database() if self.postgresql else f"sqlite:///{folder}/moderate.sqlite3"
        place = {"name": site, "folder": str(folder), "database": database, "redis": self.redis.url}
        if site == "floor":
            return "bench.requests_floor:create_app()", place
        configured = settings(database, self.redis.url, **SITES[site])
        return "bench.requests_site:create_app()", {**place, "fill": True, "settings": configured}

    def cpu(self, job: Job, tree: str, count: int) -> float:
        """Return the CPU microseconds per request of all processes together: web, Redis and database."""
        server = self.server(job.site, tree)
        requests = job.make(server, count)
        roots = [server.pid, self.redis.pid, *([self.postgresql.pid] if self.postgresql else [])]
        before = cpu_times(roots)
        server.ask(requests, job.status)
        return cpu_between(before, cpu_times(roots)) / count * 1e6


# --- measuring ------------------------------------------------------------------------------------


def measure(place: Place, names: Sequence[str], rounds: int, turn: float) -> Iterator[dict[str, Any]]:
    """Yield the results of rows: in each round floor and trees take turns, in the other order in the next one."""
    for name in names:
        row, variants = ROWS[name], [("floor", "now"), *(("job", tree) for tree in place.trees)]
        jobs = {variant: row.job if variant[0] == "job" else row.floor for variant in variants}
        counts = {}
        for variant, job in jobs.items():
            # The first requests fill caches and pools.
            place.cpu(job, variant[1], 6)
            counts[variant] = max(3, min(300, round(turn / place.cpu(job, variant[1], 6) * 1e6)))
        taken: dict[tuple[str, str], list[float]] = {variant: [] for variant in variants}
        for number in range(rounds):
            for variant in variants if number % 2 else reversed(variants):
                taken[variant].append(place.cpu(jobs[variant], variant[1], counts[variant]))
        yield result(row.title, taken, row.target(place.store), place.store)


def measure_starts(place: Place, names: Sequence[str], rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the results of the rows that serve nothing. Each turn measures the floor too."""
    for name in names:
        start, taken = STARTS[name], defaultdict[tuple[str, str], list[float]](list)
        turns = {tree: start.prepare(path, partial(place.variant, name, tree)) for tree, path in place.trees.items()}
        for _ in range(min(rounds, start.most_rounds)):
            for tree, turn in turns.items():
                floor, here = turn()
                taken["floor", tree].append(floor)
                taken["job", tree].append(here)
        yield result(start.title, taken, start.target, "-")


def result(title: str, taken: dict[tuple[str, str], list[float]], target: float, store: str) -> dict[str, Any]:
    """Return one line of the table from the CPU microseconds of each round."""
    floor, here, before = taken["floor", "now"], taken["job", "now"], taken.get(("job", "before"))
    found = {"row": title, "store": store, "floor": median(floor), "here": median(here), "target": target}
    if title.endswith("(MiB)"):
        # Its target is a size.
        return {**found, "ratio": median(here), "ratio_before": median(before) if before else None}
    return {**found, "ratio": ratio(here, floor), "ratio_before": ratio(before, floor) if before else None}


def ratio(values: Sequence[float], bases: Sequence[float]) -> float:
    return median(value / base for value, base in zip(values, bases, strict=True))


def line(found: dict[str, Any], last: dict[str, Any]) -> str:
    """Return one line of the table; *last* has the ratios of the last run."""
    mark = "MISSED" if round(found["ratio"], 2) > found["target"] else ""
    earlier = found["ratio_before"] or last.get(f"{found['store']}: {found['row']}")
    shown = f"{found['floor']:8.0f} {found['here']:9.0f} {found['ratio']:7.2f} {found['target']:7.2f} {mark:6}"
    return f"{found['row']:48} {found['store']:10} {shown} {f'{earlier:8.2f}' if earlier else '':8}"


HEAD = (
    f"{'row (CPU microseconds of all processes)':48} {'database':10}"
    f" {'floor':>8} {'here':>9} {'ratio':>7} {'target':>7} {'':6} {'before':>8}"
)


def main(words: Sequence[str] = ()) -> None:
    """Print the table, line by line, and keep the results for the next run to compare with."""
    asked = arguments().parse_args(list(words))
    trees = {"now": Path(asked.tree).resolve()} | ({"before": Path(asked.beside).resolve()} if asked.beside else {})
    rounds, turn = (QUICK_ROUNDS, QUICK_TURN) if asked.quick else (asked.rounds, TURN)
    last = json.loads(LAST.read_text(encoding="ascii")) if LAST.exists() else {}
    served, starts = ([name for name in rows if name in asked.rows or not asked.rows] for rows in (ROWS, STARTS))
    results = []
    print(HEAD, flush=True)
    for store in asked.store or STORES:
        with Place(store, trees) as place:
            lines = measure(place, served, rounds, turn)
            if store == (asked.store or STORES)[0]:
                lines = itertools.chain(lines, measure_starts(place, starts, rounds))
            for found in lines:
                results.append(found)
                print(line(found, last), flush=True)
    ratios = last | {f"{found['store']}: {found['row']}": found["ratio"] for found in results}
    LAST.write_text(json.dumps(ratios, indent=1), encoding="ascii")
    if asked.json:
        Path(asked.json).write_text(json.dumps(results, indent=1), encoding="ascii")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.requests", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"rows to measure, all by default: {', '.join([*ROWS, *STARTS])}"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} short rounds: a look within a minute")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--store", action="append", choices=STORES, help="one database only")
    parser.add_argument("--tree", default=ROOT, help="measure the package of another working copy")
    parser.add_argument(
        "--beside", metavar="TREE", help="measure a second working copy in the same rounds, as `before`"
    )
    parser.add_argument("--json", metavar="FILE", help="write the results to a file")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
