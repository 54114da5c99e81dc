"""Bulk decisions of moderators on every store: races, tasks, restored texts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from moderate.database.schema import history
from moderate.model import Awaiting, Client, Decision, ItemFilter, Kind, NewTask, Status
from moderate.ports import Rule
from tests.factories import APPROVED, HELD, NOON, SPAM, a_comment, a_finding, a_ping, a_verdict, decide_one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.moderation.sql import Bulk
    from moderate.store.store import Store


def fill(store: Store, number: int, articles: Sequence[str] = ("a", "b", "c")) -> dict[int, int]:
    made = [
        store.items.record(a_comment(f"text {at}", articles[at % len(articles)]), HELD, [], NOON).item
        for at in range(number)
    ]
    return {item.id: item.version for item in made}


def decide(store: Store, versions: dict[int, int], decision: Decision, by: str = "mori", batch: str = "b") -> Bulk:
    return store.decisions.decide(versions, decision, by=by, note=None, batch=batch, now=NOON)


def entries(store: Store, batch: str) -> dict[int, int]:
    return {entry.item: entry.id for entry in store.history.page(batch=batch, cursor=None, limit=1000).entries}


def test_concurrent_bulk_decisions_divide_the_items_without_a_deadlock(store: Store) -> None:
    versions = fill(store, 60)
    start = Barrier(4)

    def work(by: str, decision: Decision) -> Bulk:
        start.wait(10)
        return decide(store, versions, decision, by, batch=by)

    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(work, by, decision)
            for by, decision in zip(
                "abcd", (Decision.APPROVE, Decision.SPAM, Decision.TRASH, Decision.HOLD), strict=True
            )
        ]
        bulks = [job.result(60) for job in jobs]
    for number in versions:
        # A hold of what waits moves nothing, so that another decision may follow it.
        moved = [done for bulk in bulks for done in bulk.done if done.item.id == number and done.item.version > 1]
        assert len(moved) == 1, "each item was decided once, and the others were told"
        item = store.items.get(number)
        assert item == moved[0].item
    assert not any(store.counters.recount(repair=False))


def test_single_and_bulk_decisions_on_several_articles_do_not_deadlock(store: Store) -> None:
    versions = fill(store, 40)
    start = Barrier(3)

    def alone(numbers: list[int]) -> None:
        start.wait(10)
        for number in numbers:
            item = store.items.get(number)
            assert item is not None
            decide_one(
                store,
                number,
                (item.decided_by and Decision.HOLD) or Decision.TRASH,
                version=item.version,
                by="x",
                note=None,
                now=NOON,
            )

    def together() -> None:
        start.wait(10)
        for decision in (Decision.SPAM, Decision.APPROVE, Decision.SPAM):
            decide(store, {number: store.items.get(number).version for number in versions}, decision)  # type: ignore[union-attr]

    numbers = sorted(versions)
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(together), pool.submit(together)]
        single = pool.submit(_until_done, alone, numbers[::-1])
        for job in (*jobs, single):
            job.result(60)
    assert not any(store.counters.recount(repair=False))


def _until_done(work: object, numbers: list[int]) -> None:
    """Single decisions may be overtaken; that is no error here."""
    from moderate.errors import DecidedMeanwhile

    try:
        work(numbers)  # type: ignore[operator]
    except DecidedMeanwhile:
        return


def test_two_concurrent_undos_of_a_batch_restore_each_item_once(store: Store) -> None:
    versions = fill(store, 30)
    decide(store, versions, Decision.SPAM, batch="wave")
    lines = entries(store, "wave")
    start = Barrier(2)

    def work(by: str) -> Bulk:
        start.wait(10)
        return store.decisions.undo(lines, by=by, batch=by, now=NOON)

    with ThreadPoolExecutor(2) as pool:
        first, second = (job.result(60) for job in [pool.submit(work, by) for by in ("mori", "sato")])
    assert len(first.done) + len(second.done) == 30
    assert len(first.left) + len(second.left) == 30
    assert store.counters.totals().pending == 30
    assert not any(store.counters.recount(repair=False))


def test_tasks_are_stored_only_for_changed_items(store: Store) -> None:
    versions = fill(store, 3)
    decide(store, {2: 1}, Decision.SPAM, batch="first")
    teach = [NewTask(kind="teach", due_at=NOON)]
    store.decisions.decide(versions, Decision.SPAM, by="mori", note=None, batch="b", now=NOON, tasks=teach)
    assert sorted(task.item for task in store.tasks.lease_due(NOON, limit=9, seconds=60)) == [1, 3]


def test_an_undo_restores_the_public_and_the_pending_text(store: Store) -> None:
    item = store.items.record(a_ping(text="about ferries"), APPROVED, [], NOON).item
    waiting = store.items.record(a_ping(text="buy chips"), HELD, [], NOON).item
    assert waiting.proposed is not None
    decide(store, {item.id: waiting.version}, Decision.SPAM, batch="wave")
    (undone,) = store.decisions.undo(entries(store, "wave"), by="sato", batch="u", now=NOON).done
    assert (undone.item.status, undone.item.text) == (Status.APPROVED, "about ferries")
    assert (undone.item.proposed, undone.item.awaiting) == (waiting.proposed, Awaiting.MODERATOR)
    assert [found.id for found in store.queue.page(ItemFilter(q="ferries"), cursor=None, limit=9).items] == [item.id]
    (redone,) = store.decisions.undo(entries(store, "u"), by="mori", batch="r", now=NOON).done
    assert (redone.item.status, redone.item.text, redone.item.proposed) == (Status.SPAM, "buy chips", None)


def test_a_replaced_text_is_deleted_with_its_item(store: Store) -> None:
    item = store.items.record(a_ping(text="about ferries"), APPROVED, [], NOON).item
    store.items.record(a_ping(text="buy chips"), HELD, [], NOON)
    decide(store, {item.id: 2}, Decision.SPAM)
    store.items.delete(item.id, "mori", NOON)
    with store.database.read() as conn:
        assert set(conn.execute(select(history.c.was)).scalars()) == {None}


def test_an_undo_of_an_item_held_by_checks_leaves_it_to_moderators(store: Store) -> None:
    verdict = a_verdict(Status.PENDING, Awaiting.CHECKS)
    item = store.items.record(a_comment(), verdict, [], NOON).item
    decide(store, {item.id: 1}, Decision.TRASH, batch="wave")
    (undone,) = store.decisions.undo(entries(store, "wave"), by="sato", batch="u", now=NOON).done
    assert (undone.item.status, undone.item.awaiting) == (Status.PENDING, Awaiting.MODERATOR)
    late = store.items.settle(None, item.id, undone.item.version, SPAM, NOON).item
    assert late is not None
    assert late.status is Status.PENDING


def test_the_versions_of_a_filter_are_newest_first_and_limited(store: Store) -> None:
    fill(store, 5)
    decide(store, {4: 1}, Decision.SPAM)
    assert store.queue.versions(ItemFilter(status=Status.PENDING), 3) == {5: 1, 3: 1, 2: 1}
    assert store.queue.versions(ItemFilter(q="text", status=Status.SPAM), 9) == {4: 2}


def test_related_items_share_an_author_an_email_or_an_address(store: Store) -> None:
    def made(**changes: object) -> int:
        client = Client(str(changes.pop("ip", "")))
        return store.items.record(a_comment(f"text {changes}", client=client, **changes), HELD, [], NOON).item.id

    one = made(email="mika@mail.example", author_id="u:1", ip="192.0.2.1")
    others = [
        made(email="mika@mail.example", ip="192.0.2.2"),
        made(email=None, author_id="u:1", ip="192.0.2.3"),
        made(email=None, ip="192.0.2.1"),
    ]
    made(email=None, ip="192.0.2.9")
    item = store.items.get(one)
    assert item is not None
    assert [other.id for other in store.queue.related(item, 10)] == others[::-1]
    assert [other.id for other in store.queue.related(item, 2)] == others[:0:-1]


def test_rules_are_stored_once_and_their_matches_counted(store: Store) -> None:
    first, is_new = store.rules.add(Rule(0, "word", "casino", "hold"), "mori", NOON)
    again, is_again = store.rules.add(Rule(0, "word", "casino", "spam", "worse"), "sato", NOON)
    assert (is_new, is_again, first.rule.id, again.rule) == (True, False, 1, Rule(1, "word", "casino", "spam", "worse"))
    # MySQL's default would take the two for one.
    other, is_new = store.rules.add(Rule(0, "word", "Casino", "hold"), "mori", NOON)
    assert is_new
    second = other.rule.id
    met = a_verdict(Status.SPAM, findings=(a_finding("rules", rule=1), a_finding("trust-rules", rule=second)))
    item = store.items.record(a_comment(), met, [], NOON).item
    store.items.settle(None, item.id, 1, met, NOON)
    assert [(info.rule.id, info.hits, info.last_hit_at) for info in store.rules.all()] == [
        (1, 1, NOON),
        (second, 1, NOON),
    ]
    assert store.rules.delete(1)
    assert not store.rules.delete(1)
    store.items.record(a_comment("with a rule that is gone"), met, [], NOON)
    assert [info.hits for info in store.rules.all()] == [2]
    kept = store.items.get(item.id)
    assert kept is not None
    assert [finding.rule for finding in kept.findings] == [1, second]


def test_the_log_names_the_cause(store: Store) -> None:
    finding = a_finding("rules", rule=7)
    item = store.items.record(a_comment(), a_verdict(findings=(finding,)), [], NOON).item
    assert [line.cause for line in store.history.of_item(item.id)] == ["rules:7"]
    decide_one(store, item.id, Decision.SPAM, version=1, by="mori", note=None, now=NOON)
    assert [line.cause for line in store.history.of_item(item.id)] == ["rules:7", None]
    assert store.history.entry(store.history.of_item(item.id)[0].id) == store.history.of_item(item.id)[0]
    assert store.history.entry(99) is None


@pytest.mark.parametrize("moderators", [0, 2, 30])
def test_items_are_found_by_whether_a_person_has_decided_on_them(store: Store, moderators: int) -> None:
    items = [store.items.record(a_comment(f"text {at}"), APPROVED, [], NOON).item for at in range(32)]
    for at, item in enumerate(items[:moderators]):
        decide(store, {item.id: 1}, Decision.APPROVE if at % 2 else Decision.SPAM, by=f"mo {at}")
    numbers = [item.id for item in items]
    decided, left = numbers[:moderators], numbers[moderators:]
    expected = {
        ItemFilter(decided=0): left,
        ItemFilter(decided=0, status=Status.APPROVED): left,
        ItemFilter(decided=0, status=Status.SPAM): [],
        ItemFilter(decided=0, kind=Kind.COMMENT, article="2026/thaw"): left,
        ItemFilter(decided=1): decided,
        ItemFilter(decided=1, status=Status.SPAM): decided[::2],
        ItemFilter(decided=1, kind=Kind.COMMENT, status=Status.APPROVED): decided[1::2],
        ItemFilter(decided=1, kind=Kind.WEBMENTION): [],
        ItemFilter(decided=1, author="Mika"): decided,
    }
    assert {which: list(store.queue.versions(which, 99)) for which in expected} == {
        which: found[::-1] for which, found in expected.items()
    }
    page = store.queue.page(ItemFilter(decided=0), cursor=left[1], limit=9)
    assert [item.id for item in page.items] == left[:1]
