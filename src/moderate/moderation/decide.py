"""The second act: a moderator decides, on a version of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate import signals
from moderate.akismet.feedback import tasks_for_decision
from moderate.errors import UnknownItem
from moderate.model import Proposal

if TYPE_CHECKING:
    from moderate.model import Decision, Item, Moderator
    from moderate.submit.desk import Desk


def decide(
    desk: Desk,
    item_id: int,
    decision: Decision,
    *,
    version: int,
    by: Moderator,
    note: str | None = None,
    proposal: Proposal = Proposal.ACCEPT,
) -> Item:
    """Move an item; its history and the counters move in the same commit, then the signals are sent.

    `proposal` says what becomes of a changed text that waits behind an approved one.
    Raises `UnknownItem`, or `DecidedMeanwhile` where somebody decided otherwise after `version`.
    The same decision as the current status changes nothing and is no error.
    """
    now = desk.clock.now()
    tasks = tasks_for_decision(desk, now)
    decided = desk.store.decisions.decide(
        item_id, decision, version=version, by=by.name, note=note, now=now, tasks=tasks, proposal=proposal
    )
    if decided.changed:
        signals.announce(desk.app, decided.item, before=decided.before, by=by.name)
    return decided.item


def look_up(desk: Desk, item_id: int) -> Item:
    """The item as moderators see it. Raises `UnknownItem`."""
    item = desk.store.items.get(item_id)
    if item is None:
        raise UnknownItem
    return item


def delete(desk: Desk, item_id: int, by: Moderator) -> None:
    """Delete for good, from spam or trash only. Raises `NotAllowed` elsewhere."""
    desk.store.items.delete(item_id, by.name, desk.clock.now())
