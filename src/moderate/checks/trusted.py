"""The check that trusts verified authors with good comments."""

from __future__ import annotations

from datetime import timedelta

from moderate.checks.base import COMMENTS, CheckDefaults, Facts
from moderate.hooks import is_confirmed
from moderate.i18n import Message
from moderate.model import Finding, Lean, Status, Submission

#: The time within which comments count: an old login may have been stolen since, and old spam is forgiven.
PERIOD = timedelta(days=90)


class TrustedAuthor(CheckDefaults):
    """Trusts a verified author with enough approved comments and no spam within 90 days.

    Only `author_id` counts, which comes from the host's login or from a browser in which the e-mail address was
    confirmed. A name or an address that was only typed proves nothing.
    """

    name = "trusted-author"
    version = 3
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        approved = good_record(submission, facts)
        if approved is None:
            return None
        return Finding(self.name, Lean.TRUST, reason(submission, approved), score=float(approved))


def reason(submission: Submission, approved: int) -> Message:
    """Say why an author is trusted, and by which kind of proof."""
    record = {"approved": approved, "days": PERIOD.days}
    if is_confirmed(submission.author_id or ""):
        return Message(
            "confirmed e-mail address, with {approved} approved comments and no spam within {days} days", **record
        )
    return Message("signed in, with {approved} approved comments and no spam within {days} days", **record)


def good_record(submission: Submission, facts: Facts) -> int | None:
    """Return the number of approved comments of a trusted author; None for other authors."""
    needed = facts.settings.trusted_after
    if submission.author_id is None or needed <= 0:
        return None
    record = facts.earlier.author_record(submission.author_id, facts.now - PERIOD)
    approved = record.get(Status.APPROVED, 0)
    return None if record.get(Status.SPAM, 0) or approved < needed else approved
