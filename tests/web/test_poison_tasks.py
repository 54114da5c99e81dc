"""Tasks that cannot be done: each ends, is given to a person with the reason, and keeps no other task waiting."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from moderate.checks.base import COMMENTS
from moderate.checks.order import CHECKS
from moderate.model import NewTask
from moderate.testing import AkismetStandIn
from tests.servers import free_port, wait_until
from tests.sites import Host
from tests.tasks import next_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moderate.checks.base import Facts
    from moderate.model import Finding, Item, Submission

POISON = "A text that no check survives"
GOOD = "A good text"


class Hook:
    """A remote check of the host that does something for one text."""

    name = "hook"
    version = 1
    remote = True
    kinds = COMMENTS

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def look(self, submission: Submission, _facts: Facts) -> Finding | None:
        if submission.body.raw == POISON:
            self._act()
        return None


def a_site(folder: Path, act: Callable[[], object], **config: Any) -> Host:
    settings = {"MODERATE_LIMITS": {}, "MODERATE_PREMODERATION": "none", **config}
    return Host(folder, extension={"checks": (*CHECKS, Hook(act))}, **settings)


def item_of(site: Host, number: int) -> Item:
    with site.app.app_context():
        found: Item = site.state.desk.store.items.get(number)
        return found


def status(site: Host, number: int) -> str:
    item = item_of(site, number)
    return f"{item.status.value} {item.awaiting.value if item.awaiting else ''}".strip()


def run(site: Host, *arguments: str) -> str:
    return site.app.test_cli_runner().invoke(args=["moderate", *arguments]).output


def drain(site: Host, *, hours: float, times: int) -> None:
    for _ in range(times):
        site.state.worker.drain()
        site.clock.advance(hours=hours)


class NoException(BaseException):
    """Raised by libraries that end green threads, and caught by no ``except Exception``."""


def recurse() -> None:
    recurse()


def fail(error: BaseException) -> Callable[[], object]:
    def raise_it() -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (fail(MemoryError()), "the check failed (MemoryError)"),
        (recurse, "the check failed (RecursionError)"),
        (fail(SystemExit(3)), "the judge task failed (SystemExit)"),
        (fail(NoException()), "the judge task failed (NoException)"),
    ],
)
def test_a_check_that_always_fails_blocks_no_thread_and_is_left_to_a_moderator(
    tmp_path: Path, act: Callable[[], object], reason: str
) -> None:
    site = a_site(tmp_path, act, MODERATE_WORKER="thread")
    poisoned = site.comment(POISON).json["id"]
    good = site.comment(GOOD).json["id"]
    wait_until(lambda: status(site, good) == "approved")
    site.state.worker.stop()
    drain(site, hours=12, times=8)
    assert status(site, poisoned) == "pending moderator"
    assert reason in {finding.reason for finding in item_of(site, poisoned).findings}


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Yield the event at which a check returns, and wait at the end for the threads that the worker has left behind."""
    before = set(threading.enumerate())
    end = threading.Event()
    yield end
    end.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)


def test_a_task_that_outlasts_the_end_of_its_worker_is_given_back(tmp_path: Path, hanging: threading.Event) -> None:
    began = threading.Event()
    site = a_site(tmp_path, lambda: (began.set(), hanging.wait()), MODERATE_WORKER="thread")
    site.comment(POISON)
    assert began.wait(30)
    site.state.worker.stop(patience=0.1)
    with site.app.app_context():
        assert next_due(site.state.desk.store.tasks) <= site.clock.now()


def test_a_check_that_never_ends_is_left_to_a_moderator_while_others_continue(
    tmp_path: Path, hanging: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    began = threading.Event()
    site = a_site(tmp_path, lambda: (began.set(), hanging.wait()), MODERATE_WORKER="thread")
    poisoned = site.comment(POISON).json["id"]
    assert began.wait(30)
    good = site.comment(GOOD).json["id"]
    assert status(site, good) == "pending checks"
    site.clock.advance(seconds=121)
    site.client.get("/thaw")
    wait_until(lambda: status(site, good) == "approved")
    wait_until(lambda: status(site, poisoned) == "pending moderator")
    assert "has not ended in 120 s; another thread goes on" in caplog.text
    assert "crashed, hung or was killed" in run(site, "tasks", "dead")
    # What comes back at last changes nothing any more.
    hanging.set()
    site.state.worker.stop()
    assert status(site, poisoned) == "pending moderator"


def test_a_task_of_a_newer_version_is_reported_after_three_days(tmp_path: Path) -> None:
    site = a_site(tmp_path, lambda: None)
    number = site.comment(GOOD).json["id"]
    store = site.state.desk.store
    with site.app.app_context():
        store.tasks.add(number, [NewTask(kind="translate:ja", due_at=site.clock.now())], site.clock.now())
    drain(site, hours=10, times=7)
    assert status(site, number) == "approved"
    assert site.client.get("/discuss/health").json["tasks"] == "ok"
    assert f"item {number}  translate:ja (of a newer version)  late by" in run(site, "tasks", "late")
    with site.app.app_context():
        (left,) = store.tasks.late(site.clock.now())
        assert left.attempts == 0
    drain(site, hours=10, times=2)
    assert "this version does not know the translate:ja task" in run(site, "tasks", "dead")
    assert site.client.get("/discuss/health").json["tasks"] == "ok"


def test_reporting_a_decision_to_akismet_is_given_up_after_two_days(tmp_path: Path) -> None:
    settings = {"MODERATE_AKISMET_KEY": "k", "MODERATE_SITE_URL": "http://localhost"}
    with AkismetStandIn(free_port()) as akismet:
        site = a_site(tmp_path, lambda: None, MODERATE_AKISMET_URL=akismet.url, **settings)
        number = site.comment(GOOD).json["id"]
        site.state.worker.drain()
        assert status(site, number) == "approved"
        port = akismet.server_address[1]
    # Its threads would go on to answer on connections that are open.
    site.state.desk.services.spam.close()
    site.decide(number, "spam", item_of(site, number).version)
    drain(site, hours=12, times=13)
    assert f"item {number}  teach" in run(site, "tasks", "dead")
    assert next_due(site.state.desk.store.tasks, ["teach"]) is None
    metrics = site.client.get("/discuss/metrics", headers=site.token()).text
    assert "moderate_tasks_given_up 1.0" in metrics
    with AkismetStandIn(port) as akismet:
        run(site, "tasks", "replay", "--all")
        site.state.worker.drain()
        assert [each.path for each in akismet.received if each.path.startswith("submit")] == ["submit-spam"]
    assert "Nothing was given up" in run(site, "tasks", "dead")
