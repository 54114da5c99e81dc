"""Who is told of an item, when, and how often: mails to moderators, calls to programs.

A task for each destination is written in the item's own transaction, once its verdict stands and
never for spam that nobody asked to hear of. A worker tells. One that dies in between leaves the task
to another, and what is then told twice carries the same id. People are not flooded: after some notices
in an hour the rest is gathered into one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown, Undeliverable
from moderate.model import REPLAYED, Awaiting, ItemFilter, NewTask
from moderate.notices.values import Event, Notice, event_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.model import Item, Task, Verdict
    from moderate.notices.values import Mailbox
    from moderate.ports import Notifier
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: What notices are counted and gathered in.
HOUR = timedelta(hours=1)

#: How often a service is tried that does not answer, over some two days, before its task is left to a person.
ATTEMPTS = 12

#: For how long a destination that answered 410 is left alone, which is also the longest wait that one may ask for.
GONE = timedelta(days=1)

#: For how long a notice may wait for a destination that is not asked at the moment.
LONGEST = timedelta(days=3)

#: How long it is remembered what was told: longer than any later look at a ping's source takes.
MEMORY = timedelta(days=60)

#: An item that is stored while a digest is written may miss it, so such a one is told again.
OVERLAP = timedelta(minutes=1)

#: For how long a digest that somebody else is about to send is left to them.
CLAIM = timedelta(minutes=2)

#: How many items a digest shows.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Notices:
    """All destinations of a site."""

    notifiers: tuple[Notifier, ...] = ()

    def named(self, kind: str) -> Notifier | None:
        """The destination of a task of that kind; None where the settings no longer name it."""
        return next((notifier for notifier in self.notifiers if kind_of(notifier) == kind), None)


def kind_of(notifier: Notifier) -> str:
    """The kind of the tasks for one destination: each has its own, so that none waits for another."""
    return f"notify:{notifier.key}"


def tasks_to_tell(notices: Notices, verdict: Verdict, now: datetime) -> list[NewTask]:
    """The tasks that go with a verdict, none as long as checks are awaited."""
    event = event_of(verdict.status, verdict.awaiting)
    return tasks_for((notifier for notifier in notices.notifiers if event in notifier.events), now)


def tasks_to_tell_of_decisions(notices: Notices, now: datetime) -> list[NewTask]:
    """The tasks that go with a decision: for those who want to hear more than that something waits."""
    return tasks_for((notifier for notifier in notices.notifiers if notifier.events - {Event.WAITING}), now)


def tasks_for(notifiers: Iterable[Notifier], now: datetime) -> list[NewTask]:
    return [NewTask(kind=kind_of(each), due_at=now, payload={"at": now.timestamp()}) for each in notifiers]


# --- telling --------------------------------------------------------------------------------------


def tell(desk: Desk, task: Task) -> None:
    """Do one task. What cannot be delivered is buried, to be looked at and tried again by a person."""
    now = desk.clock.now()
    try:
        tell_news(desk, task)
    except Undeliverable as error:
        if error.is_gone:
            pause(desk, task, GONE, is_gone=True)
        give_up(desk, task, str(error))
    except ServiceDown as error:
        wait = timedelta(seconds=error.retry_after)
        if error.kind == "resting" and now - task.created_at < LONGEST:
            # Nothing was tried.
            desk.store.tasks.retry(task, now + wait, str(error), is_attempt=False)
        elif task.attempts >= ATTEMPTS:
            give_up(desk, task, str(error))
        elif error.kind == "later":
            pause(desk, task, wait)
            desk.store.tasks.retry(task, now + wait, str(error))
        else:
            raise


def give_up(desk: Desk, task: Task, reason: str) -> None:
    """Leave a task to a person. The log has its numbers alone, as *reason* may quote a mail server."""
    fields = {"moderate_task": task.id, "moderate_item": task.item}
    words = "Task %d (%s) for item %d is given up; for the reason see: flask moderate tasks dead"
    log.warning(words, task.id, task.kind, task.item, extra=fields)
    desk.store.tasks.bury(task, reason)


def deliver(desk: Desk, notifier: Notifier, notice: Notice) -> None:
    """Deliver a notice, and note the beginning and the end of outages."""
    # All mailboxes have one server, and each webhook has its own.
    name = kind_of(notifier) if notifier.per_hour is None else "mail"
    try:
        notifier.deliver(notice)
    except ServiceDown as error:
        if not error.kind:
            desk.outages.failed(name, error)
        raise
    except Undeliverable:
        desk.outages.over(name)
        raise
    desk.outages.over(name)


def pause(desk: Desk, task: Task, wait: timedelta, *, is_gone: bool = False) -> None:
    """Have all processes leave the destination of *task* alone for *wait*, as it has asked for.

    *is_gone* says that it wants no more notices: those that come within that time are given up.
    """
    now = desk.clock.now()
    desk.store.states.keep(pause_of(task), {"until": (now + wait).timestamp(), "is_gone": is_gone}, now)


def pause_of(task: Task) -> str:
    """Return the name under which it is kept until when a destination is left alone."""
    return f"pause:{task.kind}"


def check_pause(desk: Desk, task: Task) -> None:
    """Raise `Undeliverable` or `ServiceDown` where the destination is left alone.

    A task that a person replays is tried all the same.
    """
    kept = None if REPLAYED in task.payload else desk.store.states.get(pause_of(task))
    left = kept.value["until"] - desk.clock.now().timestamp() if kept is not None else 0
    # No pause is longer than GONE; where one seems to be, the clock was set back.
    if kept is None or not 0 < left <= GONE.total_seconds():
        return
    if kept.value["is_gone"]:
        raise Undeliverable("it lately answered 410 and wants no more calls; not called")
    reason = f"not called: it asked to wait; next try in {left:.0f} seconds"
    raise ServiceDown("webhook", reason, retry_after=left, kind="resting")


def tell_news(desk: Desk, task: Task) -> None:
    """Tell where the item stands now, unless that is no longer of interest or was told before."""
    notifier, item = desk.notices.named(task.kind), desk.store.items.get(task.item)
    event = event_of(item.status, item.awaiting) if item is not None else None
    if notifier is None or item is None or event is None or event not in notifier.events:
        desk.store.tasks.finish(task)
        return
    notice = Notice(
        id=f"{item.id}-{item.version}-{event.value}", event=event, items=(item,), total=1, at=desk.clock.now()
    )
    if desk.store.nonces.is_used(mark(notifier, notice), notice.at):
        desk.store.tasks.finish(task)
    elif notifier.per_hour is None:
        check_pause(desk, task)
        deliver(desk, notifier, notice)
        told(desk, task, notifier, notice)
    else:
        tell_person(desk, task, notifier, notice, notifier.per_hour)


def mark(notifier: Notifier, notice: Notice) -> str:
    return f"told:{notifier.key}:{notice.id}"


def told(desk: Desk, task: Task, notifier: Notifier, notice: Notice) -> None:
    """Remember that this was told, and end the task."""
    desk.store.nonces.use_once(mark(notifier, notice), notice.at + MEMORY, notice.at)
    if REPLAYED in task.payload and desk.store.states.get(pause_of(task)) is not None:
        pause(desk, task, timedelta())
    desk.store.tasks.finish(task)


def tell_person(desk: Desk, task: Task, notifier: Notifier, notice: Notice, per_hour: int) -> None:
    """One notice, or a place in the next digest."""
    box = desk.store.mailboxes.get(notifier.key)
    asked = asked_at(task)
    if box.unsubscribed_at is not None or (box.digest_at is not None and asked <= box.digest_at):
        told(desk, task, notifier, notice)
        return
    due = digest_due(box, per_hour, asked, notice.at)
    if due is None:
        # Counted first: what fails counts as well, so that a server that hangs is not asked for each item.
        desk.store.mailboxes.count_notices(notifier.key, one_more(box, notice.at))
        deliver(desk, notifier, notice)
        told(desk, task, notifier, notice)
    elif notice.at < due:
        desk.store.mailboxes.count_notices(notifier.key, replace(box, digest_due=due))
        desk.store.tasks.retry(task, due, "gathered for the next digest")
    else:
        send_digest(desk, task, notifier, notice, replace(box, digest_due=due))


def asked_at(task: Task) -> datetime:
    """Since when there is something to tell."""
    at = task.payload.get("at")
    return datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else task.created_at


def digest_due(box: Mailbox, per_hour: int, asked: datetime, now: datetime) -> datetime | None:
    """When the digest is due that this item goes into; None where it is told on its own."""
    if box.digest_due is not None and box.digest_due > asked:
        return box.digest_due
    if per_hour == 0:
        return asked + HOUR
    if box.hour_at is not None and now < box.hour_at + HOUR and box.sent >= per_hour:
        return box.hour_at + HOUR
    return None


def one_more(box: Mailbox, now: datetime) -> Mailbox:
    if box.hour_at is None or now >= box.hour_at + HOUR:
        return replace(box, hour_at=now, sent=1)
    return replace(box, sent=box.sent + 1)


# --- digests --------------------------------------------------------------------------------------


def send_digest(desk: Desk, task: Task, notifier: Notifier, notice: Notice, box: Mailbox) -> None:
    """Tell of all that waits at once; whoever of the gathered tasks comes first does it for all."""
    due = box.digest_due or notice.at
    if not desk.store.nonces.use_once(f"digest:{notifier.key}:{due.timestamp()}", notice.at + CLAIM, notice.at):
        desk.store.tasks.retry(task, notice.at + CLAIM * task.attempts, "the digest is being sent")
        return
    closed = replace(box, digest_due=None, digest_at=notice.at - OVERLAP, hour_at=None, sent=0)
    try:
        deliver(desk, notifier, digest_of(desk, notice, due))
    except Undeliverable:
        # Else every gathered task would try the same again.
        desk.store.mailboxes.count_notices(notifier.key, closed)
        raise
    desk.store.mailboxes.count_notices(notifier.key, closed)
    told(desk, task, notifier, notice)


def digest_of(desk: Desk, notice: Notice, due: datetime) -> Notice:
    """The newest of what waits; a digest of one item is a notice like any other."""
    waiting = newest(desk)
    if len(waiting) <= 1:
        return notice
    return replace(
        notice,
        id=f"digest-{int(due.timestamp())}",
        items=waiting,
        total=max(len(waiting), desk.store.counters.totals().pending),
        is_digest=True,
    )


def newest(desk: Desk) -> tuple[Item, ...]:
    return desk.store.queue.page(ItemFilter(awaiting=Awaiting.MODERATOR), cursor=None, limit=SHOWN).items
