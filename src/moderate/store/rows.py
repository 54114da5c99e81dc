"""Rows of items and of their history: from values to columns, the statements that read them, and back to values."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Text, and_, bindparam, cast, func, select, type_coerce

from moderate.database.schema import ReadAsText, articles, history, items
from moderate.database.statements import Prepared
from moderate.i18n import decode, encode
from moderate.model import Awaiting, Finding, HistoryEntry, Item, Kind, Lean, Page, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sqlalchemy import Column, ColumnElement
    from sqlalchemy.engine import Connection, CursorResult, Row
    from sqlalchemy.sql import Select

    from moderate.model import Submission, Verdict

#: The columns that a later text replaces; those of a changed text wait together in `Item.proposed`.
CONTENT = (
    "author", "email", "url", "text", "html", "policy", "links", "source_url", "title", "blog_name", "text_key",
)  # fmt: skip

#: The part of them that the sender chose; the rest follows from it.
SAID = ("author", "email", "url", "text", "source_url", "title", "blog_name")

_FINDING = tuple(field.name for field in fields(Finding))


def digest(text: str) -> str:
    """Return a key of fixed length for text of any length."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(submission: Submission) -> str:
    """Return a digest that is equal for a form sent twice, and differs for another text under the same key."""
    said = (submission.author, submission.email, submission.url, submission.body.raw, submission.parent)
    return digest(json.dumps(said))


def content_columns(submission: Submission) -> dict[str, Any]:
    """Return the columns of `CONTENT` for a submission."""
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


def judgement_columns(of: Verdict | Item) -> dict[str, Any]:
    """Return the columns that hold the checks' results."""
    return {
        "findings": list(map(finding_to_json, of.findings)),
        "passed": list(of.passed),
        "skipped": None if of.skipped is None else [[check, encode(reason)] for check, reason in of.skipped],
    }


def columns_of(submission: Submission, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """Return all columns of a new item but those by which its text is found."""
    client = submission.client
    is_ping = submission.kind.is_ping
    key = None if is_ping else submission.idempotency_key
    return {
        **content_columns(submission),
        **judgement_columns(verdict),
        "kind": submission.kind.value,
        "article_key": submission.article.key,
        "status": verdict.status.value,
        "version": 1,
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
        "public_at": now if verdict.status is Status.APPROVED else None,
        "waiting_since": now if verdict.awaiting is Awaiting.MODERATOR else None,
        "decided_by": None,
        "proposed": None,
    }


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON values, without empty fields and without numbers that JSON has not."""
    values = {}
    for name in _FINDING:
        value = getattr(finding, name)
        if value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            values[name] = value
    values["reason"] = encode(finding.reason)
    if finding.at is not None:
        values["at"] = finding.at.isoformat()
    return values


def finding_from_json(stored: Mapping[str, Any]) -> Finding:
    values = dict(stored)
    for unknown in stored.keys() - _FINDING:
        del values[unknown]
    values["lean"] = Lean(values["lean"])
    values["reason"] = decode(values["reason"])
    if "at" in values:
        values["at"] = datetime.fromisoformat(values["at"])
    return Finding(**values)


def item_from(values: dict[str, Any]) -> Item:
    """Build the item of a row whose names are the fields of `Item`; changes *values*."""
    return Item(**_parsed(values))


def altered(item: Item, values: Mapping[str, Any]) -> Item:
    """Return the item with the columns *values* replaced."""
    return replace(item, **_parsed(dict(values)))


def _parsed(values: dict[str, Any]) -> dict[str, Any]:
    """Convert column values in place to the types of `Item`, and return them."""
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


def proposed_columns(content: Mapping[str, Any], at: datetime) -> dict[str, str | None]:
    """Return content as it waits in `Item.proposed`, with one link to a line."""
    return {**content, "links": "\n".join(content["links"]), "edited_at": at.isoformat()}


def accepted_columns(proposed: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the columns to set when a changed text becomes the item's text."""
    links = proposed.get("links") or ""
    edited_at = proposed.get("edited_at")
    return {
        **{name: proposed[name] for name in CONTENT if name in proposed},
        "links": links.split("\n") if links else [],
        "edited_at": datetime.fromisoformat(edited_at) if edited_at else None,
        "proposed": None,
    }


def accepted_content(item: Item) -> dict[str, Any]:
    """Return the columns of `CONTENT` for an item."""
    return {name: list(item.links) if name == "links" else getattr(item, name) for name in CONTENT}


def newest_content(item: Item) -> dict[str, Any]:
    """Return the newest content of an item: the proposed one, or else the accepted one."""
    if item.proposed is None:
        return accepted_content(item)
    accepted = accepted_columns(item.proposed)
    return {name: accepted[name] for name in CONTENT}


def brings_something(content: Mapping[str, Any]) -> bool:
    """Return whether a ping has a text or a title. Pingback and Webmention only name a page, to be fetched later.

    A title that is the page's own address, or the beginning of it, counts as none.
    """
    is_titled = content["title"] and not (content["source_url"] or "").startswith(content["title"])
    return bool(content["text"] or is_titled)


def is_news(item: Item, content: Mapping[str, Any]) -> bool:
    """Return whether *content* differs from the newest content of the item.

    Only what the sender chose is compared: a new cleaning policy alone makes no new text.
    """
    known = newest_content(item)
    return any(known[name] != content[name] for name in SAID)


# --- reading ---------------------------------------------------------------------------------------

#: The columns by which nearly equal texts are found: see `moderate.text.similarity`.
NEAR = ("simhash", "near_1", "near_2", "near_3", "near_4")
#: Columns that are no fields of `Item`, and those that have another name there.
HIDDEN = frozenset({"source_key", "idempotency_key", "fingerprint", "search", "score", *NEAR})
RENAMED = {"article_key": "article", "parent_id": "parent"}

#: The fields that only moderators and authors need, with their values in `BRIEF` rows: fetching and parsing them
#: would take most of the time of a thread of a hundred.
LEFT_OUT: dict[str, Any] = {
    "text": "",
    "policy": "",
    "links": (),
    "honeypot": "",
    "ip": None,
    "user_agent": None,
    "referrer": None,
    "text_key": "",
    "findings": (),
    "passed": (),
    "skipped": None,
    "proposed": None,
    "waiting_since": None,
}


def _select(leaving_out: frozenset[str]) -> Select[Any]:
    columns = [
        _read(column).label(RENAMED.get(column.name, column.name))
        for column in items.c
        if column.name not in leaving_out
    ]
    about = (
        func.coalesce(articles.c.title, "").label("article_title"),
        func.coalesce(articles.c.url, "").label("article_url"),
    )
    return select(*columns, *about).select_from(items.outerjoin(articles, articles.c.key == items.c.article_key))


def _read(column: Column[Any]) -> ColumnElement[Any]:
    return type_coerce(cast(column, Text), ReadAsText) if isinstance(column.type, JSON) else column


#: Rows whose names are the fields of `Item`: whole, or only what readers are shown.
WHOLE = _select(HIDDEN)
BRIEF = _select(HIDDEN | LEFT_OUT.keys())
WHOLE_NAMES = tuple(WHOLE.selected_columns.keys())

# A statement that is built once costs a third of one built for each call, because SQLAlchemy need not compare it
# with those that it has compiled before.
BY_ID = Prepared(WHOLE.where(items.c.id == bindparam("wanted")))


def find_item(conn: Connection, item_id: int) -> Item | None:
    rows = BY_ID.fetch(conn, {"wanted": item_id})
    return item_from(dict(zip(WHOLE_NAMES, rows[0], strict=True))) if rows else None


#: The condition that an item's author has withdrawn it, and no moderator has decided about it since.
TAKEN_BACK = and_(history.c.item_id == items.c.id, history.c.version == items.c.version, history.c.act == "withdrawn")
IS_TAKEN_BACK = select(history.c.id).join(items, TAKEN_BACK).where(items.c.id == bindparam("wanted")).limit(1)


def is_withdrawn(conn: Connection, item: Item) -> bool:
    """Return whether its author has withdrawn the item, and no moderator has decided about it since."""
    return conn.execute(IS_TAKEN_BACK, {"wanted": item.id}).first() is not None


def last_actor(conn: Connection, item_id: int) -> str | None:
    """Return the moderator of the last line of an item's history; None where checks or the author wrote it."""
    query = select(history.c.actor).where(history.c.item_id == item_id)
    return conn.execute(query.order_by(history.c.id.desc()).limit(1)).scalar()


def last_dealt_with(conn: Connection, item_id: int, since: int = 0) -> Mapping[str, Any] | None:
    """Return what the last decision that replaced or dropped a text after version *since* kept for its undo."""
    query = select(history.c.was).where(
        history.c.item_id == item_id, history.c.was.is_not(None), history.c.version > since
    )
    found: Mapping[str, Any] | None = conn.execute(query.order_by(history.c.id.desc()).limit(1)).scalar()
    return found


def items_of(rows: CursorResult[Any], left_out: Mapping[str, Any] = MappingProxyType({})) -> dict[int, Item]:
    """Return the items of rows by id; *left_out* gives the fields that were not selected."""
    names = tuple(rows.keys())
    return {row.id: item_from({**left_out, **dict(zip(names, row, strict=True))}) for row in rows}


def page_of(found: list[Item], limit: int) -> Page:
    """Return a page of the first *limit* items; one item more than these in *found* means that there are more."""
    shown = tuple(found[:limit])
    return Page(shown, shown[-1].id if len(found) > limit and shown else None)
