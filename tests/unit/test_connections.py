"""The reason of a failed connection is shown to moderators and operators in words, never as a system code."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from moderate.errors import ServiceDown
from moderate.outbound.failures import CircuitBreaker, retry_after, trouble
from moderate.testing import ManualClock
from tests.unit.services.loopback import Connection, serving
from tests.unit.services.test_hostile_mail_servers import a_web_server, speaking
from tests.unit.services.test_mail import ITEM, notice, notifier, transport
from tests.unit.services.test_webhook import caller

RAW = ("Errno", "_ssl.c", "Error", "gaierror")


def without_reason(error: ssl.SSLError) -> ssl.SSLError:
    """Return an error as `ssl` raises it for codes of OpenSSL that it has no name for."""
    error.reason = None  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its host name could not be found (DNS)"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "it refuses connections"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed (_ssl.c:1006)"), "its certificate is not valid"),
        (ssl.SSLError(1, "some other fault (_ssl.c:1006)"), "it offers no secure connection"),
        (without_reason(ssl.SSLError(1, "A failure in the SSL library occurred")), "it offers no secure connection"),
        (TimeoutError("timed out"), "it does not answer in time"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "it broke the connection off"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no way to it"),
    ],
)
def test_each_connection_error_has_its_message_also_as_a_cause(error: OSError, words: str) -> None:
    wrapped = RuntimeError("a library's own")
    wrapped.__cause__ = error
    for each in (error, wrapped):
        assert trouble(each).startswith(words)
        assert not [raw for raw in RAW if raw in trouble(each)]


AUTHORITY = trustme.CA()
DAY, NOW = timedelta(days=1), datetime.now(UTC)

#: Certificates of a server at 127.0.0.1 that a client must refuse, and the words for it.
CERTIFICATES = {
    "its certificate has expired": AUTHORITY.issue_cert("127.0.0.1", not_before=NOW - 3 * DAY, not_after=NOW - DAY),
    "its certificate is not valid yet": AUTHORITY.issue_cert(
        "127.0.0.1", not_before=NOW + DAY, not_after=NOW + 3 * DAY
    ),
    "its certificate is for another host name": AUTHORITY.issue_cert("mail.example"),
    "its certificate is not from an authority": trustme.CA().issue_cert("127.0.0.1"),
}


@pytest.mark.parametrize("words", CERTIFICATES)
@pytest.mark.parametrize("service", ["webhook", "mail"])
def test_each_certificate_error_has_its_own_message(service: str, words: str) -> None:
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    CERTIFICATES[words].configure_cert(ours)
    AUTHORITY.configure_trust(theirs)
    with serving(Connection.answer, ours) as server:
        if service == "webhook":
            client = caller(server.url(), context=theirs)
        else:
            client = notifier(transport(server.port, security="tls", ssl_context=theirs))
        with pytest.raises(ServiceDown, match=words):
            client.deliver(notice(ITEM))


def test_a_port_without_tls_has_its_own_message() -> None:
    with speaking(a_web_server) as (port, _), pytest.raises(ServiceDown, match="does not speak TLS at this port"):
        caller(f"https://127.0.0.1:{port}/").probe()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 1),
        ("Tue, 13 Jan 2026 10:01:00 GMT", 60),
        ("Tue, 13 Jan 2026 10:01:00", 60),
        ("Tuesday, 13-Jan-26 10:01:00 GMT", 60),
        ("Mon, 12 Jan 2026 10:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("31536000", 86_400),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("Fri, 31 Dec 99999999 23:59:59 GMT", None),
        ("Fri, 31 Dec 1999 23:59:59 +9999", None),
    ],
)
def test_retry_after_is_parsed_in_both_forms(value: str, seconds: float | None) -> None:
    assert retry_after(value, datetime(2026, 1, 13, 10, tzinfo=UTC)) == seconds


def test_a_circuit_breaker_rests_twice_as_long_after_each_failed_trial_up_to_a_bound() -> None:
    clock = ManualClock()
    breaker = CircuitBreaker("mail", clock, failures=2, rest=30, most=100)
    breaker.failed()
    breaker.enter()
    breaker.failed()
    rests = []
    for _ in range(4):
        assert breaker.is_open
        with pytest.raises(ServiceDown) as refused:
            breaker.enter()
        assert refused.value.kind == "resting"
        rests.append(refused.value.retry_after)
        clock.advance(seconds=rests[-1])
        # One call is let through, and all others wait for its outcome.
        breaker.enter()
        with pytest.raises(ServiceDown):
            breaker.enter()
        breaker.failed()
    assert rests == [30, 60, 100, 100]
    breaker.succeeded()
    breaker.enter()
    assert not breaker.is_open
