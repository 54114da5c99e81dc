"""Deliver notices of items to moderators' mailboxes and to webhooks: which, when, and how often.

A task for each destination is stored in the item's own transaction, once the verdict on it is final. A worker delivers;
if it dies, another one repeats the task, and a notice that then arrives twice has the same id both times. Mails are
limited: after some of them in an hour, further items are gathered into a digest. Spam is announced only to destinations
that ask for it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown, Undeliverable
from moderate.model import REPLAYED, Awaiting, ItemFilter, NewTask
from moderate.notices.values import EVENTS, Event, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.model import Task, Verdict
    from moderate.notices.values import Mailbox
    from moderate.ports import Notifier
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The period in which mails are counted, and after which a digest is due.
HOUR = timedelta(hours=1)

#: How often a service that does not answer is tried, over some two days, before its task is given up.
ATTEMPTS = 12

#: The events of items that do not wait for a moderator.
DECIDED = frozenset(Event) - {Event.WAITING}

#: How long a destination that answered 410 is paused, which is also the longest pause that one may ask for.
GONE = timedelta(days=1)

#: How long a notice may wait for a destination that is paused or whose circuit breaker is open.
LONGEST = timedelta(days=3)

#: How long delivered notices are remembered: longer than the last check of a ping's source may come after it.
MEMORY = timedelta(days=60)

#: Items that were stored so shortly before a digest are announced again, as the digest may have missed them.
OVERLAP = timedelta(minutes=1)

#: How long other tasks wait for the one that is sending their digest.
CLAIM = timedelta(minutes=2)

#: How many items a digest shows.
SHOWN = 20


def kind_of(notifier: Notifier) -> str:
    """Return the kind of the tasks for one destination: each has its own, so that none waits for another."""
    return f"notify:{notifier.key}"


def notice_tasks(desk: Desk, now: datetime, verdict: Verdict | None = None) -> list[NewTask]:
    """Return the tasks to store with a verdict, or with a decision where there is none.

    A decision gives tasks to all destinations that want more events than waiting items.
    """
    events = DECIDED if verdict is None else {EVENTS.get((verdict.status, verdict.awaiting))}
    payload = {"at": now.timestamp()}
    return [
        NewTask(kind=kind_of(notifier), due_at=now, payload=payload)
        for notifier in desk.notifiers
        if events & notifier.events
    ]


# --- one task -------------------------------------------------------------------------------------


def notify(desk: Desk, task: Task) -> None:
    """Do one task. One that cannot be delivered is given up: operators list and replay such tasks."""
    now = desk.clock.now()
    try:
        notify_of_state(desk, task)
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
    """Put a task among the dead ones. The log gets its numbers only, as *reason* may quote a mail server."""
    fields = {"moderate_task": task.id, "moderate_item": task.item}
    words = "Task %d (%s) for item %d is given up; for the reason see: flask moderate tasks dead"
    log.warning(words, task.id, task.kind, task.item, extra=fields)
    desk.store.tasks.bury(task, reason)


def deliver(desk: Desk, notifier: Notifier, notice: Notice) -> None:
    # All mailboxes share one server; each webhook has its own.
    with outages_recorded(desk, kind_of(notifier) if notifier.per_hour is None else "mail"):
        notifier.deliver(notice)


@contextmanager
def outages_recorded(desk: Desk, server: str) -> Iterator[None]:
    """Record the beginning or the end of an outage of *server*, to which something is sent meanwhile."""
    try:
        yield
    except ServiceDown as error:
        if not error.kind:
            desk.outages.failed(server, error)
        raise
    except Undeliverable:
        desk.outages.over(server)
        raise
    desk.outages.over(server)


def pause(desk: Desk, task: Task, wait: timedelta, *, is_gone: bool = False) -> None:
    """Stop deliveries to the destination of *task* in all processes for *wait*, as it has asked for.

    With *is_gone* it wants no more notices at all: those that come up within that time are given up.
    """
    now = desk.clock.now()
    desk.store.states.keep(pause_key(task), {"until": (now + wait).timestamp(), "is_gone": is_gone}, now)


def pause_key(task: Task) -> str:
    """Return the key of the state that holds until when a destination is paused."""
    return f"pause:{task.kind}"


def check_pause(desk: Desk, task: Task) -> None:
    """Raise `Undeliverable` or `ServiceDown` while the destination is paused. Replayed tasks are tried all the same."""
    kept = None if REPLAYED in task.payload else desk.store.states.get(pause_key(task))
    left = kept.value["until"] - desk.clock.now().timestamp() if kept is not None else 0
    # No pause is longer than GONE; if one seems to be, the clock was set back.
    if kept is None or not 0 < left <= GONE.total_seconds():
        return
    if kept.value["is_gone"]:
        raise Undeliverable("it lately answered 410 and wants no more calls; not called")
    reason = f"not called: it asked to wait; next try in {left:.0f} seconds"
    raise ServiceDown("webhook", reason, retry_after=left, kind="resting")


def notify_of_state(desk: Desk, task: Task) -> None:
    """Deliver the current state of the item, unless its destination does not want it or has had it."""
    # None where the settings no longer name the destination.
    notifier = next((each for each in desk.notifiers if kind_of(each) == task.kind), None)
    item = desk.store.items.get(task.item)
    event = EVENTS.get((item.status, item.awaiting)) if item is not None else None
    if notifier is None or item is None or event is None or event not in notifier.events:
        desk.store.tasks.finish(task)
        return
    notice = Notice(
        id=f"{item.id}-{item.version}-{event.value}", event=event, items=(item,), total=1, at=desk.clock.now()
    )
    if desk.store.nonces.is_used(delivered_key(notifier, notice), notice.at):
        desk.store.tasks.finish(task)
    elif notifier.per_hour is None:
        check_pause(desk, task)
        deliver(desk, notifier, notice)
        finish(desk, task, notifier, notice)
    else:
        notify_person(desk, task, notifier, notice, notifier.per_hour)


def delivered_key(notifier: Notifier, notice: Notice) -> str:
    return f"told:{notifier.key}:{notice.id}"


def finish(desk: Desk, task: Task, notifier: Notifier, notice: Notice) -> None:
    """Record that a notice was delivered, and end its task."""
    desk.store.nonces.use_once(delivered_key(notifier, notice), notice.at + MEMORY, notice.at)
    if REPLAYED in task.payload and desk.store.states.get(pause_key(task)) is not None:
        pause(desk, task, timedelta())
    desk.store.tasks.finish(task)


# --- people, who get digests ----------------------------------------------------------------------


def notify_person(desk: Desk, task: Task, notifier: Notifier, notice: Notice, per_hour: int) -> None:
    """Deliver a notice on its own, or have it wait for the next digest, or send that digest."""
    box = desk.store.mailboxes.get(notifier.key)
    # The time at which the item's state came about.
    at = task.payload.get("at")
    asked = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else task.created_at
    if box.unsubscribed_at is not None or (box.digest_at is not None and asked <= box.digest_at):
        finish(desk, task, notifier, notice)
        return
    due = digest_due(box, per_hour, asked, notice.at)
    if due is None:
        # Counted before the attempt, so that a server that hangs is not asked once for each item.
        desk.store.mailboxes.count_notices(notifier.key, one_more(box, notice.at))
        deliver(desk, notifier, notice)
        finish(desk, task, notifier, notice)
    elif notice.at < due:
        desk.store.mailboxes.count_notices(notifier.key, replace(box, digest_due=due))
        desk.store.tasks.retry(task, due, "gathered for the next digest")
    else:
        send_digest(desk, task, notifier, notice, replace(box, digest_due=due))


def digest_due(box: Mailbox, per_hour: int, asked: datetime, now: datetime) -> datetime | None:
    """Return when the digest for an item is due, None where the item gets a mail of its own."""
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


def send_digest(desk: Desk, task: Task, notifier: Notifier, notice: Notice, box: Mailbox) -> None:
    """Send one mail for all waiting items. The first of the gathered tasks to be due sends it for all of them."""
    due = box.digest_due or notice.at
    if not desk.store.nonces.use_once(f"digest:{notifier.key}:{due.timestamp()}", notice.at + CLAIM, notice.at):
        desk.store.tasks.retry(task, notice.at + CLAIM * task.attempts, "the digest is being sent")
        return
    closed = replace(box, digest_due=None, digest_at=notice.at - OVERLAP, hour_at=None, sent=0)
    try:
        deliver(desk, notifier, digest_of(desk, notice, due))
    except Undeliverable:
        # Otherwise every gathered task would try the same digest again.
        desk.store.mailboxes.count_notices(notifier.key, closed)
        raise
    desk.store.mailboxes.count_notices(notifier.key, closed)
    finish(desk, task, notifier, notice)


def digest_of(desk: Desk, notice: Notice, due: datetime) -> Notice:
    """Return the digest of the newest waiting items. Where only one waits, that is *notice* itself."""
    waiting = desk.store.queue.page(ItemFilter(awaiting=Awaiting.MODERATOR), cursor=None, limit=SHOWN).items
    if len(waiting) <= 1:
        return notice
    return replace(
        notice,
        id=f"digest-{int(due.timestamp())}",
        items=waiting,
        total=max(len(waiting), desk.store.counters.totals().pending),
        is_digest=True,
    )
