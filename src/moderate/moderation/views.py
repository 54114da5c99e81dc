"""The moderators' JSON: items, decisions on one, and the history."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

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
    query,
    whole,
)
from moderate.http.state import current_request, current_state
from moderate.i18n import Message
from moderate.model import FILTER_NAMES, MAX_ID, Awaiting, ChangedText, Decision, ItemFilter, Kind, Status, whole_number
from moderate.moderation.access import moderator, signed_in
from moderate.moderation.decide import (
    DecisionRequest,
    decide_one,
    look_up,
)
from moderate.protocols.comment import field_errors
from moderate.reading.views import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Counts, Item, Page

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
    query("decided", {"enum": ["", "0", "1"]}, "1: a person has decided on them; 0: only checks have."),
    query("q", WORDS, "Words, beginnings of words, or symbols of the text and what stands around it."),
)
#: The orders of a list of items.
SORTS = (NEWEST, BY_SCORE) = ("newest", "score")
SORT = query(
    "sort",
    {"enum": list(SORTS), "default": NEWEST},
    "`score`: the most suspicious first; with more of a filter than the status, of the newest 10,000 that match.",
)
LIMIT = query("limit", whole(200, 50), "Entries on a page.")

#: Unknown members are refused, and no value is converted.
STRICT = ConfigDict(extra="forbid", strict=True, defer_build=True)

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


class TotalsOut(Answer):
    pending: Count
    approved: Count
    spam: Count
    trash: Count


class ItemsOut(Answer):
    items: list[ModeratorItem]
    next: Id | None
    totals: TotalsOut


class HistoryOutLine(HistoryLine):
    item: Id


class HistoryOut(Answer):
    history: list[HistoryOutLine]
    next: Id | None


@Operation(
    "GET",
    "/moderation/items",
    "moderation_items",
    "Items, newest or most suspicious first, with the totals of the site",
    parameters=(*FILTER, SORT, CURSOR, LIMIT),
    replies=(Reply(200, "A page of items.", ItemsOut),),
    is_for_moderators=True,
)
def items() -> ResponseReturnValue:
    state, _ = signed_in()
    page = sorted_page(state, item_filter(), number("cursor", None, MAX_ID), number("limit", 50, 200) or 50)
    texts = ",".join([as_text(state, item) for item in page.items])
    rest = dumps({"next": page.next, "totals": totals(state.desk.store.counters.totals())})
    return unstored(f'{{"items":[{texts}],{rest[1:]}\n')


def sorted_page(state: State, which: ItemFilter, cursor: int | None, limit: int) -> Page:
    """Return a page of items in the order that the query string asks for. Raises `Invalid`."""
    queue = state.desk.store.queue
    if order_asked() == BY_SCORE:
        return queue.by_score(which, cursor=cursor, limit=limit)
    return queue.page(which, cursor=cursor, limit=limit)


def order_asked() -> str:
    """Return the order that the query string asks for, one of `SORTS`. Raises `Invalid`."""
    asked = request.args.get("sort") or NEWEST
    if asked not in SORTS:
        raise Invalid.field("sort", Message("One of {values}.", values=list(SORTS)))
    return asked


#: In the form of Flask's own.
dumps = partial(json.dumps, separators=(",", ":"), sort_keys=True)


def as_text(state: State, item: Item) -> str:
    """Return an item as moderators get it, as JSON."""
    made = state.item_texts.get(item.id, item)
    if made is not None:
        return made
    text = dumps(moderator_item(item))
    return state.item_texts.put(item.id, item, text, 4000 + 2 * len(text))


def item_filter(prefix: str = "") -> ItemFilter:
    """Return the filter of the query string, or of a form's fields where *prefix* is given.

    Raises `Invalid` for values that no item can have.
    """
    sent = request.form if prefix else request.args
    given = {name: sent.get(prefix + name, "") for name in FILTER_NAMES}
    return ItemFilter(
        status=choice("status", Status, given),
        kind=choice("kind", Kind, given),
        awaiting=choice("awaiting", Awaiting, given),
        **{name: words(name, given) for name in ("article", "author", "ip", "host", "q")},
        like=item_id(words("like", given)),
        decided=yes_or_no("decided", given),
    )


def yes_or_no(name: str, given: Mapping[str, str]) -> int | None:
    """Return 1 or 0 of a query, None for a blank. Raises `Invalid` for anything else."""
    if given[name] not in {"", "0", "1"}:
        raise Invalid.field(name, Message("One of {values}.", values=["0", "1"]))
    return int(given[name]) if given[name] else None


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


def totals(site: Counts) -> dict[str, int]:
    """Return the number of items by status."""
    return {"pending": site.pending, "approved": site.approved, "spam": site.spam, "trash": site.trash}


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
    return unstored(f"{as_text(state, decide_one(state.desk, request))}\n")


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
    incoming = current_request()
    if incoming.mimetype != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    try:
        return model.model_validate_json(incoming.get_data())
    except ValidationError as error:
        raise Invalid(field_errors(error)) from error
