"""Source URLs that must be refused or taken, and hostile ways of serving them."""

from __future__ import annotations

import base64
import datetime
import json
import ssl
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from moderate.clock import SystemClock
from moderate.errors import FetchFailed
from moderate.outbound.fetch import GuardedFetcher
from moderate.sources.page import Targets, find_link, read_page
from tests.unit.services.loopback import PUBLIC, Internet, Names, serving

if TYPE_CHECKING:
    from pathlib import Path

    from moderate.outbound.fetch import Fetched
    from tests.unit.services.loopback import Connection

pytestmark = pytest.mark.corpus

Row = dict[str, Any]
SITE = "news.example"
#: Seconds: for servers that would take for ever, and for all others (on a busy machine).
TIMEOUT, AMPLE = 0.4, 10.0
SLOW = {"header_bytes_per_s", "body_bytes_per_s", "accept_then_silence"}
ABOUT = "+https://news.example/; verifying webmention ping from 192.0.2.7"

#: The policy of `moderate` where the corpus leaves it open.
POLICY = {
    "https-to-http-downgrade": "refused",
    "server-link-nofollow": "link",
    "server-link-fragment": "link",
    "server-link-entities": "link",
    "server-link-relative-base": "link",
}


def rows_of(corpora: Path, name: str) -> list[Row]:
    lines = (corpora / "ssrf" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line.replace("SITE", SITE)) for line in lines]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def fetcher(internet: Internet, names: Names, **options: Any) -> GuardedFetcher:
    settings = {"timeout": AMPLE, "own": [f"https://{SITE}/"], **options}
    return GuardedFetcher(clock=SystemClock(), user_agent="moderate/0.1", resolver=names, backend=internet, **settings)


def names_of(row: Row) -> Names:
    """A URL has one answer for each name; only scenarios have successive ones."""
    return Names({host: [answer] if answer else [] for host, answer in row.get("dns", {}).items()})


def test_every_url_to_be_refused_is_refused_before_any_connection(corpora: Path) -> None:
    taken, connected = [], []
    rows = rows_of(corpora, "refuse")
    for row in rows:
        # The net would answer everywhere: a refusal must come from the rule alone.
        internet = Internet(dict.fromkeys(range(65536)))
        try:
            fetcher(internet, names_of(row)).fetch(row["url"], about=ABOUT)
            taken.append(row["id"])
        except FetchFailed as failure:
            if failure.kind not in {"blocked", "dns"}:
                taken.append((row["id"], failure.kind))
        connected += [(row["id"], where) for where in internet.connected]
    assert len(rows) == 421
    assert not taken
    assert not connected


def test_every_url_to_be_accepted_is_fetched_from_its_own_address(
    corpora: Path, authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    rows = rows_of(corpora, "allow")
    wrong = []
    with (
        serving(lambda c: c.answer(b"page")) as plain,
        serving(lambda c: c.answer(b"page"), any_host(authority)) as tls,
    ):
        for row in rows:
            internet = Internet({80: plain, 443: tls})
            # No certificate can be issued for a host with an underscore, so this row goes without TLS.
            url = row["url"].replace("https://_", "http://_")
            page = fetcher(internet, names_of(row), ssl_context=trust).fetch(url, about=ABOUT)
            addresses = {address for answer in row["dns"].values() for address in answer}
            if page.body != b"page" or {host for host, _ in internet.connected} - addresses:
                wrong.append(row["id"])
    assert len(rows) == 50
    assert not wrong


def any_host(authority: trustme.CA) -> ssl.SSLContext:
    """A TLS server that has a certificate for any host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def certify(stream: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name or "unnamed.example").configure_cert(inner)
        stream.context = inner

    context.sni_callback = certify  # type: ignore[assignment]
    authority.issue_cert("unnamed.example").configure_cert(context)
    return context


# --- scenarios ------------------------------------------------------------------------------------


class Scenario:
    """One row of scenarios.jsonl, played: what came of it, where connections went, how long it took."""

    def __init__(self, row: Row, authority: trustme.CA, trust: ssl.SSLContext) -> None:
        self.row = row
        behaviour = row.get("behaviour", {})
        self.timeout = TIMEOUT if SLOW & set(behaviour) else AMPLE
        fault = behaviour.get("tls")
        tls = certified(trustme.CA() if fault == "self-signed" else authority, fault)
        scheme = "https" if "tls" in behaviour else "http"
        names = Names(row.get("dns") or {"blog.example": [[PUBLIC]]})
        with serving(self.play) as plain, serving(self.play, tls) as secure:
            self.internet = Internet({80: plain, 443: secure})
            begin = time.perf_counter()
            self.outcome = self.run(row.get("start", f"{scheme}://blog.example/"), names, trust)
            self.seconds = time.perf_counter() - begin
            self.requests = len(plain.connections) + len(secure.connections)

    def run(self, start: str, names: Names, trust: ssl.SSLContext) -> str:
        """``refused``, ``gone``, ``missing``, ``no link`` or ``link``."""
        try:
            with pytest.MonkeyPatch.context() as environment:
                for name, value in self.row.get("env", {}).items():
                    environment.setenv(name, value)
                fetched = fetcher(self.internet, names, ssl_context=trust, timeout=self.timeout).fetch(
                    start, about=ABOUT
                )
            if fetched.status >= 400:
                return "gone" if fetched.status == 410 else "missing"
            return self.verified(fetched)
        except FetchFailed:
            return "refused"

    def verified(self, fetched: Fetched) -> str:
        article = f"https://{SITE}/article/1"
        targets = [article, f"{article}?a=1&b=2"]
        return "link" if find_link(read_page(fetched), Targets(targets), any_element=True) else "no link"

    def play(self, connection: Connection) -> None:
        if "behaviour" in self.row:
            behave(connection, self.row["behaviour"])
            return
        scheme = "https" if isinstance(connection.stream, ssl.SSLSocket) else "http"
        url = f"{scheme}://{connection.host}{connection.path}"
        answer = next((answer for answer in self.row.get("responses", []) if answer["url"] == url), None)
        if answer is None:
            connection.answer(status=404)
        else:
            fields = {name.lower().replace("-", "_"): value for name, value in answer["headers"].items()}
            connection.answer(answer.get("body", "").encode(), status=answer["status"], **fields)


def certified(authority: trustme.CA, fault: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    expired = {"not_after": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)} if fault == "expired" else {}
    authority.issue_cert("other.example" if fault == "wrong-host" else "blog.example", **expired).configure_cert(
        context
    )
    return context


def behave(connection: Connection, told: Row) -> None:
    """Serve as the corpus says. Every key of `behaviour` is understood or the test fails."""
    slow_or_endless = next((act for key, act in ACTS.items() if key in told), None)
    if slow_or_endless is not None:
        slow_or_endless(connection, told)
        return
    unknown = set(told) - {
        "content_type",
        "content_encoding",
        "content_length",
        "status",
        "headers",
        "body",
        "body_b64",
    }
    assert not unknown - {"body_gen", "tls"}
    fields = {"content_type": told.get("content_type", "text/html"), **lowered(told.get("headers", {}))}
    for name in ("content_encoding", "content_length"):
        if name in told:
            fields[name] = str(told[name])
    connection.answer(body_of(told), status=told.get("status", 200), **fields)


def lowered(fields: dict[str, str]) -> dict[str, str]:
    return {name.lower().replace("-", "_"): value for name, value in fields.items()}


def body_of(told: Row) -> bytes:
    if "body_b64" in told:
        return base64.b64decode(told["body_b64"])
    if "body_gen" in told:
        gen = told["body_gen"]
        return (gen.get("prefix", "") + gen["repeat"] * gen["count"] + gen.get("suffix", "")).encode()
    return str(told.get("body", f'<a href="https://{SITE}/article/1">x</a>')).encode()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def drip_body(connection: Connection, told: Row) -> None:
    connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % told["content_length"])
    connection.drip(b"x" * 1000, pause=0.1)


def endless_body(connection: Connection, told: Row) -> None:
    if told.get("transfer_encoding") == "chunked":
        connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.endless(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    connection.send(HEAD + b"\r\n")
    connection.endless(b"x" * 65536)


def gzip_bomb(connection: Connection, told: Row) -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    connection.send(HEAD + b"Content-Encoding: gzip\r\n\r\n")
    for _ in range(told["gzip_of_zeros_bytes"] // 1_000_000):
        connection.send(packer.compress(bytes(1_000_000)))


ACTS = {
    "raw": lambda c, told: c.send(told["raw"].encode("latin-1")),
    "header_bytes_per_s": lambda c, told: c.drip(HEAD * 10, pause=0.1),
    "body_bytes_per_s": drip_body,
    "accept_then_silence": lambda c, told: c.silence(),
    "endless_body": endless_body,
    "endless_headers": lambda c, told: (c.send(HEAD), c.endless(b"X-Field: y\r\n" * 100)),
    "gzip_of_zeros_bytes": gzip_bomb,
}


@pytest.fixture(scope="module")
def played(corpora: Path, authority: trustme.CA, trust: ssl.SSLContext) -> list[Scenario]:
    return [Scenario(row, authority, trust) for row in rows_of(corpora, "scenarios")]


def expected_of(row: Row) -> set[str]:
    """Return the accepted outcomes of a row: by `POLICY`, where it names the row, or else by `expect`."""
    if row["name"] in POLICY:
        return {POLICY[row["name"]]}
    if row["expect"] == "allow":
        return {"link"}
    if row["expect"] == "refuse":
        return {"refused"}
    if row["name"] == "server-410-gone":
        return {"gone"}
    # Of the rest some carry a good link behind bad manners (a cookie, an unknown charset): harmless.
    harmless = row["name"] in {"server-set-cookie", "server-unknown-charset"}
    return {"link"} if harmless else {"refused", "no link", "missing"}


def test_scenarios_end_as_they_should(played: list[Scenario]) -> None:
    assert len(played) == 68
    wrong = [(s.row["id"], s.row["name"], s.outcome) for s in played if s.outcome not in expected_of(s.row)]
    assert not wrong


def test_no_scenario_leads_to_a_connection_that_it_forbids(played: list[Scenario]) -> None:
    for scenario in played:
        hosts = {host for host, _ in scenario.internet.connected}
        assert not hosts & set(scenario.row.get("must_not_connect", ())), scenario.row["id"]
        assert hosts <= {PUBLIC}, scenario.row["id"]
        assert scenario.requests <= scenario.row.get("max_requests", 6), scenario.row["id"]


def test_no_scenario_outlasts_the_deadline(played: list[Scenario]) -> None:
    slow = [(s.row["id"], round(s.seconds, 2)) for s in played if s.seconds > TIMEOUT + 10]
    assert not slow
