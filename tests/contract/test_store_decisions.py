"""Decisions, new texts, withdrawal and deletion, on every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from moderate.database.schema import history
from moderate.errors import DecidedMeanwhile, NotAllowed, UnknownItem
from moderate.lifecycle import AFTER
from moderate.model import Awaiting, Counts, Decision, NewTask, Status
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_ping, a_verdict, decide_one
from tests.tasks import next_due

if TYPE_CHECKING:
    from moderate.model import Decided, Item, Verdict
    from moderate.moderation.sql import Bulk
    from moderate.store.store import Store

TRASH = a_verdict(Status.TRASH)
LATER = NOON + timedelta(minutes=3)


def decide(store: Store, item: Item, decision: Decision, by: str = "mo", **changes: object) -> Decided:
    return decide_one(
        store, item.id, decision, **{"version": item.version, "by": by, "note": None, "now": LATER, **changes}
    )


def kept(store: Store, item: Item) -> Item:
    found = store.items.get(item.id)
    assert found is not None
    return found


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("verdict", [HELD, APPROVED, SPAM, TRASH], ids=lambda verdict: verdict.status)
def test_any_decision_is_legal_from_any_status(store: Store, verdict: object, decision: Decision) -> None:
    item = store.items.record(a_comment(), verdict, [], NOON).item
    decided = decide(store, item, decision)
    assert decided.item.status is AFTER[decision]
    assert decided.before is item.status
    assert (decided.changed, decided.item.decided_by) == (True, "mo")
    assert decided.item.version == 1 + (item.status is not AFTER[decision])
    assert kept(store, item) == decided.item
    assert sum(vars_of(store.counters.totals())) == 1
    assert store.counters.counts(["2026/thaw"])["2026/thaw"] == store.counters.totals()


def vars_of(counts: Counts) -> list[int]:
    return [getattr(counts, name) for name in Counts.__slots__]


def test_a_decision_writes_a_line_of_history(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    decided = decide(store, item, Decision.SPAM, note="casino", batch="b1")
    received, line = store.history.of_item(item.id)
    assert (received.act, received.by, received.before, received.after, received.version) == (
        "received", None, None, Status.PENDING, 1,
    )  # fmt: skip
    assert (line.act, line.by, line.before, line.after, line.version) == (
        "decided", "mo", Status.PENDING, Status.SPAM, 2,
    )  # fmt: skip
    assert (line.id, line.note, line.batch, line.at) == (decided.history, "casino", "b1", LATER)


def test_an_approval_clears_what_the_item_waited_for_and_a_hold_waits_for_a_moderator(store: Store) -> None:
    item = store.items.record(a_comment(), TO_CHECK, [], NOON).item
    approved = decide(store, item, Decision.APPROVE).item
    assert approved.awaiting is None
    held = decide(store, approved, Decision.HOLD).item
    assert held.awaiting is Awaiting.MODERATOR
    assert held.decided_by == "mo"


def test_the_same_decision_again_changes_nothing_at_any_version(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    first = decide(store, item, Decision.APPROVE)
    again = decide(store, item, Decision.APPROVE, by="other", tasks=[NewTask(kind="feedback", due_at=NOON)])
    assert not again.changed
    assert again.item == first.item
    assert again.history is None
    assert len(store.history.of_item(item.id)) == 2
    assert next_due(store.tasks) is None


def test_a_stale_version_gets_the_current_decision_and_its_moderator(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    first = decide(store, item, Decision.SPAM, by="first")
    with pytest.raises(DecidedMeanwhile) as refused:
        decide(store, item, Decision.APPROVE, by="second")
    assert refused.value.by == "first"
    assert refused.value.item == first.item
    assert store.counters.totals() == Counts(spam_comment=1)


def test_an_edit_makes_a_decision_stale_too(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    store.items.revise(item.id, a_comment("Something else"), HELD, [], NOON)
    with pytest.raises(DecidedMeanwhile) as refused:
        decide(store, item, Decision.APPROVE)
    assert refused.value.by is None


def test_an_unknown_item_cannot_be_decided_revised_withdrawn_or_deleted(store: Store) -> None:
    with pytest.raises(UnknownItem):
        decide_one(store, 9, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    with pytest.raises(UnknownItem):
        store.items.revise(9, a_comment(), HELD, [], NOON)
    with pytest.raises(UnknownItem):
        store.items.withdraw(9, NOON)
    with pytest.raises(UnknownItem):
        store.items.delete(9, "mo", NOON)


def test_tasks_are_stored_together_with_their_decision(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    decide(store, item, Decision.SPAM, tasks=[NewTask(kind="feedback", due_at=NOON, payload={"as": "spam"})])
    (task,) = store.tasks.lease_due(NOON, limit=9, seconds=60)
    assert (task.kind, task.item, task.payload) == ("feedback", item.id, {"as": "spam"})


# --- decisions that move nothing -------------------------------------------------------------------

#: A verdict of checks, and the decision that says the same.
SAME = [(APPROVED, Decision.APPROVE), (SPAM, Decision.SPAM), (HELD, Decision.HOLD), (TRASH, Decision.TRASH)]


def lines(store: Store, item: Item) -> list[tuple[str, str | None, int]]:
    return [(line.act, line.by, line.version) for line in store.history.of_item(item.id)]


@pytest.mark.parametrize(("verdict", "decision"), SAME, ids=[decision.value for _, decision in SAME])
def test_the_first_decision_of_a_person_is_written_where_checks_have_said_the_same(
    store: Store, verdict: Verdict, decision: Decision
) -> None:
    item = store.items.record(a_comment(), verdict, [], NOON).item
    counts, known = store.counters.totals(), store.counters.revision("2026/thaw")
    teach = [NewTask(kind="teach", due_at=NOON)]
    decided = decide(store, item, decision, tasks=teach, batch="b", note="looked at")
    assert decided.changed
    assert decided.item == replace(item, decided_by="mo") == kept(store, item)
    line = store.history.of_item(item.id)[-1]
    assert (line.id, line.act, line.by, line.before, line.after, line.version, line.batch, line.note) == (
        decided.history, "decided", "mo", item.status, item.status, 1, "b", "looked at",
    )  # fmt: skip
    assert [task.item for task in store.tasks.lease_due(NOON, limit=9, seconds=60)] == [item.id]
    again = decide(store, item, decision, by="sato", tasks=teach)
    assert (again.changed, again.item, again.history) == (False, decided.item, None)
    assert lines(store, item) == [("received", None, 1), ("decided", "mo", 1)]
    assert (store.counters.totals(), store.counters.revision("2026/thaw")) == (counts, known)

    (undone,) = undo(store, decided).done
    assert undone.item == item == kept(store, item)
    assert (store.counters.totals(), store.counters.revision("2026/thaw")) == (counts, known)
    assert decide(store, item, decision, by="sato").item.decided_by == "sato"
    assert lines(store, item)[2:] == [("undone", "mo", 1), ("decided", "sato", 1)]


def undo(store: Store, decided: Decided) -> Bulk:
    assert decided.history is not None
    return store.decisions.undo({decided.item.id: decided.history}, by="mo", batch="undo", now=LATER)


def test_only_the_last_of_several_decisions_at_one_version_can_be_undone(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    first = decide(store, item, Decision.APPROVE)
    (undone,) = undo(store, first).done
    assert [left.code for left in undo(store, first).left] == ["decided-meanwhile"]
    second = decide(store, item, Decision.APPROVE, by="sato")
    for earlier in (first, undone):
        (left,) = undo(store, earlier).left
        assert (left.code, left.by, left.now) == ("decided-meanwhile", "sato", second.item)
    assert kept(store, item).decided_by == "sato"
    (taken,) = undo(store, second).done
    (redone,) = undo(store, taken).done
    assert redone.item.decided_by == "sato"
    assert len(store.history.of_item(item.id)) == 6


def test_an_undo_of_a_decision_that_moved_nothing_leaves_what_has_changed_since(store: Store) -> None:
    edited = store.items.record(a_comment(), APPROVED, [], NOON).item
    moved = store.items.record(a_comment("Another."), SPAM, [], NOON).item
    approved, confirmed = decide(store, edited, Decision.APPROVE), decide(store, moved, Decision.SPAM)
    store.items.revise(edited.id, a_comment("Better"), APPROVED, [], LATER)
    decide(store, moved, Decision.TRASH)
    assert [len(undo(store, each).left) for each in (approved, confirmed)] == [1, 1]
    assert (kept(store, edited).text, kept(store, moved).status) == ("Better", Status.TRASH)


def test_an_undo_restores_who_had_decided_before(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    approved = decide(store, item, Decision.APPROVE)
    spam = decide(store, approved.item, Decision.SPAM, by="sato")
    (back,) = undo(store, spam).done
    assert (back.item.status, back.item.decided_by) == (Status.APPROVED, "mo")
    (again,) = undo(store, back).done
    assert (again.item.status, again.item.decided_by) == (Status.SPAM, "sato")


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_an_undo_of_what_earlier_code_has_written_restores_who_had_decided_before(
    store: Store, is_withdrawn: bool
) -> None:
    item = decide(store, store.items.record(a_comment(), HELD, [], NOON).item, Decision.APPROVE).item
    if is_withdrawn:
        item = store.items.withdraw(item.id, LATER).item
    spam = decide(store, item, Decision.SPAM, by="sato")
    with store.database.write() as conn:
        conn.execute(update(history).values(decided_before=None))
    (back,) = undo(store, spam).done
    assert (back.item.status, back.item.decided_by) == (item.status, item.decided_by)


def test_the_same_decision_on_an_earlier_version_says_nothing_about_the_text_since(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    revised = store.items.revise(item.id, a_comment("Better"), APPROVED, [], LATER).item
    decided = decide(store, item, Decision.APPROVE)
    assert (decided.changed, decided.item) == (False, revised)
    assert decide(store, revised, Decision.APPROVE).item.decided_by == "mo"


def test_checks_do_not_bring_back_a_ping_that_a_person_wants_in_the_trash(store: Store) -> None:
    numbers = []
    for name in ("one", "two"):
        ping = store.items.record(a_ping(f"https://{name}.example/"), APPROVED, [], NOON).item
        taken = store.items.withdraw(ping.id, LATER).item
        assert (taken.status, taken.decided_by) == (Status.TRASH, None)
        numbers.append(taken)
    decide(store, numbers[1], Decision.TRASH)
    for name, status in (("one", Status.APPROVED), ("two", Status.TRASH)):
        again = store.items.record(a_ping(f"https://{name}.example/"), APPROVED, [], LATER)
        assert again.item.status is status


# --- new texts -------------------------------------------------------------------------------------


def test_a_pending_text_is_replaced_and_judged_anew(store: Store) -> None:
    item = store.items.record(a_comment(), TO_CHECK, [], NOON).item
    recorded = store.items.revise(item.id, a_comment("Better"), APPROVED, [], LATER)
    assert recorded.before is Status.PENDING
    assert (recorded.item.status, recorded.item.text, recorded.item.awaiting) == (Status.APPROVED, "Better", None)
    assert (recorded.item.version, recorded.item.edited_at) == (2, LATER)
    assert kept(store, item) == recorded.item
    assert store.history.of_item(item.id)[-1].act == "revised"
    assert store.counters.totals() == Counts(comments=1)


def test_an_unchanged_text_changes_nothing(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    recorded = store.items.revise(item.id, a_comment(), SPAM, [NewTask(kind="judge", due_at=NOON)], LATER)
    assert recorded.item == item
    assert next_due(store.tasks) is None


def test_an_approved_text_stays_public_until_the_next_is_approved(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    revised = store.items.revise(item.id, a_comment("Worse"), HELD, [], LATER).item
    assert (revised.status, revised.text, revised.awaiting) == (Status.APPROVED, item.text, Awaiting.MODERATOR)
    assert revised.proposed is not None
    assert revised.proposed["text"] == "Worse"
    assert revised.version == 2
    assert kept(store, item) == revised
    assert store.threads.page("2026/thaw", cursor=None, limit=9, newest_first=False).items[0].html == item.html
    assert store.counters.totals() == Counts(comments=1)

    approved = decide(store, revised, Decision.APPROVE)
    assert approved.changed
    assert (approved.item.text, approved.item.html) == ("Worse", "<p>Worse</p>")
    assert (approved.item.proposed, approved.item.awaiting, approved.item.edited_at) == (None, None, LATER)
    assert approved.item.version == 3
    assert kept(store, item) == approved.item


def test_a_waiting_text_cannot_be_approved_on_the_version_before_it(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    store.items.revise(item.id, a_comment("Worse"), HELD, [], LATER)
    with pytest.raises(DecidedMeanwhile):
        decide(store, item, Decision.APPROVE)


@pytest.mark.parametrize("decision", [Decision.SPAM, Decision.TRASH, Decision.HOLD])
def test_any_decision_was_about_the_newest_text(store: Store, decision: Decision) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    revised = store.items.revise(item.id, a_comment("Worse"), HELD, [], LATER).item
    decided = decide(store, revised, decision).item
    assert (decided.text, decided.proposed) == ("Worse", None)
    assert kept(store, item) == decided


def test_an_approved_comment_whose_new_text_passes_shows_it_at_once(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    before = store.counters.revision("2026/thaw")
    revised = store.items.revise(item.id, a_comment("Better"), APPROVED, [], LATER).item
    assert (revised.status, revised.text, revised.proposed) == (Status.APPROVED, "Better", None)
    assert store.counters.revision("2026/thaw") > before


def test_a_changed_text_of_an_approved_ping_waits_for_a_moderator_even_if_it_passes(store: Store) -> None:
    store.items.record(a_ping(), APPROVED, [], NOON)
    item = store.items.record(a_ping(text="Changed"), APPROVED, [], LATER).item
    assert (item.text, item.awaiting) == ("They wrote", Awaiting.MODERATOR)
    again = store.items.record(a_ping(text="Changed"), APPROVED, [], LATER).item
    assert again == item


@pytest.mark.parametrize("verdict", [SPAM, TRASH], ids=lambda verdict: verdict.status)
def test_a_new_text_does_not_restore_a_removed_item(store: Store, verdict: object) -> None:
    item = store.items.record(a_comment(), verdict, [], NOON).item
    revised = store.items.revise(item.id, a_comment("Innocent"), APPROVED, [], LATER).item
    assert (revised.status, revised.text) == (item.status, "Innocent")


def test_an_edit_does_not_publish_an_item_held_by_a_moderator(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    held = decide(store, item, Decision.HOLD).item
    revised = store.items.revise(held.id, a_comment("Innocent"), APPROVED, [], LATER).item
    assert (revised.status, revised.awaiting) == (Status.PENDING, Awaiting.MODERATOR)


def test_the_first_text_remains_the_one_that_a_repeated_form_is_compared_with(store: Store) -> None:
    item = store.items.record(a_comment(idempotency_key="k"), HELD, [], NOON).item
    store.items.revise(item.id, a_comment("Better", idempotency_key="k"), HELD, [], LATER)
    again = store.items.record(a_comment(idempotency_key="k"), HELD, [], LATER)
    assert (again.is_new, again.item.text) == (False, "Better")


# --- taking back, deleting -------------------------------------------------------------------------


def test_authors_can_withdraw_their_item(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    taken = store.items.withdraw(item.id, LATER)
    assert (taken.before, taken.item.status, taken.changed) == (Status.APPROVED, Status.TRASH, True)
    assert kept(store, item) == taken.item
    line = store.history.of_item(item.id)[-1]
    assert (line.act, line.by, line.after) == ("withdrawn", None, Status.TRASH)
    assert store.counters.totals() == Counts(trash_comment=1)
    assert not store.items.withdraw(item.id, LATER).changed


def test_tasks_go_with_a_withdrawal_that_changes_something(store: Store) -> None:
    wanted = [NewTask(kind="tell", due_at=LATER)]
    spam = store.items.record(a_comment(), SPAM, [], NOON).item
    store.items.withdraw(spam.id, LATER, tasks=wanted)
    assert next_due(store.tasks) is None
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    store.items.withdraw(item.id, LATER, tasks=wanted)
    (task,) = store.tasks.lease_due(LATER, limit=9, seconds=60)
    assert (task.item, task.kind) == (item.id, "tell")
    store.tasks.finish(task)
    store.items.withdraw(item.id, LATER, tasks=wanted)
    assert next_due(store.tasks) is None


def test_withdrawn_spam_stays_spam(store: Store) -> None:
    item = store.items.record(a_comment(), SPAM, [], NOON).item
    assert not store.items.is_withdrawn(item)
    taken = store.items.withdraw(item.id, LATER).item
    assert (taken.status, taken.version, store.items.is_withdrawn(taken)) == (Status.SPAM, 2, True)
    assert kept(store, item) == taken
    assert not store.items.withdraw(item.id, LATER).changed
    # A decision that comes after it is what the item stands by.
    held = decide(store, taken, Decision.HOLD).item
    assert not store.items.is_withdrawn(held)


@pytest.mark.parametrize("decision", [Decision.SPAM, Decision.TRASH])
def test_an_undo_does_not_publish_an_item_withdrawn_by_its_author(store: Store, decision: Decision) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    line = decide(store, item, decision).history
    store.items.withdraw(item.id, LATER)
    assert line is not None
    undone = store.decisions.undo({item.id: line}, by="mo", batch="b", now=LATER)
    assert [left.code for left in undone.left] == ["decided-meanwhile"]
    assert not kept(store, item).is_public


@pytest.mark.parametrize("verdict", [SPAM, TRASH], ids=lambda verdict: verdict.status)
def test_deleting_removes_the_sample_and_the_tasks_and_keeps_the_history(store: Store, verdict: object) -> None:
    item = store.items.record(a_comment(), verdict, [NewTask(kind="feedback", due_at=NOON)], NOON).item
    store.samples.save(item.id, {"user_ip": "192.0.2.7"}, "spam", None, NOON)
    store.items.delete(item.id, "mo", LATER)
    assert store.items.get(item.id) is None
    assert store.samples.get(item.id) is None
    assert next_due(store.tasks) is None
    line = store.history.of_item(item.id)[-1]
    assert (line.act, line.by, line.before, line.after) == ("deleted", "mo", item.status, item.status)
    assert store.counters.totals() == Counts()


@pytest.mark.parametrize("verdict", [HELD, APPROVED], ids=lambda verdict: verdict.status)
def test_only_spam_and_trash_can_be_deleted(store: Store, verdict: object) -> None:
    item = store.items.record(a_comment(), verdict, [], NOON).item
    with pytest.raises(NotAllowed) as refused:
        store.items.delete(item.id, "mo", LATER)
    assert refused.value.legal == ("spam", "trash")
    assert kept(store, item) == item


def test_batches_are_forgotten_once_they_are_over(store: Store) -> None:
    for name, state in (("a", "done"), ("b", "stopped"), ("c", "failed"), ("d", None)):
        store.batches.begin(name, NewTask(kind=f"batch:{name}", due_at=NOON), NOON, act="spam", by="mo", total=9)
        if state:
            store.batches.stop(name, NOON, state)
    later = NOON + timedelta(days=1)
    store.batches.forget(NOON)
    assert None not in [store.batches.get(name) for name in "abcd"]
    store.batches.forget(later)
    assert [name for name in "abcd" if store.batches.get(name)] == ["c", "d"]
