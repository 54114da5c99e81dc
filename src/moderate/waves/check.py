"""Is the site under a spam wave?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.checks.base import CheckDefaults
from moderate.checks.trusted import good_record
from moderate.i18n import Message
from moderate.model import Finding, Lean

if TYPE_CHECKING:
    from moderate.checks.base import Facts
    from moderate.model import Submission


class Wave(CheckDefaults):
    """Holds whatever comes in while a spam wave goes on, but for people whom the site knows.

    Trust by a moderator's rule does not count: a word or a network may be what the wave comes with.
    A verified author with a good record does: nobody can claim that, and a wave should not silence a
    site's own people.
    """

    name = "wave"
    #: Only what comes in during the wave: what a task looks at later came before or was held already.
    momentary = True

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.wave is None or good_record(submission, facts) is not None:
            return None
        return Finding(
            self.name, Lean.HOLD, Message("the site is under a spam wave: {why}", why=Message.of(facts.wave.reason))
        )
