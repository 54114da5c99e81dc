"""Signed texts that leave the server and come back: form tokens, edit tokens, cookies, CSRF tokens."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from moderate.ports import Clock


class Signer:
    """Signs and opens small values. Each purpose has a salt of its own, so that no token serves another.

    `secrets` gives the keys, oldest first; the last one signs, all of them open. `database` gives
    what tells one database from another: tokens name items by their numbers, and apps that share a
    SECRET_KEY number theirs alike. Times come from our own clock, in whole seconds, so that tests
    can move it.
    """

    def __init__(
        self, secrets: Callable[[], Sequence[bytes | str]], clock: Clock, *, database: Callable[[], bytes]
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._database = database

    def sign(self, purpose: str, value: Any) -> str:
        """A URL-safe text that holds *value* (JSON) and the time."""
        signed = self._serializer(purpose).dumps([int(self._clock.now().timestamp()), value])
        return signed.decode() if isinstance(signed, bytes) else signed

    def open(self, purpose: str, token: str | None, *, max_age: float | None = None) -> tuple[Any, float] | None:
        """The value and its age in seconds, or None for anything that is not ours or too old."""
        if not token or len(token) > 4096:
            return None
        try:
            made_at, value = self._serializer(purpose).loads(token)
        except (BadData, ValueError, TypeError):
            return None
        age = self._clock.now().timestamp() - made_at
        return None if max_age is not None and age > max_age else (value, age)

    def derive(self, purpose: str) -> bytes:
        """A key for one purpose, for keyed hashes."""
        return _derived(purpose, self._secrets()[-1])

    def derive_for_site(self, purpose: str) -> bytes:
        """Return a key as `derive` does, but another one for each database. Raises `ServiceDown`."""
        return _derived(purpose, self.derive(purpose) + self._database())

    def identity(self, purpose: str) -> UUID:
        """Return an id of the database for one purpose, which stays the same when the secrets are changed."""
        return UUID(bytes=hashlib.blake2b(purpose.encode(), key=self._database(), digest_size=16).digest(), version=4)

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return _serializer_of(purpose, self._database(), *self._secrets())


@lru_cache(maxsize=64)
def _derived(purpose: str, secret: bytes | str) -> bytes:
    raw = secret.encode() if isinstance(secret, str) else secret
    return hashlib.blake2b(purpose.encode(), key=hashlib.sha256(raw).digest(), digest_size=32).digest()


@lru_cache(maxsize=64)
def _serializer_of(purpose: str, database: bytes, *secrets: bytes | str) -> URLSafeSerializer:
    """Keeps nothing between calls, so that one serves all threads."""
    keys = [key.encode() if isinstance(key, str) else key for key in secrets]
    return URLSafeSerializer(
        keys,
        salt=f"moderate.{purpose}.v2.".encode() + database,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
