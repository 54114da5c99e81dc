from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.text.addresses import MAX_KEY, host_of, is_email, is_web_address, source_key
from moderate.text.links import address_spans, target_of


@pytest.mark.parametrize(
    "address",
    [
        "https://blog.example/",
        "http://blog.example",
        "HTTPS://Blog.Example/",
        "http://blog.example:8080/a_(b)?x=1&y=[2]#top",
        "http://[::1]:5000/",
        "http://127.0.0.1/",
        "http://localhost/",
        "https://日本語.example/",
        "https://हिन्दी.example/",
        "https://ja.wikipedia.org/wiki/東京",
        "https://blog.example/it's",
        "https://xn--bcher-kva.example/",
    ],
)
def test_absolute_web_addresses_are_taken(address: str) -> None:
    assert is_web_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "blog.example",
        "/relative",
        "//evil.example",
        "http:evil.example",
        "http:/evil.example",
        "http:\\\\evil.example",
        "http://\\evil.example",
        "http://",
        "http:///path",
        "http://?q",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "javascript&colon;alert(1)",
        "javascript\u200b:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://blog.example/",
        "mailto:a@b.example",
        "https://user:pw@blog.example/",
        "https://blog.example@evil.example/",
        "http://127.0.0.1\\@blog.example/",
        "https://blog.example/a b",
        "https://blog.example/\r\nSet-Cookie: a=b",
        "https://blog.example/\u202egpj",
        "https://blog.example/\u200b",
        'https://evil.example"onmouseover="alert(1)',
        "https://evil.example/<script>",
        "http://blog.example:99999/",
        "http://blog.example:8o/",
        "http://blog..example/",
        "http://-.example/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://2130706433/",
        "http://unassigned\U000101fe.example/",
        "http://\u2603.example/",
        "http://0x7f.1/",
        "http://[::1/",
        "http://[1.2.3.4]/",
        "http://a%2fb.example/",
        "http://evil.example\u2100blog.example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 130 + "example/",
        "https://blog.example/" + "a" * 2048,
    ],
)
def test_everything_that_another_parser_could_read_otherwise_is_refused(address: str) -> None:
    assert not is_web_address(address)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://blog.example", "https://BLOG.example:443/#top"),
        ("http://blog.example:80/a", "https://blog.example/a"),
        ("https://blog.example/%7euser/%c3%a9", "https://blog.example/~user/é"),
        ("https://blog.example/a/./b/../c", "https://blog.example/a/c"),
        ("https://日本語.example/", "https://xn--wgv71a119e.example/"),
        (" https://blog.example/", "https://blog.example/"),
    ],
)
def test_one_source_has_one_key(one: str, other: str) -> None:
    assert source_key(one) == source_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://blog.example/a", "https://blog.example/a/"),
        ("https://blog.example/a", "https://blog.example/A"),
        ("https://blog.example/?a=1", "https://blog.example/?a=2"),
        ("https://blog.example/a%2Fb", "https://blog.example/a/b"),
        ("https://blog.example:8080/", "https://blog.example/"),
        ("https://blog.example/" + "a" * 400, "https://blog.example/" + "a" * 401),
    ],
)
def test_two_sources_have_two_keys(one: str, other: str) -> None:
    assert source_key(one) != source_key(other)


@given(st.text() | st.from_regex(r"https?://[a-zé./%?#:@-]{0,400}", fullmatch=True))
def test_a_key_is_short_and_ascii_whatever_it_is_made_of(url: str) -> None:
    key = source_key(url)
    assert len(key) <= MAX_KEY
    assert key.isascii()


def test_the_host_is_told_in_lower_case_and_empty_where_there_is_none() -> None:
    assert host_of("https://Blog.Example:8080/A") == "blog.example"
    assert host_of("javascript:alert(1)") == ""


@pytest.mark.parametrize(
    "address", ["a@b.example", "user+tag@blog.example", "ユーザー@例え.jp", "a@xn--bcher-kva.example", "o'b@c.example"]
)
def test_addresses_that_mail_can_reach_are_taken(address: str) -> None:
    assert is_email(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@b.example",
        "a@",
        "a b@c.example",
        "a@b.example\nBcc: x@y.example",
        "a@b.example,c@d.example",
        "a@b",
        "<script>@x.example",
        "a@b..example",
        ".a@b.example",
        "a.@b.example",
        "a..b@c.example",
        "mailto:a@b.example",
        "a" * 65 + "@b.example",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 126 + "example",
        '"q"@b.example',
        "a@b.c d",
        "a@b@c.example",
        "a\u202e@b.example",
        "a@-b.example",
        "a@[127.0.0.1]",
    ],
)
def test_addresses_that_mail_cannot_reach_or_that_reach_more_than_one_are_refused(address: str) -> None:
    assert not is_email(address)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://a.example.", ["https://a.example"]),
        ("(https://a.example/b)", ["https://a.example/b"]),
        ("https://a.example/b_(c)", ["https://a.example/b_(c)"]),
        ("(https://a.example/b_(c))).", ["https://a.example/b_(c)"]),
        ("[https://a.example/b], http://c.example!?", ["https://a.example/b", "http://c.example"]),
        ("詳しくはhttps://a.example/b。次は", ["https://a.example/b"]),
        ("「https://a.example/b」と（https://c.example/）", ["https://a.example/b", "https://c.example/"]),
        ("“https://a.example/b”…", ["https://a.example/b"]),
        ("HTTPS://A.EXAMPLE/", ["HTTPS://A.EXAMPLE/"]),
        ("https://a.example/?a=1&b=2;c", ["https://a.example/?a=1&b=2;c"]),
        ("https://user:pw@a.example/", []),
        ("javascript://a.example/%0aalert(1)", []),
        ("xhttp://a.example/ .http://a.example/ http://", []),
        ("file.py a.example www.a", []),
        ("see www.a.example, WWW.b.example/c_d.", ["www.a.example", "WWW.b.example/c_d"]),
        ("https://www.a.example ann@www.a.example", ["https://www.a.example"]),
        ("www.a.example/1・www.a.example/2", ["www.a.example/1", "www.a.example/2"]),
        ("[https://a.example/b](https://c.example/d)", ["https://a.example/b", "https://c.example/d"]),
        ("[www.a.example](https://c.example/d)", ["www.a.example", "https://c.example/d"]),
        ("https://a.example/b[1](x)", ["https://a.example/b[1"]),
        ("https://a.example/レオナルド・ダ・ヴィンチ、", ["https://a.example/レオナルド・ダ・ヴィンチ"]),
        ("https://a.example/ジョン・F・ケネディを", ["https://a.example/ジョン・F・ケネディを"]),
        ("https://a.example/J・K・ローリング", ["https://a.example/J・K・ローリング"]),
        ("https://a.example/a・https://a.example/b", ["https://a.example/a", "https://a.example/b"]),
        ("https://a.example/カ・https://a.example/キ", ["https://a.example/カ", "https://a.example/キ"]),
        ("https://a.example/a・サンプル", ["https://a.example/a"]),
        ("https://a.example/\u202egpj", ["https://a.example/"]),
        ("https://a.example/" + "b" * 3000, []),
    ],
)
def test_addresses_in_running_text_end_where_the_sentence_goes_on(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end, _ in address_spans(text)] == found


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("https://a.example/b", "https://a.example/b"),
        ("www.a.example/b?c#d", "https://www.a.example/b?c#d"),
        ("docs.a.example/start", "https://docs.a.example/start"),
        ("a.example", "https://a.example"),
        ("a.example:8080/b", "https://a.example:8080/b"),
        ("例え.jp/パス", "https://例え.jp/パス"),
        ("www.a.md", "https://www.a.md"),
        ("page.html", None),
        ("README.md", None),
        ("../b", None),
        ("/b", None),
        ("#b", None),
        ("//a.example/b", None),
        ("mailto:ann@a.example", None),
        ("ann@a.example", None),
        ("javascript:alert.a.example", None),
        ("javascript://a.example/", None),
        ("1.2.3", None),
        ("localhost", None),
        ("a..example", None),
        ("a.example\\b", None),
        ("a.example b", None),
        ("", None),
    ],
)
def test_an_address_without_a_scheme_means_https_where_it_is_surely_a_host(typed: str, target: str | None) -> None:
    assert target_of(typed) == target


@pytest.mark.parametrize(
    "hostile",
    [
        "http://" * 9000,
        "http://" + "a." * 30000,
        "http://a.example/" + ")" * 60000,
        "a" * 65536 + "@",
        "a@" + "b." * 32768,
        "http://a.example/" + "../" * 20000,
        "a.a" * 20000 + "@b.example",
        "http://" + "é" * 60000,
        "https://a.example " * 3500,
        "www." * 16000,
        "www.a-" * 10000,
        "http://a.example/" + "ア・" * 30000,
        "http://a.example/" + "](" * 30000,
    ],
)
def test_hostile_addresses_cost_no_time(hostile: str) -> None:
    start = process_time()
    is_web_address(hostile)
    is_email(hostile)
    source_key(hostile)
    list(address_spans(hostile))
    target_of(hostile)
    assert process_time() - start < 10


def test_hosts_that_browsers_tell_apart_are_two_sources() -> None:
    assert source_key("https://straße.example/") != source_key("https://strasse.example/")
    assert source_key("https://STRASSE.example/%5e") == source_key("http://strasse.example/^")
