"""The frozen values that are passed from the protocols through cleaning and checks to the store and back."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

# Values that hosts make, re-exported.
from moderate.hooks import Article as Article  # noqa: PLC0414, TC001
from moderate.hooks import Author as Author  # noqa: PLC0414, TC001
from moderate.hooks import Moderator as Moderator  # noqa: PLC0414
from moderate.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: The largest number of an item, a rule or a place in a list that a database can hold.
MAX_ID = 2**63 - 1


def whole_number(value: str, least: int = 1, most: int = MAX_ID) -> int | None:
    """Return the number from *least* to *most* that *value* writes in ASCII digits, None for all else."""
    is_plain = value.isascii() and value.isdigit() and len(value) <= len(str(MAX_ID))
    return int(value) if is_plain and least <= int(value) <= most else None


class Kind(enum.StrEnum):
    """The kinds of submissions. All but comments are pings: another site says that it wrote about an article."""

    COMMENT = "comment"
    TRACKBACK = "trackback"
    PINGBACK = "pingback"
    WEBMENTION = "webmention"

    is_ping: bool

    def __init__(self, value: str) -> None:
        self.is_ping = value != "comment"

    @property
    def label(self) -> Message:
        """The kind's name for people."""
        return KIND_LABELS[self]


KIND_LABELS = {
    Kind.COMMENT: Message("Comment"),
    Kind.TRACKBACK: Message("Trackback"),
    Kind.PINGBACK: Message("Pingback"),
    Kind.WEBMENTION: Message("Webmention"),
}

#: The kinds of pings, in the order in which they are listed.
PINGS = tuple(kind for kind in Kind if kind.is_ping)
#: Returns the approved pings of each kind; looked up once, because a list of articles asks for each of them.
_APPROVED_PINGS = attrgetter(*(kind.value for kind in PINGS))


class Status(enum.StrEnum):
    """The status of an item. Only `APPROVED` is public."""

    PENDING = "pending"
    APPROVED = "approved"
    SPAM = "spam"
    TRASH = "trash"

    @property
    def label(self) -> Message:
        """The status's name for people."""
        return STATUS_LABELS[self]


STATUS_LABELS = {
    Status.PENDING: Message("Pending"),
    Status.APPROVED: Message("Approved"),
    Status.SPAM: Message("Spam"),
    Status.TRASH: Message("Trash"),
}


class Awaiting(enum.StrEnum):
    """The reason that an item is pending: its checks have not all run, or a moderator has to decide."""

    CHECKS = "checks"
    MODERATOR = "moderator"


class Decision(enum.StrEnum):
    """A moderator's decision, possible from any status."""

    APPROVE = "approve"
    HOLD = "hold"
    SPAM = "spam"
    TRASH = "trash"


class Lean(enum.StrEnum):
    """The judgement of one check.

    `TRUST`, `SPAM` and `DISCARD` are certain: no further check is asked. Judgements are not averaged, so that
    one certain finding is never diluted by many weak ones.
    """

    TRUST = "trust"
    #: Shown to moderators; by itself it changes nothing.
    NOTE = "note"
    HOLD = "hold"
    #: The check came to no result (an outage, a bug, an answer that is not there yet). It holds the item.
    UNSURE = "unsure"
    SPAM = "spam"
    #: Spam so blatant that a setting may drop it unseen; without that setting it counts as spam.
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Client:
    """The origin of a request. `ip` is ``request.remote_addr`` as the host's proxies left it."""

    ip: str = ""
    user_agent: str = ""
    referrer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A submission as a protocol has read it, neither cleaned nor verified.

    `article` is the article's key; protocols that name the article by its address set `target_url` instead.
    `identity` is set only where the host's `author_loader` vouches for the author, `confirmed_id` where this
    browser has confirmed the typed e-mail address. `honeypot` is the content of the field that people do not see.
    `form_age` is the age of the signed form token in seconds, None without a valid one; `from_form` is True for
    requests of forms, which should have one. `markup` is the text of a ping's page as HTML that
    `moderate.sources.page_text` has made, None where the text is plain.
    """

    kind: Kind
    client: Client
    article: str | None = None
    target_url: str | None = None
    author: str = ""
    email: str = ""
    url: str = ""
    text: str = ""
    markup: str | None = None
    parent: int | None = None
    source_url: str | None = None
    title: str | None = None
    blog_name: str | None = None
    identity: Author | None = None
    confirmed_id: str | None = None
    honeypot: str = ""
    form_age: float | None = None
    from_form: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A text as typed and as HTML.

    `raw` is the text as it was sent, for Akismet and for cleaning anew under a later policy, never rendered.
    `html` was made by `moderate.text` under the policy named by `policy`. `links` are the
    addresses that the rendered text links to.
    """

    raw: str
    html: str
    policy: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A cleaned submission: every field is bounded, one line where it should be, and storable."""

    kind: Kind
    article: Article
    client: Client
    body: Body
    author: str
    email: str | None = None
    url: str | None = None
    author_id: str | None = None
    parent: int | None = None
    source_url: str | None = None
    #: The source in one spelling, so that a site cannot ping twice by writing its address differently.
    source_key: str | None = None
    #: The address that a ping's sender gave for the article; it is kept with the task that looks at the source.
    target_url: str | None = None
    title: str | None = None
    blog_name: str | None = None
    honeypot: str = ""
    form_age: float | None = None
    from_form: bool = False
    idempotency_key: str | None = None
    #: Digest of the text in one spelling (case, space and compatibility forms folded).
    text_key: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check on a submission. `reason` is a sentence for moderators.

    `again_after` is the number of seconds after which the check is to be asked again, None for never.
    """

    check: str
    lean: Lean
    reason: str
    score: float | None = None
    version: int = 1
    took_ms: float = 0.0
    at: datetime | None = None
    again_after: float | None = None
    #: The id of the rule that matched, where the check is about rules.
    rule: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings on a submission, and the status that follows from them.

    `passed` names the checks that ran and found nothing, `skipped` those that were not asked, with the reasons.
    """

    status: Status
    awaiting: Awaiting | None
    findings: tuple[Finding, ...] = ()
    passed: tuple[str, ...] = ()
    discard: bool = False
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A stored submission. `version` grows by one with every change of its status or its text."""

    id: int
    kind: Kind
    status: Status
    awaiting: Awaiting | None
    version: int
    article: str
    article_title: str
    article_url: str
    author: str
    email: str | None
    url: str | None
    author_id: str | None
    text: str
    html: str
    policy: str
    parent: int | None
    source_url: str | None
    title: str | None
    blog_name: str | None
    ip: str | None
    user_agent: str | None
    referrer: str | None
    text_key: str
    created_at: datetime
    edited_at: datetime | None
    findings: tuple[Finding, ...] = ()
    passed: tuple[str, ...] = ()
    #: The checks that were not asked, each with the reason; None where the item is older than this record.
    skipped: tuple[tuple[str, str], ...] | None = None
    #: The changed text of an approved item, while it waits for a moderator; the old one stays public.
    proposed: Mapping[str, str | None] | None = None
    #: The addresses that the text links to.
    links: tuple[str, ...] = ()
    honeypot: str = ""
    #: The moderator who decided last, None while only checks have.
    decided_by: str | None = None
    #: When it last became public; kept when it is taken off the page.
    public_at: datetime | None = None
    #: When it last came to wait for a moderator; kept when that has ended.
    waiting_since: datetime | None = None

    @property
    def is_public(self) -> bool:
        return self.status is Status.APPROVED


#: The one field of `Counts` that counts the items of a kind and a status.
COUNTERS = {
    **{(kind, status): f"{status.value}_{kind.value}" for kind in Kind for status in Status},
    **{(kind, Status.APPROVED): kind.value for kind in PINGS},
    (Kind.COMMENT, Status.APPROVED): "comments",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of an article, or of the whole site. The fields are columns of the counters' table."""

    comments: int = 0
    trackback: int = 0
    pingback: int = 0
    webmention: int = 0
    pending_comment: int = 0
    pending_trackback: int = 0
    pending_pingback: int = 0
    pending_webmention: int = 0
    spam_comment: int = 0
    spam_trackback: int = 0
    spam_pingback: int = 0
    spam_webmention: int = 0
    trash_comment: int = 0
    trash_trackback: int = 0
    trash_pingback: int = 0
    trash_webmention: int = 0

    @property
    def trackbacks(self) -> int:
        """The approved pings of all kinds: the number of the footer's ``Trackback(N)``."""
        return sum(_APPROVED_PINGS(self))

    @property
    def approved(self) -> int:
        return self.comments + self.trackbacks

    @property
    def pending(self) -> int:
        return self._sum(Status.PENDING)

    @property
    def spam(self) -> int:
        return self._sum(Status.SPAM)

    @property
    def trash(self) -> int:
        return self._sum(Status.TRASH)

    def _sum(self, status: Status) -> int:
        return sum(getattr(self, COUNTERS[kind, status]) for kind in Kind)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An entry of the append-only log of an item.

    `act` is ``received``, ``judged``, ``revised``, ``withdrawn`` or ``deleted``; by moderators ``decided``, ``undone``,
    or ``declined`` where a decision dropped a changed text. `by` is a moderator's name, None for checks and authors.
    """

    id: int
    item: int
    at: datetime
    act: str
    by: str | None
    before: Status | None
    after: Status
    version: int
    note: str | None = None
    batch: str | None = None
    #: The check that spoke last, ``"akismet"``, with its rule where it has one, ``"rules:7"``.
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of a submission. `is_new` is False where it repeats one that is stored already."""

    item: Item
    article: Article
    is_new: bool = True


#: The kinds of tasks that this version performs; a colon and more may follow each. Others are of a newer version.
TASK_KINDS = ("judge", "look", "teach", "notify", "confirm", "batch", "anew")

#: The item of tasks that are about no single one; ids begin at 1.
NO_ITEM = 0

#: The kind of a task that looks at a ping's source for the first time.
FIRST_LOOK = "judge:ping"

#: The key in a task's payload under which the deaths of its workers are counted.
DEATHS = "deaths"

#: The key that marks a task which a person has asked for again.
REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Deferred work on an item, leased to one worker until `lease_until`."""

    id: int
    kind: str
    item: int
    attempts: int
    due_at: datetime
    created_at: datetime
    payload: Mapping[str, object] = field(default_factory=dict)
    #: The name of this lease. A worker whose lease has ended cannot finish a task that another one has leased.
    lease: str = ""
    #: The error of the last attempt.
    error: str | None = None

    @property
    def deaths(self) -> int:
        """The number of workers whose lease on this task ended without a result: they were killed or crashed."""
        deaths = self.payload.get(DEATHS)
        return deaths if isinstance(deaths, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to be stored in the same transaction as the change that requires it."""

    kind: str
    due_at: datetime
    payload: Mapping[str, object] = field(default_factory=dict)


class ChangedText(enum.StrEnum):
    """The effect of a decision on a changed text that waits for approval; it has no effect where none waits."""

    #: It becomes the item's text, because decisions are on the newest text.
    ACCEPT = "accept"
    #: It is dropped, and the item's status moves with the text that it has.
    DECLINE = "decline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of a ping, as it was found at its source."""

    body: Body
    author: str
    url: str | None = None
    title: str | None = None
    blog_name: str | None = None
    text_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """The criteria of a moderator's list of items; None stands for any value."""

    status: Status | None = None
    kind: Kind | None = None
    article: str | None = None
    author: str | None = None
    ip: str | None = None
    #: The host of a ping's source, or of an author's website.
    host: str | None = None
    #: The id of an item: that one, and those whose text is the same or nearly so.
    like: int | None = None
    q: str | None = None
    awaiting: Awaiting | None = None
    #: 1 for what a person has decided on, 0 for what only checks have.
    decided: int | None = None

    def given(self) -> dict[str, Any]:
        """Return the fields that have a value."""
        return {name: value for name in FILTER_NAMES if (value := getattr(self, name)) is not None}


FILTER_NAMES = tuple(field.name for field in fields(ItemFilter))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of items, and the cursor (an item's id) of the next page, None at the end."""

    items: tuple[Item, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Decided:
    """The result of a decision. `changed` is False where the item had that status already."""

    item: Item
    before: Status
    changed: bool
    history: int | None = None
