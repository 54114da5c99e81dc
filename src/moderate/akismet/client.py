"""Akismet, and services with the same API; see `moderate.ports.SpamService`.

The API: https://akismet.com/developers/detailed-docs/. The calls go through the `akismet` client. That one builds
absolute addresses of its own, rejects fields that the service takes, and shows no response headers; `AkismetTransport`
adds all three below it, through its public argument `http_client`, and a deadline for the whole call.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlencode

import httpcore
import httpx

from moderate.errors import FetchFailed, ServiceDown
from moderate.i18n import Message
from moderate.outbound.client import Budget, DeadlinePassed, OutboundClient
from moderate.outbound.failures import CircuitBreaker, chain, retry_after, trouble
from moderate.ports import SpamAnswer, SpamUsage, SpamWord

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator, Mapping

    import akismet

    from moderate.ports import Clock, SpamSample

BASE_URL = "https://rest.akismet.com"
#: The longest answer of a call, in bytes with its head. Akismet's answers are a word or a few lines of JSON.
MOST_BYTES = 65_536

#: The fields of a sample that are no keywords of the client's: it takes the address first, and the others not at all.
NO_KEYWORDS = frozenset({"user_ip", "comment_parent", "comment_context", "honeypot_value"})

MINUTES = 60.0
#: Seconds until a retry makes sense, by kind of failure.
RETRY_AFTER = {"bad-key": 360 * MINUTES, "timeout": 20 * MINUTES, "refused": 20 * MINUTES, "protocol": 20 * MINUTES}

Kind = Literal["bad-key", "timeout", "refused", "protocol"]


INVALID_KEY = Message("the key is not valid for this site")


@dataclass(slots=True)
class Call:
    """One call: the fields that are added to it, its budget, and the headers of its response."""

    fields: tuple[tuple[str, str], ...]
    budget: Budget
    headers: Mapping[str, str] = field(default_factory=dict)


#: The call that this thread makes. Calls of other threads have a context of their own.
current_call: ContextVar[Call] = ContextVar("moderate_akismet_call")


class AkismetService:
    """A client of Akismet, or of a service with the same API at *base_url*.

    *blog_url* is the site's front page, *timeout* the seconds that a whole call may take. One HTTP
    client per process is made when first needed, and anew after a fork. Every failure raises
    `ServiceDown` with a `kind`: ``bad-key``, ``timeout``, ``refused`` (no connection, an error
    status, the service's own error), ``protocol`` (an answer that means nothing) or ``resting``.
    The key is part of no error text, log line or address.
    """

    def __init__(
        self,
        key: str,
        blog_url: str,
        *,
        clock: Clock,
        base_url: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._key = key
        self._blog_url = blog_url
        self._base_url = base_url or BASE_URL
        self._timeout = timeout
        self._clock = clock
        self._breaker = CircuitBreaker("akismet", clock)
        self._lock = threading.Lock()
        self._clients: dict[int, Clients] = {}

    def __repr__(self) -> str:
        return f"<AkismetService {self._base_url} for {self._blog_url}>"

    def check(self, sample: SpamSample) -> SpamAnswer:
        with self._call(sample) as (clients, call):
            said = clients.akismet.comment_check(sample.user_ip, **own_fields(sample))
            self._refuse_errors(call)
        return SpamAnswer(
            word=SpamWord(said.name.lower()),
            recheck_after=seconds(call.headers.get("x-akismet-recheck-after")) if said == 0 else None,
            guid=self._line(call, "guid"),
            alert_code=self._line(call, "alert-code"),
            alert_msg=self._line(call, "alert-msg"),
        )

    def teach(self, sample: SpamSample, is_spam: bool) -> None:
        with self._call(sample) as (clients, call):
            submit = clients.akismet.submit_spam if is_spam else clients.akismet.submit_ham
            submit(sample.user_ip, **own_fields(sample))
            self._refuse_errors(call)

    def verify(self) -> bool:
        with self._call() as (clients, _):
            return bool(clients.akismet.verify_key(self._key, self._blog_url))

    def usage(self) -> SpamUsage:
        # The client would ask by GET, with the key in the address, where logs of proxies keep it.
        with self._call() as (clients, call):
            response = clients.http.post(
                f"{BASE_URL}/1.2/usage-limit", data={"api_key": self._key, "blog": self._blog_url}
            )
            if response.text == "invalid":
                raise self._down("bad-key")
            self._refuse_errors(call)
            return usage_of(response.raise_for_status().json())

    def close(self) -> None:
        """Close this process's connections; the next call opens new ones."""
        with self._lock:
            clients = self._clients.pop(os.getpid(), None)
        if clients is not None:
            clients.http.close()

    @contextmanager
    def _call(self, sample: SpamSample | None = None) -> Iterator[tuple[Clients, Call]]:
        """Make one call within the block: circuit breaker, budget, extra fields, and any error as `ServiceDown`."""
        self._breaker.enter()
        fields = tuple(more_fields(sample)) if sample is not None else ()
        call = Call(fields, Budget.of(self._clock, self._timeout, MOST_BYTES))
        token = current_call.set(call)
        try:
            yield self._clients_here(), call
        except ServiceDown:
            self._breaker.failed()
            raise
        except Exception as error:  # noqa: BLE001  (after any error the item is held and retried)
            self._breaker.failed()
            # The client's errors quote answers and addresses, which may hold the key.
            raise self._failure(error, call) from None
        else:
            self._breaker.succeeded()
        finally:
            current_call.reset(token)

    def _clients_here(self) -> Clients:
        """Return the clients of this process. Those made before a fork are not used: their sockets are the parent's."""
        pid = os.getpid()
        clients = self._clients.get(pid)
        if clients is not None:
            return clients
        with self._lock:
            if pid not in self._clients:
                made = Clients(self._key, self._blog_url, self._base_url)
                # For services that are dropped without `close`.
                weakref.finalize(self, made.http.close)
                self._clients[pid] = made
            return self._clients[pid]

    def _refuse_errors(self, call: Call) -> None:
        said = self._line(call, "error")
        if said:
            raise self._down("refused", Message("it reports an error: {said}", said=said))

    def _failure(self, error: Exception, call: Call) -> ServiceDown:
        kind, reason = failure_of(error)
        debug = self._line(call, "debug-help")
        if debug:
            reason = Message("{reason} ({note})", reason=reason, note=debug)
        response = response_to(error)
        asked = (
            retry_after(response.headers.get("retry-after", ""), self._clock.now()) if response is not None else None
        )
        return self._down(kind, reason, asked or 0.0)

    def _down(self, kind: Kind, reason: str = INVALID_KEY, wait: float = 0) -> ServiceDown:
        return ServiceDown("akismet", self._without_key(reason), max(wait, RETRY_AFTER[kind]), kind)

    def _line(self, call: Call, name: str) -> str:
        """Return a response header as one short line of text, without the key if the service quotes it."""
        value = call.headers.get(f"x-akismet-{name}", "")
        return self._without_key("".join(char for char in value if char.isprintable()))[:200]

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "(key)") if self._key and self._key in text else text


class Clients:
    """The `akismet` client and the HTTP client below it, made when first needed: certificates take 100 ms to load."""

    http: httpx.Client
    akismet: akismet.SyncClient

    def __init__(self, key: str, blog_url: str, base_url: str) -> None:
        import akismet

        secure = httpx.create_ssl_context(trust_env=False) if base_url.startswith("https:") else None
        transport = AkismetTransport(base_url, OutboundClient(), secure)
        self.http = httpx.Client(transport=transport, headers={"User-Agent": akismet.USER_AGENT}, trust_env=False)
        self.akismet = akismet.SyncClient(config=akismet.Config(key, blog_url), http_client=self.http)


class AkismetTransport(httpx.BaseTransport):
    """Sends every request to *base_url* in place of the client's own address. Redirects are not followed."""

    def __init__(self, base_url: str, client: OutboundClient, ssl_context: ssl.SSLContext | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=20,
            keepalive_expiry=30,
            network_backend=client.backend(lambda: current_call.get().budget),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = current_call.get()
        target = httpx.URL(self._base_url + request.url.raw_path.decode("ascii"))
        body = body_of(request, call.fields)
        headers = headers_of(request, target, body)
        with self._pool.stream(request.method, str(target), headers=headers, content=body) as response:
            answer = httpx.Response(response.status, headers=response.headers, content=response.read())
        call.headers = answer.headers
        return answer

    def close(self) -> None:
        self._pool.close()


def body_of(request: httpx.Request, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the client's form with *fields* behind it."""
    body = request.read()
    more = urlencode(list(fields), errors="replace").encode("ascii")
    return b"&".join(part for part in (body, more) if part) if request.method == "POST" else body


def headers_of(request: httpx.Request, target: httpx.URL, body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the client's headers, with those that belong to the address and the body replaced."""
    # The budget counts bytes as they arrive, so that an answer must not come compressed.
    replaced = {b"host", b"content-length", b"accept-encoding"}
    kept = [(name, value) for name, value in request.headers.raw if name.lower() not in replaced]
    kept += [(b"Host", target.netloc), (b"Accept-Encoding", b"identity")]
    return [*kept, (b"Content-Length", str(len(body)).encode("ascii"))] if body else kept


def own_fields(sample: SpamSample) -> akismet.AkismetArguments:
    """Return the fields that the client takes as keywords, without empty ones."""
    names = [each.name for each in fields(sample) if each.name not in NO_KEYWORDS]
    return cast("akismet.AkismetArguments", {name: value for name in names if (value := getattr(sample, name))})


def more_fields(sample: SpamSample) -> Iterator[tuple[str, str]]:
    """Yield the fields that the service takes and the client does not."""
    if sample.comment_parent:
        yield "comment_parent", sample.comment_parent
    for part in filter(None, sample.comment_context):
        yield "comment_context[]", part
    field_name = sample.honeypot_field_name
    if field_name and sample.honeypot_value and field_name not in own_fields(sample):
        yield field_name, sample.honeypot_value
    yield "blog_charset", "UTF-8"


def failure_of(error: Exception) -> tuple[Kind, Message]:
    """Return the kind of a failure, and a description without parts of the answer."""
    import akismet

    causes = list(chain(error))
    failed = next((cause for cause in causes if isinstance(cause, FetchFailed)), None)
    if isinstance(error, akismet.APIKeyError):
        return "bad-key", INVALID_KEY
    is_late = any(isinstance(cause, httpcore.TimeoutException | DeadlinePassed) for cause in causes)
    if is_late or (failed and failed.kind == "timeout"):
        return "timeout", Message("no complete answer in time")
    response = response_to(error)
    if response is not None:
        return "refused", Message("it answered with status {n}", n=response.status_code)
    if failed or isinstance(error, akismet.RequestError):
        return "refused", Message("it cannot be reached: {why}", why=failed.reason if failed else trouble(error))
    return "protocol", Message("its answer is none that we know")


def response_to(error: Exception) -> httpx.Response | None:
    """Return the response that led to an error; None where there was none."""
    found = (getattr(cause, "response", None) for cause in chain(error))
    return next((response for response in found if isinstance(response, httpx.Response)), None)


def seconds(value: str | None) -> float | None:
    """Return a header's whole number of seconds; None for anything else."""
    return float(value) if value and value.strip().isdecimal() and value.isascii() and len(value) < 9 else None


def usage_of(answer: Mapping[str, object]) -> SpamUsage:
    """Read the usage-limit answer: `limit` may be the word "none", `percentage` is text."""
    limit = answer.get("limit")
    return SpamUsage(
        limit=None if limit in (None, "none") else int(number(limit)),
        used=int(number(answer.get("usage"))),
        percentage=number(answer.get("percentage")),
        throttled=answer.get("throttled") is True,
    )


def number(value: object) -> float:
    return float(str(value or 0))
