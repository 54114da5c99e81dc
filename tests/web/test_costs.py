"""The work of each kind of request, counted: statements, transactions, commands to Redis, calls of our functions.

Nothing is timed, so a change that makes a request do more fails here on any machine. Of statements, transactions and
commands none more is allowed than stand in `COSTS`, and `ROOM` times the calls. A failure shows what was counted. Where
a change makes a request do less, write that into its line.
"""

from __future__ import annotations

import gc
import re
import sys
from itertools import count, groupby
from operator import gt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import redis
from sqlalchemy import event

import moderate
from bench.requests_site import KEYS, MARKED_UP, PLAIN, texts
from moderate import Moderator
from tests.redis_servers import PATIENT, monitored
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tests.servers import PostgreSQL

PACKAGE = str(Path(moderate.__file__).parent)
#: Frames that newer versions of Python do without, and of what fills a cache by the word, which may be full already.
NOT_COUNTED = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "__missing__"})
ROOM = 1.1

#: The values in a statement that SQLite reports, which differ between the rows that one call writes.
VALUES = re.compile(r"'(?:[^']|'')*'|\b[0-9.]+\b|\bNULL\b")
LOGGED = re.compile(r"LOG: +(?:statement|execute [^:]+): (.*)")


class Cost(NamedTuple):
    """The work of one request."""

    statements: int
    transactions: int
    redis: int
    calls: int


#: The most that each kind of request may cost, on SQLite and on PostgreSQL.
COSTS: dict[str, tuple[Cost, Cost]] = {
    "decision": (Cost(5, 1, 1, 169), Cost(2, 0, 1, 149)),
    "queue JSON": (Cost(2, 0, 0, 404), Cost(2, 0, 0, 418)),
    "queue page": (Cost(2, 0, 0, 2633), Cost(2, 0, 0, 2650)),
    "counts of 50": (Cost(1, 0, 0, 33), Cost(1, 0, 0, 44)),
    "thread 304": (Cost(1, 0, 0, 50), Cost(1, 0, 0, 54)),
    "article page": (Cost(1, 0, 0, 175), Cost(1, 0, 0, 179)),
    "POST with markup": (Cost(4, 1, 1, 416), Cost(2, 0, 1, 399)),
    "POST plain": (Cost(4, 1, 1, 293), Cost(2, 0, 1, 276)),
    "reply": (Cost(6, 1, 1, 332), Cost(4, 0, 1, 322)),
    "trackback": (Cost(6, 1, 1, 345), Cost(3, 0, 1, 320)),
    "suspicious POST": (Cost(6, 1, 1, 370), Cost(2, 0, 1, 319)),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Site:
    plenty = [f"1000000/{each}" for each in ("hour per client", "day per client", "hour per article", "day per site")]
    config: dict[str, Any] = {
        "MODERATE_REDIS_URL": redis_url + PATIENT,
        "MODERATE_LIMITS": {"comments": plenty, "pings": plenty},
        "MODERATE_MAX_LINKS": 10,
    }
    if request.param == "sqlite":
        host = Host(tmp_path, **config)
        return Site(host, redis_url, driver_statements(host))
    url = request.getfixturevalue("pg_url")
    sent = server_statements(request.getfixturevalue("postgresql"), url)
    return Site(Host(tmp_path, MODERATE_DATABASE_URL=url, **config), redis_url, sent)


def driver_statements(host: Host) -> Callable[[], list[str]]:
    """Return a function that returns what was sent to SQLite since its last call, whatever code has sent it."""
    sent: list[str] = []
    engine = host.state.desk.store.database.engine
    event.listen(engine, "connect", lambda raw, _: raw.set_trace_callback(sent.append))
    engine.dispose()

    def taken() -> list[str]:
        found, sent[:] = [VALUES.sub("?", statement) for statement in sent], []
        return found

    return taken


def server_statements(server: PostgreSQL, url: str) -> Callable[[], list[str]]:
    """Return the same function for PostgreSQL, which logs all statements in one database."""
    server.run(f"ALTER DATABASE \"{url.rpartition('/')[2]}\" SET log_statement = 'all'")
    start = len(server.log)

    def taken() -> list[str]:
        nonlocal start
        found, start = LOGGED.findall(server.log[start:]), len(server.log)
        return found

    return taken


class Site:
    """A host with some comments on each article and sixty that wait, and what is counted while it works."""

    def __init__(self, host: Host, redis_url: str, taken: Callable[[], list[str]]) -> None:
        self.host, self._redis_url, self._taken = host, redis_url, taken
        self.client = host.app.test_client(use_cookies=False)
        self._texts = {beginning: texts(beginning) for beginning in (MARKED_UP, PLAIN)}
        for key in KEYS:
            host.add_article(key)
        with host.app.app_context():
            host.moderate.create_tables()
            for key in [*KEYS[:9], *["thaw"] * 20]:
                item = host.moderate.submit(key, next(self._texts[MARKED_UP]), author="Mika").item
                host.moderate.decide(item.id, "approve", version=1, by="mori")
        page = self.client.get("/article-1").text
        self.token = found(r'name="form_token" value="([^"]+)"', page)
        host.clock.advance(seconds=60)
        for _ in range(60):
            self.post(MARKED_UP)
        self.host.moderator = Moderator("mori")
        self.csrf = {"X-CSRF-Token": found(r'data-csrf="([^"]+)"', self.client.get("/discuss/moderation/").text)}
        waiting = self.client.get("/discuss/moderation/items?status=pending&limit=200").json["items"]
        self._waiting = iter([item["id"] for item in reversed(waiting)])

    def post(self, text: str, token: str | None = None, **more: object) -> None:
        values = {"author": "Mika", "email": "mika@mail.example", "form_token": token or self.token, **more}
        answer = self.client.post("/discuss/comments/article-1", data={**values, "text": next(self._texts[text])})
        assert answer.status_code == 303, answer.text

    def decide(self) -> None:
        path = f"/discuss/moderation/items/{next(self._waiting)}/decisions"
        answer = self.client.post(path, json={"decision": "approve", "version": 1}, headers=self.csrf)
        assert answer.status_code == 200, answer.text

    def get(self, path: str, status: int = 200, **headers: str) -> None:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == status, answer.text

    def jobs(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the kinds of requests; those of a reader are sent by nobody who is signed in."""
        yield "decision", self.decide
        yield "queue JSON", lambda: self.get("/discuss/moderation/items?status=pending&limit=50")
        yield "queue page", lambda: self.get("/discuss/moderation/")
        self.host.moderator = None
        yield "counts of 50", lambda: self.get("/discuss/counts?" + "&".join(f"article={key}" for key in KEYS))
        tag = self.client.get("/discuss/comments/thaw").headers["ETag"]
        yield "thread 304", lambda: self.get("/discuss/comments/thaw", 304, **{"If-None-Match": tag})
        yield "article page", lambda: self.get("/thaw")
        yield "POST with markup", lambda: self.post(MARKED_UP)
        yield "POST plain", lambda: self.post(PLAIN)
        first = self.client.get("/discuss/comments/article-1").json["items"][0]["id"]
        yield "reply", lambda: self.post(PLAIN, parent=first)
        sources = count()
        sent = {"title": "Late again", "excerpt": "The harbour log tells why."}
        address = "https://blog.example/{}"
        ping = "/discuss/trackback/article-1"
        yield "trackback", lambda: self.client.post(ping, data={**sent, "url": address.format(next(sources))})
        fresh = found(r'name="form_token" value="([^"]+)"', self.client.get("/article-1").text)
        yield "suspicious POST", lambda: self.post(PLAIN, fresh)

    def cost(self, job: Callable[[], None]) -> tuple[Cost, list[str]]:
        """Return the work of a job, and its statements. It is done twice before, so that caches are filled."""
        calls = 0

        def look(frame: FrameType, kind: str, _: Any) -> None:
            nonlocal calls
            code = frame.f_code
            calls += kind == "call" and code.co_filename.startswith(PACKAGE) and code.co_name not in NOT_COUNTED

        # The first time with a sender who is new.
        for _ in range(2):
            job()
        self._taken()
        with redis.Redis.from_url(self._redis_url, socket_timeout=30) as client, monitored(client) as commands:
            # The collector would end what earlier tests have left, within the request.
            gc.disable()
            sys.setprofile(look)
            try:
                job()
            finally:
                sys.setprofile(None)
                gc.enable()
        sent = self._taken()
        begun = sum(statement.startswith("BEGIN") for statement in sent)
        statements = [each for statement, same in groupby(sent) for each in once(statement, same)]
        return Cost(len(statements), begun, len(commands), calls), statements


def once(statement: str, same: Iterator[str]) -> list[str]:
    """Return equal statements in a row without BEGIN and COMMIT. One call may write several rows: it counts once."""
    if statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
        return []
    return [statement] if statement.startswith(("INSERT", "UPDATE", "DELETE")) else list(same)


def found(pattern: str, page: str) -> str:
    match = re.search(pattern, page)
    assert match is not None, page
    return match[1]


def test_no_request_does_more_than_its_table_says(site: Site) -> None:
    is_sqlite = site.host.state.desk.store.database.dialect == "sqlite"
    complaints = []
    for name, job in site.jobs():
        cost, statements = site.cost(job)
        most = COSTS[name][0 if is_sqlite else 1]
        if any(map(gt, cost, most._replace(calls=int(most.calls * ROOM)))):
            complaints += [
                f"{name}: {cost}, not {most}",
                *("    " + " ".join(each.split())[:120] for each in statements),
            ]
    assert not complaints, "\n" + "\n".join(complaints)
