"""What is looked after in time: the spam service's state, tallies; and what is forgotten: addresses, old spam."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.acts import account
from moderate.acts.tallies import keep_tally
from moderate.errors import ServiceDown
from moderate.model import Status

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.desk import Desk

#: How often one of all workers looks.
EVERY = timedelta(hours=1)

#: How often one of all workers asks whether the spam service takes our key.
CHECK_UP = timedelta(minutes=10)

#: Under which name the spam service's state is kept, and its word for a key that is not taken.
AKISMET = "akismet"
REFUSED = "key refused"


def tidy(desk: Desk) -> bool:
    """Once in an hour, whoever comes first: forget what has been kept long enough. Returns whether it was our turn.

    Whether the spam service is well is asked more often, so call it every ten minutes.
    """
    check_up(desk)
    now = desk.clock.now()
    hour = int(now.timestamp() // EVERY.total_seconds())
    if not desk.store.use_once(f"housekeeping:{hour}", now + 2 * EVERY, now):
        return False
    forget(desk, now)
    desk.waves.forget()
    account.ask_usage(desk)
    keep_tally(desk)
    return True


def check_up(desk: Desk) -> bool:
    """Once in ten minutes, whoever comes first: note whether the spam service answers and takes our key."""
    service, now = desk.services.spam, desk.clock.now()
    if service is None:
        return False
    turn = int(now.timestamp() // CHECK_UP.total_seconds())
    if not desk.store.use_once(f"check-up:{turn}", now + 2 * CHECK_UP, now):
        return False
    try:
        word = "ok" if service.verify() else REFUSED
    except ServiceDown as error:
        word = REFUSED if error.kind == "bad-key" else "down"
    desk.store.keep(AKISMET, {"state": word}, now)
    return True


def forget(desk: Desk, now: datetime) -> None:
    def before(days: int) -> datetime | None:
        return now - timedelta(days=days) if days else None

    kept = desk.retention
    desk.store.forget_clients(ip_before=before(kept.ip), user_agent_before=before(kept.user_agent))
    samples = before(kept.ip)
    if samples is not None:
        # A sample holds the address and the user agent, so it goes when these go.
        desk.store.expire_samples(samples)
    for status, days in ((Status.SPAM, kept.spam), (Status.TRASH, kept.trash)):
        moment = before(days)
        while moment is not None and desk.store.purge(status, moment, now):
            pass
