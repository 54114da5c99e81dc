"""The checks, in the order in which they are asked. A host adds its own: ``Moderate(checks=(*CHECKS, Mine()))``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.akismet.check import Akismet
from moderate.checks.form import Honeypot, Links, Timing
from moderate.checks.history import Crowd, Repeat, TrustedAuthor, Wave
from moderate.checks.pings import PingSignals, SourceLink
from moderate.learned.check import Learned
from moderate.rules.check import Rules, TrustRules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.checks.base import Check, Services

CHECKS: tuple[Check, ...] = (
    Honeypot(),  # costs nothing; becomes spam itself where a check of the content holds as well
    Rules(),  # what moderators wrote comes before what we guess
    Timing(),  # free: the form's token has the time
    Links(),  # free: the cleaner has counted them
    PingSignals(),  # free, and most bad pings show them
    SourceLink(),  # a ping without a link back is spam, whatever else it says
    Crowd(),  # free: the limiter has found out
    Repeat(),  # one query; before Akismet, so that a flood is not paid for
    Wave(),  # before rules that trust: a wave may use a trusted word; it lets verified authors pass itself
    TrustRules(),  # may publish at once what nothing above holds; after the source of a ping was read
    TrustedAuthor(),  # the same; everything below is only for strangers
    Learned(),  # this site's own experience, and free; what it is sure of is not sent elsewhere
    Akismet(),  # last: slow, paid, may be down, and sends what people wrote to another company
)


def refuse_checks(checks: Iterable[Check]) -> None:
    """Raise `TypeError`, with the check and the reason, for a host's check that cannot be asked."""
    for check in checks:
        if isinstance(check, type):
            raise TypeError(f"The check {check.__name__} is not usable: it is a class, write {check.__name__}()")
        for name in ("name", "version", "remote", "kinds", "look"):
            if not hasattr(check, name):
                raise TypeError(
                    f"The check {type(check).__name__} is not usable: it has no {name!r}; "
                    "moderate.checks.base.CheckDefaults has all but 'name' and 'look'"
                )


def in_use(checks: Iterable[Check], services: Services) -> tuple[Check, ...]:
    """Return the checks whose service the site has.

    A check names the field of `Services` that it needs as `needs`. It is left out where that is None, so that it is
    not listed as passed.
    """
    needed = [(check, getattr(check, "needs", None)) for check in checks]
    return tuple(check for check, name in needed if name is None or getattr(services, name) is not None)
