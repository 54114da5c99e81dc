"""Items as JSON: for readers, for their authors, and for moderators.

What is public never holds an e-mail address, an IP address, a user agent or a raw body. The models describe the
answers in the OpenAPI document; plain functions build them, because dumping models takes a third longer, and a thread
has up to 200 items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from moderate.hooks import is_confirmed
from moderate.http.operation import Answer, Count, Id, Moment, rfc3339
from moderate.lifecycle import score_of
from moderate.model import Awaiting, Kind, Lean, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.model import Counts, Finding, HistoryEntry, Item


class AuthorOut(Answer):
    name: str
    url: str | None
    avatar: str | None


class PublicItem(Answer):
    """An item as readers get it. `source_url`, `title` and `blog_name` stand in pings only.

    `held_for` stands in what its author gets while it waits: the checks that want a person to look.
    """

    id: Id
    article: str
    kind: Kind
    status: Status
    parent: Id | None
    author: AuthorOut
    html: str
    created_at: Moment
    edited_at: Moment | None
    held_for: list[str] | None = None
    source_url: str | None = None
    title: str | None = None
    blog_name: str | None = None


class ReceivedItem(PublicItem):
    """A comment that was just received, with the token by which its author may change it."""

    edit_token: str


#: Checks that are not named to authors: it would help spammers, or says nothing about the text.
NOT_TOLD = frozenset({"honeypot", "learned", "akismet", "rules", "wave", "article", "task"})


def held_for(item: Item) -> list[str]:
    """Return the names of the checks that hold an item for a moderator, as far as its author may know them."""
    names = (finding.check for finding in item.findings if finding.lean is Lean.HOLD)
    return [name for name in dict.fromkeys(names) if name not in NOT_TOLD]


def public_item(item: Item, *, for_author: bool = False) -> dict[str, object]:
    """Return an item as readers get it. To its author an item that the checks judged as spam is pending."""
    status = Status.PENDING if for_author and item.status is Status.SPAM else item.status
    body: dict[str, object] = {
        "id": item.id,
        "article": item.article,
        "kind": item.kind.value,
        "status": status.value,
        "parent": item.parent,
        "author": {"name": item.author, "url": item.url, "avatar": None},
        "html": item.html,
        "created_at": rfc3339(item.created_at),
        "edited_at": rfc3339(item.edited_at),
    }
    if for_author and status is Status.PENDING:
        body["held_for"] = held_for(item)
    if item.kind.is_ping:
        body |= {"source_url": item.source_url, "title": item.title, "blog_name": item.blog_name}
    return body


class CountsOut(Answer):
    comments: Count
    trackbacks: Count


def counts_json(counts: Counts, *, pending: bool = False) -> dict[str, object]:
    """Return the numbers of public comments and pings of an article."""
    body: dict[str, object] = {
        "comments": counts.comments,
        "trackbacks": counts.trackbacks,
    }
    return body | {"pending": counts.pending} if pending else body


class FindingOut(Answer):
    check: str
    lean: Lean
    reason: str
    score: float | None
    version: int
    took_ms: float
    at: Moment | None
    rule: int | None = None


def finding_json(finding: Finding) -> dict[str, object]:
    body: dict[str, object] = {
        "check": finding.check,
        "lean": finding.lean.value,
        "reason": finding.reason,
        "score": finding.score,
        "version": finding.version,
        "took_ms": finding.took_ms,
        "at": rfc3339(finding.at),
    }
    return body if finding.rule is None else {**body, "rule": finding.rule}


class CauseOut(Answer):
    """The check that put an item where it stands, and the number of its rule, if one did."""

    check: str
    rule: int | None


def cause_json(cause: str | None) -> dict[str, object] | None:
    """Return the check that caused the item's status, and the number of the rule, if one did."""
    if cause is None:
        return None
    check, _, rule = cause.partition(":")
    return {"check": check, "rule": int(rule) if rule.isdigit() else None}


class HistoryLine(Answer):
    id: Id
    at: Moment
    act: str
    by: str | None
    from_: Status | None = Field(alias="from")
    to: Status
    version: int
    note: str | None
    batch: str | None
    cause: CauseOut | None


def history_json(entry: HistoryEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": rfc3339(entry.at),
        "act": entry.act,
        "by": entry.by,
        "from": entry.before.value if entry.before else None,
        "to": entry.after.value,
        "version": entry.version,
        "note": entry.note,
        "batch": entry.batch,
        "cause": cause_json(entry.cause),
    }


class SkippedOut(Answer):
    """A check that was not asked, and why."""

    check: str
    reason: str


class ModeratorItem(PublicItem):
    """An item as moderators get it: everything, with what the checks said."""

    text: str
    #: Whom the site's own login, or a confirmed e-mail address, vouches for; null where the name is only typed.
    author_id: str | None
    verified: Literal["login", "email"] | None
    email: str | None
    ip: str | None
    user_agent: str | None
    version: Id
    awaiting: Awaiting | None
    #: The moderator who decided last; null where only checks have, or an undo has taken the decision back.
    decided_by: str | None
    article_title: str
    article_url: str
    #: How suspicious the findings make it, from 0 to 1.
    score: float
    findings: list[FindingOut]
    passed: list[str]
    skipped: list[SkippedOut]
    proposed: dict[str, str | None] | None


def moderator_item(item: Item, history: Sequence[HistoryEntry] | None = None) -> dict[str, object]:
    """Return an item as moderators get it: everything, with the findings of the checks."""
    body = public_item(item) | {
        "text": item.text,
        "author_id": item.author_id,
        "verified": verified(item),
        "email": item.email,
        "ip": item.ip,
        "user_agent": item.user_agent,
        "version": item.version,
        "awaiting": item.awaiting.value if item.awaiting else None,
        "decided_by": item.decided_by,
        "article_title": item.article_title,
        "article_url": item.article_url,
        "score": score_of(item.findings) / 1000,
        "findings": [finding_json(finding) for finding in item.findings],
        "passed": list(item.passed),
        "skipped": [{"check": check, "reason": reason} for check, reason in item.skipped or ()],
        "proposed": dict(item.proposed) if item.proposed else None,
    }
    if history is not None:
        body["history"] = [history_json(entry) for entry in history]
    return body


def verified(item: Item) -> str | None:
    """Return what proves the author's identity: the site's ``login``, a confirmed ``email``, or None."""
    if item.author_id is None:
        return None
    return "email" if is_confirmed(item.author_id) else "login"


class RelatedItem(Answer):
    """Another item of the same sender, in short; `same` names what both have in common."""

    id: Id
    kind: Kind
    status: Status
    version: Id
    article: str
    article_title: str
    author: str
    text: str
    created_at: Moment
    same: list[Literal["author_id", "email", "ip"]]


def related_json(item: Item, other: Item) -> dict[str, object]:
    """Return another item of the same sender in short; `same` lists what they have in common."""
    same = [name for name in ("author_id", "email", "ip") if getattr(item, name) == getattr(other, name) is not None]
    return {
        "id": other.id,
        "kind": other.kind.value,
        "status": other.status.value,
        "version": other.version,
        "article": other.article,
        "article_title": other.article_title,
        "author": other.author,
        "text": other.text[:200],
        "created_at": rfc3339(other.created_at),
        "same": same,
    }


class ModeratorItemWhole(ModeratorItem):
    history: list[HistoryLine]
    others: list[RelatedItem]
