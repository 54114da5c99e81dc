"""The second act for many items at once: decide by list or by filter, and take back what was decided.

Some dozens of items share a transaction, so that nobody waits long for anybody. All that one request
decides carries the same batch id, by which all of it can be undone.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet.feedback import tasks_for_decision
from moderate.errors import NotAllowed, ServiceDown, UnexpectedNumber, UnknownDecision
from moderate.model import Left, Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from moderate.model import Bulk, Decided, Decision, ItemFilter, Moderator
    from moderate.submit.desk import Desk

#: Items in one transaction.
CHUNK = 50

#: How many items one filter may decide about.
MOST = 10_000

#: The acts that can be undone.
UNDOABLE = frozenset({"decided", "declined", "undone"})


@dataclass(slots=True)
class Outcome:
    """What became of many items, under the id by which it can be undone."""

    batch: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    done: list[Decided] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def decide_many(
    desk: Desk,
    decision: Decision,
    versions: Mapping[int, int],
    *,
    by: Moderator,
    note: str | None = None,
    proposal: Proposal = Proposal.ACCEPT,
) -> Outcome:
    """Decide on items given as {id: version}. What somebody decided otherwise meanwhile is left, and told."""
    outcome = Outcome()

    def step(ids: Sequence[int]) -> Bulk:
        now = desk.clock.now()
        return desk.store.decisions.decide_many(
            {number: versions[number] for number in ids},
            decision,
            by=by.name,
            note=note,
            batch=outcome.batch,
            now=now,
            tasks=tasks_for_decision(desk, now),
            proposal=proposal,
        )

    return _in_chunks(desk, outcome, sorted(versions), step, by)


def decide_by_filter(
    desk: Desk,
    decision: Decision,
    which: ItemFilter,
    expect: int,
    *,
    by: Moderator,
    note: str | None = None,
    proposal: Proposal = Proposal.ACCEPT,
    seen: str | None = None,
) -> Outcome:
    """Decide on all that a filter matches. Raises `UnexpectedNumber` where these are not *expect* items.

    Then nothing was decided: a moderator decides about what they saw, and not about what came in since.
    *seen*, as `mark_of` gives it, says more than the number: that no item came for another, and that no
    text was changed.
    """
    versions = desk.store.queue.versions(which, MOST + 1)
    found = mark_of(versions)
    if len(versions) != expect or seen not in {None, found}:
        raise UnexpectedNumber(len(versions), found)
    if len(versions) > MOST:
        raise NotAllowed(f"A filter may decide about {MOST} items at most; narrow it.")
    return decide_many(desk, decision, versions, by=by, note=note, proposal=proposal)


def mark_of(versions: Mapping[int, int]) -> str:
    """What tells these items, in these versions, from any others."""
    return hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:32]


def undo_batch(desk: Desk, batch: str, *, by: Moderator) -> Outcome:
    """Take back what was decided in one go, but for what has changed since. Raises `UnknownDecision`."""
    lines: dict[int, int] = {}
    cursor = None
    while True:
        page = desk.store.history.page(batch=batch, cursor=cursor, limit=1000)
        lines |= {entry.id: entry.item for entry in page.entries if entry.act in UNDOABLE}
        if page.next is None:
            break
        cursor = page.next
    if not lines:
        raise UnknownDecision
    return _undo(desk, lines, by)


def undo_one(desk: Desk, entry_id: int, *, by: Moderator) -> Outcome:
    """Take one decision back. Raises `UnknownDecision`, or `NotAllowed` for a line that is no decision."""
    entry = desk.store.history.entry(entry_id)
    if entry is None:
        raise UnknownDecision
    if entry.act not in UNDOABLE:
        raise NotAllowed("Only what a moderator decided can be undone.", legal=sorted(UNDOABLE))
    return _undo(desk, {entry.id: entry.item}, by)


def _undo(desk: Desk, lines: Mapping[int, int], by: Moderator) -> Outcome:
    outcome = Outcome()
    # In the order of the items, in which everybody locks them.
    by_item = {item: line for line, item in sorted(lines.items())}

    def step(ids: Sequence[int]) -> Bulk:
        now = desk.clock.now()
        chosen = [by_item[number] for number in ids]
        return desk.store.decisions.undo(
            chosen, by=by.name, batch=outcome.batch, now=now, tasks=tasks_for_decision(desk, now)
        )

    return _in_chunks(desk, outcome, sorted(by_item), step, by)


def _in_chunks(
    desk: Desk, outcome: Outcome, ids: Collection[int], step: Callable[[Sequence[int]], Bulk], by: Moderator
) -> Outcome:
    """Do the chunks one after another, and announce each once it is committed.

    Where the database fails in the midst of it, what was done is told as done, and the rest as left.
    """
    for chunk in chunks(ids):
        try:
            bulk = step(chunk)
        except ServiceDown:
            if not (outcome.done or outcome.left):
                raise
            settled = {decided.item.id for decided in outcome.done} | {left.id for left in outcome.left}
            outcome.left.extend(Left(number, ServiceDown.code) for number in ids if number not in settled)
            break
        outcome.done.extend(bulk.done)
        outcome.left.extend(bulk.left)
        for decided in bulk.done:
            if decided.changed:
                signals.announce(desk.app, decided.item, before=decided.before, by=by.name)
    return outcome


def chunks(ids: Collection[int]) -> list[Sequence[int]]:
    ordered = list(ids)
    return [ordered[at : at + CHUNK] for at in range(0, len(ordered), CHUNK)]
