"""Moderators' decisions on items, and their undo.

JSON, queue page, forms, links in mails, the command line and the host's code all make one `DecisionRequest`
and hand it to `decide_items`, or to `decide_one`, which raises what the other lists as left.

More than `AT_ONCE` items are a task: they are chosen at once, in the versions that they have, and a worker decides on
them in chunks. The progress is stored with each chunk, so that a worker that dies leaves nothing half done and another
one goes on. An undo stops the rest of a batch that is not done.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from moderate import signals
from moderate.akismet.feedback import tasks_for_decision
from moderate.errors import (
    DecidedMeanwhile,
    Halted,
    NotAllowed,
    ServiceDown,
    UnexpectedNumber,
    UnknownDecision,
    UnknownItem,
)
from moderate.hooks import Moderator
from moderate.i18n import Message
from moderate.lifecycle import UNDOABLE, Left
from moderate.model import ChangedText, Decision, NewTask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from moderate.model import Decided, Item, ItemFilter, Task
    from moderate.moderation.sql import Bulk
    from moderate.store.batches import BatchProgress
    from moderate.submit.desk import Desk

    #: Decides on some items, given as pairs of their id with a version or, to undo, with a line of the history. The
    #: number is that of the batch's items before them; None where the batch is no task.
    Step = Callable[[Sequence[tuple[int, int]], int | None], Bulk]

log = logging.getLogger("moderate")

#: Items in one transaction: few enough that other writers wait only briefly.
CHUNK = 50

#: The most items that are decided on while the request waits.
AT_ONCE = 500

#: The most items that one filter may decide about.
MOST = 10_000

#: The kind of the tasks that work on larger batches, and the act of those that undo one.
KIND, UNDO = "batch", "undo"

#: Seconds that a worker decides on a batch before tasks that were due earlier have their turn, or it may be ended.
SPELL = 1.0

#: Seconds until a worker goes on with a batch that the database would not let it.
AGAIN = 5.0


class Matching(NamedTuple):
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


def decide_items(desk: Desk, request: DecisionRequest) -> Outcome | BatchProgress:
    """Decide on all items of a request. Items that were decided otherwise meanwhile are left as they are.

    Where a filter matches more than `AT_ONCE` items, a worker decides on them, and the progress is returned.
    The same decision as an item's current status is no error: where only checks have decided so far, it is written
    down and learned from, and nothing else changes; where a person has, it adds nothing. Raises `UnexpectedNumber`
    where a filter does not match what the moderator saw, and `NotAllowed` where it matches more than `MOST`
    items; then nothing was decided.
    """
    batch, items = secrets.token_urlsafe(12), _versions(desk, request)
    if len(items) <= AT_ONCE:
        return _in_chunks(desk, Outcome(batch), items, _decider(desk, request, batch), request.by)
    about = {"act": request.decision.value, "note": request.note, "change": request.change.value}
    return _begin(desk, batch, items, request.by, about)


def decide_one(desk: Desk, request: DecisionRequest) -> Item:
    """Decide on the only item of a request, and return it. Its history line has no batch.

    Raises `UnknownItem`, or `DecidedMeanwhile` where it was decided otherwise after the version of the request.
    """
    outcome = _in_chunks(desk, Outcome(None), _versions(desk, request), _decider(desk, request, None), request.by)
    for left in outcome.left:
        if left.now is None:
            raise UnknownItem
        raise DecidedMeanwhile(left.now, by=left.by)
    return outcome.done[0].item


def _versions(desk: Desk, request: DecisionRequest) -> list[tuple[int, int]]:
    """Return the items of a request, in the order of their ids, with their versions."""
    items = request.items
    return sorted((matched(desk, items) if isinstance(items, Matching) else items).items())


def _decider(desk: Desk, request: DecisionRequest, batch: str | None) -> Step:
    def step(chunk: Sequence[tuple[int, int]], position: int | None) -> Bulk:
        now = desk.clock.now()
        return desk.store.decisions.decide(
            dict(chunk),
            request.decision,
            by=request.by.name,
            note=request.note,
            batch=batch,
            now=now,
            tasks=tasks_for_decision(desk, now),
            change=request.change,
            position=position,
        )

    return step


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


def undo_batch(desk: Desk, batch: str, *, by: Moderator) -> Outcome | BatchProgress:
    """Undo all decisions of a batch, except on items that have changed since. Raises `UnknownDecision`.

    What a worker has not decided on yet stays as it is. More than `AT_ONCE` items are put back by a worker.
    """
    if not is_batch(batch):
        raise UnknownDecision
    is_large = desk.store.batches.get(batch) is not None
    if is_large:
        desk.store.batches.stop(batch, desk.clock.now())
    lines = desk.store.history.of_batch(batch)
    if not (lines or is_large):
        raise UnknownDecision
    undo, by_item = secrets.token_urlsafe(12), sorted({item: line for line, item in sorted(lines.items())}.items())
    if len(by_item) > AT_ONCE:
        return _begin(desk, undo, by_item, by, {"act": UNDO})
    return _in_chunks(desk, Outcome(undo), by_item, _undoer(desk, by, undo), by)


def undo_one(desk: Desk, entry_id: int, *, by: Moderator) -> Outcome:
    """Undo the decision of one history line. Raises `UnknownDecision`, or `NotAllowed` if it is no decision."""
    entry = desk.store.history.entry(entry_id)
    if entry is None:
        raise UnknownDecision
    if entry.act not in UNDOABLE:
        raise NotAllowed("Only what a moderator decided can be undone.", legal=sorted(UNDOABLE))
    batch = secrets.token_urlsafe(12)
    return _in_chunks(desk, Outcome(batch), [(entry.item, entry.id)], _undoer(desk, by, batch), by)


def _undoer(desk: Desk, by: Moderator, batch: str) -> Step:
    def step(chunk: Sequence[tuple[int, int]], position: int | None) -> Bulk:
        now = desk.clock.now()
        tasks = tasks_for_decision(desk, now)
        return desk.store.decisions.undo(dict(chunk), by=by.name, batch=batch, now=now, tasks=tasks, position=position)

    return step


def _in_chunks(desk: Desk, outcome: Outcome, items: Sequence[tuple[int, int]], step: Step, by: Moderator) -> Outcome:
    """Run *step* for chunks of the sorted *items*, and send the signals of each once it is committed.

    Where the database fails after the first chunk, the remaining items are reported as left.
    """
    for start in range(0, len(items), CHUNK):
        try:
            bulk = step(items[start : start + CHUNK], None)
        except ServiceDown:
            if not (outcome.done or outcome.left):
                raise
            outcome.left.extend(Left(number, ServiceDown.code) for number, _ in items[start:])
            break
        outcome.done.extend(bulk.done)
        outcome.left.extend(bulk.left)
        _announce(desk, bulk, by)
    return outcome


def _announce(desk: Desk, bulk: Bulk, by: Moderator) -> None:
    for decided in bulk.done:
        signals.announce(desk.app, decided.item, before=decided.before, by=by.name)


# --- batches that a worker decides on -----------------------------------------------------------------


def is_batch(batch: str) -> bool:
    """Return False for what no batch is called, and what some databases cannot look for."""
    return 0 < len(batch) <= 64 and "\0" not in batch


def progress_of(desk: Desk, batch: str) -> BatchProgress:
    """Return how far a large batch has come. Raises `UnknownDecision`."""
    progress = desk.store.batches.get(batch) if is_batch(batch) else None
    if progress is None:
        raise UnknownDecision
    return progress


def _begin(
    desk: Desk, batch: str, items: Sequence[tuple[int, int]], by: Moderator, about: Mapping[str, Any]
) -> BatchProgress:
    """Store a task that decides on *items*, or undoes lines of the history, as *about* says."""
    now = desk.clock.now()
    task = NewTask(kind=f"{KIND}:{batch}", due_at=now, payload={**about, "by": by.name, "items": items})
    return desk.store.batches.begin(batch, act=about["act"], by=by.name, total=len(items), task=task, now=now)


def work_on(desk: Desk, task: Task) -> None:
    """Decide on the next items of a batch for `SPELL` seconds, and have the task go on where more are left."""
    batch, about = task.kind.partition(":")[2], cast("dict[str, Any]", task.payload)
    by, items = Moderator(about["by"]), [(item, seen) for item, seen in about["items"]]
    over, progress = desk.clock.monotonic() + SPELL, desk.store.batches.get(batch)
    start = progress.position if progress is not None and progress.is_open else len(items)
    try:
        step = _step_of(desk, batch, by, about)
        while start < len(items):
            bulk = step(items[start : start + CHUNK], start)
            start += CHUNK
            _announce(desk, bulk, by)
            if start < len(items) and desk.clock.monotonic() >= over:
                desk.store.tasks.go_on(task)
                return
    except Halted:
        log.info("Batch %s is stopped, or another worker goes on with it.", batch)
    except ServiceDown as error:
        if error.service != "database":
            raise
        later = desk.clock.now() + timedelta(seconds=AGAIN)
        desk.store.tasks.retry(task, later, str(error), is_attempt=False)
        return
    desk.store.tasks.finish(task)


def _step_of(desk: Desk, batch: str, by: Moderator, about: Mapping[str, Any]) -> Step:
    if about["act"] == UNDO:
        return _undoer(desk, by, batch)
    decision, change = Decision(about["act"]), ChangedText(about["change"])
    return _decider(desk, DecisionRequest(decision=decision, items={}, by=by, note=about["note"], change=change), batch)


def fail(desk: Desk, task: Task, reason: str) -> None:
    """Record that the task of a batch was given up. It goes on where an operator replays the task."""
    desk.store.batches.stop(task.kind.partition(":")[2], desk.clock.now(), "failed", reason)


def look_up(desk: Desk, item_id: int) -> Item:
    """Return an item as moderators see it. Raises `UnknownItem`."""
    item = desk.store.items.get(item_id)
    if item is None:
        raise UnknownItem
    return item
