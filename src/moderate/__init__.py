"""Comments and trackbacks for Flask sites."""

from moderate.checks.base import Check, Facts
from moderate.checks.order import CHECKS
from moderate.database.migrate import include_name
from moderate.errors import ConfigError, HookError, ModerateError, Refused, ServiceDown
from moderate.extension import Moderate
from moderate.model import (
    Article,
    Author,
    Counts,
    Decision,
    Finding,
    Item,
    Kind,
    Lean,
    Moderator,
    Receipt,
    Status,
    Submission,
)
from moderate.protocols import PROTOCOLS
from moderate.signals import (
    counts_changed,
    item_approved,
    item_held,
    item_marked_spam,
    item_received,
    item_trashed,
    wave_ended,
    wave_started,
)

__all__ = [
    "CHECKS",
    "PROTOCOLS",
    "Article",
    "Author",
    "Check",
    "ConfigError",
    "Counts",
    "Decision",
    "Facts",
    "Finding",
    "HookError",
    "Item",
    "Kind",
    "Lean",
    "Moderate",
    "ModerateError",
    "Moderator",
    "Receipt",
    "Refused",
    "ServiceDown",
    "Status",
    "Submission",
    "counts_changed",
    "include_name",
    "item_approved",
    "item_held",
    "item_marked_spam",
    "item_received",
    "item_trashed",
    "wave_ended",
    "wave_started",
]
