"""The checks of what a submission carries itself: the hidden field of its form, the form's time, its links."""

from __future__ import annotations

import re

from moderate.checks.base import COMMENTS, CheckDefaults, Facts
from moderate.i18n import Message
from moderate.model import Finding, Lean, Submission

DAY = 86_400.0
FORUM_CODE = re.compile(r"\[(?:url|link)\s*[=\]]", re.IGNORECASE)


class Honeypot(CheckDefaults):
    """Holds a comment whose hidden field is filled in, as programs do, and sometimes a browser's form filler.

    It is spam if another check holds it too that is not in `moderate.checks.base.NO_EVIDENCE`.
    """

    name = "honeypot"
    version = 2
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if not submission.honeypot.strip():
            return None
        return Finding(self.name, Lean.HOLD, "the field that people cannot see was filled in")


class Timing(CheckDefaults):
    """Holds a comment whose form came back faster than a person reads and writes.

    Only forms are measured, since API clients have none, and only new comments: the form of an edit or a recheck was
    measured when the comment came in.
    """

    name = "timing"
    momentary = True
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        age, settings = submission.form_age, facts.settings
        is_measured = submission.from_form or age is not None
        if settings.form_token == "off" or facts.is_edit or facts.is_recheck or not is_measured:
            return None
        if age is None:
            return Finding(
                self.name,
                Lean.HOLD if settings.form_token == "required" else Lean.NOTE,
                "the form came without a valid token: made by a script, or the page was very old",
            )
        if age < 0:
            # The clock of one of the site's hosts was set back, or theirs differ.
            return Finding(
                self.name, Lean.NOTE, "how long the form was open is unknown: the clock was changed meanwhile"
            )
        least = least_seconds(submission.body.raw, settings.min_seconds)
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


class Links(CheckDefaults):
    """Holds a text with more links than the site allows, or with links in forum code, which is never rendered."""

    name = "links"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        count = len(submission.body.links)
        if count > facts.settings.max_links:
            reason = Message("{count} links, where up to {most} pass", count=count, most=facts.settings.max_links)
            return Finding(self.name, Lean.HOLD, reason, score=float(count))
        if FORUM_CODE.search(submission.body.raw):
            return Finding(self.name, Lean.HOLD, "links in forum code ([url=…]), as programs post them")
        return None
