"""The moderators' JSON: items, decisions on one or many, their undo, and the history."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from moderate.errors import Invalid, UnsupportedMediaType
from moderate.http.answers import unstored
from moderate.http.item_json import (
    HistoryLine,
    ModeratorItem,
    ModeratorItemWhole,
    history_json,
    moderator_item,
    related_json,
)
from moderate.http.operation import (
    CURSOR,
    NOTHING,
    WORDS,
    Answer,
    Count,
    Id,
    Json,
    Operation,
    Reply,
    one_of,
    query,
    whole,
)
from moderate.http.state import current_state
from moderate.i18n import Message
from moderate.model import MAX_ID, Awaiting, ChangedText, Decision, ItemFilter, Kind, Status, whole_number
from moderate.moderation.access import moderator, signed_in
from moderate.moderation.decide import (
    MOST,
    DecisionRequest,
    Matching,
    decide_items,
    decide_one,
    look_up,
    undo_batch,
    undo_one,
)
from moderate.protocols.comment import field_errors
from moderate.reading.views import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.moderation.decide import Outcome

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound="StrEnum")


#: How many other items of the same author are shown beside one.
OTHERS = 10


def blank_or(values: type[Status] | type[Kind] | type[Awaiting]) -> Json:
    """Return the schema of one of *values*, or of a blank, which an HTML form sends for none."""
    return {"enum": ["", *(entry.value for entry in values)]}


#: The parameters of `item_filter`.
FILTER = (
    query("status", blank_or(Status), "The status of the items."),
    query("kind", blank_or(Kind), "The kind of the items."),
    query("awaiting", blank_or(Awaiting), "What they wait for."),
    query("article", WORDS, "The article's key."),
    query("author", WORDS, "Name, e-mail or verified id of the author."),
    query("ip", WORDS, "The address that sent them."),
    query("host", WORDS, "The host of the source, or of the author's website."),
    query(
        "like",
        {"type": "string", "pattern": "^([1-9][0-9]{0,17})?$"},
        "The number of an item: that one, and those with the same or nearly the same text.",
    ),
    query("q", WORDS, "Words, beginnings of words, or symbols of the text and what stands around it."),
)
LIMIT = query("limit", whole(200, 50), "Entries on a page.")

#: Items in one list of decisions.
MOST_LISTED = 500

#: Unknown members are refused, and no value is converted.
STRICT = ConfigDict(extra="forbid", strict=True)

IdIn = Annotated[int, Field(ge=1, le=MAX_ID)]
#: Without NUL, which some databases cannot store.
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00]*$")]
Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]


class DecisionIn(BaseModel):
    """A decision on one item, made on the version that the moderator saw."""

    model_config = STRICT

    decision: Decision
    version: IdIn
    #: What becomes of a changed text that waits behind an approved one.
    change: ChangedText = ChangedText.ACCEPT
    note: Note | None = None


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

    def to_filter(self) -> ItemFilter:
        return ItemFilter(**{name: value or None for name, value in self})


class DecisionsIn(BaseModel):
    """One decision on listed items, or on all that a filter matches if these are as many as expected."""

    model_config = ConfigDict(**STRICT, json_schema_extra=one_of(("items",), ("filter", "expect")))

    decision: Decision
    items: Annotated[list[Seen], Field(min_length=1, max_length=MOST_LISTED)] | None = None
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


class TotalsOut(Answer):
    pending: Count
    approved: Count
    spam: Count
    trash: Count


class ItemsOut(Answer):
    items: list[ModeratorItem]
    next: Id | None
    totals: TotalsOut


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


class HistoryOutLine(HistoryLine):
    item: Id


class HistoryOut(Answer):
    history: list[HistoryOutLine]
    next: Id | None


@Operation(
    "GET",
    "/moderation/items",
    "moderation_items",
    "Items, newest first, with the totals of the site",
    parameters=(*FILTER, CURSOR, LIMIT),
    replies=(Reply(200, "A page of items.", ItemsOut),),
    is_for_moderators=True,
)
def items() -> ResponseReturnValue:
    state, _ = signed_in()
    page = state.desk.store.queue.page(
        item_filter(), cursor=number("cursor", None, MAX_ID), limit=number("limit", 50, 200) or 50
    )
    return unstored(
        {"items": [moderator_item(item) for item in page.items], "next": page.next, "totals": totals(state)}
    )


def item_filter(prefix: str = "") -> ItemFilter:
    """Return the filter of the query string, or of a form's fields where *prefix* is given.

    Raises `Invalid` for values that no item can have.
    """
    sent = request.form if prefix else request.args
    given = {field.name: sent.get(prefix + field.name, "") for field in fields(ItemFilter)}
    return ItemFilter(
        status=choice("status", Status, given),
        kind=choice("kind", Kind, given),
        awaiting=choice("awaiting", Awaiting, given),
        **{name: words(name, given) for name in ("article", "author", "ip", "host", "q")},
        like=item_id(words("like", given)),
    )


def words(name: str, given: Mapping[str, str]) -> str | None:
    """Return a text of a query, None for a blank one. Raises `Invalid` for one that no column can hold."""
    value = given.get(name, "").strip()
    if len(value) > 200 or "\0" in value:
        raise Invalid.field(name, "At most 200 characters, and none of them NUL.")
    return value or None


def item_id(value: str | None, name: str = "like") -> int | None:
    """Return the id of an item, None for None. Raises `Invalid` for the field *name* where it cannot be one."""
    if value is None:
        return None
    found = whole_number(value)
    if found is None:
        raise Invalid.field(name, "The number of an item.")
    return found


def choice(name: str, enum: type[E], given: Mapping[str, str]) -> E | None:
    if not given[name]:
        return None
    try:
        return enum(given[name])
    except ValueError as error:
        raise Invalid.field(name, Message("One of {values}.", values=[entry.value for entry in enum])) from error


def totals(state: State) -> dict[str, int]:
    """Return the number of the site's items by status, from its counters."""
    found = state.desk.store.counters.totals()
    return {"pending": found.pending, "approved": found.approved, "spam": found.spam, "trash": found.trash}


@Operation(
    "GET",
    "/moderation/items/<int:item_id>",
    "moderation_item",
    "One item with its findings, its history, and other items of the same author or address",
    replies=(Reply(200, "The item.", ModeratorItemWhole),),
    is_for_moderators=True,
)
def item(item_id: int) -> ResponseReturnValue:
    state, _ = signed_in()
    found = look_up(state.desk, item_id)
    others = [related_json(found, other) for other in state.desk.store.queue.related(found, OTHERS)]
    return unstored({**moderator_item(found, state.desk.store.history.of_item(item_id)), "others": others})


@Operation(
    "POST",
    "/moderation/items/<int:item_id>/decisions",
    "moderation_decide",
    "Decide on an item, on the version that was seen",
    body=DecisionIn,
    replies=(Reply(200, "The item as it stands now.", ModeratorItem),),
    problems=("decided-meanwhile",),
    is_for_moderators=True,
)
def decide(item_id: int) -> ResponseReturnValue:
    state, who = signed_in()
    sent = json_body(DecisionIn)
    items = {item_id: sent.version}
    request = DecisionRequest(decision=sent.decision, items=items, by=who, note=sent.note, change=sent.change)
    return unstored(moderator_item(decide_one(state.desk, request)))


@Operation(
    "DELETE",
    "/moderation/items/<int:item_id>",
    "moderation_item",
    "Delete an item for good, from spam or trash only",
    replies=(NOTHING,),
    problems=("not-allowed",),
    is_for_moderators=True,
)
def delete(item_id: int) -> ResponseReturnValue:
    state = current_state()
    state.desk.store.items.delete(item_id, moderator(state).name, state.desk.clock.now())
    return Response(status=204)


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
    state, who = signed_in()
    sent = json_body(DecisionsIn)
    items: Mapping[int, int] | Matching
    if sent.filter is None:
        items = {seen.id: seen.version for seen in sent.items or ()}
    else:
        items = Matching(sent.filter.to_filter(), sent.expect or 0, sent.seen)
    request = DecisionRequest(decision=sent.decision, items=items, by=who, note=sent.note, change=sent.change)
    outcome = decide_items(state.desk, request)
    return unstored(DecisionsOut(batch=outcome.batch, decided=done(outcome), conflicts=left(outcome)))


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
    state, who = signed_in()
    sent = json_body(UndoIn)
    if sent.batch is not None:
        outcome = undo_batch(state.desk, sent.batch, by=who)
    else:
        outcome = undo_one(state.desk, sent.history or 0, by=who)
    return unstored(UndoOut(batch=outcome.batch, undone=done(outcome), conflicts=left(outcome)))


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
    state, _ = signed_in()
    batch = words("batch", request.args)
    if batch is not None and len(batch) > 64:
        raise Invalid.field("batch", "At most 64 characters.")
    page = state.desk.store.history.page(
        moderator=words("moderator", request.args),
        item=number("item", None, MAX_ID),
        batch=batch,
        cursor=number("cursor", None, MAX_ID),
        limit=number("limit", 50, 200) or 50,
    )
    entries = [{**history_json(entry), "item": entry.item} for entry in page.entries]
    return unstored({"history": entries, "next": page.next})


def json_body(model: type[M]) -> M:
    """Return the request's JSON as *model*. Raises `Refused` with all errors at once."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        raise Invalid(field_errors(error)) from error
