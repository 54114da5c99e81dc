"""Any order of submissions, decisions, edits, verdicts and deletions, against a model of what must hold."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from moderate.database.engine import Database
from moderate.database.schema import metadata
from moderate.errors import DecidedMeanwhile, NotAllowed
from moderate.lifecycle import AFTER
from moderate.model import COUNTERS, Awaiting, ChangedText, Counts, Decision, Kind, Status
from moderate.store.store import Store
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_ping, a_verdict, decide_one

if TYPE_CHECKING:
    from moderate.model import Item, Verdict

VERDICTS = st.sampled_from([APPROVED, HELD, TO_CHECK, SPAM, a_verdict(Status.TRASH)])
TEXTS = st.sampled_from(["one", "two", "three"])
ARTICLES = st.sampled_from(["a", "b"])


@dataclass
class Stored:
    """The state of an item in the model."""

    item: Item
    #: The status of a moderator's last decision; None without one, or once the author has acted since.
    decided: Status | None = None
    #: The effect of its newest version on a changed text, None if there was none.
    dealt: ChangedText | None = None


class StoreMachine(RuleBasedStateMachine):
    """Drives a store; subclasses say which."""

    items = Bundle("items")
    url = ""

    @initialize()
    def begin(self) -> None:
        self.store = Store(Database(self.url, sqlite_synchronous="normal"))
        self.clear()
        self.stored: dict[int, Stored] = {}
        self.ticks = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.database.dispose()

    def clear(self) -> None:
        """An earlier run, or another test, may have left something."""
        with self.store.database.write() as conn:
            for table in metadata.sorted_tables:
                conn.execute(table.delete())

    def now(self) -> object:
        self.ticks += 1
        return NOON + timedelta(seconds=self.ticks)

    def keep(self, item: Item, decided: Status | None) -> int:
        known = self.stored.get(item.id)
        dealt = known.dealt if known is not None and known.item.version == item.version else None
        self.moments_are_right(known.item if known else None, item)
        self.stored[item.id] = Stored(item, decided, dealt)
        assert self.store.items.get(item.id) == item, "what was returned is not what is stored"
        return item.id

    def moments_are_right(self, before: Item | None, after: Item) -> None:
        """An item becomes public, or comes to wait, at the step that brings it there and at no other."""
        now = NOON + timedelta(seconds=self.ticks)
        is_moved = before is None or before.status is not after.status
        public_at = now if is_moved and after.is_public else before and before.public_at
        was_waiting = before is not None and before.awaiting is Awaiting.MODERATOR
        comes_to_wait = after.awaiting is Awaiting.MODERATOR and (is_moved or not was_waiting)
        waiting_since = now if comes_to_wait else before and before.waiting_since
        assert (after.public_at, after.waiting_since) == (public_at, waiting_since)

    @rule(target=items, words=TEXTS, article=ARTICLES, verdict=VERDICTS, key=st.sampled_from([None, "k1", "k2"]))
    def comment(self, words: str, article: str, verdict: Verdict, key: str | None) -> int:
        # One text to a key: another would be refused.
        words = key or words
        recorded = self.store.items.record(a_comment(words, article, idempotency_key=key), verdict, [], self.now())
        known = self.stored.get(recorded.item.id)
        assert recorded.is_new is (known is None)
        return self.keep(recorded.item, known.decided if known else None)

    @rule(
        target=items,
        source=st.integers(1, 3),
        words=TEXTS,
        article=ARTICLES,
        verdict=VERDICTS,
        kind=st.sampled_from(Kind),
    )
    def ping(self, source: int, words: str, article: str, verdict: Verdict, kind: Kind) -> int:
        kind = Kind.TRACKBACK if kind is Kind.COMMENT else kind
        submission = a_ping(f"https://{source}.example/", words, article, kind=kind)
        recorded = self.store.items.record(submission, verdict, [], self.now())
        known = self.stored.get(recorded.item.id)
        if known:
            self.is_no_worse_off(known, recorded.item)
        return self.keep(recorded.item, known.decided if known else None)

    @rule(item=items, decision=st.sampled_from(Decision), age=st.integers(0, 1), proposal=st.sampled_from(ChangedText))
    def decide(self, item: int, decision: Decision, age: int, proposal: ChangedText) -> None:
        known = self.stored.get(item)
        if known is None:
            return
        wanted = {"by": "mo", "note": None, "change": proposal}
        version = known.item.version - age
        offered = known.item.proposed
        waits = offered is not None and decision is Decision.APPROVE
        # To hold what awaits checks is a decision: no late verdict may publish the item after it.
        holds = decision is Decision.HOLD and known.item.awaiting is Awaiting.CHECKS
        same = known.item.status is AFTER[decision] and not waits
        if age and (not same or known.dealt not in {None, proposal}):
            with pytest.raises(DecidedMeanwhile) as refused:
                decide_one(self.store, item, decision, version=version, now=self.now(), **wanted)
            assert refused.value.item == known.item
            return
        decided = decide_one(self.store, item, decision, version=version, now=self.now(), **wanted)
        # So is the first decision of a person about what was seen, wherever checks have brought the item.
        is_first = known.item.decided_by is None and not age
        holds = holds and known.item.status is Status.PENDING
        assert decided.changed is (not same or holds or is_first)
        is_moved = known.item.status is not AFTER[decision] or offered is not None
        assert decided.item.version == known.item.version + (decided.changed and is_moved)
        assert decided.item.status is AFTER[decision]
        if not decided.changed:
            return
        taken = offered if proposal is ChangedText.ACCEPT and offered is not None else {"text": known.item.text}
        assert (decided.item.text, decided.item.proposed) == (taken["text"], None)
        self.keep(decided.item, AFTER[decision])
        self.stored[item].dealt = None if offered is None else proposal

    @rule(item=items, words=TEXTS, verdict=VERDICTS)
    def edit(self, item: int, words: str, verdict: Verdict) -> None:
        known = self.stored.get(item)
        if known is None or known.item.kind is not Kind.COMMENT:
            return
        revised = self.store.items.revise(item, a_comment(words, known.item.article), verdict, [], self.now()).item
        self.is_no_worse_off(known, revised)
        self.keep(revised, known.decided)

    @rule(item=items, verdict=VERDICTS, age=st.integers(0, 1))
    def settle(self, item: int, verdict: Verdict, age: int) -> None:
        known = self.stored.get(item)
        if known is None:
            return
        settled = self.store.items.settle(None, item, known.item.version - age, verdict, self.now())
        assert settled.item is not None
        if age:
            assert settled.item == known.item
        self.is_no_worse_off(known, settled.item)
        self.keep(settled.item, known.decided)

    @rule(item=items)
    def withdraw(self, item: int) -> None:
        known = self.stored.get(item)
        if known is None:
            return
        taken = self.store.items.withdraw(item, self.now()).item
        assert taken.status in {Status.TRASH, Status.SPAM}
        self.keep(taken, None if taken.status is not known.item.status else known.decided)

    @rule(item=items)
    def delete(self, item: int) -> None:
        known = self.stored.get(item)
        if known is None:
            return
        if known.item.status not in {Status.SPAM, Status.TRASH}:
            with pytest.raises(NotAllowed):
                self.store.items.delete(item, "mo", self.now())
            return
        self.store.items.delete(item, "mo", self.now())
        del self.stored[item]
        assert self.store.items.get(item) is None

    def is_no_worse_off(self, known: Stored, after: Item) -> None:
        """A person's decision stands, and nothing that was public changed its words unapproved."""
        if known.decided is not None:
            assert after.status is known.decided
        if known.item.status is Status.APPROVED:
            assert after.status is Status.APPROVED
        assert after.version >= known.item.version

    @invariant()
    def counters_are_what_the_items_say(self) -> None:
        if not hasattr(self, "store"):
            return
        expected = dict.fromkeys(["a", "b", ""], Counts())
        for article in expected:
            numbers = dataclasses.asdict(Counts())
            for stored in self.stored.values():
                if article in {"", stored.item.article}:
                    numbers[COUNTERS[stored.item.kind, stored.item.status]] += 1
            expected[article] = Counts(**numbers)
        assert self.store.counters.counts(list(expected)) == expected
        assert not any(self.store.counters.recount(repair=False))

    @invariant()
    def the_longest_wait_is_that_of_an_item(self) -> None:
        if hasattr(self, "store"):
            stored = [known.item for known in self.stored.values()]
            waits = [
                item.waiting_since for item in stored if item.awaiting is Awaiting.MODERATOR and not item.is_public
            ]
            assert self.store.overview().waiting_since == min(waits, default=None)

    @invariant()
    def every_version_and_status_is_in_the_history(self) -> None:
        for item_id, stored in getattr(self, "stored", {}).items():
            lines = self.store.history.of_item(item_id)
            assert lines[0].act == "received"
            assert (lines[-1].after, lines[-1].version) == (stored.item.status, stored.item.version)
            for earlier, later in pairwise(lines):
                assert later.before is earlier.after


LIMITS = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def test_events_in_any_order_match_the_model_on_sqlite(migrated_file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(migrated_file, Path(folder) / "machine.db")
        machine = type("OnSqlite", (StoreMachine,), {"url": f"sqlite:///{path}"})
        run_state_machine_as_test(machine, settings=LIMITS)


def test_events_in_any_order_match_the_model_on_postgresql(migrated_url: str) -> None:
    machine = type("OnPostgresql", (StoreMachine,), {"url": migrated_url})
    run_state_machine_as_test(machine, settings=settings(LIMITS, max_examples=6))


def test_events_in_any_order_match_the_model_on_mariadb(migrated_mariadb_url: str) -> None:
    machine = type("OnMariadb", (StoreMachine,), {"url": migrated_mariadb_url})
    run_state_machine_as_test(machine, settings=settings(LIMITS, max_examples=6))
