from __future__ import annotations

import ipaddress
import re
import sys
import tracemalloc
import unicodedata
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import idna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderate.text.clean import is_email
from moderate.text.links import address_spans, target_of
from moderate.waves.watch import sender_of
from moderate.web_address import MAX_KEY, host_of, parse, read, resolved, same_page, source_key, spellings_of
from tests.timing import quickly


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
def test_absolute_web_addresses_are_accepted(address: str) -> None:
    assert parse(address)


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
def test_addresses_that_parsers_read_differently_are_refused(address: str) -> None:
    assert not parse(address)


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
def test_spellings_of_one_source_share_a_key(one: str, other: str) -> None:
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
def test_different_sources_have_different_keys(one: str, other: str) -> None:
    assert source_key(one) != source_key(other)


@given(st.text() | st.from_regex(r"https?://[a-zé./%?#:@-]{0,400}", fullmatch=True))
def test_a_key_is_always_short_and_ascii(url: str) -> None:
    key = source_key(url)
    assert len(key) <= MAX_KEY
    assert key.isascii()


def test_a_host_is_in_lower_case_without_its_port_and_a_script_is_no_web_address() -> None:
    assert host_of("https://Blog.Example:8080/A") == "blog.example"
    assert parse("javascript:alert(1)") is None


@pytest.mark.parametrize(
    "address", ["a@b.example", "user+tag@blog.example", "ユーザー@例え.jp", "a@xn--bcher-kva.example", "o'b@c.example"]
)
def test_addresses_that_mail_can_reach_are_accepted(address: str) -> None:
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
def test_addresses_for_no_mailbox_or_for_several_are_refused(address: str) -> None:
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
def test_addresses_in_running_text_end_before_the_punctuation_of_the_sentence(text: str, found: list[str]) -> None:
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
def test_an_address_without_a_scheme_gets_https_where_it_is_clearly_a_host(typed: str, target: str | None) -> None:
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
def test_hostile_addresses_are_parsed_quickly(hostile: str) -> None:
    with quickly():
        parse(hostile)
        read(hostile)
        host_of(hostile)
        is_email(hostile)
        source_key(hostile)
        list(address_spans(hostile))
        target_of(hostile)


def test_hosts_that_browsers_distinguish_are_two_sources() -> None:
    assert source_key("https://straße.example/") != source_key("https://strasse.example/")
    assert source_key("https://STRASSE.example/%5e") == source_key("http://strasse.example/^")


# --- stored keys stay equal -----------------------------------------------------------------------


class Before:
    """`source_key` as it was before `moderate.web_address`, for comparing: keys of stored items were made by it."""

    WEB = re.compile(
        r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[^\s\x00-\x20/?#@:\\\[\]%<>\"'`{}|^]{1,253})(?::(?P<port>[0-9]{0,5}))?"
        r"(?P<path>[^\s\x00-\x20?#\\<>\"`]*)(?P<query>\?[^\s\x00-\x20#\\<>\"`]*)?(?P<fragment>#[^\s\x00-\x20\\<>\"`]*)?",
        re.IGNORECASE,
    )
    HIDDEN = re.compile(
        "[\x00-\x20\x7f-\xa0\xad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\U000e0000-\U000e007f]"
    )
    LABEL = re.compile(r"(?!-)[^\s\x00-\x2c./:-@\[-^`{-\x7f]{1,63}(?<!-)")
    NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)

    def matched(self, value: str) -> re.Match[str] | None:
        match = self.WEB.fullmatch(value) if len(value) <= 2048 else None
        if match is None or self.HIDDEN.search(value) or int(match["port"] or 0) > 65535:
            return None
        if match["path"] and not match["path"].startswith("/"):
            return None
        return match if self.is_host(match["host"]) else None

    def is_host(self, host: str) -> bool:
        if host.startswith("["):
            return self.is_ip(host[1:-1], 6)
        folded = unicodedata.normalize("NFKC", host).lower().rstrip(".")
        labels = folded.split(".")
        if len(folded) > 253 or not all(self.LABEL.fullmatch(label) for label in labels):
            return False
        if self.NUMBER.fullmatch(labels[-1]):
            return folded.isascii() and self.is_ip(folded, 4)
        return folded.isascii() or (all(map(self.is_lettering, folded)) and self.is_in_dns(folded))

    def is_lettering(self, character: str) -> bool:
        return character in "-._\xb7\u30fb\u200c\u200d" or unicodedata.category(character)[0] in "LMN"

    def is_in_dns(self, host: str) -> bool:
        try:
            return bool(self.ascii_host(host))
        except ValueError:
            return False

    def is_ip(self, host: str, version: int) -> bool:
        try:
            return ipaddress.ip_address(host).version == version
        except ValueError:
            return False

    def ascii_host(self, host: str) -> str:
        folded = unicodedata.normalize("NFKC", host).lower().rstrip(".")
        return folded if folded.isascii() else idna.encode(folded, uts46=True).decode("ascii")

    def key(self, url: str) -> str:
        match = self.matched(url.strip())
        if match is None:
            return self.bounded(self.one_escaping(url.encode("utf-8", "replace").decode()))
        port = match["port"] or ""
        port = "" if port == {"http": "80", "https": "443"}[match["scheme"].lower()] else port.lstrip("0")
        path, query = match["path"] or "/", self.one_escaping(match["query"] or "")
        path = self.one_escaping(self.without_dots(path))
        return self.bounded(f"{self.ascii_host(match['host'])}{':' + port if port else ''}{path}{query}")

    def without_dots(self, path: str) -> str:
        kept: list[str] = []
        segments = path.split("/")
        for segment in segments:
            if segment == "..":
                del kept[max(1, len(kept) - 1) :]
            elif segment != ".":
                kept.append(segment)
        if segments[-1] in {".", ".."}:
            kept.append("")
        return "/".join(kept) or "/"

    def one_escaping(self, part: str) -> str:
        def settled(match: re.Match[str]) -> str:
            character = chr(int(match[1], 16))
            unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
            return character if character in unreserved else match[0].upper()

        return re.sub(r"%([0-9a-fA-F]{2})", settled, quote(part, safe="/%:@!$&'()*+,;=~-._?[]|", errors="replace"))

    def bounded(self, key: str) -> str:
        return key if len(key) <= 255 else f"{key[:222]}#{blake2b(key.encode(), digest_size=16).hexdigest()}"


BEFORE = Before()

LABELS = st.sampled_from(
    [
        *(
            "blog",
            "Blog",
            "ｂlog",
            "bücher",
            "BÜCHER",
            "xn--bcher-kva",
            "straße",
            "日本語",
            "a_b",
            "a-b",
            "xn--",
            "हिन्दी",
        ),
        *("b\u034fb", "c\ufe0f", "a\u200db", "ⓑ", "x\u2024y", "א", "1", "127", "0x7f", "-a", "a--b", "ﬀ", "ſ", "K"),
    ]
) | st.text(st.characters(codec="utf-8"), max_size=5)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join) | st.sampled_from(
    ["localhost", "203.0.113.7", "203.0.113.7.", "[2001:db8::7]", "[::1]", "example.org.", "example.org.."]
)
PATHS = st.lists(
    st.sampled_from(["a", "A", "é", "%7e", "%C3%a9", "%2F", ".", "..", "", "x" * 120, "a;b", "a b", "[", "|", "{", "'"])
    | st.text(max_size=5),
    max_size=6,
).map(lambda parts: "/" + "/".join(parts))
URLS = st.builds(
    "{}://{}{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP", "hTTps"]),
    HOSTS,
    st.sampled_from(["", ":", ":80", ":443", ":8080", ":08080", ":0", ":65535", ":65536"]),
    PATHS | st.just(""),
    st.sampled_from(["", "?", "?a=1", "?a=%7E&b=[]", "?é", "??"]) | st.text(max_size=5).map("?{}".format),
    st.sampled_from(["", "#", "#top", "#é#"]),
)


@settings(max_examples=600, deadline=None)
@given(URLS | st.text(max_size=60))
def test_addresses_accepted_earlier_keep_their_keys(url: str) -> None:
    if BEFORE.matched(url.strip()):
        assert parse(url.strip()), url
        assert source_key(url) == BEFORE.key(url)
    elif not parse(url.strip()):
        assert source_key(url) == BEFORE.key(url)


@settings(max_examples=600, deadline=None)
@given(URLS | st.text(max_size=60))
def test_addresses_refused_earlier_are_still_refused(url: str) -> None:
    if parse(url):
        assert BEFORE.matched(url)


@pytest.mark.parametrize(
    ("url", "before", "now"),
    [
        ("https://[2001:DB8:0::7]/a", "[2001:db8:0::7]/a", "[2001:db8::7]/a"),
        ("https://[::ffff:203.0.113.7]/a", "[::ffff:203.0.113.7]/a", "203.0.113.7/a"),
        ("https://blog.example:0443/a", "blog.example:443/a", "blog.example/a"),
    ],
)
def test_only_duplicate_keys_of_one_page_have_changed(url: str, before: str, now: str) -> None:
    assert (BEFORE.key(url), source_key(url)) == (before, now)


@pytest.mark.parametrize(
    "url", ["httpſ://blog.example/", "http://0x7f.1\ufe0f/", "http://127.1\u034f/", "http://2130706433\ufe0f/"]
)
def test_addresses_with_disguised_schemes_or_ip_addresses_are_refused_now(url: str) -> None:
    """A long s is no s in a scheme, and some of these were IPv4 addresses to browsers."""
    assert BEFORE.matched(url)
    assert not parse(url)


# --- one reading for all ------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(URLS)
def test_the_address_for_requests_has_the_same_host(url: str) -> None:
    address = parse(url)
    if address is not None:
        again = parse(address.url)
        assert again is not None
        assert (again.host, again.authority) == (address.host, address.authority)
        assert host_of(url) == host_of(address.host) == address.host
        assert address.host.isascii()
        assert address.host == address.host.lower()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | URLS | HOSTS)
def test_any_host_has_one_normalized_spelling(text: str) -> None:
    host = host_of(text)
    assert host.isascii() or parse(f"https://{host}/") is None
    assert host_of(host) == host or parse(f"https://{host}/") is None


@settings(max_examples=300, deadline=None)
@given(URLS | st.text(max_size=60))
def test_valid_addresses_are_read_alike_by_the_lenient_reader(url: str) -> None:
    if parse(url):
        assert read(url) == parse(url)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://bücher.example/a", "http://xn--bcher-kva.example/a/", True),
        ("https://blog.example:443/a", "http://BLOG.example./a#top", True),
        ("https://blog.example/%61", "https://blog.example/a", True),
        ("https://ｂlog.example/a", "https://blog.example/a", True),
        ("https://straße.example/a", "https://strasse.example/a", False),
        ("https://blog.example/a", "https://blog.example/a?b", False),
        ("https://blog.example:8080/a", "https://blog.example/a", False),
        ("not an address", " not an address", True),
    ],
)
def test_one_page_has_the_same_key_in_all_spellings(one: str, other: str, is_same: bool) -> None:
    assert same_page(one, other) is is_same


@pytest.mark.parametrize(
    ("url", "sites"),
    [
        ("https://a.blog.example/", {"blog.example"}),
        ("https://Blog.Example./", {"blog.example"}),
        ("https://a.blog.co.uk/", {"blog.co.uk"}),
        ("https://a.bücher.example/", {"bücher.example", "xn--bcher-kva.example"}),
        ("https://a.XN--BCHER-KVA.example/", {"bücher.example", "xn--bcher-kva.example"}),
        ("https://ｂlog.example/", {"ｂlog.example", "blog.example"}),
        ("http://203.0.113.7:8080/", {"203.0.113.7"}),
        ("http://[2001:DB8:0::7]/", {"[2001:db8::7]"}),
        ("http://localhost/", {"localhost"}),
    ],
)
def test_a_site_is_found_in_each_spelling_that_may_be_stored(url: str, sites: set[str]) -> None:
    address = read(url)
    assert address is not None
    assert address.sites == sites


@pytest.mark.parametrize(
    ("url", "is_disguised"),
    [
        ("https://blog.example/", False),
        ("https://BLOG.example./", False),
        ("https://bücher.example/", False),
        ("https://XN--BCHER-KVA.example/", False),
        ("https://ｂlog.example/", True),
        ("https://blog.example../", True),
        ("http://१२७.example/", True),
        ("http://[::ffff:203.0.113.7]/", True),
        ("https://bücher．example/", True),
        ("http://\xe9\u2488/", True),
    ],
)
def test_a_host_that_is_a_name_only_after_folding_is_disguised(url: str, is_disguised: bool) -> None:
    address = read(url)
    assert address is not None
    assert address.is_disguised is is_disguised


@pytest.mark.parametrize(
    ("base", "reference", "leads_to"),
    [
        ("https://a.example/b/c", "../d?e#f", "https://a.example/d?e#f"),
        ("https://a.example/b", " //c.example\\d\n", "https://c.example/d"),
        ("https://a.example/b", "mailto:a@b.example", None),
        ("https://a.example/b", "https://[::1", None),
        ("https://a.example/b", "https://a..example/", None),
    ],
)
def test_references_are_resolved_as_in_browsers(base: str, reference: str, leads_to: str | None) -> None:
    assert resolved(base, reference) == leads_to


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("https://\u2603.example/", "xn--n3h.example"),
        ("*.\u2603.EXAMPLE.", "xn--n3h.example"),
        ("http://%62log.example/", "blog.example"),
        ("http://b%C3%BCcher.example/", "xn--bcher-kva.example"),
        ("http://-Blog.Example/", "-blog.example"),
    ],
)
def test_an_invalid_host_is_returned_as_it_would_be_looked_up(typed: str, host: str) -> None:
    assert parse(typed) is None
    assert host_of(typed) == host


def test_senders_of_a_wave_are_counted_by_normalized_host() -> None:
    spellings = ("https://bücher.example/1", "http://xn--bcher-kva.example/2", "https://BÜCHER.example./3")
    items: list[Any] = [SimpleNamespace(source_url=url) for url in spellings]
    assert len({sender_of(item) for item in items}) == 1


#: Combining marks in the wrong order, which take long to sort: 100,000 of them about a minute.
MARKS = "\u0315\u0300" * 50_000
#: Letters that take long to encode: these 20,000 about as long.
LETTERS = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))


@pytest.mark.parametrize("prefix", ["http://a", "//a", "\\\\a", "x://a", "http://a@b", "http://a:1@b"])
def test_a_host_that_is_expensive_to_fold_does_not_block_the_process(prefix: str) -> None:
    with quickly():
        assert resolved("https://blog.example/post", f"{prefix}{MARKS}/") is None
        assert read(f"{prefix}{MARKS}/") is None
        assert not same_page(f"{prefix}{MARKS}/", f"https://blog.example/{prefix}")


@pytest.mark.parametrize(
    "host", [LETTERS, f"a{MARKS}", ".".join([LETTERS[:6000]] * 3)], ids=["letters", "marks", "labels"]
)
def test_a_host_too_long_for_dns_is_read_quickly(host: str) -> None:
    with quickly():
        assert host_of(f"http://{host}/")
        assert spellings_of(host) == {host}


def test_long_addresses_of_pages_are_not_cached() -> None:
    url = "https://blog.example/" + "a" * 100_000
    before = sys.getrefcount(url)
    assert read(url)
    assert host_of(url) == "blog.example"
    assert parse(url) is None
    assert len(source_key(url)) == MAX_KEY
    assert sys.getrefcount(url) == before


def test_long_hosts_of_pages_are_not_cached() -> None:
    tracemalloc.start()
    try:
        for number in range(100):
            assert read(f"https://{number}" + "a" * 200_000) is None
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()
