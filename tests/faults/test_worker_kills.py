"""A worker killed (kill -9) at any line or between any two statements: nothing is lost, nothing counts twice."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

import moderate.acts.lanes
import moderate.acts.teaching
import moderate.recheck
from moderate.testing import AkismetStandIn
from tests.processes import PROCESSES
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

#: What is watched line by line.
WATCHED = {moderate.recheck.__file__, moderate.acts.teaching.__file__}
#: Seconds after which a dead worker's lease has ended for certain.
LEASE_ENDS = moderate.acts.lanes.LEASE + 1


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


def open_site(folder: Path, url: str) -> Host:
    return Host(
        folder,
        MODERATE_LIMITS={},
        MODERATE_AKISMET_KEY="secret-key-1234567890",
        MODERATE_AKISMET_URL=url,
        MODERATE_SITE_URL="http://localhost",
        MODERATE_PREMODERATION="none",
        MODERATE_SQLITE_SYNCHRONOUS="normal",
    )


def work(site: Host) -> None:
    with site.app.app_context():
        while moderate.recheck.run_due(site.state.desk):
            pass


def work_and_die(folder: Path, url: str, sort: str, number: int) -> None:
    """A worker process; it ends well where it dies later than its work is done."""
    with closing(open_site(folder, url)) as site:
        Death(site, sort, number)
        work(site)
        sys.settrace(None)


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def prepared(tmp_path: Path, akismet: AkismetStandIn) -> Path:
    """A site with all sorts of work to do: good, spam, decided by a person meanwhile, contradicted by a person."""
    folder = tmp_path / "prepared"
    with closing(open_site(folder, akismet.url)) as site:
        contradicted = site.comment("A good text that a moderator calls spam").json["id"]
        work(site)
        site.decide(contradicted, "spam", 2)
        for text in ("A good text", "akismet-guaranteed-spam", "akismet-guaranteed-spam, as a person saw first"):
            site.comment(text)
        site.decide(4, "approve", 1)
        site.state.desk.store.database.dispose()
    akismet.received.clear()
    return folder


#: Where each item must stand in the end, whatever was killed on the way.
EXPECTED = {1: "spam", 2: "approved", 3: "spam", 4: "approved"}


def is_settled(site: Host, akismet: AkismetStandIn) -> None:
    store = site.state.desk.store
    items = [store.item(number) for number in EXPECTED]
    assert {item.id: item.status.value for item in items} == EXPECTED
    assert {item.awaiting for item in items} == {None}
    assert items[3].decided_by == "mori"
    for number in (2, 3):
        # Settled once: each step of an item's life stands in its history.
        assert [entry.act for entry in store.history(number)] == ["received", "judged"]
    assert [entry.act for entry in store.history(4)] == ["received", "decided"]
    assert not any(store.recount(repair=False))
    assert store.next_due() is None
    assert store.dead_tasks() == []
    told = [received.get("comment_content") for received in akismet.received if received.path == "submit-spam"]
    # At least once, and as it was checked.
    assert set(told) == {"A good text that a moderator calls spam"}
    table = site.state.desk.services.tokens.lookup(())
    assert table.messages == (1, 1), "an item was learned twice"


@pytest.mark.parametrize("sort", ["statement", "line"])
def test_whatever_a_killed_worker_left_is_done_once_its_lease_has_ended(
    tmp_path: Path, prepared: Path, akismet: AkismetStandIn, sort: str
) -> None:
    # Every statement, and every seventh line: between most lines nothing happens that could be lost.
    numbers = itertools.count(1, 1 if sort == "statement" else 7)
    killed = 0
    for number in numbers:
        folder = tmp_path / f"{sort}-{number}"
        shutil.copytree(prepared, folder)
        akismet.received.clear()
        worker = PROCESSES.Process(target=work_and_die, args=(folder, akismet.url, sort, number))
        worker.start()
        worker.join(60)
        with closing(open_site(folder, akismet.url)) as site:
            site.clock.advance(seconds=LEASE_ENDS)
            work(site)
            is_settled(site, akismet)
            site.state.desk.store.database.dispose()
        shutil.rmtree(folder)
        if worker.exitcode == 0:
            break
        assert worker.exitcode == -signal.SIGKILL
        killed += 1
    assert killed > 20, killed
