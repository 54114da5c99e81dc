"""The five hosts: ordinary Flask sites that mount moderate by the lines of docs/embedding.md alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.blogs import Blog
from tests.hosts.visits import SITE, HostedSite, Visitor
from tests.web.test_documented_hosts import files_on, load, python_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

#: The article of each host that is visited, by its path and its key.
ARTICLES = {
    "diary": ("/1", "1"),
    "blogroll": ("/snow/", "snow"),
    "magazine": ("/post/1", "1"),
    "journal": ("/post/1", "1"),
    "notebook": ("/2026/thaw/", "2026/thaw"),
    # The first example of docs/embedding.md itself.
    "documented": ("/1", "1"),
}


@pytest.fixture
def blog() -> Iterator[Blog]:
    """Another blog, on its own port."""
    with Blog() as running:
        yield running


@pytest.fixture
def host(tmp_path: Path, blog: Blog) -> Iterator[Callable[..., HostedSite]]:
    """Make a host by its name. It reads pages of *blog*."""
    made: list[Any] = []

    def make(name: str, **config: Any) -> HostedSite:
        reads_blog = {"MODERATE_FETCH_ALLOW": ["127.0.0.1/32"], "MODERATE_FETCH_PORTS": [80, 443, blog.port]}
        settings = {"TESTING": True, **reads_blog, **config}
        if name == "documented":
            module = documented(tmp_path, settings)
            app = module.app
        else:
            module = importlib.import_module(f"tests.hosts.{name}.app")
            app = module.create_app(tmp_path, settings)
        made.append((module, app))
        if name == "magazine":
            with app.app_context():
                module.db.create_all()
                module.moderate.create_tables()
                module.fill()
        path, key = ARTICLES[name]
        return HostedSite(app, module.moderate, path, key, LOGINS.get(name))

    yield make
    for module, app in made:
        module.moderate.close(app)
        if hasattr(module, "db"):
            with app.app_context():
                module.db.engine.dispose()


def documented(folder: Path, settings: dict[str, Any]) -> ModuleType:
    """The site at the head of docs/embedding.md, with its templates, and with further settings."""
    for name, template in files_on("docs/embedding.md").items():
        if name in {"templates/post.html", "templates/front.html"}:
            (folder / "templates").mkdir(exist_ok=True)
            (folder / name).write_text(template, encoding="utf-8")
    source = python_blocks("docs/embedding.md")["Mount it"]
    before_init = f"app.config.update({settings!r})\nmoderate.init_app(app)"
    return load(source.replace("moderate.init_app(app)", before_init), folder)


def log_into_documented(visitor: Visitor) -> None:
    with visitor.client.session_transaction(base_url=SITE) as session:
        session.update(name="Mori", is_editor=True)


def log_into_diary(visitor: Visitor) -> None:
    visitor.open("/login").send("login", name="Mori", password="snow")


def log_into_blogroll(visitor: Visitor) -> None:
    visitor.post(f"{visitor.url}login/", {"password": "secret"})


def log_into_journal(visitor: Visitor) -> None:
    visitor.open("/login").send("login", password="secret")


LOGINS = {
    "diary": log_into_diary,
    "blogroll": log_into_blogroll,
    "magazine": log_into_diary,
    "journal": log_into_journal,
    "documented": log_into_documented,
}
