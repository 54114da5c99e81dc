"""The check that asks Akismet, and the sample that it sends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from moderate.checks.base import CheckDefaults, Facts
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.model import Finding, Kind, Lean, Submission
from moderate.ports import SpamAnswer, SpamSample, SpamWord

if TYPE_CHECKING:
    from datetime import datetime


class Akismet(CheckDefaults):
    """Finds spam, or spam beyond doubt, where the service does.

    A failure holds the item, and so does a provisional "not spam", after which the service wants to be asked again.
    `Finding.again_after` is the time until then.
    """

    name = "akismet"
    remote = True
    needs = "spam"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.services.spam is None:
            return None
        try:
            answer = facts.services.spam.check(sample_for(submission, facts))
        except ServiceDown as error:
            return Finding(self.name, Lean.UNSURE, failure(error), again_after=error.retry_after)
        return self._by_answer(answer)

    def _by_answer(self, answer: SpamAnswer) -> Finding | None:
        match answer.word:
            case SpamWord.DISCARD:
                return Finding(self.name, Lean.DISCARD, warned(Message("Akismet says: spam beyond doubt"), answer))
            case SpamWord.SPAM:
                return Finding(self.name, Lean.SPAM, warned(Message("Akismet says: spam"), answer))
        if answer.recheck_after is not None:
            reason = Message(
                "Akismet is not sure yet and wants to be asked again in {n} seconds", n=f"{answer.recheck_after:.0f}"
            )
            return Finding(self.name, Lean.UNSURE, warned(reason, answer), again_after=answer.recheck_after)
        if answer.alert_code:
            return Finding(self.name, Lean.NOTE, warned(Message("Akismet says: not spam"), answer))
        return None


def warned(said: Message, answer: SpamAnswer) -> Message:
    """Return what the service said, with its warning about the account, if there is one."""
    if not answer.alert_code:
        return said
    return Message(
        "{said}; it also warns (code {code}): {message}",
        said=said,
        code=answer.alert_code,
        message=answer.alert_msg or Message("no message"),
    )


def failure(error: ServiceDown) -> str:
    if error.service != "akismet" or not error.reason:
        return str(error)
    return Message("akismet: {why}", why=Message.of(error.reason))


def sample_for(submission: Submission, facts: Facts) -> SpamSample:
    """Return the sample of the first check with the reason for another one, or a new sample."""
    sample = facts.sample or sample_of(submission, facts)
    reason = "edit" if facts.is_edit else "recheck" if facts.is_recheck else ""
    return replace(sample, recheck_reason=reason) if reason else sample


def sample_of(submission: Submission, facts: Facts) -> SpamSample:
    """Return all that the service accepts about a submission.

    It is made in the request, which alone has the hidden field and the referrer, and is stored with the item: a task
    that asks later must not send less, and feedback must repeat it.
    """
    article, client = submission.article, submission.client
    trap = facts.settings.honeypot
    is_reply = submission.kind is Kind.COMMENT and submission.parent is not None
    return SpamSample(
        user_ip=client.ip,
        user_agent=client.user_agent,
        referrer=client.referrer,
        permalink=article.url,
        comment_type="reply" if is_reply else submission.kind.value,
        comment_author=submission.author or submission.blog_name or "",
        comment_author_email=submission.email or "",
        comment_author_url=submission.url or submission.source_url or "",
        comment_content=content_of(submission.title, submission.body.raw),
        comment_date_gmt=iso(facts.now),
        comment_post_modified_gmt=iso(article.published_at),
        comment_parent="" if submission.parent is None else str(submission.parent),
        comment_context=(article.title,) if article.title else (),
        honeypot_field_name=trap,
        honeypot_value=submission.honeypot if trap else "",
    )


def content_of(title: str | None, text: str) -> str:
    """Return the text for the service, below the title that pings have."""
    return "\n\n".join(part for part in (title, text) if part)


def iso(moment: datetime | None) -> str:
    """Format a time in UTC to the second (ISO 8601). A naive one is taken for UTC, and None becomes empty."""
    if moment is None:
        return ""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")
