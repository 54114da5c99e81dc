"""The forms of the queue page: decisions on one, some or all matching items, and their undo.

Each redirects to the queue with the filters that the moderator had, a notice of what was done, and an Undo button.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from flask import redirect, request, url_for
from pydantic import Field

from moderate.errors import Invalid, UnexpectedNumber, UnknownItem
from moderate.http.answers import status_of
from moderate.http.operation import FORM, HTML, HTML_PAGE, Operation, Reply
from moderate.i18n import Message
from moderate.model import MAX_ID, Status, whole_number
from moderate.moderation.access import CsrfIn, answers_pages, moderator, page, signed_in
from moderate.moderation.decide import (
    AT_ONCE,
    MOST,
    DecisionRequest,
    Matching,
    Outcome,
    decide_items,
    undo_batch,
    versions_digest,
)
from moderate.moderation.labels import BUTTONS, KEEP, Button, ButtonName, offered, sign_notice
from moderate.moderation.queue import FILTERS, default_filter, frame
from moderate.moderation.views import FILTER, item_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import ItemFilter
    from moderate.store.batches import BatchProgress

#: The number of matching items that the preview shows, and that it lists behind a button.
SHOWN, LISTED = 5, 100

OTHERS_MATCH = Message("Meanwhile other items match. Look again before you decide; nothing was changed.")

BACK = Reply(303, "Back to the queue, with what was done.", types=(HTML,), headers=("Location",))

#: Declares the view of a form: its address, endpoint, summary, body and extra problems.
form = partial(Operation, "POST", replies=(BACK,), has_problem_pages=True, is_for_moderators=True)


class FormIn(CsrfIn, extra="ignore"):
    """`filter_…` fields keep the moderator's place; `csrf_token` goes with a login."""


class QueueDecisionIn(FormIn):
    """`filter_…` fields keep the moderator's place; `keep` drops a changed text."""

    decision: ButtonName
    version: Annotated[int, Field(ge=0, le=MAX_ID)]


class SelectedIn(FormIn):
    """The items whose boxes are checked, each as ``ID:VERSION``."""

    decision: ButtonName
    item: list[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}:[1-9][0-9]{0,8}$")]] = []  # noqa: RUF012 - pydantic copies it


class AllIn(FormIn):
    """All that the `filter_…` fields match, if these are as many as were shown."""

    decision: ButtonName
    expect: Annotated[int, Field(ge=0, le=MOST)]
    seen: Annotated[str, Field(max_length=64)] = ""


class UndoFormIn(FormIn):
    batch: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


@form("/moderation/queue/<int:item_id>", "queue_decide", "A decision by a card's button", body={FORM: QueueDecisionIn})
@answers_pages()
def decide(item_id: int) -> ResponseReturnValue:
    state, _ = signed_in()
    version = whole(request.form.get("version", ""), "version")
    button, outcome = decided(state, {item_id: version})
    if isinstance(outcome, Outcome) and any(left.code == UnknownItem.code for left in outcome.left):
        raise UnknownItem
    return back(state, outcome, button)


@form("/moderation/queue/selected", "queue_selected", "One decision on what is selected", body={FORM: SelectedIn})
@answers_pages()
def decide_selected() -> ResponseReturnValue:
    state, _ = signed_in()
    chosen = (value.partition(":") for value in request.form.getlist("item")[:AT_ONCE])
    versions = {whole(number, "item"): whole(version, "item") for number, _, version in chosen}
    button, outcome = decided(state, versions)
    return back(state, outcome, button)


def decided(state: State, versions: Mapping[int, int]) -> tuple[Button, Outcome | BatchProgress | None]:
    """Make the decision of the pressed button on items, given as {id: version}; return both, None for no items."""
    button = pressed()
    if button is KEEP:
        versions = with_public_text(state, versions)
    return button, decide_items(state.desk, requested(state, button, versions)) if versions else None


def requested(state: State, button: Button, items: Mapping[int, int] | Matching) -> DecisionRequest:
    return DecisionRequest(decision=button.decision, items=items, by=moderator(state), change=button.change)


def with_public_text(state: State, versions: Mapping[int, int]) -> Mapping[int, int]:
    """Leave out items without a public text to keep: "keep" must not approve them.

    Deleted items and those that changed since the version stay, so that the decision reports them.
    """
    found = state.desk.store.queue.these(list(versions))
    return {
        number: version
        for number, version in versions.items()
        if number not in found or found[number].is_public or found[number].version != version
    }


@form(
    "/moderation/queue/all",
    "queue_all",
    "One decision on all that matches",
    body={FORM: AllIn},
    problems=("unexpected-number", "not-allowed"),
)
@answers_pages()
def decide_all() -> ResponseReturnValue:
    state, _ = signed_in()
    button, which = pressed(), item_filter("filter_")
    expect = whole(request.form.get("expect", ""), "expect")
    which = replace(which, status=Status.APPROVED) if button is KEEP else which
    matching = Matching(which, expect, request.form.get("seen") or None)
    try:
        outcome = decide_items(state.desk, requested(state, button, matching))
    except UnexpectedNumber as error:
        return preview(state, which, error)
    return back(state, outcome, button)


@form(
    "/moderation/queue/undo",
    "queue_undo",
    "Take a batch back",
    body={FORM: UndoFormIn},
    problems=("unknown-decision", "not-allowed"),
)
@answers_pages()
def undo() -> ResponseReturnValue:
    state, who = signed_in()
    return back(state, undo_batch(state.desk, request.form.get("batch", ""), by=who), None)


@Operation(
    "GET",
    "/moderation/queue/like",
    "queue_like",
    "Before one decision on all that matches: how many, and the first of them",
    parameters=FILTER,
    replies=(HTML_PAGE,),
    has_problem_pages=True,
    is_for_moderators=True,
)
@answers_pages()
def like() -> ResponseReturnValue:
    state, _ = signed_in()
    return preview(state, default_filter())


def preview(state: State, which: ItemFilter, error: UnexpectedNumber | None = None) -> ResponseReturnValue:
    versions = state.desk.store.queue.versions(which, MOST + 1)
    listed = list(versions)[:LISTED]
    found = state.desk.store.queue.these(listed)
    items = [found[number] for number in listed if number in found]
    return page(
        "like",
        status_of(error) if error else 200,
        items=items,
        shown=SHOWN,
        offered=offered(which, items),
        matching=len(versions),
        seen=versions_digest(versions),
        most=MOST,
        message=OTHERS_MATCH if error else "",
        who=moderator(state),
        **frame(state, which),
    )


def pressed() -> Button:
    """Return the button that was pressed. Raises `Invalid`."""
    button = BUTTONS.get(request.form.get("decision", ""))
    if button is None:
        raise Invalid.field("decision", Message("One of {values}.", values=", ".join(BUTTONS)))
    return button


def whole(value: str, name: str) -> int:
    found = whole_number(value, least=0)
    if found is None:
        raise Invalid.field(name, "A whole number.")
    return found


def back(state: State, outcome: Outcome | BatchProgress | None, button: Button | None) -> ResponseReturnValue:
    """Redirect to the queue with a notice of what was done."""
    return to_queue(sign_notice(state, moderator(state), outcome, button.name if button else None))


def to_queue(notice: str) -> ResponseReturnValue:
    """Redirect to the queue with a signed notice, and the moderator's tab, filters and cursor."""
    place = {name: value for name in FILTERS if (value := request.form.get(f"filter_{name}")) is not None}
    return redirect(f"{url_for('moderate.queue')}?{urlencode(place | {'notice': notice})}", 303)
