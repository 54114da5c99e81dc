"""The rules by which items change their status and counters change with them, as pure functions."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from moderate.model import COUNTERS, Awaiting, Decision, Kind, Lean, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from moderate.model import Finding, Item

Premoderation = Literal["all", "strangers", "links", "none"]

#: Any of the four decisions is legal from any status.
AFTER: dict[Decision, Status] = {
    Decision.APPROVE: Status.APPROVED,
    Decision.HOLD: Status.PENDING,
    Decision.SPAM: Status.SPAM,
    Decision.TRASH: Status.TRASH,
}

#: The acts of moderators in an item's history, each of which can be undone.
UNDOABLE = ("decided", "declined", "undone")

#: The statuses from which an item may be deleted for good.
DELETABLE = frozenset({Status.SPAM, Status.TRASH})


def counter_change(kind: Kind, before: Status | None, after: Status | None) -> dict[str, int]:
    """Return the steps of an article's counters when an item changes its status from *before* to *after*.

    None stands for an item that does not exist yet or any more.
    """
    change: dict[str, int] = {}
    if before is after:
        return change
    if before is not None:
        change[COUNTERS[kind, before]] = -1
    if after is not None:
        change[COUNTERS[kind, after]] = 1
    return change


def cause_of(findings: Iterable[Finding], after: Status) -> str | None:
    """Return the check that led to status *after*: ``"akismet"``, with its rule ``"rules:7"``; None if none did."""
    known = tuple(findings)
    for lean in CAUSES.get(after, ()):
        for finding in known:
            if finding.lean is lean:
                return finding.check if finding.rule is None else f"{finding.check}:{finding.rule}"
    return None


#: The chance that an item is spam, of 1, by the lean of a finding alone. The learned filter computes its own.
SUSPICION = {
    Lean.DISCARD: 0.99,
    Lean.SPAM: 0.9,
    Lean.HOLD: 0.4,
    Lean.UNSURE: 0.1,
    Lean.NOTE: 0.05,
    Lean.TRUST: 0.0,
}


def score_of(findings: Iterable[Finding]) -> int:
    """Return how suspicious findings make an item, from 0 to 1,000: the chance that at least one of them is right."""
    innocent = 1.0
    for finding in findings:
        is_computed = finding.check == "learned" and finding.score is not None
        innocent *= 1 - (min(max(finding.score or 0.0, 0.0), 1.0) if is_computed else SUSPICION[finding.lean])
    return round(1000 * (1 - innocent))


#: The leans that lead to a status, the strongest first.
CAUSES: dict[Status, tuple[Lean, ...]] = {
    Status.SPAM: (Lean.SPAM, Lean.DISCARD),
    Status.PENDING: (Lean.HOLD, Lean.UNSURE),
    Status.APPROVED: (Lean.TRUST,),
}


def outcome(leans: Collection[Lean], premoderation: Premoderation) -> tuple[Status, Awaiting | None]:
    """Return the status that follows from the *leans* of checks, the worst first. An unknown result holds the item.

    What waits under "links" has such a lean; see `moderate.checks.base.judge`.
    """
    if Lean.SPAM in leans or Lean.DISCARD in leans:
        return Status.SPAM, None
    if Lean.UNSURE in leans:
        return Status.PENDING, Awaiting.CHECKS
    if Lean.HOLD in leans or premoderation == "all":
        return Status.PENDING, Awaiting.MODERATOR
    # A premoderation that only a newer version knows is as strict as it can be.
    if premoderation not in {"links", "none"} and Lean.TRUST not in leans:
        return Status.PENDING, Awaiting.MODERATOR
    return Status.APPROVED, None


class RetentionKind(enum.StrEnum):
    """The kinds of data that are removed after some days, each after its own number."""

    #: The IP addresses of items.
    IP = "ip"
    #: Their user agents and referrers.
    USER_AGENT = "user_agent"
    #: What the spam service was asked, which repeats both.
    SAMPLES = "samples"
    SPAM = "spam"
    TRASH = "trash"
    #: Tasks that were given up.
    TASKS = "tasks"


class Overrides(NamedTuple):
    """The moderators' settings for one article; None leaves the host's own."""

    comments_open: bool | None = None
    pings_open: bool | None = None
    premoderation: Premoderation | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of verdicts and decisions by labels.

    `verdicts`: (check, status) that a check has set. `decisions`: (act, from, to) by moderators.
    `overrides`: (check, from, to) where a moderator changed the status that a check had set.
    """

    verdicts: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    decisions: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    overrides: Mapping[tuple[str, ...], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The names under which a suspicious item is counted.

    A burst is forgotten, and begins anew, `window` seconds after it began. `first` is one of `names`, and the name
    that the item is counted under as well where it is the first under that. `in_wave`: a wave counts it too.
    """

    names: Collection[str]
    window: float
    first: tuple[str, str] | None = None
    in_wave: bool = False


class Burst(NamedTuple):
    """The number of suspicious items of one sort that came lately, and that of all items since the first of them."""

    seen: int
    received: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored item and its status before, None for a new one. `is_new` is False where nothing was written."""

    item: Item
    before: Status | None
    is_new: bool
    bursts: Mapping[str, Burst] = field(default_factory=dict)


class Left(NamedTuple):
    """An item that a decision on many items, or an undo, has not changed.

    `code` is that of the error which the same decision on the item alone would raise. `now` is the item, None
    where it is deleted; `by` is the moderator who decided on it last.
    """

    id: int
    code: str
    now: Item | None = None
    by: str | None = None
