"""What the forms of the queue page send: decisions on one, some or all matching items, and their undo.

Each ends on the queue, as the moderator had it, with a word about what was done and a button that takes it back.
"""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from flask import redirect, request, url_for
from pydantic import BaseModel, Field

from moderate.errors import Invalid, Refused, ServiceDown, Unauthorized, UnexpectedNumber, UnknownDecision
from moderate.http.errors import public_text, report, status_of
from moderate.http.operation import FORM, HTML, HTML_PAGE, Operation, Reply
from moderate.http.state import current_state
from moderate.http.words import say
from moderate.model import MAX_ID, Lean, Status
from moderate.moderation import bulk
from moderate.moderation import decide as moderation
from moderate.moderation.access import CsrfIn, moderator
from moderate.moderation.buttons import KEEP, Button, button
from moderate.moderation.notice import pack
from moderate.moderation.queue import FILTERS, default_filter, frame, no_entry, page
from moderate.moderation.views import FILTER, item_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Item, ItemFilter
    from moderate.moderation.bulk import Outcome

#: How many of the matching items the preview shows, and how many it lists behind a button.
SHOWN, LISTED = 5, 100

#: What each decision makes of an item.
OUTCOMES = {"approve": Status.APPROVED, "hold": Status.PENDING, "spam": Status.SPAM, "trash": Status.TRASH}

#: Items that one form may name.
MOST = 500


BACK = Reply(303, "Back to the queue, with what was done.", types=(HTML,), headers=("Location",))


class QueueDecisionIn(CsrfIn):
    """`filter_…` fields, which keep the moderator's place, may stand in it too; `keep` drops a changed text."""

    decision: Literal["approve", "keep", "hold", "spam", "trash"]
    version: Annotated[int, Field(ge=0, le=MAX_ID)]


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
    expect: Annotated[int, Field(ge=0, le=bulk.MOST)]
    seen: Annotated[str, Field(max_length=64)] = ""


class UndoFormIn(FormIn):
    batch: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


def told_with_a_page(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """A refusal as a page: whoever sent a form reads no problem document."""

    @wraps(view)
    def guarded(**values: Any) -> ResponseReturnValue:
        try:
            return view(**values)
        except (Refused, ServiceDown) as error:
            report(error)
            if isinstance(error, Unauthorized):
                return no_entry(current_state(), error)
            return page("refused", status_of(error), error=error, message=public_text(error))

    return guarded


@Operation(
    "POST",
    "/moderation/queue/<int:item_id>",
    "queue_decide",
    "A decision by a card's button",
    body={FORM: QueueDecisionIn},
    replies=(BACK,),
    has_problem_pages=True,
    is_for_moderators=True,
)
@told_with_a_page
def decide(item_id: int) -> ResponseReturnValue:
    """``POST /moderation/queue/<id>``: one decision by a card's button."""
    state = current_state()
    moderator(state)
    version = whole(request.form.get("version", ""), "version")
    moderation.look_up(state.desk, item_id)
    return decided(state, {item_id: version})


@Operation(
    "POST",
    "/moderation/queue/selected",
    "queue_selected",
    "One decision on what is selected",
    body={FORM: SelectedIn},
    replies=(BACK,),
    has_problem_pages=True,
    is_for_moderators=True,
)
@told_with_a_page
def decide_selected() -> ResponseReturnValue:
    """``POST /moderation/queue/selected``: one decision on the items whose boxes are checked."""
    state = current_state()
    moderator(state)
    return decided(state, dict(seen(value) for value in request.form.getlist("item")[:MOST]))


def decided(state: State, versions: dict[int, int]) -> ResponseReturnValue:
    pressed, who = wanted(), moderator(state)
    if pressed.word == KEEP:
        versions = {number: version for number, version in versions.items() if may_keep(state, number, version)}
    outcome = None
    if versions:
        outcome = bulk.decide_many(state.desk, pressed.decision, versions, by=who, proposal=pressed.proposal)
    return back(state, outcome, pressed.word)


def may_keep(state: State, number: int, version: int) -> bool:
    """Whether an item has a public text to keep. The button approves nothing that was not; what is stale is told so."""
    item = state.desk.store.items.get(number)
    return item is None or item.is_public or item.version != version


@Operation(
    "POST",
    "/moderation/queue/all",
    "queue_all",
    "One decision on all that matches",
    body={FORM: AllIn},
    replies=(BACK,),
    problems=("unexpected-number", "not-allowed"),
    has_problem_pages=True,
    is_for_moderators=True,
)
@told_with_a_page
def decide_all() -> ResponseReturnValue:
    """``POST /moderation/queue/all``: one decision on all that matches, if it is what was shown."""
    state = current_state()
    who = moderator(state)
    pressed, which = wanted(), item_filter("filter_")
    expect = whole(request.form.get("expect", ""), "expect")
    which = replace(which, status=Status.APPROVED) if pressed.word == KEEP else which
    mark = request.form.get("seen") or None
    try:
        outcome = bulk.decide_by_filter(
            state.desk, pressed.decision, which, expect, by=who, proposal=pressed.proposal, seen=mark
        )
    except UnexpectedNumber as error:
        return preview(state, which, error)
    return back(state, outcome, pressed.word)


@Operation(
    "POST",
    "/moderation/queue/undo",
    "queue_undo",
    "Take a batch back",
    body={FORM: UndoFormIn},
    replies=(BACK,),
    problems=("unknown-decision", "not-allowed"),
    has_problem_pages=True,
    is_for_moderators=True,
)
@told_with_a_page
def undo() -> ResponseReturnValue:
    """``POST /moderation/queue/undo``: take back a batch, but for what has been decided again since."""
    state = current_state()
    who, batch = moderator(state), request.form.get("batch", "")
    # NUL is the one character that not every database can look for.
    if len(batch) > 64 or "\0" in batch:
        raise UnknownDecision
    outcome = bulk.undo_batch(state.desk, batch, by=who)
    return back(state, outcome, None)


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
@told_with_a_page
def like() -> ResponseReturnValue:
    """``GET /moderation/queue/like``: how many items match, the first of them, and the buttons for all."""
    state = current_state()
    moderator(state)
    return preview(state, default_filter())


def preview(state: State, which: ItemFilter, error: Refused | None = None) -> ResponseReturnValue:
    versions = state.desk.store.queue.versions(which, bulk.MOST + 1)
    items = state.desk.store.queue.page(which, cursor=None, limit=LISTED).items
    return page(
        "like",
        status_of(error) if error else 200,
        items=items,
        shown=SHOWN,
        offered=offered(which, items),
        matching=len(versions),
        seen=bulk.mark_of(versions),
        most=bulk.MOST,
        now=state.desk.clock.now(),
        message=say("Meanwhile other items match. Look again before you decide; nothing was changed.") if error else "",
        who=moderator(state),
        **frame(state, which),
    )


def offered(which: ItemFilter, items: Sequence[Item]) -> list[str]:
    """Return the decisions that would change something, the likely one first.

    Where items lie in spam or trash, or a check calls one of them spam, that is not to approve.
    """
    is_suspect = any(finding.lean in {Lean.SPAM, Lean.DISCARD} for item in items for finding in item.findings)
    if which.status in {Status.SPAM, Status.TRASH}:
        order = ("trash", "spam", "hold", "approve")
    elif is_suspect:
        order = ("spam", "trash", "hold", "approve")
    else:
        order = ("approve", "hold", "spam", "trash")
    return [decision for decision in order if OUTCOMES[decision] is not which.status]


def wanted() -> Button:
    """The button that was pressed."""
    try:
        return button(request.form.get("decision", ""))
    except ValueError as error:
        raise Invalid.field("decision", "One of approve, keep, hold, spam, trash.") from error


def seen(value: str) -> tuple[int, int]:
    """An item as the moderator saw it, ``ID:VERSION``."""
    item_id, _, version = value.partition(":")
    return whole(item_id, "item"), whole(version, "item")


def whole(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 19 and int(value) <= MAX_ID):
        raise Invalid.field(name, "A whole number.")
    return int(value)


def back(state: State, outcome: Outcome | None, act: str | None) -> ResponseReturnValue:
    """The queue as the moderator had it: same tab, same filters, same place."""
    place = {name: value for name in FILTERS if (value := request.form.get(f"filter_{name}")) is not None}
    notice = pack(state, moderator(state), outcome, act)
    return redirect(f"{url_for('moderate.queue')}?{urlencode(place | {'notice': notice})}", 303)
