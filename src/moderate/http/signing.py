"""Signed values that leave the server and come back: form tokens, edit tokens, cookies, CSRF tokens."""

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
    """Signs and opens small values. Each purpose has a salt of its own, so that a token is valid for one purpose alone.

    *secrets* returns the keys, oldest first; the last one signs, all of them open. *database* returns
    bytes that identify the database: tokens name items by their ids, and apps that share a
    SECRET_KEY use the same ids. Times are whole seconds of *clock*.
    """

    def __init__(
        self, secrets: Callable[[], Sequence[bytes | str]], clock: Clock, *, database: Callable[[], bytes]
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._database = database

    def sign(self, purpose: str, value: Any) -> str:
        """Return a URL-safe text that holds *value* (JSON) and the time."""
        signed = self._serializer(purpose).dumps([int(self._clock.now().timestamp()), value])
        return signed.decode() if isinstance(signed, bytes) else signed

    def open(self, purpose: str, token: str | None, *, max_age: float | None = None) -> tuple[Any, float] | None:
        """Return the value and its age in seconds; None for a token that is invalid or older than *max_age* seconds."""
        if not token or len(token) > 4096:
            return None
        try:
            made_at, value = self._serializer(purpose).loads(token)
        except (BadData, ValueError, TypeError):
            return None
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

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return _serializer_of(purpose, self._database(), *self._secrets())


@lru_cache(maxsize=64)
def _derived(purpose: str, secret: bytes | str) -> bytes:
    raw = secret.encode() if isinstance(secret, str) else secret
    return hashlib.blake2b(purpose.encode(), key=hashlib.sha256(raw).digest(), digest_size=32).digest()


@lru_cache(maxsize=64)
def _serializer_of(purpose: str, database: bytes, *secrets: bytes | str) -> URLSafeSerializer:
    """Return a serializer. It has no state, so that all threads share it."""
    keys = [key.encode() if isinstance(key, str) else key for key in secrets]
    return URLSafeSerializer(
        keys,
        salt=f"moderate.{purpose}.v2.".encode() + database,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
