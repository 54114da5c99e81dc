"""Spam waves: detected by bursts of suspicious items, answered by holding everything, ended after some time.

Only suspicious items are counted, in the transaction that stores them, under their article, text and sender and for
the whole site. During a wave the check `moderate.checks.history.Wave` holds everything that comes in, the limits of
senders are stricter, and moderators are notified once instead of for each item. The wave ends half an hour after the
last burst.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.checks.base import NO_EVIDENCE
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.lifecycle import Suspicion
from moderate.limits.spending import client_net, keyed
from moderate.model import Item, Lean, Status
from moderate.text.similarity import near_text
from moderate.web_address import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from moderate.lifecycle import Burst
    from moderate.limits.spending import Limits
    from moderate.model import Submission, Verdict
    from moderate.ports import Clock
    from moderate.waves.sql import Wave, Waves

log = logging.getLogger("moderate")

#: Seconds in which a burst has to happen. Shorter, and a slow robot passes; longer, and a week's spam adds up.
WINDOW = 600.0
#: A busy article gets some spam, but not a dozen within ten minutes by chance.
ON_ARTICLE = 12
#: The same text this often in so short a time has one author, whatever names are given.
OF_TEXT = 8
#: Spam from this many different senders at once comes from a botnet.
OF_SENDERS = 20
#: Without any of these signs: this much spam on the whole site, and as a share of all items.
ON_SITE = 30
SHARE = 0.8

#: The time for which everything is held after the last burst.
LASTS = timedelta(minutes=30)
#: The smallest step by which a wave is prolonged, so that it is not written for each item.
STEP = timedelta(minutes=1)
#: The factor by which the limits of senders are stricter during a wave.
STRICTER = 4.0
#: Seconds for which a process caches the current wave, so that a clean comment costs no query.
FRESH = 3.0

SUSPICIOUS = frozenset({Lean.HOLD, Lean.SPAM, Lean.DISCARD})
#: Checks whose hold is not about the item. To count them would let a wave prolong itself.
UNCOUNTED_CHECKS = NO_EVIDENCE | {"article", "task"}


UNCOUNTED = "An item could not be counted for spam waves (%s)."


class WaveWatch:
    """The detection of waves in one process. *secret* returns the key for hashing senders. Thread-safe."""

    def __init__(self, app: object, waves: Waves, limits: Limits, clock: Clock, *, secret: Callable[[], bytes]) -> None:
        self._app = app
        self._waves = waves
        self._limits = limits
        self._clock = clock
        self._secret = secret
        self._wave: Wave | None = None
        self._fresh_until = float("-inf")

    def current(self) -> Wave | None:
        """Return the current wave, at most `FRESH` seconds old; None without one. Raises `ServiceDown`."""
        if self._clock.monotonic() >= self._fresh_until:
            self._look()
        wave = self._wave
        return wave if wave is not None and self._clock.now() < wave.until else None

    def suspicion(self, item: Submission | Item, verdict: Verdict | Item) -> Suspicion | None:
        """Return the names under which an item with a verdict counts for waves, None where it is not suspicious."""
        if not is_suspicious(verdict):
            return None
        try:
            secret, in_wave = self._secret(), self.current() is not None
        except ServiceDown as error:
            log.warning(UNCOUNTED, error)
            return None
        sender = f"sender:{keyed(secret, 'wave', sender_of(item))}"
        # Each sender counts once, so that a single one does not look like many.
        return Suspicion([sender, "site", *names_of(item, secret)], WINDOW, (sender, "senders"), in_wave)

    def note(self, item: Item) -> None:
        """Count an item that is stored already, if it is suspicious. Never raises."""
        suspicion = self.suspicion(item, item)
        if suspicion is not None:
            try:
                self.heed(self._waves.count(suspicion, item.id, self._clock.now()))
            except ServiceDown as error:
                log.warning(UNCOUNTED, error, extra={"moderate_item": item.id})

    def heed(self, bursts: Mapping[str, Burst]) -> None:
        """Begin or prolong a wave where the bursts in which an item was counted show one. Never raises."""
        reason = reason_of(bursts)
        if reason is not None:
            try:
                self._rise(reason, self._clock.now())
            except ServiceDown as error:
                log.warning(UNCOUNTED, error)

    def forget(self) -> None:
        """Delete bursts that are over."""
        self._waves.forget(self._clock.now() - timedelta(seconds=WINDOW))

    def _look(self) -> None:
        wave, now = self._waves.open(), self._clock.now()
        if wave is not None and wave.until <= now:
            self._end(wave, now)
            wave = None
        self._adopt(wave)

    def _end(self, wave: Wave, now: datetime) -> None:
        """Close a wave whose time is over. In an outage the next call of `_look` tries again."""
        try:
            is_first = self._waves.end(wave.id, now)
        except ServiceDown:
            return
        if is_first:
            log.warning("The spam wave is over: %d items that looked like spam.", wave.seen)
            signals.send(signals.wave_ended, self._app, wave=wave)

    def _adopt(self, wave: Wave | None) -> None:
        if wave is not None:
            self._limits.tighten(STRICTER, (wave.until - self._clock.now()).total_seconds())
        elif self._wave is not None:
            self._limits.tighten(1, 0)
        self._wave = wave
        self._fresh_until = self._clock.monotonic() + FRESH

    def _rise(self, reason: str, now: datetime) -> None:
        wave = self.current()
        if wave is None:
            begun = self._waves.begin(reason, now, now + LASTS)
            if begun is None:
                # Another process has.
                self._fresh_until = float("-inf")
            else:
                log.warning("A spam wave: %s. Everything is held until %s UTC.", reason, f"{begun.until:%H:%M}")
                self._adopt(begun)
                signals.send(signals.wave_started, self._app, wave=begun)
        elif wave.until < now + LASTS - STEP:
            self._waves.prolong(wave.id, now + LASTS)
            self._fresh_until = float("-inf")


def is_suspicious(verdict: Verdict | Item) -> bool:
    """Return True if a check found something against the item itself."""
    for finding in verdict.findings:
        if finding.lean in SUSPICIOUS and finding.check not in UNCOUNTED_CHECKS:
            return verdict.status is not Status.APPROVED
    return False


def sender_of(item: Submission | Item) -> str:
    """Return the sender of an item: the site of a ping, or the network of a comment's author."""
    if item.source_url:
        return host_of(item.source_url) or item.source_url
    return client_net(item.ip if isinstance(item, Item) else item.client.ip).own


def names_of(item: Submission | Item, secret: bytes) -> Iterator[str]:
    """Yield the names that an item is counted under besides the site: its article, and keys of near duplicates."""
    article, text = (item.article, item.text) if isinstance(item, Item) else (item.article.key, item.body.raw)
    yield f"article:{keyed(secret, 'wave', article)}"
    near = near_text(text)
    if near is not None:
        yield from (f"text:{number}:{band}" for number, band in enumerate(near.bands))
    elif item.text_key:
        yield f"text:{item.text_key}"


def reason_of(bursts: Mapping[str, Burst]) -> Message | None:
    """Return why these bursts are a wave, in words for moderators; None where they are not."""
    minutes = round(WINDOW / 60)
    for name, burst in bursts.items():
        kind, seen = name.partition(":")[0], burst.seen
        if kind == "article" and seen >= ON_ARTICLE:
            return Message(
                "{n} items that look like spam came on one article within {minutes} minutes", n=seen, minutes=minutes
            )
        if kind == "text" and seen >= OF_TEXT:
            return Message("nearly the same text came {n} times within {minutes} minutes", n=seen, minutes=minutes)
        if kind == "senders" and seen >= OF_SENDERS:
            return Message(
                "{n} different senders brought what looks like spam within {minutes} minutes", n=seen, minutes=minutes
            )
        if kind == "site" and seen >= ON_SITE and seen >= SHARE * burst.received:
            return Message(
                "{n} of {all} items within {minutes} minutes look like spam",
                n=seen,
                all=burst.received,
                minutes=minutes,
            )
    return None
