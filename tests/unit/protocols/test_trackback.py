"""TrackBack: what is read, what is answered, and what the other methods get."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from moderate.errors import Closed, Forbidden, Invalid, RateLimited, ServiceDown
from moderate.model import Status
from moderate.protocols.trackback import rss
from tests.unit.protocols.stand_in import ARTICLE, item

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.unit.protocols.stand_in import Site

PING = "/discuss/trackback/1"
SOURCE = "https://blog.example/post"

SUCCESS = b'<?xml version="1.0" encoding="utf-8"?>\n<response>\n<error>0</error>\n</response>\n'


def ping(client: FlaskClient, path: str = PING, **fields: str) -> TestResponse:
    return client.post(
        path, data=urlencode({"url": SOURCE, **fields}), content_type="application/x-www-form-urlencoded"
    )


def failed(answer: TestResponse, status: int = 200) -> str:
    """Hold the answer to the bytes of an error and return its message."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    head = b'<?xml version="1.0" encoding="utf-8"?>\n<response>\n<error>1</error>\n<message>'
    tail = b"</message>\n</response>\n"
    assert answer.data.startswith(head)
    assert answer.data.endswith(tail)
    message = answer.data.removeprefix(head).removesuffix(tail)
    assert message.strip()
    assert b"<" not in message
    assert ET.fromstring(answer.data).findtext("message")
    return message.decode()


def test_the_success_response_is_byte_exact(client: FlaskClient) -> None:
    answer = ping(client)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert answer.data == SUCCESS


@pytest.mark.parametrize(
    "url",
    [
        "", "   ", "garbage", "//blog.example/x", "ftp://blog.example/x", "javascript:alert(1)", "https://", "https:///x",
        "data:text/html,x", "https://user@blog.example/", "https://user:pw@blog.example/", "https://blog.example:x/",
        "https://blog.example:99999/", "https://blog.example/a b", "https://blog.example/\x01", "https://[::1/",
        "https://blog.example/<script>", "https://blog.example/" + "a" * 2048, "http%3A", "https://blog.example/\ud800",
        "https://blog.example\\@evil.example/",
    ],
)  # fmt: skip
def test_an_invalid_address_gets_an_error_with_a_message(client: FlaskClient, site: Site, url: str) -> None:
    answer = client.post(PING, data=b"url=" + urlencode({"": url}, errors="surrogatepass").encode()[1:])
    assert "url" in failed(answer)
    assert site.received == []


def test_a_ping_without_url_is_an_error(client: FlaskClient) -> None:
    assert failed(client.post(PING, data=b"title=T")) == "The parameter url is missing."
    assert failed(client.post(PING)) == "The parameter url is missing."


def test_texts_are_stored_as_received_and_made_plain_once(client: FlaskClient, site: Site) -> None:
    ping(client, title=" <b>Bold</b>\x00 &amp;\n &lt;i&gt; ", excerpt="1 < 2 <br/> e\u0301", blog_name="A\x07B")
    assert site.last.title == "<b>Bold</b>\x00 &amp;\n &lt;i&gt;"
    assert site.cleaned.title == "Bold & <i>"
    assert site.cleaned.body.html == "<p>1 &lt; 2 \xe9</p>"
    assert site.cleaned.blog_name == "AB"


def test_entities_are_decoded_only_once(client: FlaskClient, site: Site) -> None:
    ping(client, title="&amp;lt;b&amp;gt;")
    assert site.cleaned.title == "&lt;b&gt;"


def test_long_texts_are_truncated_by_characters(client: FlaskClient, site: Site) -> None:
    ping(client, title="語" * 300, excerpt="é" * 300, blog_name="x" * 300)
    assert site.cleaned.title == "語" * 250
    assert site.cleaned.body.html == f"<p>{'é' * 252}...</p>"
    assert site.cleaned.blog_name == "x" * 100


def test_a_letter_is_not_separated_from_its_combining_accent(client: FlaskClient, site: Site) -> None:
    ping(client, blog_name="x" * 99 + "q\u0323\u0301", excerpt="y" * 251 + "👩\u200d🚀" + "z" * 9)
    assert site.cleaned.blog_name == "x" * 99
    assert site.cleaned.body.html == f"<p>{'y' * 251}...</p>"


def test_missing_texts_are_left_empty(client: FlaskClient, site: Site) -> None:
    ping(client)
    assert (site.last.title, site.last.blog_name, site.last.text) == (None, None, "")
    assert site.last.article == "1"


def test_too_large_requests_are_refused_in_the_form_of_the_protocol(client: FlaskClient, site: Site) -> None:
    failed(client.post(PING, data=b"url=https://a.example/&excerpt=" + b"x" * 65_536), 413)
    failed(client.post(PING, data=b"url=https://a.example/" + b"&a=b" * 32), 413)
    ping(client, **{f"field{n}": "x" for n in range(31)})
    assert len(site.received) == 1


@pytest.mark.parametrize("boundary", ["", "y", "x" * 300])
def test_a_broken_multipart_form_is_an_error(client: FlaskClient, boundary: str) -> None:
    failed(client.post(PING, data=b"--x\r\nnonsense", content_type=f"multipart/form-data; boundary={boundary}"))


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Closed("Pings are closed here."), 200, "Pings are closed here."),
        (Invalid.field("url", "1 < 2\n& more."), 200, "1 &lt; 2 &amp; more."),
        (Forbidden(), 200, "This is not allowed."),
        (RateLimited(11.2), 429, "Too many requests. Try again in 12 seconds."),
        (ServiceDown("database", "secret"), 503, "This is not available right now. Please try again later."),
    ],
)
def test_refusals_have_a_message_and_a_fitting_status(
    client: FlaskClient, site: Site, error: Closed | ServiceDown, status: int, words: str
) -> None:
    site.refuses = error
    answer = ping(client)
    assert failed(answer, status) == words
    assert ("Retry-After" in answer.headers) == (status in {429, 503})


def test_an_unknown_article_is_an_error(client: FlaskClient) -> None:
    assert failed(ping(client, "/discuss/trackback/none")) == "There is no such article."


# --- the other methods -----------------------------------------------------------------------------


def test_a_person_who_opens_the_address_is_sent_to_the_article(client: FlaskClient, site: Site) -> None:
    for query in ("", "?__mode=view&entry_id=1", "?__mode=nonsense"):
        answer = client.get(PING + query)
        assert (answer.status_code, answer.location) == (302, ARTICLE.url)
    assert not site.items_were_read


def test_a_ping_by_get_is_refused(client: FlaskClient, site: Site) -> None:
    answer = client.get(PING + "?url=https://a.example/")
    assert failed(answer, 405) == "Trackback pings must use HTTP POST."
    assert answer.headers["Allow"] == "POST"
    assert site.received == []


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_refused_with_the_allowed_ones(client: FlaskClient, method: str) -> None:
    answer = client.open(PING, method=method)
    failed(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_head_is_get_without_a_body_and_options_lists_the_methods(client: FlaskClient) -> None:
    answer = client.head(PING)
    assert (answer.status_code, answer.data) == (302, b"")
    answer = client.options(PING)
    assert (answer.status_code, answer.headers["Allow"], answer.data) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_get_of_an_unknown_article_is_not_found(client: FlaskClient) -> None:
    failed(client.get("/discuss/trackback/none?__mode=rss"), 404)


def test_the_list_holds_only_public_pings(client: FlaskClient, site: Site) -> None:
    site.listed = [
        item(status=Status.APPROVED, title="A <b>", html="<p>x &amp; y</p>", source_url="https://a.example/?a=1&b=2"),
        item(title="Hidden"),
        item(status=Status.APPROVED, title=None, source_url="https://b.example/"),
    ]
    answer = client.get(PING + "?__mode=rss")
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    tree = ET.fromstring(answer.data)
    assert tree.findtext("error") == "0"
    rss_element = tree.find("rss")
    assert rss_element is not None
    assert rss_element.get("version") == "0.91"
    channel = rss_element.find("channel")
    assert channel is not None
    assert [child.tag for child in channel] == ["title", "link", "description", "language", "item", "item"]
    assert [(i.findtext("title"), i.findtext("link"), i.findtext("description")) for i in channel.iter("item")] == [
        ("A <b>", "https://a.example/?a=1&b=2", "x & y"),
        ("https://b.example/", "https://b.example/", ""),
    ]
    assert b"Hidden" not in answer.data


def test_a_list_without_pings_is_well_formed() -> None:
    assert ET.fromstring(rss(ARTICLE, [])).findtext("rss/channel/link") == ARTICLE.url
