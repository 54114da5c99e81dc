"""The desk: everything of one app that takes part when items are submitted and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moderate.akismet.sql import AccountNotes
    from moderate.articles import HostArticles
    from moderate.checks.base import Check, Services
    from moderate.limits.spending import Limits
    from moderate.monitoring.warnings import Outages
    from moderate.notices.values import Confirming
    from moderate.ports import Clock, Notifier
    from moderate.settings import Settings
    from moderate.store.store import Store
    from moderate.text.tags import Policy
    from moderate.waves.watch import WaveWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The parts of one app that submitting, moderating and deferred tasks work with; built in `moderate.build`."""

    #: The sender of the signals.
    app: object
    articles: HostArticles
    store: Store
    limits: Limits
    checks: tuple[Check, ...]
    policy: Policy
    settings: Settings
    services: Services
    clock: Clock
    waves: WaveWatch
    account: AccountNotes
    outages: Outages
    #: The destinations of notices.
    notifiers: tuple[Notifier, ...] = ()
    #: None where MODERATE_CONFIRM_EMAIL is off.
    confirming: Confirming | None = None
