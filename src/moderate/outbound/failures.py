"""Failures of other servers: their reasons in words, how long a server asks to wait, and the circuit breaker."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from moderate.errors import ServiceDown
from moderate.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from moderate.ports import Clock


#: The longest wait that another server may ask for, in seconds.
LONGEST_WAIT = 86_400.0

#: Words for the codes of certificate errors (``X509_V_ERR_…`` of OpenSSL, which `ssl` has no names for).
CERTIFICATES = (
    ({10}, Message("its certificate has expired, or this machine's clock is wrong")),
    ({9}, Message("its certificate is not valid yet, or this machine's clock is wrong")),
    ({62, 64}, Message("its certificate is for another host name")),
    ({18}, Message("its certificate is self-signed, which is not trusted here")),
    ({2, 19, 20, 21}, Message("its certificate is not from an authority that is trusted here")),
)

#: Words for other TLS errors by a part of OpenSSL's reason.
TLS = (
    ("WRONG_VERSION_NUMBER", Message("it does not speak TLS at this port")),
    ("RECORD_LAYER_FAILURE", Message("it does not speak TLS at this port")),
    ("PACKET_LENGTH_TOO_LONG", Message("it does not speak TLS at this port")),
    ("PROTOCOL", Message("it offers no version of TLS that is accepted here")),
    ("CERTIFICATE_REQUIRED", Message("it wants a client certificate")),
    ("EOF", Message("it broke the connection off")),
)

#: Words for kinds of errors, from the special to the general.
TROUBLES: tuple[tuple[type[BaseException], Message], ...] = (
    (socket.gaierror, Message("its host name could not be found (DNS)")),
    (ssl.SSLCertVerificationError, Message("its certificate is not valid")),
    (ssl.SSLError, Message("it offers no secure connection that can be used")),
    (ConnectionRefusedError, Message("it refuses connections")),
    (TimeoutError, Message("it does not answer in time")),
    (FileNotFoundError, Message("a file or socket that its address names is not there")),
    (PermissionError, Message("a file or socket that its address names may not be opened")),
    (ConnectionError, Message("it broke the connection off")),
)

NO_WAY = Message("there is no way to it")


def trouble(error: BaseException, otherwise: str = NO_WAY) -> Message:
    """Return what went wrong with a connection, as words behind "cannot be reached"; *otherwise* for the unknown."""
    causes = list(chain(error))
    general = (words for kind, words in TROUBLES if any(isinstance(cause, kind) for cause in causes))
    return tls_trouble(error) or next(general, Message.of(otherwise))


def tls_trouble(error: BaseException) -> Message | None:
    """Return what is wrong with the other side's certificate or TLS; None where nothing is known to be."""
    for cause in chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = getattr(cause, "verify_code", 0)
            return next((words for codes, words in CERTIFICATES if code in codes), None)
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "reason", None) or ""
            return next((words for part, words in TLS if part in reason), None)
        if isinstance(cause, TimeoutError) and "handshake" in str(cause):
            return Message("it does not answer in TLS: does it speak TLS at this port?")
    return None


def retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After field asks to wait (RFC 9110 §10.2.3); None where it is no such field."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip(), re.ASCII):
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 1.0), LONGEST_WAIT)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class CircuitBreaker:
    """Refuses calls to *service* while it keeps failing. Thread-safe.

    Closed until *failures* calls in a row have failed, then open for *rest* seconds. After that one call is let
    through: its success closes the breaker, its failure opens it for twice as long, at most *most* seconds.
    With ``rest=math.inf, most=math.inf`` it stays open until `succeeded`, for callers with a probe of their own.

    Call `enter` before each call and `succeeded` or `failed` after it.
    """

    def __init__(self, service: str, clock: Clock, *, failures: int = 5, rest: float = 30, most: float = 900) -> None:
        self._service = service
        self._clock = clock
        self._allowed = failures
        self._rest = rest
        self._most = most
        self._lock = threading.Lock()
        self._failed = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether `enter` would refuse a call now. Takes no trial call."""
        return self._failed >= self._allowed and self._clock.monotonic() < self._open_until

    def enter(self) -> None:
        """Raise `ServiceDown` of kind ``resting`` while the breaker is open."""
        with self._lock:
            if self._failed < self._allowed:
                return
            left = self._open_until - self._clock.monotonic()
            if left > 0:
                reason = Message(
                    "not asked: it failed {times} times in a row; next try in {n} seconds",
                    times=self._failed,
                    n=f"{left:.0f}",
                )
                raise ServiceDown(self._service, reason, retry_after=left, kind="resting")
            # Other calls stay refused while this one tries.
            self._open_until = self._clock.monotonic() + self._rest

    def succeeded(self) -> None:
        """Close the breaker."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """Count a failure; from the *failures*-th in a row on, open the breaker."""
        with self._lock:
            self._failed += 1
            over = self._failed - self._allowed
            if over >= 0:
                self._open_until = self._clock.monotonic() + min(self._rest * 2.0 ** min(over, 20), self._most)
