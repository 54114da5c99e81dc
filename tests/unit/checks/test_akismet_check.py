"""The effect of each answer of a spam service on an item, and the exact sample that is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from moderate.akismet.check import Akismet, sample_of
from moderate.checks.base import Services, judge
from moderate.errors import ServiceDown
from moderate.model import Awaiting, Kind, Lean, Status
from moderate.ports import SpamAnswer, SpamSample, SpamWord
from moderate.testing import ScriptedSpamService
from tests.unit.checks.cases import ARTICLE, comment, facts, ping, settings

if TYPE_CHECKING:
    from moderate.model import Verdict

HAM, SPAM, DISCARD = SpamWord.HAM, SpamWord.SPAM, SpamWord.DISCARD
Script = SpamAnswer | SpamWord | ServiceDown


def judged(*answers: Script, remote: bool = True, is_recheck: bool = False) -> Verdict:
    about = facts(services=Services(spam=ScriptedSpamService(*answers)), is_recheck=is_recheck)
    return judge(comment(), about, [Akismet()], remote=remote)


@pytest.mark.parametrize(
    ("answer", "status", "awaiting"),
    [
        (HAM, Status.APPROVED, None),
        (SPAM, Status.SPAM, None),
        (DISCARD, Status.SPAM, None),
        (SpamAnswer(word=HAM, recheck_after=120), Status.PENDING, Awaiting.CHECKS),
        (SpamAnswer(word=HAM, alert_code="10011", alert_msg="Over"), Status.APPROVED, None),
        (ServiceDown("akismet", "no complete answer in time", kind="timeout"), Status.PENDING, Awaiting.CHECKS),
        (ServiceDown("akismet", "not asked", kind="resting"), Status.PENDING, Awaiting.CHECKS),
        (ServiceDown("akismet", "the key is not valid", kind="bad-key"), Status.PENDING, Awaiting.CHECKS),
    ],
)
def test_each_answer_has_its_effect_and_no_failure_publishes(
    answer: Script, status: Status, awaiting: Awaiting | None
) -> None:
    verdict = judged(answer)
    assert (verdict.status, verdict.awaiting) == (status, awaiting)


def test_ham_passes_and_other_answers_have_a_reason() -> None:
    assert judged(HAM).passed == ("akismet",)
    assert judged(SPAM).findings[0].reason == "Akismet says: spam"
    assert judged(DISCARD).discard
    provisional = judged(SpamAnswer(word=HAM, recheck_after=120)).findings[0]
    assert (provisional.lean, provisional.again_after) == (Lean.UNSURE, 120)
    warned = judged(SpamAnswer(word=SPAM, alert_code="10011", alert_msg="Over the limit")).findings[0]
    assert warned.reason == "Akismet says: spam; it also warns (code 10011): Over the limit"
    noted = judged(SpamAnswer(word=HAM, alert_code="10011")).findings[0]
    assert (noted.lean, noted.reason) == (
        Lean.NOTE, "Akismet says: not spam; it also warns (code 10011): no message"
    )  # fmt: skip


def test_a_failure_says_when_to_ask_again() -> None:
    down = ServiceDown("akismet", "the key is not valid", retry_after=21_600, kind="bad-key")
    finding = judged(down).findings[0]
    assert (finding.lean, finding.again_after, finding.reason) == (
        Lean.UNSURE, 21_600, "akismet: the key is not valid"
    )  # fmt: skip


def test_no_spam_service_is_called_within_a_request() -> None:
    verdict = judged(SPAM, remote=False)
    assert (verdict.status, verdict.awaiting) == (Status.PENDING, Awaiting.CHECKS)
    assert verdict.findings[0].reason == "not asked yet"


def test_the_sample_holds_every_field_that_the_service_accepts() -> None:
    now = datetime(2026, 1, 13, 20, 22, tzinfo=UTC)
    article = replace(ARTICLE, published_at=datetime(2026, 1, 12, 8, 0))  # noqa: DTZ001  (hosts do store naive times)
    submission = comment(
        article=article, email="a@example.org", url="https://a.example/", parent=17, honeypot="x", author="Åsa"
    )
    submission = replace(submission, client=replace(submission.client, referrer=article.url))
    sample = sample_of(submission, facts(now=now, settings=settings(honeypot="homepage2")))
    assert sample == SpamSample(
        user_ip="203.0.113.9",
        user_agent="Mozilla/5.0",
        referrer=article.url,
        permalink=article.url,
        comment_type="reply",
        comment_author="Åsa",
        comment_author_email="a@example.org",
        comment_author_url="https://a.example/",
        comment_content="What a day, and what a ferry.",
        comment_date_gmt="2026-01-13T20:22:00+00:00",
        comment_post_modified_gmt="2026-01-12T08:00:00+00:00",
        comment_parent="17",
        comment_context=("The new ferry",),
        honeypot_field_name="homepage2",
        honeypot_value="x",
    )


@pytest.mark.parametrize("kind", [Kind.TRACKBACK, Kind.PINGBACK, Kind.WEBMENTION])
def test_pings_are_sent_with_their_own_comment_type(kind: Kind) -> None:
    sample = sample_of(ping("An excerpt", kind=kind, title="A title", blog_name="A blog"), facts())
    assert (sample.comment_type, sample.comment_author, sample.comment_author_url) == (
        kind.value, "A blog", "https://blog.example.net/ferry"
    )  # fmt: skip
    assert sample.comment_content == "A title\n\nAn excerpt"


def test_a_recheck_sends_the_first_sample_and_its_reason() -> None:
    """The hidden field and the referrer, which only the request has, are still sent when a task asks later."""
    service = ScriptedSpamService()
    first = SpamSample(user_ip="198.51.100.1", honeypot_value="x", comment_content="as submitted")
    about = facts(services=Services(spam=service), sample=first, is_recheck=True)
    judge(comment("cleaned since"), about, [Akismet()], remote=True)
    assert service.samples == [replace(first, recheck_reason="recheck")]


def test_a_recheck_after_an_edit_has_the_reason_edit() -> None:
    service = ScriptedSpamService()
    judge(comment(), facts(services=Services(spam=service), is_edit=True), [Akismet()], remote=True)
    assert service.samples[0].recheck_reason == "edit"
