"""Pingback: the fault code of each error, and the details that no fault reveals."""

from __future__ import annotations

import xmlrpc.client
from typing import TYPE_CHECKING

import pytest

from moderate.errors import Closed, Forbidden, Invalid, RateLimited, ServiceDown, UnknownArticle

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.unit.protocols.stand_in import Site

SOURCE, TARGET = "https://blog.example/post", "https://site.example/a/1"


def call(client: FlaskClient, *parameters: object, method: str = "pingback.ping") -> str:
    """The success string. Raises `xmlrpc.client.Fault`."""
    body = xmlrpc.client.dumps(parameters, method, allow_none=True)
    answer = client.post("/discuss/pingback", data=body, content_type="text/xml")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    return str(xmlrpc.client.loads(answer.data)[0][0])


def code(client: FlaskClient, *parameters: object, method: str = "pingback.ping") -> int:
    with pytest.raises(xmlrpc.client.Fault) as raised:
        call(client, *parameters, method=method)
    assert raised.value.faultString.strip()
    return int(raised.value.faultCode)


def test_a_successful_ping_returns_a_single_string(client: FlaskClient, site: Site) -> None:
    assert "fault" not in call(client, SOURCE, TARGET).lower()
    assert (site.last.source_url, site.last.target_url, site.last.article) == (SOURCE, TARGET, None)


def test_the_target_is_stored_as_the_source_writes_it(client: FlaskClient, site: Site) -> None:
    call(client, SOURCE, TARGET + "?utm_source=x#top")
    assert site.last.target_url == TARGET + "?utm_source=x#top"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ((), -32602),
        ((SOURCE,), -32602),
        ((SOURCE, TARGET, "x"), -32602),
        ((1, 2), -32602),
        (([SOURCE], TARGET), -32602),
        ((None, TARGET), -32602),
        (("", TARGET), 16),
        (("garbage", TARGET), 16),
        (("javascript:alert(1)", TARGET), 16),
        (("https://user:pw@blog.example/", TARGET), 16),
        (("https://blog.example/\nHost: x", TARGET), 16),
        ((SOURCE, "garbage"), 33),
        ((SOURCE, "ftp://site.example/a"), 33),
        ((TARGET, TARGET), 0),
        ((TARGET + "#x", TARGET), 0),
        (("http://SITE.example:80/a/1/", TARGET), 0),
    ],
)
def test_invalid_calls_get_their_fault_codes(
    client: FlaskClient, site: Site, parameters: tuple[object, ...], expected: int
) -> None:
    assert code(client, *parameters) == expected
    assert site.received == []


@pytest.mark.parametrize("method", ["system.multicall", "system.listMethods", "pingback", "__class__", "demo.sayHello"])
def test_no_other_method_is_available(client: FlaskClient, method: str) -> None:
    assert code(client, SOURCE, TARGET, method=method) == -32601
    assert code(client, [{"methodName": "pingback.ping", "params": [SOURCE, TARGET]}], method=method) == -32601


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnknownArticle(), 33),
        (Closed(), 33),
        (RateLimited(5), 49),
        (Forbidden(), 49),
        (ServiceDown("database", "secret words"), 50),
        (Invalid.field("source", "No."), 0),
    ],
)
def test_refusals_get_their_fault_codes(
    client: FlaskClient, site: Site, error: Closed | ServiceDown, expected: int
) -> None:
    site.refuses = error
    assert code(client, SOURCE, TARGET) == expected


def test_fault_texts_hold_no_secret_and_no_markup(client: FlaskClient, site: Site) -> None:
    site.refuses = ServiceDown("database", "secret words")
    body = xmlrpc.client.dumps((SOURCE, TARGET), "pingback.ping")
    assert b"secret" not in client.post("/discuss/pingback", data=body).data
    body = xmlrpc.client.dumps(("javascript:<script>", TARGET), "pingback.ping")
    assert b"<script" not in client.post("/discuss/pingback", data=body).data


def test_named_parameters_are_accepted_in_any_order(client: FlaskClient, site: Site) -> None:
    params = "".join(
        f"<param><name>{name}</name><value>{value}</value></param>"
        for name, value in (("targetURI", TARGET), ("sourceURI", SOURCE))
    )
    body = f"<methodCall><methodName>pingback.ping</methodName><params>{params}</params></methodCall>"
    client.post("/discuss/pingback", data=body)
    assert site.last.source_url == SOURCE


def test_a_body_above_the_limit_gets_status_413(client: FlaskClient) -> None:
    assert client.post("/discuss/pingback", data=b"<" * 16_385).status_code == 413
    assert client.post("/discuss/pingback", data=b"<" * 16_384).status_code == 200


def test_other_http_methods_get_405_with_allow_post(client: FlaskClient) -> None:
    answer = client.get("/discuss/pingback")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.text == "XML-RPC server accepts POST requests only."
    assert client.options("/discuss/pingback").headers["Allow"] == "OPTIONS, POST"
