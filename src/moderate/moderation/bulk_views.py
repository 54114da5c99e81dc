"""The moderators' JSON for decisions on many items: by list, by filter, their undo, and the progress of large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from flask import url_for
from pydantic import BaseModel, ConfigDict, Field, model_validator

from moderate.http.answers import unstored
from moderate.http.operation import Answer, Count, Id, Moment, Operation, Reply, one_of
from moderate.model import Awaiting, ChangedText, Decision, ItemFilter, Kind, Status
from moderate.moderation.access import signed_in
from moderate.moderation.decide import (
    AT_ONCE,
    MOST,
    DecisionRequest,
    Matching,
    Outcome,
    decide_items,
    progress_of,
    undo_batch,
    undo_one,
)
from moderate.moderation.views import STRICT, IdIn, Note, Words, json_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask.typing import ResponseReturnValue

    from moderate.store.batches import BatchProgress


class Seen(BaseModel):
    """An item as the moderator saw it."""

    model_config = STRICT

    id: IdIn
    version: IdIn


class FilterIn(BaseModel):
    """A filter with the names of the query of ``GET /moderation/items``; a blank text counts as none."""

    model_config = STRICT

    status: Status | None = None
    kind: Kind | None = None
    article: Words | None = None
    author: Words | None = None
    ip: Words | None = None
    host: Words | None = None
    like: IdIn | None = None
    q: Words | None = None
    awaiting: Awaiting | None = None
    decided: Literal[0, 1] | None = None

    def to_filter(self) -> ItemFilter:
        return ItemFilter(**{name: None if value == "" else value for name, value in self})


class DecisionsIn(BaseModel):
    """One decision on listed items, or on all that a filter matches if these are as many as expected."""

    model_config = ConfigDict(**STRICT, json_schema_extra=one_of(("items",), ("filter", "expect")))

    decision: Decision
    items: Annotated[list[Seen], Field(min_length=1, max_length=AT_ONCE)] | None = None
    filter: FilterIn | None = None
    expect: Annotated[int, Field(ge=0, le=MOST)] | None = None
    #: The digest of the items that the filter matched, as 409 `unexpected-number` returned it.
    seen: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    #: What becomes of changed texts that wait behind approved ones.
    change: ChangedText = ChangedText.ACCEPT
    note: Note | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.items is None) is (self.filter is None):
            raise ValueError("give either items or a filter")
        if (self.filter is None) is not (self.expect is None):
            raise ValueError("a filter goes with expect, the number of items that it matches")
        if self.filter is None and self.seen is not None:
            raise ValueError("seen goes with a filter")
        if self.items and len({seen.id for seen in self.items}) != len(self.items):
            raise ValueError("name each item once")
        return self


class UndoIn(BaseModel):
    """The decisions to undo: a batch, or one line of the history."""

    model_config = ConfigDict(**STRICT, json_schema_extra=one_of(("batch",), ("history",)))

    batch: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")] | None = None
    history: IdIn | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.batch is None) is (self.history is None):
            raise ValueError("give either batch or history")
        return self


class DecidedOut(Answer):
    id: Id
    status: Status
    version: Id
    changed: bool


class ConflictOut(Answer):
    """An item that was left as it is; `code` is that of the error for a decision on it alone."""

    id: Id
    code: str
    by: str | None = None
    decision: Status | None = None
    version: Id | None = None


class DecisionsOut(Answer):
    batch: str | None
    decided: list[DecidedOut]
    conflicts: list[ConflictOut]


class UndoOut(Answer):
    batch: str | None
    undone: list[DecidedOut]
    conflicts: list[ConflictOut]


class BatchLinks(Answer):
    """Addresses: of this answer, of the batch's lines in the log, and the one that takes `{"batch": …}` back."""

    status: str
    history: str
    undo: str


class BatchOut(Answer):
    """A decision on many items, or its undo, that a worker makes some at a time.

    It is `stopped` by an undo, and `failed` where it was given up; then `reason` says why. `decided` includes items
    that stood there already; `conflicts` were decided otherwise meanwhile, or are gone, and were left.
    """

    batch: str
    act: Decision | Literal["undo"]
    by: str
    state: Literal["running", "done", "stopped", "failed"]
    total: Count
    decided: Count
    conflicts: Count
    reason: str | None
    updated_at: Moment
    links: BatchLinks


#: The second reply of decisions and undos on more than `AT_ONCE` items.
BEGUN = Reply(202, "A worker makes the decisions, some at a time.", BatchOut, headers=("Location",))


@Operation(
    "POST",
    "/moderation/decisions",
    "moderation_decisions",
    "One decision on listed items, or with `expect` on all that a filter matches",
    body=DecisionsIn,
    replies=(Reply(200, "What was decided and what was left.", DecisionsOut), BEGUN),
    problems=("unexpected-number", "not-allowed"),
    is_for_moderators=True,
)
def decisions() -> ResponseReturnValue:
    state, who = signed_in()
    sent = json_body(DecisionsIn)
    items: Mapping[int, int] | Matching
    if sent.filter is None:
        items = {seen.id: seen.version for seen in sent.items or ()}
    else:
        items = Matching(sent.filter.to_filter(), sent.expect or 0, sent.seen)
    request = DecisionRequest(decision=sent.decision, items=items, by=who, note=sent.note, change=sent.change)
    outcome = decide_items(state.desk, request)
    if not isinstance(outcome, Outcome):
        return begun(outcome)
    return unstored(DecisionsOut(batch=outcome.batch, decided=done(outcome), conflicts=left(outcome)))


@Operation(
    "POST",
    "/moderation/undo",
    "moderation_undo",
    "Take back a batch or one line of the history, but for what was decided again since",
    body=UndoIn,
    replies=(Reply(200, "What was put back and what was left.", UndoOut), BEGUN),
    problems=("unknown-decision", "not-allowed"),
    is_for_moderators=True,
)
def undo() -> ResponseReturnValue:
    state, who = signed_in()
    sent = json_body(UndoIn)
    if sent.batch is None:
        outcome: Outcome | BatchProgress = undo_one(state.desk, sent.history or 0, by=who)
    else:
        outcome = undo_batch(state.desk, sent.batch, by=who)
    if not isinstance(outcome, Outcome):
        return begun(outcome)
    return unstored(UndoOut(batch=outcome.batch, undone=done(outcome), conflicts=left(outcome)))


@Operation(
    "GET",
    "/moderation/batches/<batch>",
    "moderation_batch",
    "How far a decision on many items has come, or its undo",
    replies=(Reply(200, "The progress.", BatchOut),),
    is_for_moderators=True,
)
def progress(batch: str) -> ResponseReturnValue:
    state, _ = signed_in()
    return unstored(batch_json(progress_of(state.desk, batch)))


def begun(progress: BatchProgress) -> ResponseReturnValue:
    answer = unstored(batch_json(progress), 202)
    answer.headers["Location"] = batch_url(progress.batch)
    return answer


def batch_url(batch: str) -> str:
    return url_for("moderate.moderation_batch", batch=batch)


def batch_json(progress: BatchProgress) -> BatchOut:
    links = BatchLinks(
        status=batch_url(progress.batch),
        history=url_for("moderate.moderation_history", batch=progress.batch),
        undo=url_for("moderate.moderation_undo"),
    )
    values = {name: value for name, value in progress._asdict().items() if name != "at"}
    return BatchOut(**values, updated_at=progress.at, links=links)


def done(outcome: Outcome) -> list[DecidedOut]:
    return [
        DecidedOut(id=done.item.id, status=done.item.status, version=done.item.version, changed=done.changed)
        for done in outcome.done
    ]


def left(outcome: Outcome) -> list[ConflictOut]:
    """Return the items that were left, each with the code of the error for a decision on it alone."""
    return [
        ConflictOut(id=left.id, code=left.code)
        if left.now is None
        else ConflictOut(id=left.id, code=left.code, by=left.by, decision=left.now.status, version=left.now.version)
        for left in outcome.left
    ]
