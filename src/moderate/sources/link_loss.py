"""What becomes of an approved ping whose page no longer links here.

Webmention asks for its deletion (W3C Recommendation, section 3.2.4). But a page may answer 200 and
be a notice of maintenance, a wall before a login or an error that calls itself none: so a link
must be missed twice, some hours apart, before its ping leaves the page. A page that says of itself that it is gone
(410) is believed at once; 404 and other errors say nothing about the link, and the page is read again later.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.i18n import Message
from moderate.model import Finding, Lean
from moderate.notices.delivery import notice_tasks_for_decision

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.model import Item, Task
    from moderate.sources.verify import Seen
    from moderate.submit.desk import Desk

#: How long after a link was missed its page is read again.
SECOND_LOOK = timedelta(hours=6)

#: Under which name a missed link stands among an item's findings.
MISSED = "link"


def is_lost(item: Item, seen: Seen | None) -> bool:
    """An approved ping whose page was read, and does not link here."""
    return seen is not None and item.is_public and not seen.look.trouble and not seen.look.links_here


def lose(desk: Desk, task: Task, item: Item, seen: Seen) -> None:
    """The link is not there: withdraw the ping if that is certain, else have its page read again."""
    now = desk.clock.now()
    missed = missed_at(item)
    if seen.look.is_gone or (missed is not None and now - missed >= SECOND_LOOK):
        withdraw(desk, task, item, now)
        return
    if missed is None:
        missed = now
        reason = Message("its page does not link here at the moment; it is read once more before this leaves the page")
        desk.store.items.annotate(item, (*item.findings, Finding(MISSED, Lean.HOLD, reason, at=now)))
    desk.store.tasks.retry(task, missed + SECOND_LOOK, "its page did not link here", is_attempt=False)


def forgive(desk: Desk, item: Item, seen: Seen | None) -> None:
    """A link that was missed is there again: nothing is held against the ping."""
    if missed_at(item) is not None and seen is not None and seen.look.links_here:
        desk.store.items.annotate(item, tuple(finding for finding in item.findings if finding.check != MISSED))


def missed_at(item: Item) -> datetime | None:
    return next((finding.at for finding in item.findings if finding.check == MISSED), None)


def withdraw(desk: Desk, task: Task, item: Item, now: datetime) -> None:
    """The ping leaves the page; its history tells why."""
    tasks = notice_tasks_for_decision(desk.notifiers, now)
    decided = desk.store.items.withdraw(item.id, now, note="its page no longer links here", tasks=tasks)
    desk.store.tasks.finish(task)
    if decided.changed:
        signals.announce(desk.app, decided.item, before=decided.before, by=None)
