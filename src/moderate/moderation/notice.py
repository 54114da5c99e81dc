"""The sentences that follow a decision: on the page after a form, and in the page's script.

What a form did travels in the address of the next page, signed and for one moderator, so that a link
cannot put other sentences on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moderate.http.language import count, say
from moderate.i18n import Message
from moderate.model import Status
from moderate.moderation.buttons import BUTTONS, BY_STATUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.http.state import State
    from moderate.model import Moderator
    from moderate.moderation.decide import Outcome

#: Seconds for which the address shows the notice again.
LIFETIME = 3600.0

#: How many of the items that were left are named.
NAMED = 3

#: After an undo.
PUT_BACK = Message("put back")


@dataclass(frozen=True, slots=True)
class Notice:
    """Sentences, and the batch that an Undo button takes back. `is_well` is False where an item was left as it was."""

    lines: tuple[str, ...]
    batch: str | None = None
    is_well: bool = True


def pack(state: State, who: Moderator, outcome: Outcome | None, button: str | None) -> str:
    """Sign what became of the items of a form.

    Without *outcome* nothing was selected; without *button* it is an undo.
    """
    facts: dict[str, Any] = {"act": button or "undo", "done": 0, "left": []}
    if outcome is not None:
        facts = {
            **facts,
            "done": len(outcome.done),
            "one": outcome.done[0].item.id if len(outcome.done) == 1 else None,
            "left": [
                [left.id, left.code, (left.by or "")[:60], left.now.status.value if left.now else None]
                for left in outcome.left[:NAMED]
            ],
            "more": max(0, len(outcome.left) - NAMED),
            "batch": outcome.batch if button and any(done.changed for done in outcome.done) else None,
        }
    return state.signer.sign("notice", [who.name, facts])


def unpack(state: State, who: Moderator, token: str | None) -> Notice | None:
    """Return the notice of a signed token; None where it is invalid, too old, or another moderator's."""
    opened = state.signer.open("notice", token, max_age=LIFETIME)
    if opened is None or opened[0][0] != who.name:
        return None
    facts = opened[0][1]
    lines = [*done_lines(facts), *(left_line(*left) for left in facts["left"])]
    if facts.get("more"):
        lines.append(count(facts["more"], "And {n} more.", "And {n} more."))
    is_well = bool(facts["done"]) and not facts["left"]
    return Notice(tuple(lines) or (say("Nothing was selected."),), facts.get("batch"), is_well)


def done_lines(facts: dict[str, Any]) -> Sequence[str]:
    if not facts["done"]:
        return ()
    button = BUTTONS.get(facts["act"])
    what = say(button.done if button else PUT_BACK)
    if facts.get("one"):
        return (say("Item {id}: {what}.", id=facts["one"], what=what),)
    return (count(facts["done"], "{n} item: {what}.", "{n} items: {what}.", what=what),)


def left_line(item_id: int, code: str, by: str, status: str | None) -> str:
    """Return the sentence that says why an item was left as it was."""
    if code == "decided-meanwhile" and status:
        who = by or say("somebody")
        return say(
            "Item {id}: {by} has decided meanwhile: {what}.",
            id=item_id,
            by=who,
            what=say(BY_STATUS[Status(status)].done),
        )
    if code == "unknown-item":
        return say("Item {id} is gone.", id=item_id)
    return say("Item {id} was left as it is.", id=item_id)


def script_words() -> dict[str, str]:
    """Return the sentences of ``static/desk.js`` by its names for them. The script fills in the places itself."""
    return {
        **{name: say(button.done) for name, button in BUTTONS.items()},
        "one": say("Item {id}: {what}."),
        "some": say("{n} items: {what}."),
        "clash": say("Item {id}: {by} has decided meanwhile: {what}."),
        "somebody": say("somebody"),
        "gone": say("Item {id} is gone."),
        "left": say("Item {id} was left as it is."),
        "undo": say("Undo"),
        "undone": say(PUT_BACK),
        "nothingToUndo": say("There is nothing to undo."),
        "unchanged": say("No changed text of item {id} is waiting."),
        "already": say("Item {id} stands there already."),
        "chosen": say("{n} selected"),
        "unreachable": say("The server cannot be reached. Nothing was decided; the items are back."),
        "notUndone": say("The server cannot be reached. Nothing was undone."),
        "signedOut": say("You are no longer signed in, or this page was open for too long. Reload it and try again."),
        "refused": say("That did not work. Nothing was decided; the items are back."),
        "new": say("{n} new since you opened this page."),
        "last": say("That was the last item of this page."),
    }
