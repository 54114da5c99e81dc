"""What a store promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from moderate.ports.stored import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from moderate.model import (
        Article,
        Counts,
        Decision,
        Finding,
        HistoryEntry,
        Item,
        Kind,
        Status,
        Submission,
        Task,
        Verdict,
    )
    from moderate.ports.notices import Mailbox
    from moderate.ports.outside import Rule, RuleInfo
    from moderate.ports.stored import (
        Bulk,
        Content,
        Decided,
        Drift,
        Forgotten,
        HistoryPage,
        ItemFilter,
        Kept,
        NewTask,
        Overrides,
        Page,
        Recorded,
        RetentionKind,
        Sample,
        Settled,
        Tally,
        TokenInfo,
    )
    from moderate.ports.watching import Alike, NearText


class Earlier(Protocol):
    """What checks may ask about the past. Reads only."""

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Kind, status and article of items with that text since then, newest first, at most 50."""

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Items since then that may say nearly the same, the same text among them; newest first, at most 100."""

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """How many items of a verified author stand where: all, or those since then, with spam that was deleted."""


class Store(Earlier, Protocol):
    """Keeps items, history, counters and tasks.

    Every write is one transaction. Status moves only together with its history line and its
    counters, and only from the version that the caller saw. Failures raise `ServiceDown`.
    """

    def record(self, submission: Submission, verdict: Verdict, tasks: Sequence[NewTask], now: datetime) -> Recorded:
        """Store a submission, or meet the sender's first one: same idempotency key, or same ping source.

        A comment's repeat changes nothing. A ping's repeat revises the one item where it says
        something new, and in any case asks for its tasks again. Raises `Invalid` where the key was
        used for another text, or where the parent is no comment of the same article.
        """

    def item(self, item_id: int) -> Item | None: ...

    def thread(
        self,
        article: str,
        *,
        cursor: int | None,
        limit: int,
        newest_first: bool,
        mine: Collection[int] = (),
        kinds: Collection[Kind] = (),
    ) -> Page:
        """Return approved items of an article in the order of their ids.

        With *kinds* only those; with *mine* the pending and spam ones among these ids as well.
        """

    def page_start(self, article: str, item_id: int, *, kinds: Collection[Kind], size: int) -> int | None:
        """Return the `thread` cursor, oldest first, of the page of *size* items that holds an approved item.

        None stands for the first page, and for an item that is not in the list.
        """

    def waiting(self, article: str, mine: Collection[int]) -> Sequence[Item]:
        """Return the comments under an article, among these ids, that their author sees as waiting.

        Spam is among them, for its author is not told of it; what was trashed or taken back is not.
        """

    def parents(self, wanted: Collection[int]) -> Mapping[int, Item]:
        """Return items by id, of whatever status, without what only moderators see of them."""

    def published(self, article: str | None = None, *, limit: int, without: Collection[str] = ()) -> Sequence[Item]:
        """Return the approved items that became public last, the latest first.

        They are those of one article, or of all articles *without* those of some keys.
        """

    def items(self, which: ItemFilter, *, cursor: int | None, limit: int) -> Page:
        """Items for moderators, newest first."""

    def oldest_waiting(self) -> datetime | None:
        """Return since when the pending item that has waited longest waits for a moderator, None where none does."""

    def decide(
        self,
        item_id: int,
        decision: Decision,
        *,
        version: int,
        by: str,
        note: str | None,
        now: datetime,
        tasks: Sequence[NewTask] = (),
        batch: str | None = None,
        proposal: Proposal = Proposal.ACCEPT,
    ) -> Decided:
        """Move an item. Raises `UnknownItem`, or `DecidedMeanwhile` where `version` is stale.

        The same decision as the current status changes nothing, whatever the version, unless somebody
        has dealt with a changed text otherwise since. Such a text, where one waits, becomes the item's
        with any decision, for the newest one was decided about, or is dropped: `proposal` says which.
        `tasks` are written only where the decision changed something.
        """

    def decide_many(
        self,
        versions: Mapping[int, int],
        decision: Decision,
        *,
        by: str,
        note: str | None,
        batch: str,
        now: datetime,
        tasks: Sequence[NewTask] = (),
        proposal: Proposal = Proposal.ACCEPT,
    ) -> Bulk:
        """Decide on several items, given as {id: version}, in one transaction; see `decide` for each of them.

        What another decision has overtaken is left. Nobody else can write to these items meanwhile, so
        keep them to some dozens.
        """

    def undo(
        self, entries: Collection[int], *, by: str, batch: str, now: datetime, tasks: Sequence[NewTask] = ()
    ) -> Bulk:
        """Put items back to where they stood before these lines of the history, in one transaction.

        Left is what has changed since. A text that the decision had replaced or dropped comes back with it.
        Lines that are no decisions are passed over.
        """

    def versions(self, which: ItemFilter, limit: int) -> Mapping[int, int]:
        """The ids of items with their versions, newest first, at most *limit*."""

    def related(self, item: Item, limit: int) -> Sequence[Item]:
        """The newest other items with the same verified author, e-mail or IP address."""

    def history_page(
        self,
        *,
        moderator: str | None = None,
        item: int | None = None,
        batch: str | None = None,
        cursor: int | None,
        limit: int,
    ) -> HistoryPage:
        """The log, newest first; of one moderator, item or batch where these are given."""

    def entry(self, entry_id: int) -> HistoryEntry | None:
        """One line of the log."""

    def revise(
        self, item_id: int, submission: Submission, verdict: Verdict, tasks: Sequence[NewTask], now: datetime
    ) -> Recorded:
        """Give an item a new text. An approved item keeps its old text until the new one is approved.

        Raises `UnknownItem`. A text that says nothing new changes nothing.
        """

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

    def annotate(self, item: Item, findings: Sequence[Finding]) -> None:
        """Replace the findings of an item that stays where it is. Without effect where it has changed since."""

    def withdraw(
        self, item_id: int, now: datetime, note: str | None = None, *, tasks: Sequence[NewTask] = ()
    ) -> Decided:
        """The author, or a ping's source, takes an item back: to the trash. Spam stays spam.

        What lay in spam or trash already gets a new version and a line in its history, so that no
        earlier decision can be undone. `tasks` are written only where the status changed.
        """

    def is_withdrawn(self, item: Item) -> bool:
        """Whether its author has taken an item back, and nobody has decided about it since."""

    def confirm(self, item_id: int, author_id: str) -> Item | None:
        """Give a comment of nobody's to this author; its version stays. Returns it as it stands."""

    def delete(self, item_id: int, by: str, now: datetime) -> None:
        """Delete for good. Raises `UnknownItem`, or `NotAllowed` outside spam and trash."""

    def history(self, item_id: int) -> Sequence[HistoryEntry]: ...

    def counts(self, keys: Sequence[str]) -> dict[str, Counts]:
        """Counters of the articles, in one query whatever the number of keys; unknown keys count zero."""

    def totals(self) -> Counts:
        """The counters of the whole site."""

    def revision(self, article: str) -> int:
        """Grows whenever what readers see of the article changes."""

    def recount(self, *, repair: bool) -> Iterator[Drift | None]:
        """Count every article anew, one step an article; yields the drift found, None where there was none."""

    def articles_with_items(self) -> int:
        """How many steps `recount` will take, the site's own included."""

    def overrides(self, article: str) -> Overrides: ...

    def set_overrides(self, article: str, overrides: Overrides, now: datetime) -> None: ...

    def override_older(self, before: datetime, set_here: Mapping[str, object], now: datetime) -> int:
        """Set some fields of `Overrides` for all known articles published before then; returns for how many."""

    def add_rule(self, rule: Rule, by: str, now: datetime) -> tuple[RuleInfo, bool]:
        """Keep a moderator's rule, and tell whether it is new.

        The same value of a kind is there once: written again it takes the new effect and note.
        """

    def rules(self) -> Sequence[RuleInfo]:
        """All rules, the oldest first."""

    def delete_rule(self, rule_id: int) -> bool:
        """Whether there was such a rule."""

    def remember_article(self, article: Article, url_keys: Mapping[str, str], now: datetime) -> None:
        """Note an article, and its addresses as {key: address}; writes only what is new or changed.

        Does not wait for other writers: raises `ServiceDown` where it cannot be written at once.
        """

    def article_by_url(self, url_key: str) -> str | None:
        """The key of the article that was remembered under that address."""

    def lease_due(
        self,
        now: datetime,
        *,
        limit: int,
        seconds: float,
        kinds: Iterable[str] | None = None,
        without: Iterable[str] = (),
        known: Collection[str] | None = None,
        not_from: Collection[str] = (),
        is_fresh: bool = False,
        takes_over: bool = True,
    ) -> list[Task]:
        """Take tasks that are due and whose lease has ended, of *kinds* and not of those in *without*.

        No two workers get the same one. Where *known* names the kinds that the caller can do, up to a colon, others are
        left to a newer version of it for three days. *not_from* passes over what is about sources on these sites
        (host names, with all below them); *is_fresh* takes only what nobody has tried yet, and without
        *takes_over* what another worker has a lease of is left alone, even where that has ended.
        """

    def add_tasks(self, item_id: int, wanted: Sequence[NewTask], now: datetime) -> None:
        """Write tasks on their own; one of a kind that is open already is merged with it."""

    def finish_task(self, task: Task) -> None:
        """The task is done. Without effect where its lease was lost to another worker."""

    def retry_task(self, task: Task, due_at: datetime, error: str, *, is_attempt: bool = True) -> None:
        """The task failed and is due again then. What was only put off was no attempt, and stays as fresh as it was."""

    def bury_task(self, task: Task, error: str) -> None:
        """The task cannot be done; it is kept for a person."""

    def revive_task(self, task_id: int, now: datetime) -> bool:
        """A person wants a buried task tried again. False where there is none, or an open one of its kind."""

    def delete_tasks(self, ids: Sequence[int]) -> int:
        """Delete tasks that were given up, at most some hundred; returns how many there were."""

    def dead_tasks(self, limit: int = 100) -> Sequence[Task]:
        """Buried tasks, the latest first."""

    def late_tasks(self, before: datetime, limit: int = 100) -> Sequence[Task]:
        """Open tasks that were due before then, the oldest first."""

    def task_lag(self, now: datetime, known: Collection[str] | None = None) -> float:
        """Return for how many seconds the oldest task of the *known* kinds has been due, 0 where nothing is late."""

    def next_due(self, kinds: Iterable[str] | None = None) -> datetime | None:
        """When the next task may be taken, None where none is open."""

    def save_sample(
        self, item_id: int, payload: Mapping[str, object], verdict: str, guid: str | None, now: datetime
    ) -> None:
        """Keep what a spam service was asked last, and what it believes, for feedback."""

    def sample(self, item_id: int) -> Sample | None: ...

    def secret(self, name: str) -> bytes:
        """32 random bytes, made once and the same for all processes."""

    def use_once(self, name: str, expires_at: datetime, now: datetime) -> bool:
        """Whether this is the first use of *name*, remembered until `expires_at`."""

    def is_used(self, name: str, now: datetime) -> bool:
        """Whether `use_once` remembers *name*; asking changes nothing."""

    def mailbox(self, key: str) -> Mailbox:
        """What is remembered of a mailbox; an unknown one is as good as new."""

    def count_notices(self, key: str, mailbox: Mailbox) -> None:
        """Remember what a mailbox got, all but whether its owner unsubscribed."""

    def unsubscribe(self, key: str, at: datetime | None) -> None:
        """The mailbox's owner wants no more mail, or some again (None)."""

    def forget(
        self,
        kind: RetentionKind,
        before: datetime,
        now: datetime,
        *,
        after: int = ...,
        is_over: Callable[[], bool] = ...,
    ) -> Forgotten:
        """Remove what is older than *before*, in short transactions, some rows at a time.

        Goes through the ids above *after* until *is_over* says that the time is up. Statements that the server
        ends because they take too long are tried with fewer rows. Doing it again is harmless.
        """

    def time(self) -> datetime | None:
        """Return the time of the database's server; None for SQLite, whose clock is that of this host."""

    def oldest_item(self) -> datetime | None:
        """When the first of all items came in, by their ids; None where there is none."""

    def create_token(self, name: str, now: datetime, *, expires_at: datetime | None = None) -> str:
        """Make a bearer token for a moderator and return it; only its digest is kept."""

    def token_owner(self, token: str, now: datetime) -> str | None:
        """The moderator's name, None for what is unknown or revoked. Compared in constant time."""

    def tokens(self) -> Sequence[TokenInfo]: ...

    def revoke_token(self, name_or_id: str, now: datetime) -> int:
        """Revoke by name or id; returns how many were revoked."""

    def keep(self, name: str, value: Mapping[str, object], now: datetime, *, waits: bool = True) -> None:
        """Note what was found out, for all processes; it replaces what was kept under the name.

        With *waits* false, raises `ServiceDown` at once where another process is writing.
        """

    def kept(self, name: str) -> Kept | None: ...

    def tally(self, after: int, upto: int | None = None) -> Tally:
        """Count what lines of the history say whose ids are greater than *after*, and not than *upto*."""

    def newest_entry(self, before: datetime) -> int:
        """The id of the newest line of the history that is older than that, 0 where there is none."""
