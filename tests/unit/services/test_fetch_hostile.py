"""The guarded fetcher against real servers on loopback that are slow, endless, broken or in disguise."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import ipaddress
import os
import ssl
import threading
import tracemalloc
import warnings
import zlib
from typing import TYPE_CHECKING

import pytest
import trustme

from moderate.clock import SystemClock
from moderate.errors import FetchFailed
from moderate.outbound.fetch import HostSemaphore, line_of, read_body
from tests.servers import HOST, wait_until
from tests.timing import takes_no_longer_than
from tests.unit.services.fetching import (
    ABOUT,
    HEAD,
    SOON,
    TIMEOUT,
    behind,
    failed,
    failure_of,
    fetched_from,
    fetcher,
)
from tests.unit.services.loopback import PUBLIC, Names, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from moderate.outbound.fetch import Fetched
    from tests.unit.services.loopback import Connection, Handler

# --- servers that are slow, endless, broken -------------------------------------------------------


@pytest.mark.parametrize(
    "behave",
    [
        lambda c: c.silence(),
        lambda c: c.drip(HEAD * 100),
        lambda c: (c.send(HEAD + b"Content-Length: 5000\r\n\r\n"), c.drip(b"x" * 5000)),
        lambda c: (c.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), c.drip(b"1\r\nx\r\n" * 1000)),
        lambda c: (c.send(HEAD + b"\r\n"), c.drip(b"x" * 5000)),
        lambda c: c.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    ],
    ids=["silence", "head", "body", "chunks", "body-to-the-end", "continue"],
)
def test_a_slow_server_is_left_at_the_deadline_in_every_phase(behave: Handler) -> None:
    with takes_no_longer_than(SOON):
        failure = failure_of(behave, timeout=TIMEOUT)
    assert failure.kind == "timeout"
    assert failure.is_temporary


def test_one_deadline_covers_all_redirects() -> None:
    def slowly(connection: Connection) -> None:
        connection.stop.wait(0.2)
        connection.answer(status=302, location=f"{connection.path}x")

    with takes_no_longer_than(SOON):
        assert failure_of(slowly, timeout=TIMEOUT).kind == "timeout"


@pytest.mark.parametrize(
    "behave",
    [
        lambda c: (c.send(HEAD + b"\r\n"), c.endless(b"x" * 65536)),
        lambda c: (
            c.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
            c.endless(b"1000\r\n" + b"x" * 4096 + b"\r\n"),
        ),
        lambda c: (c.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), c.endless(b"1\r\nx\r\n" * 1000)),
        lambda c: c.send(HEAD + b"Content-Length: 1000000000000\r\n\r\n"),
        lambda c: (c.send(HEAD), c.endless(b"X-Field: " + b"y" * 1000 + b"\r\n")),
        lambda c: (c.send(HEAD), c.send(b"X-Field: "), c.endless(b"y" * 1000)),
        lambda c: c.endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        lambda c: c.send(HEAD + b"X-Field: " + b"y" * 40_000 + b"\r\n\r\n"),
        lambda c: c.answer(b"x" * 100_001),
        lambda c: c.answer(gzip.compress(b"x" * 100_001), content_encoding="gzip"),
    ],
    ids=["endless", "chunked", "tiny-chunks", "length", "fields", "field", "100", "head", "one-more", "packed"],
)
def test_a_page_beyond_the_limit_is_cut_off_and_discarded(behave: Handler) -> None:
    with takes_no_longer_than(SOON):
        failure = failure_of(behave)
    assert failure.kind == "too-large"
    assert not failure.is_temporary


def test_a_page_of_exactly_the_limit_is_accepted() -> None:
    assert len(fetched_from(lambda c: c.answer(b"x" * 100_000)).body) == 100_000
    packed = gzip.compress(b"x" * 100_000)
    assert len(fetched_from(lambda c: c.answer(packed, content_encoding="gzip")).body) == 100_000


def test_a_compression_bomb_is_not_unpacked(bomb: bytes) -> None:
    with takes_no_longer_than(SOON):
        assert failure_of(lambda c: c.answer(bomb, content_encoding="gzip")).kind == "too-large"


def test_a_compression_bomb_gets_no_more_memory_than_the_limit(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FetchFailed):
            read_body([bomb], {"content-encoding": "gzip"}, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """90 KB that would be 90 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(90)) + packer.flush()


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        HEAD + b"Content-Length: 10\r\n\r\nshort",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD + b"Content-Encoding: gzip\r\n\r\nno gzip at all",
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"cut off", mtime=0)[:-9],
        HEAD + b"Content-Encoding: br\r\n\r\nx",
        HEAD + b"Content-Encoding: gzip, gzip\r\n\r\nx",
        HEAD + b"X: a\0b\r\n\r\n",
        b"<a href=x>",
        b"HTTP/1.1 99999 X\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
)
def test_malformed_responses_fail_cleanly(raw: bytes) -> None:
    assert failure_of(lambda c: c.send(raw)).kind == "bad-response"


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "video/mp4", "text/css", ""])
def test_types_without_links_are_not_read(content_type: str) -> None:
    failure = failure_of(lambda c: c.answer(b"x", content_type=content_type))
    assert failure.kind == "content-type"


@pytest.mark.parametrize(
    "content_type",
    ["TEXT/HTML ; charset=x", "application/xhtml+xml", "text/plain", "application/json", "application/ld+json"],
)
def test_textual_types_are_read(content_type: str) -> None:
    assert fetched_from(lambda c: c.answer(b"x", content_type=content_type)).body == b"x"


@pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
def test_other_statuses_are_not_returned_as_pages(status: int) -> None:
    assert failure_of(lambda c: c.answer(status=status, location="/x")).kind == "status"


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served_with(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def over_tls(authority: trustme.CA, certificate: trustme.LeafCert) -> tuple[list[str | None], Callable[[], Fetched]]:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    named: list[str | None] = []
    context = served_with(certificate)
    context.sni_callback = lambda _socket, name, _context: named.append(name)

    def fetch() -> Fetched:
        with serving(lambda c: c.answer(c.host.encode()), context) as server:
            source, _, _ = behind({"blog.example": [[PUBLIC]]}, server, ssl_context=trust)
            return source.fetch("https://blog.example/", about=ABOUT)

    return named, fetch


def test_tls_is_verified_for_the_host_name_and_not_for_the_address(authority: trustme.CA) -> None:
    named, fetch = over_tls(authority, authority.issue_cert("blog.example"))
    page = fetch()
    assert (page.body, page.url, named) == (b"blog.example", "https://blog.example/", ["blog.example"])


def test_wrong_expired_and_unknown_certificates_are_refused(authority: trustme.CA) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    for certificate in (
        authority.issue_cert("other.example"),
        authority.issue_cert(PUBLIC),
        authority.issue_cert("blog.example", not_after=yesterday),
        trustme.CA().issue_cert("blog.example"),
    ):
        _, fetch = over_tls(authority, certificate)
        with pytest.raises(FetchFailed) as failure:
            fetch()
        assert failure.value.kind == "refused"


def test_a_dripping_tls_handshake_is_left_at_the_deadline() -> None:
    with serving(lambda c: c.drip(b"\x16\x03\x03\x40\x00" + bytes(16384))) as server:
        source, _, _ = behind({"blog.example": [[PUBLIC]]}, server, timeout=TIMEOUT)
        with takes_no_longer_than(SOON):
            assert failed(source, "https://blog.example/").kind == "timeout"


# --- courtesy -------------------------------------------------------------------------------------


def test_connections_to_one_host_are_limited() -> None:
    at_once, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def behave(connection: Connection) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if at_once == 2:
                full.set()
        full.wait(2)
        with lock:
            at_once -= 1
        connection.answer(b"x")

    with serving(behave) as server:
        source = fetcher(server, per_host=2)
        threads = [
            threading.Thread(target=source.fetch, args=(server.url(),), kwargs={"about": ABOUT}) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.connections) == 6
    assert most == 2


def test_waiting_for_a_slot_ends_at_the_deadline() -> None:
    with serving(lambda c: c.silence()) as server:
        source = fetcher(server, per_host=1, timeout=TIMEOUT)
        with takes_no_longer_than(SOON):
            kinds: list[str] = []
            threads = [threading.Thread(target=lambda: kinds.append(failed(source, server.url()).kind)) for _ in "ab"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert "timeout" in kinds
    assert set(kinds) <= {"busy", "timeout"}


def test_a_busy_host_does_not_delay_others() -> None:
    hosts = HostSemaphore(SystemClock(), per_host=1, total=3)
    with hosts.hold("slow", 0), pytest.raises(TimeoutError), hosts.hold("slow", 0.01):
        pass
    with hosts.hold("slow", 0):
        waiting = threading.Thread(target=lambda: contextlib.ExitStack().enter_context(hosts.hold("slow", 5)))
        waiting.start()
        with hosts.hold("other", 1):
            assert waiting.is_alive()
    waiting.join(5)
    assert not waiting.is_alive()


def test_slots_are_limited_over_all_hosts() -> None:
    hosts = HostSemaphore(SystemClock(), per_host=2, total=2)
    with (
        hosts.hold("one", 0),
        hosts.hold("other", 0),
        pytest.raises(TimeoutError),
        hosts.hold("third", 0.01),
    ):
        pass
    with hosts.hold("third", 0), hosts.hold("third", 0):
        pass


def test_many_names_of_one_server_share_its_slots() -> None:
    hosts = [f"{name}.example" for name in ("one", "two", "three")]
    with serving(lambda c: c.silence()) as slow, serving(lambda c: c.answer(b"<p>quick</p>")) as quick:
        source = fetcher(slow, quick, resolver=Names({host: [["127.0.0.1"]] for host in hosts}), timeout=4)
        threads = [threading.Thread(target=failed, args=(source, slow.url().replace(HOST, host))) for host in hosts[:2]]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(slow.connections) == 2)
        # No request waits for one that has already waited for a while.
        assert failed(source, slow.url().replace(HOST, hosts[2])).kind == "busy"
        for thread in threads:
            thread.join()
        # And the slots are free again.
        assert source.fetch(quick.url().replace(HOST, hosts[2]), about=ABOUT).status == 200


def test_an_ipv6_network_counts_as_one_server() -> None:
    near, far = (ipaddress.IPv6Address(f"2001:db8:0:{number}::1") for number in (1, 2))
    assert line_of(near) == line_of(near + 99) != line_of(far)
    assert line_of(ipaddress.IPv4Address("192.0.2.1")) != line_of(ipaddress.IPv4Address("192.0.2.2"))


def test_slots_held_by_the_parent_are_free_in_a_forked_child() -> None:
    hosts = HostSemaphore(SystemClock(), per_host=1, total=1)
    with hosts.hold("slow", 0):
        with warnings.catch_warnings():
            # Later Pythons warn of any fork beside threads, and the test runner has some.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                with hosts.hold("slow", 0):
                    os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        with pytest.raises(TimeoutError), hosts.hold("slow", 0):
            pass
