"""The checks, in the order in which they are asked. A host adds its own: ``Moderate(checks=(*CHECKS, Mine()))``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.akismet.check import Akismet
from moderate.checks.crowd import Crowd
from moderate.checks.honeypot import Honeypot
from moderate.checks.links import Links
from moderate.checks.ping_signals import PingSignals
from moderate.checks.repeat import Repeat
from moderate.checks.source_link import SourceLink
from moderate.checks.timing import Timing
from moderate.checks.trusted import TrustedAuthor
from moderate.learned.check import Learned
from moderate.rules.check import Rules, TrustRules
from moderate.waves.check import Wave

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.checks.base import Check, Services

CHECKS: tuple[Check, ...] = (
    Honeypot(),  # costs nothing, and makes spam of what any other holds
    Rules(),  # what moderators wrote down goes before what we guess
    Timing(),  # free: the form's own token tells
    Links(),  # free: the cleaner has counted them
    PingSignals(),  # free, and most bad pings show them
    SourceLink(),  # a ping that nobody can follow back is worth nothing, whatever else it says
    Crowd(),  # free: the limiter has told
    Repeat(),  # one look into the store; before Akismet, so that a flood is not paid for
    Wave(),  # before rules that trust: a wave may come with a trusted word; verified authors it lets pass itself
    TrustRules(),  # may publish at once what nothing above holds; after the source of a ping was seen
    TrustedAuthor(),  # the same; everything below is only for strangers
    Learned(),  # this site's own experience, and free; what it is sure of is not sent elsewhere
    Akismet(),  # last: slow, paid, may be down, and sends what people wrote to somebody else
)


def in_use(checks: Iterable[Check], services: Services) -> tuple[Check, ...]:
    """The checks whose service the site has.

    A check names a service that it cannot do without as `needs`, a field of `Services`. Without it
    the check is left out altogether: else it would be listed as passed, or held for, in vain.
    """
    return tuple(check for check in checks if is_in_use(check, services))


def is_in_use(check: Check, services: Services) -> bool:
    needed = getattr(check, "needs", None)
    return needed is None or getattr(services, needed) is not None
