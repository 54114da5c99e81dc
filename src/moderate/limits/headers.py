"""The header fields of a limit's answer.

`RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-11 (an Internet-Draft of
May 2026): lists of Strings with parameters (RFC 9651). `q` is the quota and `w` its window in seconds;
`r` is what is left and `t` the seconds until more becomes available. The partition key (`pk`) is never
sent. `Retry-After` in whole seconds is RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from moderate.errors import RateLimited
from moderate.limits.policy import policy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.errors import Policy, ServiceDown
    from moderate.limits.rates import Taken


def retry_after_seconds(refusal: RateLimited | ServiceDown) -> int:
    """Whole seconds after which one more passes: rounded up, at least 1."""
    return max(1, math.ceil(refusal.retry_after))


def ratelimit_headers(answer: RateLimited | Taken) -> list[tuple[str, str]]:
    """The fields for a refusal (with Retry-After) or for what passed; an empty list where nothing was limited."""
    if isinstance(answer, RateLimited):
        retry = ("Retry-After", str(retry_after_seconds(answer)))
        return [retry, *_fields(answer.policies)]
    return _fields([policy_of(state) for state in answer.states])


def _fields(policies: Sequence[Policy]) -> list[tuple[str, str]]:
    if not policies:
        return []
    return [
        ("RateLimit-Policy", ", ".join(f'"{policy.name}";q={policy.quota};w={policy.window}' for policy in policies)),
        ("RateLimit", ", ".join(_left(policy) for policy in policies)),
    ]


def _left(policy: Policy) -> str:
    # Where the budget is full there is nothing to wait for, and the optional `t` is left out.
    again = f";t={policy.reset}" if policy.reset else ""
    return f'"{policy.name}";r={policy.remaining}{again}'
