"""The moderators' JSON for many items: decisions by list and by filter, undo, and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from moderate.errors import Invalid
from moderate.http.answers import unstored
from moderate.http.item_json import HistoryLine, history_json
from moderate.http.operation import CURSOR, WORDS, Answer, Id, Operation, Reply, query, whole
from moderate.http.state import current_state
from moderate.model import MAX_ID, Awaiting, Decision, ItemFilter, Kind, Proposal, Status
from moderate.moderation import bulk
from moderate.moderation.access import moderator
from moderate.moderation.views import LIMIT, json_body, words
from moderate.reading.views import number

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.model import Left
    from moderate.moderation.bulk import Outcome

#: Items in one list of decisions.
MOST_LISTED = 500

IdIn = Annotated[int, Field(ge=1, le=MAX_ID)]
#: NUL is the one character that not every database can store.
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00]*$")]
Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]


#: What moderators send: nothing unknown, nothing converted.
STRICT = ConfigDict(extra="forbid", strict=True)


class Seen(BaseModel):
    """An item as the moderator saw it."""

    model_config = STRICT

    id: IdIn
    version: IdIn


class FilterIn(BaseModel):
    """The names of the query of ``GET /moderation/items``; a blank text is none."""

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

    def to_filter(self) -> ItemFilter:
        return ItemFilter(**{name: value or None for name, value in self})


class DecisionsIn(BaseModel):
    """One decision on listed items, or on all that a filter matches if these are as many as expected."""

    model_config = STRICT

    decision: Decision
    items: Annotated[list[Seen], Field(min_length=1, max_length=MOST_LISTED)] | None = None
    filter: FilterIn | None = None
    expect: Annotated[int, Field(ge=0, le=bulk.MOST)] | None = None
    #: What tells the items that the filter matched from any others, as 409 `unexpected-number` has told it.
    seen: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    #: What becomes of changed texts that wait behind approved ones.
    change: Proposal = Proposal.ACCEPT
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
    """What to take back: a batch, or one line of the history."""

    model_config = STRICT

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
    """An item that was left as it is; `code` is that of the refusal which the same would have met alone."""

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


class HistoryOutLine(HistoryLine):
    item: Id


class HistoryOut(Answer):
    history: list[HistoryOutLine]
    next: Id | None


@Operation(
    "POST",
    "/moderation/decisions",
    "moderation_decisions",
    "One decision on listed items, or with `expect` on all that a filter matches",
    body=DecisionsIn,
    replies=(Reply(200, "What was decided and what was left.", DecisionsOut),),
    problems=("unexpected-number", "not-allowed"),
    is_for_moderators=True,
)
def decisions() -> ResponseReturnValue:
    """``POST /moderation/decisions``."""
    state = current_state()
    who = moderator(state)
    wanted = json_body(DecisionsIn)
    if wanted.items is not None:
        versions = {seen.id: seen.version for seen in wanted.items}
        outcome = bulk.decide_many(
            state.desk, wanted.decision, versions, by=who, note=wanted.note, proposal=wanted.change
        )
    else:
        which = (wanted.filter or FilterIn()).to_filter()
        outcome = bulk.decide_by_filter(
            state.desk,
            wanted.decision,
            which,
            wanted.expect or 0,
            by=who,
            note=wanted.note,
            proposal=wanted.change,
            seen=wanted.seen,
        )
    return unstored({"batch": outcome.batch, "decided": done_json(outcome), "conflicts": left_json(outcome)})


@Operation(
    "POST",
    "/moderation/undo",
    "moderation_undo",
    "Take back a batch or one line of the history, but for what was decided again since",
    body=UndoIn,
    replies=(Reply(200, "What was put back and what was left.", UndoOut),),
    problems=("unknown-decision", "not-allowed"),
    is_for_moderators=True,
)
def undo() -> ResponseReturnValue:
    """``POST /moderation/undo``: puts back what has not been decided again since, and tells what it left."""
    state = current_state()
    who = moderator(state)
    wanted = json_body(UndoIn)
    if wanted.batch is not None:
        outcome = bulk.undo_batch(state.desk, wanted.batch, by=who)
    else:
        outcome = bulk.undo_one(state.desk, wanted.history or 0, by=who)
    return unstored({"batch": outcome.batch, "undone": done_json(outcome), "conflicts": left_json(outcome)})


def done_json(outcome: Outcome) -> list[dict[str, object]]:
    return [
        {"id": done.item.id, "status": done.item.status.value, "version": done.item.version, "changed": done.changed}
        for done in outcome.done
    ]


def left_json(outcome: Outcome) -> list[dict[str, object]]:
    return [conflict_json(left) for left in outcome.left]


def conflict_json(left: Left) -> dict[str, object]:
    """What was left, with the code that it would have met alone."""
    body: dict[str, object] = {"id": left.id, "code": left.code}
    if left.now is not None:
        body |= {"by": left.by, "decision": left.now.status.value, "version": left.now.version}
    return body


@Operation(
    "GET",
    "/moderation/history",
    "moderation_history",
    "The log, newest first",
    parameters=(
        query("moderator", WORDS, "Who decided."),
        query("item", whole(MAX_ID), "The number of an item."),
        query("batch", {**WORDS, "maxLength": 64}, "The id of a bulk decision or an undo."),
        CURSOR,
        LIMIT,
    ),
    replies=(Reply(200, "A page of the log.", HistoryOut),),
    is_for_moderators=True,
)
def history() -> ResponseReturnValue:
    """``GET /moderation/history``: the log, newest first."""
    state = current_state()
    moderator(state)
    batch = words("batch")
    if batch is not None and len(batch) > 64:
        raise Invalid.field("batch", "At most 64 characters.")
    page = state.desk.store.history.page(
        moderator=words("moderator"),
        item=number("item", None, MAX_ID),
        batch=batch,
        cursor=number("cursor", None, MAX_ID),
        limit=number("limit", 50, 200) or 50,
    )
    entries = [{**history_json(entry), "item": entry.item} for entry in page.entries]
    return unstored({"history": entries, "next": page.next})
