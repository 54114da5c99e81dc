"""What a decision does and how counters move: pure functions, no store, no clock."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from moderate.model import Awaiting, Decision, Kind, Lean, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.model import Finding

Premoderation = Literal["all", "strangers", "none"]

#: Any of the four decisions is legal from any status.
AFTER: dict[Decision, Status] = {
    Decision.APPROVE: Status.APPROVED,
    Decision.HOLD: Status.PENDING,
    Decision.SPAM: Status.SPAM,
    Decision.TRASH: Status.TRASH,
}

#: The acts of moderators in an item's history, each of which can be undone.
UNDOABLE = ("decided", "declined", "undone")

#: From where an item may be deleted for good.
DELETABLE = frozenset({Status.SPAM, Status.TRASH})


def counter_of(kind: Kind, status: Status) -> str:
    """The counter in which an item of *kind* and *status* is counted: exactly one."""
    if status is not Status.APPROVED:
        return f"{status.value}_{kind.value}"
    return "comments" if kind is Kind.COMMENT else kind.value


def counter_change(kind: Kind, before: Status | None, after: Status | None) -> dict[str, int]:
    """How an article's counters move when an item goes from *before* to *after*.

    None stands for "not there": before it was received, or after it was deleted.
    """
    change: dict[str, int] = {}
    if before is not None:
        change[counter_of(kind, before)] = -1
    if after is not None:
        name = counter_of(kind, after)
        change[name] = change.get(name, 0) + 1
    return {name: step for name, step in change.items() if step}


def is_public_change(before: Status | None, after: Status | None) -> bool:
    """Whether readers see a difference."""
    return (before is Status.APPROVED) is not (after is Status.APPROVED)


def cause_of(findings: Iterable[Finding], after: Status) -> str | None:
    """Which check put an item where it stands, ``"akismet"``, and by which rule, ``"rules:7"``; None for none."""
    told = tuple(findings)
    for lean in CAUSES.get(after, ()):
        for finding in told:
            if finding.lean is lean:
                return finding.check if finding.rule is None else f"{finding.check}:{finding.rule}"
    return None


#: The leans that lead to a status, the strongest first.
CAUSES: dict[Status, tuple[Lean, ...]] = {
    Status.SPAM: (Lean.SPAM, Lean.DISCARD),
    Status.PENDING: (Lean.HOLD, Lean.UNSURE),
    Status.APPROVED: (Lean.TRUST,),
}


def outcome(findings: Iterable[Finding], premoderation: Premoderation) -> tuple[Status, Awaiting | None]:
    """What follows from *findings*, the worst first. Anything unknown holds; nothing unknown publishes."""
    leans = {finding.lean for finding in findings}
    if leans & {Lean.SPAM, Lean.DISCARD}:
        return Status.SPAM, None
    if Lean.UNSURE in leans:
        return Status.PENDING, Awaiting.CHECKS
    if Lean.HOLD in leans or premoderation == "all":
        return Status.PENDING, Awaiting.MODERATOR
    if premoderation == "strangers" and Lean.TRUST not in leans:
        return Status.PENDING, Awaiting.MODERATOR
    return Status.APPROVED, None


class RetentionKind(enum.StrEnum):
    """What is removed after some days, each on its own."""

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


@dataclass(frozen=True, slots=True)
class Overrides:
    """What moderators set for one article; None leaves the host's own word."""

    comments_open: bool | None = None
    pings_open: bool | None = None
    premoderation: Premoderation | None = None
