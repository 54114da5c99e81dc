"""The latest states, and the counts of what checks and moderators have done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from moderate.model import Awaiting, Decision, Finding, Lean, Status, Verdict
from moderate.monitoring import sql as tallies
from tests.factories import HELD, NOON, a_comment, a_verdict, decide_one

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
    # A confirmation, and what a person takes back, are no overrides.
    decide(store, right, Decision.SPAM)
    decide(store, wrong, Decision.TRASH, 2)
    tally = store.tallies.tally(0)
    assert tally.overrides == {("links", "spam", "approved"): 1, ("links", "pending", "approved"): 1}
    assert tally.decisions["decided", "spam", "approved"] == 1
    assert tally.decisions["decided", "approved", "trash"] == 1
    assert tally.decisions["decided", "spam", "spam"] == 1


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


def test_a_long_history_is_counted_by_a_worker_in_parts_and_left_out_until_then(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "STEP", 3)
    ids = [stored(store, SPAM, f"text {number}") for number in range(4)]
    for number in ids[:3]:
        decide(store, number, Decision.APPROVE)
    assert store.tallies.total() is None
    asked: list[int] = []

    @event.listens_for(store.database.engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement.startswith("SELECT moderate_history.act"))

    store.tallies.keep(LATER + timedelta(hours=1))
    assert sum(asked) == 3
    assert store.tallies.total() == store.tallies.tally(0)
    # What has come since is counted up to a bound, so that the numbers never fall.
    for number in range(4, 9):
        stored(store, SPAM, f"text {number}")
    counted = store.tallies.total()
    assert counted is not None
    assert counted.verdicts == {("links", "spam"): 7}


@pytest.mark.parametrize("moment", [NOON, NOON - timedelta(days=1)])
def test_an_empty_history_has_no_newest_line(store: Store, moment: object) -> None:
    assert store.tallies.newest_entry(moment) == 0  # type: ignore[arg-type]
    assert store.tallies.tally(0).decisions == {}


def outcomes(store: Store) -> dict[tuple[str, ...], int]:
    return store.tallies.outcomes(0, store.tallies.newest_entry(LATER + timedelta(days=9)))


def test_outcomes_are_what_checks_did_and_people_decided_then(store: Store) -> None:
    wrong, right, open_ = (stored(store, SPAM, text) for text in ("one", "two", "three"))
    held, public = stored(store, HELD, "four"), stored(store, a_verdict(Status.APPROVED, findings=()), "five")
    decide(store, wrong, Decision.APPROVE)
    decide(store, right, Decision.TRASH)
    decide(store, held, Decision.SPAM)
    # The last decision counts.
    decide(store, held, Decision.APPROVE, 2)
    decide(store, public, Decision.SPAM)
    assert outcomes(store) == {
        ("links", "spam", "approved"): 1,
        ("links", "spam", "trash"): 1,
        ("links", "spam", ""): 1,
        ("links", "pending", "approved"): 1,
        ("", "approved", "spam"): 1,
    }
    (line,) = [line.id for line in store.history.of_item(wrong) if line.act == "decided"]
    store.decisions.undo({wrong: line}, by="mori", batch="b", now=LATER)
    assert outcomes(store)["links", "spam", ""] == 2
    assert open_ == 3


def test_what_is_judged_again_before_a_decision_is_one_outcome(store: Store) -> None:
    waits = Verdict(Status.PENDING, Awaiting.CHECKS, (Finding("akismet", Lean.UNSURE, "not asked yet"),))
    number = stored(store, waits, "one")
    store.items.settle(None, number, 1, BY_RULE, LATER)
    assert outcomes(store) == {("rules", "spam", ""): 1}
    decide(store, number, Decision.APPROVE, 2)
    assert outcomes(store) == {("rules", "spam", "approved"): 1}


def test_a_decision_before_an_item_was_judged_again_stays_with_what_it_was_about(store: Store) -> None:
    number = stored(store, HELD, "one")
    decide(store, number, Decision.APPROVE)
    held = Verdict(Status.PENDING, Awaiting.MODERATOR, (Finding("timing", Lean.HOLD, "fast"),))
    store.items.revise(number, a_comment(text="one, changed"), held, [], LATER)
    decide(store, number, Decision.SPAM, 3)
    assert outcomes(store) == {("links", "pending", "approved"): 1, ("", "approved", "spam"): 1}


def test_the_outcomes_of_parts_of_the_history_add_up(store: Store) -> None:
    for number, verdict in enumerate((SPAM, HELD, SPAM)):
        decide(store, stored(store, verdict, f"text {number}"), Decision.APPROVE)
    parts = [store.tallies.outcomes(start, start + 2) for start in range(0, 6, 2)]
    assert sum(sum(part.values()) for part in parts) == sum(outcomes(store).values()) == 3
    assert [part for part in parts if part] == parts
