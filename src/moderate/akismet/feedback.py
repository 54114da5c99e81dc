"""What a person has decided is told to those who judge: the spam service and the filter that learns.

A task, as all that waits on another server. It tells where the item stands when it runs, so that a
decision that was undone meanwhile is told as undone; telling twice is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.akismet.check import told_of
from moderate.akismet.values import SpamSample, SpamWord
from moderate.errors import ServiceDown
from moderate.learned.check import learn
from moderate.model import NewTask, Status
from moderate.notices.delivery import notice_tasks_for_decision

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moderate.akismet.values import SpamAnswer
    from moderate.model import Item, Task
    from moderate.submit.desk import Desk


def tasks_for_decision(desk: Desk, now: datetime) -> Sequence[NewTask]:
    """The tasks that go with a decision, where there is anybody to tell."""
    news = notice_tasks_for_decision(desk.notices, now)
    if desk.services.spam is None and desk.services.tokens is None:
        return news
    return (NewTask(kind="teach", due_at=now), *news)


def teach(desk: Desk, task: Task) -> None:
    """Tell what a person decided last about the item. Raises `ServiceDown`; then it is told later."""
    item = desk.store.items.get(task.item)
    if item is not None and item.decided_by is not None:
        is_spam = human_word(item)
        if desk.services.tokens is not None:
            learn(desk.services.tokens, item, is_spam)
        if is_spam is not None:
            tell_service(desk, item, is_spam)
    desk.store.tasks.finish(task)


def human_word(item: Item) -> bool | None:
    """Whether a person called the item spam; None where they called it neither spam nor good."""
    return {Status.SPAM: True, Status.APPROVED: False}.get(item.status)


def tell_service(desk: Desk, item: Item, is_spam: bool) -> None:
    """Send the sample as it was checked, where the service believes otherwise.

    A sample of another text, of a change that was declined say, is not what the person spoke of.
    """
    stored = desk.store.samples.get(item.id)
    if desk.services.spam is None or stored is None:
        return
    sample = SpamSample.from_json(stored.payload)
    believed = stored.verdict in {SpamWord.SPAM, SpamWord.DISCARD}
    if believed is is_spam or sample.comment_content != told_of(item.title, item.text):
        return
    desk.services.spam.teach(sample, is_spam)
    word = SpamWord.SPAM if is_spam else SpamWord.HAM
    desk.store.samples.save(item.id, stored.payload, word.value, stored.guid, desk.clock.now())


def keep_sample(desk: Desk, item: Item, sample: SpamSample, heard: Sequence[SpamAnswer | ServiceDown]) -> None:
    """Keep what the spam service was asked, if it has answered for good; feedback must repeat it."""
    for answer in heard:
        if not isinstance(answer, ServiceDown) and answer.recheck_after is None:
            guid = answer.guid or None
            desk.store.samples.save(item.id, sample.to_json(), answer.word.value, guid, desk.clock.now())
