"""Signed values that leave the server and come back: form and edit tokens, cookies, CSRF tokens, and links.

Opening a signed link (GET) changes nothing, because mail scanners and previews open links too; the button on its page
(POST) acts. A link with a lifetime works once. The address is a secret, which `keep_secret` takes care of.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import UUID

from flask import request

from moderate.http.answers import as_json
from moderate.http.operation import HTML_PAGE, Answer, Operation, Reply
from moderate.limits.spending import Costs

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from werkzeug.wrappers import Response

    from moderate.ports import Clock
    from moderate.submit.desk import Desk

    R = TypeVar("R", bound=Response)


class Signer:
    """Signs and opens small values. Each purpose has a salt of its own, so that a token is valid for one purpose alone.

    *database* returns bytes that identify the database: tokens name items by their ids, and apps that share a
    SECRET_KEY use the same ids. Times are whole seconds of *clock*.
    """

    def __init__(self, app: Flask, clock: Clock, *, database: Callable[[], bytes]) -> None:
        self._app = app
        self._clock = clock
        self._database = database

    def sign(self, purpose: str, value: Any) -> str:
        """Return a URL-safe text that holds *value* (JSON) and the time."""
        payload = _base64(as_json([int(self._clock.now().timestamp()), value]))
        key = _keys(purpose, self._database(), *self._secrets())[-1]
        return (payload + b"." + _signature(key, payload)).decode()

    def open(self, purpose: str, token: str | None, *, max_age: float | None = None) -> tuple[Any, float] | None:
        """Return the value and its age in seconds; None for a token that is invalid or older than *max_age* seconds."""
        if not token or len(token) > 4096:
            return None
        payload, _, signature = token.encode("utf-8", "replace").rpartition(b".")
        keys = _keys(purpose, self._database(), *self._secrets())
        if not any(hmac.compare_digest(signature, _signature(key, payload)) for key in keys):
            return None
        made_at, value = _read(payload)
        age = self._clock.now().timestamp() - made_at
        return None if max_age is not None and age > max_age else (value, age)

    def derive(self, purpose: str) -> bytes:
        """Return a key for the keyed hashes of one purpose."""
        return _derived(purpose, self._secrets()[-1])

    def derive_for_site(self, purpose: str) -> bytes:
        """Return a key as `derive` does, but another one for each database. Raises `ServiceDown`."""
        return _derived(purpose, self.derive(purpose) + self._database())

    def identity(self, purpose: str) -> UUID:
        """Return an id of the database for one purpose, which stays the same when the secrets are changed."""
        return UUID(bytes=hashlib.blake2b(purpose.encode(), key=self._database(), digest_size=16).digest(), version=4)

    def _secrets(self) -> list[bytes | str]:
        """Return the app's keys, oldest first: the last one signs, all of them open.

        Without a SECRET_KEY it is the one that the database stores for all processes.
        """
        config = self._app.config
        key = config["SECRET_KEY"]
        return [*(config.get("SECRET_KEY_FALLBACKS") or ()), key] if key else [self._database()]


@lru_cache(maxsize=64)
def _derived(purpose: str, secret: bytes | str) -> bytes:
    raw = secret.encode() if isinstance(secret, str) else secret
    return hashlib.blake2b(purpose.encode(), key=hashlib.sha256(raw).digest(), digest_size=32).digest()


@lru_cache(maxsize=64)
def _keys(purpose: str, database: bytes, *secrets: bytes | str) -> list[bytes]:
    """Return the keys for the signatures of one purpose, in the order of *secrets*."""
    salt = f"moderate.{purpose}.v2.".encode() + database
    return [hmac.digest(key.encode() if isinstance(key, str) else key, salt, "sha256") for key in secrets]


# The format is that of `itsdangerous.URLSafeSerializer`, whose own code takes seven times as long.

_from_json = json.JSONDecoder().decode
_URL_SAFE, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")


def _base64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


def _signature(key: bytes, payload: bytes) -> bytes:
    return _base64(hmac.digest(key, payload, "sha256"))


def _read(payload: bytes) -> Any:
    """Return the value of a payload whose signature is valid."""
    # itsdangerous, by which values were signed before, compresses those that become shorter by it.
    text = payload.removeprefix(b".")
    data = a2b_base64(text.translate(_FROM_URL) + b"=" * (-len(text) % 4))
    return _from_json((zlib.decompress(data) if payload.startswith(b".") else data).decode())


# --- links with a signed token ------------------------------------------------------------------------

#: How far the clocks of two machines may differ: the use of a link is remembered for so much longer than it is valid.
CLOCK_SKEW = timedelta(minutes=1)

#: No script of another origin, no inline script, no framing: hostile text cannot run anywhere.
CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLink:
    """One kind of link. *purpose* salts the signatures of its tokens; a *lifetime* of None never ends.

    *rule*, such as ``/mail/<token>``, *endpoint*, *replies* and *problems* belong to its views, and *about* describes
    the token in the OpenAPI document; see `Operation`. Tokens that are not valid are charged to the rate limit named
    *limit*, so that guessing is slow; valid ones cost nothing, so that guessing does not keep others at the same
    address out.
    """

    purpose: str
    rule: str
    endpoint: str
    about: str
    limit: str
    lifetime: timedelta | None = None
    replies: tuple[Reply, ...] = (HTML_PAGE,)
    problems: tuple[str, ...] = ("rate-limited",)

    def operation(self, method: Literal["GET", "POST"], summary: str, **changes: Any) -> Operation:
        """Return the declaration of a view: GET shows the page with the button, POST is the button."""
        declared: dict[str, Any] = {"link": self.about, "replies": self.replies, "problems": self.problems}
        return Operation(method, self.rule, self.endpoint, summary, has_problem_pages=True, **(declared | changes))

    def issue(self, signer: Signer, base: str, value: object) -> str:
        """Return the address of a new link that holds *value* (JSON). *base* is the address of the blueprint."""
        return base + self.rule.replace("<token>", signer.sign(self.purpose, value))

    def open(self, signer: Signer, desk: Desk, token: str) -> tuple[Any, float] | None:
        """Return a token's value and its age in seconds, None where it is not valid. Raises `RateLimited`."""
        max_age = None if self.lifetime is None else self.lifetime.total_seconds()
        found = signer.open(self.purpose, token, max_age=max_age)
        if found is None:
            self.charge(desk)
        return found

    def charge(self, desk: Desk) -> None:
        """Charge the client for a token that is not valid. Raises `RateLimited`."""
        desk.limits.spend(Costs(self.limit, request.remote_addr or ""))

    def is_spent(self, desk: Desk, use: str) -> bool:
        """Return whether a link was used. *use* names what it is good for: the same for all copies of one link."""
        return desk.store.nonces.is_used(f"{self.purpose}:{use}", desk.clock.now())

    def spend(self, desk: Desk, use: str) -> bool:
        """Record the use of a link that has a lifetime. Return False where it was used before."""
        if self.lifetime is None:
            return True
        now = desk.clock.now()
        return desk.store.nonces.use_once(f"{self.purpose}:{use}", now + self.lifetime + CLOCK_SKEW, now)


#: The form on the page of an unsubscribe link.
class AgainIn(Answer):
    again: Literal["1"] | None = None


def unsubscribe(desk: Desk, mailbox: str) -> bool:
    """Do what a request to an unsubscribe link asks for (RFC 8058). Return whether the mailbox gets no more mails.

    ``again=1`` in the form undoes it.
    """
    is_out = request.form.get("again") != "1"
    desk.store.mailboxes.unsubscribe(mailbox, desk.clock.now() if is_out else None)
    return is_out


def keep_secret(response: R) -> R:
    """Set the header fields that keep the address of a page out of caches, search engines, frames and referrers."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CSP
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
