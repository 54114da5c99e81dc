"""Items: the writes to them, each one transaction, and look-ups by id."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from moderate.database.engine import UNSURE
from moderate.database.schema import items
from moderate.errors import NO_PARENT, Invalid, NotAllowed, ServiceDown, UnknownItem
from moderate.i18n import Message
from moderate.lifecycle import DELETABLE, Recorded, cause_of
from moderate.model import Awaiting, Decided, Item, Kind, Status
from moderate.rules.sql import note_hits
from moderate.store import revising
from moderate.store.articles import fact_of, note_article
from moderate.store.moves import apply, derived_columns, explain, receive, remove
from moderate.store.rows import (
    digest,
    find_item,
    finding_from_json,
    finding_to_json,
    fingerprint,
    is_withdrawn,
    judgement_columns,
    last_actor,
    last_dealt_with,
)
from moderate.tasks.sql import enqueue, finish, retry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database
    from moderate.lifecycle import Suspicion
    from moderate.lru import LRUCache
    from moderate.model import Content, Finding, NewTask, Submission, Task, Verdict
    from moderate.store.revising import Change


RENEWED = (
    update(items)
    .where(items.c.id == bindparam("of_id"))
    .values({name: bindparam(name) for name in ("findings", "passed", "skipped", "score")})
)

#: Tries of a submission that finds its key taken by another item, which then is gone.
MEETINGS = 3


class Settled(NamedTuple):
    """The result of a deferred verdict. `item` is None where it is deleted.

    `changed` is False where a person had decided before, or where the verdict was about an earlier text.
    """

    item: Item | None
    before: Status | None
    changed: bool


class Items:
    """Items, each with its history and its counters.

    Every write is one transaction. Status moves only together with its history line and its
    counters, and only from the version that the caller saw.
    """

    def __init__(self, database: Database, known: LRUCache[object]) -> None:
        self._database = database
        self._known = known

    def get(self, item_id: int) -> Item | None:
        """Return an item, None where there is none."""
        with self._database.read() as conn:
            return find_item(conn, item_id)

    def is_withdrawn(self, item: Item) -> bool:
        """Return whether its author has withdrawn the item, and no moderator has decided about it since."""
        with self._database.read() as conn:
            return is_withdrawn(conn, item)

    def oldest(self) -> datetime | None:
        """Return when the item with the lowest id came in; None where there are no items."""
        with self._database.read() as conn:
            found: datetime | None = conn.execute(select(items.c.created_at).order_by(items.c.id).limit(1)).scalar()
        return found

    def record(
        self,
        submission: Submission,
        verdict: Verdict,
        tasks: Sequence[NewTask],
        now: datetime,
        suspicion: Suspicion | None = None,
    ) -> Recorded:
        """Store a submission, or find the sender's first one: same idempotency key, or same ping source.

        A new item is counted under the names of *suspicion*.
        A comment's repeat changes nothing. A ping's repeat revises the one item where it says
        something new, and in any case asks for its tasks again. Raises `Invalid` where the key was
        used for another text, or where the parent is no comment of the same article.
        """
        is_comment = not submission.kind.is_ping
        if is_comment and submission.idempotency_key is None and self._database.dialect != "sqlite":
            submission = replace(submission, idempotency_key=secrets.token_hex(16))
        is_ours = False
        for left in reversed(range(MEETINGS)):
            try:
                return self._insert(submission, verdict, tasks, now, suspicion)
            except ServiceDown as error:
                # The connection was lost during the commit. Because of its key, the item is not stored twice.
                if is_ours or error.kind != UNSURE:
                    raise
                is_ours = True
            except IntegrityError:
                # The unique constraint saves a look-up before each insert.
                met = self._meet(submission, verdict, tasks, now)
                if met is not None:
                    return replace(met, before=None, is_new=True) if is_ours else met
                if not left:
                    raise
        raise AssertionError("unreachable")

    def _insert(
        self,
        submission: Submission,
        verdict: Verdict,
        wanted: Sequence[NewTask],
        now: datetime,
        suspicion: Suspicion | None,
    ) -> Recorded:
        article = submission.article
        fact = fact_of(article)
        is_known = self._known.get(article.key) == fact

        def store(conn: Connection) -> Recorded:
            if submission.parent is not None and not submission.kind.is_ping:
                _check_parent(conn, article.key, submission.parent)
            if not is_known:
                note_article(conn, article, now)
            note_hits(conn, verdict.findings, (), now)
            return receive(conn, submission, verdict, wanted, now, suspicion=suspicion)

        # What `receive` does is one statement on PostgreSQL, after one that reads the parent.
        has_rules = any(finding.rule is not None for finding in verdict.findings)
        is_single = is_known and not has_rules
        recorded = self._database.transaction(store, is_single=is_single)
        if not is_known:
            # After the commit: what is rolled back is not known.
            self._known.put(article.key, fact)
        return recorded

    def _meet(
        self, submission: Submission, verdict: Verdict, wanted: Sequence[NewTask], now: datetime
    ) -> Recorded | None:
        """Return the item that has the submission's key or source; None where it is gone again."""
        same = _same_key(submission)
        if same is None:
            return None
        with self._database.read() as conn:
            row = conn.execute(select(items.c.id, items.c.fingerprint).where(same)).first()
            item = find_item(conn, row.id) if row else None
        if row is None or item is None:
            return None
        if submission.kind.is_ping:
            return self._revise(row.id, submission, verdict, wanted, now)
        if row.fingerprint != fingerprint(submission):
            raise Invalid.field(
                "idempotency_key", "Another comment was sent with this Idempotency-Key. Use a new one for each comment."
            )
        return Recorded(item, item.status, is_new=False)

    def revise(
        self, item_id: int, submission: Submission, verdict: Verdict, tasks: Sequence[NewTask], now: datetime
    ) -> Recorded:
        """Give an item a new text. An approved item keeps its old text until the new one is approved.

        Raises `UnknownItem`. A text that says nothing new changes nothing.
        """
        recorded = self._revise(item_id, submission, verdict, tasks, now)
        if recorded is None:
            raise UnknownItem
        return recorded

    def _revise(
        self, item_id: int, submission: Submission, verdict: Verdict, wanted: Sequence[NewTask], now: datetime
    ) -> Recorded | None:
        is_ping = submission.kind.is_ping

        def work(conn: Connection) -> Recorded | None:
            item = find_item(conn, item_id)
            if item is None:
                return None
            if is_ping:
                gone = item.status is Status.TRASH and is_withdrawn(conn, item)
                # A moderator may have confirmed since that it is trash.
                gone = gone and last_actor(conn, item.id) is None
                change = revising.pinged_again(item, submission, verdict, now, is_withdrawn=gone)
            else:
                change = revising.edited(item, submission, verdict, now)
            after = item
            if change is not None and not _is_declined(conn, item, change):
                note_hits(conn, verdict.findings, item.findings, now)
                after = apply(conn, item, change, "revised", now).item
            if is_ping or after is not item:
                enqueue(conn, [item_id], wanted, now)
            return Recorded(after, item.status, is_new=False)

        return self._database.transaction(work)

    def settle(
        self,
        task: Task | None,
        item_id: int,
        version: int,
        verdict: Verdict,
        now: datetime,
        *,
        content: Content | None = None,
        tasks: Sequence[NewTask] = (),
        retry_at: datetime | None = None,
        error: str | None = None,
    ) -> Settled:
        """Write a deferred verdict on the version that was judged, and end its task, in one transaction.

        Status moves only where the item still awaits checks: what a person decided stays, and an
        item that a person held goes on waiting for a person. `content` replaces what is known of a
        ping's source; a changed text of an approved ping waits for a moderator. The task is done,
        or due again at `retry_at` with `error`; `tasks` come after it. A verdict on an earlier
        version changes nothing, and its task is due again at once where the newer text awaits checks.
        """

        def work(conn: Connection) -> Settled:
            item = find_item(conn, item_id)
            after, again = item, retry_at
            if item is not None and item.version == version:
                note_hits(conn, verdict.findings, item.findings, now)
                after = _settled(conn, item, verdict, content, now)
            elif item is not None and item.awaiting is Awaiting.CHECKS:
                # The verdict is about an earlier text; the newer one is still to be judged.
                again = now
            if task is not None:
                _end(conn, task, None if item is None else again, error)
            # After the end of this one, which may be followed by another of its kind.
            if item is not None and item.version == version:
                enqueue(conn, [item_id], tasks, now)
            return Settled(after, item.status if item else None, changed=after is not item)

        return self._database.transaction(work)

    def annotate(self, item: Item, findings: Sequence[Finding]) -> None:
        """Replace the findings of an item that stays where it is. Without effect where it has changed since."""

        def work(conn: Connection) -> None:
            stored = find_item(conn, item.id)
            if stored is not None and stored.version == item.version:
                explain(conn, stored, {"findings": [finding_to_json(finding) for finding in findings]})

        self._database.transaction(work)

    def renew(self, judged: Sequence[tuple[Item, Item]], now: datetime) -> None:
        """Replace the findings of items that wait for a moderator, given as they were read and as they are to be.

        Neither status nor version moves. What has changed since it was read stays as it is, and so does each item
        about which a person has decided.
        """
        # By the rule and then by the id, in which order all transactions lock them.
        by_rule = sorted(judged, key=lambda pair: max((one.rule or 0 for one in pair[1].findings), default=0))
        wanted = {before.id: (before, after) for before, after in judged}
        same = ("version", "awaiting", "decided_by", "findings")
        rows = select(items.c.id, *(items.c[name] for name in same)).where(items.c.id.in_(wanted))

        def work(conn: Connection) -> None:
            for before, after in by_rule:
                note_hits(conn, after.findings, before.findings, now)
            changed = []
            for row in conn.execute(rows.order_by(items.c.id).with_for_update()).all():
                before, after = wanted[row.id]
                findings = tuple(map(finding_from_json, row.findings))
                known = (before.version, before.awaiting, None, before.findings)
                if (row.version, row.awaiting, row.decided_by, findings) == known:
                    values = judgement_columns(after)
                    changed.append({"of_id": row.id, **values, **derived_columns(values)})
            if changed:
                conn.execute(RENEWED, changed)

        self._database.transaction(work)

    def withdraw(
        self, item_id: int, now: datetime, note: str | None = None, *, tasks: Sequence[NewTask] = ()
    ) -> Decided:
        """Withdraw an item to the trash, for its author or a ping's source. Spam stays spam.

        What lay in spam or trash already gets a new version and a line in its history, so that no
        earlier decision can be undone. `tasks` are written only where the status changed.
        Raises `UnknownItem`.
        """

        def work(conn: Connection) -> Decided:
            item = existing(conn, item_id)
            # What a moderator has removed meanwhile was not removed because of its link.
            is_away = item.kind.is_ping and item.status in DELETABLE
            if is_away or is_withdrawn(conn, item):
                return Decided(item, item.status, changed=False)
            change = revising.withdrawn(item)
            applied = apply(conn, item, change, "withdrawn", now, note=note)
            if change.after is not item.status:
                enqueue(conn, [item_id], tasks, now)
            return Decided(applied.item, item.status, changed=True, history=applied.history)

        return self._database.transaction(work)

    def delete(self, item_id: int, by: str, now: datetime) -> None:
        """Delete an item for good. Raises `UnknownItem`, or `NotAllowed` outside spam and trash."""

        def work(conn: Connection) -> None:
            item = existing(conn, item_id)
            if item.status not in DELETABLE:
                raise NotAllowed(
                    Message(
                        "An item with status {status} cannot be deleted; only spam and trash can.",
                        status=item.status.value,
                    ),
                    legal=["spam", "trash"],
                )
            remove(conn, item, by, now)

        self._database.transaction(work)

    def confirm(self, item_id: int, author_id: str) -> Item | None:
        """Set the author of a comment that has none, and return the item as it stands.

        Neither text nor status moves, so that version and history stay.
        """
        unknown = and_(items.c.id == item_id, items.c.author_id.is_(None))

        def work(conn: Connection) -> Item | None:
            conn.execute(update(items).where(unknown).values(author_id=author_id))
            return find_item(conn, item_id)

        return self._database.transaction(work)


def existing(conn: Connection, item_id: int) -> Item:
    """Return the item. Raises `UnknownItem`."""
    item = find_item(conn, item_id)
    if item is None:
        raise UnknownItem
    return item


def _check_parent(conn: Connection, article: str, parent: int) -> None:
    row = conn.execute(select(items.c.article_key, items.c.kind).where(items.c.id == parent)).first()
    if row is None or row.article_key != article or row.kind != Kind.COMMENT.value:
        raise Invalid.field("parent", NO_PARENT)


def _same_key(submission: Submission) -> Any:
    """Return the condition for an item with the submission's key or source; None where it has neither."""
    key = submission.source_key if submission.kind.is_ping else submission.idempotency_key
    if not key:
        return None
    column = items.c.source_key if submission.kind.is_ping else items.c.idempotency_key
    return and_(items.c.article_key == submission.article.key, column == digest(key))


def _settled(conn: Connection, item: Item, verdict: Verdict, content: Content | None, now: datetime) -> Item:
    """Write a verdict on the version that it is about; return *item* itself where nothing changed."""
    change = revising.judged(item, verdict, content, now)
    if change is None or _is_declined(conn, item, change):
        return item
    stays = change.after is item.status and change.values.get("awaiting") == item.awaiting
    if stays and not change.is_new_text:
        return explain(conn, item, change.values)
    return apply(conn, item, change, "judged", now, cause=cause_of(verdict.findings, change.after)).item


def _is_declined(conn: Connection, item: Item, change: Change) -> bool:
    """Return whether a source repeats the text that a moderator has declined last."""
    offers = item.kind.is_ping and bool(change.values.get("proposed"))
    return offers and revising.repeats(item, change, last_dealt_with(conn, item.id))


def _end(conn: Connection, task: Task, again: datetime | None, error: str | None) -> None:
    if again is None:
        finish(conn, task)
    else:
        retry(conn, task, again, error)
