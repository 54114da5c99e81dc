"""A moderator drops a changed text and keeps the approved one, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moderate.errors import DecidedMeanwhile
from moderate.lifecycle import AFTER
from moderate.model import Awaiting, ChangedText, Content, Decision, ItemFilter, Kind, Status
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_body, a_comment, a_ping, decide_one

if TYPE_CHECKING:
    from moderate.model import Decided, Item, Verdict
    from moderate.moderation.sql import Bulk
    from moderate.store.items import Settled
    from moderate.store.store import Store

LATER = NOON + timedelta(hours=1)


def changed(store: Store, verdict: Verdict = HELD) -> Item:
    """An approved comment whose changed text waits."""
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    return store.items.revise(item.id, a_comment("Worse"), verdict, [], LATER).item


def decline(store: Store, item: Item, decision: Decision = Decision.APPROVE, **changes: Any) -> Decided:
    values: dict[str, Any] = {"version": item.version, "by": "mo", "note": None, "now": LATER}
    return decide_one(store, item.id, decision, change=ChangedText.DECLINE, **{**values, **changes})


def kept(store: Store, item: Item) -> Item:
    found = store.items.get(item.id)
    assert found is not None
    return found


def undo(store: Store, item: Item, batch: str = "undo") -> Bulk:
    return store.decisions.undo({item.id: store.history.of_item(item.id)[-1].id}, by="sato", batch=batch, now=LATER)


def look(store: Store, item: Item, text: str) -> Settled:
    """Settle a ping with the result of a later look at its source."""
    found = Content(
        body=a_body(text),
        author=item.author,
        url=item.url,
        title=item.title,
        blog_name=item.blog_name,
        text_key=text,
    )
    return store.items.settle(None, item.id, kept(store, item).version, HELD, LATER, content=found)


def test_the_approved_text_is_left_unchanged(store: Store) -> None:
    before = store.items.record(a_comment(), APPROVED, [], NOON).item
    item = store.items.revise(before.id, a_comment("Worse"), HELD, [], LATER).item
    revision = store.counters.revision("2026/thaw")
    declined = decline(store, item)
    assert declined.changed
    assert declined.item == kept(store, item)
    changed_by_it = {"findings": (), "passed": (), "skipped": None, "waiting_since": LATER}
    assert declined.item == replace(before, version=item.version + 1, decided_by="mo", **changed_by_it)
    assert store.counters.revision("2026/thaw") == revision, "readers see what they saw"
    assert store.queue.page(ItemFilter(awaiting=Awaiting.MODERATOR), cursor=None, limit=9).items == ()


def test_the_history_names_who_declined_and_why(store: Store) -> None:
    item = changed(store)
    decline(store, item, note="the first was better", batch="b")
    line = store.history.of_item(item.id)[-1]
    assert (line.act, line.by, line.note, line.batch) == ("declined", "mo", "the first was better", "b")
    assert (line.before, line.after, line.version) == (Status.APPROVED, Status.APPROVED, item.version + 1)


@pytest.mark.parametrize("decision", [Decision.HOLD, Decision.SPAM, Decision.TRASH])
def test_declining_sets_the_status_and_keeps_the_old_text(store: Store, decision: Decision) -> None:
    item = changed(store)
    moved = decline(store, item, decision).item
    assert (moved.status, moved.text, moved.proposed) == (AFTER[decision], item.text, None)
    assert moved.awaiting is (Awaiting.MODERATOR if decision is Decision.HOLD else None)
    assert moved == kept(store, item)
    assert not any(store.counters.recount(repair=False))


@pytest.mark.parametrize("decision", Decision)
def test_declining_without_a_changed_text_is_an_ordinary_decision(store: Store, decision: Decision) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    moved = decline(store, item, decision)
    assert moved.item.status is AFTER[decision]
    assert moved.changed
    assert {line.act for line in store.history.of_item(item.id)} <= {"received", "decided"}
    again = decline(store, item, decision, version=1)
    assert (again.changed, again.item) == (False, moved.item)


@pytest.mark.parametrize("verdict", [HELD, TO_CHECK], ids=["held", "to-check"])
@pytest.mark.parametrize("decision", Decision)
def test_a_decision_applies_to_the_changed_text_that_was_seen(
    store: Store, decision: Decision, verdict: Verdict
) -> None:
    item = changed(store, verdict)
    with pytest.raises(DecidedMeanwhile):
        decline(store, item, decision, version=item.version - 1)
    assert kept(store, item) == item


def test_declining_again_is_the_same_decision_at_any_version(store: Store) -> None:
    item = changed(store)
    declined = decline(store, item).item
    for version in (1, item.version, declined.version):
        again = decline(store, item, version=version)
        assert (again.changed, again.item) == (False, declined)


@pytest.mark.parametrize("first", ChangedText)
def test_accepting_a_declined_change_conflicts_and_the_other_way_round(store: Store, first: ChangedText) -> None:
    item = changed(store)
    other = ChangedText.DECLINE if first is ChangedText.ACCEPT else ChangedText.ACCEPT
    decide_one(store, item.id, Decision.APPROVE, version=item.version, by="sato", note=None, now=LATER, change=first)
    stands = kept(store, item)
    with pytest.raises(DecidedMeanwhile) as refused:
        decide_one(store, item.id, Decision.APPROVE, version=item.version, by="mo", note=None, now=LATER, change=other)
    assert refused.value.by == "sato"
    versions = {item.id: item.version}
    bulk = store.decisions.decide(versions, Decision.APPROVE, by="mo", note=None, batch="b", now=LATER, change=other)
    assert [(left.code, left.by) for left in bulk.left] == [("decided-meanwhile", "sato")]
    assert kept(store, item) == stands


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("verdict", [HELD, TO_CHECK], ids=["held", "to-check"])
def test_an_undo_restores_the_changed_text(store: Store, decision: Decision, verdict: Verdict) -> None:
    item = changed(store, verdict)
    decline(store, item, decision)
    (done,) = undo(store, item).done
    assert done.item == kept(store, item)
    assert done.item == replace(
        item,
        version=item.version + 2,
        awaiting=Awaiting.MODERATOR,
        findings=item.findings,
        waiting_since=LATER,
    )
    (again,) = undo(store, item, "again").done
    assert (again.item.status, again.item.text, again.item.proposed) == (AFTER[decision], item.text, None)
    assert not any(store.counters.recount(repair=False))


def test_a_batch_is_declined_and_undone_except_items_decided_since(store: Store) -> None:
    texts = [changed(store) for _ in range(3)]
    plain = store.items.record(a_comment("Plain"), APPROVED, [], NOON).item
    versions = {item.id: item.version for item in [*texts, plain]}
    versions[texts[2].id] -= 1
    bulk = store.decisions.decide(
        versions, Decision.APPROVE, by="mo", note=None, batch="b", now=LATER, change=ChangedText.DECLINE
    )
    assert {done.item.id: done.changed for done in bulk.done} == {
        texts[0].id: True,
        texts[1].id: True,
        # A decision all the same: only a check has approved it so far.
        plain.id: True,
    }
    assert [left.id for left in bulk.left] == [texts[2].id]
    decide_one(store, texts[0].id, Decision.SPAM, version=kept(store, texts[0]).version, by="abe", note=None, now=LATER)
    lines = store.history.page(batch="b", cursor=None, limit=9).entries
    undone = store.decisions.undo({line.item: line.id for line in lines}, by="mo", batch="u", now=LATER)
    assert [done.item.id for done in undone.done] == [texts[1].id, plain.id]
    assert [left.id for left in undone.left] == [texts[0].id]
    assert kept(store, texts[1]).proposed == texts[1].proposed


@pytest.mark.parametrize("verdict", [APPROVED, HELD, TO_CHECK, SPAM], ids=lambda verdict: verdict.status)
def test_a_late_verdict_on_a_declined_text_changes_nothing(store: Store, verdict: Verdict) -> None:
    item = changed(store, TO_CHECK)
    declined = decline(store, item).item
    for version in (item.version, declined.version):
        settled = store.items.settle(None, item.id, version, verdict, LATER)
        assert (settled.changed, settled.item) == (False, declined)
        assert kept(store, item) == declined


@pytest.mark.parametrize("kind", [Kind.PINGBACK, Kind.WEBMENTION])
def test_a_source_that_repeats_a_declined_text_is_not_queued_again(store: Store, kind: Kind) -> None:
    item = store.items.record(a_ping(kind=kind), APPROVED, [], NOON).item
    assert look(store, item, "Buy pills").changed
    declined = decline(store, kept(store, item)).item
    for _ in range(3):
        settled = look(store, item, "Buy pills")
        assert (settled.changed, settled.item) == (False, declined)
    # What it says next is news, and declined for itself.
    assert look(store, item, "Buy more pills").changed
    declined = decline(store, kept(store, item)).item
    assert look(store, item, "Buy more pills").item == declined
    assert look(store, item, "Buy pills").changed


def test_a_trackback_repeated_with_the_declined_text_changes_nothing(store: Store) -> None:
    store.items.record(a_ping(), APPROVED, [], NOON)
    item = store.items.record(a_ping(text="Buy pills"), APPROVED, [], LATER).item
    assert item.proposed is not None
    declined = decline(store, item).item
    assert store.items.record(a_ping(text="Buy pills"), APPROVED, [], LATER).item == declined
    undo(store, item)
    assert kept(store, item).proposed == item.proposed


def test_an_author_who_repeats_a_declined_edit_is_queued_again(store: Store) -> None:
    item = changed(store)
    declined = decline(store, item).item
    again = store.items.revise(item.id, a_comment("Worse"), HELD, [], LATER).item
    assert again.version == declined.version + 1
    assert again.proposed is not None


def test_statistics_of_moderators_count_declined_changes(store: Store) -> None:
    decline(store, changed(store), Decision.SPAM)
    assert store.tallies.tally(0).decisions == {("declined", "approved", "spam"): 1}
    assert store.tallies.tally(0).overrides == {}
