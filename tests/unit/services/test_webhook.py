"""Webhooks over real HTTP: signed with every secret, never redirected, never waited for too long."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from moderate.clock import SystemClock
from moderate.errors import ServiceDown, Undeliverable
from moderate.notices.values import Event, Hook
from moderate.notices.webhook import WebhookNotifier, signatures
from moderate.testing import ManualClock
from tests.servers import ROOT
from tests.unit.services.loopback import Connection, serving
from tests.unit.services.test_mail import ITEM, Links, notice

if TYPE_CHECKING:
    from moderate.ports import Notifier

OLD, NEW = "whsec_" + base64.b64encode(b"an old secret of 24 bytes").decode(), "a new secret in plain words"


def caller(url: str, *secrets: str, timeout: float = 30, clock: Any = None, context: Any = None) -> Notifier:
    hook = Hook(url, secrets or (NEW,))
    options: dict[str, Any] = {"timeout": timeout, "user_agent": "moderate/test", "ssl_context": context}
    return WebhookNotifier(hook, Links(), clock=clock or SystemClock(), **options)


def accept(connection: Connection) -> None:
    connection.answer(b"ok", status=204)


def test_a_call_is_json_signed_with_each_secret() -> None:
    clock = ManualClock()
    with serving(accept) as server:
        caller(server.url("/hook?x=1"), NEW, OLD, clock=clock).deliver(notice(ITEM))
        (call,) = server.connections
    assert call.lines[0] == "POST /hook?x=1 HTTP/1.1"
    fields = call.fields
    assert fields["host"] == f"127.0.0.1:{server.port}"
    assert fields["content-type"] == "application/json"
    assert fields["webhook-id"] == "7-2-waiting"
    assert fields["webhook-timestamp"] == str(int(clock.now().timestamp()))
    signed = f"7-2-waiting.{fields['webhook-timestamp']}.".encode() + call.body
    right = [
        base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        for key in (NEW.encode(), b"an old secret of 24 bytes")
    ]
    assert fields["webhook-signature"].split(" ") == [f"v1,{signature}" for signature in right]
    told = json.loads(call.body)
    assert told["type"] == "item.waiting"
    assert told["data"]["id"] == 7
    assert told["data"]["text"] == "The river froze twice."
    assert told["data"]["queue"] == "https://news.example/queue"


def test_the_documented_receiver_accepts_only_correctly_signed_calls() -> None:
    page = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
    example: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], example)
    signed = signatures([OLD, NEW], "7-2-waiting", 1_768_335_720, b"{}")
    fields = {"webhook-id": "7-2-waiting", "webhook-timestamp": "1768335720", "webhook-signature": signed}
    assert example["is_ours"](NEW.encode(), fields, b"{}")
    assert example["is_ours"](b"an old secret of 24 bytes", fields, b"{}")
    assert not example["is_ours"](NEW.encode(), fields, b"{} ")
    assert not example["is_ours"](NEW.encode(), {**fields, "webhook-timestamp": "1768335721"}, b"{}")
    assert not example["is_ours"](b"guessed", fields, b"{}")


def test_a_call_holds_no_private_data_of_the_author() -> None:
    with serving(accept) as server:
        caller(server.url()).deliver(
            notice(replace(ITEM, text="half \ud800 a character", referrer="https://r.example"))
        )
        (call,) = server.connections
    assert call.body.isascii()
    for private in (b"192.0.2.7", b"mika@mail.example", b"Mozilla", b"r.example"):
        assert private not in call.body


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with serving(accept) as other:
        location = other.url("/elsewhere")
        with (
            serving(lambda connection: connection.answer(status=status, location=location)) as server,
            pytest.raises(ServiceDown, match=str(status)),
        ):
            caller(server.url()).deliver(notice(ITEM))
        assert other.connections == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_call_that_is_not_accepted_is_retried(status: int) -> None:
    with serving(lambda connection: connection.answer(status=status)) as server, pytest.raises(ServiceDown):
        caller(server.url()).deliver(notice(ITEM))


def test_a_receiver_that_is_gone_is_given_up() -> None:
    with serving(lambda connection: connection.answer(status=410)) as server, pytest.raises(Undeliverable):
        caller(server.url()).deliver(notice(ITEM))


def test_an_answer_of_410_is_no_failure_of_the_connection() -> None:
    clock = ManualClock()
    statuses = iter([500] * 5 + [410] + [200] * 2)
    with serving(lambda connection: connection.answer(status=next(statuses))) as server:
        hook = caller(server.url(), clock=clock)
        for _ in range(5):
            with pytest.raises(ServiceDown):
                hook.deliver(notice(ITEM))
        clock.advance(minutes=20)
        with pytest.raises(Undeliverable):
            hook.deliver(notice(ITEM))
        hook.deliver(notice(ITEM))
        assert len(server.connections) == 7


@pytest.mark.parametrize(
    "behaviour",
    [
        Connection.silence,
        lambda connection: connection.drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000),
        lambda connection: connection.endless(b"x: y\r\n" * 1000),
        lambda connection: connection.endless(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        lambda connection: connection.send(b"SSH-2.0-nothing of yours\r\n"),
        lambda connection: None,
    ],
    ids=["silent", "slow", "endless", "endless hints", "no HTTP", "hung up"],
)
def test_a_misbehaving_receiver_is_left_in_time(behaviour: Any) -> None:
    clock = SystemClock()
    with serving(behaviour) as server:
        began = clock.monotonic()
        with pytest.raises(ServiceDown, match=r"too long|does not speak HTTP|cannot be reached: it sent more"):
            caller(server.url(), timeout=0.5).deliver(notice(ITEM))
        assert clock.monotonic() - began < 20


def test_a_receiver_that_keeps_failing_is_paused_and_tried_again() -> None:
    clock = ManualClock()
    with serving(lambda connection: connection.answer(status=500)) as server:
        hook = caller(server.url(), clock=clock)
        for _ in range(8):
            with pytest.raises(ServiceDown):
                hook.deliver(notice(ITEM))
        assert len(server.connections) == 5
        clock.advance(minutes=20)
        with pytest.raises(ServiceDown):
            hook.deliver(notice(ITEM))
        assert len(server.connections) == 6


def test_no_error_or_repr_holds_the_path_or_a_secret() -> None:
    hook = Hook("http://127.0.0.1:9/services/T0/secret-path?key=1", (NEW,), frozenset({Event.WAITING}))
    with pytest.raises(ServiceDown) as told:
        caller(hook.url).deliver(notice(ITEM))
    assert "secret-path" not in str(told.value) + repr(hook)
    assert NEW not in repr(hook)
