"""Promises to the package: the Protocols of which there is more than one implementation, or that hosts implement.

`moderate.checks.base.Check` and `moderate.protocols.base.InboundProtocol` stand beside what they work on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from moderate.model import ChangedText

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from moderate.akismet.values import SpamAnswer, SpamSample, SpamUsage
    from moderate.checks.near import Alike, NearText
    from moderate.limits.rates import Bucket, Taken
    from moderate.model import Decision, Item, Kind, Status
    from moderate.notices.values import Event, Notice, Recipient


class Clock(Protocol):
    """The only source of time; tests move it by hand."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""


class Earlier(Protocol):
    """What checks may ask about the past. Reads only."""

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Kind, status and article of items with that text since then, newest first, at most 50."""

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Items since then that may say nearly the same, the same text among them; newest first, at most 100."""

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """How many items of a verified author stand where: all, or those since then, with spam that was deleted."""


RuleKind = Literal["word", "host", "email", "ip"]
RuleEffect = Literal["hold", "spam", "trust"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line that a moderator wrote: what matches *value* is held, spam, or trusted."""

    id: int
    kind: RuleKind
    value: str
    effect: RuleEffect
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

    def key(self) -> bytes:
        """The secret that tokens are hashed under, the same for as long as the counts are kept."""

    def has_seen(self, least: int) -> bool:
        """Whether so many items of either kind were ever taught; once they were, nobody is asked again."""

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

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""


class Limiter(Protocol):
    """Spends one from each bucket, or from none. Raises `ServiceDown`; a time-out is never counted twice."""

    def take(self, buckets: Sequence[Bucket], *, spend: bool = True) -> Taken:
        """With `spend=False` only looks: the answer tells whether one more would pass."""


class Notifier(Protocol):
    """One destination: a mailbox, or a program somewhere."""

    @property
    def key(self) -> str:
        """Up to 32 letters and digits, the same for as long as the destination is."""

    @property
    def events(self) -> frozenset[Event]: ...

    @property
    def per_hour(self) -> int | None:
        """After how many notices in an hour further ones are gathered into one; None never gathers.

        Whoever is told so is a person and may unsubscribe.
        """

    def deliver(self, notice: Notice) -> None:
        """Tell. Raises `ServiceDown` where trying again may help, else `Undeliverable`."""

    def probe(self) -> None:
        """See whether it could be told, and tell nothing. Raises `ServiceDown`."""


class NoticeLinks(Protocol):
    """Absolute addresses for mails and hooks; they are used outside of any request."""

    def decide(self, item: Item, decision: Decision, to: Recipient, change: ChangedText = ChangedText.ACCEPT) -> str:
        """A page where *to* can decide on this version of the item with one button, without a login.

        `change` says what becomes of a changed text that waits.
        """

    def unsubscribe(self, to: Recipient) -> str: ...

    def queue(self) -> str: ...
