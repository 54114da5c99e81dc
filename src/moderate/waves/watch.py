"""Spam waves: noticed by bursts of what looks like spam, answered by holding everything, ended by themselves.

Only what looks like spam is counted, one upsert each: under the article, the text, the sender and
the whole site. While a wave lasts the check `moderate.waves.check` holds whatever comes in, the
senders' limits shrink, and people are told once instead of once for each item. Half an hour after
the last burst it is over.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate import signals
from moderate.checks.near import near_text
from moderate.errors import ServiceDown
from moderate.i18n import Message
from moderate.limits.policy import client_net, keyed
from moderate.model import Lean, Status
from moderate.web_address import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from moderate.limits import Limits
    from moderate.model import Item
    from moderate.ports import Clock
    from moderate.waves.sql import Burst, Wave, Waves

log = logging.getLogger("moderate")

#: Seconds in which a burst has to happen. Shorter, and a slow robot passes; longer, and a week's spam adds up.
WINDOW = 600.0
#: A lively article gets some spam; a dozen within ten minutes nobody has seen by chance.
ON_ARTICLE = 12
#: The same words so often in so short a time come from one hand, whatever names stand below them.
OF_TEXT = 8
#: Spam from so many different senders at once is a network of robots.
OF_SENDERS = 20
#: Without any of these signs: so much spam on the whole site, and hardly anything else.
ON_SITE = 30
SHARE = 0.8

#: How long everything is held after the last burst.
LASTS = timedelta(minutes=30)
#: A wave is not written anew for each item, only once it would end sooner by this.
STEP = timedelta(minutes=1)
#: By how much the senders' own budgets shrink meanwhile.
STRICTER = 4.0
#: Seconds for which a process goes by what it knows: a clean comment costs no statement more.
FRESH = 3.0

SUSPICIOUS = frozenset({Lean.HOLD, Lean.SPAM, Lean.DISCARD})
#: What these hold says nothing about the text: they are about the site, and would feed the wave with itself.
NO_EVIDENCE = frozenset({"wave", "crowd", "article", "task"})


class WaveWatch:
    """One process's view of waves. *secret* gives the key under which senders are counted. Safe for threads."""

    def __init__(self, app: object, waves: Waves, limits: Limits, clock: Clock, *, secret: Callable[[], bytes]) -> None:
        self._app = app
        self._waves = waves
        self._limits = limits
        self._clock = clock
        self._secret = secret
        self._wave: Wave | None = None
        self._fresh_until = float("-inf")

    def current(self) -> Wave | None:
        """The wave that goes on, as known a few seconds ago at most. Raises `ServiceDown`."""
        if self._clock.monotonic() >= self._fresh_until:
            self._look()
        wave = self._wave
        return wave if wave is not None and self._clock.now() < wave.until else None

    def note(self, item: Item) -> None:
        """Count an item that looks like spam, which may begin a wave. Never raises: the item is stored already."""
        if not is_suspicious(item):
            return
        try:
            self._count(item)
        except ServiceDown as error:
            extra = {"moderate_item": item.id}
            log.warning("An item could not be counted for spam waves (%s).", error, extra=extra)

    def forget(self) -> None:
        """Housekeeping: bursts that are over."""
        self._waves.forget(self._clock.now() - timedelta(seconds=WINDOW))

    def _look(self) -> None:
        wave, now = self._waves.open(), self._clock.now()
        if wave is not None and wave.until <= now:
            self._end(wave, now)
            wave = None
        self._adopt(wave)

    def _end(self, wave: Wave, now: datetime) -> None:
        """Close a wave whose time is over. Where that cannot be written now, the next look tries again."""
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

    def _count(self, item: Item) -> None:
        now, secret = self._clock.now(), self._secret()
        sender = f"sender:{keyed(secret, 'wave', sender_of(item))}"
        names = [sender, "site", *names_of(item, secret)]
        # Senders are counted once each, so that one alone is no network.
        bursts = self._waves.count(names, item.id, now, WINDOW, firsts={sender: "senders"})
        reason = reason_of(bursts)
        if reason is not None:
            self._rise(reason)

    def _rise(self, reason: str) -> None:
        now = self._clock.now()
        wave = self._waves.open()
        if wave is None:
            begun = self._waves.begin(reason, now, now + LASTS)
            if begun is not None:
                log.warning("A spam wave: %s. Everything is held until %s UTC.", reason, f"{begun.until:%H:%M}")
                self._adopt(begun)
                signals.send(signals.wave_started, self._app, wave=begun)
        elif wave.until < now + LASTS - STEP:
            self._waves.prolong(wave.id, now + LASTS)
            self._fresh_until = float("-inf")


def is_suspicious(item: Item) -> bool:
    """Whether a check had something against the item itself."""
    if item.status is Status.APPROVED:
        return False
    return any(finding.lean in SUSPICIOUS and finding.check not in NO_EVIDENCE for finding in item.findings)


def sender_of(item: Item) -> str:
    """Whom an item came from: the site that pings, or the network of who wrote."""
    if item.source_url:
        return host_of(item.source_url) or item.source_url
    return client_net(item.ip).own


def names_of(item: Item, secret: bytes) -> Iterator[str]:
    """Under what an item is counted besides the site: its article, and what nearly equal texts share."""
    yield f"article:{keyed(secret, 'wave', item.article)}"
    near = near_text(item.text)
    if near is not None:
        yield from (f"text:{number}:{band}" for number, band in enumerate(near.bands))
    elif item.text_key:
        yield f"text:{item.text_key}"


def reason_of(bursts: Mapping[str, Burst]) -> Message | None:
    """Return why these bursts are a wave, in words for moderators; None where they are not."""
    minutes = Message("within {n} minutes", n=f"{WINDOW / 60:.0f}")
    for name, burst in bursts.items():
        kind, seen = name.partition(":")[0], burst.seen
        if kind == "article" and seen >= ON_ARTICLE:
            return Message("{n} items that look like spam came on one article {minutes}", n=seen, minutes=minutes)
        if kind == "text" and seen >= OF_TEXT:
            return Message("nearly the same text came {n} times {minutes}", n=seen, minutes=minutes)
        if kind == "senders" and seen >= OF_SENDERS:
            return Message("{n} different senders brought what looks like spam {minutes}", n=seen, minutes=minutes)
        if kind == "site" and seen >= ON_SITE and seen >= SHARE * burst.received:
            return Message("{n} of {all} items {minutes} look like spam", n=seen, all=burst.received, minutes=minutes)
    return None
