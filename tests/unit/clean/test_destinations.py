"""The destination of a link is shown in full, in a form that imitates nothing, beside a host named in the link text."""

from __future__ import annotations

import pytest

from moderate.text.links import anchors, destination

EVIL = "https://evil.example/x?a=1#b"


@pytest.mark.parametrize(
    ("url", "address", "spelled"),
    [
        (EVIL, EVIL, ""),
        ("HTTPS://EVIL.example:8080", "HTTPS://evil.example:8080", ""),
        ("https://аpple.com/x", "https://xn--pple-43d.com/x", "аpple.com"),
        ("https://xn--pple-43d.com/x", "https://xn--pple-43d.com/x", "аpple.com"),
        ("https://日本語.jp/道", "https://xn--wgv71a119e.jp/道", "日本語.jp"),
        ("https://evil。example/", "https://evil.example/", ""),
        ("https://xn--zzzzz99999.com/", "https://xn--zzzzz99999.com/", ""),
        ("https://bank.example@evil.example/", "https://bank.example@evil.example/", ""),
        ("https://evil.example/gpj\u202excod", "https://evil.example/gpj%E2%80%AExcod", ""),
        ("https://evil.example/\u200b\u3000\U000e0041", "https://evil.example/%E2%80%8B%E3%80%80%F3%A0%81%81", ""),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x", ""),
        ("/relative", "/relative", ""),
        ("javascript:alert(1)", "javascript:alert(1)", ""),
    ],
)
def test_an_address_is_shown_in_its_dns_form_without_invisible_characters(url: str, address: str, spelled: str) -> None:
    found = destination("text", url, "words")
    assert (found.address, found.spelled) == (address, spelled)


def test_only_a_web_address_has_a_host_and_may_become_a_link() -> None:
    hosts = [destination("text", url, "").host for url in (EVIL, "javascript:alert(1)", "/relative", "https:///x")]
    assert hosts == ["evil.example", "", "", ""]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("official page", ""),
        ("evil.example", ""),
        ("www.evil.example and its pages", ""),
        ("bank.example", "bank.example"),
        ("https://bank.example/login", "bank.example"),
        ("Log in at WWW.BANK.EXAMPLE now", "www.bank.example"),
        ("bank.example.evil.example", ""),
        ("pay\u200bpal.com", "paypal.com"),
        ("ｂａｎｋ．example", "bank.example"),
        ("bank。example", "bank.example"),
        ("info@bank.example", "bank.example"),
        ("銀行.jp", "xn--jn2ax2s.jp"),
        ("evil.exаmple", "evil.xn--exmple-4nf"),
        ("今日は晴れ。明日は雨", ""),
        ("index.html, version 1.2, e.g. this", ""),
    ],
)
def test_link_text_naming_a_host_other_than_the_destination_is_marked(words: str, named: str) -> None:
    assert destination("text", EVIL, words).named == named


def test_a_host_that_only_begins_like_the_named_one_differs() -> None:
    assert destination("text", "https://bank.example.evil.example/", "bank.example").named == "bank.example"
    assert destination("text", "https://bank.example/", "www.bank.example").named == ""


def test_link_text_is_listed_where_it_adds_to_the_address() -> None:
    told = [destination("text", EVIL, words).words for words in (EVIL, "evil.example", " the\n page\u202e ", "x" * 500)]
    assert told == ["", "", "the page", "x" * 119 + "…"]


def test_every_link_of_a_text_is_found_with_its_whole_link_text() -> None:
    html = '<p><a href="https://a.example/?a=1&amp;b=2" rel="x">one <b>&amp;</b> two</a> <a title="t">none</a></p>'
    assert anchors(html) == [("https://a.example/?a=1&b=2", "one & two")]
    assert anchors("no link") == []
