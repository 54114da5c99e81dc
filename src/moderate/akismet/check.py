"""What a spam service says, and what exactly it is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from moderate.akismet.values import SpamSample, SpamWord
from moderate.checks.base import ALL_KINDS
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.model import Finding, Kind, Lean

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.akismet.values import SpamAnswer
    from moderate.checks.base import Facts
    from moderate.model import Submission


class Akismet:
    """Spam or blatant spam where the service says so; held while it cannot tell.

    A provisional "not spam" (it asks to be asked again) holds until it was asked again, and every
    failure holds: silence is no answer. `Finding.again_after` says when to ask again.
    """

    name = "akismet"
    version = 1
    remote = True
    kinds = ALL_KINDS
    needs = "spam"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.services.spam is None:
            return None
        try:
            answer = facts.services.spam.check(sample_for(submission, facts))
        except ServiceDown as error:
            facts.heard.append(error)
            return Finding(self.name, Lean.UNSURE, outage(error), again_after=error.retry_after)
        facts.heard.append(answer)
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
    """Return what the service said, with its warning about the account, if any, for moderators to act on."""
    if not answer.alert_code:
        return said
    return Message(
        "{said}; it also warns (code {code}): {message}",
        said=said,
        code=answer.alert_code,
        message=answer.alert_msg or Message("no message"),
    )


def outage(error: ServiceDown) -> Message:
    return Message("akismet: {why}", why=Message.of(error.reason))


def sample_for(submission: Submission, facts: Facts) -> SpamSample:
    """What was asked the first time, with the reason for asking again; or else a new sample."""
    sample = facts.sample or sample_of(submission, facts)
    reason = "edit" if facts.is_edit else "recheck" if facts.is_recheck else ""
    return replace(sample, recheck_reason=reason) if reason else sample


def sample_of(submission: Submission, facts: Facts) -> SpamSample:
    """All that the service takes about *submission*, as it was submitted.

    Made while the request's own facts are at hand (the hidden field, the referrer) and stored with
    the item: a task that asks later must not send less, and feedback must send the same.
    """
    article, client = submission.article, submission.client
    trap = facts.settings.honeypot
    return SpamSample(
        user_ip=client.ip,
        user_agent=client.user_agent,
        referrer=client.referrer,
        permalink=article.url,
        comment_type=comment_type(submission),
        comment_author=submission.author or submission.blog_name or "",
        comment_author_email=submission.email or "",
        comment_author_url=submission.url or submission.source_url or "",
        comment_content=told_of(submission.title, submission.body.raw),
        comment_date_gmt=iso(facts.now),
        comment_post_modified_gmt=iso(article.published_at),
        comment_parent="" if submission.parent is None else str(submission.parent),
        comment_context=(article.title,) if article.title else (),
        honeypot_field_name=trap,
        honeypot_value=submission.honeypot if trap else "",
    )


def told_of(title: str | None, text: str) -> str:
    """What the service gets for a text; pings have a title above it."""
    return "\n\n".join(part for part in (title, text) if part)


def comment_type(submission: Submission) -> str:
    """Akismet's word for the way in."""
    if submission.kind is Kind.COMMENT and submission.parent is not None:
        return "reply"
    return submission.kind.value


def iso(moment: datetime | None) -> str:
    """ISO 8601 in UTC to the second; naive times are taken for UTC."""
    if moment is None:
        return ""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")
