"""Every form in which deployed software sends its pings, byte for byte over a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moderate.model import Kind
from moderate.protocols.trackback import SUCCESS

if TYPE_CHECKING:
    from tests.unit.protocols.stand_in import Site

from tests.unit.protocols.stand_in import exchange

FORM = "Content-Type: application/x-www-form-urlencoded"
SOURCE = "https://blog.example/post"
TARGET = "https://site.example/a/1"


def post(path: str, body: bytes, *fields: str, version: str = "1.1", length: int | None = None) -> bytes:
    """A request as a sender writes it. Only the length and the end are added."""
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: site.example",
        *fields,
        f"Content-Length: {len(body) if length is None else length}",
    ]
    if version == "1.1" and not any(line.lower().startswith("connection") for line in fields):
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


TRACKBACK = "/discuss/trackback/1"
JAPANESE = ("日本語", "テスト", "ブログ")


def read_trackback(site: Site, port: int, request: bytes) -> None:
    answer = exchange(port, request)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.splitlines()[0].split()[1] == b"200"
    assert b"Content-Type: text/xml; charset=utf-8" in head
    assert body == SUCCESS
    assert site.last.kind is Kind.TRACKBACK


def test_pings_of_wordpress_without_charset_and_with_escaped_texts_are_read(site: Site, port: int) -> None:
    body = (
        b"title=A+%26amp%3B+B&url=https%3A%2F%2Fwp.example%2F2026%2F%25e6%2597%25a5%2F&blog_name=WP"
        b"&excerpt=Text+%E2%80%94+%26amp%3B+%26hellip%3B"
    )
    fields = (
        "User-Agent: WordPress/6.1.9; https://wp.example",
        "Accept: */*",
        "Accept-Encoding: deflate, gzip, br, zstd",
        "Referer: https://site.example/tb/1",
        "Connection: close",
        FORM,
    )
    read_trackback(site, port, post(TRACKBACK, body, *fields))
    assert site.last.title == "A &amp; B"
    assert site.cleaned.title == "A & B"
    assert site.last.source_url == "https://wp.example/2026/%e6%97%a5/"
    assert site.last.blog_name == "WP"
    assert site.last.text == "Text — &amp; &hellip;"
    assert site.cleaned.body.html == "<p>Text — &amp; …</p>"
    assert site.last.client.user_agent == "WordPress/6.1.9; https://wp.example"


def test_pings_of_movable_type_with_the_charset_in_the_header_are_read(site: Site, port: int) -> None:
    body = (
        b"title=%C6%FC%CB%DC%B8%EC&url=https%3A%2F%2Fmt.example%2F1.html"
        b"&excerpt=%A5%C6%A5%B9%A5%C8&blog_name=%A5%D6%A5%ED%A5%B0"
    )
    fields = (
        "TE: deflate,gzip;q=0.3",
        "Connection: TE, close",
        "User-Agent: MovableType/6.0",
        f"{FORM}; charset=EUC-JP",
    )
    read_trackback(site, port, post(TRACKBACK, body, *fields))
    assert (site.last.title, site.last.text, site.last.blog_name) == JAPANESE
    assert site.last.source_url == "https://mt.example/1.html"


SHIFT_JIS = (
    b"title=%93%FA%96%7B%8C%EA&url=http%3A%2F%2Fblog.example%2F12.html&blog_name=%83u%83%8D%83O&excerpt=%83e%83X%83g"
)
ISO_2022_JP = (
    b"title=%1B%24BF%7CK%5C8l%1B%28B&url=http%3A%2F%2Fblog.example%2F12.html"
    b"&blog_name=%1B%24B%25V%25m%250%1B%28B&excerpt=%1B%24B%25F%259%25H%1B%28B"
)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"charset=Shift_JIS&" + SHIFT_JIS, FORM, id="charset in the body"),
        pytest.param(SHIFT_JIS, FORM, id="no charset at all"),
        pytest.param(b"charset=UTF-8&" + SHIFT_JIS, FORM, id="the wrong charset in the body"),
        pytest.param(SHIFT_JIS, f"{FORM}; charset=utf-8", id="the wrong charset in the header"),
        pytest.param(b"charset=Shift_JIS&" + SHIFT_JIS, f"{FORM}; charset=utf-8", id="two charsets, the body is right"),
        pytest.param(ISO_2022_JP, FORM, id="ISO-2022-JP unsaid"),
        pytest.param(b"charset=ISO-2022-JP&" + ISO_2022_JP, FORM, id="ISO-2022-JP"),
    ],
)
def test_pings_of_japanese_software_are_read_with_any_declared_charset(
    site: Site, port: int, body: bytes, field: str
) -> None:
    read_trackback(site, port, post(TRACKBACK, body, field))
    assert (site.last.title, site.last.text, site.last.blog_name) == JAPANESE


def test_pings_of_serendipity_with_percent_encoded_spaces_are_read(site: Site, port: int) -> None:
    body = b"url=https%3A%2F%2Fs9y.example%2F1&title=Two%20words&blog_name=Ann&excerpt=More%20words"
    agent = "User-Agent: HTTP_Request2/2.7.0 (http://pear.php.net/package/http_request2) PHP/8.2"
    read_trackback(site, port, post(TRACKBACK, body, agent, FORM))
    assert (site.last.title, site.last.text) == ("Two words", "More words")


def test_pings_of_dotclear_by_http_1_0_are_read_and_forwarded_for_is_ignored(site: Site, port: int) -> None:
    body = b"title=Le+titre&excerpt=%C3%A9t%C3%A9&url=https%3A%2F%2Fdc.example%2F1&blog_name=DC"
    fields = ("User-Agent: Dotclear - https://dotclear.org/", "X-Forwarded-For: 203.0.113.9", f"{FORM}; charset=UTF-8")
    read_trackback(site, port, post(TRACKBACK, body, *fields, version="1.0"))
    assert site.last.text == "été"
    assert site.last.client.ip == "127.0.0.1"


@pytest.mark.parametrize(
    "field",
    [
        f"{FORM}; charset=utf8",
        f'{FORM}; charset="UTF-8"',
        f"{FORM}; charset=UTF_8",
        f"{FORM}; charset=utf-8",
        f"{FORM};charset=iso-8859-1",
        "content-type: APPLICATION/X-WWW-FORM-URLENCODED",
        "Content-Type: text/plain",
        "X-None: no Content-Type at all",
    ],
)
def test_the_content_type_may_be_missing_or_in_any_spelling(site: Site, port: int, field: str) -> None:
    read_trackback(site, port, post(TRACKBACK, b"url=https%3A%2F%2Fa.example%2F&title=Gr%C3%B6%C3%9Fe", field))
    assert site.last.title == "Größe"


@pytest.mark.parametrize(
    ("body", "source"),
    [
        pytest.param(b"url=https://a.example/1\r\n", "https://a.example/1", id="line end within the length"),
        pytest.param(b"url=https%253A%252F%252Fa.example%252F1", "https://a.example/1", id="encoded twice"),
        pytest.param(b"title=T&amp;url=https://a.example/1", "https://a.example/1", id="separated by &amp;"),
        pytest.param(b"url=http://a.example/?a=1&b=2", "http://a.example/?a=1", id="a bare ampersand"),
        pytest.param(b"url=https://a.example/1&url=https://b.example/", "https://a.example/1", id="the first one wins"),
        pytest.param(b"URL=https://a.example/1&Title=T", "https://a.example/1", id="capital names"),
        pytest.param(
            b"title=a%26url%3Dhttps%3A%2F%2Fb.example&url=https://a.example/1", "https://a.example/1", id="=&"
        ),
    ],
)
def test_pings_of_hand_written_scripts_are_read(site: Site, port: int, body: bytes, source: str) -> None:
    read_trackback(site, port, post(TRACKBACK, body, FORM))
    assert site.last.source_url == source


def test_a_line_end_after_the_announced_length_is_harmless(site: Site, port: int) -> None:
    body = b"url=https://a.example/1"
    read_trackback(site, port, post(TRACKBACK, body + b"\r\n", FORM, length=len(body)))
    assert site.last.source_url == "https://a.example/1"


def test_raw_bytes_without_percent_encoding_are_read(site: Site, port: int) -> None:
    read_trackback(site, port, post(TRACKBACK, "url=https://a.example/1&title=日本語のテスト".encode("cp932"), FORM))
    assert site.last.title == "日本語のテスト"


def test_a_chunked_body_is_read_to_the_end(site: Site, port: int) -> None:
    head = f"POST {TRACKBACK} HTTP/1.1\r\nHost: x\r\n{FORM}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    body = b"a\r\nurl=https:\r\nd\r\n//a.example/1\r\n0\r\n\r\n"
    read_trackback(site, port, head.encode() + body)
    assert site.last.source_url == "https://a.example/1"


def test_curl_gets_100_continue(site: Site, port: int) -> None:
    body = b"url=https://a.example/1&excerpt=" + b"x" * 2000
    answer = exchange(port, post(TRACKBACK, body, FORM, "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert answer.endswith(SUCCESS)


def test_multipart_forms_are_read_in_any_charset(site: Site, port: int) -> None:
    parts = {"url": b"https://a.example/1", "title": "日本語のテスト".encode("euc_jp")}
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
        for name, value in parts.items()
    )
    read_trackback(site, port, post(TRACKBACK, body + b"--x--\r\n", "Content-Type: multipart/form-data; boundary=x"))
    assert site.last.title == "日本語のテスト"


def test_the_query_string_does_not_override_the_body(site: Site, port: int) -> None:
    path = f"{TRACKBACK}?url=https%3A%2F%2Fevil.example%2F&tb_id=5"
    read_trackback(site, port, post(path, b"url=https://a.example/1", FORM))
    assert site.last.source_url == "https://a.example/1"


@pytest.mark.parametrize("way", ["trackback/1", "pingback", "webmention"])
def test_a_body_shorter_than_its_announced_length_is_refused(site: Site, port: int, way: str) -> None:
    body = b"url=https://a.example/1&source=https://a.example/1&target=https://site.example/a/1"
    answer = exchange(port, post(f"/discuss/{way}", body, FORM, length=5000), hang_up=True)
    assert answer.split()[1] in {b"200", b"400"}
    assert b"ended before" in answer
    assert site.received == []


# --- pingback --------------------------------------------------------------------------------------

CALL = (
    '<?xml version="1.0"?>\n<methodCall>\n<methodName>pingback.ping</methodName>\n<params>\n'
    "<param><value><string>{}</string></value></param>\n"
    "<param><value><string>{}</string></value></param>\n</params></methodCall>"
)


def read_pingback(site: Site, port: int, request: bytes) -> None:
    head, _, body = exchange(port, request).partition(b"\r\n\r\n")
    assert head.splitlines()[0].split()[1] == b"200"
    assert b"<string>Pingback registered." in body
    assert b"fault" not in body
    assert site.last.kind is Kind.PINGBACK


def test_a_pingback_of_wordpress_is_accepted(site: Site, port: int) -> None:
    body = CALL.format("https://wp.example/1", "https://site.example/a?x=1&amp;y=2#frag").encode()
    agent = "User-Agent: The Incutio XML-RPC PHP Library -- WordPress/6.1.9"
    read_pingback(site, port, post("/discuss/pingback", body, agent, "Content-Type: text/xml"))
    assert site.last.source_url == "https://wp.example/1"
    assert site.last.target_url == "https://site.example/a?x=1&y=2#frag"


def test_a_pingback_of_serendipity_as_html_with_raw_utf_8_is_accepted(site: Site, port: int) -> None:
    body = CALL.format("https://s9y.example/日本", TARGET).replace("<string>", "\n  <string>\n   ").encode()
    read_pingback(site, port, post("/discuss/pingback", body, "Content-Type: text/html"))
    assert site.last.source_url == "https://s9y.example/日本"


def test_a_pingback_of_webmention_app_as_a_form_with_bare_ampersands_is_accepted(site: Site, port: int) -> None:
    body = CALL.format("https://r.example/?a=1&b=2", TARGET).encode()
    read_pingback(site, port, post("/discuss/pingback", body, FORM))
    assert site.last.source_url == "https://r.example/?a=1&b=2"


def test_a_pingback_of_the_npm_client_with_a_range_header_gets_the_whole_answer(site: Site, port: int) -> None:
    fields = ("Content-Type: application/xml; charset=utf-8", "Range: bytes=0-5120")
    read_pingback(site, port, post("/discuss/pingback", CALL.format(SOURCE, TARGET).encode(), *fields))


def test_a_pingback_of_dotclear_by_http_1_0_is_accepted(site: Site, port: int) -> None:
    fields = ("User-Agent: Dotclear XML/RPC Client", "Content-Type: text/xml")
    request = post("/discuss/pingback", CALL.format(SOURCE, TARGET).encode(), *fields, version="1.0")
    read_pingback(site, port, request)


# --- webmention ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((FORM, "User-Agent: WordPress/6.4; https://wp.example; sending Webmention"), id="wordpress"),
        pytest.param((FORM, "Accept: application/json, */*;q=0.8"), id="mention-client-php"),
        pytest.param((f"{FORM}; charset=UTF-8", "User-Agent: Dotclear XML/RPC Client"), id="dotclear"),
        pytest.param((FORM, "Accept: */*", "User-Agent: python-requests/2.32.0"), id="requests"),
        pytest.param(("Accept: */*",), id="no type"),
    ],
)
def test_webmention_senders_get_201_and_a_status_address(site: Site, port: int, fields: tuple[str, ...]) -> None:
    body = b"source=https%3A%2F%2Fblog.example%2Fpost&target=https%3A%2F%2Fsite.example%2Fa%2F1&vouch=x&code=y"
    answer = exchange(port, post("/discuss/webmention", body, *fields))
    assert answer.split()[1] == b"201"
    assert b"Location: https://site.example/discuss/webmention/token-7\r\n" in answer
    assert b"Retry-After" not in answer
    assert (site.last.source_url, site.last.target_url) == (SOURCE, TARGET)
