"""The changes that a new text, a verdict or a decision makes to a stored item, as pure functions.

Two rules hold throughout: what a person decided is never overwritten by checks, and an approved
text stays public until a moderator, or a verdict, has approved the text that replaces it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from moderate.lifecycle import AFTER
from moderate.model import Awaiting, ChangedText, Decision, Status
from moderate.store.rows import (
    CONTENT,
    SAID,
    accepted_columns,
    accepted_content,
    brings_something,
    content_columns,
    is_news,
    judgement_columns,
    newest_content,
    proposed_columns,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moderate.model import Content, Item, Submission, Verdict

#: For how long a ping's changed text is not replaced by another one.
SETTLING = timedelta(minutes=10)


class Change(NamedTuple):
    """The new status of an item, and the columns that are written beside it."""

    after: Status
    values: Mapping[str, Any]
    #: Whether there is another text, public or waiting: the version grows, as with every change of status.
    is_new_text: bool = False
    #: Whether readers see another text of an item that stays approved.
    is_visible: bool = False
    #: The values that an undo restores besides the status: of the text that is replaced or dropped.
    was: Mapping[str, Any] | None = None
    #: The act for the history line, where it differs from the caller's.
    act: str | None = None


def edited(item: Item, submission: Submission, verdict: Verdict, now: datetime) -> Change | None:
    """Return the change for an author's edit; None where the text is the same as before."""
    return revised(item, submission, verdict, now) if is_news(item, content_columns(submission)) else None


def pinged_again(
    item: Item, submission: Submission, verdict: Verdict, now: datetime, *, is_withdrawn: bool = False
) -> Change | None:
    """Return the change for a repeated ping; None where it changes nothing.

    A ping's sender is never proven: a stranger may send it in the site's name. So a ping that looks like spam
    replaces nothing, and an item that only checks have put into spam is judged again: a stranger's spam must not
    keep the site's own ping out for ever. An item that checks have withdrawn (*is_withdrawn*), because its page did
    not link here for some hours, is judged again too. A text that came a moment ago stays for `SETTLING`, so that
    no newer one overtakes a moderator who is deciding about it.
    """
    if verdict.status is Status.SPAM:
        return None
    content = content_columns(submission)
    if is_withdrawn or (item.status is Status.SPAM and item.decided_by is None):
        awaiting = verdict.awaiting.value if verdict.awaiting else None
        values = {**judgement_columns(verdict), **content, "edited_at": now, "proposed": None, "awaiting": awaiting}
        # An earlier decision was about another text of the page.
        values["decided_by"] = None
        return Change(verdict.status, values, is_new_text=True)
    if not (brings_something(content) and is_news(item, content)) or is_settling(item, now):
        return None
    return revised(item, submission, verdict, now)


def is_settling(item: Item, now: datetime) -> bool:
    """Return whether the newest text of a ping is younger than `SETTLING`; its source is read again later."""
    changed = _moment((item.proposed or {}).get("edited_at")) or item.edited_at
    return changed is not None and now - changed < SETTLING


def revised(item: Item, submission: Submission, verdict: Verdict, now: datetime) -> Change:
    """Return the change for a new text from a comment's author or a ping's source."""
    content = content_columns(submission)
    if item.status is Status.APPROVED and (item.kind.is_ping or verdict.status is not Status.APPROVED):
        return _proposed(content, verdict, now)
    values = {**judgement_columns(verdict), **content, "edited_at": now, "proposed": None}
    if item.status is Status.PENDING:
        after, awaiting = _standing(item, verdict)
        return Change(after, {**values, "awaiting": awaiting}, is_new_text=True)
    return Change(item.status, {**values, "awaiting": None}, is_new_text=True, is_visible=item.is_public)


def judged(item: Item, verdict: Verdict, content: Content | None, now: datetime) -> Change | None:
    """Return the change for a deferred verdict, with what was found at a ping's source; None for no change."""
    found = _found(item, content)
    if item.awaiting is Awaiting.CHECKS and item.status is Status.PENDING:
        after, awaiting = _standing(item, verdict)
        values = {**judgement_columns(verdict), **(found or {}), "awaiting": awaiting}
        return Change(after, values, is_new_text=found is not None)
    if item.awaiting is Awaiting.CHECKS and item.proposed is not None:
        return _judged_change(item, verdict, found, now)
    if found is None:
        return None
    if item.is_public:
        return _proposed(found, verdict, now)
    return Change(item.status, {**judgement_columns(verdict), **found, "edited_at": now}, is_new_text=True)


def decided(item: Item, version: int, decision: Decision, change: ChangedText, by: str) -> Change | None:
    """Return the change for a moderator's decision on a version of an item; None where nothing is left to decide.

    The decision is about the newest text, so a changed text becomes the item's with any decision that does
    not decline it. Where checks have given the item the same status, the decision is written all the same, without
    another version: it says that a person has looked at this one, and the filter learns from it.
    """
    if item.proposed is not None and change is ChangedText.DECLINE:
        return declined(item, decision, by)
    after = AFTER[decision]
    awaits_approval = decision is Decision.APPROVE and item.proposed is not None
    # A moderator who holds an item that awaits checks overrules them: no late verdict may publish it.
    holds_back = decision is Decision.HOLD and item.status is after and item.awaiting is Awaiting.CHECKS
    is_first = item.decided_by is None and item.version == version
    if item.status is after and not (awaits_approval or holds_back or is_first):
        return None
    awaiting = Awaiting.MODERATOR.value if decision is Decision.HOLD else None
    text = {} if item.proposed is None else accepted_columns(item.proposed)
    values = {**text, "awaiting": awaiting, "decided_by": by}
    was = replaced(item) if text else None
    return Change(after, values, is_new_text=bool(text), is_visible=bool(text), was=was)


def declined(item: Item, decision: Decision, by: str) -> Change:
    """Return the change for a decision that drops the changed text and is about the public one.

    The findings of the dropped text are removed with it.
    """
    awaiting = Awaiting.MODERATOR.value if decision is Decision.HOLD else None
    nothing: dict[str, Any] = {"proposed": None, "findings": [], "passed": [], "skipped": None}
    was = {"proposed": dict(item.proposed or {}), **judgement_columns(item)}
    values = {**nothing, "awaiting": awaiting, "decided_by": by}
    return Change(AFTER[decision], values, is_new_text=True, was=was, act="declined")


def done_with_change(was: Mapping[str, Any] | None) -> ChangedText | None:
    """Return whether a decision accepted or declined a waiting text, by what it kept for an undo; None for neither."""
    if was is None or was.get("proposed") is None:
        return None
    return ChangedText.ACCEPT if "text" in was else ChangedText.DECLINE


def repeats(item: Item, change: Change, was: Mapping[str, Any] | None) -> bool:
    """Return whether a ping's source only repeats the text that a moderator has declined last.

    Otherwise each look at the source would propose that text again.
    """
    offered = change.values.get("proposed")
    if was is None or offered is None or not item.kind.is_ping or item.proposed is not None:
        return False
    return done_with_change(was) is ChangedText.DECLINE and all(
        was["proposed"].get(name) == offered[name] for name in SAID
    )


def is_overtaken(item: Item, change: Change, version: int) -> bool:
    """Return whether *change* was decided on an earlier version; False for a repetition of the same decision."""
    return item.version != version and (change.after is not item.status or change.is_new_text)


def put_back(item: Item, before: Status, was: Mapping[str, Any] | None, decided_before: str | None) -> Change:
    """Return the change that undoes a decision: the earlier status, and the earlier text if it was replaced.

    *decided_before* is who had decided on the item before. An item that awaited checks awaits a moderator then, because
    its task has ended with the decision.
    """
    text = {} if was is None else dict(was)
    if "edited_at" in text:
        text["edited_at"] = _moment(text["edited_at"])
    awaits = before is Status.PENDING or bool(text.get("proposed"))
    values = {**text, "awaiting": Awaiting.MODERATOR.value if awaits else None, "decided_by": decided_before}
    known = {**replaced(item), **judgement_columns(item)}
    again = {name: known[name] for name in text} if text else None
    return Change(before, values, is_new_text=bool(text), is_visible="text" in text, was=again)


def replaced(item: Item) -> dict[str, Any]:
    """Return the text of an item, and the changed one that waits, as JSON values for `put_back`."""
    edited_at = item.edited_at.isoformat() if item.edited_at else None
    proposed = None if item.proposed is None else dict(item.proposed)
    return {**accepted_content(item), "edited_at": edited_at, "proposed": proposed}


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def withdrawn(item: Item) -> Change:
    """Return the change for a withdrawal by the author. An item in spam or trash stays there.

    Its version grows all the same, so that no undo of an earlier decision publishes a withdrawn item.
    """
    if item.status in {Status.SPAM, Status.TRASH}:
        return Change(item.status, {}, is_new_text=True)
    return Change(Status.TRASH, {"awaiting": None, "proposed": None, "decided_by": None})


def _standing(item: Item, verdict: Verdict) -> tuple[Status, str | None]:
    """Return status and awaiting of a pending item after *verdict*; one that a moderator held stays pending."""
    if verdict.status is Status.PENDING or item.decided_by is not None:
        awaiting = verdict.awaiting if verdict.status is Status.PENDING else None
        return Status.PENDING, (awaiting or Awaiting.MODERATOR).value
    return verdict.status, None


def _judged_change(item: Item, verdict: Verdict, found: dict[str, Any] | None, now: datetime) -> Change:
    """Return the change for a verdict on a changed text that waits behind an approved one."""
    if verdict.status is Status.APPROVED and not item.kind.is_ping and item.proposed is not None:
        values = {**judgement_columns(verdict), **accepted_columns(item.proposed), "awaiting": None}
        return Change(Status.APPROVED, values, is_new_text=True, is_visible=True)
    if found is not None:
        return _proposed(found, verdict, now)
    awaiting = (verdict.awaiting or Awaiting.MODERATOR).value
    return Change(Status.APPROVED, {**judgement_columns(verdict), "awaiting": awaiting})


def _proposed(content: Mapping[str, Any], verdict: Verdict, now: datetime) -> Change:
    awaiting = (verdict.awaiting or Awaiting.MODERATOR).value
    values = {**judgement_columns(verdict), "proposed": proposed_columns(content, now), "awaiting": awaiting}
    return Change(Status.APPROVED, values, is_new_text=True)


def _found(item: Item, content: Content | None) -> dict[str, Any] | None:
    """Return all content columns with what was found at the source, None where nothing differs."""
    if content is None:
        return None
    body = content.body
    names = ("author", "url", "title", "blog_name", "text_key")
    columns = {
        **newest_content(item),
        **{name: getattr(content, name) for name in names},
        "text": body.raw,
        "html": body.html,
        "policy": body.policy,
        "links": list(body.links),
    }
    return {name: columns[name] for name in CONTENT} if is_news(item, columns) else None
