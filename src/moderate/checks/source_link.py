"""The check that the page that a ping names links to the article."""

from __future__ import annotations

from moderate.checks.base import PINGS, CheckDefaults, Facts
from moderate.i18n import Message
from moderate.model import Finding, Lean, Submission


class SourceLink(CheckDefaults):
    """Marks a ping as spam if its source was read and does not link here, and holds it while it cannot be read.

    The look itself is deferred work (`moderate.tasks.run`): this only says what it means. A source
    that is blocked, refuses, or is missing reads the same here: none of them tells more than another.
    """

    name = "source-link"
    remote = True
    kinds = PINGS
    needs = "fetcher"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        source = facts.source
        if source is None:
            return Finding(self.name, Lean.UNSURE, "the page was not looked at yet")
        if source.trouble:
            return Finding(
                self.name, Lean.UNSURE, Message("the page could not be read: {why}", why=Message.of(source.trouble))
            )
        if source.links_here:
            return None
        lean = Lean.SPAM if facts.settings.verify_pings == "required" else Lean.HOLD
        if source.is_gone:
            return Finding(self.name, lean, "the page says that it was deleted")
        return Finding(self.name, lean, "the page does not link to the article")
