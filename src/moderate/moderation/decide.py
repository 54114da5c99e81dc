"""Moderators' decisions on items, and their undo.

JSON, queue page, forms, links in mails, the command line and the host's code all make one `DecisionRequest`
and hand it to `decide_items`, or to `decide_one`, which raises what the other lists as left.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet.feedback import tasks_for_decision
from moderate.errors import DecidedMeanwhile, NotAllowed, ServiceDown, UnexpectedNumber, UnknownDecision, UnknownItem
from moderate.i18n import Message
from moderate.lifecycle import UNDOABLE
from moderate.model import ChangedText, Left

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from moderate.model import Decided, Decision, Item, ItemFilter, Moderator
    from moderate.moderation.sql import Bulk
    from moderate.submit.desk import Desk

#: Items in one transaction: few enough that other writers wait only briefly.
CHUNK = 50

#: The most items that one filter may decide about.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Matching:
    """All items that a filter matches, provided that they are those which the moderator saw.

    *expect* is their number. *seen*, as `versions_digest` returns it, also says that none was replaced by another and
    that no text was changed.
    """

    which: ItemFilter
    expect: int
    seen: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """One decision of a moderator on some items."""

    decision: Decision
    #: The items as {id: version that the moderator saw}, or those that a filter matches.
    items: Mapping[int, int] | Matching
    by: Moderator
    note: str | None = None
    #: What becomes of changed texts that wait behind approved ones.
    change: ChangedText = ChangedText.ACCEPT


@dataclass(slots=True)
class Outcome:
    """The result of a request: items that were decided, items that were left, and the batch id that undoes it all."""

    batch: str | None
    done: list[Decided] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def decide_items(desk: Desk, request: DecisionRequest) -> Outcome:
    """Decide on all items of a request. Items that were decided otherwise meanwhile are left as they are.

    The same decision as an item's current status changes nothing and is no error. Raises `UnexpectedNumber`
    where a filter does not match what the moderator saw, and `NotAllowed` where it matches more than `MOST`
    items; then nothing was decided.
    """
    return _decide(desk, request, secrets.token_urlsafe(12))


def decide_one(desk: Desk, request: DecisionRequest) -> Item:
    """Decide on the only item of a request, and return it. Its history line has no batch.

    Raises `UnknownItem`, or `DecidedMeanwhile` where it was decided otherwise after the version of the request.
    """
    outcome = _decide(desk, request, None)
    for left in outcome.left:
        if left.now is None:
            raise UnknownItem
        raise DecidedMeanwhile(left.now, by=left.by)
    return outcome.done[0].item


def _decide(desk: Desk, request: DecisionRequest, batch: str | None) -> Outcome:
    items = request.items
    versions = matched(desk, items) if isinstance(items, Matching) else items

    def step(ids: Sequence[int]) -> Bulk:
        now = desk.clock.now()
        return desk.store.decisions.decide(
            {number: versions[number] for number in ids},
            request.decision,
            by=request.by.name,
            note=request.note,
            batch=batch,
            now=now,
            tasks=tasks_for_decision(desk, now),
            change=request.change,
        )

    return _in_chunks(desk, Outcome(batch), sorted(versions), step, request.by)


def matched(desk: Desk, items: Matching) -> Mapping[int, int]:
    """Return the versions of the items that a filter matches, by id. Raises `UnexpectedNumber`, `NotAllowed`."""
    versions = desk.store.queue.versions(items.which, MOST + 1)
    digest = versions_digest(versions)
    if len(versions) != items.expect or items.seen not in {None, digest}:
        raise UnexpectedNumber(len(versions), digest)
    if len(versions) > MOST:
        raise NotAllowed(Message("A filter may decide about {most} items at most; narrow it.", most=MOST))
    return versions


def versions_digest(versions: Mapping[int, int]) -> str:
    """Return a digest of items and their versions."""
    return hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:32]


def undo_batch(desk: Desk, batch: str, *, by: Moderator) -> Outcome:
    """Undo all decisions of a batch, except on items that have changed since. Raises `UnknownDecision`."""
    lines = desk.store.history.of_batch(batch)
    if not lines:
        raise UnknownDecision
    return _undo(desk, lines, by)


def undo_one(desk: Desk, entry_id: int, *, by: Moderator) -> Outcome:
    """Undo the decision of one history line. Raises `UnknownDecision`, or `NotAllowed` if it is no decision."""
    entry = desk.store.history.entry(entry_id)
    if entry is None:
        raise UnknownDecision
    if entry.act not in UNDOABLE:
        raise NotAllowed("Only what a moderator decided can be undone.", legal=sorted(UNDOABLE))
    return _undo(desk, {entry.id: entry.item}, by)


def _undo(desk: Desk, lines: Mapping[int, int], by: Moderator) -> Outcome:
    """Undo the decisions of history lines, given as {line: item}."""
    batch = secrets.token_urlsafe(12)
    by_item = {item: line for line, item in sorted(lines.items())}

    def step(ids: Sequence[int]) -> Bulk:
        now = desk.clock.now()
        chosen = [by_item[number] for number in ids]
        return desk.store.decisions.undo(chosen, by=by.name, batch=batch, now=now, tasks=tasks_for_decision(desk, now))

    return _in_chunks(desk, Outcome(batch), sorted(by_item), step, by)


def _in_chunks(
    desk: Desk, outcome: Outcome, ids: Sequence[int], step: Callable[[Sequence[int]], Bulk], by: Moderator
) -> Outcome:
    """Run *step* for chunks of the sorted *ids*, and send the signals of each once it is committed.

    Where the database fails after the first chunk, the remaining items are reported as left.
    """
    for start in range(0, len(ids), CHUNK):
        try:
            bulk = step(ids[start : start + CHUNK])
        except ServiceDown:
            if not (outcome.done or outcome.left):
                raise
            outcome.left.extend(Left(number, ServiceDown.code) for number in ids[start:])
            break
        outcome.done.extend(bulk.done)
        outcome.left.extend(bulk.left)
        for decided in bulk.done:
            signals.announce(desk.app, decided.item, before=decided.before, by=by.name)
    return outcome


def look_up(desk: Desk, item_id: int) -> Item:
    """Return an item as moderators see it. Raises `UnknownItem`."""
    item = desk.store.items.get(item_id)
    if item is None:
        raise UnknownItem
    return item
