"""The check of the form field that people do not see."""

from __future__ import annotations

from moderate.checks.base import COMMENTS, CheckDefaults, Facts
from moderate.model import Finding, Lean, Submission


class Honeypot(CheckDefaults):
    """Holds a comment whose hidden field is filled in, as programs do, and sometimes a browser's form filler.

    It is spam if another check than `crowd` or `wave` holds it too; see `moderate.checks.base.weighed`.
    """

    name = "honeypot"
    version = 2
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if not submission.honeypot.strip():
            return None
        return Finding(self.name, Lean.HOLD, "the field that people cannot see was filled in")
