"""Pings whose sources never answer: what they take from others, and from who wants to end a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from moderate.model import Awaiting
from moderate.tasks.scheduler import MAX_FETCHES, MAX_LATER_FETCHES, FetchScheduler
from tests.blogs import Blog
from tests.processes import killed_at_the_end
from tests.servers import ROOT, dies_with_us, wait_until
from tests.sites import Host
from tests.tarpits import Tarpits
from tests.tasks import next_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moderate.model import Task

LINKS = "<title>A post</title><p>Seen at <a href='http://localhost/thaw'>the thaw</a>.</p>"


@pytest.fixture
def blog() -> Iterator[Blog]:
    with Blog() as blog:
        yield blog


def a_site(folder: Path, *servers: Blog | Tarpits, **config: Any) -> Host:
    ports = [80, 443, *(server.port for server in servers)]
    fetching = {"MODERATE_FETCH_ALLOW": ["127.0.0.0/8"], "MODERATE_FETCH_PORTS": ports}
    return Host(folder, MODERATE_LIMITS={}, **fetching, **config)


def ping(site: Host, source: str) -> None:
    site.client.post("/discuss/trackback/thaw", data={"url": source, "title": "A post"})


def awaits_checks(site: Host, number: int) -> bool:
    with site.app.app_context():
        return bool(site.state.desk.store.items.get(number).awaiting is Awaiting.CHECKS)


def readers() -> int:
    return sum(thread.name == "moderate-reader" for thread in threading.enumerate())


def no_readers_are_left() -> bool:
    return readers() == 0


@pytest.fixture
def working() -> Iterator[Callable[[Host], None]]:
    """Starts a site's worker, and ends it after the test."""
    with ExitStack() as running:

        def start(site: Host) -> None:
            site.state.worker.work()
            running.callback(site.state.worker.stop)

        yield start
    wait_until(no_readers_are_left, within=30)


def test_forty_pings_to_a_silent_server_do_not_delay_others(
    tmp_path: Path, blog: Blog, working: Callable[[Host], None]
) -> None:
    with Tarpits() as tarpits:
        site = a_site(tmp_path, blog, tarpits, MODERATE_FETCH_TIMEOUT=60)
        for source in tarpits.urls(40):
            ping(site, source)
        ping(site, blog.write("/1", LINKS))
        working(site)
        # Long before the first of the forty could come to its end.
        wait_until(lambda: not awaits_checks(site, 41), within=30)
        assert awaits_checks(site, 1)
        # Until now only the kernel may have taken the connection.
        wait_until(lambda: tarpits.most >= 1)
        assert tarpits.most == 1
        site.state.worker.stop()
    wait_until(no_readers_are_left, within=30)


def test_many_servers_that_never_answer_are_waited_for_together(
    tmp_path: Path, blog: Blog, working: Callable[[Host], None]
) -> None:
    count = 2 * MAX_FETCHES - 1
    with Tarpits(count) as tarpits:
        # Long enough for the blog's answer on a busy machine.
        site = a_site(tmp_path, blog, tarpits, MODERATE_FETCH_TIMEOUT=5)
        for source in tarpits.urls(count):
            ping(site, source)
        ping(site, blog.write("/1", LINKS))
        working(site)
        wait_until(lambda: not awaits_checks(site, count + 1), within=120)
        # A thread that ends may still be there when the next one begins.
        wait_until(lambda: 0 < readers() <= MAX_FETCHES, within=2)
        # A server may notice connections, and their ends, a little late.
        wait_until(lambda: tarpits.most >= MAX_FETCHES)
        wait_until(lambda: sorted(tarpits.taken) == sorted(tarpits.hosts))
        site.state.worker.stop()
    wait_until(no_readers_are_left, within=30)


def test_a_comment_does_not_wait_for_pings(tmp_path: Path, blog: Blog, working: Callable[[Host], None]) -> None:
    with Tarpits(MAX_FETCHES) as tarpits:
        site = a_site(tmp_path, blog, tarpits, MODERATE_FETCH_TIMEOUT=60)
        for source in tarpits.urls(MAX_FETCHES):
            ping(site, source)
        working(site)
        wait_until(lambda: len(tarpits.open) == MAX_FETCHES, within=30)
        site.comment()
        # What a person decides is a task for the filter that learns.
        site.decide(MAX_FETCHES + 1, "spam")
        learned = site.state.desk.services.tokens
        wait_until(lambda: sum(learned.lookup(()).messages) == 1, within=30)
        site.state.worker.stop()
    wait_until(no_readers_are_left, within=30)


# --- whose turn it is -----------------------------------------------------------------------------


class Turns:
    """A site's lanes, without a reader."""

    def __init__(self, site: Host) -> None:
        self.site, self.reading = site, FetchScheduler()

    def take(self) -> str | None:
        """The host whose page is read next."""
        task = self.task()
        if task is None:
            return None
        item = self.site.state.desk.store.items.get(task.item)
        return str(item.source_url).split("/")[2]

    def task(self) -> Task | None:
        with self.site.app.app_context():
            return self.reading.take(self.site.state.desk)


def test_no_site_gets_two_lanes_under_different_host_names(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    for host in ("a.slow.example", "b.slow.example:8080", "SLOW.example", "slow.example?x", "notslow.example"):
        ping(site, f"http://{host}" if "?" in host else f"http://{host}/1")
    turns = Turns(site)
    assert [turns.take(), turns.take(), turns.take()] == ["a.slow.example", "notslow.example", None]


def test_new_tasks_go_first_and_retries_get_some_of_the_lanes(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    store = site.state.desk.store
    for number in range(4):
        ping(site, f"http://slow{number}.example/1")
    failing = Turns(site)
    with site.app.app_context():
        while task := failing.task():
            store.tasks.retry(task, site.clock.now(), "no answer")
            failing.reading.done(task)
            if not store.tasks.lease_due(site.clock.now(), limit=1, seconds=0, is_fresh=True):
                break
    site.clock.advance(minutes=1)
    ping(site, "http://new.example/1")
    turns = Turns(site)
    assert turns.take() == "new.example"
    assert [turns.take() is not None for _ in range(MAX_LATER_FETCHES + 1)] == [True] * MAX_LATER_FETCHES + [False]
    ping(site, "http://newer.example/1")
    assert turns.take() == "newer.example"


def test_a_task_given_back_is_not_counted_as_tried(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    ping(site, "http://blog.example/1")
    turns = Turns(site)
    task = turns.task()
    assert task is not None
    with site.app.app_context():
        turns.reading.give_back(site.state.desk)
    assert turns.task() is None
    again = Turns(site).task()
    assert again is not None
    assert again.attempts == task.attempts == 1
    assert again.error == "its worker was told to end"


# --- ending ---------------------------------------------------------------------------------------

SITE = "tests.faults.worker_site"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def prepare(tarpits: Tarpits, **config: Any) -> None:
        settings = {
            "MODERATE_FETCH_ALLOW": ["127.0.0.0/8"],
            "MODERATE_FETCH_PORTS": [80, 443, tarpits.port],
            "MODERATE_FETCH_TIMEOUT": 60,
            **config,
        }
        monkeypatch.setenv("SITE_FOLDER", str(tmp_path))
        monkeypatch.setenv("SITE_CONFIG", json.dumps(settings))

    return prepare


def test_a_worker_asked_to_stop_does_not_wait_for_a_page(environment: Callable[..., None]) -> None:
    from tests.faults.worker_site import create_app

    with Tarpits() as tarpits:
        environment(tarpits)
        app = create_app()
        (source,) = tarpits.urls(1)
        app.test_client().post("/discuss/trackback/thaw", data={"url": source, "title": "A post"})
        command = [sys.executable, "-m", "flask", "--app", f"{SITE}:create_app", "moderate", "worker"]
        worker = subprocess.Popen([*dies_with_us(), *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with killed_at_the_end(worker):
            wait_until(lambda: tarpits.open, within=30)
            worker.send_signal(signal.SIGTERM)
            # A page may be waited for as long as a minute, its lease is two.
            assert worker.wait(20) == 0
            assert worker.stdout is not None
            assert "End it by Ctrl+C or SIGTERM." in worker.stdout.read()
        desk = app.extensions["moderate"].desk
        with app.app_context():
            due = next_due(desk.store.tasks)
            assert due is not None
            assert due <= desk.clock.now()
            desk.store.database.dispose()


def test_a_process_whose_threads_read_a_page_ends_at_once(environment: Callable[..., None]) -> None:
    with Tarpits() as tarpits:
        environment(tarpits, MODERATE_WORKER="thread")
        (source,) = tarpits.urls(1)
        script = (
            f"from {SITE} import create_app\n"
            f"create_app().test_client().post('/discuss/trackback/thaw', data={{'url': {source!r}, 'title': 'x'}})\n"
            "input()\n"
        )
        process = subprocess.Popen(
            [*dies_with_us(), sys.executable, "-c", script],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        with killed_at_the_end(process):
            wait_until(lambda: tarpits.open, within=30)
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.close()
            assert process.wait(20) == 0
