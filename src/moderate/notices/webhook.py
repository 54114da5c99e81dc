"""Call webhooks: signed, within a deadline, and without following redirects.

Calls have the form of Standard Webhooks, for which receivers find libraries: the fields ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``, and HMAC-SHA256 over ``id.timestamp.body``. Each secret adds a
signature; a receiver accepts a call if one of them is valid.
"""

from __future__ import annotations

import base64
import hmac
import json
from contextlib import contextmanager
from datetime import UTC
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpcore

from moderate.errors import FetchFailed, ServiceDown, Undeliverable
from moderate.notices.values import signing_key
from moderate.outbound.client import FRAMING, Budget, DeadlinePassed, OutboundClient, TooMuchData
from moderate.outbound.failures import CircuitBreaker, retry_after, trouble
from moderate.web_address import read

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from moderate.model import Item
    from moderate.notices.values import Hook, Notice
    from moderate.ports import Clock, NoticeLinks

#: Answers whose Retry-After counts: too many requests, and not available for a while.
SLOW_DOWN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECTED = ", a redirect, which is not followed: put the address that it leads to into MODERATE_WEBHOOKS"


class WebhookNotifier:
    """One program; see `moderate.ports.Notifier`. `timeout` is in seconds for a whole call."""

    per_hour: int | None = None

    def __init__(
        self,
        hook: Hook,
        links: NoticeLinks,
        *,
        clock: Clock,
        timeout: float,
        user_agent: str,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.key = hook.key
        self.events = hook.events
        self._hook = hook
        address = read(hook.url)
        if address is None:
            raise ValueError(f"{hook.host} is no host that can be called")
        self._address = address
        self._links = links
        self._clock = clock
        self._timeout = timeout
        self._user_agent = user_agent
        self._client = OutboundClient(ssl_context=ssl_context)
        self._breaker = CircuitBreaker("webhook", clock)

    def deliver(self, notice: Notice) -> None:
        """See the port. Any answer of 200 to 299 is an acceptance; 410 says that no call is wanted any more."""
        self._breaker.enter()
        try:
            status, wait = self._post(body_of(notice, self._links), notice.id)
        except ServiceDown:
            self._breaker.failed()
            raise
        if 200 <= status < 300:
            self._breaker.succeeded()
            return
        if status == HTTPStatus.GONE:
            self._breaker.succeeded()  # it answers; the calls to it are stopped for all processes
            raise Undeliverable(f"{self._hook.host} answered 410: it wants no more calls", is_gone=True)
        if wait is not None:
            # It answers; its wait is kept for all processes, see `moderate.notices.delivery.pause`.
            self._breaker.succeeded()
            reason = f"{self._hook.host} answered {status} and asks to wait for {wait:.0f} seconds"
            raise ServiceDown("webhook", reason, retry_after=wait, kind="later")
        self._breaker.failed()
        raise ServiceDown("webhook", f"{self._hook.host} answered {status}{REDIRECTED if status in REDIRECTS else ''}")

    def probe(self) -> None:
        """Connect, by TLS for https, without a request. Raises `ServiceDown`."""
        with self._failures_named():
            self._client.probe(self._address, Budget.of(self._clock, self._timeout, FRAMING))

    def _post(self, body: bytes, notice_id: str) -> tuple[int, float | None]:
        """Return the status of the answer, and how many seconds it asks to wait; the rest is not read."""
        timestamp = int(self._clock.now().timestamp())
        headers = [
            ("Content-Length", str(len(body))),
            ("Content-Type", "application/json"),
            ("User-Agent", self._user_agent),
            ("webhook-id", notice_id),
            ("webhook-timestamp", str(timestamp)),
            ("webhook-signature", signatures(self._hook.secrets, notice_id, timestamp, body)),
        ]
        budget = Budget.of(self._clock, self._timeout, FRAMING)
        target = (self._address.path or "/") + self._address.query
        with (
            self._failures_named(),
            self._client.request("POST", self._address, budget, headers, target=target, content=body) as response,
        ):
            status: int = response.status
            asked = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
            wait = retry_after(asked.decode("latin-1"), self._clock.now()) if status in SLOW_DOWN else None
        return status, wait

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except FetchFailed as error:
            # The words are those for sources of pings.
            reason = error.reason.replace("the source", "it")
            raise ServiceDown("webhook", f"{self._hook.host} cannot be reached: {reason}") from error
        except (httpcore.TimeoutException, DeadlinePassed) as error:
            raise ServiceDown("webhook", f"{self._hook.host} took too long") from error
        except TooMuchData as error:
            reason = f"{self._hook.host} cannot be reached: it sent more than is accepted"
            raise ServiceDown("webhook", reason) from error
        except httpcore.ProtocolError as error:
            raise ServiceDown("webhook", f"{self._hook.host} broke off, or does not speak HTTP") from error
        except (httpcore.NetworkError, OSError) as error:
            raise ServiceDown("webhook", f"{self._hook.host} cannot be reached: {trouble(error)}") from error


def signatures(secrets: Sequence[str], notice_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature for each secret, as ``v1,BASE64``, separated by blanks."""
    signed = f"{notice_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(signing_key(secret), signed, "sha256") for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def body_of(notice: Notice, links: NoticeLinks) -> bytes:
    """Return a notice as JSON. It holds no e-mail address, IP address or user agent."""
    item = notice.items[0]
    body = {
        "type": f"item.{notice.event.value}",
        "timestamp": notice.at.astimezone(UTC).isoformat(),
        "data": {**data_of(item), "queue": links.queue()},
    }
    # In ASCII, as a text may hold a lone surrogate, which UTF-8 cannot encode.
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def data_of(item: Item) -> dict[str, object]:
    return {
        "id": item.id,
        "version": item.version,
        "kind": item.kind.value,
        "status": item.status.value,
        "awaiting": item.awaiting.value if item.awaiting else None,
        "article": item.article,
        "article_title": item.article_title,
        "article_url": item.article_url,
        "author": item.author,
        "url": item.url,
        "text": (item.proposed or {}).get("text") or item.text,
        "title": item.title,
        "source_url": item.source_url,
        "created_at": item.created_at.astimezone(UTC).isoformat(),
        "decided_by": item.decided_by,
        "findings": [
            {"check": finding.check, "lean": finding.lean.value, "reason": finding.reason} for finding in item.findings
        ],
    }
