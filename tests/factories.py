"""Submissions and verdicts for tests, of which a test names only what it is about."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from moderate.database.schema import items
from moderate.errors import DecidedMeanwhile, UnknownItem
from moderate.model import Article, Awaiting, Body, Client, Finding, Kind, Lean, Status, Submission, Verdict
from moderate.store.rows import columns_of

if TYPE_CHECKING:
    from moderate.model import Decided, Decision
    from moderate.store.store import Store

#: When tests begin. Nothing in them depends on today.
NOON = datetime(2026, 1, 13, 12, 0, 0, 123456, tzinfo=UTC)

READER = Client("192.0.2.7", "Mozilla/5.0 (X11)", "https://news.example/1")


def an_article(key: str = "2026/thaw", **changes: Any) -> Article:
    return Article(**{"key": key, "title": f"About {key}", "url": f"https://news.example/{key}", **changes})


def a_body(text: str) -> Body:
    return Body(text, f"<p>{text}</p>", "test-1", ("https://linked.example/",))


def a_comment(text: str = "The river froze twice.", article: str | Article = "2026/thaw", **changes: Any) -> Submission:
    """A comment as `moderate.text` hands it on."""
    values: dict[str, Any] = {
        "kind": Kind.COMMENT,
        "article": article if isinstance(article, Article) else an_article(article),
        "client": READER,
        "body": a_body(text),
        "author": "Mika",
        "email": "mika@mail.example",
        "url": "https://mika.example/",
        "text_key": hashlib.sha256(text.encode()).hexdigest(),
    }
    return Submission(**{**values, **changes})


def a_ping(
    source: str = "https://blog.example/1", text: str = "They wrote", article: str = "2026/thaw", **changes: Any
) -> Submission:
    """A trackback; another `kind` and an empty `text` and `title` make it a pingback or a webmention."""
    values: dict[str, Any] = {
        "kind": Kind.TRACKBACK,
        "client": Client("198.51.100.4", "WordPress/6.9"),
        "author": "A blog",
        "email": None,
        "url": source,
        "source_url": source,
        "source_key": source.removeprefix("https://"),
        "title": f"On {text}" if text else None,
        "blog_name": "A blog",
    }
    return a_comment(text, article, **{**values, **changes})


def a_verdict(status: Status = Status.PENDING, awaiting: Awaiting | None = None, **changes: Any) -> Verdict:
    """A verdict of the checks; a pending one waits for a moderator by default."""
    if status is Status.PENDING and awaiting is None:
        awaiting = Awaiting.MODERATOR
    values: dict[str, Any] = {"findings": (a_finding(),), "passed": ("honeypot", "timing")}
    return Verdict(**{"status": status, "awaiting": awaiting, **values, **changes})


def a_finding(check: str = "links", lean: Lean = Lean.HOLD, reason: str = "three links", **changes: Any) -> Finding:
    return Finding(check, lean, reason, **{"score": 0.75, "took_ms": 1.25, "at": NOON, **changes})


def decide_one(store: Store, item_id: int, decision: Decision, *, version: int, **about: Any) -> Decided:
    """Decide on a single item. Raises `UnknownItem`, or `DecidedMeanwhile` where *version* is stale."""
    bulk = store.decisions.decide({item_id: version}, decision, **about)
    for left in bulk.left:
        if left.now is None:
            raise UnknownItem
        raise DecidedMeanwhile(left.now, by=left.by)
    return bulk.done[0]


def fill_thread(store: Store, number: int, article: str = "thaw", **changes: Any) -> None:
    """Store *number* approved comments under an article at once, which is faster than submitting each of them."""
    written = NOON - timedelta(days=300)
    place = {"kind": "comment", "status": "approved", "version": 1, "article_key": article, "public_at": written}
    rows = [
        columns_of(a_comment(f"Comment number {n}.", article, author=f"Reader {n}"), APPROVED, written)
        | place
        | changes
        for n in range(1, number + 1)
    ]
    with store.database.write() as conn:
        conn.execute(insert(items), rows)
    assert list(store.counters.recount(repair=True))


APPROVED = a_verdict(Status.APPROVED)
HELD = a_verdict()
TO_CHECK = a_verdict(Status.PENDING, Awaiting.CHECKS)
SPAM = a_verdict(Status.SPAM)
