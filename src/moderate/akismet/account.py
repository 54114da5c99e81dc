"""Notes about the site's account at the spam service: its warnings, its usage, and a key that is refused.

They are stored, so that every process shows them: on the queue page, in health and in ``check-config``. What somebody
has to act on is logged once in six hours, not with each item.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.akismet.values import SpamAnswer, SpamUsage
    from moderate.submit.desk import Desk

log = logging.getLogger("moderate")

#: Seconds between two notices about the same trouble.
QUIET = 6 * 3600.0
#: From this share of the month's calls on the usage is worth a notice.
MUCH = 90.0

SERVICE = "akismet"
BAD_KEY = "bad-key"
ALERT = "alert"
USAGE = "usage"
SCARCE = "scarce"


def note(desk: Desk, answers: Iterable[SpamAnswer | ServiceDown]) -> None:
    """Store what the answers and failures of the service show about the account."""
    for said in answers:
        if isinstance(said, ServiceDown):
            if said.service == SERVICE and said.kind not in {BAD_KEY, "resting"}:
                desk.outages.failed(SERVICE, said)
            if said.kind == BAD_KEY:
                keep(desk, BAD_KEY, refused(said))
            continue
        desk.outages.over(SERVICE)
        if said.alert_code:
            keep(desk, ALERT, warning(said))
            drop(desk, {BAD_KEY})
        else:
            drop(desk, {BAD_KEY, ALERT})


def refused(error: ServiceDown) -> Message:
    return Message(
        "The key is refused: {reason}. Items wait; check MODERATE_AKISMET_KEY.", reason=Message.of(error.reason)
    )


def warning(answer: SpamAnswer) -> Message:
    message = answer.alert_msg or Message("no message")
    return Message("Warning {code}: {message}", code=answer.alert_code, message=message)


def keep(desk: Desk, topic: str, text: str, *, is_urgent: bool = True) -> None:
    is_news = desk.account.keep(topic, text, desk.clock.now(), quiet=QUIET)
    if is_news and is_urgent:
        log.warning("Akismet: %s", text, extra={"moderate_service": SERVICE})


def drop(desk: Desk, topics: set[str]) -> None:
    """Delete notes that no longer hold. Reads before it writes, because it is called after every answer."""
    if any(known.topic in topics for known in desk.account.all()):
        desk.account.drop(topics)


def ask_usage(desk: Desk) -> None:
    """Ask how many of the month's calls are used, and note it. In an outage the last note stays."""
    if desk.services.spam is None:
        return
    try:
        usage = desk.services.spam.usage()
    except ServiceDown as error:
        note(desk, [error])
        return
    topic, other = (SCARCE, USAGE) if usage.throttled or usage.percentage >= MUCH else (USAGE, SCARCE)
    keep(desk, topic, usage_words(usage), is_urgent=topic == SCARCE)
    drop(desk, {other})


def usage_words(usage: SpamUsage) -> Message:
    """Return the month's usage as a sentence."""
    used, percent = usage.used, f"{usage.percentage:.0f}"
    words = (
        Message("{used} calls this month, without a limit", used=used)
        if usage.limit is None
        else Message("{used} calls this month, of {most} ({percent} %)", used=used, most=usage.limit, percent=percent)
    )
    return Message("{what}; the service slows us down", what=words) if usage.throttled else words
