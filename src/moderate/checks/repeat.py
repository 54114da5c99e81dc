"""The check of repeated texts, equal or nearly equal, by any author and anywhere on the site."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.checks.base import CheckDefaults, Facts
from moderate.i18n import Message
from moderate.model import Finding, Kind, Lean, Status, Submission
from moderate.text.similarity import NEAR, Alike, NearText, near_text

if TYPE_CHECKING:
    from collections.abc import Sequence


Seen = tuple["Kind", Status, str]

#: The time within which earlier items count.
PERIOD = timedelta(days=1)
#: The length below which a text may come twice before it is held: people do write "Thanks!" twice a day.
SHORT = 12
#: The number of near duplicates from which on a text is held. One may be the same person's correction of a typo.
NEARLY = 2
#: The number of articles with one text from which on it is spam.
FLOOD = 5


class Repeat(CheckDefaults):
    """Holds a text that came before within a day, and marks it as spam if it came on many articles.

    Texts are compared by `Submission.text_key`, and longer ones also by their words (`moderate.text.similarity`), so
    that a text with words swapped, changed or added counts as the same. Items in the trash do not count, so that people
    may post again what they removed.
    """

    name = "repeat"
    version = 2

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if not submission.text_key or not submission.body.raw.strip():
            return None
        near = near_text(submission.body.raw)
        if near is None:
            earlier = facts.earlier.same_text(submission.text_key, facts.now - PERIOD)
            return self._by_text(others(earlier, submission, facts), submission)
        alike = facts.earlier.near_text(submission.text_key, near, facts.now - PERIOD)
        kept = [one for one in alike if one.status is not Status.TRASH and one.id != facts.item_id]
        same = [(one.kind, one.status, one.article) for one in kept if one.text_key == submission.text_key]
        return self._by_text(same, submission) or self._by_words(nearly(kept, near), submission)

    def _by_text(self, seen: Sequence[Seen], submission: Submission) -> Finding | None:
        if len(seen) < tolerance(submission):
            return None
        return self._found(seen, submission, Message("the same text"))

    def _by_words(self, seen: Sequence[Seen], submission: Submission) -> Finding | None:
        if len(seen) < max(NEARLY, tolerance(submission)):
            return None
        return self._found(seen, submission, Message("nearly the same text"))

    def _found(self, seen: Sequence[Seen], submission: Submission, what: Message) -> Finding:
        articles = {article for _, _, article in seen} | {submission.article.key}
        if len(articles) >= FLOOD:
            reason = Message("{what} came on {n} articles within a day", what=what, n=len(articles))
            return Finding(self.name, Lean.SPAM, reason, score=float(len(seen)))
        return Finding(self.name, Lean.HOLD, words(seen, what), score=float(len(seen)))


def nearly(kept: Sequence[Alike], near: NearText) -> list[Seen]:
    """Return the near duplicates among the candidates."""
    close = (one for one in kept if one.simhash is not None and near.distance(one.simhash) <= NEAR)
    return [(one.kind, one.status, one.article) for one in close]


def tolerance(submission: Submission) -> int:
    """Return the number of earlier items from which on a text counts as repeated.

    It is larger for pings, because one post may ping several articles with one excerpt, and for short texts.
    """
    if submission.kind.is_ping or len(submission.body.raw.strip()) < SHORT:
        return 3
    return 1


def others(seen: Sequence[Seen], submission: Submission, facts: Facts) -> list[Seen]:
    """Return the items that are not in the trash, without the judged item itself if it is stored already."""
    kept = [entry for entry in seen if entry[1] is not Status.TRASH]
    if facts.item_id is None:
        return kept
    own = next((entry for entry in kept if (entry[0], entry[2]) == (submission.kind, submission.article.key)), None)
    if own is not None:
        kept.remove(own)
    return kept


def words(seen: Sequence[Seen], what: Message) -> Message:
    """Say how often a text came before, and how many of the earlier items are spam."""
    times = Message("once") if len(seen) == 1 else Message("{n} times", n=len(seen))
    spam = sum(status is Status.SPAM for _, status, _ in seen)
    if not spam:
        return Message("{what} came {times} before within a day", what=what, times=times)
    return Message("{what} came {times} before within a day, {spam} of them spam", what=what, times=times, spam=spam)
