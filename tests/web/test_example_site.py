"""`python -m examples.newsroom`, started as a stranger would: once on nothing, and once more on what it left."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.servers import ROOT, dies_with_us, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def running(data: Path, *more: str) -> Iterator[tuple[str, str]]:
    """The site in a process of its own; gives the two addresses that it prints."""
    # A process started in the background ignores Ctrl-C.
    python = ["env", "--default-signal=INT", sys.executable]
    command = [*python, "-m", "examples.newsroom", "--port", str(free_port()), "--data", str(data), *more]
    process = subprocess.Popen(
        [*dies_with_us(), *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        site, link = (re.findall(r"http://\S+", process.stdout.readline())[0] for _ in range(2))
        process.stdout.readline()
        yield site, link
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()
    assert process.returncode == 0, "Ctrl-C ends it quietly"


def ask(method: str, url: str, cookie: str = "") -> tuple[int, str, str]:
    """Status, cookie and text of an answer."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=10)
    line.request(method, parts.path, headers={"Cookie": cookie} if cookie else {})
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0], text


def test_the_example_site_starts_with_seeds_and_starts_again_on_the_same_data(tmp_path: Path) -> None:
    with running(tmp_path) as (site, link):
        status, _, front = ask("GET", site)
        assert status == 200
        assert "13/1 20:22" in front
        assert re.findall(r"Comment \((\d+)\)", front)[0] == "7"
        assert re.findall(r"Trackback\((\d+)\)", front)[0] == "3"

        assert ask("GET", link)[0] == 200, "to look at the link signs nobody in"
        status, cookie, _ = ask("POST", link)
        assert status == 303
        assert ask("POST", link)[0] == 404, "the link works once"
        status, _, queue = ask("GET", f"{site}discuss/moderation/", cookie)
        assert status == 200
        assert [int(n) for n in re.findall(r'class="count">(\d+)<', queue)] == [4, 0, 18, 2, 1, 25]
        assert ask("GET", f"{site}discuss/moderation/")[0] == 401

    with running(tmp_path) as (site, link):
        again = ask("GET", site)[2]
        assert re.findall(r"Comment \((\d+)\)", again) == re.findall(r"Comment \((\d+)\)", front)
        assert ask("GET", f"{site}discuss/moderation/", cookie)[0] == 200, "who was signed in still is"


def test_the_example_site_imports_only_public_names() -> None:
    taken = set()
    for path in (ROOT / "examples").rglob("*.py"):
        taken |= set(
            re.findall(r"^\s*(?:from|import) (moderate[\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
    assert taken <= {"moderate", "moderate.ports", "moderate.testing"}
