"""Why a connection failed, in words: what the system and the libraries say of it is for programmers."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The first that fits is what is told; the order is from the special to the general.
TROUBLES: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "its host name could not be found (DNS)"),
    (ssl.SSLCertVerificationError, "its certificate is not valid, or not for this name"),
    (ssl.SSLError, "it offers no secure connection that can be used"),
    (ConnectionRefusedError, "it refuses connections"),
    (TimeoutError, "it does not answer in time"),
    (ConnectionError, "it broke the connection off"),
)


def trouble(error: BaseException, otherwise: str = "there is no way to it") -> str:
    """Return what went wrong with a connection, as words behind "cannot be reached"; *otherwise* for the unknown."""
    causes = list(chain(error))
    for kind, words in TROUBLES:
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return otherwise


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error with all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
