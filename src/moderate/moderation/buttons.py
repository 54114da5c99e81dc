"""The buttons of forms and mails: the decision that each makes, and the texts on it and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from moderate.i18n import Message
from moderate.lifecycle import AFTER
from moderate.model import ChangedText, Decision, Lean, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from moderate.model import Item

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


def offered(status: Status | None, items: Iterable[Item]) -> list[Button]:
    """Return the buttons that would change something on *items*, the likeliest first.

    *status* is that of all items, None where they differ. For items in spam or trash, or with a check's verdict
    of spam, approving is not the likeliest.
    """
    is_suspect = any(finding.lean in {Lean.SPAM, Lean.DISCARD} for item in items for finding in item.findings)
    order = tuple(BY_STATUS.values())
    if status in {Status.SPAM, Status.TRASH}:
        order = order[::-1]
    elif is_suspect:
        order = tuple(BUTTONS[name] for name in ("spam", "trash", "hold", "approve"))
    return [button for button in order if button.after is not status]
