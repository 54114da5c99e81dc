"""What moderators should know before they decide: a spam wave, a part that is ill, how long people have waited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moderate.akismet.account import USAGE
from moderate.errors import ServiceDown
from moderate.http.words import duration, found, say
from moderate.model import TASK_KINDS
from moderate.monitoring.health import LAG, akismet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from moderate.http.state import State


@dataclass(frozen=True, slots=True)
class Banner:
    """One thing to know. `urgent` is what somebody has to see to; the rest explains what is on the page."""

    name: str
    words: str
    urgent: bool = True


def banners(state: State) -> list[Banner]:
    """All that is known at once and without asking another server."""
    try:
        return [*wave(state), *account(state), *limiter(state), *tasks(state)]
    except ServiceDown as error:
        return [Banner("database", str(error))]


def wave(state: State) -> Iterator[Banner]:
    current = state.desk.waves.current()
    if current is not None:
        words = say("A spam wave is under way: everything is held until it is over.")
        yield Banner("wave", f"{words} {found(current.reason)}", urgent=False)


def account(state: State) -> Iterator[Banner]:
    """What a worker has last found of Akismet, and what Akismet says of the site's account."""
    part = akismet(state)
    if not part.is_well:
        yield Banner("akismet", say("Akismet: {note}", note=f"{found(part.state)}. {found(part.advice)}"))
    for note in state.desk.account.all():
        if note.topic != USAGE:
            yield Banner("account", say("Akismet: {note}", note=found(note.text)))


def usage(state: State) -> str | None:
    """Return what is used of the month's calls at Akismet, None where it is unknown or few are left.

    That is no reason to stop and look, so it stands at the foot of the page; few calls left are a banner.
    """
    try:
        notes = state.desk.account.all()
    except ServiceDown:
        return None
    return next((say("Akismet: {note}", note=found(note.text)) for note in notes if note.topic == USAGE), None)


def limiter(state: State) -> Iterator[Banner]:
    outage = state.desk.limits.outage
    if outage is not None:
        yield Banner("redis", say("Redis does not answer: rate limits hold for each process on its own."))


def tasks(state: State) -> Iterator[Banner]:
    lag = state.desk.store.task_lag(state.desk.clock.now(), TASK_KINDS)
    if lag > LAG and not state.worker.is_catching_up():
        yield Banner("tasks", say("Checks are behind by {time}. Is a worker running?", time=duration(lag)))
    given_up = len(state.desk.store.dead_tasks())
    if given_up:
        words = say(
            "{n} tasks were given up. Whoever runs the site sees them with: flask moderate tasks dead", n=given_up
        )
        yield Banner("dead", words, urgent=False)


def waiting_since(state: State) -> datetime | None:
    """Since when the oldest item waits for a moderator: what the desk is measured by."""
    return state.desk.store.oldest_waiting()
