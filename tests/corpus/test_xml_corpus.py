"""Hostile XML-RPC bodies: each is answered in XML-RPC, soon, and with little memory."""

from __future__ import annotations

import base64
import json
import re
import time
import tracemalloc
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moderate.protocols.pingback import MAX_BODY
from tests.unit.protocols.stand_in import Site, exchange, make_site, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.corpus

#: Seconds and bytes that any one body may cost.
MOST_SECONDS = 1.0
MOST_MEMORY = 16 * 1024 * 1024

HOST = b"site.example"

NUMBER = re.compile(r"%0?\d*d")


Case = tuple[dict[str, Any], bytes]


def body_of(row: dict[str, Any]) -> bytes:
    if "gen" not in row:
        return base64.b64decode(row["body_b64"]).replace(b"SITE", HOST)
    gen = row["gen"]
    repeated = gen["repeat"] * gen["count"]
    if NUMBER.search(gen["repeat"]):
        repeated = "".join(numbered(gen["repeat"], n) for n in range(gen["count"]))
    tail = gen.get("middle", "") + gen.get("repeat2", "") * gen["count"] + gen.get("suffix", "")
    return (gen.get("prefix", "") + repeated + tail).encode().replace(b"SITE", HOST)


def numbered(text: str, number: int) -> str:
    """The text with its ``%d`` or ``%08d`` made the running number."""
    return NUMBER.sub(lambda found: found[0] % number, text)


@pytest.fixture(scope="module")
def cases(corpora: Path) -> list[Case]:
    """All rows with their bodies, made once: the largest has 20 MiB."""
    lines = (corpora / "xml" / "xmlrpc_bodies.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row, body_of(row)) for row in rows]


def post(site: Site, body: bytes, content_type: str) -> tuple[int, bytes]:
    """The answer of the real view to a request whose body is not copied on its way."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/discuss/pingback",
        "SERVER_NAME": "site.example",
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    }
    status: list[str] = []
    answer = b"".join(site.app(environ, lambda line, _: status.append(line)))  # type: ignore[arg-type, return-value]
    return int(status[0].split()[0]), answer


def is_refusal(status: int, answer: bytes) -> bool:
    return 400 <= status < 500 or (status == 200 and b"<fault>" in answer and b"faultCode" in answer)


def foreign_target(row: dict[str, Any]) -> bool:
    """Return whether only the desk can find that the target is no article of the site."""
    return bool(row["name"] == "swapped")


def complaint(row: dict[str, Any], status: int, answer: bytes, understood: bool) -> str | None:
    refused = is_refusal(status, answer)
    if refused == understood:
        return f"status {status}, neither a call nor a refusal"
    wanted = {"call": understood, "fault": refused, "reject": refused}.get(row["expect"], True)
    if not wanted and not foreign_target(row):
        return f"expected {row['expect']}, got status {status}: {answer[:300]!r}"
    return None


def test_every_body_is_understood_or_refused_as_it_should_be(cases: list[Case]) -> None:
    wrong = {}
    for row, body in cases:
        site = make_site()
        status, answer = post(site, body, row["content_type"])
        if problem := complaint(row, status, answer, bool(site.received)):
            wrong[row["id"]] = problem
    assert len(cases) == 127
    assert wrong == {}


def test_every_body_is_answered_soon(cases: list[Case]) -> None:
    site = make_site()
    slow = {}
    for row, body in cases:
        # The best of three: what is measured is the body, and not who else uses the machine.
        took = min(timed(site, body, row["content_type"]) for _ in range(3))
        if took > MOST_SECONDS:
            slow[row["id"]] = took
    assert slow == {}


def timed(site: Site, body: bytes, content_type: str) -> float:
    start = time.thread_time()
    post(site, body, content_type)
    return time.thread_time() - start


def test_every_body_takes_little_memory(cases: list[Case]) -> None:
    """Python's own allocations, expat's among them, by tracemalloc; all others by the resident size."""
    site = make_site()
    post(site, b"<x/>", "text/xml")
    costly = {}
    for row, body in cases:
        with resident_peak() as grown, traced_peak() as traced:
            post(site, body, row["content_type"])
        if max(grown[0], traced[0]) > MOST_MEMORY:
            costly[row["id"]] = (grown[0], traced[0])
    assert costly == {}


def test_the_memory_measurement_detects_allocations() -> None:
    with resident_peak() as grown, traced_peak() as traced:
        bytearray(b"x" * 2 * MOST_MEMORY)
    assert min(grown[0], traced[0]) > MOST_MEMORY


@contextmanager
def traced_peak() -> Iterator[list[int]]:
    """Gives a list that holds the highest traced memory in bytes, once the block has ended."""
    found: list[int] = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@contextmanager
def resident_peak() -> Iterator[list[int]]:
    """Gives a list that holds by how many bytes the process grew at its highest, once the block has ended."""
    found: list[int] = []
    # Linux forgets the high-water mark of the process on this number.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    yield found
    found.append(resident("VmHWM") - before)


def resident(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def test_a_large_body_is_turned_away_before_it_is_parsed(cases: list[Case]) -> None:
    site = make_site()
    large = [(row, body) for row, body in cases if len(body) > MAX_BODY]
    assert large
    for row, body in large:
        assert post(site, body, row["content_type"])[0] == 413, row["id"]


def test_a_body_shorter_than_announced_gets_a_fault() -> None:
    site = make_site()
    head = b"POST /discuss/pingback HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n"
    with serving(site.app) as port:
        answer = exchange(port, head + b"<methodCal", hang_up=True)
    assert answer.split()[1] == b"200"
    assert b"<fault>" in answer
