"""The servers that the tests start are real, private, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest
import redis
from sqlalchemy import create_engine, text

from tests.servers import ROOT, PostgreSQL, Redis, ServerFailed, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.servers import Gunicorn


def create_app() -> object:
    """A small application for the tests of `gunicorn_app`; it returns the process that answers."""
    from flask import Flask

    app = Flask("small")
    app.add_url_rule("/", view_func=lambda: f"{os.getpid()} {os.environ.get('GREETING', '')}")
    return app


def rows(url: str, statement: str) -> list[object]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []
    finally:
        engine.dispose()


def test_every_test_gets_an_empty_database_of_its_own(postgresql: PostgreSQL, pg_url: str) -> None:
    rows(pg_url, "CREATE TABLE note (words text)")
    other = postgresql.new_database()
    try:
        assert rows(other, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
        assert rows(other, "SELECT lower('ÄÖ')") == ["äö"]
    finally:
        postgresql.drop_database(other)


def test_committed_rows_of_postgresql_survive_a_kill() -> None:
    with PostgreSQL() as server:
        url = server.new_database()
        rows(url, "CREATE TABLE note AS SELECT 'kept' AS words")
        server.kill()
        server.start()
        assert rows(url, "SELECT words FROM note") == ["kept"]


def test_redis_is_empty_for_every_test(redis_server: Redis, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("left", "over")
        redis_server.flush()
        assert client.dbsize() == 0


def test_a_server_that_cannot_start_reports_why() -> None:
    with pytest.raises(ServerFailed, match="no-such-option"):
        Redis("--no-such-option", "1").__enter__()


def test_gunicorn_answers_from_several_processes(gunicorn_app: Callable[..., Gunicorn]) -> None:
    server = gunicorn_app("tests.unit.test_servers:create_app()", workers=2, env={"GREETING": "hello"})
    seen: set[str] = set()

    def both_have_answered() -> bool:
        with urllib.request.urlopen(server.url) as answer:
            seen.add(answer.read().decode())
        return len(seen) == 2

    wait_until(both_have_answered)
    assert all(words.endswith(" hello") for words in seen)
    server.stop()
    assert not server.answers()


def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = "from tests.servers import Redis; s = Redis().__enter__(); print(s.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Return whether the process still runs; one that only waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_chromium_shows_a_page_and_runs_its_scripts(page: Page) -> None:
    page.set_content("<h1>新聞</h1><script>document.title = 'ran'</script>")
    assert page.title() == "ran"
    assert page.get_by_role("heading").inner_text() == "新聞"


def test_chromium_cannot_reach_other_machines(page: Page) -> None:
    with pytest.raises(Exception, match="ERR_NAME_NOT_RESOLVED"):
        page.goto("http://news.example/")
