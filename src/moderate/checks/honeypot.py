"""The field that people do not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.checks.base import COMMENTS
from moderate.model import Finding, Lean

if TYPE_CHECKING:
    from moderate.checks.base import Facts
    from moderate.model import Submission


class Honeypot:
    """Spam where something stands in the hidden field: it is out of sight, out of the tab order and unlabelled."""

    name = "honeypot"
    version = 1
    remote = False
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if not submission.honeypot.strip():
            return None
        return Finding(self.name, Lean.SPAM, "the field that people cannot see was filled in")
