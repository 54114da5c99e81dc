"""A site that Frozen-Flask makes into static files, by the lines of docs/embedding.md."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from flask_frozen import Freezer, MissingURLGeneratorWarning

from tests.hosts.visits import SITE, HostedSite, Visitor
from tests.web.test_documented_hosts import files_on, python_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

PAGE = "docs/embedding.md"


def freeze(app: Flask) -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingURLGeneratorWarning)
        frozen: set[str] = Freezer(app).freeze()
    return frozen


class FrozenVisitor(Visitor):
    """A browser at a server that gives out the frozen files and passes /discuss/ on to the app."""

    def __init__(self, site: HostedSite, files: Path) -> None:
        super().__init__(site)
        self._files = files

    def open(self, path: str) -> Visitor:
        if urlsplit(path).path.startswith("/discuss/"):
            return super().open(path)
        self.url = f"{SITE}{urlsplit(path).path}"
        file = self._files / urlsplit(path).path.lstrip("/") / "index.html"
        self.answer = self.client.application.response_class(file.read_text(encoding="utf-8"))
        return self


def test_frozen_flask_by_its_defaults_freezes_the_pages_and_no_live_address(
    host: Callable[..., HostedSite],
) -> None:
    app = host("notebook").app
    with pytest.warns(MissingURLGeneratorWarning, match="moderate.queue"):
        frozen = Freezer(app).freeze()
    assert {"/", "/snow/", "/2026/thaw/", "/discuss/static/moderate.css", "/discuss/static/thread.js"} <= frozen
    assert [url for url in frozen if url.startswith("/discuss/") and "/static/" not in url] == []


@pytest.mark.parametrize("relative", [False, True])
def test_a_comment_from_a_frozen_page_is_on_the_page_after_the_next_freezing(
    relative: bool, host: Callable[..., HostedSite], tmp_path: Path
) -> None:
    site = host("notebook", FREEZER_RELATIVE_URLS=relative)
    freeze(site.app)
    reader = FrozenVisitor(site, tmp_path / "build").open("/2026/thaw/")
    assert reader.preview("So.")["html"] == "<p>So.</p>"
    reader.send("/comments/", author="Mika", text="It froze twice.")
    assert reader.answer.status_code == 200
    assert urlsplit(reader.url).path == "/2026/thaw/"

    with site.app.app_context():
        site.moderate.decide(1, "approve", version=1, by="mori")
    counts = reader.client.get("/discuss/counts?article=snow&article=2026/thaw").json
    assert (counts["snow"]["comments"], counts["2026/thaw"]["comments"]) == (0, 1)
    assert "It froze twice." not in reader.open("/2026/thaw/").words
    freeze(site.app)
    assert "It froze twice." in reader.open("/2026/thaw/").words
    assert "Comment (1) Trackback(0)" in reader.open("/").words


def test_the_lines_for_static_sites_freeze_a_site(tmp_path: Path) -> None:
    files = {
        "app.py": python_blocks(PAGE)["Static sites"],
        "freeze.py": files_on(PAGE)["freeze.py"],
        "pages/hello.md": "title: Hello\ndate: 2026-01-02\n\nText.\n",
        "templates/page.html": "<h1>{{ page.title }}</h1>{{ moderate_thread(page.path) }}"
        '<a href="{{ url_for("page", path=page.path) }}">here</a>',
        "templates/moderate/_form.html": files_on(PAGE)["templates/moderate/_form.html"],
        "templates/moderate/_scripts.html": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    # The page is not linked from a front page here, so it is named.
    with (tmp_path / "app.py").open("a", encoding="utf-8") as source:
        source.write("\n\n@app.get('/')\ndef front():\n    return page('hello')\n")
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "freeze.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    frozen = (tmp_path / "build" / "hello" / "index.html").read_text(encoding="utf-8")
    assert 'action="https://comments.example/discuss/comments/hello"' in frozen
    assert "<script" not in frozen


def test_a_form_with_an_absolute_address_takes_comments_from_another_origin(host: Callable[..., HostedSite]) -> None:
    site = host("notebook")
    own_form = files_on(PAGE)["templates/moderate/_form.html"].replace("https://comments.example", SITE)
    with site.app.test_request_context(base_url=SITE):
        form = site.app.extensions["moderate"].edge.form("snow")
        page = site.app.jinja_env.from_string(own_form).render(form=form)
    reader = site.visitor()
    reader.url = "https://pages.example/snow/"
    reader.answer = site.app.response_class(page)
    action = re.search(r'action="([^"]+)"', page)
    assert action is not None
    cross_site = {"Origin": "https://pages.example", "Sec-Fetch-Site": "cross-site"}
    reader.post(action[1], {"author": "Mika", "text": "From afar."}, **cross_site)
    assert urlsplit(reader.url).path == "/snow/"
    assert "From afar." in reader.words
