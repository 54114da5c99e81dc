"""The shape of the package, held by a test: who may import whom.

A failure here usually means that a thing is in the wrong place. If it is in the right one, change the
tables below in the same commit and say why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import ROOT
from tests.unit.import_arrows import Rules, violations

if TYPE_CHECKING:
    from pathlib import Path

#: The modules of each group. A folder's name stands for all that is in it and not named elsewhere.
GROUPS = {
    "core": ("errors", "model", "answers", "counts", "lifecycle", "spam", "identity", "charsets", "connections"),
    "ports": ("ports",),
    "signals": ("signals",),
    "words": ("words",),  # what is said to people, in every language: pages and mails share it
    "settings": ("settings", "settings_notices"),
    "limits": ("limits",),  # rates, costs, and keeping count in this process
    "redis": ("limits.redis",),  # keeping count together
    "clean": ("clean",),
    # How texts are read: pure functions, which checks ask with and the store keeps the answers of.
    "reading": ("checks.spelling", "checks.near"),
    "checks": ("checks",),
    "protocols": ("protocols",),
    "acts": ("desk", "moderation", "recheck", "acts"),
    "store": ("store",),
    "services": ("services",),
    "articles": ("articles",),  # the host's own, through its hooks
    "web": ("web", "health"),
    "cli": ("cli",),
    "build": ("build", "build_notices"),
    "extension": ("extension",),
    "testing": ("testing",),
    "package": ("",),
}

DOMAIN = ("core", "ports")
WAY_IN = (*DOMAIN, "signals", "limits", "clean", "reading", "checks", "protocols")

#: What each group may import beside itself. Imports for type checkers count as well.
ARROWS = {
    "core": (),
    "ports": ("core",),
    "signals": DOMAIN,
    "words": (),
    "settings": (*DOMAIN, "limits", "words", "clean"),
    "limits": DOMAIN,
    "redis": (*DOMAIN, "limits"),
    "clean": DOMAIN,
    "reading": DOMAIN,
    "checks": (*DOMAIN, "reading"),
    "protocols": DOMAIN,
    "acts": WAY_IN,
    "articles": (*DOMAIN, "clean"),
    "store": (*DOMAIN, "reading"),
    # Mails list where links lead, as the pages do.
    "services": (*DOMAIN, "words", "clean"),
    "web": (*WAY_IN, "acts", "settings", "words"),
    # The command line serves the stand-in for Akismet, which ships with the helpers for tests.
    "cli": (*DOMAIN, "signals", "settings", "words", "clean", "acts", "web", "build", "testing"),
    "build": ("*",),
    # Of the store: what keeps a host's migrations from its tables, and what engines it takes.
    "extension": (*WAY_IN, "acts", "settings", "web", "cli", "build", "store"),
    "testing": ("*",),
    "package": (*WAY_IN, "settings", "extension", "store"),
}

FLASK = ("extension", "web", "cli", "protocols", "testing")
NETWORK = ("services",)

#: Where each foreign package may be imported, and the parts of the standard library that speak to the world.
#: A host's own objects (an engine, a Redis client) may be named in annotations anywhere.
OUTSIDE = {
    "flask": FLASK,
    "werkzeug": FLASK,
    "jinja2": FLASK,
    "click": ("cli",),
    "markupsafe": (*FLASK, "clean"),
    "itsdangerous": ("web", "build"),
    "prometheus_client": ("web.metrics",),
    "pydantic": ("web", "protocols", "settings"),
    "blinker": ("signals",),
    "bleach": ("clean.html",),
    "nh3": ("clean.html",),
    "markdown_it": ("clean",),
    "linkify_it": ("clean",),
    "lxml": ("clean",),
    "redis": ("limits.redis", "services.bell"),  # counting together, and waking workers
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "psycopg": ("store.waiting",),
    "akismet": ("services.akismet",),
    "httpcore": NETWORK,
    "httpx": NETWORK,
    "requests": NETWORK,
    "idna": (*NETWORK, "clean"),
    "socket": (*NETWORK, "connections"),
    "ssl": (*NETWORK, "connections"),
    "smtplib": NETWORK,
    "http.client": NETWORK,
    "http.server": ("services.akismet_stand_in", "testing"),  # servers to test against
    "urllib.request": NETWORK,
    "urllib.robotparser": NETWORK,
    "xmlrpc": (),
}

RULES = Rules(GROUPS, ARROWS, OUTSIDE)


def test_every_import_follows_the_arrows() -> None:
    broken = list(violations(ROOT / "src" / "moderate", RULES))
    assert not broken, "\n" + "\n".join(broken)


def test_the_tables_speak_of_the_same_groups() -> None:
    named = {group for allowed in ARROWS.values() for group in allowed} - {"*"}
    assert set(GROUPS) == set(ARROWS) >= named


@pytest.mark.parametrize(
    ("place", "source", "complaint"),
    [
        ("model.py", "from moderate.ports import Clock", "'core' may import only itself"),
        ("checks/links.py", "from moderate.store.sql import SqlStore", "moderate.store.sql"),
        ("checks/links.py", "from ..store import sql", "moderate.store.sql"),
        ("checks/__init__.py", "from ..store import sql", "moderate.store.sql"),
        ("checks/links.py", "import moderate.store.sql", "moderate.store.sql"),
        (
            "checks/links.py",
            "def look():\n    from moderate import desk",
            ":2: moderate.checks.links imports moderate.desk",
        ),
        ("checks/links.py", "if TYPE_CHECKING:\n    from moderate.desk import Desk", "moderate.desk"),
        ("desk.py", "from moderate.limits.redis import RedisLimiter", "moderate.limits.redis"),
        ("desk.py", "from moderate import Article", "'acts' may import only"),
        ("desk.py", "from flask import request", "flask belongs in extension"),
        ("clean/text.py", "import bleach", "bleach belongs in clean.html"),
        ("limits/local.py", "import redis.client", "redis belongs in limits.redis"),
        ("web/read.py", "from sqlalchemy import text", "sqlalchemy belongs in store"),
        ("checks/akismet.py", "from akismet import SyncClient", "akismet belongs in services.akismet"),
        ("desk.py", "from urllib import request", "urllib.request belongs in services"),
        ("desk.py", "from http.client import HTTPConnection", "http.client belongs in services"),
        ("web/read.py", "import importlib\nimportlib.import_module('httpx')", "httpx belongs in services"),
        ("desk.py", "import numpy", "numpy, which is not in the table"),
        ("helpers.py", "", "moderate.helpers has no place in the table"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, place: str, source: str, complaint: str) -> None:
    package = planted(tmp_path, {place: source})
    assert [found for found in violations(package, RULES) if complaint in found]


def test_what_is_allowed_is_not_complained_of(tmp_path: Path) -> None:
    package = planted(
        tmp_path,
        {
            "model.py": "import enum\nfrom urllib.parse import urlsplit",
            "desk.py": "from moderate import signals\nimport moderate.checks.base\nfrom http import HTTPStatus",
            "extension.py": "if TYPE_CHECKING:\n    from sqlalchemy import Engine\n    from redis import Redis",
            "build.py": "from moderate.store.sql import SqlStore\nfrom moderate.limits.redis import RedisLimiter",
            "clean/html.py": "import bleach\nimport nh3",
        },
    )
    assert list(violations(package, RULES)) == []


def planted(folder: Path, sources: dict[str, str]) -> Path:
    """A package in which all modules that the sources speak of exist."""
    package = folder / "moderate"
    there = (
        "__init__",
        "signals",
        "desk",
        "checks/__init__",
        "checks/base",
        "store/__init__",
        "store/sql",
        "limits/redis",
    )
    for place, source in {**{f"{name}.py": "" for name in there}, **sources}.items():
        path = package / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package
