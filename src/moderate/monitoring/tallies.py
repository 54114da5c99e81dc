"""How often checks and moderators have done what, since the beginning: the same from every process.

The history is counted, which is only ever added to. What has been counted is kept once an hour, so
that a look reads no more than the last hour of it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.lifecycle import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.monitoring.sql import Kept
    from moderate.submit.desk import Desk

KEPT = "tally"

#: A line of the history may come to light after younger ones: only when its transaction ends.
SETTLED = timedelta(minutes=5)

MEASURES = ("verdicts", "decisions", "overrides")


def tally(desk: Desk) -> Tally:
    """Everything up to now. Writes nothing."""
    upto, counted = last(desk.store.states.get(KEPT))
    return together(counted, desk.store.tallies.tally(upto))


def keep_tally(desk: Desk) -> None:
    """Count what has settled since the last time, and keep it."""
    now = desk.clock.now()
    before, counted = last(desk.store.states.get(KEPT))
    upto = desk.store.tallies.newest_entry(now - SETTLED)
    if upto <= before:
        return
    total = together(counted, desk.store.tallies.tally(before, upto))
    measures = {name: [[*labels, number] for labels, number in getattr(total, name).items()] for name in MEASURES}
    desk.store.states.keep(KEPT, {"upto": upto, **measures}, now)


def last(kept: Kept | None) -> tuple[int, Tally]:
    """What was kept, and the last line of the history that is counted in it."""
    if kept is None:
        return 0, Tally()
    measures = {name: {tuple(labels): number for *labels, number in kept.value.get(name, ())} for name in MEASURES}
    return int(kept.value["upto"]), Tally(**measures)


def together(one: Tally, other: Tally) -> Tally:
    return Tally(**{name: added(getattr(one, name), getattr(other, name)) for name in MEASURES})


def added(one: Mapping[tuple[str, ...], int], other: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {labels: one.get(labels, 0) + other.get(labels, 0) for labels in (*one, *other)}
