"""The periodic duties of workers: the spam service's state, tallies, old waves, and retention.

Retention is the removal of old addresses, spam, trash and tasks that were given up, as MODERATE_RETENTION says. Each
kind is gone through once an hour, for about a second at a time. The progress is stored, so that another worker can go
on, and that a monitor sees what is overdue.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from moderate.akismet.feedback import ask_usage
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.lifecycle import RetentionKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: The time between two rounds of the hourly duties, and of each kind of retention. One of all workers does each.
EVERY = timedelta(hours=1)

#: The time between two questions whether the spam service accepts our key, from one of all workers.
CHECK_UP = timedelta(minutes=10)

#: The name under which the spam service's state is stored, and the state for a key that it refuses.
AKISMET = "akismet"
REFUSED, DOWN = Message("key refused"), Message("down")

#: The time after its end for which a large batch has a status.
BATCHES = timedelta(days=30)

#: The most days for which a proposed rule that nobody answers is kept.
PROPOSALS = 30

#: The time after which a kind of retention that failed is tried again.
AGAIN = timedelta(minutes=10)

#: The delay from which on retention is reported as late.
LATE = timedelta(days=1)

#: Seconds for one kind of retention before other work has its turn.
SPELL = 1.0

#: The time for which a worker that is removing keeps others from it.
CLAIM = timedelta(minutes=1)

#: The time between two rounds of retention over all rows, which find those whose times do not follow their ids.
WHOLE = timedelta(days=7)

#: The name under which the progress of retention is stored, and in it the keys of a worker's claim, and of the rows
#: that the next round need not look at. Older versions know the claim only.
RETENTION = "retention"
CLAIMED = "claimed"
FLOORS = "floors"


def tidy(desk: Desk) -> bool:
    """Do the duties that are due; return True if this worker did the hourly ones.

    Call it every ten minutes: the check of the spam service and retention are due more often than hourly.
    """
    check_up(desk)
    now = desk.clock.now()
    hour = int(now.timestamp() // EVERY.total_seconds())
    is_turn = desk.store.nonces.use_once(f"housekeeping:{hour}", now + 2 * EVERY, now)
    if is_turn:
        duties = (
            desk.waves.forget,
            partial(ask_usage, desk),
            partial(desk.store.tallies.keep, now),
            partial(desk.store.batches.forget, now - BATCHES),
            partial(desk.store.proposals.forget, now - timedelta(days=proposals_kept(desk))),
        )
        for duty in duties:
            try:
                duty()
            except Exception:
                log.exception("A part of the housekeeping failed; it is tried again in an hour.")
    forget(desk)
    return is_turn


def proposals_kept(desk: Desk) -> int:
    """Return the days for which a proposed rule is kept, which may name an address."""
    return min(PROPOSALS, desk.settings.retention[RetentionKind.IP] or PROPOSALS)


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


# --- retention ------------------------------------------------------------------------------------


class Progress(NamedTuple):
    """The progress of one kind. Times are seconds since 1970."""

    #: The end of the last complete round, before the first one its beginning.
    done: float
    is_done: bool = False
    #: The id after which to go on.
    position: int = 0
    #: The time of the last failure, and its reason.
    failed: float | None = None
    error: str | None = None
    #: Why rows were skipped in the round under way, None where none were.
    skipped: str | None = None

    def is_due(self, now: datetime) -> bool:
        if self.failed is not None and not since(self.failed, now) >= AGAIN:
            return False
        return not self.is_done or since(self.done, now) >= EVERY

    def is_late(self, now: datetime) -> bool:
        return self.error is not None or since(self.done, now) > LATE


class Floor(NamedTuple):
    """Beginning of the next round of one kind: no row up to the id `upto` is due, by the round over all at `whole`."""

    upto: int = 0
    whole: float = 0.0

    def is_over(self, now: datetime) -> bool:
        """Return whether a round over all rows is due."""
        return since(self.whole, now) >= WHOLE


def since(moment: float, now: datetime) -> timedelta:
    return abs(now - datetime.fromtimestamp(moment, UTC))


def days_of(desk: Desk) -> Mapping[RetentionKind, int]:
    """Return the days after which each kind is removed, without the kinds that are kept for ever."""
    settings = desk.settings.retention
    # A sample holds the address and the user agent, so it is removed with the first of them.
    within = [settings[name] for name in ("ip", "user_agent") if settings[name]]
    days = {**settings, RetentionKind.SAMPLES: min(within, default=0)}
    return {kind: days[kind] for kind in RetentionKind if days[kind]}


def forget(desk: Desk) -> bool:
    """Remove for about a second per kind that is due, and complete search terms for as long.

    Return True if there may be more to do soon.
    """
    now = desk.clock.now()
    state = read(desk)
    todo = [kind for kind in days_of(desk) if progress_of(state, kind, now).is_due(now)]
    is_behind = desk.store.backfill.is_due(now - EVERY)
    claimed = state.get(CLAIMED)
    if not (todo or is_behind) or (isinstance(claimed, float) and since(claimed, now) < CLAIM):
        return False
    write(desk, {**state, CLAIMED: now.timestamp()}, now)
    floors = dict(state.get(FLOORS, {}))
    for kind in todo:
        progress, floor = step(desk, kind, progress_of(state, kind, now), Floor(**floors.get(kind, {})), now)
        state[kind], floors[kind] = progress._asdict(), floor._asdict()
    is_behind = is_behind and complete(desk, now)
    write(desk, {**state, FLOORS: floors, CLAIMED: None}, now)
    return is_behind or any(progress_of(state, kind, now).is_due(now) for kind in todo)


def complete(desk: Desk, now: datetime) -> bool:
    """Complete what searches look at, for items that an older version has stored; return True if there is more."""
    over = desk.clock.monotonic() + SPELL
    try:
        return desk.store.backfill.run(now, lambda: desk.clock.monotonic() >= over)
    except ServiceDown as error:
        log.warning("Items of an older version are not found by every search yet: %s", error.reason)
        return False


def step(desk: Desk, kind: RetentionKind, progress: Progress, floor: Floor, now: datetime) -> tuple[Progress, Floor]:
    """Remove some of one kind and return its progress. A failure is noted in it, and stops no other kind."""
    before = now - timedelta(days=days_of(desk)[kind])
    over = desk.clock.monotonic() + SPELL
    after = progress.position or (0 if floor.is_over(now) else floor.upto)
    try:
        found = desk.store.retention.forget(
            kind, before, now, after=after, is_over=lambda: desk.clock.monotonic() >= over, is_whole=floor.is_over(now)
        )
    except ServiceDown as error:
        log.warning("What is old is not forgotten (%s): %s", kind.value, error.reason)
        return progress._replace(failed=now.timestamp(), error=error.reason), floor
    except Exception as error:
        log.exception("What is old is not forgotten (%s).", kind.value)
        return progress._replace(failed=now.timestamp(), error=type(error).__name__), floor
    skipped = found.error or progress.skipped
    if found.position is not None:
        # An earlier error stays until a round is complete.
        shown = skipped or progress.error
        return progress._replace(position=found.position, failed=None, error=shown, skipped=skipped), floor
    if skipped is not None:
        return progress._replace(position=0, failed=now.timestamp(), error=skipped, skipped=None), floor
    whole = now.timestamp() if floor.is_over(now) else floor.whole
    return Progress(done=now.timestamp(), is_done=True), Floor(found.upto, whole)


def progress_of(state: Mapping[str, Any], kind: RetentionKind, now: datetime) -> Progress:
    kept = state.get(kind)
    return Progress(**kept) if kept else Progress(done=now.timestamp())


def read(desk: Desk) -> dict[str, Any]:
    kept = desk.store.states.get(RETENTION)
    return {} if kept is None else dict(kept.value)


def write(desk: Desk, state: Mapping[str, Any], now: datetime) -> None:
    desk.store.states.keep(RETENTION, {str(name): value for name, value in state.items()}, now)


# --- for monitors ---------------------------------------------------------------------------------


def late_kinds(desk: Desk) -> Mapping[RetentionKind, str]:
    """Return the kinds whose removal is late, each with the reason."""
    now, state, days = desk.clock.now(), read(desk), days_of(desk)
    if not state:
        oldest = desk.store.items.oldest()
        return {
            kind: "no worker has looked yet"
            for kind, number in days.items()
            if oldest is not None and now - oldest > timedelta(days=number) + LATE
        }
    found = {kind: progress_of(state, kind, now) for kind in days}
    return {
        kind: progress.error or f"not done since {datetime.fromtimestamp(progress.done, UTC):%Y-%m-%d %H:%M} UTC"
        for kind, progress in found.items()
        if progress.is_late(now)
    }


def retention_lag(desk: Desk) -> float:
    """Return the seconds by which the kind that was gone through least recently is overdue."""
    now, state = desk.clock.now(), read(desk)
    waited = [since(progress_of(state, kind, now).done, now) - EVERY for kind in days_of(desk)]
    return max((max(0.0, each.total_seconds()) for each in waited), default=0.0)
