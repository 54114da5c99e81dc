"""People whom the host has verified, and whose comments were good so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.checks.base import COMMENTS
from moderate.model import Finding, Lean, Status

if TYPE_CHECKING:
    from moderate.checks.base import Facts
    from moderate.model import Submission


class TrustedAuthor:
    """Trusts a verified author with enough approved comments and no spam.

    Goes by `author_id` alone, which only the host's login sets: whoever types a known e-mail
    address or name is still a stranger.
    """

    name = "trusted-author"
    version = 1
    remote = False
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        needed = facts.measures.trusted_after
        if submission.author_id is None or needed <= 0:
            return None
        record = facts.earlier.author_record(submission.author_id)
        approved = record.get(Status.APPROVED, 0)
        if record.get(Status.SPAM, 0) or approved < needed:
            return None
        reason = f"signed in, with {approved} approved comments and no spam"
        return Finding(self.name, Lean.TRUST, reason, score=float(approved))
