"""Many at once: real threads and real processes, on every store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from sqlalchemy import event

from moderate.database.engine import Database
from moderate.errors import DecidedMeanwhile, Invalid
from moderate.model import Counts, Decision, Kind, NewTask, Status
from moderate.store.store import Store
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_ping, decide_one
from tests.processes import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moderate.lifecycle import Recorded
    from moderate.model import Decided, Verdict

T = TypeVar("T")


def at_once(number: int, work: Callable[[int], T]) -> list[T | Exception]:
    """Run *work* in as many threads, all of which begin together; what they returned or raised."""
    start = threading.Barrier(number)

    def run(index: int) -> T | Exception:
        start.wait(30)
        try:
            return work(index)
        except Exception as error:
            return error

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(run, range(number)))


def approve(store: Store, item_id: int, by: str = "mo", version: int = 1) -> Decided:
    return decide_one(store, item_id, Decision.APPROVE, version=version, by=by, note=None, now=NOON)


def drift(store: Store) -> list[object]:
    return [found for found in store.counters.recount(repair=False) if found]


def test_a_hundred_approvals_at_once_count_a_hundred(store: Store) -> None:
    ids = [store.items.record(a_comment(str(number)), HELD, [], NOON).item.id for number in range(100)]
    done = at_once(20, lambda index: [approve(store, item_id).changed for item_id in ids[index::20]])
    assert done == [[True] * 5] * 20
    assert store.counters.totals() == Counts(comments=100) == store.counters.counts(["2026/thaw"])["2026/thaw"]
    assert drift(store) == []


def _approve_in_process(url: str, ids: Iterable[int]) -> None:
    store = Store(Database(url))
    for item_id in ids:
        approve(store, item_id)
    store.database.dispose()


def test_approvals_by_several_processes_count_each_item_once(store: Store, database_url: str) -> None:
    ids = [store.items.record(a_comment(str(number)), HELD, [], NOON).item.id for number in range(60)]
    # Every item is approved by two of the processes.
    shares = [ids[:40], ids[20:], ids[:20] + ids[40:]]
    workers = [PROCESSES.Process(target=_approve_in_process, args=(database_url, share)) for share in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert store.counters.totals() == Counts(comments=60)
    assert drift(store) == []


@pytest.mark.parametrize("verdict", [HELD, APPROVED], ids=lambda verdict: verdict.status)
def test_only_the_first_of_conflicting_decisions_succeeds(store: Store, verdict: Verdict) -> None:
    decisions = [Decision.HOLD, Decision.SPAM, Decision.TRASH] * 3
    if verdict is HELD:
        decisions = [Decision.APPROVE, Decision.SPAM, Decision.TRASH] * 3
    item = store.items.record(a_comment(), verdict, [], NOON).item

    def decide(index: int) -> Decided:
        return decide_one(store, item.id, decisions[index], version=1, by=str(index), note=None, now=NOON)

    answers = at_once(9, decide)
    changed = [index for index, answer in enumerate(answers) if getattr(answer, "changed", False)]
    assert len(changed) == 1
    first = changed[0]
    for index, answer in enumerate(answers):
        if decisions[index] is decisions[first]:
            assert not isinstance(answer, Exception)
        else:
            assert isinstance(answer, DecidedMeanwhile)
            assert answer.by == str(first)
    assert len(store.history.of_item(item.id)) == 2
    assert drift(store) == []


def test_only_one_of_two_decisions_that_read_the_same_version_succeeds(migrated_url: str) -> None:
    """On PostgreSQL both may read before either writes; SQLite's writers take turns."""
    store = Store(Database(migrated_url))
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    both_have_read = threading.Barrier(2)

    def meet(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "UPDATE moderate_items" in statement:
            both_have_read.wait(30)

    event.listen(store.database.engine, "before_cursor_execute", meet)
    decisions = [Decision.SPAM, Decision.TRASH]

    def decide(index: int) -> Decided:
        return decide_one(store, item.id, decisions[index], version=1, by=str(index), note=None, now=NOON)

    answers = at_once(2, decide)
    assert sorted(type(answer).__name__ for answer in answers) == ["Decided", "DecidedMeanwhile"]
    assert len(store.history.of_item(item.id)) == 2
    assert drift(store) == []
    store.database.dispose()


@pytest.mark.parametrize("is_bulk", [False, True], ids=["alone", "in bulk"])
def test_a_decision_that_moves_nothing_is_written_once_by_many_and_undone_once(store: Store, *, is_bulk: bool) -> None:
    other = store.items.record(a_comment("other"), SPAM, [], NOON).item
    item = store.items.record(a_comment(), SPAM, [], NOON).item
    wanted = {item.id: 1, other.id: 1} if is_bulk else {item.id: 1}

    def confirm(index: int) -> Any:
        return store.decisions.decide(wanted, Decision.SPAM, by=f"mo{index}", note=None, now=NOON, batch=f"b{index}")

    done = [decided for bulk in at_once(4, confirm) for decided in bulk.done if decided.item.id == item.id]
    (decided,) = [each for each in done if each.changed]
    assert [line.by for line in store.history.of_item(item.id)] == [None, decided.item.decided_by]
    written = {number: store.history.of_item(number)[-1].id for number in wanted}

    def undo(index: int) -> Any:
        return store.decisions.undo(written, by=f"mo{index}", now=NOON, batch=f"u{index}")

    bulks = at_once(4, undo)
    assert sum(len(bulk.done) for bulk in bulks) == len(wanted)
    assert sum(len(bulk.left) for bulk in bulks) == 3 * len(wanted)
    assert [line.act for line in store.history.of_item(item.id)] == ["received", "decided", "undone"]
    found = store.items.get(item.id)
    assert found is not None
    assert (found.decided_by, found.version) == (None, 1)
    assert drift(store) == []


def test_one_form_sent_from_eight_threads_is_one_comment(store: Store) -> None:
    answers = at_once(8, lambda _: store.items.record(a_comment(idempotency_key="k"), HELD, [], NOON))
    assert sorted(answer.is_new for answer in answers) == [False] * 7 + [True]  # type: ignore[union-attr]
    assert len({answer.item.id for answer in answers}) == 1  # type: ignore[union-attr]
    assert store.counters.totals() == Counts(pending_comment=1)


def test_two_texts_under_one_key_at_once_are_one_comment_and_refusals(store: Store) -> None:
    answers = at_once(8, lambda index: store.items.record(a_comment(str(index), idempotency_key="k"), HELD, [], NOON))
    assert sum(isinstance(answer, Invalid) for answer in answers) == 7
    assert store.counters.totals() == Counts(pending_comment=1)


def test_one_source_over_three_protocols_at_once_is_one_item(store: Store) -> None:
    kinds = [Kind.TRACKBACK, Kind.PINGBACK, Kind.WEBMENTION] * 3

    def ping(index: int) -> Recorded:
        return store.items.record(a_ping(text=f"Version {index}", kind=kinds[index]), HELD, [], NOON)

    answers = at_once(9, ping)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert sum(answer.is_new for answer in answers) == 1  # type: ignore[union-attr]
    assert store.counters.totals().pending == 1
    assert drift(store) == []


def test_a_task_is_leased_by_one_of_many_workers(store: Store) -> None:
    for number in range(60):
        store.items.record(a_comment(str(number)), TO_CHECK, [NewTask(kind="judge", due_at=NOON)], NOON)

    def work(_: int) -> list[int]:
        taken: list[int] = []
        while leased := store.tasks.lease_due(NOON, limit=7, seconds=60):
            taken += [task.id for task in leased]
        return taken

    answers = at_once(4, work)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    taken = [task for answer in answers for task in answer]  # type: ignore[union-attr]
    assert len(taken) == len(set(taken)) >= 53
    # With SKIP LOCKED a worker may go home while another still holds the last rows; none is lost.
    rest = store.tasks.lease_due(NOON, limit=60, seconds=60)
    assert len(set(taken) | {task.id for task in rest}) == 60


def test_tasks_that_are_leased_and_ended_together_are_done_once_by_many_workers(store: Store) -> None:
    for number in range(60):
        store.items.record(a_comment(str(number)), TO_CHECK, [NewTask(kind="judge", due_at=NOON)], NOON)

    def work(_: int) -> list[int]:
        taken: list[int] = []
        after = ""
        while leased := store.tasks.lease_due(NOON, limit=7, seconds=60, together=True, after=after):
            after = leased[0].lease
            for task in leased:
                store.tasks.finish(task)
            taken += [task.id for task in leased]
        return taken

    answers = [*at_once(4, work), work(0)]
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    taken = [task for answer in answers for task in answer]  # type: ignore[union-attr]
    assert len(taken) == len(set(taken)) == 60
    later = NOON + timedelta(hours=1)
    assert store.tasks.lease_due(later, limit=60, seconds=60) == []


def test_a_concurrent_late_verdict_does_not_change_the_decision_of_a_moderator(store: Store) -> None:
    for number in range(10):
        item = store.items.record(a_comment(str(number)), TO_CHECK, [], NOON).item

        def act(index: int, item_id: int = item.id) -> object:
            if index == 0:
                return store.items.settle(None, item_id, 1, APPROVED, NOON)
            for _ in range(3):
                found = store.items.get(item_id)
                assert found is not None
                try:
                    return decide_one(
                        store, item_id, Decision.TRASH, version=found.version, by="mo", note=None, now=NOON
                    )
                except DecidedMeanwhile:
                    continue
            raise AssertionError("the verdict came more than once")

        answers = at_once(2, act)
        assert not [answer for answer in answers if isinstance(answer, Exception)]
        found = store.items.get(item.id)
        assert found is not None
        assert found.status is Status.TRASH
    assert store.counters.totals() == Counts(trash_comment=10)
    assert drift(store) == []


def test_a_recount_while_others_write_neither_finds_nor_makes_drift(store: Store) -> None:
    articles = ["a", "b", "c"]
    ids = [store.items.record(a_comment(str(n), articles[n % 3]), HELD, [], NOON).item.id for n in range(30)]

    def work(index: int) -> list[object]:
        if index == 0:
            return [found for _ in range(8) for found in store.counters.recount(repair=True) if found]
        for item_id in ids[index::4]:
            approve(store, item_id)
            store.items.record(
                a_comment(str(item_id), articles[item_id % 3]), APPROVED, [], NOON + timedelta(seconds=1)
            )
        return []

    answers = at_once(4, work)
    assert answers == [[]] * 4
    approved = sum(len(ids[index::4]) for index in (1, 2, 3))
    assert store.counters.totals().comments == 2 * approved
    assert drift(store) == []


def test_a_secret_requested_concurrently_is_created_once(store: Store) -> None:
    assert len(set(at_once(8, lambda _: store.secrets.get("cookies")))) == 1


def test_a_single_use_is_given_to_one_of_many(store: Store) -> None:
    answers = at_once(8, lambda _: store.nonces.use_once("link", NOON + timedelta(days=1), NOON))
    assert sorted(map(bool, answers)) == [False] * 7 + [True]
    assert not [answer for answer in answers if isinstance(answer, Exception)]


def test_counters_of_an_article_that_all_comment_at_once_are_made_once(store: Store) -> None:
    answers: list[Any] = at_once(12, lambda index: store.items.record(a_comment(str(index)), APPROVED, [], NOON))
    assert all(getattr(answer, "is_new", False) for answer in answers)
    assert store.counters.totals() == Counts(comments=12)
