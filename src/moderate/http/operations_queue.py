"""What the queue page sends and asks, address by address; programs have the JSON of the same."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from moderate.http.operation import (
    CSV,
    CURSOR,
    FORM,
    HTML,
    ITEM,
    PROBLEM,
    WORDS,
    Body,
    Json,
    Operation,
    Reply,
    query,
    whole,
)
from moderate.http.routing import MAX_ID
from moderate.http.schemas_moderation import QueueDecisionIn
from moderate.model import Awaiting, Kind, Status
from moderate.moderation.bulk import MOST


def blank_or(values: type[Status] | type[Kind] | type[Awaiting]) -> Json:
    """One of the values; a blank one, as an HTML form sends it, is none."""
    return {"enum": ["", *(entry.value for entry in values)]}


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


class FormIn(BaseModel):
    """`filter_…` keep the moderator's place; `csrf_token` goes with a login."""

    csrf_token: str | None = None


class SelectedIn(FormIn):
    """The items whose boxes are checked, each as ``ID:VERSION``."""

    decision: Literal["approve", "keep", "hold", "spam", "trash"]
    item: list[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}:[1-9][0-9]{0,8}$")]] = []


class AllIn(FormIn):
    """All that the `filter_…` fields match, if these are as many as were shown."""

    decision: Literal["approve", "keep", "hold", "spam", "trash"]
    expect: Annotated[int, Field(ge=0, le=MOST)]
    seen: Annotated[str, Field(max_length=64)] = ""


class UndoFormIn(FormIn):
    batch: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class Totals(BaseModel):
    pending: int
    approved: int
    spam: int
    trash: int
    changed: int


class NewsOut(BaseModel):
    """How many items of the filter are newer than the one that the page began with, up to a hundred."""

    new: int
    totals: Totals


BACK = Reply(303, "Back to the queue, with what was done.", types=(HTML,), headers=("Location",))
PAGES = (HTML, PROBLEM)


def form(path: str, endpoint: str, about: str, model: type[BaseModel], *problems: str) -> Operation:
    return Operation(
        method="POST",
        path=path,
        endpoint=endpoint,
        about=about,
        parameters=(ITEM,) if "{item_id}" in path else (),
        bodies=(Body(FORM, model),),
        replies=(BACK,),
        problems=("invalid", "too-large", *problems),
        problem_types=PAGES,
        is_for_moderators=True,
    )


QUEUE = (
    form(
        "/moderation/queue/{item_id}",
        "queue_decide",
        "A decision by a card's button",
        QueueDecisionIn,
        "unknown-item",
    ),
    form("/moderation/queue/selected", "queue_selected", "One decision on what is selected", SelectedIn),
    form(
        "/moderation/queue/all",
        "queue_all",
        "One decision on all that matches",
        AllIn,
        "unexpected-number",
        "not-allowed",
    ),
    form("/moderation/queue/undo", "queue_undo", "Take a batch back", UndoFormIn, "unknown-decision", "not-allowed"),
    Operation(
        method="GET",
        path="/moderation/queue/like",
        endpoint="queue_like",
        about="Before one decision on all that matches: how many, and the first of them",
        parameters=FILTER,
        replies=(Reply(200, "The page.", types=(HTML,)),),
        problems=("invalid",),
        problem_types=PAGES,
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/items.csv",
        endpoint="moderation_items_csv",
        about="All items that match as a file for spreadsheets, newest first",
        parameters=(*FILTER, CURSOR, query("limit", whole(MAX_ID), "At most so many; all of them without it.")),
        replies=(Reply(200, "The file.", types=(CSV,), headers=("Content-Disposition",)),),
        problems=("invalid",),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/queue/cards",
        endpoint="queue_cards",
        about="The cards of some items as they stand now, as HTML for the queue page",
        parameters=(*FILTER, query("item", whole(MAX_ID), "The number of an item; may stand up to fifty times.")),
        replies=(Reply(200, "The cards.", types=(HTML,)),),
        problems=("invalid",),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/queue/news",
        endpoint="queue_news",
        about="What came in since",
        parameters=(*FILTER, query("after", whole(MAX_ID), "The newest item that is known.")),
        replies=(Reply(200, "The numbers.", NewsOut),),
        problems=("invalid",),
        is_for_moderators=True,
    ),
)
