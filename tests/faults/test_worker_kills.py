"""A worker killed (kill -9) at any line or between any two statements: nothing is lost, nothing counts twice."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import event

import moderate.akismet.feedback
import moderate.tasks.anew
import moderate.tasks.run
import moderate.tasks.scheduler
from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.testing import AkismetStandIn
from tests.factories import fill_thread
from tests.processes import PROCESSES
from tests.servers import wait_until
from tests.sites import Host
from tests.tasks import next_due, run_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import FrameType

    from tests.servers import PostgreSQL

#: What is watched line by line.
WATCHED = {
    each.__file__
    for each in (moderate.tasks.run, moderate.tasks.scheduler, moderate.tasks.anew, moderate.akismet.feedback)
}
#: Seconds after which a dead worker's lease has ended for certain.
LEASE_ENDS = moderate.tasks.scheduler.LEASE + 1
#: Seconds after which what waits is to be judged anew.
LATER = 2 * moderate.tasks.anew.EVERY.total_seconds()


class Death:
    """Kills this process at the n-th line of what is watched, or after the n-th statement that changes something."""

    def __init__(self, site: Host, sort: str, number: int) -> None:
        self.left = number
        if sort == "statement":
            event.listen(site.state.desk.store.database.engine, "after_cursor_execute", self.stated)
        else:
            sys.settrace(self.entered)

    def step(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def stated(self, _conn: object, _cursor: object, text: str, *_: Any) -> None:
        # To die after a look is to die before the next change.
        if not text.lstrip().startswith(("SELECT", "PRAGMA", "BEGIN")):
            self.step()

    def entered(self, frame: FrameType, _what: str, _argument: object) -> Callable[..., Any] | None:
        return self.stepped if frame.f_code.co_filename in WATCHED else None

    def stepped(self, _frame: FrameType, what: str, _argument: object) -> Callable[..., Any]:
        if what == "line":
            self.step()
        return self.stepped


@dataclass(frozen=True)
class Place:
    """The folder and the database of a site; without an address, the database is a file in the folder."""

    folder: Path
    database: str | None = None


def open_site(place: Place, url: str) -> Host:
    return Host(
        place.folder,
        MODERATE_DATABASE_URL=place.database,
        MODERATE_LIMITS={},
        MODERATE_AKISMET_KEY="secret-key-1234567890",
        MODERATE_AKISMET_URL=url,
        MODERATE_SITE_URL="http://localhost",
        MODERATE_PREMODERATION="none",
        MODERATE_SQLITE_SYNCHRONOUS="normal",
    )


def work(site: Host) -> None:
    with site.app.app_context():
        while run_due(site.state.desk):
            pass


def work_and_die(place: Place, url: str, sort: str, number: int) -> None:
    """A worker process; it ends well where it dies later than its work is done."""
    with closing(open_site(place, url)) as site:
        site.clock.advance(seconds=LATER)
        Death(site, sort, number)
        work(site)
        sys.settrace(None)
        site.state.desk.store.database.dispose()


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.new_database()
    upgraded = Database(url)
    upgrade(upgraded)
    upgraded.dispose()
    yield url
    server.drop_database(url)


@pytest.fixture
def prepared(tmp_path: Path, akismet: AkismetStandIn, database: str | None) -> Place:
    """A site with all sorts of work to do: good, spam, decided by a person meanwhile, contradicted by a person."""
    place = Place(tmp_path / "prepared", database)
    with closing(open_site(place, akismet.url)) as site:
        contradicted = site.comment("A good text that a moderator calls spam").json["id"]
        work(site)
        site.decide(contradicted, "spam", 2)
        for text in ("A good text", "akismet-guaranteed-spam", "akismet-guaranteed-spam, as a person saw first"):
            site.comment(text)
        site.decide(4, "approve", 1)
        # Judged anew because of a rule that is younger than they are.
        with site.app.app_context():
            about = {"status": "pending", "awaiting": "moderator", "text": "All about zeppelins"}
            fill_thread(site.state.desk.store, 2, **about)
        rule = {"kind": "word", "value": "zeppelins", "effect": "spam"}
        assert site.client.post("/discuss/moderation/rules", json=rule, headers=site.token()).status_code == 201
        site.state.desk.store.database.dispose()
    akismet.received.clear()
    return place


@pytest.fixture
def copied(
    tmp_path: Path, prepared: Place, request: pytest.FixtureRequest
) -> Callable[[str], AbstractContextManager[Place]]:
    """Makes copies of the prepared site, each to be used once."""

    @contextmanager
    def copy(name: str) -> Iterator[Place]:
        folder = tmp_path / name
        if prepared.database is None:
            shutil.copytree(prepared.folder, folder)
            yield Place(folder)
            shutil.rmtree(folder)
        else:
            server: PostgreSQL = request.getfixturevalue("postgresql")
            url = server.copy_of(prepared.database)
            yield Place(folder, url)
            server.drop_database(url)

    return copy


@pytest.fixture
def has_connections(request: pytest.FixtureRequest) -> Callable[[Place], bool]:
    """Returns whether a site's database has a session."""

    def look(place: Place) -> bool:
        if place.database is None:
            return False
        server: PostgreSQL = request.getfixturevalue("postgresql")
        name = urlsplit(place.database).path[1:]
        return bool(server.run(f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}'"))

    return look


#: The status that each item must have in the end, after any kills on the way.
EXPECTED = {1: "spam", 2: "approved", 3: "spam", 4: "approved"}


def is_settled(site: Host, akismet: AkismetStandIn) -> None:
    store = site.state.desk.store
    items = [store.items.get(number) for number in EXPECTED]
    assert {item.id: item.status.value for item in items} == EXPECTED
    assert {item.awaiting for item in items} == {None}
    assert items[3].decided_by == "mori"
    for number in (2, 3):
        # Settled once: the history has each step of an item.
        assert [entry.act for entry in store.history.of_item(number)] == ["received", "judged"]
    assert [entry.act for entry in store.history.of_item(4)] == ["received", "decided"]
    assert not any(store.counters.recount(repair=False))
    assert next_due(store.tasks) is None
    assert store.tasks.dead() == []
    for number in (5, 6):
        waiting = store.items.get(number)
        assert (waiting.status, waiting.version, store.history.of_item(number)) == ("pending", 1, [])
        assert next(finding.check for finding in waiting.findings) == "rules"
    (rule,) = store.rules.all()
    assert rule.hits == 2
    told = [received.get("comment_content") for received in akismet.received if received.path == "submit-spam"]
    # At least once, and as it was checked.
    assert set(told) == {"A good text that a moderator calls spam"}
    table = site.state.desk.services.tokens.lookup(())
    assert table.messages == (1, 1), "an item was learned twice"


def die_and_do_again(
    place: Place, akismet: AkismetStandIn, has_connections: Callable[[Place], bool], sort: str, number: int
) -> int | None:
    """Have one worker die, and another one finish; returns how the first has ended."""
    worker = PROCESSES.Process(target=work_and_die, args=(place, akismet.url, sort, number))
    worker.start()
    worker.join(60)
    # A session whose client was killed holds its locks until the server has noticed, and locked tasks are passed over.
    wait_until(lambda: not has_connections(place))
    with closing(open_site(place, akismet.url)) as site:
        site.clock.advance(seconds=LEASE_ENDS + LATER)
        work(site)
        site.clock.advance(seconds=LATER)
        work(site)
        is_settled(site, akismet)
        site.state.desk.store.database.dispose()
    return worker.exitcode


@pytest.mark.parametrize("sort", ["statement", "line"])
def test_tasks_of_a_killed_worker_are_done_after_their_lease_ends(
    copied: Callable[[str], AbstractContextManager[Place]],
    akismet: AkismetStandIn,
    has_connections: Callable[[Place], bool],
    database: str | None,
    sort: str,
) -> None:
    # Every statement, and some lines: between most of these nothing happens that could be lost.
    numbers = itertools.count(1, 1 if sort == "statement" else 37 if database is None else 47)
    killed = 0
    for number in numbers:
        akismet.received.clear()
        with copied(f"{sort}-{number}") as place:
            exitcode = die_and_do_again(place, akismet, has_connections, sort, number)
        if exitcode == 0:
            break
        assert exitcode == -signal.SIGKILL
        killed += 1
    assert killed > 10, killed
