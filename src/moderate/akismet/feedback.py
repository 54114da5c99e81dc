"""Feedback to and from the spam service: moderators' decisions are reported, and the state of the account is noted.

A task reports the item's status at the time when it runs, also to the filter that learns, so that a decision that was
undone meanwhile is taken back. To report one twice does no harm.

Warnings about the account, its usage, and a key that is refused are stored, so that every process shows them: on the
queue page, in health and in ``check-config``. What somebody has to act on is logged once in six hours, not with each
item.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from moderate.akismet.check import content_of
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.learned.check import learn
from moderate.model import Item, NewTask, Status, Task
from moderate.notices.delivery import notice_tasks
from moderate.ports import SpamAnswer, SpamSample, SpamWord
from moderate.rules.proposals import review

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from moderate.ports import SpamService, SpamUsage
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: Seconds between two notices about the same trouble.
QUIET = 6 * 3600.0
#: From this share of the month's calls on the usage is worth a notice.
MUCH = 90.0

SERVICE = "akismet"
#: The topics of the notes about the account. `SCARCE` is a usage that somebody should know of.
BAD_KEY = "bad-key"
ALERT = "alert"
USAGE = "usage"
SCARCE = "scarce"


def tasks_for_decision(desk: Desk, now: datetime) -> Sequence[NewTask]:
    """Return the tasks that follow a decision: notices, and feedback to the spam service and the learned filter."""
    news = notice_tasks(desk, now)
    if desk.services.spam is None and desk.services.tokens is None:
        return news
    return (NewTask(kind="teach", due_at=now), *news)


def teach(desk: Desk, task: Task) -> None:
    """Report the last decision on the item of *task*. Raises `ServiceDown`; the task is then done again."""
    item = desk.store.items.get(task.item)
    if item is not None:
        review(desk, item)
        # Where the only decision was undone, nobody has decided.
        is_decided = item.decided_by is not None
        is_spam = {Status.SPAM: True, Status.APPROVED: False}.get(item.status) if is_decided else None
        if desk.services.tokens is not None:
            learn(desk.services.tokens, item, is_spam)
        if is_spam is not None:
            tell_service(desk, item, is_spam)


def tell_service(desk: Desk, item: Item, is_spam: bool) -> None:
    """Send the sample that was checked, unless the service has said the same of it.

    A sample of another text, such as a change that was declined, is not sent: the decision was not about it.
    """
    stored = desk.store.samples.get(item.id)
    if desk.services.spam is None or stored is None:
        return
    sample = SpamSample.from_json(stored.payload)
    believed = stored.verdict in {SpamWord.SPAM, SpamWord.DISCARD}
    if believed is is_spam or sample.comment_content != content_of(item.title, item.text):
        return
    desk.services.spam.teach(sample, is_spam)
    word = SpamWord.SPAM if is_spam else SpamWord.HAM
    desk.store.samples.save(item.id, stored.payload, word.value, stored.guid, desk.clock.now())


class RecordingSpamService:
    """A spam service that keeps the answers and failures of another one, in their order."""

    def __init__(self, service: SpamService) -> None:
        self._service = service
        self.answers: list[SpamAnswer | ServiceDown] = []
        self.teach, self.verify, self.usage, self.close = service.teach, service.verify, service.usage, service.close

    def check(self, sample: SpamSample) -> SpamAnswer:
        try:
            answer = self._service.check(sample)
        except ServiceDown as error:
            self.answers.append(error)
            raise
        self.answers.append(answer)
        return answer


def keep_sample(desk: Desk, item: Item, sample: SpamSample, answers: Sequence[SpamAnswer | ServiceDown]) -> None:
    """Store what the spam service was asked, if its answer is final, because feedback must repeat it."""
    for answer in answers:
        if not isinstance(answer, ServiceDown) and answer.recheck_after is None:
            guid = answer.guid or None
            desk.store.samples.save(item.id, sample.to_json(), answer.word.value, guid, desk.clock.now())


# --- the account ----------------------------------------------------------------------------------


def note_answers(desk: Desk, answers: Iterable[SpamAnswer | ServiceDown]) -> None:
    """Store what the answers and failures of the service show about the account."""
    for said in answers:
        if isinstance(said, ServiceDown):
            if said.kind == BAD_KEY:
                reason = Message.of(said.reason)
                words = Message("The key is refused: {reason}. Items wait; check MODERATE_AKISMET_KEY.", reason=reason)
                keep(desk, BAD_KEY, words)
            elif said.service == SERVICE and said.kind != "resting":
                desk.outages.failed(SERVICE, said)
            continue
        desk.outages.over(SERVICE)
        if said.alert_code:
            message = said.alert_msg or Message("no message")
            keep(desk, ALERT, Message("Warning {code}: {message}", code=said.alert_code, message=message))
            drop(desk, {BAD_KEY})
        else:
            drop(desk, {BAD_KEY, ALERT})


def keep(desk: Desk, topic: str, text: str, *, is_urgent: bool = True) -> None:
    is_news = desk.account.keep(topic, text, desk.clock.now(), quiet=QUIET)
    if is_news and is_urgent:
        log.warning("Akismet: %s", text, extra={"moderate_service": SERVICE})


def drop(desk: Desk, topics: set[str]) -> None:
    """Delete notes that no longer hold. Reads before it writes, because it is called after every answer."""
    if any(known.topic in topics for known in desk.account.all()):
        desk.account.drop(topics)


def ask_usage(desk: Desk) -> None:
    """Ask how many of the month's calls are used, and note it. In an outage the last note stays."""
    if desk.services.spam is None:
        return
    try:
        usage = desk.services.spam.usage()
    except ServiceDown as error:
        note_answers(desk, [error])
        return
    topic, other = (SCARCE, USAGE) if usage.throttled or usage.percentage >= MUCH else (USAGE, SCARCE)
    keep(desk, topic, usage_words(usage), is_urgent=topic == SCARCE)
    drop(desk, {other})


def usage_words(usage: SpamUsage) -> Message:
    """Return the month's usage as a sentence."""
    used, percent = usage.used, f"{usage.percentage:.0f}"
    words = (
        Message("{used} calls this month, without a limit", used=used)
        if usage.limit is None
        else Message("{used} calls this month, of {most} ({percent} %)", used=used, most=usage.limit, percent=percent)
    )
    return Message("{what}; the service slows us down", what=words) if usage.throttled else words
