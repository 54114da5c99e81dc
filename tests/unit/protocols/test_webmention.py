"""Webmention: the W3C receiver's rules as far as they concern the request and the status page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from moderate.errors import Closed, Forbidden, RateLimited, ServiceDown, UnknownArticle
from moderate.model import Awaiting, Kind, Status
from moderate.protocols.webmention import status_json, status_page
from tests.unit.protocols.stand_in import StandInEdge, item

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.unit.protocols.stand_in import Site

SOURCE, TARGET = "https://blog.example/post", "https://site.example/a/1"
ENDPOINT = "/discuss/webmention"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def mention(
    client: FlaskClient, source: str = SOURCE, target: str = TARGET, headers: dict[str, str] | None = None
) -> TestResponse:
    return client.post(ENDPOINT, data={"source": source, "target": target}, headers=headers)


def test_a_mention_gets_201_and_a_status_address(client: FlaskClient, site: Site) -> None:
    answer = mention(client)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "https://site.example/discuss/webmention/token-7"
    assert answer.headers["Location"] in answer.text
    assert (site.last.kind, site.last.source_url, site.last.target_url) == (Kind.WEBMENTION, SOURCE, TARGET)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("garbage words", TARGET), (SOURCE, "garbage words"), ("garbage", "garbage"), ("", TARGET), (SOURCE, ""),
        ("", ""),
        ("ftp://blog.example/", TARGET), (SOURCE, "mailto:a@b.example"), ("https://u:p@blog.example/", TARGET),
        (TARGET, TARGET), (TARGET + "#a", TARGET), ("http://site.example/a/1/", TARGET), (SOURCE, "https://[x"),
    ],
)  # fmt: skip
def test_invalid_addresses_and_self_mentions_are_bad_requests(
    client: FlaskClient, site: Site, source: str, target: str
) -> None:
    answer = mention(client, source, target)
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert (answer.json["status"], answer.json["code"]) == (400, "invalid")
    assert {entry["field"] for entry in answer.json["errors"]} <= {"source", "target"}
    assert site.received == []


@pytest.mark.parametrize(
    "body", [b"", b"source", b"&&&", b"\xff\xfe=\x00", b'{"source": "x"}', b"source=%ff&target=%00"]
)
def test_bodies_without_addresses_are_bad_requests(client: FlaskClient, body: bytes) -> None:
    assert client.post(ENDPOINT, data=body).status_code == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [(UnknownArticle(), 400), (Closed(), 400), (Forbidden(), 400), (RateLimited(3), 429), (ServiceDown("db"), 503)],
)
def test_every_sender_error_gets_400_except_rate_limits(
    client: FlaskClient, site: Site, error: Closed | ServiceDown, status: int
) -> None:
    site.refuses = error
    answer = mention(client)
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"] == error.code
    assert ("Retry-After" in answer.headers) == (status != 400)


def test_a_body_longer_than_two_addresses_need_is_refused(client: FlaskClient) -> None:
    assert mention(client, SOURCE + "x" * 20_000).status_code == 400


def test_the_endpoint_shows_a_form_to_people(client: FlaskClient) -> None:
    answer = client.get(ENDPOINT)
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    for part in ('method="post" action="/discuss/webmention"', 'name="source"', 'name="target"'):
        assert part in answer.text
    assert client.head(ENDPOINT).status_code == 200
    assert client.options(ENDPOINT).headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    answer = client.put(ENDPOINT)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")


def test_browsers_get_html_pages(client: FlaskClient) -> None:
    answer = mention(client, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (201, "text/html")
    assert 'href="https://site.example/discuss/webmention/token-7"' in answer.text
    answer = mention(client, "garbage", headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert "The parameter source is not an absolute" in answer.text


def test_a_form_already_parsed_by_the_host_is_read(site: Site) -> None:
    @site.app.before_request
    def nosy() -> None:
        from flask import request

        assert request.form

    assert mention(site.app.test_client()).status_code == 201
    assert site.last.source_url == SOURCE


@pytest.mark.parametrize(
    ("status", "awaiting", "told"),
    [
        (Status.PENDING, Awaiting.CHECKS, "queued"),
        (Status.PENDING, Awaiting.MODERATOR, "pending"),
        (Status.APPROVED, None, "success"),
        (Status.TRASH, None, "deleted"),
    ],
)
def test_the_status_page_shows_the_state_of_a_mention(status: Status, awaiting: Awaiting | None, told: str) -> None:
    shown = status_json(item(status=status, awaiting=awaiting))
    assert (shown["status"], shown["source"], shown["target"]) == (told, SOURCE, TARGET)
    assert shown["summary"]


def test_spam_looks_the_same_as_a_mention_awaiting_moderation() -> None:
    spam = status_json(item(status=Status.SPAM, awaiting=None))
    assert spam == status_json(item(status=Status.PENDING, awaiting=Awaiting.MODERATOR))


def test_the_status_page_is_json_or_html_and_never_indexed(site: Site) -> None:
    hostile = item(source_url='https://blog.example/"><script>')
    edge: Any = StandInEdge()
    with site.app.test_request_context():
        data = status_page(Request(EnvironBuilder().get_environ()), hostile, edge)
        html = status_page(Request(EnvironBuilder(headers=BROWSER).get_environ()), hostile, edge)
    assert data.json == status_json(hostile)
    assert html.mimetype == "text/html"
    assert b"<script" not in html.data
    for answer in (data, html):
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Vary"] == "Accept"


def test_a_hand_encoded_form_is_read_from_the_body_only(client: FlaskClient, site: Site) -> None:
    query = urlencode({"source": "https://evil.example/", "target": "https://evil.example/x"})
    body = urlencode({"source": SOURCE, "target": TARGET})
    assert client.post(f"{ENDPOINT}?{query}", data=body).status_code == 201
    assert site.last.source_url == SOURCE
