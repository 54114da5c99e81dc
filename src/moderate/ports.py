"""The Protocols that hosts implement, or that have several implementations, with the values in their signatures.

`Check` is in `moderate.checks.base`, `InboundProtocol` in `moderate.protocols.base`.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from moderate.limits.rates import Bucket, Taken
    from moderate.model import Item, Kind, Status
    from moderate.notices.values import Event, Notice, Recipient
    from moderate.text.similarity import Alike, NearText


class Clock(Protocol):
    """The only source of time. Tests use one that they move by hand."""

    def now(self) -> datetime:
        """Return the current moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, which never go back."""


class Earlier(Protocol):
    """Questions about earlier items that checks may ask. Reads only."""

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Return kind, status and article of items with that text since then, newest first, at most 50."""

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Return items since then with the same text or perhaps a nearly equal one; newest first, at most 100."""

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """Return how many items of a verified author have each status: of all, or since then with deleted spam."""

    def newest_public(self, most: int) -> Sequence[str]:
        """Return how the texts of the newest public items begin, at most so many."""


RuleKind = Literal["word", "host", "email", "ip"]
RuleEffect = Literal["hold", "spam", "trust"]


class Rule(NamedTuple):
    """One rule of a moderator: submissions that match *value* are held, spam, or trusted."""

    id: int
    kind: RuleKind
    value: str
    effect: RuleEffect
    note: str = ""


class Rules(Protocol):
    """The moderators' rules. An implementation may answer from memory for a few seconds."""

    def active(self) -> Sequence[Rule]: ...


class TokenTable(NamedTuple):
    """Counts of some tokens: (in spam, in good items) for each, and for all messages and tokens together.

    `weights` are the weights of the same tokens in the logistic regression, `bias` is its constant.
    """

    counts: Mapping[int, tuple[int, int]]
    messages: tuple[int, int]
    tokens: tuple[int, int]
    weights: Mapping[int, float] = MappingProxyType({})
    bias: float = 0.0


class Extent(NamedTuple):
    """The size of what a filter has learned: the texts from files among its examples, and the tokens that it knows."""

    from_files: int
    tokens: int


class TokenCounts(Protocol):
    """The counts of the learned filter. Tokens are keyed 64-bit hashes: the table is no word list."""

    def key(self) -> bytes:
        """Return the secret that tokens are hashed with, the same for as long as the counts are kept."""

    def has_seen(self, least: int) -> bool:
        """Return whether at least *least* spam and *least* good items were taught.

        True is remembered, and False for some seconds if other processes teach.
        """

    def lookup(self, tokens: Collection[int]) -> TokenTable:
        """Return the counts of *tokens* in one query, without tokens that were never taught."""

    def taught(self, items: Collection[int]) -> Mapping[int, bool]:
        """Return whether each of *items* was taught as spam, without those that were not taught; at most 500."""

    def extent(self) -> Extent:
        """Count what was learned. Reads the whole table; for reports."""

    def teach(self, item: int, tokens: Collection[int], is_spam: bool | None, step: float = 0.0) -> bool:
        """Count an item's tokens as spam or good, or forget them (None), and add *step* to their weights and the bias.

        Doing it twice changes nothing, and an item that was taught the other way is unlearned first: the step is
        kept with the item, and what it added is subtracted again. Returns whether anything changed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamSample:
    """A submission as a spam service gets it, with the field names of Akismet's comment-check.

    It is stored with the item as it was sent, because feedback must repeat each field. It holds personal data and is
    deleted after the site's retention time. Times are ISO 8601 in UTC.
    """

    user_ip: str
    user_agent: str = ""
    referrer: str = ""
    permalink: str = ""
    comment_type: str = "comment"
    comment_author: str = ""
    comment_author_email: str = ""
    comment_author_url: str = ""
    comment_content: str = ""
    comment_date_gmt: str = ""
    comment_post_modified_gmt: str = ""
    comment_parent: str = ""
    comment_context: tuple[str, ...] = ()
    honeypot_field_name: str = ""
    honeypot_value: str = ""
    user_role: str = ""
    blog_lang: str = ""
    recheck_reason: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the fields that are not empty, for ``json.dumps``."""
        filled = {name: value for name, value in asdict(self).items() if value or name == "user_ip"}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in filled.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> SpamSample:
        """Return the sample that `to_json` was called on. Unknown names, of another version, are left out."""
        known = {field.name for field in fields(cls)}
        values: dict[str, object] = {name: value for name, value in stored.items() if name in known}
        context = values.get("comment_context", ())
        values["comment_context"] = tuple(str(part) for part in context) if isinstance(context, list | tuple) else ()
        return cls(**{"user_ip": "", **values})  # type: ignore[arg-type]


class SpamWord(enum.StrEnum):
    """The verdict of a spam service."""

    HAM = "ham"
    SPAM = "spam"
    #: Spam beyond doubt, which the service advises to drop unseen.
    DISCARD = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamAnswer:
    """An answer of the service. With `recheck_after` (seconds), "ham" is provisional until it is asked again.

    `guid` is the service's id of this check. `alert_code` and `alert_msg` are about the account (over its limit,
    unpaid, suspended), for moderators.
    """

    word: SpamWord
    recheck_after: float | None = None
    guid: str = ""
    alert_code: str = ""
    alert_msg: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamUsage:
    """The number of calls of this month that are used. `limit` is None for a plan without one."""

    limit: int | None
    used: int
    percentage: float
    throttled: bool


class SpamService(Protocol):
    """A service that judges text. Every failure raises `ServiceDown`; no answer is ever guessed."""

    def check(self, sample: SpamSample) -> SpamAnswer: ...

    def teach(self, sample: SpamSample, is_spam: bool) -> None:
        """Report a moderator's decision. *sample* is equal to the checked one, field by field."""

    def verify(self) -> bool:
        """Return whether the service accepts the configured key for this site."""

    def usage(self) -> SpamUsage: ...

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""


class Limiter(Protocol):
    """A counter of requests. Raises `ServiceDown`; a time-out is never counted twice."""

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        """Spend one from each bucket, or from none; without *spend* only return whether one more would pass."""


class Notifier(Protocol):
    """One destination of notices: a mailbox or a webhook."""

    @property
    def key(self) -> str:
        """Up to 32 letters and digits, the same for as long as the destination is configured."""

    @property
    def events(self) -> frozenset[Event]: ...

    @property
    def per_hour(self) -> int | None:
        """The number of notices in an hour after which further ones are gathered into a digest; None for no digests.

        A destination with a number is a person, who may unsubscribe.
        """

    def deliver(self, notice: Notice) -> None:
        """Send. Raises `ServiceDown` where trying again may help, else `Undeliverable`."""

    def probe(self) -> None:
        """Try the connection without sending anything. Raises `ServiceDown`."""


class NoticeLinks(Protocol):
    """Absolute addresses for mails and webhooks, used outside of any request."""

    def decide(self, item: Item, button: str, to: Recipient) -> str:
        """Return a page where *to* can decide on this version of the item without a login.

        The page has one button, of those in `moderate.moderation.labels`; *button* is its name.
        """

    def unsubscribe(self, to: Recipient) -> str: ...

    def queue(self) -> str: ...
