"""Servers, requests and clocks of `bench.requests`: servers on the first processor, what asks them on the second."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.servers import HOST, ROOT, Gunicorn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CONNECTIONS = 8
SERVED = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "3600")
#: The fields that a browser sends with every request.
BROWSER = (
    f"Host: {HOST}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: gzip, deflate\r\n"
)
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JSON = {"Accept": "application/json"}


class Server(Gunicorn):
    """One variant: gunicorn with one worker of four threads that serves a site or the floors."""

    def __init__(
        self, target: str, place: Mapping[str, Any], source: Path = ROOT, workers: int = 1, *more: str
    ) -> None:
        self.place = place
        super().__init__(
            target, workers=workers, options=(*SERVED, *more), env=environment(place, source), ready="/ready"
        )
        self.patience = 180.0
        self._lines: list[socket.socket] = []
        self._tokens: dict[str, str] = {}

    def ask(self, requests: Iterable[bytes], *expected: int) -> list[bytes]:
        """Send each request over one of a few connections that are kept open, and return the responses."""
        sent = list(requests)
        # A connection on which nothing is sent would keep one of the server's threads waiting.
        while len(self._lines) < min(CONNECTIONS, len(sent)):
            self._lines.append(socket.create_connection((HOST, self.port), timeout=120))
        return exchange(self._lines, sent, expected)

    def get(self, path: str, **fields: str) -> bytes:
        return self.ask([request("GET", path, fields=HTML | fields)], 200)[0]

    def hang_up(self) -> None:
        """Close the connections; the next request opens new ones."""
        for line in self._lines:
            line.close()
        self._lines.clear()

    def close(self) -> None:
        self.hang_up()
        super().close()

    # --- what a reader's or a moderator's browser takes from a page -------------------------------

    def form_token(self, article: str) -> str:
        """Return the token of the form on an article page, which is valid there only."""
        if article not in self._tokens:
            self._tokens[article] = found(rb'name="form_token" value="([^"]+)"', self.get(f"/article/{article}"))
        return self._tokens[article]

    @cached_property
    def csrf_token(self) -> str:
        return found(rb'data-csrf="([^"]+)"', self.get("/discuss/moderation/", **{"X-Desk": "1"}))

    @cached_property
    def thread_tag(self) -> str:
        return found(rb"(?i)\r\nETag: (\S+)", self.get("/discuss/comments/read"))

    @cached_property
    def decided(self) -> dict[int, int]:
        """The versions of the items that are approved and sorted out by turns, by their ids."""
        answer = self.get("/discuss/moderation/items?article=decided&limit=200", **{"X-Desk": "1"})
        listed = json.loads(answer.partition(b"\r\n\r\n")[2])["items"]
        return {item["id"]: item["version"] for item in listed}


def environment(place: Mapping[str, Any], source: Path = ROOT) -> dict[str, str]:
    """Return what a process needs to know. It keeps its bytecode, as an installed package has it."""
    path = f"{ROOT}:{source / 'src'}"
    # With the other settings for processes that are forked; see `bench.requests_site.make_ready`.
    arenas = {"MALLOC_ARENA_MAX": "1"} if place.get("warm") else {}
    return {"PYTHONPATH": path, "BENCH_SITE": json.dumps(dict(place)), "PYTHONDONTWRITEBYTECODE": "", **arenas}


def found(pattern: bytes, response: bytes) -> str:
    match = re.search(pattern, response)
    assert match is not None, response[:2000]
    return match[1].decode()


def request(
    method: str, path: str, body: str | None = None, kind: str = "application/json", fields: Mapping[str, str] = HTML
) -> bytes:
    """Return a request as bytes."""
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    if body is None:
        return f"{method} {path} HTTP/1.1\r\n{BROWSER}{head}\r\n".encode()
    sent = body.encode()
    size = f"Content-Type: {kind}\r\nContent-Length: {len(sent)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{BROWSER}{head}{size}\r\n".encode() + sent


def form(path: str, values: Mapping[str, str], fields: Mapping[str, str] = HTML) -> bytes:
    return request("POST", path, urlencode(values), "application/x-www-form-urlencoded", fields)


def exchange(lines: Sequence[socket.socket], requests: Sequence[bytes], expected: Sequence[int]) -> list[bytes]:
    """Send all requests, one at a time on each connection, and return their responses as they come in."""
    waiting, poll = iter(requests), select.poll()
    by_number, parts, responses = {line.fileno(): line for line in lines}, dict[int, bytes](), list[bytes]()
    for line, sent in zip(lines, waiting, strict=False):
        poll.register(line, select.POLLIN)
        parts[line.fileno()] = b""
        line.sendall(sent)
    while len(responses) < len(requests):
        ready = poll.poll(120_000)
        assert ready, "the server does not answer"
        for number, _ in ready:
            got = by_number[number].recv(1 << 18)
            parts[number] += got
            assert got, f"the server ended the connection after {parts[number]!r}"
            if not is_whole(parts[number]):
                continue
            response, parts[number] = parts[number], b""
            assert int(response[9:12]) in expected, response.decode()
            responses.append(response)
            following = next(waiting, None)
            if following is None:
                poll.unregister(number)
            else:
                by_number[number].sendall(following)
    return responses


def is_whole(response: bytes) -> bool:
    head, end, body = response.partition(b"\r\n\r\n")
    if not end:
        return False
    length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
    if length is not None:
        return len(body) >= int(length[1]) or head[9:12] == b"304"
    return head[9:12] in {b"304", b"204"} or body.endswith(b"0\r\n\r\n")


# --- processors and clocks ------------------------------------------------------------------------


def use_processor(number: int) -> None:
    """Run this thread, and the processes that it starts from now on, on one of the processors that we may use."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(1) if os.geteuid() == 0 else range(os.cpu_count() or 1))
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {usable[number % len(usable)]})


def processes(roots: Iterable[int]) -> Iterator[int]:
    """Yield the processes of servers with all that descend from them."""
    for pid in roots:
        yield pid
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                yield from processes(map(int, path.read_text(encoding="ascii").split()))


def cpu_times(roots: Iterable[int]) -> dict[int, float]:
    """Return the CPU seconds that each process has used."""
    times = {}
    for pid in processes(roots):
        with contextlib.suppress(OSError):
            # The number of the kernel's clock of another process: see clock_getcpuclockid(3).
            times[pid] = time.clock_gettime((~pid << 3) | 2)
    return times


def cpu_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Return the CPU seconds between two looks; a process that began meanwhile counts in full."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def output_of(words: Sequence[str], env: Mapping[str, str]) -> str:
    """Return what Python prints when it is run with these words."""
    words = [sys.executable, *words]
    done = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cpu_of(words: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the CPU microseconds of a Python process from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output_of(words, env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e6


def memory_mib(roots: Iterable[int]) -> float:
    """Return the memory of processes, of which each counts its part of what several share (PSS)."""
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii") for pid in processes(roots))
    return sum(int(found(rb"\nPss: +(\d+)", text.encode())) for text in rollups) / 1024
