"""The time until a comment has its verdict: from POST to "approved", with an Akismet that answers at once.

Run it with ``python -m bench.verdict``. A real gunicorn with two workers and the embedded thread, SQLite,
and the stand-in for Akismet, all on this machine. The status is asked for every few milliseconds, so
the numbers are what a page that waits would see. The target is a median below 300 ms.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask

from moderate import Article, Moderate
from moderate.testing import AkismetStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTS = 50
TARGET_MS = 300
ROOT = Path(__file__).parents[1]


def create_app() -> Flask:
    """The site, configured by the environment that `main` sets."""
    app = Flask("verdict", instance_path=os.environ["BENCH_FOLDER"])
    app.config.update(
        SECRET_KEY="for this run only",
        MODERATE_LIMITS={},
        MODERATE_PREMODERATION="none",
        MODERATE_SITE_URL="http://localhost",
        MODERATE_AKISMET_KEY="for this run only",
        MODERATE_AKISMET_URL=os.environ["BENCH_AKISMET"],
    )
    moderate = Moderate()
    moderate.article_loader({"thaw": Article("thaw", "The thaw", "http://localhost/thaw")}.get)
    moderate.init_app(app)
    return app


@contextmanager
def gunicorn(folder: str, akismet: str) -> Iterator[Path]:
    """The server; yields its socket."""
    where = Path(folder) / "http.sock"
    command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", f"unix:{where}", "--log-level", "error"]
    env = {**os.environ, "BENCH_FOLDER": folder, "BENCH_AKISMET": akismet, "PYTHONPATH": str(ROOT)}
    with (Path(folder) / "log").open("wb") as log:
        server = subprocess.Popen([*command, "bench.verdict:create_app()"], env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not where.exists():
            if time.monotonic() > deadline or server.poll() is not None:
                raise SystemExit((Path(folder) / "log").read_text())
            threading.Event().wait(0.05)
        yield where
    finally:
        server.terminate()
        server.wait()


class Line(http.client.HTTPConnection):
    """One request over the socket."""

    def __init__(self, where: Path) -> None:
        super().__init__("localhost", timeout=30)
        self.where = where

    def connect(self) -> None:
        import socket

        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.where))


def ask(where: Path, method: str, path: str, body: object = None) -> Any:
    with closing(Line(where)) as line:
        sent = {"Content-Type": "application/json"}
        line.request(method, path, json.dumps(body) if body is not None else None, sent)
        answer = line.getresponse()
        data = answer.read()
        if answer.status >= 400 and method == "POST":
            raise SystemExit(data.decode())
        return json.loads(data)


def wait_for_verdict(where: Path, number: int) -> float:
    """Milliseconds from the POST to the moment at which the comment is public."""
    began = time.perf_counter()
    dice = random.Random(number)
    # No text is like another: the same one with another number in it would be held as a repeat.
    text = " ".join("".join(dice.choices("abdefgiklmnorstu", k=dice.randint(3, 9))) for _ in range(40))
    item = ask(where, "POST", "/discuss/comments/thaw", {"author": f"Mika {number}", "text": text})
    path = f"/discuss/items/{item['id']}?edit_token={item['edit_token']}"
    while ask(where, "GET", path)["status"] != "approved":
        if time.perf_counter() - began > 30:
            raise SystemExit(f"Comment {item['id']} got no verdict within 30 seconds.")
        threading.Event().wait(0.005)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        akismet = stack.enter_context(AkismetStandIn())
        where = stack.enter_context(gunicorn(folder, akismet.url))
        for number in range(4):
            # Both workers import and connect what they need with their first comment.
            wait_for_verdict(where, 1_000_000 + number)
        taken = sorted(wait_for_verdict(where, number) for number in range(POSTS))
    median, p95 = statistics.median(taken), taken[int(len(taken) * 0.95)]
    print(f"{POSTS} comments: median {median:.0f} ms, p95 {p95:.0f} ms, longest {taken[-1]:.0f} ms")
    print(f"target: median below {TARGET_MS} ms: {'met' if median < TARGET_MS else 'MISSED'}")


if __name__ == "__main__":
    main()
