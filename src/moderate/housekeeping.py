"""What is forgotten in time: addresses, user agents, samples, old spam and trash."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import account
from moderate.model import Status

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.desk import Desk

#: How often one of all workers looks.
EVERY = timedelta(hours=1)


def tidy(desk: Desk) -> bool:
    """Once in an hour, whoever comes first: forget what has been kept long enough. Returns whether it was our turn."""
    now = desk.clock.now()
    hour = int(now.timestamp() // EVERY.total_seconds())
    if not desk.store.use_once(f"housekeeping:{hour}", now + 2 * EVERY, now):
        return False
    forget(desk, now)
    desk.waves.forget()
    account.ask_usage(desk)
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
