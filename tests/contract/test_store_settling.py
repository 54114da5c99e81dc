"""Late verdicts: what they may change and what they may not, on every store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.model import Awaiting, Content, Counts, Decision, Lean, NewTask, Status
from tests.factories import (
    APPROVED,
    HELD,
    NOON,
    SPAM,
    TO_CHECK,
    a_body,
    a_comment,
    a_finding,
    a_ping,
    a_verdict,
    decide_one,
)

if TYPE_CHECKING:
    from moderate.model import Item, Task, Verdict
    from moderate.store.store import Store

LATER = NOON + timedelta(minutes=3)
JUDGE = NewTask(kind="judge", due_at=NOON)


def awaiting_checks(store: Store, submission: object = None) -> tuple[Item, Task]:
    """An item that awaits checks, and its leased task."""
    item = store.items.record(submission or a_comment(), TO_CHECK, [JUDGE], NOON).item
    (task,) = store.tasks.lease_due(NOON, limit=1, seconds=60)
    return item, task


def leasable(store: Store, when: object = LATER) -> list[str]:
    return [task.kind for task in store.tasks.lease_due(when, limit=9, seconds=60)]


@pytest.mark.parametrize("verdict", [APPROVED, HELD, SPAM], ids=lambda verdict: verdict.status)
def test_a_verdict_moves_an_item_that_awaits_checks(store: Store, verdict: Verdict) -> None:
    item, task = awaiting_checks(store)
    settled = store.items.settle(task, item.id, item.version, verdict, LATER)
    assert settled.changed
    assert settled.before is Status.PENDING
    assert settled.item == store.items.get(item.id)
    assert settled.item is not None
    assert (settled.item.status, settled.item.awaiting) == (verdict.status, verdict.awaiting)
    assert settled.item.findings == verdict.findings
    line = store.history.of_item(item.id)[-1]
    assert (line.act, line.by, line.after) == ("judged", None, verdict.status)
    assert leasable(store) == []
    assert store.counters.totals() == store.counters.counts(["2026/thaw"])["2026/thaw"]


def test_a_verdict_that_only_changes_who_is_waited_for_makes_no_decision_stale(store: Store) -> None:
    item, task = awaiting_checks(store)
    settled = store.items.settle(task, item.id, item.version, HELD, LATER).item
    assert settled is not None
    assert settled.version == item.version
    assert decide_one(store, item.id, Decision.APPROVE, version=item.version, by="mo", note=None, now=LATER).changed


@pytest.mark.parametrize("decision", Decision)
def test_a_late_verdict_never_overrules_a_moderator(store: Store, decision: Decision) -> None:
    item, task = awaiting_checks(store)
    decided = decide_one(store, item.id, decision, version=item.version, by="mo", note=None, now=NOON).item
    if not decided.decided_by:
        # A hold of what is pending already is no decision yet.
        return
    settled = store.items.settle(task, item.id, item.version, SPAM, LATER)
    assert not settled.changed
    assert store.items.get(item.id) == decided
    assert leasable(store) == []
    # Not even one on the version that the person made.
    assert not store.items.settle(None, item.id, decided.version, SPAM, LATER).changed


def test_an_item_held_by_a_moderator_waits_for_one_even_after_an_edit(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    held = decide_one(store, item.id, Decision.HOLD, version=1, by="mo", note=None, now=NOON).item
    edited = store.items.revise(held.id, a_comment("Innocent"), TO_CHECK, [JUDGE], NOON).item
    assert edited.awaiting is Awaiting.CHECKS
    for verdict in (APPROVED, SPAM):
        settled = store.items.settle(None, item.id, edited.version, verdict, LATER).item
        assert settled is not None
        assert (settled.status, settled.awaiting) == (Status.PENDING, Awaiting.MODERATOR)


def test_a_verdict_on_an_earlier_text_is_dropped_and_the_newer_text_judged_at_once(store: Store) -> None:
    item, task = awaiting_checks(store)
    store.items.revise(item.id, a_comment("Worse"), TO_CHECK, [JUDGE], NOON)
    settled = store.items.settle(
        task, item.id, item.version, APPROVED, LATER, tasks=[NewTask(kind="mail", due_at=NOON)]
    )
    assert not settled.changed
    assert settled.item is not None
    assert settled.item.status is Status.PENDING
    assert leasable(store) == ["judge"]


def test_the_task_of_an_earlier_text_goes_on_with_the_newer_one(store: Store) -> None:
    item, task = awaiting_checks(store)
    store.items.revise(item.id, a_comment("Worse"), TO_CHECK, [], NOON)
    assert not store.items.settle(task, item.id, item.version, APPROVED, LATER).changed
    assert leasable(store) == ["judge"]


def test_a_verdict_on_an_item_that_is_gone_ends_its_task(store: Store) -> None:
    item, task = awaiting_checks(store)
    spam = decide_one(store, item.id, Decision.SPAM, version=1, by="mo", note=None, now=NOON).item
    store.items.delete(spam.id, "mo", NOON)
    settled = store.items.settle(task, item.id, item.version, APPROVED, LATER)
    assert (settled.item, settled.changed) == (None, False)


def test_an_inconclusive_check_is_no_event_and_is_retried_later(store: Store) -> None:
    item, task = awaiting_checks(store)
    unsure = a_verdict(Status.PENDING, Awaiting.CHECKS, findings=(a_finding("akismet", Lean.UNSURE, "no answer"),))
    settled = store.items.settle(
        task, item.id, item.version, unsure, LATER, retry_at=LATER + timedelta(minutes=20), error="no answer"
    )
    assert settled.item is not None
    assert settled.item.findings == unsure.findings
    assert store.items.get(item.id) == settled.item
    assert len(store.history.of_item(item.id)) == 1
    assert leasable(store) == []
    (again,) = store.tasks.lease_due(LATER + timedelta(minutes=20), limit=9, seconds=60)
    assert (again.id, again.attempts, again.error) == (task.id, 2, "no answer")


def test_the_next_task_is_written_with_the_verdict_even_one_of_the_same_kind(store: Store) -> None:
    item, task = awaiting_checks(store)
    follow = [NewTask(kind="judge", due_at=LATER), NewTask(kind="mail", due_at=LATER)]
    store.items.settle(task, item.id, item.version, HELD, NOON, tasks=follow)
    assert sorted(leasable(store)) == ["judge", "mail"]


def test_a_worker_that_lost_its_lease_does_not_end_the_task_of_another(store: Store) -> None:
    item, task = awaiting_checks(store)
    (taken_over,) = store.tasks.lease_due(NOON + timedelta(seconds=61), limit=1, seconds=60)
    assert store.items.settle(task, item.id, item.version, HELD, LATER).changed
    assert store.tasks.lease_due(NOON + timedelta(seconds=62), limit=1, seconds=60) == []
    store.tasks.finish(taken_over)
    assert leasable(store, NOON + timedelta(days=1)) == []


# --- what was found at a ping's source --------------------------------------------------------------

FOUND = Content(body=a_body("Found there"), author="Their blog", title="A post", blog_name="Their blog", text_key="f")


def test_text_found_at_the_source_becomes_the_text_of_the_ping(store: Store) -> None:
    item, task = awaiting_checks(store, a_ping(text="", title=None))
    settled = store.items.settle(task, item.id, item.version, HELD, LATER, content=FOUND).item
    assert settled is not None
    assert (settled.text, settled.title, settled.author) == ("Found there", "A post", "Their blog")
    assert settled.version == item.version + 1
    assert store.items.get(item.id) == settled


def test_a_changed_source_of_an_approved_ping_waits_behind_the_text_that_is_public(store: Store) -> None:
    item = store.items.record(a_ping(), APPROVED, [], NOON).item
    settled = store.items.settle(None, item.id, item.version, APPROVED, LATER, content=FOUND).item
    assert settled is not None
    assert (settled.status, settled.text, settled.awaiting) == (Status.APPROVED, "They wrote", Awaiting.MODERATOR)
    assert settled.proposed is not None
    assert settled.proposed["text"] == "Found there"
    assert store.items.get(item.id) == settled
    again = store.items.settle(None, item.id, settled.version, APPROVED, LATER, content=FOUND)
    assert not again.changed
    assert store.counters.totals() == Counts(trackback=1)


def test_a_source_that_did_not_change_changes_nothing(store: Store) -> None:
    item = store.items.record(a_ping(), APPROVED, [], NOON).item
    same = Content(body=a_body("They wrote"), author="A blog", url=item.url, title="On They wrote", blog_name="A blog")
    again = [NewTask(kind="verify", due_at=LATER)]
    assert not store.items.settle(None, item.id, item.version, APPROVED, LATER, content=same, tasks=again).changed
    assert leasable(store) == ["verify"]


def test_a_changed_source_leaves_spam_where_it_is(store: Store) -> None:
    item = store.items.record(a_ping(), SPAM, [], NOON).item
    settled = store.items.settle(None, item.id, item.version, APPROVED, LATER, content=FOUND).item
    assert settled is not None
    assert (settled.status, settled.text) == (Status.SPAM, "Found there")


def test_a_source_without_its_link_takes_an_approved_ping_off_the_page(store: Store) -> None:
    item = store.items.record(a_ping(), APPROVED, [], NOON).item
    taken = store.items.withdraw(item.id, LATER, "the source no longer links here")
    assert taken.item.status is Status.TRASH
    assert store.history.of_item(item.id)[-1].note == "the source no longer links here"


# --- changed texts of approved comments --------------------------------------------------------------


def test_a_verdict_publishes_the_changed_text_of_an_approved_comment(store: Store) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    edited = store.items.revise(item.id, a_comment("Better"), TO_CHECK, [JUDGE], NOON).item
    assert (edited.text, edited.awaiting) == (item.text, Awaiting.CHECKS)
    (task,) = store.tasks.lease_due(NOON, limit=1, seconds=60)
    settled = store.items.settle(task, item.id, edited.version, APPROVED, LATER).item
    assert settled is not None
    assert (settled.text, settled.proposed, settled.awaiting) == ("Better", None, None)
    assert store.items.get(item.id) == settled


@pytest.mark.parametrize("verdict", [HELD, SPAM], ids=lambda verdict: verdict.status)
def test_a_changed_text_that_does_not_pass_waits_for_a_moderator(store: Store, verdict: Verdict) -> None:
    item = store.items.record(a_comment(), APPROVED, [], NOON).item
    edited = store.items.revise(item.id, a_comment("Worse"), TO_CHECK, [JUDGE], NOON).item
    settled = store.items.settle(None, item.id, edited.version, verdict, LATER).item
    assert settled is not None
    assert (settled.status, settled.text, settled.awaiting) == (Status.APPROVED, item.text, Awaiting.MODERATOR)
    assert settled.proposed is not None
