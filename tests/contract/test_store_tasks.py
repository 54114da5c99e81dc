"""Deferred work: leased once, never lost, kept where it cannot be done. On every store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.model import NewTask
from tests.factories import HELD, NOON, a_comment
from tests.tasks import next_due

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.model import Task
    from moderate.store.store import Store


def seconds(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def with_task(store: Store, kind: str = "judge", due: float = 0, **payload: object) -> int:
    return store.items.record(
        a_comment(), HELD, [NewTask(kind=kind, due_at=seconds(due), payload=payload)], NOON
    ).item.id


def lease(store: Store, at: float = 0, **changes: object) -> list[Task]:
    return store.tasks.lease_due(seconds(at), **{"limit": 50, "seconds": 60, **changes})


def test_a_task_is_leased_when_it_is_due(store: Store) -> None:
    item = with_task(store, due=10, to="mo")
    assert lease(store, 9.999) == []
    (task,) = lease(store, 10)
    assert (task.kind, task.item, task.payload, task.attempts) == ("judge", item, {"to": "mo"}, 1)
    assert (task.due_at, task.created_at) == (seconds(10), NOON)


def test_a_leased_task_is_unavailable_to_others_until_its_lease_ends(store: Store) -> None:
    with_task(store)
    (task,) = lease(store)
    assert lease(store, 59.9) == []
    (again,) = lease(store, 60)
    assert (again.id, again.attempts) == (task.id, 2)
    assert again.lease != task.lease


def test_the_oldest_tasks_come_first_and_no_more_than_asked_for(store: Store) -> None:
    late, early, middle = with_task(store, due=3), with_task(store, due=1), with_task(store, due=2)
    assert [task.item for task in lease(store, 9, limit=2)] == [early, middle]
    assert [task.item for task in lease(store, 9, limit=2)] == [late]


def test_only_the_kinds_that_were_asked_for_are_leased(store: Store) -> None:
    with_task(store, "judge")
    with_task(store, "mail")
    assert [task.kind for task in lease(store, kinds=["mail", "fetch"])] == ["mail"]
    assert lease(store, kinds=[]) == []
    assert [task.kind for task in lease(store)] == ["judge"]


def test_a_finished_task_is_gone(store: Store) -> None:
    with_task(store)
    (task,) = lease(store)
    store.tasks.finish(task)
    assert lease(store, 1e6) == []
    assert next_due(store.tasks) is None


def test_a_failed_task_is_rescheduled_with_the_reason(store: Store) -> None:
    with_task(store)
    (task,) = lease(store)
    store.tasks.retry(task, seconds(300), "no answer")
    assert lease(store, 299) == []
    (again,) = lease(store, 300)
    assert (again.attempts, again.error) == (2, "no answer")


def test_a_worker_without_a_lease_cannot_change_the_task(store: Store) -> None:
    with_task(store)
    (lost,) = lease(store)
    (held,) = lease(store, 61)
    store.tasks.finish(lost)
    store.tasks.retry(lost, seconds(62), "late")
    store.tasks.bury(lost, "late")
    assert lease(store, 100) == []
    assert store.tasks.dead() == []
    store.tasks.finish(held)
    assert lease(store, 1e6) == []


def test_an_item_has_one_open_task_of_a_kind_due_at_the_earlier_time(store: Store) -> None:
    item = with_task(store, due=600, n=1)
    store.tasks.add(item, [NewTask(kind="judge", due_at=seconds(30), payload={"n": 2})], NOON)
    store.tasks.add(item, [NewTask(kind="judge", due_at=seconds(900), payload={"n": 3})], NOON)
    assert lease(store, 29) == []
    (task,) = lease(store, 1e6)
    assert task.payload == {"n": 3}


def test_a_task_requested_again_while_it_runs_is_run_again(store: Store) -> None:
    for end in ("finish", "retry", "bury"):
        item = with_task(store)
        (task,) = lease(store)
        store.tasks.add(item, [NewTask(kind="judge", due_at=seconds(1))], NOON)
        # The worker still runs it: no other begins the same work meanwhile.
        assert lease(store, 2) == []
        if end == "finish":
            store.tasks.finish(task)
        elif end == "retry":
            store.tasks.retry(task, seconds(9000), "no answer")
        else:
            store.tasks.bury(task, "cannot be done")
        (again,) = lease(store, 2)
        assert again.item == item
        store.tasks.finish(again)


def test_a_buried_task_is_kept_for_a_moderator(store: Store) -> None:
    item = with_task(store, to="mo")
    (task,) = lease(store)
    store.tasks.bury(task, "poison")
    assert lease(store, 1e6) == []
    assert store.tasks.lag(seconds(1e6)) == 0
    (dead,) = store.tasks.dead()
    assert (dead.id, dead.item, dead.error, dead.payload) == (task.id, item, "poison", {"to": "mo"})


def test_a_moderator_can_retry_a_buried_task(store: Store) -> None:
    item = with_task(store)
    (task,) = lease(store)
    store.tasks.bury(task, "poison")
    assert store.tasks.revive(task.id, seconds(5))
    assert not store.tasks.revive(task.id, seconds(5))
    (again,) = lease(store, 5)
    assert (again.item, again.attempts) == (item, 1)


def test_a_buried_task_stays_where_a_newer_one_is_open(store: Store) -> None:
    item = with_task(store)
    (task,) = lease(store)
    store.tasks.bury(task, "poison")
    store.tasks.add(item, [NewTask(kind="judge", due_at=NOON)], NOON)
    assert not store.tasks.revive(task.id, NOON)
    assert len(store.tasks.dead()) == 1
    assert len(lease(store)) == 1


def test_the_lag_is_the_age_of_the_oldest_task_that_is_due(store: Store) -> None:
    assert store.tasks.lag(NOON) == 0
    with_task(store, due=10)
    with_task(store, due=20)
    assert store.tasks.lag(seconds(5)) == 0
    assert store.tasks.lag(seconds(25)) == 15


def test_a_task_due_at_once_is_due_even_after_the_clock_was_set_back(store: Store) -> None:
    store.tasks.add(1, [NewTask(kind="verify", due_at=NOON)], NOON)
    store.tasks.add(1, [NewTask(kind="look", due_at=NOON + timedelta(minutes=5))], NOON)
    earlier = NOON - timedelta(hours=1)
    (task,) = store.tasks.lease_due(earlier, limit=9, seconds=60)
    assert task.kind == "verify"
    store.tasks.retry(task, earlier + timedelta(minutes=20), "no answer")
    assert store.tasks.lease_due(earlier, limit=9, seconds=60) == []
    assert [again.kind for again in store.tasks.lease_due(earlier + timedelta(minutes=20), limit=9, seconds=60)] == [
        "verify"
    ]


def test_a_host_whose_clock_is_ahead_does_not_take_away_its_own_task_from_one_behind(store: Store) -> None:
    store.tasks.add(1, [NewTask(kind="verify", due_at=NOON)], NOON)
    assert store.tasks.lease_due(NOON - timedelta(minutes=5), limit=9, seconds=60)
    assert store.tasks.lease_due(NOON + timedelta(seconds=5), limit=9, seconds=60) == []
    assert store.tasks.lease_due(NOON + timedelta(seconds=61), limit=9, seconds=60)


def test_tasks_of_unknown_kinds_are_left_to_others_for_three_days(store: Store) -> None:
    for kind in ("judge:ping", "judgement", "mail"):
        with_task(store, kind)
    assert [task.kind for task in lease(store, known=("judge",))] == ["judge:ping"]
    assert store.tasks.lag(seconds(90), known=("judge",)) == 90
    three_days = timedelta(days=3).total_seconds()
    assert [task.attempts for task in lease(store, three_days - 1, known=("judge",))] == [2]
    assert [task.attempts for task in lease(store, three_days, known=("judge",))] == [1, 1]


def test_a_lease_that_a_clock_far_ahead_has_left_behind_ends_when_the_clock_is_right_again(store: Store) -> None:
    """The worker was killed before the clock was set back; its task must not wait until that time comes."""
    with_task(store)
    ahead = timedelta(days=400).total_seconds()
    assert lease(store, ahead)
    assert lease(store, 1, takes_over=False) == []
    (again,) = lease(store, 1)
    assert again.deaths == 1
    assert lease(store, 2) == []


def test_a_lease_of_a_task_from_the_future_holds_for_a_worker_whose_clock_is_a_little_behind(store: Store) -> None:
    later = seconds(3600)
    store.tasks.add(1, [NewTask(kind="judge", due_at=later)], later)
    assert lease(store, 10)
    assert [lease(store, at) for at in (9.9, 10, 0, -590)] == [[], [], [], []]


def test_expired_leases_of_other_workers_are_kept_when_none_may_be_taken_over(store: Store) -> None:
    begun = with_task(store)
    assert [task.item for task in lease(store)] == [begun]
    new = with_task(store)
    assert [task.item for task in lease(store, 61, takes_over=False)] == [new]
    assert [task.item for task in lease(store, 61)] == [begun]
