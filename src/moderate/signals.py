"""The signals, sent after the commit, so that receivers see the new state in the database.

The sender of every signal is the Flask app. Receivers must not raise; an exception is logged, and affects neither
the request nor the other receivers.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from blinker import Namespace

from moderate.model import Item, Status

if TYPE_CHECKING:
    from blinker import NamedSignal


log = logging.getLogger("moderate")

_namespace = Namespace()

#: A new item was stored. Carries `item`.
item_received: NamedSignal = _namespace.signal("moderate-item-received")
#: An item became public. Carries `item` and `by` (a moderator's name, None where the checks decided).
item_approved: NamedSignal = _namespace.signal("moderate-item-approved")
#: An item waits. Carries `item` and `by`.
item_held: NamedSignal = _namespace.signal("moderate-item-held")
#: An item was marked as spam. Carries `item` and `by`.
item_marked_spam: NamedSignal = _namespace.signal("moderate-item-marked-spam")
#: An item was put into the trash. Carries `item` and `by`.
item_trashed: NamedSignal = _namespace.signal("moderate-item-trashed")
#: An article's numbers changed. Carries `article` (its key).
counts_changed: NamedSignal = _namespace.signal("moderate-counts-changed")
#: A spam wave was detected: everything is held. Carries `wave` (`moderate.waves.sql.Wave`).
wave_started: NamedSignal = _namespace.signal("moderate-wave-started")
#: The spam wave is over. Carries `wave`.
wave_ended: NamedSignal = _namespace.signal("moderate-wave-ended")

OF_STATUS: dict[Status, NamedSignal] = {
    Status.APPROVED: item_approved,
    Status.PENDING: item_held,
    Status.SPAM: item_marked_spam,
    Status.TRASH: item_trashed,
}


def announce(app: object, item: Item, *, before: Status | None, by: str | None) -> None:
    """Send the signals of an item that changed from the status *before*; None for a new item."""
    if before is None:
        send(item_received, app, item=item)
    if before is not item.status:
        send(OF_STATUS[item.status], app, item=item, by=by)
        send(counts_changed, app, article=item.article)


def send(signal: NamedSignal, app: object, **carried: object) -> None:
    """Call the receivers one by one, so that a failing one cannot silence the rest."""
    for receiver in signal.receivers_for(app):
        try:
            receiver(app, **carried)
        except Exception:
            item = carried.get("item")
            extra = {"moderate_item": item.id} if isinstance(item, Item) else {}
            log.exception("A receiver of %s failed.", signal.name, extra=extra)
