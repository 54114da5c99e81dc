"""The findings of the checks that need only the submission and the store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from moderate.checks.base import Services, SourceLook, judge
from moderate.checks.form import Honeypot, Links, Timing, least_seconds
from moderate.checks.history import FLOOD, Repeat, TrustedAuthor
from moderate.checks.order import CHECKS, in_use
from moderate.checks.pings import PingSignals, SourceLink, is_template
from moderate.model import Kind, Lean, Status
from moderate.testing import ScriptedSpamService
from moderate.waves.sql import Wave
from tests.stand_ins import FixedRules, MemoryTokenCounts
from tests.unit.checks.cases import Past, comment, facts, ping, settings

COMMENT, APPROVED, SPAM, TRASH = Kind.COMMENT, Status.APPROVED, Status.SPAM, Status.TRASH


def lean(check: Any, submission: Any, **about: Any) -> Lean | None:
    finding = check.look(submission, facts(**about))
    return finding.lean if finding else None


def test_a_filled_hidden_field_holds() -> None:
    assert lean(Honeypot(), comment(honeypot="https://x.example/")) is Lean.HOLD
    assert lean(Honeypot(), comment(honeypot="  ")) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Status.PENDING),
        ({"links": ["https://a.example/"] * 9}, SPAM),
        ({"from_form": True, "form_age": 0.4}, SPAM),
    ],
)
def test_a_filled_hidden_field_is_spam_only_beside_another_sign(changes: dict[str, Any], status: Status) -> None:
    verdict = judge(comment(honeypot="x", **changes), facts(), CHECKS[:12], remote=False)
    assert verdict.status is status


def test_what_holds_all_that_comes_in_is_no_other_sign_beside_a_filled_hidden_field() -> None:
    now = facts().now
    wave = Wave(id=1, started_at=now, until=now + timedelta(minutes=9), reason="many at once", seen=9)
    about = facts(crowded=("9/minute per article",), wave=wave)
    verdict = judge(comment(honeypot="x"), about, CHECKS[:12], remote=False)
    assert verdict.status is Status.PENDING
    assert [finding.check for finding in verdict.findings] == ["honeypot", "crowd", "wave"]


def test_a_form_submitted_at_once_is_held() -> None:
    assert lean(Timing(), comment(form_age=0.4, from_form=True)) is Lean.HOLD
    assert lean(Timing(), comment(form_age=20.0, from_form=True)) is None
    # The clock was set back by an hour: unknown is not fast.
    assert lean(Timing(), comment(form_age=-3599.5, from_form=True)) is Lean.NOTE


def test_a_form_that_was_open_for_more_than_a_day_is_noted() -> None:
    assert lean(Timing(), comment(form_age=86_400.0, from_form=True)) is None
    assert lean(Timing(), comment(form_age=86_401.0, from_form=True)) is Lean.NOTE


def test_a_long_text_needs_more_time_up_to_a_maximum() -> None:
    assert least_seconds("x" * 2000, 3) == 9
    assert least_seconds("x" * 500_000, 3) == 12
    assert lean(Timing(), comment("x" * 2000, form_age=5.0, from_form=True)) is Lean.HOLD


@pytest.mark.parametrize(
    ("setting", "from_form", "expected"),
    [
        ("off", True, None),
        ("signal", True, Lean.NOTE),
        ("required", True, Lean.HOLD),
        ("required", False, None),
        ("signal", False, None),
    ],
)
def test_a_missing_token_counts_for_forms_only_and_as_configured(
    setting: Any, from_form: bool, expected: Lean | None
) -> None:
    assert lean(Timing(), comment(from_form=from_form), settings=settings(form_token=setting)) is expected


def test_a_recheck_of_an_item_does_not_measure_the_form_again() -> None:
    assert lean(Timing(), comment(from_form=True), settings=settings(form_token="required"), is_recheck=True) is None
    assert lean(Timing(), comment(form_age=0.1, from_form=True), is_edit=True) is None


def test_more_links_than_allowed_hold() -> None:
    assert lean(Links(), comment(links=["https://a.example/"] * 2)) is None
    assert lean(Links(), comment(links=["https://a.example/"] * 3)) is Lean.HOLD
    assert lean(Links(), comment(links=["https://a.example/"]), settings=settings(max_links=0)) is Lean.HOLD


def test_links_in_forum_code_hold() -> None:
    assert lean(Links(), comment("[URL=https://pills.example]here[/URL]")) is Lean.HOLD


@pytest.mark.parametrize(
    ("source", "required", "expected"),
    [
        (None, True, (Lean.UNSURE, "the page was not looked at yet")),
        (SourceLook(trouble="no such host"), True, (Lean.UNSURE, "the page could not be read: no such host")),
        (SourceLook(links_here=True), True, None),
        (SourceLook(), True, (Lean.SPAM, "the page does not link to the article")),
        (SourceLook(), False, (Lean.HOLD, "the page does not link to the article")),
        (SourceLook(is_gone=True), True, (Lean.SPAM, "the page says that it was deleted")),
    ],
)
def test_the_source_of_a_ping_has_to_link_here(
    source: SourceLook | None, required: bool, expected: tuple[Lean, str] | None
) -> None:
    about = facts(source=source, settings=settings(verify_pings="required" if required else "signal"))
    finding = SourceLink().look(ping(), about)
    assert (finding and (finding.lean, finding.reason)) == expected


def test_a_text_repeated_within_a_day_is_held_for_any_author() -> None:
    past = Past([(COMMENT, APPROVED, "other")])
    assert lean(Repeat(), comment(), earlier=past) is Lean.HOLD
    assert past.since == facts().now - timedelta(days=1)


def test_a_text_on_many_articles_is_spam() -> None:
    seen = [(COMMENT, Status.PENDING, f"article-{number}") for number in range(FLOOD - 1)]
    assert lean(Repeat(), comment(), earlier=Past(seen)) is Lean.SPAM
    assert lean(Repeat(), comment(), earlier=Past(seen[1:])) is Lean.HOLD


def test_a_text_whose_item_is_in_the_trash_may_be_posted_again() -> None:
    assert lean(Repeat(), comment(), earlier=Past([(COMMENT, TRASH, "ferry")])) is None


def test_an_item_does_not_repeat_itself() -> None:
    past = Past([(COMMENT, Status.PENDING, "ferry")])
    assert lean(Repeat(), comment(), earlier=past, item_id=7, is_recheck=True) is None
    twice = Past([(COMMENT, Status.PENDING, "ferry"), (COMMENT, APPROVED, "other")])
    assert lean(Repeat(), comment(), earlier=twice, item_id=7, is_recheck=True) is Lean.HOLD


def test_short_thanks_and_one_post_about_two_articles_are_no_repeats() -> None:
    once = Past([(COMMENT, APPROVED, "other")])
    assert lean(Repeat(), comment("Thanks!"), earlier=once) is None
    assert lean(Repeat(), ping(), earlier=Past([(Kind.TRACKBACK, APPROVED, "other")])) is None
    assert lean(Repeat(), comment(" "), earlier=once) is None


def test_the_reason_mentions_spam_among_the_earlier_items() -> None:
    finding = Repeat().look(comment(), facts(earlier=Past([(COMMENT, SPAM, "a"), (COMMENT, APPROVED, "b")])))
    assert finding is not None
    assert finding.reason == "the same text came 2 times before within a day, 1 of them spam"


def test_a_verified_author_with_enough_approved_is_trusted() -> None:
    past = Past(record={"u1": {APPROVED: 3}, "u2": {APPROVED: 2}, "u3": {APPROVED: 9, SPAM: 1}})
    assert lean(TrustedAuthor(), comment(author_id="u1"), earlier=past) is Lean.TRUST
    assert lean(TrustedAuthor(), comment(author_id="u2"), earlier=past) is None
    assert lean(TrustedAuthor(), comment(author_id="u3"), earlier=past) is None
    assert lean(TrustedAuthor(), comment(author_id="u1"), earlier=past, settings=settings(trusted_after=0)) is None


def test_a_typed_email_or_name_does_not_make_an_author_trusted() -> None:
    past = Past(record={"asa@example.org": {APPROVED: 30}, "Åsa": {APPROVED: 30}})
    assert lean(TrustedAuthor(), comment(email="asa@example.org", author="Åsa"), earlier=past) is None


@pytest.mark.parametrize(
    "excerpt",
    ["[Trackback]", "[…] Trackback […]", "[…] Find More Informations here […]", "... [Trackback] ...",
     "[…] There you will find 62341 more Info on that Topic […]", "[…]Read More to that Topic[…]"],
)  # fmt: skip
def test_stock_phrases_of_trackback_programs_are_known(excerpt: str) -> None:
    assert is_template(excerpt)


@pytest.mark.parametrize(
    "excerpt",
    [
        "[…] they wrote about the ferry […]",
        "Trackback spam is back, says the news desk, and here is why we think so.",
        "Read on at the source",
        "Here is what I found",
        "",
    ],
)
def test_ordinary_texts_are_no_stock_phrases(excerpt: str) -> None:
    assert not is_template(excerpt)


def test_one_sign_holds_a_ping_and_two_are_spam() -> None:
    assert lean(PingSignals(), ping(title="Cheap loans", blog_name="cheap LOANS!")) is Lean.HOLD
    assert lean(PingSignals(), ping("[Trackback]", title="Cheap loans", blog_name="Cheap loans")) is Lean.SPAM
    assert lean(PingSignals(), ping(source_url="https://best-cheap-fast-loans.example/1")) is Lean.HOLD
    assert lean(PingSignals(), ping(title="The ferry", blog_name="Åsa's blog")) is None


def all_services() -> Services:
    return Services(rules=FixedRules(), tokens=MemoryTokenCounts(), spam=ScriptedSpamService())


def test_checks_without_their_service_are_left_out() -> None:
    left_out = [check.name for check in CHECKS if check not in in_use(CHECKS, Services())]
    assert [name for name in left_out if name != "source-link"] == ["rules", "trust-rules", "learned", "akismet"]
    assert {"rules", "trust-rules", "learned", "akismet"} <= {check.name for check in in_use(CHECKS, all_services())}


def test_a_good_comment_passes_every_check_by_name() -> None:
    verdict = judge(comment(form_age=30.0), facts(services=all_services()), CHECKS, remote=True)
    assert (verdict.status, verdict.findings) == (APPROVED, ())
    expected = {check.name for check in CHECKS if Kind.COMMENT in check.kinds}
    assert set(verdict.passed) == expected


def test_missing_headers_and_tokens_never_skip_a_check() -> None:
    """No Referer, no spam check: a bug class of other systems."""
    services = all_services()
    bare = comment(ip="", form_age=None)
    verdict = judge(bare, facts(services=services, settings=settings(form_token="off")), CHECKS, remote=True)
    assert "akismet" in verdict.passed
    assert isinstance(services.spam, ScriptedSpamService)
    assert len(services.spam.samples) == 1


def test_items_decided_by_local_rules_are_not_sent_to_a_service() -> None:
    services = all_services()
    judge(comment(honeypot="x", links=["https://a.example/"] * 9), facts(services=services), CHECKS, remote=True)
    assert isinstance(services.spam, ScriptedSpamService)
    assert services.spam.samples == []


def test_a_trusted_author_with_too_many_links_is_still_held() -> None:
    past = Past(record={"u1": {APPROVED: 3}})
    about = facts(services=all_services(), earlier=past)
    verdict = judge(comment(author_id="u1", links=["https://a.example/"] * 9), about, CHECKS, remote=True)
    assert verdict.status is Status.PENDING
