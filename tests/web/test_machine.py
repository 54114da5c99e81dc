"""Any order of submitting, deciding, editing and taking back, against a model of what must be counted and shown."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sites import Host

AFTER = {"approve": "approved", "hold": "pending", "spam": "spam", "trash": "trash"}
ARTICLES = ("thaw", "frost")


@dataclass
class Known:
    """The state of one comment in the model."""

    article: str
    shown: str
    token: str
    status: str = "pending"
    version: int = 1
    waiting: str | None = None
    #: What the newest version did with a changed text, None where that is something else.
    dealt: str | None = None
    #: True when its author withdrew it, and no moderator has decided since.
    is_taken_back: bool = False


class Comments(RuleBasedStateMachine):
    """Readers, authors and moderators of a small site, all at once and in any order."""

    @initialize()
    def open_the_site(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.host = Host(Path(self.folder.name), MODERATE_LIMITS={})
        self.host.add_article("frost")
        self.bearer = self.host.token()
        self.reader = self.host.app.test_client(use_cookies=False)
        self.known: dict[int, Known] = {}
        self.tags: dict[str, tuple[str, Any]] = {}
        self.texts = 0
        # Begin where the interesting moves are one step away.
        for article in ARTICLES:
            self.submit(article=article, twice=False)
        self.decide(number=0, decision="approve", late=0)

    def teardown(self) -> None:
        if hasattr(self, "host"):
            self.host.state.desk.store.database.dispose()
            self.folder.cleanup()

    def a_text(self) -> str:
        self.texts += 1
        return f"Text {self.texts}"

    def pick(self, number: int) -> tuple[int, Known]:
        return list(self.known.items())[number % len(self.known)]

    # --- what people do ---------------------------------------------------------------------------

    @rule(article=st.sampled_from(ARTICLES), twice=st.booleans())
    def submit(self, article: str, twice: bool) -> None:
        text = self.a_text()
        sent = {"author": "Mika", "text": text}
        for _ in range(1 + twice):
            answer = self.reader.post(
                f"/discuss/comments/{article}", json=sent, headers={"Idempotency-Key": f"key {self.texts}"}
            )
            assert answer.status_code == 202
            item = answer.json
        assert item["id"] not in self.known
        self.known[item["id"]] = Known(article, text, item["edit_token"])

    @rule(article=st.sampled_from([*ARTICLES, "nowhere"]), text=st.sampled_from(["", "a\0b", "x" * 8001]))
    def submit_what_is_refused(self, article: str, text: str) -> None:
        answer = self.reader.post(f"/discuss/comments/{article}", json={"author": "Mika", "text": text})
        assert 400 <= answer.status_code < 500

    @precondition(lambda self: self.known)
    @rule(
        number=st.integers(0, 3),
        decision=st.sampled_from(sorted(AFTER)),
        late=st.integers(0, 1),
        change=st.sampled_from(["accept", "decline"]),
    )
    def decide(self, number: int, decision: str, late: int, change: str = "accept") -> None:
        item_id, item = self.pick(number)
        seen = max(1, item.version - late)
        answer = self.reader.post(
            f"/discuss/moderation/items/{item_id}/decisions",
            json={"decision": decision, "version": seen, "change": change},
            headers=self.bearer,
        )
        changes = AFTER[decision] != item.status or (decision == "approve" and item.waiting is not None)
        # Where nothing is left to do, another moderator may have decided on the changed text the other way.
        differs = not changes and item.dealt not in {None, change}
        if (changes or differs) and seen != item.version:
            assert answer.status_code == 409
            return
        assert answer.status_code == 200
        if changes:
            item.is_taken_back = False
            item.status, item.version = AFTER[decision], item.version + 1
            item.dealt = change if item.waiting else None
            # What was decided about is the newest text, unless it is declined.
            item.shown, item.waiting = (item.waiting if change == "accept" else None) or item.shown, None
        assert (answer.json["status"], answer.json["version"]) == (item.status, item.version)

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 3))
    def edit(self, number: int) -> None:
        item_id, item = self.pick(number)
        text = self.a_text()
        answer = self.reader.patch(f"/discuss/items/{item_id}", json={"text": text, "edit_token": item.token})
        assert answer.status_code == (403 if item.is_taken_back else 200)
        if item.is_taken_back:
            return
        item.version, item.dealt = item.version + 1, None
        if item.status == "approved":
            item.waiting = text
        else:
            item.shown = text

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 3))
    def withdraw(self, number: int) -> None:
        item_id, item = self.pick(number)
        answer = self.reader.delete(f"/discuss/items/{item_id}", query_string={"edit_token": item.token})
        assert answer.status_code == 204
        if not item.is_taken_back:
            item.version, item.is_taken_back = item.version + 1, True
        if item.status in {"pending", "approved"}:
            item.status, item.waiting, item.dealt = "trash", None, None

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 3))
    def delete(self, number: int) -> None:
        item_id, item = self.pick(number)
        answer = self.reader.delete(f"/discuss/moderation/items/{item_id}", headers=self.bearer)
        may = item.status in {"spam", "trash"}
        assert answer.status_code == (204 if may else 409)
        if may:
            del self.known[item_id]

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def readers_see_the_approved_texts_and_right_numbers(self) -> None:
        if not hasattr(self, "known"):
            return
        for article in ARTICLES:
            expected = [
                (item_id, f"<p>{item.shown}</p>")
                for item_id, item in sorted(self.known.items())
                if item.article == article and item.status == "approved"
            ]
            page = self.reader.get(f"/discuss/comments/{article}")
            assert [(item["id"], item["html"]) for item in page.json["items"]] == expected
            assert page.json["counts"] == {"comments": len(expected), "trackbacks": 0}
            self.a_copy_is_good_exactly_while_it_is_equal(article, page)

    def a_copy_is_good_exactly_while_it_is_equal(self, article: str, page: Any) -> None:
        tag, body = page.headers["ETag"], page.data
        before = self.tags.get(article)
        if before is not None:
            assert (before[0] == tag) is (before[1] == body)
        self.tags[article] = (tag, body)

    @invariant()
    def moderators_see_every_status_counted(self) -> None:
        if not hasattr(self, "known"):
            return
        listed = self.reader.get("/discuss/moderation/items?limit=200", headers=self.bearer).json
        statuses = [item.status for item in self.known.values()]
        assert listed["totals"] == {name: statuses.count(name) for name in sorted(AFTER.values())}
        assert {item["id"]: (item["status"], item["version"]) for item in listed["items"]} == {
            item_id: (item.status, item.version) for item_id, item in self.known.items()
        }

    @invariant()
    def nothing_drifts(self) -> None:
        if not hasattr(self, "known"):
            return
        with self.host.app.app_context():
            assert [drift for drift in self.host.state.desk.store.counters.recount(repair=False) if drift] == []


TestComments = Comments.TestCase
TestComments.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Twelve steps can be read as they are; to make them fewer takes minutes.
    phases=[Phase.explicit, Phase.generate],
    database=None,
)
