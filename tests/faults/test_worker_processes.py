"""Worker processes as an operator runs them: several, stopped, killed, and woken through Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from moderate.database.schema import tasks
from moderate.testing import AkismetStandIn
from tests.factories import fill_thread
from tests.faults.worker_site import POISON, create_app
from tests.redis_servers import PATIENT
from tests.servers import ROOT, Redis, dies_with_us, wait_until
from tests.tasks import next_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from tests.servers import Gunicorn

KEY = "secret-key-1234567890"


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


class Site:
    """A site whose web process is this one, and whose workers are processes of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, akismet: AkismetStandIn, **config: Any) -> None:
        settings = {
            "MODERATE_AKISMET_KEY": KEY,
            "MODERATE_AKISMET_URL": akismet.url,
            "MODERATE_SITE_URL": "http://localhost",
            "MODERATE_PREMODERATION": "none",
            **config,
        }
        monkeypatch.setenv("SITE_FOLDER", str(folder))
        monkeypatch.setenv("SITE_CONFIG", json.dumps(settings))
        self.log = folder / "worker.log"
        self.app: Flask = create_app()
        self.client = self.app.test_client()
        self.processes: list[subprocess.Popen[bytes]] = []

    def work(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flask", "--app", "tests.faults.worker_site:create_app", "moderate", "worker"]
        with self.log.open("ab") as log:
            started = subprocess.Popen([*dies_with_us(), *command], cwd=ROOT, stdout=log, stderr=log)
        self.processes.append(started)
        return started

    def comment(self, text: str) -> int:
        number: int = self.client.post("/discuss/comments/thaw", json={"author": "Mika", "text": text}).json["id"]
        return number

    def status(self, number: int) -> str:
        with self.app.app_context():
            item = self.app.extensions["moderate"].desk.store.items.get(number)
        return f"{item.status.value} {item.awaiting.value if item.awaiting else ''}".strip()

    def deaths(self) -> int:
        """The number of processes that the host's check has killed."""
        path = self.log.with_name("deaths")
        return len(path.read_text(encoding="ascii").split()) if path.exists() else 0

    def end_leases(self) -> None:
        """Have the leases of dead workers end, as they do after two minutes."""
        with self.app.app_context(), self.database.write() as conn:
            over = datetime(2026, 1, 1, tzinfo=UTC)
            conn.execute(update(tasks).where(tasks.c.lease_until.is_not(None)).values(lease_until=over))

    @property
    def database(self) -> Any:
        return self.app.extensions["moderate"].desk.store.database

    def is_done(self) -> bool:
        with self.app.app_context():
            return next_due(self.app.extensions["moderate"].desk.store.tasks, ["judge"]) is None

    def close(self) -> None:
        # Commands that ran in this process have asked Akismet over a connection of its own.
        self.app.extensions["moderate"].desk.services.spam.close()
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, akismet: AkismetStandIn) -> Iterator[Site]:
    with closing(Site(tmp_path, monkeypatch, akismet)) as made:
        yield made


def test_several_processes_do_each_task_once(site: Site, akismet: AkismetStandIn) -> None:
    numbers = [site.comment(f"Text number {number}, {number * 7919}") for number in range(20)]
    for _ in range(3):
        site.work()
    wait_until(site.is_done, within=90)
    assert {site.status(number) for number in numbers} == {"approved"}
    contents = [received.get("comment_content") for received in akismet.received if received.path == "comment-check"]
    assert len(contents) == len(set(contents)) == 20


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_asked_to_stop_finishes_its_current_task(
    site: Site, akismet: AkismetStandIn, told: signal.Signals
) -> None:
    slow = site.comment("akismet-slow")
    later = site.comment("A good text")
    process = site.work()
    wait_until(lambda: any(received.path == "comment-check" for received in akismet.received), within=30)
    process.send_signal(told)
    # A worker that has not noticed the signal yet would rightly begin the next task.
    wait_until(lambda: "Told to end" in site.log.read_text(encoding="utf-8"), within=30)
    akismet.released.set()
    assert process.wait(30) == 0
    # It has got and written the answer, and nothing was begun that was not there yet.
    assert site.status(slow) == "approved"
    assert site.status(later) == "pending checks"


def test_the_task_of_a_killed_process_is_done_by_another_one(site: Site, akismet: AkismetStandIn) -> None:
    slow = site.comment("akismet-slow")
    killed = site.work()
    wait_until(lambda: any(received.path == "comment-check" for received in akismet.received), within=30)
    other = site.work()
    killed.kill()
    killed.wait()
    akismet.released.set()
    number = site.comment("A good text")
    wait_until(lambda: site.status(number) == "approved", within=30)
    assert site.status(slow) == "pending checks"
    site.end_leases()
    wait_until(lambda: site.status(slow) == "approved", within=30)
    other.terminate()
    assert other.wait(30) == 0


@pytest.mark.parametrize("others", [0, 3])
def test_a_text_that_kills_its_worker_is_given_to_a_moderator(site: Site, others: int) -> None:
    # After three quick ones it is leased together with the next.
    good = [site.comment(f"A good text, {number * 7919}") for number in range(others)]
    number = site.comment(POISON)
    good += [site.comment(f"Another good text, {number * 7919}") for number in range(others)]
    for death in (1, 2):
        assert site.status(number) == "pending checks"
        assert site.work().wait(60) == -signal.SIGKILL
        assert site.deaths() == death
        site.end_leases()
    process = site.work()
    after = site.comment("A good text")
    wait_until(lambda: site.status(after) == "approved", within=30)
    assert site.status(number) == "pending moderator"
    assert {site.status(each) for each in good} <= {"approved"}
    reason = "a worker process crashed, hung or was killed during the judge task (times: 2)"
    assert reason in run(site, "queue", "--csv").output
    listed = run(site, "tasks", "dead").output
    assert f"item {number}  judge" in listed
    assert reason in listed
    process.terminate()
    assert process.wait(30) == 0
    assert site.deaths() == 2


def test_a_text_kills_a_web_process_once(site: Site, gunicorn_app: Callable[..., Gunicorn]) -> None:
    config = {**json.loads(os.environ["SITE_CONFIG"]), "MODERATE_WORKER": "thread"}
    server = gunicorn_app("tests.faults.worker_site:create_app()", workers=1, env={"SITE_CONFIG": json.dumps(config)})
    number = site.comment(POISON)

    def ask() -> bool:
        """Send a request, so that the process which gunicorn has started in place of a dead one works too."""
        return server.answers()

    wait_until(lambda: ask() and site.deaths() == 1, within=60)
    site.end_leases()
    wait_until(lambda: ask() and site.status(number) == "pending moderator", within=60)
    after = site.comment("A good text")
    wait_until(lambda: ask() and site.status(after) == "approved", within=60)
    assert site.deaths() == 1


def test_a_large_batch_of_a_killed_process_goes_on_and_decides_no_item_twice(site: Site) -> None:
    store = site.app.extensions["moderate"].desk.store
    headers = {"Authorization": f"Bearer {run(site, 'token', 'create', 'Mori').output.split()[-1]}"}
    with site.app.app_context():
        fill_thread(store, 2000, status="pending", awaiting="moderator")
    body = {"decision": "spam", "filter": {}, "expect": 2000}
    where = site.client.post("/discuss/moderation/decisions", json=body, headers=headers).headers["Location"]

    def progress() -> dict[str, Any]:
        found: dict[str, Any] = site.client.get(where, headers=headers).json
        return found

    killed = site.work()
    wait_until(lambda: progress()["decided"] > 0, within=60)
    killed.kill()
    killed.wait()
    at = progress()
    assert (at["state"], at["decided"] < 2000) == ("running", True)
    with site.app.app_context():
        assert len(store.history.of_batch(at["batch"])) == at["decided"]
    site.end_leases()
    site.work()
    wait_until(lambda: progress()["state"] == "done", within=120)
    assert (progress()["decided"], progress()["conflicts"]) == (2000, 0)
    with site.app.app_context():
        assert sorted(store.history.of_batch(at["batch"]).values()) == list(range(1, 2001))
        assert not any(store.counters.recount(repair=False))


def test_redis_wakes_a_worker_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    akismet: AkismetStandIn,
    redis_url: str,
) -> None:
    config = {"MODERATE_REDIS_URL": redis_url + PATIENT}
    with closing(Site(tmp_path, monkeypatch, akismet, **config)) as site:
        site.work()
        number = site.comment("The first, found at the start or by the bell")
        wait_until(lambda: site.status(number) == "approved", within=30)
        taken = []
        for text in ("second", "third", "fourth", "fifth"):
            began = time.monotonic()
            number = site.comment(f"The {text} one")
            wait_until(lambda number=number: site.status(number) == "approved", within=30)
            taken.append(time.monotonic() - began)
        # By polling alone it would take two and a half seconds each on average, on any machine.
        assert min(taken) < 1.5


def test_workers_poll_for_tasks_without_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, akismet: AkismetStandIn
) -> None:
    with Redis() as server:
        config = {"MODERATE_REDIS_URL": server.url, "MODERATE_LIMITS": {"comments": ["9/second per client"]}}
        with closing(Site(tmp_path, monkeypatch, akismet, **config)) as site:
            site.work()
            number = site.comment("While Redis is there")
            wait_until(lambda: site.status(number) == "approved", within=30)
            server.kill()
            began = time.monotonic()
            number = site.comment("While Redis is away")
            assert time.monotonic() - began < 20
            wait_until(lambda: site.status(number) == "approved", within=30)
            server.start()
            number = site.comment("When Redis is back")
            wait_until(lambda: site.status(number) == "approved", within=30)


def run(site: Site, *arguments: str) -> Any:
    return site.app.test_cli_runner().invoke(args=["moderate", *arguments])


def test_tasks_that_were_given_up_are_shown_and_tried_again(site: Site) -> None:
    number = site.comment("A good text")
    with site.app.app_context():
        store, clock = (getattr(site.app.extensions["moderate"].desk, name) for name in ("store", "clock"))
        assert store.tasks.late(clock.now() + timedelta(seconds=1))[0].item == number
        (task,) = store.tasks.lease_due(clock.now(), limit=1, seconds=60)
        store.tasks.bury(task, "ValueError\x1b[31m")
    listed = run(site, "tasks", "dead").output
    assert f"item {number}  judge" in listed
    assert "\x1b" not in listed
    assert "tasks: ok, 1 given up. See: flask moderate tasks dead" in run(site, "check-config").output
    assert run(site, "tasks", "replay", str(task.id)).exit_code == 0
    assert run(site, "tasks", "dead").output == "Nothing was given up.\n"
    assert run(site, "tasks", "late").output == "Nothing is late.\n"
    assert run(site, "worker", "--once").output == "1 task done.\n"
    assert site.status(number) == "approved"
