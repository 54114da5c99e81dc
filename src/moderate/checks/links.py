"""The check of the number of links."""

from __future__ import annotations

import re

from moderate.checks.base import CheckDefaults, Facts
from moderate.i18n import Message
from moderate.model import Finding, Lean, Submission

FORUM_CODE = re.compile(r"\[(?:url|link)\s*[=\]]", re.IGNORECASE)


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
