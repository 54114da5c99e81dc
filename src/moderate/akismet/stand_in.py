"""A small server that answers like Akismet, so that every answer can be tried without an account.

The answer depends on a marker in the author's name, e-mail or text, as with the real service's test hooks. Keys that
begin with ``bad`` are invalid. All requests are recorded.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

THANKS = "Thanks for making the web a better place."
#: The longest request that is read.
MOST_BYTES = 1 << 20
#: The delay of a slow answer in seconds, unless the server stops earlier.
SLOW_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the server."""

    body: str = "false"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    is_slow: bool = False
    #: The body is the submitted content.
    is_echo: bool = False


#: The answers by marker. The first marker in author, e-mail or content counts; without one the answer is ham.
REPLIES: dict[str, Reply] = {
    "akismet-guaranteed-discard": Reply("true", {"X-akismet-pro-tip": "discard"}),
    "akismet-guaranteed-spam": Reply("true"),
    "akismet-recheck-after": Reply(headers={"X-akismet-recheck-after": "120"}),
    "akismet-alert": Reply(headers={"X-akismet-alert-code": "10011", "X-akismet-alert-msg": "Over the monthly limit"}),
    "akismet-error": Reply(headers={"X-akismet-error": "10003"}),
    "akismet-invalid": Reply("invalid", {"X-akismet-debug-help": "We were unable to parse your blog URI"}),
    "akismet-garbage": Reply("perhaps"),
    "akismet-empty": Reply(""),
    "akismet-echo": Reply(is_echo=True),
    "akismet-status-429": Reply("slow down", {"Retry-After": "7200"}, status=429),
    "akismet-status-500": Reply("oops", status=500),
    "akismet-redirect": Reply("", {"Location": "https://example.org/"}, status=302),
    "akismet-long": Reply("true" * 100_000),
    "akismet-slow": Reply(is_slow=True),
}


class Received(NamedTuple):
    """One request: the last part of its path, its form fields (values in a list), and its header fields."""

    path: str
    fields: dict[str, list[str]]
    headers: dict[str, str]

    def get(self, name: str) -> str:
        return self.fields.get(name, [""])[0]


class AkismetStandIn(ThreadingHTTPServer):
    """A context manager that runs the server. `url` is its base address, `received` holds its requests.

    *port* 0 takes a free one. Setting `released` sends slow answers at once.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), Handler)
        self.received: list[Received] = []
        #: The number of calls, of 500 a month, that usage-limit reports.
        self.used: int = 25
        self.connections: int = 0
        self.released: threading.Event = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def __enter__(self) -> AkismetStandIn:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[Any, Any]:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore callers that hang up."""

    def reply_to(self, received: Received) -> Reply:
        """Record a request and return the answer to it."""
        self.received.append(received)
        if received.path == "verify-key":
            return Reply("valid" if is_good(received.get("key")) and received.get("blog") else "invalid")
        if not is_good(received.get("api_key")) or not received.get("blog"):
            return Reply("invalid", {"X-akismet-debug-help": 'Empty or unknown "api_key" or "blog" value'})
        if received.path == "comment-check":
            return verdict_on(received, len(self.received))
        if received.path == "usage-limit":
            share = f"{self.used / 5:.2f}"
            return Reply(json.dumps({"limit": 500, "usage": self.used, "percentage": share, "throttled": False}))
        return Reply(THANKS) if received.path in {"submit-spam", "submit-ham"} else Reply("", status=404)


def is_good(key: str) -> bool:
    return bool(key) and not key.startswith("bad")


def verdict_on(received: Received, number: int) -> Reply:
    """Return the answer to a comment-check by its marker.

    A provisional answer is final when the check is repeated; administrators are never spam.
    """
    guid = {"X-akismet-guid": f"stand-in-{number}"}
    if received.get("user_role") == "administrator":
        return Reply(headers=guid)
    names = ("comment_author", "comment_author_email", "comment_content")
    text = "\n".join(received.get(name) for name in names).lower()
    marker = next((marker for marker in REPLIES if marker in text), None)
    if marker is None or (marker == "akismet-recheck-after" and received.get("recheck_reason")):
        return Reply(headers=guid)
    reply = REPLIES[marker]
    body = received.get("comment_content") if reply.is_echo else reply.body
    return Reply(body, {**guid, **reply.headers}, reply.status, reply.is_slow)


class Handler(BaseHTTPRequestHandler):
    """The handler of one connection, which stays open."""

    server: AkismetStandIn
    protocol_version = "HTTP/1.1"
    #: Headers and body are sent in one packet; otherwise the caller waits 40 ms for the second.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MOST_BYTES:
            self.send_error(413)
            return
        fields = parse_qs(self.rfile.read(length).decode("utf-8", "replace"), keep_blank_values=True)
        path = self.path.partition("?")[0].rpartition("/")[2]
        reply = self.server.reply_to(Received(path, fields, dict(self.headers.items())))
        if reply.is_slow:
            self.server.released.wait(SLOW_SECONDS)
        self._send(reply)

    def do_GET(self) -> None:
        self._send(Reply("This stands in for Akismet. Markers: " + ", ".join(REPLIES)))

    def _send(self, reply: Reply) -> None:
        body = reply.body.encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "text/plain; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the signature of http.server)
        """Log nothing: requests hold what people wrote."""


def run(port: int = 8899, host: str = "127.0.0.1") -> None:
    """Serve until interrupted."""
    server = AkismetStandIn(port, host)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
