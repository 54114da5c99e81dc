"""The labels of buttons on pages and in mails, and the sentences after a decision: on the next page, and in its script.

What a form did travels in the address of the next page, signed and for one moderator, so that a link
cannot put other sentences on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from moderate.http.language import count, say, translated
from moderate.i18n import Message, translator
from moderate.lifecycle import AFTER
from moderate.model import ChangedText, Decision, ItemFilter, Lean, Status
from moderate.moderation.decide import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from moderate.http.state import State
    from moderate.model import Item, Moderator
    from moderate.store.batches import BatchProgress


#: Seconds for which the address shows the notice again.
NOTICE_LIFETIME = 3600.0

#: How many of the items that were left are named.
NAMED = 3

#: Up to how many items are counted that are like a decided one, and the buttons after which they are.
MOST_ALIKE = 100
ASKS_FOR_MORE = ("approve", "spam", "trash")

#: After an undo.
PUT_BACK = Message("put back")

#: After the answer to a proposed rule.
SAYINGS = {
    "added": Message("The rule was added."),
    "dismissed": Message("The rule was dismissed and will not be proposed again."),
    "answered": Message("That rule is no longer proposed."),
}

ButtonName = Literal["approve", "keep", "hold", "spam", "trash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button by the name that its form sends. Texts are English and translated where they are shown."""

    name: ButtonName
    decision: Decision
    change: ChangedText = ChangedText.ACCEPT
    #: On the card of an item, and for selected items.
    label: Message
    #: For all items that match.
    label_all: Message
    #: On the page of a link in a mail.
    label_mail: Message
    #: In the notice of what was done: "Item 7: approved."
    done: Message

    @property
    def after(self) -> Status:
        """The status of an item after this decision."""
        return AFTER[self.decision]


#: Declines a changed text: the public one stays approved.
KEEP = Button(
    name="keep",
    decision=Decision.APPROVE,
    change=ChangedText.DECLINE,
    label=Message("Keep the public text"),
    label_all=Message("Keep all public texts"),
    label_mail=Message("Keep the public text"),
    done=Message("the public text stays"),
)

#: All buttons by name, in the order in which forms show them.
BUTTONS: Mapping[str, Button] = {
    button.name: button
    for button in (
        Button(
            name="approve",
            decision=Decision.APPROVE,
            label=Message("Approve"),
            label_all=Message("Approve all"),
            label_mail=Message("Approve"),
            done=Message("approved"),
        ),
        KEEP,
        Button(
            name="hold",
            decision=Decision.HOLD,
            label=Message("Hold"),
            label_all=Message("Hold all"),
            label_mail=Message("Hold"),
            done=Message("on hold"),
        ),
        Button(
            name="spam",
            decision=Decision.SPAM,
            label=Message("Spam"),
            label_all=Message("All spam"),
            label_mail=Message("Mark as spam"),
            done=Message("spam"),
        ),
        Button(
            name="trash",
            decision=Decision.TRASH,
            label=Message("Trash"),
            label_all=Message("Trash all"),
            label_mail=Message("Put into the trash"),
            done=Message("trash"),
        ),
    )
}

#: The button that leads to each status.
BY_STATUS: Mapping[Status, Button] = {button.after: button for button in BUTTONS.values() if button is not KEEP}


#: The statuses that a moderator confirms, where only checks have decided. A person decides about whatever waits anyway.
CONFIRMED = (Status.APPROVED, Status.SPAM)


def offered(which: ItemFilter, items: Iterable[Item]) -> list[Button]:
    """Return the buttons that would change something on *items* that a filter matches, the likeliest first.

    Where only checks have called them all spam, or have published them all, the likeliest is to confirm that. For other
    items in spam or trash, or with a check's verdict of spam, approving is not the likeliest.
    """
    status = which.status
    is_suspect = any(finding.lean in {Lean.SPAM, Lean.DISCARD} for item in items for finding in item.findings)
    order = tuple(BY_STATUS.values())
    if status in {Status.SPAM, Status.TRASH}:
        order = order[::-1]
    elif is_suspect:
        order = tuple(BUTTONS[name] for name in ("spam", "trash", "hold", "approve"))
    others = [button for button in order if button.after is not status]
    return [BY_STATUS[status], *others] if which.decided == 0 and status in CONFIRMED else others


class Notice(NamedTuple):
    """Sentences, and the batch that an Undo button takes back. `is_well` is False where an item was left as it was."""

    lines: tuple[str, ...]
    batch: str | None = None
    is_well: bool = True
    #: That of a batch on which a worker decides, and the sentence about it with places for the numbers.
    progress: BatchProgress | None = None
    so_far: str = ""
    #: The only item that was decided, and what to say of those like it that wait; empty where none do.
    one: int | None = None
    alike: str = ""


def sign_notice(state: State, who: Moderator, outcome: Outcome | BatchProgress | None, button: str | None) -> str:
    """Sign what became of the items of a form.

    Without *outcome* nothing was selected; without *button* it is an undo.
    """
    facts: dict[str, Any] = {"act": button or "undo", "done": 0, "left": []}
    if outcome is not None and not isinstance(outcome, Outcome):
        facts["large"] = outcome.batch
    elif outcome is not None:
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


def sign_saying(state: State, who: Moderator, name: str) -> str:
    """Sign a notice of `SAYINGS`."""
    return state.signer.sign("notice", [who.name, {"saying": name}])


def read_notice(state: State, who: Moderator, token: str | None) -> Notice | None:
    """Return the notice of a signed token; None where it is invalid, too old, or another moderator's."""
    opened = state.signer.open("notice", token, max_age=NOTICE_LIFETIME)
    if opened is None or opened[0][0] != who.name:
        return None
    facts = opened[0][1]
    if "saying" in facts:
        return Notice((say(SAYINGS[facts["saying"]]),), is_well=facts["saying"] != "answered")
    if facts.get("large"):
        progress = state.desk.store.batches.get(facts["large"])
        return None if progress is None else progress_notice(progress, facts["act"])
    lines = [*done_lines(facts), *(left_line(*left) for left in facts["left"])]
    if facts.get("more"):
        lines.append(count(facts["more"], "And {n} more.", "And {n} more."))
    is_well = bool(facts["done"]) and not facts["left"]
    one = facts.get("one") if facts["act"] in ASKS_FOR_MORE else None
    alike = alike_line(state, one) if one else ""
    return Notice(tuple(lines) or (say("Nothing was selected."),), facts.get("batch"), is_well, one=one, alike=alike)


def alike_line(state: State, item_id: int) -> str:
    """Return how many items wait that are like one, empty for none."""
    number = len(state.desk.store.queue.versions(ItemFilter(status=Status.PENDING, like=item_id), MOST_ALIKE))
    if number >= MOST_ALIKE:
        return say("{n} more like this wait", n=f"{MOST_ALIKE}+")
    return count(number, "{n} more like this waits", "{n} more like this wait") if number else ""


def progress_notice(progress: BatchProgress, act: str) -> Notice:
    """Return what is said of a batch on which a worker decides."""
    what = what_was_done(act)
    numbers = {"n": f"{progress.decided:,}", "total": f"{progress.total:,}", "what": what}
    so_far = say("{n} of {total} items so far: {what}.", n="{n}", total="{total}", what=what)
    if progress.state == "running":
        lines = [so_far.format(**numbers)]
    elif progress.state == "stopped":
        lines = [say("Stopped. {n} of {total} items: {what}.", **numbers)]
    elif progress.state == "failed":
        lines = [say("Stopped. {n} of {total} items: {what}.", **numbers), translated(progress.reason)]
    else:
        lines = [count(progress.decided, "{n} item: {what}.", "{n} items: {what}.", what=what)]
    if progress.conflicts:
        lines.append(count(progress.conflicts, "{n} item was left as it is.", "{n} items were left as they are."))
    is_well = progress.state in {"running", "done"} and not progress.conflicts
    batch = progress.batch if act in BUTTONS and (progress.state == "running" or progress.decided) else None
    return Notice(tuple(lines), batch, is_well, progress, so_far)


def what_was_done(act: str) -> str:
    button = BUTTONS.get(act)
    return say(button.done if button else PUT_BACK)


def done_lines(facts: dict[str, Any]) -> Sequence[str]:
    if not facts["done"]:
        return ()
    what = what_was_done(facts["act"])
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


def script_words(language: str) -> dict[str, str]:
    """Return the sentences of ``static/desk.js`` by its names for them. The script fills in the places itself."""
    say = translator(language).say
    return {
        **{name: say(button.done) for name, button in BUTTONS.items()},
        "one": say("Item {id}: {what}."),
        "some": say("{n} items: {what}."),
        "clash": say("Item {id}: {by} has decided meanwhile: {what}."),
        "somebody": say("somebody"),
        "gone": say("Item {id} is gone."),
        "left": say("Item {id} was left as it is."),
        "undone": say(PUT_BACK),
        "nothingToUndo": say("There is nothing to undo."),
        "unchanged": say("No changed text of item {id} is waiting."),
        "already": say("Item {id} stands there already."),
        "chosen": say("{n} selected"),
        "unreachable": say("The server cannot be reached. Nothing was decided; the items are back."),
        "notUndone": say("The server cannot be reached. Nothing was undone."),
        "signedOut": say("You are no longer signed in, or this page was open for too long. Reload it and try again."),
        "refused": say("That did not work. Nothing was decided; the items are back."),
        "alike": say("{n} more like this wait"),
        "oneAlike": say("1 more like this waits"),
        "new": say("{n} new since you opened this page."),
        "last": say("That was the last item of this page."),
    }
