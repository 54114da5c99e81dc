"""Fixtures for all tests: the shared corpora, private servers, a real browser.

Servers are started when a test first asks for one, once per test process, and stopped at its end.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.mariadb_servers import MariaDB
from tests.servers import ROOT, Gunicorn, PostgreSQL, Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

#: Chromium connects only to this machine, also when a hostile page loads other addresses.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)

#: Seconds that a thread may take to end after its app was closed, on a loaded machine.
THREAD_ENDS_WITHIN = 20

# How long one example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the browser, so that `-m "not browser"` leaves them all out."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(autouse=True)
def _no_host_outlives_its_test() -> Iterator[None]:
    """Close the hosts of a test, and fail where one of their threads goes on after it.

    A connection left open would be reported in whichever test runs when it is collected.
    """
    before = set(threading.enumerate())
    yield
    sites = sys.modules.get("tests.sites")
    if sites is not None:
        sites.close_all()
    left = [thread for thread in threading.enumerate() if is_ours(thread) and thread not in before]
    for thread in left:
        thread.join(THREAD_ENDS_WITHIN)
    names = [thread.name for thread in left if thread.is_alive()]
    assert names == [], f"threads go on after the test, so an app was not closed: {names}"


def is_ours(thread: threading.Thread) -> bool:
    """Return whether an app of this package has started the thread."""
    return thread.name.startswith("moderate-")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of shared test data beside the repository."""
    folder = ROOT.parent / "shared" / "corpora"
    if not folder.is_dir():
        pytest.skip("the shared corpora are not on this machine")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private PostgreSQL cluster."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def pg_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The SQLAlchemy address of a fresh and empty database."""
    url = postgresql.new_database()
    yield url
    postgresql.drop_database(url)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A private MariaDB server."""
    with MariaDB() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> Iterator[str]:
    """The SQLAlchemy address of a fresh and empty database."""
    url = mariadb.new_database()
    yield url
    mariadb.drop_database(url)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A private redis-server. Use `redis_url` where it has to be empty."""
    with Redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The address of the private redis-server, with nothing in it."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def gunicorn_app() -> Iterator[Callable[..., Gunicorn]]:
    """Start applications under gunicorn: `gunicorn_app("package.module:create_app()", workers=3)`."""
    with contextlib.ExitStack() as running:

        def start(target: str, **settings: object) -> Gunicorn:
            return running.enter_context(Gunicorn(target, **settings))

        yield start


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium, the machine's own.

    As long as it runs, the test process has a running event loop: `asyncio.run` would refuse to work.
    """
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path is not None, "chromium is not installed: run `make test`, or install the package chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with cookies and storage of its own."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
