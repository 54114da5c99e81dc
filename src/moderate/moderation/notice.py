"""What a form has done, told on the page that comes after it.

It travels in the address, signed and for one moderator: nobody can put words on the page by a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moderate.http.words import count, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.http.state import State
    from moderate.model import Moderator
    from moderate.moderation.bulk import Outcome
    from moderate.ports import Left

#: Seconds for which the address tells it again.
LIFETIME = 3600.0

#: How many of the items that were left are named.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """Sentences, and the batch that an Undo button takes back. `is_well` is False where something was not done."""

    lines: tuple[str, ...]
    batch: str | None = None
    is_well: bool = True


def pack(state: State, who: Moderator, outcome: Outcome | None, act: str | None) -> str:
    """A signed account of what became of the items; *act* is the button's.

    None for *act* is an undo, for *outcome* nothing to do.
    """
    facts: dict[str, Any] = {"act": act or "undo", "done": 0, "left": []}
    if outcome is not None:
        facts = {
            **facts,
            "done": len(outcome.done),
            "one": outcome.done[0].item.id if len(outcome.done) == 1 else None,
            "left": [left_facts(left) for left in outcome.left[:NAMED]],
            "more": max(0, len(outcome.left) - NAMED),
            "batch": outcome.batch if act and any(done.changed for done in outcome.done) else None,
        }
    return state.signer.sign("notice", [who.name, facts])


def left_facts(left: Left) -> list[Any]:
    status = left.now.status.value if left.now else None
    return [left.id, left.code, (left.by or "")[:60], status]


def unpack(state: State, who: Moderator, token: str | None) -> Notice | None:
    """The notice, None for what is not ours, not for this moderator, or too old."""
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
    what = OUTCOMES[facts["act"]]()
    if facts.get("one"):
        return (say("Item {id}: {what}.", id=facts["one"], what=what),)
    return (count(facts["done"], "{n} item: {what}.", "{n} items: {what}.", what=what),)


def left_line(item_id: int, code: str, by: str, status: str | None) -> str:
    """Why an item was left as it is."""
    if code == "decided-meanwhile" and status:
        who = by or say("somebody")
        return say("Item {id}: {by} has decided meanwhile: {what}.", id=item_id, by=who, what=STANDING[status]())
    if code == "unknown-item":
        return say("Item {id} is gone.", id=item_id)
    return say("Item {id} was left as it is.", id=item_id)


#: Asked late, for each is told in the language of its page.
STANDING = {
    "pending": lambda: say("on hold"),
    "approved": lambda: say("approved"),
    "spam": lambda: say("spam"),
    "trash": lambda: say("trash"),
}
OUTCOMES = {
    "approve": STANDING["approved"],
    "keep": lambda: say("the public text stays"),
    "hold": STANDING["pending"],
    "spam": STANDING["spam"],
    "trash": STANDING["trash"],
    "undo": lambda: say("put back"),
}
