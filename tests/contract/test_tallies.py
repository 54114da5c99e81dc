"""The latest states, and the counts of what checks and moderators have done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.model import Decision, Finding, Lean, Status, Verdict
from tests.factories import HELD, NOON, a_comment, decide_one

if TYPE_CHECKING:
    from moderate.store.store import Store

SPAM = Verdict(Status.SPAM, None, (Finding("links", Lean.SPAM, "many"),))
BY_RULE = Verdict(Status.SPAM, None, (Finding("rules", Lean.SPAM, "a word", rule=7),))
LATER = NOON + timedelta(hours=1)


def stored(store: Store, verdict: Verdict, text: str) -> int:
    return store.items.record(a_comment(text=text), verdict, [], NOON).item.id


def decide(store: Store, item: int, decision: Decision, version: int = 1) -> None:
    decide_one(store, item, decision, version=version, by="mori", note=None, now=LATER)


def test_a_state_is_replaced_and_has_its_time(store: Store) -> None:
    assert store.states.get("akismet") is None
    store.states.keep("akismet", {"state": "ok"}, NOON)
    store.states.keep("akismet", {"state": "down", "since": [1, None]}, LATER)
    kept = store.states.get("akismet")
    assert kept is not None
    assert (kept.value, kept.at) == ({"state": "down", "since": [1, None]}, LATER)
    assert store.states.get("other") is None


def test_verdicts_are_counted_by_the_check_that_decided_the_status(store: Store) -> None:
    for number, verdict in enumerate((SPAM, SPAM, BY_RULE, HELD)):
        stored(store, verdict, f"text {number}")
    found = store.tallies.tally(0).verdicts
    assert found["links", "spam"] == 2
    assert found["links", "pending"] == 1
    # The rules of a check are not distinguished: their ids would be an unlimited number of labels.
    assert found["rules", "spam"] == 1
    assert sum(found.values()) == 4


def test_an_override_is_a_decision_against_the_check_that_acted_last(store: Store) -> None:
    wrong, held, right = stored(store, SPAM, "one"), stored(store, HELD, "two"), stored(store, SPAM, "three")
    decide(store, wrong, Decision.APPROVE)
    decide(store, held, Decision.APPROVE)
    # Said twice, and taken back by a person: neither is about the check any more.
    decide(store, right, Decision.SPAM)
    decide(store, wrong, Decision.TRASH, 2)
    tally = store.tallies.tally(0)
    assert tally.overrides == {("links", "spam", "approved"): 1, ("links", "pending", "approved"): 1}
    assert tally.decisions["decided", "spam", "approved"] == 1
    assert tally.decisions["decided", "approved", "trash"] == 1
    assert ("decided", "spam", "spam") not in tally.decisions


def test_parts_of_the_history_add_up_to_the_whole(store: Store) -> None:
    ids = [stored(store, SPAM, f"text {number}") for number in range(4)]
    middle = store.tallies.newest_entry(LATER)
    for number in ids:
        decide(store, number, Decision.APPROVE)
    assert middle > 0
    assert store.tallies.tally(0, middle).overrides == {}
    assert store.tallies.tally(0, middle).verdicts == {("links", "spam"): 4}
    assert store.tallies.tally(middle).verdicts == {}
    assert store.tallies.tally(middle).overrides == {("links", "spam", "approved"): 4}
    assert store.tallies.newest_entry(LATER) == middle
    assert store.tallies.newest_entry(LATER + timedelta(seconds=1)) > middle


@pytest.mark.parametrize("moment", [NOON, NOON - timedelta(days=1)])
def test_an_empty_history_has_no_newest_line(store: Store, moment: object) -> None:
    assert store.tallies.newest_entry(moment) == 0  # type: ignore[arg-type]
    assert store.tallies.tally(0).decisions == {}
