"""The examples on the pages are run as they stand there, as files of their own."""

from __future__ import annotations

import importlib.util
import itertools
import re
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from flask import Flask, render_template_string

from tests.servers import ROOT
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from flask.testing import FlaskClient

NUMBERS = itertools.count()

#: The examples that the running test has imported.
loaded: list[ModuleType] = []


def python_blocks(page: str) -> dict[str, str]:
    """The examples of a page by the heading that they stand under."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)):
            found[f"{section.splitlines()[0]} {number or ''}".strip()] = block
    return found


def files_on(page: str) -> dict[str, str]:
    """The examples of a page that begin with a comment which names their file."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    named = [(re.match(r"(?:# |\{# )([\w/.]+\.(?:py|html))", block), block) for block in blocks]
    return {name[1]: block for name, block in named if name}


def load(source: str, folder: Path) -> ModuleType:
    """Import an example from a file, so that Flask finds its root and its instance folder beside it."""
    path = folder / "app.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"documented_{next(NUMBERS)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    loaded.append(module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to run an example in. The apps of the examples are closed after the test, and their databases."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    while loaded:
        names = vars(loaded.pop())
        for app in [value for value in names.values() if isinstance(value, Flask) and "moderate" in value.extensions]:
            names["moderate"].close(app)
            with app.app_context():
                for engine in app.extensions["sqlalchemy"].engines.values() if "sqlalchemy" in app.extensions else ():
                    engine.dispose()


def run(app: Flask, *words: str) -> str:
    done = app.test_cli_runner().invoke(args=["moderate", *words])
    assert done.exit_code == 0, done.output
    return done.output


def post(client: FlaskClient, page: str, article: str) -> Any:
    """Send the form that stands on *page*."""
    shown = client.get(page).text
    token = re.search(r'name="form_token" value="([^"]+)"', shown)
    assert token is not None
    return client.post(
        f"/discuss/comments/{article}", data={"author": "Mika", "text": "Hello.", "form_token": token[1]}
    )


def test_the_code_in_the_readme_gives_an_article_a_discussion(here: Path) -> None:
    (source,) = python_blocks("README.md").values()
    assert len([line for line in source.splitlines() if line.strip()]) <= 14
    app = load(source, here).app
    client = app.test_client()
    assert client.get("/no-such-article").status_code == 404
    answer = post(client, "/first", "first")
    assert answer.status_code == 303
    assert "Only you can see this" in client.get("/first").text
    assert "Hello." not in app.test_client().get("/first").text
    assert "Mika" in run(app, "queue")
    run(app, "decide", "1", "approve")
    assert "Comments (1)" in app.test_client().get("/first").text


def test_a_feed_of_the_host_announces_the_trackback_address_of_an_article(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    (item,) = re.findall(r"^```xml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    host = Host(tmp_path)
    host.add_article("quiet & <closed>", pings_open=False)

    def fed(key: str) -> ElementTree.Element:
        with host.app.test_request_context():
            return ElementTree.fromstring(render_template_string(item, article=host.articles[key]))

    (ping,) = fed("thaw").findall("{http://madskills.com/public/xml/rss/module/trackback/}ping")
    assert ping.text is not None
    answer = host.client.post(ping.text, data={"url": "http://blog.example/post", "title": "On ice"})
    assert "<error>0</error>" in answer.text
    assert len(fed("quiet & <closed>")) == 2


def test_the_quickstart_leads_to_a_moderated_comment(here: Path) -> None:
    (source,) = python_blocks("docs/quickstart.md").values()
    app = load(source, here).app
    client = app.test_client()
    assert post(client, "/2026/thaw", "2026/thaw").status_code == 303
    page = client.get("/2026/thaw")
    assert "Waiting for a moderator. Only you can see this." in page.text
    assert "Comment (0)" in page.text
    assert 'rel="webmention"' in page.headers["Link"]

    token = run(app, "token", "create", "mori").splitlines()[-1]
    bearer = {"Authorization": f"Bearer {token}"}
    waiting = client.get("/discuss/moderation/items?status=pending", headers=bearer).json["items"]
    decision = {"decision": "approve", "version": waiting[0]["version"]}
    answer = client.post("/discuss/moderation/items/1/decisions", json=decision, headers=bearer)
    assert answer.status_code == 200
    assert "Comment (1)" in client.get("/2026/thaw").text
    assert "The river thaws: Comment (1)" in client.get("/").text

    assert client.get("/discuss/moderation/").status_code == 401
    with client.session_transaction() as session:
        session.update(name="Mori", is_editor=True)
    assert client.get("/discuss/moderation/").status_code == 200


EMBEDDING = {
    heading: block for heading, block in python_blocks("docs/embedding.md").items() if not block.startswith("# ")
}


def add_post(names: dict[str, Any], here: Path) -> str:
    with names["app"].app_context():
        names["db"].session.add(names["Post"](title="Our first post"))
        names["db"].session.commit()
    return "1"


def add_entry(names: dict[str, Any], here: Path) -> str:
    with names["app"].app_context():
        names["database"].create_tables([names["Entry"]])
        names["Entry"].create(slug="first", title="Our first entry", day=date(2026, 1, 2))
    return "first"


def add_page(names: dict[str, Any], here: Path) -> str:
    (here / "pages").mkdir()
    (here / "pages" / "first.md").write_text("title: Our first page\ndate: 2026-01-02\n\nText.\n", encoding="utf-8")
    return "first"


#: What an example needs before it knows an article; returns its key. The others know "first", or any key.
ARTICLES: dict[str, Callable[[dict[str, Any], Path], str]] = {
    "Mount it": lambda names, here: "1",
    "With Flask-SQLAlchemy: one engine for both": add_post,
    "With peewee, or any other database layer": add_entry,
    "Static sites": add_page,
}


@pytest.mark.parametrize("heading", EMBEDDING)
def test_each_way_of_embedding_accepts_a_comment(heading: str, here: Path) -> None:
    names = vars(load(EMBEDDING[heading], here))
    apps = [(names.get("app") or names["one"], "/news/discuss" if "news" in names else "/discuss")]
    if "other" in names:
        apps.append((names["other"], "/letters"))
    key = ARTICLES[heading](names, here) if heading in ARTICLES else "first"
    for app, prefix in apps:
        run(names.get("news", app), "db", "upgrade")
        client, at = app.test_client(), f"http://{app.config.get('MODERATE_HOST', 'localhost')}"
        sent = {"author": "Mika", "text": "Hello again."}
        answer = client.post(f"{prefix}/comments/{key}", json=sent, base_url=at)
        assert answer.status_code == 202, answer.text
        # A form too: it needs no token of a host that checks its own forms.
        form = {"author": "Mika", "text": "By form."}
        answer = client.post(f"{prefix}/comments/{key}", data=form, base_url=at)
        assert answer.status_code == 303, answer.text
        assert client.get(f"{prefix}/counts?article={key}", base_url=at).status_code == 200


def test_the_test_in_the_docs_passes_with_warnings_as_errors(here: Path) -> None:
    (here / "test_comments.py").write_text(files_on("docs/embedding.md")["test_comments.py"], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


def test_two_apps_of_one_factory_share_no_state(here: Path) -> None:
    names = vars(load(EMBEDDING["Application factories"], here))
    one, other = names["one"], names["other"]
    run(other, "db", "upgrade")
    one.test_client().post("/discuss/comments/first", json={"author": "Mika", "text": "Here only."})
    assert "Here" in run(one, "queue")
    assert "Here" not in run(other, "queue")


@pytest.mark.parametrize(
    ("template", "gone"), [("_styles.html", "moderate.css"), ("_scripts.html", "thread.js"), ("thread.html", "<form")]
)
def test_an_empty_template_of_the_host_overrides_the_built_in_one(here: Path, template: str, gone: str) -> None:
    (source,) = python_blocks("README.md").values()
    folder = here / "templates" / "moderate"
    folder.mkdir(parents=True)
    client = load(source, here).app.test_client()
    assert gone in client.get("/first").text
    (folder / template).write_text("", encoding="utf-8")
    client = load(source, here).app.test_client()
    assert gone not in client.get("/first").text


def test_the_host_can_replace_the_page_of_a_refused_form(here: Path) -> None:
    (source,) = python_blocks("README.md").values()
    example = files_on("docs/embedding.md")["templates/moderate/form_page.html"]
    folder = here / "templates" / "moderate"
    folder.mkdir(parents=True)
    (folder / "form_page.html").write_text(example, encoding="utf-8")
    (here / "templates" / "base.html").write_text("<title>Ours</title>{% block main %}{% endblock %}", encoding="utf-8")
    client = load(source, here).app.test_client()
    answer = client.post(
        "/discuss/comments/first", data={"author": "", "text": "Kept."}, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 422
    assert "<title>Ours</title>" in answer.text
    assert "Kept." in answer.text
