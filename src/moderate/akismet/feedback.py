"""Feedback: moderators' decisions are reported to the spam service and to the filter that learns.

A task reports the item's status at the time when it runs, so that a decision that was undone meanwhile is taken
back. To report one twice does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.akismet.check import content_of
from moderate.akismet.values import SpamAnswer, SpamSample, SpamWord
from moderate.errors import ServiceDown
from moderate.learned.check import learn
from moderate.model import Item, NewTask, Status, Task
from moderate.notices.delivery import notice_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moderate.ports import SpamService
    from moderate.submit.desk import Desk


def tasks_for_decision(desk: Desk, now: datetime) -> Sequence[NewTask]:
    """Return the tasks that follow a decision: notices, and feedback to the spam service and the learned filter."""
    news = notice_tasks(desk, now)
    if desk.services.spam is None and desk.services.tokens is None:
        return news
    return (NewTask(kind="teach", due_at=now), *news)


def teach(desk: Desk, task: Task) -> None:
    """Report the last decision on the item of *task*. Raises `ServiceDown`; the task is then done again."""
    item = desk.store.items.get(task.item)
    if item is not None and item.decided_by is not None:
        is_spam = {Status.SPAM: True, Status.APPROVED: False}.get(item.status)
        if desk.services.tokens is not None:
            learn(desk.services.tokens, item, is_spam)
        if is_spam is not None:
            tell_service(desk, item, is_spam)
    desk.store.tasks.finish(task)


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
