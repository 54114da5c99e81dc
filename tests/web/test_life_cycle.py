"""The start of an app's threads, and its end, which leaves nothing open: no thread, no connection, no open file."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import create_engine

from moderate import Article, Moderate
from moderate.database.tables import Tables
from tests.redis_servers import PausableRedis
from tests.servers import ROOT, connects, free_port, wait_until
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Gunicorn


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("moderate-")}


def files_below(folder: Path) -> list[str]:
    """The files in a folder that this process has open."""
    opened = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if target.startswith(f"{folder}/"):
            opened.append(target)
    return opened


def an_app(folder: Path, **config: Any) -> tuple[Flask, Moderate]:
    """A site as a host's factory makes one, with no word about workers."""
    app, moderate = Flask("host", instance_path=str(folder)), Moderate()
    app.config.update(SECRET_KEY="for tests only", MODERATE_LIMITS={}, **config)
    app.add_url_rule("/", view_func=lambda: "The host's own page.", endpoint="home")
    moderate.article_loader(lambda key: Article(key, "The thaw", f"http://localhost/{key}"))
    moderate.init_app(app)
    return app, moderate


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[Flask, Moderate]]:
    app, moderate = an_app(tmp_path)
    yield app, moderate
    moderate.close(app)


def comment_on(app: Flask) -> int:
    body = {"author": "Mika", "text": "The river froze."}
    return app.test_client().post("/discuss/comments/thaw", json=body).status_code


@pytest.mark.parametrize("address", ["/", "/no-such-page", "/discuss/counts?article=thaw"])
def test_threads_start_with_the_first_request_of_any_kind(serving: tuple[Flask, Moderate], address: str) -> None:
    app, _ = serving
    assert threads() == set()
    app.test_client().get(address)
    assert threads() == {"moderate-worker", "moderate-reader"}


def test_closing_an_app_ends_its_threads_and_closes_its_files(serving: tuple[Flask, Moderate], tmp_path: Path) -> None:
    app, moderate = serving
    assert comment_on(app) == 202
    assert threads()
    assert files_below(tmp_path)
    for _ in range(2):
        moderate.close(app)
        assert threads() == set()
        assert files_below(tmp_path) == []


def test_a_closed_app_still_answers_and_starts_no_threads(serving: tuple[Flask, Moderate], tmp_path: Path) -> None:
    app, moderate = serving
    moderate.close(app)
    assert comment_on(app) == 202
    assert threads() == set()
    moderate.close(app)
    assert files_below(tmp_path) == []


def test_no_thread_starts_in_tests_of_a_host(tmp_path: Path) -> None:
    app, moderate = an_app(tmp_path, TESTING=True)
    assert comment_on(app) == 202
    assert threads() == set()
    moderate.close(app)


def test_threads_start_in_tests_of_a_host_on_request(tmp_path: Path) -> None:
    app, moderate = an_app(tmp_path, TESTING=True, MODERATE_WORKER="thread")
    assert comment_on(app) == 202
    assert threads()
    moderate.close(app)
    assert threads() == set()


def test_discarded_apps_leave_no_thread_and_no_open_file(tmp_path: Path) -> None:
    dropped = []
    for number in range(6):
        app, _ = an_app(tmp_path / str(number), TESTING=True)
        assert app.test_client().get("/").status_code == 200
        assert comment_on(app) == 202
        dropped.append(weakref.ref(app))
    del app
    gc.collect()
    assert [ref for ref in dropped if ref() is not None] == []
    assert threads() == set()
    assert files_below(tmp_path) == []


def test_an_engine_of_the_host_stays_open(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'site.sqlite3'}")
    host = Host(tmp_path, extension={"engine": engine}, MODERATE_LIMITS={})
    Tables(host.state.desk.store.database).upgrade()
    pooled = engine.pool
    host.comment()
    host.close()
    assert engine.pool is pooled
    assert pooled.checkedin() == 1
    engine.dispose()


@pytest.mark.parametrize("worker", ["thread", "external"])
def test_connections_to_redis_are_closed_except_those_of_the_host(tmp_path: Path, redis_url: str, worker: str) -> None:
    client = Redis.from_url(redis_url)
    own = client.client_id()
    ours = Host(tmp_path / "a", MODERATE_REDIS_URL=redis_url, MODERATE_WORKER=worker)
    shared = Host(tmp_path / "b", extension={"redis": client}, MODERATE_WORKER=worker)
    for host in (ours, shared):
        assert host.comment().status_code == 202
    assert len(client.client_list()) > 1
    ours.close()
    shared.close()
    wait_until(lambda: [int(entry["id"]) for entry in client.client_list()] == [own])
    client.close()


def test_an_app_is_closed_while_a_redis_that_hangs_is_asked_whether_it_is_back(tmp_path: Path) -> None:
    with PausableRedis() as server:
        site = Host(tmp_path, MODERATE_REDIS_URL=f"{server.url}?socket_timeout=5")
        assert site.comment().status_code == 202
        server.pause()
        assert site.comment("While it hangs").status_code == 202
        (watcher,) = [thread for thread in threading.enumerate() if thread.name == "moderate-limits"]
        wait_until(lambda: "evalsha" in "".join(traceback.format_stack(sys._current_frames()[watcher.ident])))
        # With an exception in that thread pytest fails this test.
        site.close()
        server.resume()
        watcher.join(30)
        assert not watcher.is_alive()


def items_in(path: Path) -> int:
    """Return the number of items in a copy of an SQLite file alone, without the files beside it."""
    copy = path.with_name("copy.sqlite3")
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy)) as raw:
        return int(raw.execute("SELECT count(*) FROM moderate_items").fetchone()[0])


def post_comments(url: str, number: int) -> None:
    body = json.dumps({"author": "Mika", "text": "The river froze."}).encode()
    for _ in range(number):
        request = Request(f"{url}/discuss/comments/thaw", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            assert answer.status == 202


@pytest.mark.parametrize(
    ("worker", "workers", "options"),
    [
        ("thread", 1, []),
        ("thread", 2, []),
        ("thread", 1, ["--threads", "2"]),
        ("thread", 2, ["--threads", "2", "--preload"]),
        ("external", 2, ["--threads", "2"]),
    ],
)
def test_sqlite_keeps_every_comment_in_one_file_after_a_stop(
    gunicorn_app: Callable[..., Gunicorn], tmp_path: Path, worker: str, workers: int, options: list[str]
) -> None:
    env = {"SITE_FOLDER": str(tmp_path), "MODERATE_WORKER": worker}
    server = gunicorn_app("tests.gunicorn_site:create_app()", workers=workers, options=options, env=env)
    post_comments(server.url, 10)
    server.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moderate.sqlite3"]
    assert items_in(tmp_path / "moderate.sqlite3") == 10


def test_the_sqlite_file_is_complete_after_a_worker_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "moderate.sqlite3"
    program = "import os; from tests.gunicorn_site import create_app; app = create_app(); " + (
        "body = {'author': 'Mika', 'text': 'The river froze.'}; "
        "assert app.test_client().post('/discuss/comments/thaw', json=body).status_code == 202; os._exit(0)"
    )
    env = {**os.environ, "SITE_FOLDER": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    # Killed: what it has written stays in the file beside.
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    assert path.with_name("moderate.sqlite3-wal").stat().st_size
    command = [sys.executable, "-m", "flask", "--app", "tests.gunicorn_site:create_app", "moderate", "worker"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline()
            # From its first line on, the worker ends cleanly on SIGTERM.
            running.terminate()
            assert running.wait(60) == 0
        finally:
            running.kill()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["moderate.sqlite3"]
    assert items_in(path) == 1


def test_empty_files_beside_the_sqlite_file_are_removed_at_a_stop(tmp_path: Path) -> None:
    """Two processes that close the database at the same moment leave them, each taking the other for a reader."""
    host, path = Host(tmp_path), tmp_path / "moderate.sqlite3"
    assert host.comment().status_code == 202
    host.state.desk.store.database.close_connections()
    program = "import os, sqlite3, sys; raw = sqlite3.connect(sys.argv[1], isolation_level=None); " + (
        "raw.execute('SELECT 1 FROM moderate_items').fetchone(); "
        "raw.execute('PRAGMA wal_checkpoint(TRUNCATE)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.with_name("moderate.sqlite3-wal").stat().st_size == 0
    host.close()
    assert list(tmp_path.glob("moderate.sqlite3*")) == [path]


def test_the_sqlite_file_is_complete_after_flask_run_ends_by_ctrl_c(tmp_path: Path) -> None:
    env = {**os.environ, "SITE_FOLDER": str(tmp_path), "MODERATE_WORKER": "thread"}
    env["PYTHONPATH"] = f"{ROOT}:{ROOT / 'src'}"
    port = str(free_port())
    # A process started in the background ignores Ctrl-C.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "flask", "--app", "tests.gunicorn_site:create_app"]
    command += ["run", "--port", port]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as running:
        try:
            wait_until(lambda: connects(int(port)), within=30)
            post_comments(f"http://127.0.0.1:{port}", 3)
            running.send_signal(signal.SIGINT)
            running.wait(60)
        finally:
            running.kill()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "moderate.sqlite3"]
    assert items_in(tmp_path / "moderate.sqlite3") == 3


def test_an_app_that_lives_until_its_process_ends_gives_no_warning(tmp_path: Path) -> None:
    """On Python 3.13 a connection to SQLite that is never closed gives a ResourceWarning."""
    program = f"""
        from flask import Flask
        from moderate import Article, Moderate
        app = Flask("host", instance_path={str(tmp_path)!r})
        app.config.update(TESTING=True, SECRET_KEY="x", MODERATE_LIMITS={{}})
        moderate = Moderate()
        moderate.article_loader(lambda key: Article(key, "T", "http://localhost/" + key))
        moderate.init_app(app)
        body = {{"author": "Mika", "text": "The river froze."}}
        assert app.test_client().post("/discuss/comments/thaw", json=body).status_code == 202
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    made = f"A new and empty database was made: {tmp_path / 'moderate.sqlite3'}\n"
    assert (done.returncode, done.stderr) == (0, made)
