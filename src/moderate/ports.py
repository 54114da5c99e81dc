"""What the acts ask of the world outside. Each promise stands here once; adapters say "see the port"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from moderate.lifecycle import Premoderation
    from moderate.model import (
        Article,
        Awaiting,
        Body,
        Counts,
        Decision,
        HistoryEntry,
        Item,
        Kind,
        Status,
        Submission,
        Task,
        Verdict,
    )
    from moderate.spam import SpamAnswer, SpamSample, SpamUsage


class Clock(Protocol):
    """The only source of time; tests move it by hand."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""


# --- limits ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` events per `seconds`, of which `burst` may come at once (`count` unless told)."""

    count: int
    seconds: int
    burst: int = 0

    @property
    def capacity(self) -> int:
        return self.burst or self.count


@dataclass(frozen=True, slots=True)
class Bucket:
    """One budget that a request spends from. `key` holds no plain address or e-mail."""

    name: str
    key: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class BucketState:
    """How one bucket stood after a decision: what is left, and seconds until it is full again."""

    bucket: Bucket
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer of one decision. `wait` is 0 where all buckets were spent from, else seconds to wait.

    `crowded` names the shared budgets (of an article, of the site) that are used up although the
    sender stays within its own: what comes in is to be held for a person, not refused.
    """

    wait: float
    states: tuple[BucketState, ...] = ()
    crowded: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.wait <= 0


class Limiter(Protocol):
    """Spends one from each bucket, or from none. Raises `ServiceDown`; a time-out is never counted twice."""

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        """With `spend=False` only looks: the answer tells whether one more would pass."""


# --- the host's articles --------------------------------------------------------------------------


class Articles(Protocol):
    """The host's articles. Everything that a loader raises goes through: a bug there is the host's to see."""

    def load(self, key: str) -> Article | None: ...

    def find(self, url: str) -> Article | None: ...

    def remember(self, article: Article) -> None:
        """Note that the article is being shown, so that pings to its addresses find it."""


class Tables(Protocol):
    """The version of the store's tables. Failures raise `ServiceDown`."""

    def upgrade(self) -> str:
        """Create the tables or bring them up to date; returns the version. Safe from several processes at once."""

    def current(self) -> str | None:
        """The version of the tables as they are, None where there are none."""

    def is_current(self) -> bool: ...

    def differences(self) -> list[str]:
        """What differs between the tables and this version of the code, in words."""


# --- what checks ask -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """One line that a moderator wrote: what matches *value* is held, spam, or trusted."""

    id: int
    kind: Literal["word", "host", "email", "ip"]
    value: str
    effect: Literal["hold", "spam", "trust"]
    note: str = ""


class Rules(Protocol):
    """The moderators' rules, cheap to ask for: an adapter may answer from memory for a few seconds."""

    def active(self) -> Sequence[Rule]: ...


@dataclass(frozen=True, slots=True)
class TokenTable:
    """What was learned of some tokens: (as spam, as good) for each, and for all messages and tokens together."""

    counts: Mapping[int, tuple[int, int]]
    messages: tuple[int, int]
    tokens: tuple[int, int]


class TokenCounts(Protocol):
    """What the learned filter has seen. Tokens are keyed 64-bit hashes: the table is no word list."""

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        """The counts of *tokens* in one query; tokens never seen are left out."""

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None) -> bool:
        """Count an item's tokens as spam or good, or forget them (None).

        Doing it twice changes nothing, and an item that was taught the other way is unlearned
        first. Returns whether anything changed.
        """


class SpamService(Protocol):
    """Judges text for us. Every failure is raised as `ServiceDown`; no answer is ever guessed."""

    def check(self, sample: SpamSample) -> SpamAnswer: ...

    def teach(self, sample: SpamSample, is_spam: bool) -> None:
        """Tell the service what a person decided. *sample* is what was checked, field by field."""

    def verify(self) -> bool:
        """Whether the service accepts our key for this site."""

    def usage(self) -> SpamUsage: ...


# --- other sites ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of another site, whole and decompressed.

    `url` is where the redirects ended, without a fragment. `content_type` is the header field as
    it came. `body` is empty where `status` is 400 or more: what an error page says matters to nobody.
    """

    url: str
    status: int
    content_type: str
    body: bytes


class Fetcher(Protocol):
    """Reads pages of other sites, which name themselves and are therefore never trusted."""

    def fetch(self, url: str, *, about: str) -> Fetched:
        """GET a page and return the answer for every status of 200 to 299 and of 400 to 599.

        `about` says for whom and why, and goes into the User-Agent: ``"+https://news.example/;
        verifying webmention ping from 192.0.2.7"``. Raises `FetchFailed` for all else. Blocks for
        seconds: only for deferred work, never within a request.
        """


# --- the store ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items a moderator wants to see; None means "any"."""

    status: Status | None = None
    kind: Kind | None = None
    article: str | None = None
    author: str | None = None
    ip: str | None = None
    q: str | None = None
    awaiting: Awaiting | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of items and the cursor (an item's id) of the next one, None at the end."""

    items: tuple[Item, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """Work to be written in the same transaction as what makes it necessary."""

    kind: str
    due_at: datetime
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored item, where it stood before (None where it is new), and whether this call wrote anything."""

    item: Item
    before: Status | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did. `changed` is False where the item stood there already."""

    item: Item
    before: Status
    changed: bool
    history: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a deferred verdict did. `item` is None where the item is gone; then there was nothing to settle.

    `changed` is False where a person had decided before, or where the verdict was about an earlier text.
    """

    item: Item | None
    before: Status | None
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an item says, as it was found at a ping's source."""

    body: Body
    author: str
    url: str | None = None
    title: str | None = None
    blog_name: str | None = None
    text_key: str = ""

    def columns(self) -> dict[str, object]:
        """By the names that `Item` gives to the same."""
        return {
            "author": self.author,
            "url": self.url,
            "text": self.body.raw,
            "html": self.body.html,
            "policy": self.body.policy,
            "links": list(self.body.links),
            "title": self.title,
            "blog_name": self.blog_name,
            "text_key": self.text_key,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """What a spam service was asked about an item, as it was sent, and what it answered."""

    payload: Mapping[str, object]
    verdict: str
    guid: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Drift:
    """A counter row that did not match its items: what stood there, and what was counted."""

    article: str
    stored: Counts
    counted: Counts


@dataclass(frozen=True, slots=True)
class Overrides:
    """What moderators set for one article; None leaves the host's own word."""

    comments_open: bool | None = None
    pings_open: bool | None = None
    premoderation: Premoderation | None = None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A moderator's bearer token as listed: never the secret."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class Earlier(Protocol):
    """What checks may ask about the past. Reads only."""

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Kind, status and article of items with that text since then, newest first, at most 50."""

    def author_record(self, author_id: str) -> Mapping[Status, int]:
        """How many items of a verified author stand where."""


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

    def repeat_of(self, article: str, idempotency_key: str) -> Item | None: ...

    def thread(
        self, article: str, *, cursor: int | None, limit: int, newest_first: bool, mine: Collection[int] = ()
    ) -> Page:
        """Approved items of an article in the order of their ids, with the pending or spam ones of `mine`."""

    def items(self, which: ItemFilter, *, cursor: int | None, limit: int) -> Page:
        """Items for moderators, newest first."""

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
    ) -> Decided:
        """Move an item. Raises `UnknownItem`, or `DecidedMeanwhile` where `version` is stale.

        The same decision as the current status changes nothing, whatever the version. A changed
        text that waits becomes the item's text with any decision: the newest one was decided about.
        `tasks` are written only where the decision changed something.
        """

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

    def withdraw(self, item_id: int, now: datetime, note: str | None = None) -> Decided:
        """The author, or a ping's source, takes an item back: to the trash. Spam stays spam."""

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

    def remember_article(self, article: Article, url_keys: Mapping[str, str], now: datetime) -> None:
        """Note an article, and its addresses as {key: address}; writes only what is new or changed."""

    def article_by_url(self, url_key: str) -> str | None:
        """The key of the article that was remembered under that address."""

    def lease_due(self, now: datetime, *, limit: int, seconds: float, kinds: Iterable[str] | None = None) -> list[Task]:
        """Take tasks that are due and whose lease has ended. No two workers get the same one."""

    def add_tasks(self, item_id: int, wanted: Sequence[NewTask], now: datetime) -> None:
        """Write tasks on their own; one of a kind that is open already is merged with it."""

    def finish_task(self, task: Task) -> None:
        """The task is done. Without effect where its lease was lost to another worker."""

    def retry_task(self, task: Task, due_at: datetime, error: str) -> None:
        """The task failed and is due again then."""

    def bury_task(self, task: Task, error: str) -> None:
        """The task cannot be done; it is kept for a person."""

    def revive_task(self, task_id: int, now: datetime) -> bool:
        """A person wants a buried task tried again. False where there is none, or an open one of its kind."""

    def dead_tasks(self, limit: int = 100) -> Sequence[Task]:
        """Buried tasks, the latest first."""

    def task_lag(self, now: datetime) -> float:
        """Seconds for which the oldest task has been due, 0 where nothing is late."""

    def next_due(self, kinds: Iterable[str] | None = None) -> datetime | None:
        """When the next task may be taken, None where none is open."""

    def save_sample(
        self, item_id: int, payload: Mapping[str, object], verdict: str, guid: str | None, now: datetime
    ) -> None:
        """Keep what a spam service was asked last, and what it believes, for feedback."""

    def sample(self, item_id: int) -> Sample | None: ...

    def expire_samples(self, before: datetime) -> int:
        """Delete samples made before then; returns how many."""

    def secret(self, name: str) -> bytes:
        """32 random bytes, made once and the same for all processes."""

    def use_once(self, name: str, expires_at: datetime, now: datetime) -> bool:
        """Whether this is the first use of *name*, remembered until `expires_at`."""

    def create_token(self, name: str, now: datetime) -> str:
        """Make a bearer token for a moderator and return it; only its digest is kept."""

    def token_owner(self, token: str, now: datetime) -> str | None:
        """The moderator's name, None for what is unknown or revoked. Compared in constant time."""

    def tokens(self) -> Sequence[TokenInfo]: ...

    def revoke_token(self, name_or_id: str, now: datetime) -> int:
        """Revoke by name or id; returns how many were revoked."""
