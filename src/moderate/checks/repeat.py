"""The same text again, by anybody, anywhere on the site."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.checks.base import ALL_KINDS
from moderate.model import Finding, Lean, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.checks.base import Facts
    from moderate.model import Kind, Submission

Seen = tuple["Kind", Status, str]

#: How far back we look.
PERIOD = timedelta(days=1)
#: People do write "Thanks!" twice a day; anything this short may come twice before it is held.
SHORT = 12
#: On so many articles within the period no person puts one text.
FLOOD = 5


class Repeat:
    """Holds a text that came before within a day, and calls it spam once it is all over the site.

    Compared by `Submission.text_key`. What its author took back or a moderator threw away does not
    count, so that people may post again what they removed.
    """

    name = "repeat"
    version = 1
    remote = False
    kinds = ALL_KINDS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if not submission.text_key or not submission.body.raw.strip():
            return None
        seen = others(facts.earlier.same_text(submission.text_key, facts.now - PERIOD), submission, facts)
        if len(seen) < tolerance(submission):
            return None
        articles = {article for _, _, article in seen} | {submission.article.key}
        if len(articles) >= FLOOD:
            reason = f"the same text came on {len(articles)} articles within a day"
            return Finding(self.name, Lean.SPAM, reason, score=float(len(seen)))
        return Finding(self.name, Lean.HOLD, words(seen), score=float(len(seen)))


def tolerance(submission: Submission) -> int:
    """From how many earlier ones on a text counts as repeated.

    One post may ping several of our articles with one excerpt, and short thanks are common.
    """
    if submission.kind.is_ping or len(submission.body.raw.strip()) < SHORT:
        return 3
    return 1


def others(seen: Sequence[Seen], submission: Submission, facts: Facts) -> list[Seen]:
    """What was seen without what was thrown away, and without the item itself where it is stored already."""
    kept = [entry for entry in seen if entry[1] is not Status.TRASH]
    if facts.item_id is None:
        return kept
    own = next((entry for entry in kept if (entry[0], entry[2]) == (submission.kind, submission.article.key)), None)
    if own is not None:
        kept.remove(own)
    return kept


def words(seen: Sequence[Seen]) -> str:
    """How often, and what became of the earlier ones."""
    times = "once" if len(seen) == 1 else f"{len(seen)} times"
    spam = sum(status is Status.SPAM for _, status, _ in seen)
    return f"the same text came {times} before within a day" + (f", {spam} of them spam" if spam else "")
