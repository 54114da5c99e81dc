"""Writing to commenters, for the one reason there is: to confirm an e-mail address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One mail to somebody who may never have asked for it.

    So it holds nothing that a commenter wrote but the address that it goes to. `id` is the same
    however often it is tried; `mailbox` is a keyed hash of the address.
    """

    id: str
    item: int
    to: str
    mailbox: str
    article_title: str
    article_url: str
    at: datetime


class ConfirmationMailer(Protocol):
    """What carries such mails."""

    def spelled(self, email: str) -> str | None:
        """The address as mails to it are sent, None where none could be. Asks nobody.

        All addresses that lead to one host by their spelling alone come out with that host.
        """

    def send(self, request: Request) -> None:
        """Send. Raises `ServiceDown` where trying again may help, else `Undeliverable`."""


class ConfirmationLinks(Protocol):
    """Absolute addresses for these mails; they are used outside of any request."""

    def confirm(self, request: Request) -> str:
        """A page whose button confirms the address, once and within a day."""

    def stop(self, request: Request) -> str:
        """A page whose button ends such mails to this mailbox."""
