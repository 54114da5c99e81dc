"""The periodic duties of workers: the spam service's state, tallies, old waves, and what retention removes."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from moderate.akismet import account
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.tasks.retention import forget

if TYPE_CHECKING:
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The time between two rounds of the hourly duties, of which one of all workers does each.
EVERY = timedelta(hours=1)

#: The time between two questions whether the spam service accepts our key, from one of all workers.
CHECK_UP = timedelta(minutes=10)

#: The name under which the spam service's state is stored, and the state for a key that it refuses.
AKISMET = "akismet"
REFUSED, DOWN = Message("key refused"), Message("down")


def tidy(desk: Desk) -> bool:
    """Do the duties that are due; return True if this worker did the hourly ones.

    Call it every ten minutes: the check of the spam service and retention are due more often than hourly.
    """
    check_up(desk)
    now = desk.clock.now()
    hour = int(now.timestamp() // EVERY.total_seconds())
    is_turn = desk.store.nonces.use_once(f"housekeeping:{hour}", now + 2 * EVERY, now)
    if is_turn:
        for duty in (desk.waves.forget, partial(account.ask_usage, desk), partial(desk.store.tallies.keep, now)):
            try:
                duty()
            except Exception:
                log.exception("A part of the housekeeping failed; it is tried again in an hour.")
    forget(desk)
    return is_turn


def check_up(desk: Desk) -> bool:
    """Store whether the spam service answers and accepts our key; return True if this worker asked it.

    One of all workers asks it in ten minutes.
    """
    service, now = desk.services.spam, desk.clock.now()
    if service is None:
        return False
    turn = int(now.timestamp() // CHECK_UP.total_seconds())
    if not desk.store.nonces.use_once(f"check-up:{turn}", now + 2 * CHECK_UP, now):
        return False
    try:
        state = "ok" if service.verify() else REFUSED
    except ServiceDown as error:
        state = REFUSED if error.kind == "bad-key" else DOWN
    desk.store.states.keep(AKISMET, {"state": state}, now)
    return True
