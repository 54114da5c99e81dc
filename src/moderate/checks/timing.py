"""The check of the time between loading a form and sending it."""

from __future__ import annotations

from moderate.checks.base import COMMENTS, CheckDefaults, Facts
from moderate.i18n import Message
from moderate.model import Finding, Lean, Submission

DAY = 86_400.0


class Timing(CheckDefaults):
    """Holds a comment whose form came back faster than a person reads and writes.

    Only forms are measured, since API clients have none, and only new comments: the form of an edit or a recheck was
    measured when the comment came in.
    """

    name = "timing"
    momentary = True
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.settings.form_token == "off" or facts.is_edit or facts.is_recheck:
            return None
        if submission.form_age is None:
            return self._without_token(facts) if submission.from_form else None
        return self._by_age(submission.form_age, least_seconds(submission.body.raw, facts.settings.min_seconds))

    def _without_token(self, facts: Facts) -> Finding:
        required = facts.settings.form_token == "required"
        return Finding(
            self.name,
            Lean.HOLD if required else Lean.NOTE,
            "the form came without a valid token: made by a script, or the page was very old",
        )

    def _by_age(self, age: float, least: float) -> Finding | None:
        if age < 0:
            # The clock of one of the site's hosts was set back, or theirs differ.
            return Finding(
                self.name, Lean.NOTE, "how long the form was open is unknown: the clock was changed meanwhile"
            )
        if age < least:
            reason = Message(
                "sent {age} seconds after the form was opened; for this length we expect {least} or more",
                age=f"{age:.1f}",
                least=f"{least:.0f}",
            )
            return Finding(self.name, Lean.HOLD, reason, score=round(age, 3))
        if age > DAY:
            reason = Message("the form had been open for {days} days", days=f"{age / DAY:.0f}")
            return Finding(self.name, Lean.NOTE, reason, score=round(age, 3))
        return None


def least_seconds(text: str, floor: float) -> float:
    """Return the shortest plausible time for *text*: *floor*, and as much again for each 1,000 characters.

    It is at most four times the floor. That is far faster than typing, because people also paste texts.
    """
    return floor * min(1 + len(text) / 1000, 4)
