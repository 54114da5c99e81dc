"""Several moderators decide alone, in bulk and take things back, in any order, against a model of what must hold."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from moderate.database.engine import Database
from moderate.database.schema import metadata
from moderate.lifecycle import AFTER
from moderate.model import COUNTERS, Awaiting, ChangedText, Counts, Decision, Status
from moderate.store.store import Store
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_verdict

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.model import Decided, Item, Verdict

PEOPLE = st.sampled_from(["mori", "sato", "abe"])
DECISIONS = st.sampled_from(Decision)
VERDICTS = st.sampled_from([APPROVED, HELD, TO_CHECK, SPAM, a_verdict(Status.TRASH)])
#: What each act on many things chooses from: positions, taken modulo what there is.
CHOICES = st.lists(st.integers(0, 99), min_size=1, max_size=6)


@dataclass(frozen=True)
class Standing:
    """The state of an item in the model: everything that an undo has to restore."""

    article: str
    status: Status
    text: str
    proposed: str | None
    version: int
    #: Since when it is public, or waits for a moderator; None where it does neither.
    since: datetime | None
    decided_by: str | None


def standing(item: Item) -> Standing:
    proposed = item.proposed["text"] if item.proposed else None
    waiting_since = item.waiting_since if item.awaiting is Awaiting.MODERATOR else None
    since = item.public_at if item.is_public else waiting_since
    return Standing(item.article, item.status, item.text, proposed, item.version, since, item.decided_by)


class DeskMachine(RuleBasedStateMachine):
    """Drives a store; subclasses say which."""

    batches = Bundle("batches")
    url = ""

    @initialize()
    def begin(self) -> None:
        self.store = Store(Database(self.url, sqlite_synchronous="normal"))
        # The model does not include the rows that an earlier test left in the database.
        self.clear()
        self.now: dict[int, Standing] = {}
        #: Batch -> item -> how it stood before, the version that the batch left it at, and its line of the history.
        self.past: dict[str, dict[int, tuple[Standing, int, int]]] = {}
        #: Item -> the line of the last decision on it, or of the last undo of one.
        self.last: dict[int, int] = {}
        self.ticks = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.clear()
            self.store.database.dispose()

    def clear(self) -> None:
        with self.store.database.write() as conn:
            for table in metadata.sorted_tables:
                conn.execute(table.delete())

    def time(self) -> object:
        self.ticks += 1
        return NOON + timedelta(seconds=self.ticks)

    def keep(self, item: Item) -> None:
        self.now[item.id] = standing(item)

    def chosen(self, choices: list[int]) -> list[int]:
        known = sorted(self.now)
        return sorted({known[choice % len(known)] for choice in choices}) if known else []

    @rule(article=st.sampled_from(["a", "b", "c"]), verdict=VERDICTS)
    def comment(self, article: str, verdict: Verdict) -> None:
        self.keep(self.store.items.record(a_comment("first", article), verdict, [], self.time()).item)

    @rule(choices=CHOICES, words=st.sampled_from(["second", "third"]))
    def edit(self, choices: list[int], words: str) -> None:
        for number in self.chosen(choices)[:1]:
            revision = a_comment(words, self.now[number].article)
            self.keep(self.store.items.revise(number, revision, HELD, [], self.time()).item)

    @rule(
        target=batches,
        choices=CHOICES,
        decision=DECISIONS,
        by=PEOPLE,
        stale=st.integers(0, 3),
        proposal=st.sampled_from(ChangedText),
    )
    def decide_many(self, choices: list[int], decision: Decision, by: str, stale: int, proposal: ChangedText) -> str:
        chosen = self.chosen(choices)
        # One of them may have been seen at an earlier version.
        versions = {number: self.now[number].version - (at == stale) for at, number in enumerate(chosen)}
        batch = f"batch-{self.ticks}"
        await_checks = {number for number in chosen if self.store.items.get(number).awaiting is Awaiting.CHECKS}
        done = self.store.decisions.decide(
            versions, decision, by=by, note=None, batch=batch, now=self.time(), change=proposal
        )
        kept: dict[int, tuple[Standing, int, int]] = {}
        for decided in done.done:
            before = self.now[decided.item.id]
            waits = before.proposed is not None and decision is Decision.APPROVE
            # A hold of an item that awaits checks is a decision: no late verdict may publish it.
            is_held_back = decided.item.id in await_checks and decision is Decision.HOLD
            is_moved = before.status is not AFTER[decision] or before.proposed is not None
            # So is the first one of a person on an item that checks have brought where it is, on what was seen.
            is_first = before.decided_by is None and versions[decided.item.id] == before.version
            assert decided.changed is (before.status is not AFTER[decision] or waits or is_held_back or is_first)
            assert decided.item.status is AFTER[decision]
            if decided.changed:
                taken = before.proposed if proposal is ChangedText.ACCEPT else None
                assert decided.item.text == (taken or before.text)
                assert decided.item.proposed is None
                assert decided.item.decided_by == by
                assert decided.item.version == before.version + is_moved
                self.keep_line(kept, decided, before)
        assert {left.id for left in done.left} == {
            number
            for at, number in enumerate(chosen)
            if at == stale and number not in {decided.item.id for decided in done.done}
        }
        assert all(left.code == "decided-meanwhile" for left in done.left)
        self.past[batch] = kept
        return batch

    def keep_line(self, kept: dict[int, tuple[Standing, int, int]], decided: Decided, before: Standing) -> None:
        """Keep what a batch has done to an item. A decision is one line of the history."""
        assert decided.history is not None
        line = self.store.history.of_item(decided.item.id)[-1]
        assert (line.id, line.before, line.after) == (decided.history, before.status, decided.item.status)
        kept[decided.item.id] = before, decided.item.version, decided.history
        self.last[decided.item.id] = decided.history
        self.keep(decided.item)

    @rule(target=batches, batch=batches, by=PEOPLE)
    def undo(self, batch: str, by: str) -> str:
        page = self.store.history.page(batch=batch, cursor=None, limit=100)
        assert {entry.item for entry in page.entries} == set(self.past[batch])
        again = f"undo-{self.ticks}"
        entries = {entry.item: entry.id for entry in page.entries}
        done = self.store.decisions.undo(entries, by=by, batch=again, now=self.time())
        kept: dict[int, tuple[Standing, int, int]] = {}
        for decided in done.done:
            before, left_at, line = self.past[batch][decided.item.id]
            now = self.now[decided.item.id]
            assert (now.version, self.last[decided.item.id]) == (left_at, line), "what was changed since must be left"
            self.keep_line(kept, decided, now)
            after = self.now[decided.item.id]
            assert (after.status, after.text, after.proposed) == (before.status, before.text, before.proposed)
            assert after.decided_by == before.decided_by
            assert before.since is None or after.since == before.since
            # A decision that has moved nothing is undone without a move.
            is_moved = (now.status, now.text, now.proposed) != (before.status, before.text, before.proposed)
            assert after.version == now.version + is_moved
        overtaken = {number for number in self.past[batch] if number not in kept}
        assert {left.id for left in done.left} == overtaken
        for left in done.left:
            # An item that is gone, or one that was decided since.
            known = self.now.get(left.id)
            assert (left.now is None) is (known is None)
            _, left_at, line = self.past[batch][left.id]
            assert known is None or (known.version, self.last[left.id]) != (left_at, line)
        self.past[again] = kept
        return again

    @rule(choices=CHOICES)
    def delete(self, choices: list[int]) -> None:
        for number in self.chosen(choices)[:1]:
            if self.now[number].status in {Status.SPAM, Status.TRASH}:
                self.store.items.delete(number, "mori", self.time())
                del self.now[number]

    @rule(choices=CHOICES, verdict=VERDICTS)
    def settle(self, choices: list[int], verdict: Verdict) -> None:
        for number in self.chosen(choices)[:1]:
            settled = self.store.items.settle(None, number, self.now[number].version, verdict, self.time()).item
            assert settled is not None
            self.keep(settled)

    @invariant()
    def what_is_stored_is_what_was_told(self) -> None:
        for number, known in getattr(self, "now", {}).items():
            item = self.store.items.get(number)
            assert item is not None
            assert known == standing(item)
            if item.status is Status.PENDING:
                assert item.awaiting is not None
            elif item.proposed is None:
                assert item.awaiting is None
            if item.decided_by is not None and item.status is Status.PENDING:
                assert item.awaiting is Awaiting.MODERATOR

    @invariant()
    def counters_are_what_the_items_say(self) -> None:
        if not hasattr(self, "store"):
            return
        numbers = dataclasses.asdict(Counts())
        for number, known in self.now.items():
            item = self.store.items.get(number)
            assert item is not None
            numbers[COUNTERS[item.kind, known.status]] += 1
        assert self.store.counters.totals() == Counts(**numbers)
        assert not any(self.store.counters.recount(repair=False))


LIMITS = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def test_decisions_in_any_order_match_the_model_on_sqlite(migrated_file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(migrated_file, Path(folder) / "desk.db")
        machine = type("OnSqlite", (DeskMachine,), {"url": f"sqlite:///{path}"})
        run_state_machine_as_test(machine, settings=LIMITS)


def test_decisions_in_any_order_match_the_model_on_postgresql(migrated_url: str) -> None:
    machine = type("OnPostgresql", (DeskMachine,), {"url": migrated_url})
    run_state_machine_as_test(machine, settings=settings(LIMITS, max_examples=6))


def test_decisions_in_any_order_match_the_model_on_mariadb(migrated_mariadb_url: str) -> None:
    machine = type("OnMariadb", (DeskMachine,), {"url": migrated_mariadb_url})
    run_state_machine_as_test(machine, settings=settings(LIMITS, max_examples=6))
