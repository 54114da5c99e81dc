"""The check of shared limits: what comes in while one is used up is held, though its sender did nothing wrong."""

from __future__ import annotations

from moderate.checks.base import CheckDefaults, Facts
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
