"""The checks that hold everything while a shared limit is used up or a spam wave is on.

They judge the moment, not the submission: its sender may have done nothing wrong.
"""

from __future__ import annotations

from moderate.checks.base import CheckDefaults, Facts
from moderate.checks.trusted import good_record
from moderate.i18n import Message
from moderate.model import Finding, Lean, Submission


class Crowd(CheckDefaults):
    """Holds a submission that the limiter let through although an article's or the site's limit is used up."""

    name = "crowd"
    momentary = True

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if not facts.crowded:
            return None
        return Finding(
            self.name, Lean.HOLD, Message("more came in than usual ({names})", names=", ".join(facts.crowded))
        )


class Wave(CheckDefaults):
    """Holds everything that comes in during a spam wave, except from verified authors with a good record.

    Trust by a moderator's rule does not count, since the wave may use a trusted word or network. A good record cannot
    be faked, and a wave should not silence a site's own people.
    """

    name = "wave"
    #: Only what comes in during the wave: other items came before, or were held already.
    momentary = True

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.wave is None or good_record(submission, facts) is not None:
            return None
        return Finding(
            self.name, Lean.HOLD, Message("the site is under a spam wave: {why}", why=Message.of(facts.wave.reason))
        )
