"""What the buttons of forms and mails stand for: the four decisions, and one that keeps the public text."""

from __future__ import annotations

from dataclasses import dataclass

from moderate.model import Decision, Proposal

#: Drops a changed text: the public one stays approved.
KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Button:
    """A button by its word, and the decision that it makes."""

    word: str
    decision: Decision
    proposal: Proposal = Proposal.ACCEPT


def button(word: str) -> Button:
    """Raises ValueError for a word that no button has."""
    if word == KEEP:
        return Button(KEEP, Decision.APPROVE, Proposal.DECLINE)
    return Button(word, Decision(word))
