"""Exceptions, as one tree with stable codes.

`Refused` is for faults of the sender: a submission or a decision was rejected and nothing was changed. `ServiceDown`
is for a failure of something that moderate depends on. `moderate.http.answers` maps codes to HTTP statuses; the texts
for senders of trackbacks and pingbacks are in their protocols.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from moderate.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.model import Item


#: For a reply to a comment that does not exist or is not public.
NO_PARENT = Message("The comment that this answers is not there.")


class ModerateError(Exception):
    """The root of all errors that this package raises on purpose."""


class ConfigError(ModerateError):
    """A setting is wrong, and the app does not start. The text has the key, the value and what is accepted."""

    def __init__(self, key: str, value: object, accepted: str) -> None:
        super().__init__(f"{key} = {value!r} is not usable: {accepted}")
        self.key = key
        self.value = value
        self.accepted = accepted


class HookError(ModerateError, TypeError):
    """A hook of the host returned something else than its type or None.

    The text has the hook and the type that it returned, but not the value, which may hold personal data.
    """

    def __init__(self, hook: str, expected: str, got: str) -> None:
        super().__init__(f"{hook} must return {expected} or None, not {got}.")
        self.hook = hook


class FieldError(NamedTuple):
    """A fault of one field, in words for the person who filled it in."""

    field: str
    message: str


class Refused(ModerateError):
    """A request was refused, and nothing was stored or changed.

    `code` is stable and part of the public API; `public` is a text for the sender.
    """

    code: ClassVar[str] = "refused"
    default: ClassVar[str] = "This was refused."

    def __init__(self, public: str = "") -> None:
        super().__init__(public or self.default)
        self.public: str = public or self.default


class Invalid(Refused):
    """One or more fields cannot be accepted as they are; all of them are named at once."""

    code = "invalid"
    default = "Some fields are invalid."

    def __init__(self, errors: Sequence[FieldError], public: str = "") -> None:
        super().__init__(public)
        self.errors: tuple[FieldError, ...] = tuple(errors)

    @classmethod
    def field(cls, field: str, message: str) -> Invalid:
        """Return the error for a single field."""
        return cls([FieldError(field, message)])


class TooLarge(Refused):
    code = "too-large"
    default = "This is larger than what is accepted here."


class UnsupportedMediaType(Refused):
    code = "unsupported-media-type"
    default = "Send a form (application/x-www-form-urlencoded or multipart/form-data) or application/json."


class UnknownArticle(Refused):
    code = "unknown-article"
    default = "There is no such article."


class UnknownItem(Refused):
    code = "unknown-item"
    default = "There is no such item."


class UnknownDecision(Refused):
    code = "unknown-decision"
    default = "There is no such decision."


class UnknownRule(Refused):
    code = "unknown-rule"
    default = "There is no such rule."


class Closed(Refused):
    code = "closed"
    default = "Comments on this article are closed."


class RateLimited(Refused):
    """Too many requests in too short a time. One more passes after `retry_after` seconds.

    `policies` names the limits that were looked at, for the RateLimit-Policy header field.
    """

    code = "rate-limited"

    def __init__(self, retry_after: float, policies: Sequence[Policy] = (), public: str = "") -> None:
        super().__init__(public or Message("Too many requests. Try again in {time}.", time=rounded_up(retry_after)))
        self.retry_after = retry_after
        self.policies: tuple[Policy, ...] = tuple(policies)


def rounded_up(seconds: float) -> Message:
    """Return a wait in words, in the unit that suits its length and never too short."""
    if seconds < 90:
        return Message("{n} second", "{n} seconds", n=max(1, math.ceil(seconds)))
    if seconds < 5400:
        return Message("{n} minute", "{n} minutes", n=math.ceil(seconds / 60))
    return Message("{n} hour", "{n} hours", n=math.ceil(seconds / 3600))


class Policy(NamedTuple):
    """One limit as it stood when a request was refused, for the RateLimit fields."""

    name: str
    quota: int
    window: int
    remaining: int
    reset: int


class NotAllowed(Refused):
    """The item's status does not allow this. `legal` has the statuses, or the acts, that would."""

    code = "not-allowed"
    default = "The status of the item does not allow this."

    def __init__(self, public: str = "", legal: Sequence[str] = ()) -> None:
        super().__init__(public)
        self.legal: tuple[str, ...] = tuple(legal)


class DecidedMeanwhile(Refused):
    """Another moderator has decided on the item since the version that this decision was made for."""

    code = "decided-meanwhile"
    default = "Another moderator decided on this in the meantime."

    def __init__(self, item: Item, by: str | None, public: str = "") -> None:
        super().__init__(public)
        self.item = item
        self.by = by


class UnexpectedNumber(Refused):
    """A filter matches other items than the moderator saw: now `found`, a number, and `seen`, the key of the set."""

    code = "unexpected-number"
    default = "The filter matches other items than expected. Look again before deciding."

    def __init__(self, found: int, seen: str, public: str = "") -> None:
        super().__init__(public)
        self.found = found
        self.seen = seen


class Unauthorized(Refused):
    code = "unauthorized"
    default = "Sign in as a moderator first."


class Forbidden(Refused):
    code = "forbidden"
    default = "This is not allowed."


#: The kind of a `ServiceDown` whose reason already contains the advice.
EXPLAINED = "explained"


class ServiceDown(ModerateError):
    """A service that moderate depends on failed or did not answer in time.

    `service` is its short name (``"database"``, ``"redis"``, ``"akismet"``), `retry_after` the seconds after which a
    new attempt makes sense. The text is for logs and moderators and never holds a secret.
    """

    code: ClassVar[str] = "unavailable"

    def __init__(self, service: str, reason: str = "", retry_after: float = 5.0, kind: str = "") -> None:
        super().__init__(f"{service}: {reason}" if reason else service)
        self.service = service
        self.reason = reason
        self.retry_after = retry_after
        #: The sort of failure, where callers need it (Akismet: bad-key, timeout, refused, protocol, resting;
        #: `EXPLAINED`).
        self.kind = kind


class CopyRefused(ModerateError):
    """A copy from one database to another was not made. The text has the reason, and holds no secret."""


class BackupRefused(ModerateError):
    """A backup or a restore was not made, and nothing was changed. The text has the reason."""


class Undeliverable(ModerateError):
    """A notice that its destination refused permanently. The text holds no secret.

    `is_gone` is True where the destination refuses all further notices.
    """

    def __init__(self, reason: str, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


#: The values of `FetchFailed.kind`.
FetchFailure = Literal[
    "blocked", "busy", "refused", "timeout", "dns", "too-large", "bad-response", "redirects", "content-type", "status"
]


class FetchFailed(ModerateError):
    """A page of another site could not be fetched or read.

    `reason` is for logs and moderators. `public` is the same for all failures, because a sender must not learn which
    addresses and ports exist in our network: a verifier that distinguishes "blocked", "refused" and "missing" can be
    used as a port scanner. `is_temporary` is True where a later attempt may succeed.
    """

    public: ClassVar[str] = "The source could not be fetched."
    _temporary: ClassVar[frozenset[str]] = frozenset({"busy", "refused", "timeout", "dns", "bad-response"})

    def __init__(self, kind: FetchFailure, reason: str, *, temporary: bool | None = None) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason
        self.is_temporary: bool = kind in self._temporary if temporary is None else temporary


class Halted(ModerateError):
    """A batch of decisions was stopped, or another worker has gone on with it. Nothing was changed."""
