"""Storing a task wakes a worker: no decision, edit or notice waits until a worker polls again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import pytest
import redis
from sqlalchemy import event

from moderate.clock import SystemClock
from moderate.errors import ServiceDown
from moderate.model import NewTask
from moderate.redis import QUIET, WorkerChannel
from moderate.tasks import scheduler
from moderate.tasks.housekeeping import CHECK_UP
from moderate.tasks.run import HANDLERS
from moderate.testing import AkismetStandIn, ManualClock
from tests.servers import wait_until
from tests.sites import Host
from tests.tasks import next_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SITE = {"MODERATE_LIMITS": {}, "MODERATE_AKISMET_KEY": "k", "MODERATE_SITE_URL": "http://localhost"}


class Listener:
    """Listens for the wake-up message as a worker does."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._line = self._client.pubsub(ignore_subscribe_messages=True)
        self._line.psubscribe("moderate:work:*")
        # Messages that are sent before Redis has the subscription are lost.
        wait_until(lambda: self._client.pubsub_numpat() == 1)
        self.silence()

    def silence(self) -> None:
        """Skip all messages that were published up to now."""
        self._client.publish("moderate:work:begin", b"")
        while self.channel() != b"moderate:work:begin":
            pass

    def hears(self) -> bool:
        return any(self._line.get_message(timeout=0.5) is not None for _ in range(20))

    def hears_nothing(self) -> bool:
        """Return whether no message was published up to now: Redis delivers them in order, this one last."""
        self._client.publish("moderate:work:end", b"")
        return self.channel() == b"moderate:work:end"

    def channel(self) -> bytes:
        """Return the channel of the next ring."""
        heard: list[Any] = []
        wait_until(lambda: bool(heard.append(self._line.get_message(timeout=0.5)) or heard[-1]))
        found: bytes = heard[-1]["channel"]
        return found

    def close(self) -> None:
        self._line.close()
        self._client.close()


@pytest.fixture
def listener(redis_url: str) -> Iterator[Listener]:
    listener = Listener(redis_url)
    yield listener
    listener.close()


@pytest.fixture
def site(tmp_path: Path, redis_url: str) -> Host:
    return Host(tmp_path, MODERATE_REDIS_URL=redis_url, MODERATE_EDIT_WINDOW=60, **SITE)


def bulk(site: Host, number: int) -> Any:
    body = {"decision": "spam", "items": [{"id": number, "version": 1}]}
    return site.client.post("/discuss/moderation/decisions", json=body, headers=site.token())


def undo(site: Host, number: int) -> Any:
    batch = bulk(site, number).json["batch"]
    return site.client.post("/discuss/moderation/undo", json={"batch": batch}, headers=site.token())


def edit(site: Host, number: int) -> Any:
    token = site.comment("Another one").json["edit_token"]
    body = {"text": "Something else", "edit_token": token}
    return site.client.patch(f"/discuss/items/{number + 1}", json=body)


def replay(site: Host, number: int) -> Any:
    del number
    with site.app.app_context():
        store = site.state.desk.store
        store.tasks.bury(store.tasks.lease_due(site.clock.now(), limit=1, seconds=60)[0], "no answer")
    return site.app.test_cli_runner().invoke(args=["moderate", "tasks", "replay", "--all"])


ACTS = {
    "a comment": lambda site, _: site.comment("One more"),
    "a decision": lambda site, number: site.decide(number, "spam"),
    "a decision about several": bulk,
    "an undo": undo,
    "an edit": edit,
    "a task that is tried again": replay,
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_workers_are_woken_by_every_change_that_leaves_a_task(
    site: Host, listener: Listener, act: Callable[[Host, int], Any]
) -> None:
    number = site.comment().json["id"]
    listener.silence()
    site.clock.advance(seconds=1)
    act(site, number)
    assert listener.hears()


def test_distant_tasks_and_decisions_without_effect_wake_no_worker(site: Host, listener: Listener) -> None:
    number = site.comment().json["id"]
    site.decide(number, "spam")
    listener.silence()
    site.decide(number, "spam")
    with site.app.app_context():
        later = site.clock.now() + CHECK_UP
        site.state.desk.store.tasks.add(number, [NewTask(kind="look", due_at=later)], site.clock.now())
    assert listener.hears_nothing()


def test_the_worker_thread_of_the_process_is_woken_by_a_decision_at_once(tmp_path: Path) -> None:
    with AkismetStandIn() as akismet:
        site = Host(tmp_path, MODERATE_AKISMET_URL=akismet.url, **SITE)
        site.state.worker.work()
        number = site.comment("A good text").json["id"]
        store = site.state.desk.store
        wait_until(lambda: next_due(store.tasks) is None, within=30)
        asleep = site.state.worker._pool._wake_worker
        wait_until(lambda: not asleep.is_set(), within=30)
        site.decide(number, "spam", store.items.get(number).version)
        wait_until(lambda: any(each.path == "submit-spam" for each in akismet.received), within=30)
        site.state.worker.stop()


class HastyClock(ManualClock):
    """A minute goes by at every look."""

    def now(self) -> datetime:
        self.advance(minutes=1)
        return super().now()


def test_housekeeping_runs_even_while_tasks_are_waiting(tmp_path: Path) -> None:
    clock = HastyClock()
    site = Host(tmp_path, MODERATE_LIMITS={}, extension={"clock": clock})
    desk = site.state.desk
    for number in range(1, 31):
        site.comment(f"Text number {number}, {number * 7919}")
        site.decide(number, "approve")
    began = clock.now()
    assert site.state.worker.drain() >= 30
    hours = range(int(began.timestamp() // 3600), int(clock.now().timestamp() // 3600))
    assert len(hours) > 2
    # Not only at the beginning and at the end. Of the earlier hours nothing is remembered any more.
    assert desk.store.nonces.is_used(f"housekeeping:{hours[-1]}", clock.now())


def test_two_sites_with_one_secret_on_one_redis_wake_only_their_own_workers(
    tmp_path: Path, redis_url: str, listener: Listener
) -> None:
    channels = []
    for name in ("one", "two", "one"):
        site = Host(tmp_path / name, MODERATE_REDIS_URL=redis_url, MODERATE_WORKER="external", **SITE)
        site.comment(f"From {name}")
        channels.append(listener.channel())
    assert channels[0] == channels[2] != channels[1]


def test_what_is_written_soon_after_a_message_is_found_by_a_second_look_without_another_one(redis_url: str) -> None:
    clock, looks, over = ManualClock(), Queue[float](), threading.Event()
    channel = WorkerChannel(redis.Redis.from_url(redis_url), clock, lambda: "work", is_ours=True)
    with ThreadPoolExecutor(1) as threads:
        listening = threads.submit(channel.subscribe, lambda: looks.put(time.monotonic()), over.is_set)
        try:
            # The first look, at the beginning, has a second one too: a message may have been sent just before.
            for _ in range(3):
                first = looks.get(timeout=30)
                assert looks.get(timeout=30) - first >= QUIET
                with pytest.raises(Empty):
                    looks.get(timeout=3 * QUIET)
                channel.publish()
                channel.publish()
                clock.advance(seconds=QUIET)
        finally:
            over.set()
    assert listening.result() is None
    channel.close()


def test_closing_the_redis_client_of_a_listening_worker_only_stops_notifications(redis_url: str) -> None:
    """As at the end of a process, whose threads are still waiting."""
    client = redis.Redis.from_url(redis_url)
    channel = WorkerChannel(client, ManualClock(), lambda: "work")
    for _ in range(20):
        listens = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            listening = threads.submit(channel.subscribe, listens.set, lambda: False)
            assert listens.wait(10)
            while not listening.done():
                client.close()
            assert isinstance(listening.exception(), ServiceDown)


def test_a_redis_that_is_down_is_asked_again_after_a_rest_and_not_at_each_change() -> None:
    class Gone(redis.Redis):
        asked = 0

        def publish(self, *args: Any, **options: Any) -> Any:
            self.asked += 1
            raise redis.ConnectionError

    client, clock = Gone(), ManualClock()
    channel = WorkerChannel(client, clock, lambda: "work")
    for _ in range(3):
        channel.publish()
    assert client.asked == 1
    clock.advance(seconds=10)
    channel.publish()
    assert client.asked == 2


# --- while there is nothing to do ---------------------------------------------------------------------


class SameHour(SystemClock):
    """A clock by which no duty of another hour falls due."""

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_idle_worker_asks_the_database_one_thing_at_each_poll(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "POLL", 0.1)
    site = Host(tmp_path, MODERATE_REDIS_URL=redis_url, MODERATE_LIMITS={}, extension={"clock": SameHour()})
    site.comment("Before")
    site.state.worker.work()
    asked: list[str] = []
    event.listen(site.state.desk.store.database.engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    pool = site.state.worker._pool
    # The duties at the start are over once it has done nothing else for six polls.
    wait_until(lambda: len(asked) > 6 and asked[-6:] == asked[-1:] * 6, within=60)
    began = time.monotonic()
    asked.clear()
    wait_until(lambda: len(asked) >= 6, within=60)
    assert len(asked) - 1 <= (time.monotonic() - began) / 0.1
    assert set(asked) == {asked[0]}
    assert "FROM moderate_tasks" in asked[0]
    pool.wake()
    site.state.worker.stop()


def test_a_task_that_falls_due_before_the_next_poll_is_done_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "POLL", 3600.0)
    site = Host(tmp_path, MODERATE_LIMITS={}, extension={"clock": SystemClock()})
    desk = site.state.desk
    number = site.comment("Later").json["id"]
    done = threading.Event()
    monkeypatch.setitem(HANDLERS, "teach", lambda desk, task: (desk.store.tasks.finish(task), done.set()))
    site.state.worker.work()
    wait_until(lambda: not site.state.worker._pool._wake_worker.is_set())
    with site.app.app_context():
        for wait in (0.5, 1.0):
            # Nobody is woken by what is not due, but by the decision that comes with it.
            due = desk.clock.now() + timedelta(seconds=wait)
            desk.store.tasks.add(number, [NewTask(kind="teach", due_at=due)], desk.clock.now())
            site.state.worker.wake()
            assert done.wait(30), "it waited for the next poll"
            assert desk.clock.now() >= due
            done.clear()
    site.state.worker.stop()


def after_four(host: Host, *, alone: bool) -> scheduler.OwnTasks:
    """Return the own tasks of a process that has done four of twelve."""
    desk, own = host.state.desk, scheduler.OwnTasks(alone=alone)
    for number in range(1, 13):
        desk.store.tasks.add(number, [NewTask(kind="teach", due_at=host.clock.now())], host.clock.now())
    with host.app.app_context():
        for _ in range(4):
            desk.store.tasks.finish(own.take(desk))
    return own


def free(host: Host) -> set[int]:
    """Return the ids of the tasks that another worker may lease now."""
    return {task.id for task in host.state.desk.store.tasks.lease_due(host.clock.now(), limit=50, seconds=0)}


def test_tasks_are_leased_together_only_while_they_take_little_time(host: Host) -> None:
    own = after_four(host, alone=False)
    # One, then two, then four: three of those have not begun.
    assert len(free(host)) == 5
    host.clock.advance(seconds=scheduler.HELD)
    slow, left = own.take(host.state.desk), free(host)
    assert (len(left), slow.id in left) == (7, False)


def test_where_a_process_may_die_once_each_task_is_leased_alone(host: Host) -> None:
    after_four(host, alone=True)
    assert len(free(host)) == 8


def test_what_was_requested_again_before_it_was_begun_is_no_death_once_it_is_given_back(host: Host) -> None:
    desk, own = host.state.desk, after_four(host, alone=False)
    again = own._held[0]
    desk.store.tasks.add(again.item, [NewTask(kind="teach", due_at=host.clock.now())], host.clock.now())
    own.give_back(desk)
    found = desk.store.tasks.lease_due(host.clock.now(), limit=50, seconds=0)
    assert [task.deaths for task in found if task.id == again.id] == [0]
