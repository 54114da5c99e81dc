"""The moderators' JSON: items, one item, decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moderate.errors import Invalid, UnsupportedMediaType
from moderate.http.answers import unstored
from moderate.http.item_json import ModeratorItem, ModeratorItemWhole, moderator_item, related_json
from moderate.http.operation import CURSOR, NOTHING, WORDS, Answer, Count, Id, Json, Operation, Reply, query, whole
from moderate.http.state import current_state
from moderate.model import MAX_ID, Awaiting, Decision, ItemFilter, Kind, Proposal, Status
from moderate.moderation import decide as moderation
from moderate.moderation.access import moderator
from moderate.protocols.comment import field_errors
from moderate.reading.views import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State

M = TypeVar("M", bound=BaseModel)
E = TypeVar("E", bound="StrEnum")


#: How many other items of the same author are shown beside one.
OTHERS = 10


def blank_or(values: type[Status] | type[Kind] | type[Awaiting]) -> Json:
    """Return the schema of one of *values*; a blank one, as an HTML form sends it, is none."""
    return {"enum": ["", *(entry.value for entry in values)]}


#: The parameters of `item_filter`.
FILTER = (
    query("status", blank_or(Status), "Where the items stand."),
    query("kind", blank_or(Kind), "By which way they came in."),
    query("awaiting", blank_or(Awaiting), "Whom they wait for."),
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


class DecisionIn(BaseModel):
    """A decision on one item, made on the version that the moderator saw."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decision: Decision
    version: int = Field(ge=1, le=MAX_ID)
    #: What becomes of a changed text that waits behind an approved one.
    change: Proposal = Proposal.ACCEPT
    #: NUL is the one character that not every database can store.
    note: str | None = Field(default=None, max_length=1000, pattern=r"^[^\x00]*$")


class TotalsOut(Answer):
    pending: Count
    approved: Count
    spam: Count
    trash: Count


class ItemsOut(Answer):
    items: list[ModeratorItem]
    next: Id | None
    totals: TotalsOut


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
    """``GET /moderation/items``: newest first, in pages; without a status, of all of them."""
    state = current_state()
    moderator(state)
    page = state.desk.store.queue.page(
        item_filter(), cursor=number("cursor", None, MAX_ID), limit=number("limit", 50, 200) or 50
    )
    return unstored(
        {"items": [moderator_item(item) for item in page.items], "next": page.next, "totals": totals(state)}
    )


def item_filter(prefix: str = "") -> ItemFilter:
    """The filter of the query string, or of a form's fields where these have a prefix.

    Raises `Invalid` for what no item can have.
    """
    given = request.form if prefix else request.args
    return ItemFilter(
        status=choice("status", Status, given, prefix),
        kind=choice("kind", Kind, given, prefix),
        awaiting=choice("awaiting", Awaiting, given, prefix),
        article=words("article", given, prefix),
        author=words("author", given, prefix),
        ip=words("ip", given, prefix),
        host=words("host", given, prefix),
        like=item_id(words("like", given, prefix)),
        q=words("q", given, prefix),
    )


def words(name: str, given: Mapping[str, str] | None = None, prefix: str = "") -> str | None:
    """A text of the query string, None for a blank one. What no column can hold, no item can match."""
    value = (request.args if given is None else given).get(prefix + name, "").strip()
    if len(value) > 200 or "\0" in value:
        raise Invalid.field(name, "At most 200 characters, and none of them NUL.")
    return value or None


def item_id(value: str | None, name: str = "like") -> int | None:
    """The number of an item, None for None. Raises `Invalid` for *name* where it can be none."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 19 and 1 <= int(value) <= MAX_ID):
        raise Invalid.field(name, "The number of an item.")
    return int(value)


def choice(name: str, enum: type[E], given: Mapping[str, str], prefix: str = "") -> E | None:
    value = given.get(prefix + name)
    if not value:
        return None
    try:
        return enum(value)
    except ValueError as error:
        raise Invalid.field(name, "One of " + ", ".join(entry.value for entry in enum) + ".") from error


def totals(state: State) -> dict[str, int]:
    """How many items of each status the site has; read from counters, not counted."""
    found = state.desk.store.counters.totals()
    return {"pending": found.pending, "approved": found.approved, "spam": found.spam, "trash": found.trash}


@Operation(
    "GET",
    "/moderation/items/<int:item_id>",
    "moderation_item",
    "One item with its findings, its history, and what else came from the same hand",
    replies=(Reply(200, "The item.", ModeratorItemWhole),),
    is_for_moderators=True,
)
def item(item_id: int) -> ResponseReturnValue:
    """``GET /moderation/items/<id>``: with its findings, its history, and what else came from the same hand."""
    state = current_state()
    moderator(state)
    found = moderation.look_up(state.desk, item_id)
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
    """``POST /moderation/items/<id>/decisions``."""
    state = current_state()
    who = moderator(state)
    wanted = json_body(DecisionIn)
    decided = moderation.decide(
        state.desk,
        item_id,
        wanted.decision,
        version=wanted.version,
        by=who,
        note=wanted.note,
        proposal=wanted.change,
    )
    return unstored(moderator_item(decided))


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
    """``DELETE /moderation/items/<id>``: for good, from spam or trash only."""
    state = current_state()
    moderation.delete(state.desk, item_id, moderator(state))
    return Response(status=204)


def json_body(model: type[M]) -> M:
    """The request's JSON as *model*, strictly. Raises `Refused` with every error at once."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        raise Invalid(field_errors(error)) from error
