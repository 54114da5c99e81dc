"""The guarded fetcher against real servers on loopback: pages, redirects, names and addresses."""

from __future__ import annotations

import gzip
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from moderate.errors import FetchFailed
from tests.timing import takes_no_longer_than
from tests.unit.services.fetching import (
    ABOUT,
    HEAD,
    SOON,
    behind,
    failed,
    failure_of,
    fetched_from,
    fetcher,
)
from tests.unit.services.loopback import PUBLIC, Internet, Names, serving

if TYPE_CHECKING:
    from tests.unit.services.loopback import Connection

# --- what a good site gets ------------------------------------------------------------------------


def test_a_page_is_returned_whole() -> None:
    page = fetched_from(lambda c: c.answer(b"<p>hello", content_type="text/html; charset=utf-8"), "/a?b=c#d")
    assert (page.status, page.body, page.content_type) == (200, b"<p>hello", "text/html; charset=utf-8")
    assert page.url.endswith("/a?b=c")


def test_the_request_has_only_the_documented_header_fields() -> None:
    with serving(lambda c: c.answer(b"x")) as server:
        fetcher(server).fetch(server.url("/a%20b"), about=ABOUT)
        (call,) = server.connections
    assert call.body == b""
    assert call.lines == [
        "GET /a%20b HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"User-Agent: moderate/0.1 ({ABOUT})",
        "Accept: text/html, application/xhtml+xml;q=0.9, application/json;q=0.5, text/plain;q=0.4",
        "Accept-Encoding: gzip",
        "Connection: close",
    ]


def test_header_injection_through_the_user_agent_is_impossible() -> None:
    with serving(lambda c: c.answer(b"x")) as server:
        fetcher(server).fetch(server.url(), about="a)\r\nX-Evil: 1\r\n\r\n(ü" + "b" * 1000)
        (agent,) = [line for line in server.connections[0].lines if line.startswith("User-Agent")]
    assert agent.startswith("User-Agent: moderate/0.1 (aX-Evil: 1b")
    assert len(agent) < 250


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate"])
def test_compressed_pages_are_decompressed(encoding: str) -> None:
    packed = zlib.compress(b"page" * 1000) if encoding == "deflate" else gzip.compress(b"page" * 1000)
    assert fetched_from(lambda c: c.answer(packed, content_encoding=encoding)).body == b"page" * 1000


def test_chunked_pages_are_joined() -> None:
    answer = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert fetched_from(lambda c: c.send(answer)).body == b"abcde"


@pytest.mark.parametrize("status", [404, 410, 403, 429, 500, 503])
def test_error_statuses_are_returned_without_a_body(status: int) -> None:
    page = fetched_from(lambda c: c.answer(b"\x89PNG", status=status, content_type="image/png"))
    assert (page.status, page.body) == (status, b"")


def test_cookies_are_neither_stored_nor_sent() -> None:
    with serving(lambda c: c.answer(b"x", set_cookie="a=b")) as server:
        source = fetcher(server)
        source.fetch(server.url(), about=ABOUT)
        source.fetch(server.url(), about=ABOUT)
        assert not [line for line in server.connections[1].lines if line.lower().startswith("cookie")]


def test_proxy_settings_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda c: c.answer(b"proxy")) as proxy, serving(lambda c: c.answer(b"page")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert fetcher(server).fetch(server.url(), about=ABOUT).body == b"page"
        assert not proxy.connections


# --- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_the_final_address_is_returned(status: int) -> None:
    def behave(connection: Connection) -> None:
        if connection.path == "/end":
            connection.answer(b"page")
        else:
            connection.answer(status=status, location="end#there", content_type="image/png")

    page = fetched_from(behave)
    assert page.body == b"page"
    assert page.url.endswith("/end")


def test_a_loop_of_redirects_ends_after_five() -> None:
    with serving(lambda c: c.answer(status=302, location="/")) as server:
        with pytest.raises(FetchFailed) as failure:
            fetcher(server).fetch(server.url(), about=ABOUT)
        assert failure.value.kind == "redirects"
        assert len(server.connections) == 6


def test_a_redirect_to_a_forbidden_port_opens_no_connection() -> None:
    with serving(lambda c: c.answer(b"secret")) as inner:
        failure = failure_of(lambda c: c.answer(status=302, location=inner.url()))
        assert failure.kind == "blocked"
        assert not inner.connections


# --- names and addresses --------------------------------------------------------------------------


def test_the_connection_uses_the_checked_address_and_names_are_resolved_once() -> None:
    with serving(lambda c: c.answer(c.host.encode())) as server:
        source, internet, resolver = behind({"blog.example": [[PUBLIC], ["127.0.0.1"]]}, server)
        assert source.fetch("http://blog.example/", about=ABOUT).body == b"blog.example"
        assert internet.connected == [(PUBLIC, 80)]
        assert resolver.asked == ["blog.example"]


def test_a_host_that_resolves_to_a_private_address_on_the_next_hop_is_refused() -> None:
    with serving(lambda c: c.answer(status=302, location="/next")) as server:
        source, internet, _ = behind({"blog.example": [[PUBLIC], ["10.0.0.1"]]}, server)
        with pytest.raises(FetchFailed) as failure:
            source.fetch("http://blog.example/", about=ABOUT)
        assert failure.value.kind == "blocked"
        assert internet.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize("location", ["http://inner.example/", "http://10.0.0.1/", "http://127.0.0.1/", "//[::1]/"])
def test_a_redirect_to_a_private_address_opens_no_connection(location: str) -> None:
    with serving(lambda c: c.answer(status=302, location=location)) as server:
        source, internet, _ = behind({"blog.example": [[PUBLIC]], "inner.example": [["192.168.0.1"]]}, server)
        with pytest.raises(FetchFailed) as failure:
            source.fetch("http://blog.example/", about=ABOUT)
        assert failure.value.kind == "blocked"
        assert internet.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize("answers", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], ["::ffff:127.0.0.1"]])
def test_one_private_address_among_many_refuses_the_host(answers: list[str]) -> None:
    with serving(lambda c: c.answer(b"x")) as server:
        source, internet, _ = behind({"blog.example": [answers]}, server)
        with pytest.raises(FetchFailed) as failure:
            source.fetch("http://blog.example/", about=ABOUT)
        assert failure.value.kind == "blocked"
        assert internet.connected == []


def test_blocked_and_unresolved_names_are_retried_alike() -> None:
    with serving(lambda c: c.answer(b"x")) as server:
        source, _, _ = behind({"inner.example": [["10.0.0.1"]]}, server)
        blocked, unknown = (failed(source, f"http://{name}.example/") for name in ("inner", "unknown"))
    assert (blocked.kind, unknown.kind) == ("blocked", "dns")
    assert blocked.is_temporary is unknown.is_temporary is True
    assert blocked.public == unknown.public


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    class FirstRefuses(Internet):
        def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
            return super().connect_tcp(host, 81 if ":" in host else port, *args, **options)

    with serving(lambda c: c.answer(b"page")) as server:
        names = Names({"blog.example": [["2606:2800:21f::1", PUBLIC]]})
        source = fetcher(backend=FirstRefuses({80: server}), resolver=names)
        assert source.fetch("http://blog.example/", about=ABOUT).body == b"page"


def test_a_closed_port_gives_the_same_message_as_a_blocked_address() -> None:
    with serving(lambda c: c.answer()) as server:
        source = fetcher(server)
    refused, blocked = failed(source, server.url()), failed(source, "http://10.0.0.1/")
    assert (refused.kind, blocked.kind) == ("refused", "blocked")
    assert refused.public == blocked.public


def test_a_connection_with_an_unexpected_peer_is_not_used() -> None:
    other = "93.184.215.15"

    class Diverted(Internet):
        def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
            return super().connect_tcp(other, port, *args, **options)

    with serving(lambda c: c.answer(b"x")) as server:
        # Nor is another address of the name tried.
        source = fetcher(backend=Diverted({80: server}), resolver=Names({"blog.example": [[PUBLIC, other]]}))
        assert failed(source, "http://blog.example/").kind == "blocked"


def test_a_silent_name_server_is_left_at_the_deadline() -> None:
    answered = threading.Event()

    def resolver(host: str, port: int, *, type: int) -> list[Any]:  # noqa: A002
        answered.wait(60)
        return []

    source = fetcher(resolver=resolver, timeout=0.2, total=1)
    with takes_no_longer_than(SOON):
        kinds = {failed(source, "http://blog.example/").kind for _ in range(4)}
        stuck = [thread for thread in threading.enumerate() if thread.name == "moderate-dns"]
    answered.set()
    for thread in stuck:
        thread.join(5)
    assert kinds == {"timeout"}
    assert len(stuck) <= 2


def test_pages_of_the_site_itself_are_never_fetched() -> None:
    with serving(lambda c: c.answer(b"x")) as server:
        source, internet, _ = behind({"news.example": [[PUBLIC]]}, server, own=["https://news.example/x"])
        assert failed(source, "http://NEWS.example/article").kind == "blocked"
        assert internet.connected == []
