"""The permitted imports between the modules of the package.

A failure here usually means that code is in the wrong module. If it is in the right one, change the
tables below in the same commit and say why.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from tests.servers import ROOT
from tests.unit.import_arrows import Rules, imports_of, module_name, violations

if TYPE_CHECKING:
    from pathlib import Path

#: The modules of each group: a name, a pattern, or a folder for all in it that is not named more exactly elsewhere.
GROUPS = {
    "core": (
        "errors",
        "i18n",
        "model",
        "hooks",
        "lifecycle",
        "notices.values",
        "web_address",
    ),
    "ports": ("ports",),
    "clock": ("clock",),
    "signals": ("signals",),
    "settings": ("settings",),
    "limits": ("limits",),
    "redis": ("redis",),
    "text": ("text", "sources"),
    "normal": ("text.similarity", "text.signs"),  # how texts are compared and read: pure functions, for checks and SQL
    "checks": ("checks", "*.check", "learned.tokens", "learned.labelled"),
    "protocols": ("protocols",),
    "operation": ("http.operation",),  # how views and protocols declare their part of the OpenAPI document
    # What happens to items; imports neither Flask nor SQLAlchemy.
    "acts": (
        "submit.desk",
        "submit.submit",
        "moderation.decide",
        "tasks",
        "sources.verify",
        "waves.watch",
        "akismet.feedback",
        "rules.proposals",
        "notices.delivery",
        "notices.confirm",
        "monitoring.warnings",
    ),
    "sql": ("database", "store", "*.sql"),
    "url": ("database.url", "database.schema"),  # with the options of a connection, which are settings
    # Other servers: their addresses, pages, and the failures of connections.
    "services": ("outbound", "akismet", "notices"),
    # The texts of mails, and how a mail is built.
    "mails": ("notices.mail",),
    "failures": ("outbound.failures",),
    "lru": ("lru",),
    "articles": ("articles",),
    "views": ("http", "*.views", "*_views", "moderation", "reading", "monitoring"),
    "cli": ("cli",),
    "build": ("build",),
    "extension": ("extension",),
    "testing": ("testing",),
    "package": ("",),
    "folders": ("akismet", "learned", "notices", "rules", "submit", "waves"),
}

DOMAIN = ("core", "ports", "failures")
INTAKE = (*DOMAIN, "signals", "limits", "text", "normal", "checks", "protocols")

#: What each group may import beside itself. Imports for type checkers count as well, except those of TYPES.
ARROWS = {
    "core": (),
    "ports": ("core",),
    "clock": DOMAIN,
    "failures": ("core", "ports"),
    "signals": DOMAIN,
    "settings": (*DOMAIN, "limits", "text", "url"),
    "limits": (*DOMAIN, "lru"),
    "redis": (*DOMAIN, "limits"),
    "lru": (),
    "text": DOMAIN,
    "normal": DOMAIN,
    "checks": (*DOMAIN, "normal", "settings"),
    "protocols": (*DOMAIN, "text", "operation"),
    "operation": DOMAIN,
    "acts": (*INTAKE, "clock", "settings"),
    "articles": (*DOMAIN, "text", "lru"),
    "url": DOMAIN,
    "sql": (*DOMAIN, "normal", "url", "lru"),
    # Mails list where links lead, as the pages do.
    "services": (*DOMAIN, "text", "mails", "clock"),
    "mails": (*DOMAIN, "text", "acts"),
    "views": (*INTAKE, "operation", "acts", "clock", "settings", "lru"),
    # The command line serves the stand-in for Akismet, which ships with the helpers for tests, and teaches the filter.
    "cli": (*DOMAIN, "text", "checks", "acts", "views", "operation", "testing"),
    "build": ("*",),
    # Of the database: what keeps a host's migrations from its tables, and what engines it takes.
    "extension": (*INTAKE, "acts", "settings", "views", "cli", "build", "sql"),
    "testing": ("*",),
    "package": (*INTAKE, "settings", "extension", "sql"),
    "folders": (),
}

#: Whose classes a group may name in annotations although it may not import them to run: it is handed such objects
#: by `build`, and their promises stand on their methods. So no Protocol repeats a class of which there is one.
TYPES = {
    "acts": ("sql", "services", "articles", "redis"),
    "articles": ("sql",),
    "checks": ("sql", "services"),
    "cli": ("sql",),
    "ports": ("limits", "normal"),
    "text": ("services",),
    "views": ("sql", "redis"),
}

VIEWS = (
    "http",
    "reading",
    "*.views",
    "*_views",
    *(f"moderation.{name}" for name in ("access", "forms", "items_csv", "queue")),
    *(f"monitoring.{name}" for name in ("health", "metrics")),
)
FLASK = ("extension", "cli", "protocols", "testing", *VIEWS)
NETWORK = ("outbound", "akismet.client", "notices", "redis")

#: Where each foreign package may be imported, and the parts of the standard library that reach other servers.
#: A host's own objects (an engine, a Redis client) may be named in annotations anywhere.
OUTSIDE = {
    "flask": FLASK,
    "werkzeug": FLASK,
    "jinja2": (*FLASK, "notices.mail"),
    "click": ("cli",),
    "markupsafe": FLASK,
    "prometheus_client": ("monitoring.metrics",),
    "pydantic": ("protocols", *VIEWS),
    "blinker": ("signals",),
    "bleach": ("text.sanitizer",),
    "nh3": ("text.sanitizer",),
    "markdown_it": ("text",),
    "lxml": ("sources",),
    "redis": ("redis",),
    "sqlalchemy": ("database", "store", "*.sql"),
    "alembic": ("database",),
    "psycopg": ("database.outages",),
    "akismet": ("akismet.client",),
    "httpcore": NETWORK,
    "httpx": NETWORK,
    "requests": NETWORK,
    "idna": ("web_address",),
    "webencodings": ("text.charsets",),
    "socket": NETWORK,
    "ssl": NETWORK,
    "smtplib": ("notices",),
    "http.client": NETWORK,
    "http.server": ("akismet.stand_in",),  # a server to test against
    "urllib.request": NETWORK,
    "urllib.robotparser": NETWORK,
    "xmlrpc": (),
}

RULES = Rules(GROUPS, ARROWS, OUTSIDE, TYPES)


def test_every_import_follows_the_documented_direction() -> None:
    broken = list(violations(ROOT / "src" / "moderate", RULES))
    assert not broken, "\n" + "\n".join(broken)


def test_there_are_no_circular_imports() -> None:
    """Imports for type checkers count as well."""
    package = ROOT / "src" / "moderate"
    files = {module_name(path, package): path for path in package.rglob("*.py")}
    graph = {name: {found.target for found in imports_of(name, path, files)} for name, path in files.items()}
    TopologicalSorter({name: targets & set(files) - {name} for name, targets in graph.items()}).prepare()


def test_the_tables_name_the_same_groups() -> None:
    named = {group for allowed in ARROWS.values() for group in allowed} - {"*"}
    assert set(GROUPS) == set(ARROWS) >= named
    assert set(GROUPS) >= set(TYPES).union(*TYPES.values())


@pytest.mark.parametrize(
    ("place", "source", "complaint"),
    [
        ("model.py", "from moderate.ports import Clock", "'core' may import only itself"),
        ("checks/form.py", "from moderate.store.items import Items", "moderate.store.items"),
        ("checks/form.py", "from ..store import items", "moderate.store.items"),
        ("checks/__init__.py", "from ..store import items", "moderate.store.items"),
        ("checks/form.py", "import moderate.store.items", "moderate.store.items"),
        (
            "checks/form.py",
            "def look():\n    from moderate.submit import desk",
            ":2: moderate.checks.form imports moderate.submit.desk",
        ),
        ("checks/form.py", "if TYPE_CHECKING:\n    from moderate.submit.desk import Desk", "moderate.submit.desk"),
        ("submit/desk.py", "from moderate.store import items", "'acts' may import only"),
        ("submit/desk.py", "from moderate.redis import RedisLimiter", "moderate.redis"),
        ("submit/desk.py", "from moderate import Article", "'acts' may import only"),
        ("submit/desk.py", "from flask import request", "flask belongs in extension"),
        ("text/clean.py", "import bleach", "bleach belongs in text.sanitizer"),
        ("limits/local.py", "import redis.client", "redis belongs in redis"),
        ("reading/views.py", "from sqlalchemy import text", "sqlalchemy belongs in database"),
        ("akismet/check.py", "from akismet import SyncClient", "akismet belongs in akismet.client"),
        ("submit/desk.py", "from urllib import request", "urllib.request belongs in outbound"),
        ("submit/desk.py", "from http.client import HTTPConnection", "http.client belongs in outbound"),
        ("reading/views.py", "import importlib\nimportlib.import_module('httpx')", "httpx belongs in outbound"),
        ("submit/desk.py", "import numpy", "numpy, which is not in the table"),
        ("helpers.py", "", "moderate.helpers has no place in the table"),
    ],
)
def test_a_forbidden_import_is_detected(tmp_path: Path, place: str, source: str, complaint: str) -> None:
    package = planted(tmp_path, {place: source})
    assert [found for found in violations(package, RULES) if complaint in found]


def test_allowed_imports_are_not_reported(tmp_path: Path) -> None:
    package = planted(
        tmp_path,
        {
            "model.py": "import enum\nfrom urllib.parse import urlsplit",
            "submit/desk.py": "from moderate import signals\nimport moderate.checks.base\nfrom http import HTTPStatus\n"
            "if TYPE_CHECKING:\n    from moderate.store.items import Items",
            "extension.py": "if TYPE_CHECKING:\n    from sqlalchemy import Engine\n    from redis import Redis",
            "build.py": "from moderate.store.items import Items\nfrom moderate.redis import RedisLimiter",
            "text/sanitizer.py": "import bleach\nimport nh3",
        },
    )
    assert list(violations(package, RULES)) == []


def planted(folder: Path, sources: dict[str, str]) -> Path:
    """A package in which all modules that the sources speak of exist."""
    package = folder / "moderate"
    there = (
        "__init__",
        "signals",
        "submit/__init__",
        "submit/desk",
        "checks/__init__",
        "checks/base",
        "store/__init__",
        "store/items",
        "redis",
    )
    for place, source in {**{f"{name}.py": "" for name in there}, **sources}.items():
        path = package / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package
