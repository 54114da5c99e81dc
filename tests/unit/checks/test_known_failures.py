"""Faults that other comment systems had in judging. Each test shows that `moderate` does not have one of them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from moderate import CHECKS, Author
from moderate.akismet.client import AkismetService
from moderate.checks.base import judge
from moderate.errors import ServiceDown
from moderate.model import Finding, Lean, Status
from moderate.ports import Rule, SpamSample
from moderate.rules.check import Rules, matches, reading_of
from moderate.signals import item_approved, item_received
from moderate.testing import AkismetStandIn, ManualClock
from moderate.text.similarity import near_text, spellings
from tests.stand_ins import FixedRules
from tests.tasks import next_due
from tests.timing import quickly
from tests.unit.checks.cases import comment, facts
from tests.web.test_akismet import a_site, asked, stored, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moderate.checks.base import Facts
    from moderate.model import Submission
    from tests.sites import Host


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, akismet: AkismetStandIn) -> Iterator[Host]:
    with closing(a_site(tmp_path, akismet.url)) as host:
        yield host


class Says:
    """A check that says the same of everything."""

    version = 1
    remote = False
    kinds = CHECKS[0].kinds

    def __init__(self, name: str, lean: Lean | Exception) -> None:
        self.name, self.lean = name, lean

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if isinstance(self.lean, Exception):
            raise self.lean
        return Finding(self.name, self.lean, "always")


def test_counters_equal_the_items_after_every_decision(site: Host) -> None:
    """Numbers were kept beside the items: every way there and back leaves what can be counted."""
    number = site.comment().json["id"]
    work(site)
    for decision in ("spam", "trash", "approve", "approve", "hold", "trash", "spam", "approve"):
        site.decide(number, decision, stored(site, number)["version"])
        work(site)
        assert not any(site.state.desk.store.counters.recount(repair=False))
    assert site.counts() == {"comments": 1, "trackbacks": 0}


def test_pending_items_are_not_counted(site: Host) -> None:
    site.comment()
    assert site.counts()["comments"] == 0


def test_an_edit_is_not_public_before_it_was_checked(site: Host) -> None:
    answer = site.comment("A good text").json
    work(site)
    body = {"text": "Something else entirely", "edit_token": answer["edit_token"]}
    site.client.patch(f"/discuss/items/{answer['id']}", json=body)
    assert "Something else" not in site.app.test_client().get("/discuss/comments/thaw").text
    work(site)
    assert "Something else" in site.app.test_client().get("/discuss/comments/thaw").text


@pytest.mark.parametrize("removed", ["Referer", "User-Agent", "Accept"])
def test_a_missing_header_does_not_skip_the_spam_check(site: Host, akismet: AkismetStandIn, removed: str) -> None:
    headers = {"Referer": "http://localhost/thaw", "User-Agent": "Reader/1", "Accept": "*/*"}
    headers[removed] = ""
    body = {"author": "Mika", "text": "akismet-guaranteed-spam"}
    number = site.client.post("/discuss/comments/thaw", json=body, headers=headers).json["id"]
    work(site)
    assert stored(site, number)["status"] == "spam"
    assert len(asked(akismet)) == 1


def test_an_item_is_not_public_before_it_was_checked(site: Host) -> None:
    number = site.comment("akismet-guaranteed-spam").json["id"]
    reader = site.app.test_client()
    assert reader.get("/discuss/comments/thaw").json["items"] == []
    assert reader.get(f"/discuss/items/{number}").status_code == 404


@pytest.mark.parametrize("answer", ["invalid", "valid ", "is valid", "VALID", "trueish", "not true", "true\nfalse", ""])
def test_only_an_exact_answer_of_the_service_is_accepted(answer: str) -> None:
    """One system looked for "valid" and found it in "invalid". Only an exact answer counts."""
    with AkismetStandIn() as server:
        service = AkismetService("key", "https://news.example/", clock=ManualClock(), base_url=server.url)
        try:
            with pytest.raises(ServiceDown):
                service.check(SpamSample(user_ip="192.0.2.1", comment_author="akismet-echo", comment_content=answer))
        finally:
            service.close()


@pytest.mark.parametrize("lean", [ServiceDown("akismet", "no answer"), ValueError("a bug"), Lean.UNSURE])
@pytest.mark.parametrize("premoderation", ["none", "strangers"])
def test_an_error_or_a_time_out_does_not_count_as_good(lean: Any, premoderation: str) -> None:
    checks = (Says("first", lean), Says("second", Lean.TRUST))
    verdict = judge(comment(), facts(premoderation=premoderation), checks, remote=True)
    assert verdict.status is Status.PENDING


@pytest.mark.parametrize(
    ("error", "reason", "logged"),
    [
        (ServiceDown("akismet", "no answer"), "akismet: no answer", 0),
        (ValueError("a bug"), "the check failed (ValueError)", 1),
    ],
)
def test_an_outage_has_its_own_words_and_a_bug_its_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture, error: Any, reason: str, logged: int
) -> None:
    (finding,) = judge(comment(), facts(), (Says("first", error),), remote=True).findings
    assert finding.reason == reason
    assert len([record for record in caplog.records if record.exc_info]) == logged


def test_feedback_reports_the_author_and_not_the_moderator(site: Host, akismet: AkismetStandIn) -> None:
    number = site.comment("A good text").json["id"]
    work(site)
    site.client.post(
        f"/discuss/moderation/items/{number}/decisions",
        json={"decision": "spam", "version": stored(site, number)["version"]},
        headers={**site.token(), "User-Agent": "Moderator/9", "Referer": "http://localhost/discuss/moderation/"},
        environ_base={"REMOTE_ADDR": "198.51.100.77"},
    )
    work(site)
    (told,), (checked,) = asked(akismet, "submit-spam"), asked(akismet)
    assert told.fields.items() >= {name: value for name, value in checked.fields.items() if name != "api_key"}.items()


def test_a_provisional_good_answer_is_not_final(site: Host) -> None:
    number = site.comment("akismet-recheck-after").json["id"]
    work(site)
    assert stored(site, number)["status"] == "pending"


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("trash", "trash"), ("spam", "spam")])
@pytest.mark.parametrize("text", ["akismet-guaranteed-spam", "akismet-guaranteed-discard", "A good text"])
def test_a_late_verdict_does_not_override_a_moderator(site: Host, text: str, decision: str, status: str) -> None:
    number = site.comment(text).json["id"]
    site.decide(number, decision, 1)
    work(site)
    assert stored(site, number)["status"] == status


def test_signals_announce_spam_as_pending_and_never_as_approved(site: Host) -> None:
    told: list[tuple[str, str | None]] = []

    def hear(_sender: object, item: Any, **_: object) -> None:
        told.append((item.status.value, item.awaiting.value if item.awaiting else None))

    with item_approved.connected_to(hear), item_received.connected_to(hear):
        site.comment("akismet-guaranteed-spam")
        work(site)
    # Receivers of signals see that it arrived and awaits checks, and never that it is public.
    assert told == [("pending", "checks")]


@pytest.mark.parametrize(
    "text",
    ["vi&#97;gra", "v&#x69;agra", "v\u200biagra", "<b>via</b>gra", "VIAGRA", "v1agra", "ｖｉａｇｒａ", "v.i.a.g.r.a"],
)
def test_encoded_words_do_not_pass_the_word_list(text: str) -> None:
    assert matches(Rule(1, "word", "viagra", "spam"), reading_of(comment(text)))


def test_many_weak_signs_of_good_do_not_outvote_a_strong_one_of_bad() -> None:
    checks = (*(Says(f"note-{number}", Lean.NOTE) for number in range(9)), Says("sure", Lean.SPAM))
    assert judge(comment(), facts(), checks, remote=True).status is Status.SPAM
    held = (Says("hold", Lean.HOLD), Says("trust", Lean.TRUST))
    assert judge(comment(), facts(), held, remote=True).status is Status.PENDING


def test_the_strictest_matching_rule_decides() -> None:
    rules = FixedRules(Rule(1, "word", "ferry", "hold"), Rule(2, "ip", "203.0.113.0/24", "spam"))
    asked_facts = facts()
    finding = Rules().look(comment(), with_rules(asked_facts, rules))
    assert finding is not None
    assert finding.lean is Lean.SPAM


def with_rules(known: Facts, rules: FixedRules) -> Facts:
    return replace(known, services=replace(known.services, rules=rules))


@pytest.mark.parametrize(
    ("ip", "value", "hit"),
    [
        ("110.0.0.1", "10.0.0.1", False),
        ("10.0.0.12", "10.0.0.1", False),
        ("10x0.0.1", "10.0.0.1", False),
        ("10.9.0.1", "10.0.0.0/8", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
    ],
)
def test_a_ban_of_an_address_is_not_matched_as_loose_text(ip: str, value: str, hit: bool) -> None:
    assert bool(matches(Rule(1, "ip", value, "spam"), reading_of(comment(ip=ip)))) is hit


@pytest.mark.parametrize(
    "text",
    [
        "a." * 32_000,
        "<" * 64_000,
        "&" * 64_000,
        "a" * 64_000 + "@",
        "v " * 32_000,
        "http://" + "a-" * 32_000,
        "[" * 64_000,
    ],
    ids=["dots", "tags", "entities", "mail", "apart", "host", "brackets"],
)
def test_a_hostile_text_does_not_keep_a_pattern_busy(text: str) -> None:
    """Every reading of 64 KB is linear; a quadratic one would take minutes."""
    with quickly():
        spellings(text)
        near_text.__wrapped__(text)


def test_a_typed_address_is_not_taken_for_a_verified_one(site: Host) -> None:
    site.author = Author("Ada", "ada@mail.example", id="u:1")
    for number in range(3):
        site.comment(f"A good text, {number * 7919}")
        work(site)
    site.author = None
    item = stored(site, site.comment("In her name", author="Ada", email="ada@mail.example").json["id"])
    assert item["status"] == "pending"
    assert "trusted-author" in item["passed"]


def test_deleting_an_item_removes_its_sample_and_its_tasks(site: Host) -> None:
    number = site.comment("akismet-guaranteed-spam").json["id"]
    work(site)
    assert site.state.desk.store.samples.get(number) is not None
    site.client.delete(f"/discuss/moderation/items/{number}", headers=site.token())
    assert site.state.desk.store.samples.get(number) is None
    assert next_due(site.state.desk.store.tasks) is None
