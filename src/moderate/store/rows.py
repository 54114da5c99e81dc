"""From values to rows and back."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moderate.i18n import decode, encode
from moderate.model import Awaiting, Finding, HistoryEntry, Item, Kind, Lean, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy.engine import Row

from moderate.model import Submission, Verdict

#: The columns that a later text replaces, and that wait together in `Item.proposed`.
CONTENT = (
    "author", "email", "url", "text", "html", "policy", "links", "source_url", "title", "blog_name", "text_key",
)  # fmt: skip

#: The part of them that the sender chose; the rest follows from it.
SAID = ("author", "email", "url", "text", "source_url", "title", "blog_name")

_FINDING = tuple(field.name for field in fields(Finding))


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A stretch of the log, newest first, and the cursor of the next one, None at the end."""

    entries: tuple[HistoryEntry, ...]
    next: int | None


def digest(text: str) -> str:
    """A fixed-length key for text of any length."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(submission: Submission) -> str:
    """Tells a form that was sent twice from another text under the same idempotency key."""
    said = (submission.author, submission.email, submission.url, submission.body.raw, submission.parent)
    return digest(json.dumps(said))


def content_of(submission: Submission) -> dict[str, Any]:
    """The columns of `CONTENT` as a submission fills them."""
    body = submission.body
    return {
        "author": submission.author,
        "email": submission.email,
        "url": submission.url,
        "text": body.raw,
        "html": body.html,
        "policy": body.policy,
        "links": list(body.links),
        "source_url": submission.source_url,
        "title": submission.title,
        "blog_name": submission.blog_name,
        "text_key": submission.text_key,
    }


def judgement_of(verdict: Verdict) -> dict[str, Any]:
    """The columns that explain a verdict."""
    return {
        "findings": [finding_to_json(finding) for finding in verdict.findings],
        "passed": list(verdict.passed),
        "skipped": skipped_to_json(verdict.skipped),
    }


def columns_of(submission: Submission, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """All columns of a new item but those that `Move` names."""
    client = submission.client
    is_ping = submission.kind.is_ping
    key = None if is_ping else submission.idempotency_key
    return {
        **content_of(submission),
        **judgement_of(verdict),
        "awaiting": verdict.awaiting.value if verdict.awaiting else None,
        "author_id": submission.author_id,
        "parent_id": None if is_ping else submission.parent,
        "source_key": digest(submission.source_key) if is_ping and submission.source_key else None,
        "idempotency_key": digest(key) if key else None,
        "fingerprint": fingerprint(submission) if key else None,
        "ip": client.ip[:64] or None,
        "user_agent": client.user_agent or None,
        "referrer": client.referrer or None,
        "honeypot": submission.honeypot,
        "created_at": now,
        "edited_at": None,
        "decided_by": None,
        "proposed": None,
    }


def skipped_to_json(skipped: Iterable[tuple[str, str]]) -> list[list[Any]]:
    """Return the checks that were not asked, with the reasons, as they are stored."""
    return [[check, encode(reason)] for check, reason in skipped]


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """A finding as it is stored: without what it leaves open, and with numbers that JSON has."""
    values = {name: value for name in _FINDING if (value := getattr(finding, name)) is not None}
    values["reason"] = encode(finding.reason)
    if finding.at is not None:
        values["at"] = finding.at.isoformat()
    for name in ("score", "took_ms", "again_after"):
        if not math.isfinite(values.get(name, 0.0)):
            del values[name]
    return values


def finding_from_json(stored: Mapping[str, Any]) -> Finding:
    values = {name: value for name, value in stored.items() if name in _FINDING}
    values["lean"] = Lean(values["lean"])
    values["reason"] = decode(values["reason"])
    if "at" in values:
        values["at"] = datetime.fromisoformat(values["at"])
    return Finding(**values)


def item_from(values: dict[str, Any]) -> Item:
    """The item of a row as `moderate.store.reads` selects it: named like the fields of `Item`."""
    return Item(**_parsed(values))


def altered(item: Item, values: Mapping[str, Any]) -> Item:
    """The item as it stands once *values*, as columns, have been written."""
    return replace(item, **_parsed(dict(values)))


def _parsed(values: dict[str, Any]) -> dict[str, Any]:
    """Column values in the types of `Item`; works in place."""
    for name, parse in _PARSERS.items():
        value = values.get(name)
        if value is not None and value != ():
            values[name] = parse(value)
    return values


def _findings(stored: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    return tuple(finding_from_json(finding) for finding in stored)


def _skipped(stored: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((check, decode(reason)) for check, reason in stored)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "kind": Kind,
    "status": Status,
    "awaiting": Awaiting,
    "links": tuple,
    "findings": _findings,
    "passed": tuple,
    "skipped": _skipped,
}


def entry_from(row: Row[Any]) -> HistoryEntry:
    return HistoryEntry(
        id=row.id,
        item=row.item_id,
        at=row.at,
        act=row.act,
        by=row.actor,
        before=Status(row.before) if row.before else None,
        after=Status(row.after),
        version=row.version,
        note=row.note,
        batch=row.batch,
        cause=row.cause,
    )


def propose(content: Mapping[str, Any], at: datetime) -> dict[str, str | None]:
    """Content as it waits in `Item.proposed`; links are one to a line."""
    return {**content, "links": "\n".join(content["links"]), "edited_at": at.isoformat()}


def accept(proposed: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the columns to set when a changed text becomes the item's text."""
    links = proposed.get("links") or ""
    edited_at = proposed.get("edited_at")
    return {
        **{name: proposed[name] for name in CONTENT if name in proposed},
        "links": links.split("\n") if links else [],
        "edited_at": datetime.fromisoformat(edited_at) if edited_at else None,
        "proposed": None,
    }


def current(item: Item) -> dict[str, Any]:
    """The newest content of an item: what is proposed, or else what stands."""
    if item.proposed is not None:
        accepted = accept(item.proposed)
        return {name: accepted[name] for name in CONTENT}
    return {name: list(item.links) if name == "links" else getattr(item, name) for name in CONTENT}


def brings_something(content: Mapping[str, Any]) -> bool:
    """Whether a ping says anything itself. Pingback and Webmention only name a page, to be fetched later.

    A title that is the page's own address, or the beginning of a long one, stands for none.
    """
    is_titled = content["title"] and not (content["source_url"] or "").startswith(content["title"])
    return bool(content["text"] or is_titled)


def is_news(item: Item, content: Mapping[str, Any]) -> bool:
    """Whether *content* says anything else than the newest that the item has.

    How it was cleaned is no news: a later policy alone makes no new text.
    """
    known = current(item)
    return any(known[name] != content[name] for name in SAID)
