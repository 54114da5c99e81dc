"""What is noticed beyond single items: texts that come again, waves of spam, what a service says of our account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from moderate.model import Kind, Status


@dataclass(frozen=True, slots=True)
class NearText:
    """What a text is found by when it comes again with a few words changed.

    Texts that share one of the `bands` (whole numbers of 32 bits with a sign) are worth comparing;
    they are nearly equal where few bits of their `simhash` (64 bits with a sign) differ.
    """

    simhash: int
    bands: tuple[int, int, int, int]

    def distance(self, simhash: int) -> int:
        """In how many of the 64 bits another text differs."""
        return ((self.simhash ^ simhash) & (1 << 64) - 1).bit_count()


@dataclass(frozen=True, slots=True)
class Alike:
    """An item that may say nearly the same; `simhash` is None where its text is too short to have one."""

    id: int
    kind: Kind
    status: Status
    article: str
    text_key: str
    simhash: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """How much that looks like spam came of one sort lately: since `started_at`, of `received` items in all."""

    name: str
    started_at: datetime
    seen: int
    received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A spam wave: everything is held, and limits are stricter, until `until`. `reason` is for moderators."""

    id: int
    started_at: datetime
    until: datetime
    reason: str
    #: How many items that looked like spam have come in since it was noticed.
    seen: int


class Waves(Protocol):
    """Bursts and waves, the same for all processes. Failures raise `ServiceDown`."""

    def count(
        self, names: Collection[str], item: int, now: datetime, window: float, *, firsts: Mapping[str, str] = ...
    ) -> Mapping[str, Burst]:
        """Count one suspicious item under each name, and return how these bursts now stand.

        A burst is forgotten, and begins anew, *window* seconds after it began. *firsts* gives names
        that the item is counted under as well where it is the first under another of *names*.
        """

    def open(self) -> Wave | None:
        """The wave that is open, be it past its time."""

    def begin(self, reason: str, now: datetime, until: datetime) -> Wave | None:
        """Open a wave; None where one is open already, which another process may have done just now."""

    def prolong(self, wave: int, until: datetime) -> None:
        """More came in: the wave goes on until then, never shorter than before."""

    def end(self, wave: int, now: datetime) -> bool:
        """Close a wave whose time is over; whether this call did it. Does not wait for other writers."""

    def forget(self, before: datetime) -> None:
        """Delete bursts that began before then."""


@dataclass(frozen=True, slots=True)
class AccountNote:
    """What is to be known about the site's account at a service: "alert", "bad-key", "usage", or "scarce"."""

    topic: str
    text: str
    at: datetime


class AccountNotes(Protocol):
    """What a service last said about our account, the same for all processes. Failures raise `ServiceDown`."""

    def keep(self, topic: str, text: str, now: datetime, *, quiet: float) -> bool:
        """Keep the latest word on a topic. Whether it is worth a notice: none was given for *quiet* seconds."""

    def drop(self, topics: Collection[str]) -> None:
        """The service no longer says so."""

    def all(self) -> Sequence[AccountNote]: ...


class Bell(Protocol):
    """Wakes workers in other processes. What nobody hears is found a few seconds later by polling."""

    def ring(self) -> None:
        """Say that there is work. Never raises, and never waits for long."""

    def listen(self, heard: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Call *heard* whenever somebody rings, until *is_over*, which is asked every second. Raises `ServiceDown`."""

    def close(self) -> None:
        """Close the connections, unless the host has made them."""
