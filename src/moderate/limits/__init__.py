"""Rate limits: readable text in the settings, one decision per request, over any number of processes.

`rates` reads the settings, `policy` decides which budgets a request spends from, `local` and `redis`
(imported on its own, with its client) count, and `outage` says what holds while Redis is away.
"""

from moderate.limits.headers import ratelimit_headers, retry_after_seconds
from moderate.limits.local import LocalLimiter
from moderate.limits.outage import PROBE, GuardedLimiter, Outage, OutagePolicy
from moderate.limits.policy import Costs, Limits
from moderate.limits.rates import ACTIONS, DEFAULT_LIMITS, LimitTable, parse_limits

__all__ = [
    "ACTIONS",
    "DEFAULT_LIMITS",
    "PROBE",
    "Costs",
    "GuardedLimiter",
    "LimitTable",
    "Limits",
    "LocalLimiter",
    "Outage",
    "OutagePolicy",
    "parse_limits",
    "ratelimit_headers",
    "retry_after_seconds",
]
