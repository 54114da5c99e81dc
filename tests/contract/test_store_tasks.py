"""Deferred work: leased once, never lost, kept where it cannot be done. On every store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.lifecycle import Suspicion
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


def test_tasks_are_stored_with_their_item_and_wake_workers_if_they_are_due(store: Store) -> None:
    woken: list[bool] = []
    store.database.on_due = lambda: woken.append(True)
    wanted = [NewTask(kind=f"notify:{n}", due_at=seconds(n), payload={"to": n}) for n in (1, 2)]
    kept = []
    for number, suspicion in enumerate((None, Suspicion(["site"], 600), Suspicion(["site"], 600, in_wave=True))):
        kept.append(store.items.record(a_comment(f"{number}"), HELD, wanted, seconds(number), suspicion).item.id)
    # None was due when the first one came.
    assert len(woken) == 2
    found = [(task.item, task.kind, task.payload, task.created_at) for task in lease(store, 2)]
    assert sorted(found, key=lambda each: each[:2]) == [
        (item, f"notify:{n}", {"to": n}, seconds(number)) for number, item in enumerate(kept) for n in (1, 2)
    ]
    store.tasks.add(kept[0], wanted, NOON)
    assert len(lease(store, 1e6)) == 6


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
    assert store.overview().lag(seconds(1e6)) == 0
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
    with_task(store, "of a later version", due=-30)
    assert store.overview().lag(NOON) == 0
    with_task(store, due=10)
    with_task(store, due=20)
    assert store.overview().lag(seconds(5)) == 0
    assert store.overview().lag(seconds(25)) == 15


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
    assert store.overview().lag(seconds(90)) == 90
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


# --- several leased together ----------------------------------------------------------------------


def together(store: Store, at: float = 0, after: str = "", limit: int = 50) -> list[Task]:
    return lease(store, at, together=True, after=after, limit=limit)


def test_tasks_that_were_leased_together_are_ended_together_by_the_next_lease(store: Store) -> None:
    for number in range(5):
        with_task(store, due=number)
    first = together(store, 9, limit=3)
    for task in first:
        store.tasks.finish(task)
    second = together(store, 9, after=first[0].lease, limit=3)
    assert not {task.id for task in first} & {task.id for task in second}
    store.tasks.finish(second[0])
    store.tasks.retry(second[1], seconds(20), "later")
    assert together(store, 9, after=second[0].lease) == []
    (left,) = lease(store, 99)
    assert (left.id, left.attempts, left.deaths) == (second[1].id, 2, 0)


def test_what_was_not_begun_of_several_is_given_back_as_if_it_had_not_been_leased(store: Store) -> None:
    for number in range(3):
        with_task(store, due=number)
    one, *others = together(store, 9)
    store.tasks.finish(one)
    store.tasks.release(one.lease, [task.id for task in others])
    found = lease(store, 9)
    assert [(task.id, task.attempts, task.deaths) for task in found] == [(task.id, 1, 0) for task in others]


def test_a_death_during_several_counts_against_none_until_a_worker_dies_over_one_alone(store: Store) -> None:
    for number in range(3):
        with_task(store, due=number)
    poison, *others = (task.id for task in together(store, 9))
    alone = [together(store, 70) for _ in range(3)]
    assert [[task.id for task in tasks] for tasks in alone] == [[poison], *([other] for other in others)]
    assert [task.deaths for (task,) in alone] == [0, 0, 0]
    for (task,) in alone[1:]:
        store.tasks.finish(task)
    (again,) = together(store, 140)
    assert (again.id, again.deaths) == (poison, 2)


def test_a_suspect_task_is_leased_alone_among_others(store: Store) -> None:
    for number in range(2):
        with_task(store, due=number)
    suspects = {task.id for task in together(store, 9)}
    for number in range(-1, 4):
        with_task(store, due=number)
    taken: list[list[int]] = []
    while found := together(store, 70):
        taken.append([task.id for task in found])
    assert sum(map(len, taken)) == 7
    assert [tasks for tasks in taken if suspects & set(tasks)] == [[number] for number in sorted(suspects)]


def test_a_task_that_is_requested_again_during_a_lease_on_several_is_done_once_more(store: Store) -> None:
    item, _ = with_task(store), with_task(store, due=1)
    found = together(store, 9)
    store.tasks.add(item, [NewTask(kind="judge", due_at=seconds(9))], seconds(9))
    for task in found:
        store.tasks.finish(task)
    (again,) = together(store, 9, after=found[0].lease)
    assert (again.item, again.attempts) == (item, 1)


def test_the_next_due_times_are_known_for_both_sorts_of_tasks(store: Store) -> None:
    def look(at: float) -> tuple[datetime | None, datetime | None]:
        known = ("judge", "look")
        return store.tasks.next_due(seconds(at), timedelta(seconds=5), seconds=60, fetching=["look"], known=known)

    assert look(0) == (None, None)
    with_task(store, due=12)
    with_task(store, due=11)
    with_task(store, "look", due=14)
    with_task(store, "of a later version")
    assert look(0) == (None, None), "not within five seconds"
    assert look(7) == (seconds(11), None)
    assert look(20) == (seconds(11), seconds(14))
    lease(store, 20, limit=1, kinds=["judge"])
    assert look(21) == (seconds(12), seconds(14)), "one is leased"
    assert look(81) == (seconds(11), seconds(14)), "its lease has ended"
