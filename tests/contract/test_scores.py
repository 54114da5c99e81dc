"""Items have a score, which their findings make, and moderators list the most suspicious ones first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from moderate.database.schema import items
from moderate.model import Awaiting, Decision, Finding, ItemFilter, Lean, Status, Verdict
from moderate.store import backfill
from tests.factories import NOON, a_comment, decide_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.store.store import Store


def suspected(*findings: Finding, status: Status = Status.PENDING) -> Verdict:
    return Verdict(status, Awaiting.MODERATOR if status is Status.PENDING else None, findings)


def learned(probability: float) -> Finding:
    return Finding("learned", Lean.HOLD, "like spam", score=probability)


def scores(store: Store) -> dict[int, int]:
    with store.database.read() as conn:
        return dict(conn.execute(select(items.c.id, items.c.score)).all())  # type: ignore[arg-type]


def test_the_score_of_an_item_is_that_of_its_findings(store: Store) -> None:
    links = Finding("links", Lean.HOLD, "three links")
    for verdict in (
        suspected(),
        suspected(learned(0.7)),
        suspected(links),
        suspected(links, learned(0.7)),
        suspected(Finding("akismet", Lean.SPAM, "spam"), status=Status.SPAM),
        suspected(Finding("trusted-author", Lean.TRUST, "known")),
    ):
        store.items.record(a_comment(), verdict, [], NOON)
    assert [scores(store)[number] for number in range(1, 7)] == [0, 700, 400, 820, 900, 0]


def test_the_score_follows_when_the_findings_change(store: Store) -> None:
    item = store.items.record(a_comment(), suspected(learned(0.7)), [], NOON).item
    store.items.annotate(item, [learned(0.4)])
    assert scores(store) == {item.id: 400}
    store.items.revise(item.id, a_comment("Another text"), suspected(learned(0.9)), [], NOON)
    assert scores(store) == {item.id: 900}


def test_items_of_an_older_version_get_their_scores_by_and_by(store: Store) -> None:
    for number in range(60):
        store.items.record(a_comment(str(number)), suspected(learned(0.5)), [], NOON)
    decide_one(store, 60, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    with store.database.write() as conn:
        conn.execute(update(items).values(score=0))
    # As a migration leaves it.
    store.states.keep("search", {"upto": 0, "is_complete": True, "is_left": True}, NOON)
    assert store.backfill.is_due(NOON.replace(year=2000))
    while store.backfill.run(NOON, lambda: True):
        assert store.backfill.is_due(NOON.replace(year=2000))
    assert set(scores(store).values()) == {500}
    assert not store.backfill.is_due(NOON.replace(year=2000))


def test_a_score_that_findings_get_during_the_walk_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    item = store.items.record(a_comment(), suspected(learned(0.5)), [], NOON).item
    with store.database.write() as conn:
        conn.execute(update(items).values(score=0, search=None))
    changes_of = backfill.changes_of

    def meanwhile(row: Any) -> Any:
        store.items.renew([(item, replace(item, findings=(learned(0.8),)))], NOON)
        return changes_of(row)

    monkeypatch.setattr(backfill, "changes_of", meanwhile)
    store.backfill.run(NOON, lambda: True)
    assert scores(store) == {item.id: 800}
    assert [found.id for found in store.queue.page(ItemFilter(q="river"), cursor=None, limit=9).items] == [item.id]


def fill(store: Store) -> dict[Status, list[int]]:
    """Store items of two statuses; return their ids in the order of the scores, among equals the newest first."""
    placed: dict[Status, list[tuple[int, int]]] = {Status.PENDING: [], Status.SPAM: []}
    for number in range(40):
        status = Status.SPAM if number % 4 == 3 else Status.PENDING
        probability = (number * 7 % 5) / 5
        verdict = suspected(learned(probability), status=status)
        article = f"2026/{number % 2}"
        item = store.items.record(a_comment(f"Number {number}.", article), verdict, [], NOON).item
        placed[status].append((round(1000 * probability), item.id))
    return {status: [number for _, number in sorted(pairs, reverse=True)] for status, pairs in placed.items()}


def pages(store: Store, which: ItemFilter, limit: int) -> Iterator[list[int]]:
    cursor = None
    while True:
        page = store.queue.by_score(which, cursor=cursor, limit=limit)
        yield [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return
        # Exact in JavaScript too.
        assert cursor < 2**53


@pytest.mark.parametrize("limit", [3, 7, 50])
def test_the_most_suspicious_come_first_page_by_page(store: Store, limit: int) -> None:
    placed = fill(store)
    for status, expected in placed.items():
        found = list(pages(store, ItemFilter(status=status), limit))
        assert [number for page in found for number in page] == expected
        assert {len(page) for page in found[:-1]} <= {limit}
    of_article = [number for number in placed[Status.PENDING] if number % 2 == 0]
    which = ItemFilter(status=Status.PENDING, article="2026/1")
    assert [number for page in pages(store, which, limit) for number in page] == of_article
    everything = [number for page in pages(store, ItemFilter(), limit) for number in page]
    assert sorted(everything) == sorted([*placed[Status.PENDING], *placed[Status.SPAM]])
    known = scores(store)
    assert [known[number] for number in everything] == sorted(known.values(), reverse=True)


def test_no_item_comes_twice_where_others_are_decided_or_come_in_meanwhile(store: Store) -> None:
    expected = fill(store)[Status.PENDING]
    which = ItemFilter(status=Status.PENDING)
    first = store.queue.by_score(which, cursor=None, limit=10)
    for item in first.items:
        decide_one(store, item.id, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    store.items.record(a_comment("The worst."), suspected(learned(0.99)), [], NOON)
    second = store.queue.by_score(which, cursor=first.next, limit=10)
    assert [item.id for item in second.items] == expected[10:20]


def test_findings_are_renewed_only_where_nothing_has_happened_since(store: Store) -> None:
    waiting = [store.items.record(a_comment(str(n)), suspected(learned(0.5)), [], NOON).item for n in range(5)]
    approved, held, annotated, revised, same = waiting
    decide_one(store, approved.id, Decision.APPROVE, version=1, by="mo", note=None, now=NOON)
    decide_one(store, held.id, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    decide_one(store, held.id, Decision.HOLD, version=2, by="mo", note=None, now=NOON)
    store.items.annotate(annotated, [learned(0.6)])
    store.items.revise(revised.id, a_comment("Another text"), suspected(learned(0.7)), [], NOON)
    gone = replace(same, id=99)
    # The one that a person held, as it stands now too.
    held_now = store.items.get(held.id)
    assert held_now is not None
    before = {item.id: store.items.get(item.id) for item in waiting}
    for items_read in ([*waiting, gone], [held_now]):
        judged = [(item, replace(item, findings=(learned(0.8),), passed=("repeat",))) for item in items_read]
        store.items.renew(judged, NOON)
    for item in waiting[:-1]:
        assert store.items.get(item.id) == before[item.id]
    assert store.items.get(same.id) == replace(same, findings=(learned(0.8),), passed=("repeat",))
    assert scores(store)[same.id] == 800
    assert len(store.history.of_item(same.id)) == 1
    assert store.counters.totals().pending == 4


def test_decisions_and_renewed_findings_do_not_get_in_each_others_way(store: Store) -> None:
    """Moderators decide on all items, each at another moment, while a worker renews their findings."""
    waiting = [store.items.record(a_comment(str(n)), suspected(learned(0.5)), [], NOON).item for n in range(30)]

    def decide_all(first: int) -> None:
        for item in waiting[first::3]:
            decide_one(store, item.id, Decision.SPAM, version=1, by="mo", note=None, now=NOON)

    def renew() -> None:
        for n in range(10):
            read = store.queue.page(ItemFilter(status=Status.PENDING), cursor=None, limit=50).items
            store.items.renew([(item, replace(item, findings=(learned(0.6 + n / 100),))) for item in read], NOON)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(renew), *(pool.submit(decide_all, first) for first in range(3))]:
            done.result()
    now = [store.items.get(item.id) for item in waiting]
    assert {(item.status, item.version, item.decided_by) for item in now if item} == {(Status.SPAM, 2, "mo")}
    assert not any(store.counters.recount(repair=False))
