"""What a new text, a verdict or a decision does to a stored item: pure functions, no database.

Two rules hold throughout: what a person decided is never overwritten by checks, and an approved
text stays public until somebody, or a verdict, has approved the one that is to follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moderate.lifecycle import AFTER
from moderate.model import Awaiting, ChangedText, Decision, Status
from moderate.store.rows import (
    CONTENT,
    SAID,
    accept,
    brings_something,
    content_of,
    current,
    finding_to_json,
    is_news,
    judgement_of,
    propose,
    skipped_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.model import Content, Item, Submission, Verdict

#: For how long a ping's changed text stays as it is, whatever its source says next.
SETTLING = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Change:
    """Where an item is to stand, and which columns are written beside its status."""

    after: Status
    values: Mapping[str, Any]
    #: Whether another text stands or waits: the version grows, as with every change of status.
    is_new_text: bool = False
    #: Whether readers see another text of an item that stays approved.
    is_visible: bool = False
    #: What an undo needs besides the status: the text that is replaced, or the one that is dropped.
    was: Mapping[str, Any] | None = None
    #: What the history calls it, where that is not the word of whoever makes the change.
    act: str | None = None


def edited(item: Item, submission: Submission, verdict: Verdict, now: datetime) -> Change | None:
    """The author changes a comment; None where it says what it said before."""
    return revised(item, submission, verdict, now) if is_news(item, content_of(submission)) else None


def pinged_again(
    item: Item, submission: Submission, verdict: Verdict, now: datetime, *, is_withdrawn: bool = False
) -> Change | None:
    """A source pings an article again, or somebody in its name: that is never proven.

    So what looks like spam takes no better item's place, and what only checks have put into spam is
    judged anew: a stranger's spam in a site's name must not keep the site's own ping out for ever. So
    is what checks have withdrawn (*is_withdrawn*), because its page did not link here for some hours.
    A text that came a moment ago stays for a while: another would overtake whoever is deciding about it.
    """
    if verdict.status is Status.SPAM:
        return None
    content = content_of(submission)
    if is_withdrawn or (item.status is Status.SPAM and item.decided_by is None):
        awaiting = verdict.awaiting.value if verdict.awaiting else None
        values = {**judgement_of(verdict), **content, "edited_at": now, "proposed": None, "awaiting": awaiting}
        # What a person decided before the link was lost was about a page that said something else.
        values["decided_by"] = None
        return Change(verdict.status, values, is_new_text=True)
    if not (brings_something(content) and is_news(item, content)) or is_settling(item, now):
        return None
    return revised(item, submission, verdict, now)


def is_settling(item: Item, now: datetime) -> bool:
    """Whether the newest text of a ping came a moment ago; what it is to say next is looked at later."""
    changed = moment((item.proposed or {}).get("edited_at")) or item.edited_at
    return changed is not None and now - changed < SETTLING


def revised(item: Item, submission: Submission, verdict: Verdict, now: datetime) -> Change:
    """The author, or a ping's source, gives an item a new text."""
    content = content_of(submission)
    if item.status is Status.APPROVED and (item.kind.is_ping or verdict.status is not Status.APPROVED):
        return _proposed(content, verdict, now)
    values = {**judgement_of(verdict), **content, "edited_at": now, "proposed": None}
    if item.status is Status.PENDING:
        after, awaiting = _standing(item, verdict)
        return Change(after, {**values, "awaiting": awaiting}, is_new_text=True)
    return Change(item.status, {**values, "awaiting": None}, is_new_text=True, is_visible=item.is_public)


def judged(item: Item, verdict: Verdict, content: Content | None, now: datetime) -> Change | None:
    """A deferred verdict arrives, perhaps with what was found at a ping's source; None changes nothing."""
    found = _found(item, content)
    if item.awaiting is Awaiting.CHECKS and item.status is Status.PENDING:
        after, awaiting = _standing(item, verdict)
        values = {**judgement_of(verdict), **(found or {}), "awaiting": awaiting}
        return Change(after, values, is_new_text=found is not None)
    if item.awaiting is Awaiting.CHECKS and item.proposed is not None:
        return _judged_change(item, verdict, found, now)
    if found is None:
        return None
    if item.is_public:
        return _proposed(found, verdict, now)
    return Change(item.status, {**judgement_of(verdict), **found, "edited_at": now}, is_new_text=True)


def decided(item: Item, decision: Decision, change: ChangedText, by: str) -> Change | None:
    """A moderator decides; None where the item stands there already.

    What was decided about is the newest text, so a changed text becomes the item's with any decision that does
    not decline it.
    """
    if item.proposed is not None and change is ChangedText.DECLINE:
        return declined(item, decision, by)
    after = AFTER[decision]
    awaits_approval = decision is Decision.APPROVE and item.proposed is not None
    # Whoever holds what still awaits checks says more than they do: no late verdict may publish it.
    holds_back = decision is Decision.HOLD and item.status is after and item.awaiting is Awaiting.CHECKS
    if item.status is after and not awaits_approval and not holds_back:
        return None
    awaiting = Awaiting.MODERATOR.value if decision is Decision.HOLD else None
    text = {} if item.proposed is None else accept(item.proposed)
    values = {**text, "awaiting": awaiting, "decided_by": by}
    was = replaced(item) if text else None
    return Change(after, values, is_new_text=bool(text), is_visible=bool(text), was=was)


def declined(item: Item, decision: Decision, by: str) -> Change:
    """A moderator drops the changed text, and decides about the one that is public.

    What checks have found goes with the text that they had looked at.
    """
    awaiting = Awaiting.MODERATOR.value if decision is Decision.HOLD else None
    nothing: dict[str, Any] = {"proposed": None, "findings": [], "passed": [], "skipped": None}
    was = {"proposed": dict(item.proposed or {}), **judgement_on(item)}
    values = {**nothing, "awaiting": awaiting, "decided_by": by}
    return Change(AFTER[decision], values, is_new_text=True, was=was, act="declined")


def judgement_on(item: Item) -> dict[str, Any]:
    """What checks have found, as columns have it."""
    skipped = None if item.skipped is None else skipped_to_json(item.skipped)
    findings = [finding_to_json(finding) for finding in item.findings]
    return {"findings": findings, "passed": list(item.passed), "skipped": skipped}


def done_with_change(was: Mapping[str, Any] | None) -> ChangedText | None:
    """What a decision did with the text that waited, told by what it kept for an undo; None for neither."""
    if was is None or was.get("proposed") is None:
        return None
    return ChangedText.ACCEPT if "text" in was else ChangedText.DECLINE


def repeats(item: Item, change: Change, was: Mapping[str, Any] | None) -> bool:
    """Whether a ping's source only says again what a moderator has declined, going by the last text that was
    dealt with: each look at the source would propose it anew.
    """
    offered = change.values.get("proposed")
    if was is None or offered is None or not item.kind.is_ping or item.proposed is not None:
        return False
    return done_with_change(was) is ChangedText.DECLINE and all(
        was["proposed"].get(name) == offered[name] for name in SAID
    )


def is_overtaken(item: Item, change: Change, version: int) -> bool:
    """Whether *change* was decided on an earlier version. The same decision again is none, whatever the version."""
    return item.version != version and (change.after is not item.status or change.is_new_text)


def put_back(item: Item, before: Status, was: Mapping[str, Any] | None, by: str) -> Change:
    """A moderator takes a decision back: the status from before, and the text if the decision replaced it.

    It is a person's decision like any other. What awaited checks awaits a moderator: its task has
    ended with the decision.
    """
    text = {} if was is None else dict(was)
    if "edited_at" in text:
        text["edited_at"] = moment(text["edited_at"])
    awaits = before is Status.PENDING or bool(text.get("proposed"))
    values = {**text, "awaiting": Awaiting.MODERATOR.value if awaits else None, "decided_by": by}
    known = {**replaced(item), **judgement_on(item)}
    again = {name: known[name] for name in text} if text else None
    return Change(before, values, is_new_text=bool(text), is_visible="text" in text, was=again)


def replaced(item: Item) -> dict[str, Any]:
    """The text of an item as `put_back` takes it, with the one that waits behind it; plain JSON."""
    content = {name: list(item.links) if name == "links" else getattr(item, name) for name in CONTENT}
    proposed = None if item.proposed is None else dict(item.proposed)
    return {**content, "edited_at": item.edited_at.isoformat() if item.edited_at else None, "proposed": proposed}


def moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def withdrawn(item: Item) -> Change:
    """The author takes an item back. What lies in spam or trash already stays there.

    Its version grows even so: no undo of what was decided before may publish what its author wants gone.
    """
    if item.status in {Status.SPAM, Status.TRASH}:
        return Change(item.status, {}, is_new_text=True)
    return Change(Status.TRASH, {"awaiting": None, "proposed": None})


def _standing(item: Item, verdict: Verdict) -> tuple[Status, str | None]:
    """Where a pending item stands after *verdict*: one that a person held leaves only by a person."""
    if verdict.status is Status.PENDING or item.decided_by is not None:
        awaiting = verdict.awaiting if verdict.status is Status.PENDING else None
        return Status.PENDING, (awaiting or Awaiting.MODERATOR).value
    return verdict.status, None


def _judged_change(item: Item, verdict: Verdict, found: dict[str, Any] | None, now: datetime) -> Change:
    """The verdict on a changed text that waits behind an approved one."""
    if verdict.status is Status.APPROVED and not item.kind.is_ping and item.proposed is not None:
        values = {**judgement_of(verdict), **accept(item.proposed), "awaiting": None}
        return Change(Status.APPROVED, values, is_new_text=True, is_visible=True)
    if found is not None:
        return _proposed(found, verdict, now)
    awaiting = (verdict.awaiting or Awaiting.MODERATOR).value
    return Change(Status.APPROVED, {**judgement_of(verdict), "awaiting": awaiting})


def _proposed(content: Mapping[str, Any], verdict: Verdict, now: datetime) -> Change:
    awaiting = (verdict.awaiting or Awaiting.MODERATOR).value
    values = {**judgement_of(verdict), "proposed": propose(content, now), "awaiting": awaiting}
    return Change(Status.APPROVED, values, is_new_text=True)


def _found(item: Item, content: Content | None) -> dict[str, Any] | None:
    """All content columns with what was found at the source, None where that is what we have."""
    if content is None:
        return None
    columns = {**current(item), **content.columns()}
    return {name: columns[name] for name in CONTENT} if is_news(item, columns) else None
