"""The values that travel through the desk. All of them are frozen: nobody edits one on its way."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

# Values that have files of their own.
from moderate.hooks import Article as Article  # noqa: PLC0414, TC001
from moderate.hooks import Author as Author  # noqa: PLC0414, TC001
from moderate.hooks import Moderator as Moderator  # noqa: PLC0414
from moderate.reading.counts import Counts as Counts  # noqa: PLC0414

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


#: The largest number of an item, a rule or a place in a list that a database can hold.
MAX_ID = 2**63 - 1


class Kind(enum.StrEnum):
    """The four ways in. The last three are pings: another site says that it wrote about an article."""

    COMMENT = "comment"
    TRACKBACK = "trackback"
    PINGBACK = "pingback"
    WEBMENTION = "webmention"

    @property
    def is_ping(self) -> bool:
        return self is not Kind.COMMENT


class Status(enum.StrEnum):
    """Where an item stands. Only `APPROVED` is public."""

    PENDING = "pending"
    APPROVED = "approved"
    SPAM = "spam"
    TRASH = "trash"


class Awaiting(enum.StrEnum):
    """Whom a pending item waits for."""

    CHECKS = "checks"
    MODERATOR = "moderator"


class Decision(enum.StrEnum):
    """What a moderator may decide, from any status."""

    APPROVE = "approve"
    HOLD = "hold"
    SPAM = "spam"
    TRASH = "trash"


class Lean(enum.StrEnum):
    """Which way one check leans.

    `TRUST`, `SPAM` and `DISCARD` are certain and end the look; the others let it go on.
    There is no average: one certain finding is never diluted by many weak ones.
    """

    TRUST = "trust"
    #: Worth telling a moderator; by itself it changes nothing.
    NOTE = "note"
    HOLD = "hold"
    #: The check could not tell (an outage, a bug, an answer still to come). It holds the item.
    UNSURE = "unsure"
    SPAM = "spam"
    #: Spam so blatant that a setting may drop it unseen; without that setting it counts as spam.
    DISCARD = "discard"

    @property
    def is_certain(self) -> bool:
        return self in {Lean.TRUST, Lean.SPAM, Lean.DISCARD}


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from. `ip` is ``request.remote_addr`` as the host's proxies left it."""

    ip: str = ""
    user_agent: str = ""
    referrer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What a protocol read off a request, before anything of it is believed.

    `article` is the key for ways in that name one; Pingback and Webmention give `target_url`
    instead. `identity` is set only where the host's `author_loader` vouches for the author.
    `honeypot` is what stood in the field that people do not see. `form_age` is how many seconds
    old the signed form token was, None without a valid one; `from_form` says that the request was
    a form's, which should have carried one. `confirmed_id` is the identity that goes with the typed
    e-mail address, where this browser has confirmed it. `markup` is the text of a ping's page as HTML that
    `moderate.sources.page_markup` has made, None where the text has no form of its own.
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
    """A text in both its forms.

    `raw` is as it came: for Akismet and for cleaning anew under a later policy, never rendered.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLook:
    """What a look at the page that a ping names has shown."""

    #: Why the page could not be read, in words for moderators; empty where it was read.
    trouble: str = ""
    #: The page is there and says of itself that it is deleted.
    is_gone: bool = False
    links_here: bool = False
    #: How many addresses of other hosts the page links to.
    outgoing_links: int = 0
    #: The address that the page was read from in the end, behind all redirects; empty where it was not read.
    read_from: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has to say about a submission. `reason` is for moderators, in plain words.

    `again_after` is set where the check wants to be asked again: after so many seconds.
    """

    check: str
    lean: Lean
    reason: str
    score: float | None = None
    version: int = 1
    took_ms: float = 0.0
    at: datetime | None = None
    again_after: float | None = None
    #: The moderators' rule that spoke, where the check is about rules.
    rule: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings together, and what follows from them.

    `passed` names the checks that ran and found nothing: a later reader must know that they ran.
    """

    status: Status
    awaiting: Awaiting | None
    findings: tuple[Finding, ...] = ()
    passed: tuple[str, ...] = ()
    discard: bool = False
    #: The checks that were not asked, each with the reason.
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


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of the append-only log of an item."""

    id: int
    item: int
    at: datetime
    #: ``received``, ``judged``, ``revised``, ``withdrawn``, ``deleted``; by moderators ``decided``, ``undone``, and
    #: ``declined`` where a decision dropped a changed text.
    act: str
    #: A moderator's name, or None where checks or the author acted.
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
    """What became of a submission. `is_new` is False where the sender's repeat met its first item."""

    item: Item
    article: Article
    is_new: bool = True


#: The kinds of tasks that this version does; behind a colon each may say more. Others come from a newer version.
TASK_KINDS = ("judge", "look", "teach", "notify", "confirm")

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
    #: Names this lease: a worker whose lease has ended can no longer finish what another took over.
    lease: str = ""
    #: What went wrong the last time.
    error: str | None = None

    @property
    def deaths(self) -> int:
        """The number of workers whose lease on this task ended without a result: they were killed or crashed."""
        deaths = self.payload.get(DEATHS)
        return deaths if isinstance(deaths, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """Work to be written in the same transaction as what makes it necessary."""

    kind: str
    due_at: datetime
    payload: Mapping[str, object] = field(default_factory=dict)


class Proposal(enum.StrEnum):
    """What a decision does with a changed text that waits behind an approved one; without one it says nothing."""

    #: It becomes the item's text: what was decided about is the newest.
    ACCEPT = "accept"
    #: It is dropped, and the item's status moves with the text that it has.
    DECLINE = "decline"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items a moderator wants to see; None means "any"."""

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


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of items and the cursor (an item's id) of the next one, None at the end."""

    items: tuple[Item, ...]
    next: int | None


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
class Left:
    """An item that a decision on many, or an undo, has left as it is, and why.

    `now` is the item as it stands, None where it is gone; `by` decided on it last. `code` is that
    of the refusal which the same would have met alone.
    """

    id: int
    code: str
    now: Item | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Bulk:
    """What became of many items at once."""

    done: tuple[Decided, ...] = ()
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a deferred verdict did. `item` is None where the item is gone; then there was nothing to settle.

    `changed` is False where a person had decided before, or where the verdict was about an earlier text.
    """

    item: Item | None
    before: Status | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """How often what was done, by labels.

    `verdicts`: (check, status) where a check put an item. `decisions`: (act, from, to) by moderators.
    `overrides`: (check, from, to) where a moderator took an item from where a check had put it.
    """

    verdicts: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    decisions: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    overrides: Mapping[tuple[str, ...], int] = field(default_factory=dict)
