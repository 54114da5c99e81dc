"""Any order of submissions, edits, late verdicts, people's decisions, undo and rechecks: the person always wins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from moderate.errors import Closed, DecidedMeanwhile, ServiceDown
from moderate.model import Awaiting, ChangedText, Decision, Moderator, Status
from moderate.moderation.decide import DecisionRequest, decide_one, undo_one
from moderate.ports import SpamAnswer, SpamWord
from moderate.testing import ScriptedSpamService
from tests.sites import Host
from tests.tasks import next_due, run_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.model import Item
    from moderate.ports import SpamSample

MORI = Moderator("mori")
PROVISIONAL = SpamAnswer(word=SpamWord.HAM, recheck_after=90)
DOWN = ServiceDown("akismet", "no answer", retry_after=1200, kind="timeout")
ANSWERS = st.sampled_from([SpamWord.HAM, SpamWord.HAM, SpamWord.SPAM, SpamWord.DISCARD, PROVISIONAL, DOWN])
WORDS = ["ferry", "thaw", "pier", "harbour", "winter", "council", "lamp", "bridge", "bell", "market"]
LINKS = " https://one.example/ https://two.example/ https://three.example/"


class AskedMeanwhile(ScriptedSpamService):
    """A service during whose answer something else happens, as it does when answers take seconds."""

    def __init__(self, answer: Any, meanwhile: Callable[[], None]) -> None:
        super().__init__(answer)
        self.meanwhile = meanwhile
        self.cleared: list[str] = []
        self.answer = answer

    def check(self, sample: SpamSample) -> SpamAnswer:
        self.meanwhile()
        if self.answer is SpamWord.HAM:
            self.cleared.append(sample.comment_content)
        return super().check(sample)


def site_in(folder: Path) -> Host:
    return Host(
        folder,
        MODERATE_LIMITS={},
        MODERATE_PREMODERATION="none",
        MODERATE_AKISMET_KEY="a key that is never sent",
        MODERATE_AKISMET_URL="http://127.0.0.1:9",
        MODERATE_SITE_URL="http://localhost",
        MODERATE_EDIT_WINDOW=525600,
        MODERATE_SQLITE_SYNCHRONOUS="normal",
    )


class JudgingMachine(RuleBasedStateMachine):
    """Drives one site; its clock stands still unless it is moved."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.site = site_in(self.folder)
        self.desk = self.site.state.desk
        self.said = 0
        self.tokens: dict[int, str] = {}
        #: Where a person put an item last.
        self.human: dict[int, Status] = {}
        #: The version of an item at which a person dropped its changed text.
        self.declined: dict[int, int] = {}
        #: The texts of an item that a person or the service let pass.
        self.cleared: dict[int, set[str]] = {}
        self.texts: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "site"):
            self.desk.store.database.dispose()
            shutil.rmtree(self.folder)

    def text(self, links: bool) -> str:
        self.said += 1
        return f"{WORDS[self.said % 10]} {self.said}" + (LINKS if links else "")

    def item(self, number: int) -> Item:
        found = self.desk.store.items.get(number)
        assert found is not None
        return found

    def some(self, data: st.DataObject) -> int:
        number: int = data.draw(st.sampled_from(sorted(self.tokens)))
        return number

    # Few items, so that much happens to each of them.
    @precondition(lambda self: len(self.tokens) < 2)
    @rule(links=st.booleans())
    def submit(self, links: bool) -> None:
        text = self.text(links)
        answer = self.site.comment(text).json
        self.tokens[answer["id"]] = answer["edit_token"]
        self.cleared[answer["id"]] = set()
        self.texts[text] = answer["id"]

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), links=st.booleans())
    def edit(self, data: st.DataObject, links: bool) -> None:
        number, text = self.some(data), self.text(links)
        body = {"text": text, "edit_token": self.tokens[number]}
        assert self.site.client.patch(f"/discuss/items/{number}", json=body).status_code == 200
        self.texts[text] = number

    def decide_on(
        self, number: int, decision: Decision, age: int = 0, proposal: ChangedText = ChangedText.ACCEPT
    ) -> None:
        item = self.item(number)
        takes = item.proposed and proposal is ChangedText.ACCEPT
        newest = item.proposed["text"] if item.proposed and takes else item.text
        with contextlib.suppress(DecidedMeanwhile):
            items = {number: item.version - age}
            after = decide_one(self.desk, DecisionRequest(decision=decision, items=items, by=MORI, change=proposal))
            if item.proposed and not takes:
                self.declined[number] = after.version
            # To hold what waits for checks anyway is to leave it to them: the same as it stands is no decision.
            if after.decided_by is not None:
                self.human[number] = after.status
            if decision is Decision.APPROVE:
                self.cleared[number].add(str(newest))

    @precondition(lambda self: self.tokens)
    @rule(
        data=st.data(),
        decision=st.sampled_from(Decision),
        age=st.sampled_from([0, 0, 0, 1]),
        proposal=st.sampled_from(ChangedText),
    )
    def decide(self, data: st.DataObject, decision: Decision, age: int, proposal: ChangedText) -> None:
        self.decide_on(self.some(data), decision, age, proposal)

    @precondition(lambda self: self.human)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.human)))
        acts = {"decided", "declined"}
        last = [entry for entry in self.desk.store.history.of_item(number) if entry.act in acts][-1:]
        for entry in last:
            # What it puts back is what a person wants, or what checks had decided before any person did.
            for done in undo_one(self.desk, entry.id, by=MORI).done:
                if done.item.decided_by is None:
                    del self.human[number]
                else:
                    self.human[number] = done.item.status

    @rule(answer=ANSWERS, data=st.data(), meanwhile=st.sampled_from(["", "", "decide", "edit"]))
    def work(self, answer: Any, data: st.DataObject, meanwhile: str) -> None:
        """One worker takes what is due; a person or an author may act while the service thinks."""
        act = st.data() if not self.tokens else data

        def happen() -> None:
            if meanwhile == "decide":
                proposal = data.draw(st.sampled_from(ChangedText))
                self.decide_on(self.some(act), data.draw(st.sampled_from(Decision)), proposal=proposal)
            elif meanwhile == "edit":
                with contextlib.suppress(Closed):
                    self.edit(act, links=False)

        service = AskedMeanwhile(answer, happen)
        desk = replace(self.desk, services=replace(self.desk.services, spam=service))
        for _ in range(30):
            if not run_due(desk):
                break
        for text in service.cleared:
            self.cleared[self.texts[text]].add(text)

    @rule(minutes=st.sampled_from([2, 25, 60, 60 * 80]))
    def wait(self, minutes: int) -> None:
        self.site.clock.advance(minutes=minutes)

    @invariant()
    def the_person_always_wins(self) -> None:
        for number, status in getattr(self, "human", {}).items():
            assert self.item(number).status is status
            assert self.item(number).decided_by == "mori"

    @invariant()
    def nothing_is_public_that_nobody_let_pass(self) -> None:
        for number in getattr(self, "tokens", ()):
            item = self.item(number)
            if item.is_public:
                assert item.text in self.cleared[number]
                assert item.awaiting is None or item.proposed is not None
            if item.awaiting is Awaiting.CHECKS:
                assert item.status is Status.PENDING or item.proposed is not None

    @invariant()
    def what_was_declined_stays_away_and_is_judged_by_nobody(self) -> None:
        for number, version in getattr(self, "declined", {}).items():
            item = self.item(number)
            if item.version == version:
                assert item.proposed is None
                assert item.findings == ()
                assert item.awaiting is not Awaiting.CHECKS

    @invariant()
    def the_counters_are_what_can_be_counted(self) -> None:
        if hasattr(self, "desk"):
            assert not any(self.desk.store.counters.recount(repair=False))

    @invariant()
    def what_waits_for_checks_has_somebody_to_ask_them(self) -> None:
        if any(self.item(number).awaiting is Awaiting.CHECKS for number in getattr(self, "tokens", ())):
            assert next_due(self.desk.store.tasks, ["judge"]) is not None


JudgingMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
TestJudging = JudgingMachine.TestCase
