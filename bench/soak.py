"""Endurance on each database: what was lost, sent twice or drifted after restarts, outages, full disks and clock jumps.

A minute for each database, all of them side by side; `SOAK_MINUTES=20 make bench BENCH=soak` takes longer, and
``python -m bench.soak --minutes 5 postgresql`` runs one. Two web servers and two workers share each database: to one of
either everything is done that `bench.soak_faults` knows, while the other two show by their memory what the work costs.
Meanwhile people comment, ping, read and decide (`bench.soak_clients`). In the end all faults are over, what is left to
do is done, and the table says what became of everything that was acknowledged. A broken promise is an error.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import threading
import traceback
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.soak_clients import Client, Crowd, Ledger
from bench.soak_faults import Faults, Worker, children, flask_moderate, open_database, set_clock, small_disk
from bench.soak_site import HookReceiver, MailReceiver
from tests.blogs import Blog
from tests.servers import ROOT, Gunicorn, Redis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.soak_site import Delivery

DATABASES = ("sqlite", "postgresql", "mariadb")
MODERATORS = ("mori", "nao", "ren")
#: Seconds that the site gives receivers, and that they take while they are slow.
TIMEOUT, SLOW = 2, 4
#: Seconds between two acts of a client, and between two faults.
PACE, PAUSE = 1.0, 2.0
#: Seconds that a web server may take to start: several soaks may share the machine, and each busies it.
PATIENCE = 180.0
#: By how much a process that lives through all of it may grow: a part of its size, and at least so many MB.
GROWTH, GROWTH_MB = 0.10, 12.0
#: Hours that the clock is put ahead at the end, one after another, for what is to be tried again later.
AHEAD = range(1, 49, 4)
#: Answers of /health that are well.
WELL = {"status": "ok", "database": "ok", "redis": "ok", "tasks": "ok"}


class Soak:
    """One database, its site, and all that is done to it. Use it once, by `run`."""

    def __init__(self, kind: str, minutes: float) -> None:
        self.kind, self.seconds = kind, minutes * 60
        self.rows: dict[str, str] = {}
        self.broken: list[str] = []
        self.ledger = Ledger()
        self._memory: dict[str, list[float]] = defaultdict(list)
        self._stack = contextlib.ExitStack()

    def run(self) -> tuple[dict[str, str], list[str]]:
        """Return the rows of the table, and the promises that were broken."""
        with self._stack:
            self._open()
            with self._crowd():
                watching = threading.Event()
                watcher = threading.Thread(target=self._watch, args=(watching,), daemon=True)
                watcher.start()
                self.faults.run(self.seconds, PAUSE)
                # Everybody gets answers again, and goes on for a moment.
                threading.Event().wait(5)
                watching.set()
                watcher.join()
            self._finish()
            self._judge()
        return self.rows, self.broken

    # --- the site ---------------------------------------------------------------------------------

    def _open(self) -> None:
        enter = self._stack.enter_context
        self._folder = Path(enter(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        disk, has_own_disk = enter(small_disk())
        redis, self.hooks, self.mails = enter(Redis()), enter(HookReceiver(SLOW)), enter(MailReceiver(SLOW))
        self.blog = enter(Blog())
        database = open_database(self.kind, disk, self._stack)
        self._config = self._settings(database.url, redis)
        self._instance = disk if self.kind == "sqlite" else self._folder
        # Two hosts have two clocks; a file is on one host.
        self._clocks = [self._folder / "clock-a", self._folder / ("clock-a" if self.kind == "sqlite" else "clock-b")]
        for clock in self._clocks:
            set_clock(clock, 0)
        self._moderate("db", "upgrade")
        self._tokens = {name: self._moderate("token", "create", name).split()[-1] for name in MODERATORS}
        self.web = [
            enter(self._gunicorn(self._clocks[0], 2)),
            enter(self._gunicorn(self._clocks[1], 1, "--worker-class", "gthread", "--threads", "4")),
        ]
        self.workers = [
            enter(Worker(count, self._env(clock))) for count, clock in zip((2, 1), self._clocks, strict=True)
        ]
        self._steady = {"web process": children(self.web[1].pid)[0], "worker": self.workers[1].pid}
        self.faults = Faults(
            database=database,
            web=self.web[0],
            worker=self.workers[0],
            redis=redis,
            receivers={"mail server": self.mails, "webhook receiver": self.hooks},
            clocks=sorted(set(self._clocks)),
            disk=disk if has_own_disk else None,
        )

    def _settings(self, url: str | None, redis: Redis) -> dict[str, Any]:
        plenty = ["1000000/minute per client"]
        return {
            "SECRET_KEY": "for this run only",
            "MODERATE_DATABASE_URL": url,
            "MODERATE_DATABASE_OPTIONS": {"connect_timeout": 2, "pool_timeout": 5},
            "MODERATE_SITE_URL": "http://localhost",
            "MODERATE_WORKER": "external",
            "MODERATE_REDIS_URL": redis.url,
            "MODERATE_LIMITS": {"comments": plenty, "pings": plenty, "reads": plenty},
            "MODERATE_FETCH_ALLOW": ["127.0.0.0/8"],
            "MODERATE_FETCH_PORTS": [self.blog.port],
            "MODERATE_WEBHOOKS": [
                {"url": self.hooks.url, "secret": "s" * 32, "events": ["waiting", "approved", "spam", "trash"]}
            ],
            "MODERATE_WEBHOOK_TIMEOUT": TIMEOUT,
            "MODERATE_MAIL_SERVER": "127.0.0.1",
            "MODERATE_MAIL_PORT": self.mails.port,
            "MODERATE_MAIL_SECURITY": "none",
            "MODERATE_MAIL_FROM": "News <news@mail.example>",
            "MODERATE_MAIL_TO": ["mori@mail.example"],
            "MODERATE_MAIL_TIMEOUT": TIMEOUT,
            "MODERATE_MAIL_DIGEST_AFTER": 1000,
        }

    def _env(self, clock: Path, **more: str) -> dict[str, str]:
        config = json.dumps({name: value for name, value in self._config.items() if value is not None})
        return {"SOAK_CONFIG": config, "SOAK_FOLDER": str(self._instance), "SOAK_CLOCK": str(clock), **more}

    def _gunicorn(self, clock: Path, workers: int, *options: str) -> Gunicorn:
        app, env = "bench.soak_site:create_app()", self._env(clock)
        web = Gunicorn(app, workers=workers, options=("--timeout", "60", *options), env=env)
        web.patience = PATIENCE
        return web

    def _moderate(self, *words: str, **more: str) -> str:
        """Run a command of ``flask moderate`` and return what it printed; one that fails is a broken promise."""
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **self._env(self._clocks[0], **more)}
        done = subprocess.run(flask_moderate(*words), env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            self.broken.append(f"flask moderate {' '.join(words)}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        return done.stdout

    def _crowd(self) -> Crowd:
        crowd = Crowd(self.ledger, self.blog, PACE)
        for number, server in enumerate([*self.web, *self.web]):
            crowd.add(crowd.commenter(Client(self.ledger, server, f"192.0.2.{number}")))
        for number, server in enumerate(self.web):
            crowd.add(crowd.blogger(Client(self.ledger, server, f"198.51.100.{number}")))
            crowd.add(crowd.reader(Client(self.ledger, server, f"203.0.113.{number}")))
        for name, server in zip(MODERATORS, [*self.web, self.web[0]], strict=True):
            crowd.add(crowd.moderator(Client(self.ledger, server, "203.0.113.99", self._tokens[name]), name))
        return crowd

    def _watch(self, over: threading.Event) -> None:
        """Take the sizes of the processes that live through all of it."""
        while not over.wait(min(5.0, self.seconds / 60)):
            for name, pid in self._steady.items():
                with contextlib.suppress(OSError):
                    self._memory[name].append(resident_mb(pid))

    # --- the end ----------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Do what is left to do, hours later by the clock, and what was given up once more, as an operator would."""
        for name, pid in self._steady.items():
            self._promise(Path(f"/proc/{pid}").exists(), f"the {name} that nothing was done to has ended by itself")
        for worker in self.workers:
            worker.stop()
        given_up = 0
        for hours in AHEAD:
            set_clock(self._clocks[0], hours * 3600)
            if dead := sum(self._tasks("dead").values()):
                given_up += dead
                self._moderate("tasks", "replay", "--all")
            self._moderate("worker", "--once", SOAK_AHEAD="1")
            left = {**self._tasks("open"), **self._tasks("dead")}
            if not left:
                break
        self.rows["tasks that were given up, and done when replayed"] = str(given_up)
        set_clock(self._clocks[0], 0)
        self.rows["tasks left"] = str(sum(left.values()))
        if left:
            self.broken.append(f"tasks that do not end: {left}")

    def _tasks(self, state: str) -> dict[str, int]:
        """Return how many tasks are in a state by kind, apart from the looks at the sources of pings on later days."""
        from sqlalchemy import create_engine, func, select

        from moderate.database.schema import tasks

        url = self._config["MODERATE_DATABASE_URL"] or f"sqlite:///{self._instance}/moderate.sqlite3"
        engine = create_engine(url)
        try:
            with engine.connect() as conn:
                count = select(tasks.c.kind, func.count()).group_by(tasks.c.kind)
                wanted = count.where(tasks.c.kind != "look", tasks.c.state == state)
                return dict(conn.execute(wanted).tuples().all())
        finally:
            engine.dispose()

    def _judge(self) -> None:
        """Compare what is stored and was sent with what was acknowledged."""
        self._client = Client(self.ledger, self.web[1], "203.0.113.99", self._tokens[MODERATORS[0]])
        items = list(self._listed("/moderation/items?limit=200", "items"))
        self._judge_requests(items)
        self._judge_deliveries("webhooks", self.hooks.taken)
        self._judge_deliveries("mails", self.mails.taken)
        self._judge_waiting(items)
        for kind in self.faults.kinds:
            self.rows[f"faults: {kind}"] = str(sum(fault.kind == kind for fault in self.faults.done))
        self._judge_state()
        self._judge_memory()

    def _listed(self, path: str, name: str) -> Iterable[Any]:
        """All entries of a list of the moderators' API."""
        cursor = ""
        while True:
            answer = self._client.json("GET", path + cursor, None)
            assert answer is not None, "the site does not answer in the end"
            assert answer[0] == 200, answer
            yield from answer[1][name]
            if answer[1]["next"] is None:
                return
            cursor = f"&cursor={answer[1]['next']}"

    def _judge_requests(self, items: Sequence[Mapping[str, Any]]) -> None:
        ledger, texts = self.ledger, {item["id"]: item["text"] for item in items}
        stored = Counter(item["text"] for item in items if item["kind"] == "comment")
        sources = Counter(item["source_url"] for item in items if item["kind"] != "comment")
        lost = [key for key, (number, text) in ledger.comments.items() if texts.get(number) != text]
        lost_pings = [source for source in ledger.pings if not sources[source]]
        kept = {
            (name, entry["item"], entry["version"])
            for name in MODERATORS
            for entry in self._listed(f"/moderation/history?moderator={name}&limit=200", "history")
        }
        lost_decisions = [decision for decision in ledger.decisions if decision not in kept]
        all_lost = ", ".join(str(len(found)) for found in (lost, lost_pings, lost_decisions))
        twice = [text for text, times in (*stored.items(), *sources.items()) if times > 1]
        outages = [f"{ledger.outages.get(web.port, 0):.1f}" for web in self.web]
        self.rows |= {
            "comments: sent / acknowledged": f"{ledger.counts['comments sent']} / {len(ledger.comments)}",
            "pings: sent / acknowledged": f"{ledger.counts['pings sent']} / {len(ledger.pings)}",
            "decisions acknowledged / undone": f"{ledger.counts['decided']} / {ledger.counts['undone']}",
            "answers of 503, and requests without an answer": f"{ledger.counts['503']}, {ledger.counts['no answer']}",
            "longest outage at the web server that was restarted / at the other": f"{' / '.join(outages)} s",
            "acknowledged and lost: comments, pings, decisions": all_lost,
            "stored twice": str(len(twice)),
            "other answers": str(len(ledger.odd)),
        }
        self._promise(not lost, f"comments lost: {lost[:5]}")
        self._promise(not lost_pings, f"pings lost: {lost_pings[:5]}")
        self._promise(not lost_decisions, f"decisions lost: {lost_decisions[:5]}")
        self._promise(not twice, f"stored twice: {twice[:5]}")
        self._promise(not ledger.odd, f"answers that no outage explains: {ledger.odd[:5]}")
        self._promise(not ledger.given_up, f"{ledger.given_up} requests got no answer after the end of all faults")

    def _judge_deliveries(self, name: str, taken: Sequence[Delivery]) -> None:
        """A delivery whose answer its sender has noted is never repeated."""
        first: dict[str, float] = {}
        explained, twice = 0, []
        for delivery in taken:
            began = first.setdefault(delivery.key, delivery.at)
            if began != delivery.at:
                if any(fault.may_repeat(began) for fault in self.faults.done):
                    explained += 1
                else:
                    twice.append(f"{delivery.key} after {delivery.at - began:.1f} s, {self._around(began)}")
        self.rows[f"{name} delivered / repeated after a fault / sent twice"] = (
            f"{len(first)} / {explained} / {len(twice)}"
        )
        self._promise(not twice, f"{name} sent twice: {twice[:5]}")

    def _around(self, moment: float) -> str:
        near = [fault for fault in self.faults.done if fault.began - 10 < moment < fault.ended + 10]
        return ", ".join(
            f"{fault.kind} from {fault.began - moment:+.1f} to {fault.ended - moment:+.1f}" for fault in near
        )

    def _judge_waiting(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Check that webhooks reported all pending items and no item was mailed twice, also after undone decisions."""
        told = {delivery.key for delivery in self.hooks.taken}
        untold = [
            item["id"]
            for item in items
            if item["status"] == "pending" and f"{item['id']}-{item['version']}-waiting" not in told
        ]
        mails: dict[str, dict[str, float]] = defaultdict(dict)
        for delivery in self.mails.taken:
            if "-waiting" in delivery.key:
                mails[delivery.key.partition("-")[0]].setdefault(delivery.key, delivery.at)
        # A mail whose answer could not be noted is repeated as the item stands then.
        renamed = [
            list(sent)
            for sent in mails.values()
            if len(sent) > 1 and not any(fault.may_repeat(min(sent.values())) for fault in self.faults.done)
        ]
        self.rows["items that wait and were told to nobody"] = str(len(untold))
        self._promise(not untold, f"items that nobody was told of: {untold[:5]}")
        self._promise(not renamed, f"people were told twice of one item: {renamed[:5]}")

    def _judge_state(self) -> None:
        broken = len(self.broken)
        drift = self._moderate("recount", "--dry-run")
        self.rows["counters that drifted"] = "0" if len(self.broken) == broken else drift.strip()
        self._moderate("db", "check")
        self.rows["db check"] = "clean" if len(self.broken) == broken else "see below"
        answers = [Client(self.ledger, web, "203.0.113.99").json("GET", "/health", None) for web in self.web]
        is_well = all(answer is not None and WELL.items() <= answer[1].items() for answer in answers)
        self.rows["health in the end"] = "ok" if is_well else str(answers)
        self._promise(is_well, f"health: {answers}")

    def _judge_memory(self) -> None:
        """Compare memory from the second third of the run to the last one: filling caches at first is no leak."""
        for name, sizes in self._memory.items():
            third = len(sizes) // 3
            first, second, last = (statistics.median(sizes[at : at + third]) for at in (0, third, 2 * third))
            self.rows[f"memory of a {name} by thirds of the time"] = f"{first:.0f} / {second:.0f} / {last:.0f} MB"
            is_flat = last - second <= max(GROWTH_MB, GROWTH * second)
            self._promise(is_flat, f"the {name} grew from {second:.1f} to {last:.1f} MB")

    def _promise(self, is_kept: bool, what: str) -> None:
        if not is_kept:
            self.broken.append(what)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def soak(kind: str, minutes: float) -> tuple[dict[str, str], list[str]]:
    """Run one database; an error that ends it early is added to the broken promises, so that these are reported too."""
    soaked = Soak(kind, minutes)
    try:
        return soaked.run()
    except Exception:  # noqa: BLE001 - see above
        return soaked.rows, [*soaked.broken, traceback.format_exc()]


def main(kinds: Sequence[str] = DATABASES, minutes: float | None = None) -> None:
    """Run all databases side by side and print a table; raise where a promise was broken."""
    minutes = minutes or float(os.environ.get("SOAK_MINUTES", "1"))
    with ProcessPoolExecutor(len(kinds), mp_context=multiprocessing.get_context("spawn")) as processes:
        running = {kind: processes.submit(soak, kind, minutes) for kind in kinds}
        results = {kind: each.result() for kind, each in running.items()}
    print(f"| {minutes:g} minutes | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    names = dict.fromkeys(name for rows, _ in results.values() for name in rows)
    for name in names:
        print(f"| {name} | {' | '.join(results[kind][0].get(name, '-') for kind in kinds)} |")
    broken = [f"{kind}: {what}" for kind, (_, promises) in results.items() for what in promises]
    if broken:
        raise AssertionError("\n".join(broken))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float)
    parser.add_argument("databases", nargs="*", metavar=f"{{{','.join(DATABASES)}}}")
    given = parser.parse_args()
    main(given.databases or DATABASES, given.minutes)
