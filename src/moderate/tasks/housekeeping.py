"""What is looked after in time: the spam service's state, tallies; and what is forgotten: addresses, old spam."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from moderate.akismet import account
from moderate.errors import ServiceDown
from moderate.monitoring.tallies import keep_tally
from moderate.tasks.retention import forget

if TYPE_CHECKING:
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: How often one of all workers looks.
EVERY = timedelta(hours=1)

#: How often one of all workers asks whether the spam service takes our key.
CHECK_UP = timedelta(minutes=10)

#: Under which name the spam service's state is kept, and its word for a key that is not taken.
AKISMET = "akismet"
REFUSED = "key refused"


def tidy(desk: Desk) -> bool:
    """Do what one of all workers does once in an hour; returns whether it was the turn of this one.

    Whether the spam service is well, and whether there is something to forget, is asked more often, so
    call it every ten minutes.
    """
    check_up(desk)
    now = desk.clock.now()
    hour = int(now.timestamp() // EVERY.total_seconds())
    is_turn = desk.store.nonces.use_once(f"housekeeping:{hour}", now + 2 * EVERY, now)
    if is_turn:
        for duty in (desk.waves.forget, partial(account.ask_usage, desk), partial(keep_tally, desk)):
            try:
                duty()
            except Exception:
                log.exception("A part of the housekeeping failed; it is tried again in an hour.")
    forget(desk)
    return is_turn


def check_up(desk: Desk) -> bool:
    """Once in ten minutes, whoever comes first: note whether the spam service answers and takes our key."""
    service, now = desk.services.spam, desk.clock.now()
    if service is None:
        return False
    turn = int(now.timestamp() // CHECK_UP.total_seconds())
    if not desk.store.nonces.use_once(f"check-up:{turn}", now + 2 * CHECK_UP, now):
        return False
    try:
        word = "ok" if service.verify() else REFUSED
    except ServiceDown as error:
        word = REFUSED if error.kind == "bad-key" else "down"
    desk.store.states.keep(AKISMET, {"state": word}, now)
    return True
