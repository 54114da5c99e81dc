"""The request for a confirmation mail, and the identities of confirmed addresses."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moderate.hooks import CONFIRMED

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One mail to a person who may never have asked for it.

    It holds nothing that a commenter wrote but the address that it goes to, *to*, in the form in which mails are sent.
    *id* is the same for each attempt; *mailbox* is a keyed hash of the address.
    """

    id: str
    item: int
    to: str
    mailbox: str
    article_title: str
    article_url: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Confirming:
    """The parts that confirming needs.

    *send* sends a mail; it raises `ServiceDown` where trying again may help, else `Undeliverable`. *secret* returns the
    key of the hashes. It must be the same in all processes and must not change: identities depend on it.
    """

    send: Callable[[Request], None]
    secret: Callable[[], bytes]

    def author_id(self, email: str) -> str:
        """Return the identity of an address, in the spelling in which items hold it."""
        return CONFIRMED + self._hash("identity", email, 32)

    def mailbox(self, to: str) -> str:
        """Return a keyed hash of the mailbox of an address; many providers deliver all these spellings to one."""
        local, _, domain = to.casefold().rpartition("@")
        return self._hash("mailbox", f"{local.partition('+')[0].replace('.', '')}@{domain}", 24)

    def _hash(self, purpose: str, text: str, length: int) -> str:
        words = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret(), words, "sha256").hex()[:length]
