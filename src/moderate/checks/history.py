"""The checks of what else came in: the same text again, an author's record, the traffic on the site.

`Crowd` and `Wave` judge the moment and not the submission, whose sender may have done nothing wrong.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.checks.base import COMMENTS, CheckDefaults, Facts
from moderate.hooks import is_confirmed
from moderate.i18n import Message
from moderate.model import Finding, Lean, Status, Submission
from moderate.text.similarity import NEAR, near_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.model import Kind

Seen = tuple["Kind", Status, str]

#: The time within which a text counts as repeated.
REPEATED = timedelta(days=1)
#: The length below which a text may come twice before it is held: people do write "Thanks!" twice a day.
SHORT = 12
#: The number of near duplicates from which on a text is held. One may be the same person's correction of a typo.
NEARLY = 2
#: The number of articles with one text from which on it is spam.
FLOOD = 5

#: The time within which an author's comments count: an old login may have been stolen since, and old spam is forgiven.
RECORD = timedelta(days=90)


class Repeat(CheckDefaults):
    """Holds a text that came before within a day, and marks it as spam if it came on many articles.

    Texts are compared by `Submission.text_key`, and longer ones also by their words, so that a text with words
    swapped, changed or added counts as the same (`moderate.text.similarity`). Items in the trash do not count, so that
    people may post again what they removed.
    """

    name = "repeat"
    version = 2
    #: Later it would find texts that did not come within a day.
    follows = REPEATED

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        text = submission.body.raw.strip()
        if not submission.text_key or not text:
            return None
        # One post may ping several articles with one excerpt, and short texts are the same by chance.
        least = 3 if submission.kind.is_ping or len(text) < SHORT else 1
        near, since = near_text(submission.body.raw), facts.now - REPEATED
        if near is None:
            earlier = facts.earlier.same_text(submission.text_key, since)
            same = [entry for entry in earlier if entry[1] is not Status.TRASH]
            if facts.item_id is not None:
                leave_out(same, submission)
            return self._found(same, submission, Message("the same text")) if len(same) >= least else None
        alike = facts.alike
        if alike is None:
            alike = facts.earlier.near_text(submission.text_key, near, since)
        kept = [one for one in alike if one.status is not Status.TRASH and one.id != facts.item_id]
        same = [(one.kind, one.status, one.article) for one in kept if one.text_key == submission.text_key]
        if len(same) >= least:
            return self._found(same, submission, Message("the same text"))
        near_ones = [one for one in kept if one.simhash is not None and near.distance(one.simhash) <= NEAR]
        close = [(one.kind, one.status, one.article) for one in near_ones]
        if len(close) < max(NEARLY, least):
            return None
        return self._found(close, submission, Message("nearly the same text"))

    def _found(self, seen: Sequence[Seen], submission: Submission, what: Message) -> Finding:
        """Return the finding, which says how often the text came before, and how many of these items are spam."""
        articles = {article for _, _, article in seen} | {submission.article.key}
        spam = sum(status is Status.SPAM for _, status, _ in seen)
        times = Message("once") if len(seen) == 1 else Message("{n} times", n=len(seen))
        lean = Lean.HOLD
        if len(articles) >= FLOOD:
            lean, reason = Lean.SPAM, Message("{what} came on {n} articles within a day", what=what, n=len(articles))
        elif spam:
            reason = Message(
                "{what} came {times} before within a day, {spam} of them spam", what=what, times=times, spam=spam
            )
        else:
            reason = Message("{what} came {times} before within a day", what=what, times=times)
        return Finding(self.name, lean, reason, score=float(len(seen)))


def leave_out(seen: list[Seen], submission: Submission) -> None:
    """Remove the judged item itself, which is stored already, from *seen*."""
    for entry in seen:
        if (entry[0], entry[2]) == (submission.kind, submission.article.key):
            seen.remove(entry)
            return


class TrustedAuthor(CheckDefaults):
    """Trusts a verified author with enough approved comments and no spam within 90 days.

    Only `author_id` counts, which comes from the host's login or from a browser in which the e-mail address was
    confirmed. A name or an address that was only typed proves nothing.
    """

    name = "trusted-author"
    version = 3
    kinds = COMMENTS

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        approved = good_record(submission, facts)
        if approved is None:
            return None
        record = {"approved": approved, "days": RECORD.days}
        reason = (
            Message(
                "confirmed e-mail address, with {approved} approved comments and no spam within {days} days", **record
            )
            if is_confirmed(submission.author_id or "")
            else Message("signed in, with {approved} approved comments and no spam within {days} days", **record)
        )
        return Finding(self.name, Lean.TRUST, reason, score=float(approved))


def good_record(submission: Submission, facts: Facts) -> int | None:
    """Return the number of approved comments of a trusted author; None for other authors."""
    needed = facts.settings.trusted_after
    if submission.author_id is None or needed <= 0:
        return None
    record = facts.earlier.author_record(submission.author_id, facts.now - RECORD)
    approved = record.get(Status.APPROVED, 0)
    return None if record.get(Status.SPAM, 0) or approved < needed else approved


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


class Wave(CheckDefaults):
    """Holds everything that comes in during a spam wave, except from verified authors with a good record.

    Trust by a moderator's rule does not count, since the wave may use a trusted word or network. A good record cannot
    be faked, and a wave should not silence a site's own people.
    """

    name = "wave"
    #: Only what comes in during the wave: other items came before, or were held already.
    momentary = True

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        if facts.wave is None or good_record(submission, facts) is not None:
            return None
        return Finding(
            self.name, Lean.HOLD, Message("the site is under a spam wave: {why}", why=Message.of(facts.wave.reason))
        )
