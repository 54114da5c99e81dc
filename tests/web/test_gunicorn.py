"""Several real processes at once, on SQLite and on PostgreSQL: nothing is counted twice and nothing is lost."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from moderate.model import ItemFilter
from tests.gunicorn_site import create_app
from tests.processes import killed_at_the_end
from tests.servers import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from tests.servers import Gunicorn

COMMENTS = "/discuss/comments/thaw"


class Site:
    """The site under gunicorn, and the same site in this process, to look into its database."""

    def __init__(self, server: Gunicorn, app: Flask) -> None:
        self.server, self.app = server, app
        self.host = urlsplit(server.url).netloc
        self.token = self.run("token", "create", "mori").strip()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request over a connection of its own."""
        with closing(http.client.HTTPConnection(self.host, timeout=60)) as line:
            sent = {"Content-Type": "application/json", **headers}
            line.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = line.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else None

    def comment(self, text: str, **headers: str) -> tuple[int, Any]:
        return self.ask("POST", COMMENTS, {"author": "Mika", "text": text}, **headers)

    def approve(self, item: int) -> int:
        body = {"decision": "approve", "version": 1}
        path = f"/discuss/moderation/items/{item}/decisions"
        return self.ask("POST", path, body, Authorization=f"Bearer {self.token}")[0]

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = self.ask("GET", "/discuss/counts?article=thaw")[1]["thaw"]
        return found

    def run(self, *words: str) -> str:
        result = self.app.test_cli_runner().invoke(args=["moderate", *words])
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    def stored(self) -> set[int]:
        """The ids of everything that is stored."""
        with self.app.app_context():
            store, found, cursor = self.app.extensions["moderate"].desk.store, set(), None
            while True:
                page = store.queue.page(ItemFilter(), cursor=cursor, limit=200)
                found |= {item.id for item in page.items}
                cursor = page.next
                if cursor is None:
                    return found

    def workers(self) -> list[int]:
        path = f"/proc/{self.server.pid}/task/{self.server.pid}/children"
        with open(path, encoding="ascii") as children:
            return [int(pid) for pid in children.read().split()]


def forking(folder: Path) -> list[str]:
    """Return gunicorn's options for the settings in docs/scaling.md: loaded once, used, and then forked."""
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"^```python\n(import gc\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    file = folder / "gunicorn.conf.py"
    file.write_text(settings.replace("one", "thaw"), encoding="utf-8")
    return ["--config", str(file)]


@pytest.fixture(params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    gunicorn_app: Callable[..., Gunicorn],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """Three workers with two threads each, on a database that is empty when they start."""
    env = {"SITE_FOLDER": str(tmp_path)}
    database, _, way = request.param.partition(" ")
    if database == "postgresql":
        env["MODERATE_DATABASE_URL"] = request.getfixturevalue("pg_url")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    app = create_app()
    if database == "postgresql":
        app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"])
    options = ["--threads", "2", "--graceful-timeout", "1", *(forking(tmp_path) if way else [])]
    yield Site(gunicorn_app("tests.gunicorn_site:create_app()", workers=3, options=options, env=env), app)
    app.extensions["moderate"].desk.store.database.dispose()


def at_once(work: Callable[[int], Any], times: int, threads: int = 12) -> list[Any]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(times)))


@pytest.mark.parametrize("site", ["sqlite", "postgresql", "sqlite forked", "postgresql forked"], indirect=True)
def test_a_hundred_concurrent_approvals_are_counted_exactly(site: Site) -> None:
    posted = at_once(lambda n: site.comment(f"Number {n}"), 100)
    assert {status for status, _ in posted} == {202}
    ids = [item["id"] for _, item in posted]
    assert len(set(ids)) == 100
    # Each one twice, as two moderators would press the same button.
    answers = at_once(lambda n: site.approve(ids[n // 2]), 200)
    assert set(answers) == {200}
    assert site.counts() == {"comments": 100, "trackbacks": 0}
    assert "Nothing had drifted." in site.run("recount", "--dry-run")


def test_concurrent_conflicting_decisions_have_one_winner_and_correct_counters(site: Site) -> None:
    ids = [site.comment(f"Number {n}")[1]["id"] for n in range(10)]

    def decide(n: int) -> int:
        body = {"decision": ("approve", "spam", "trash")[n % 3], "version": 1}
        path = f"/discuss/moderation/items/{ids[n // 3]}/decisions"
        return site.ask("POST", path, body, Authorization=f"Bearer {site.token}")[0]

    answers = at_once(decide, 30)
    for first in range(0, 30, 3):
        assert sorted(answers[first : first + 3]) == [200, 409, 409]
    assert "Nothing had drifted." in site.run("recount", "--dry-run")


def test_one_idempotency_key_stores_one_comment_for_many_concurrent_requests(site: Site) -> None:
    answers = at_once(lambda _: site.comment("Once", **{"Idempotency-Key": "the-same"}), 24)
    assert {status for status, _ in answers} == {202}
    assert len({item["id"] for _, item in answers}) == 1
    assert len(site.stored()) == 1


def test_no_acknowledged_comment_is_lost_when_workers_are_killed(site: Site) -> None:
    acknowledged: set[int] = set()

    def post(n: int) -> None:
        try:
            status, item = site.comment(f"Number {n}")
        except (OSError, http.client.HTTPException):
            # Its worker died with it: nothing was promised.
            return
        if status == 202:
            acknowledged.add(item["id"])
        if n in {20, 40}:
            with suppress(ProcessLookupError):
                os.kill(site.workers()[0], signal.SIGKILL)

    at_once(post, 60)
    assert acknowledged
    assert acknowledged <= site.stored()
    wait_until(lambda: len(site.workers()) == 3, within=20)
    assert site.comment("After")[0] == 202
    assert "Nothing had drifted." in site.run("recount", "--dry-run")


def test_three_processes_starting_at_once_on_an_empty_file_all_succeed(tmp_path: Path) -> None:
    """Each makes the tables by itself, switches to WAL, and takes a comment."""
    code = (
        "import sys; from tests.gunicorn_site import create_app; print('ready', flush=True); sys.stdin.readline();"
        "app = create_app(); answer = app.test_client().post('/discuss/comments/thaw',"
        " json={'author': 'Mika', 'text': sys.argv[1]}); print(answer.status_code)"
    )
    env = {**os.environ, "SITE_FOLDER": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with ExitStack() as running:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        commands = [[sys.executable, "-c", code, f"From process {n}"] for n in range(3)]
        started = [subprocess.Popen(command, **pipes) for command in commands]
        for process in started:
            running.enter_context(killed_at_the_end(process))
        for process in started:
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.stdout.read().strip() for process in started] == ["202"] * 3
