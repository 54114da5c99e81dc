"""Rate limits: readable text in the settings, one decision per request, over any number of processes.

`rates` reads the settings, `policy` decides which budgets a request spends from, and `local` or `moderate.redis`
(imported only where it is used, with its client) count. `local` also goes on while Redis is down.
"""

from moderate.limits.local import PROBE, LocalLimiter, OutagePolicy
from moderate.limits.policy import Costs, Limits, client_net, keyed, ratelimit_headers, retry_after_seconds
from moderate.limits.rates import ACTIONS, DEFAULT_LIMITS, LimitTable, parse_limits

__all__ = [
    "ACTIONS",
    "DEFAULT_LIMITS",
    "PROBE",
    "Costs",
    "LimitTable",
    "Limits",
    "LocalLimiter",
    "OutagePolicy",
    "client_net",
    "keyed",
    "parse_limits",
    "ratelimit_headers",
    "retry_after_seconds",
]
