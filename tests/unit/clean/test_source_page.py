"""Reading a source page and finding the link in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from moderate.errors import FetchFailed
from moderate.outbound.fetch import Fetched
from moderate.sources.hentry import HEntry, read_hentry
from moderate.sources.page import MAX_ELEMENTS, LinkFound, SourcePage, Targets, find_link, read_page
from tests.timing import quickly

if TYPE_CHECKING:
    from collections.abc import Sequence

ARTICLE = "https://news.example/article/1"


def page(body: str | bytes, content_type: str = "text/html", url: str = "https://blog.example/dir/post") -> SourcePage:
    return read_page(Fetched(url, 200, content_type, body.encode() if isinstance(body, str) else body))


def found(
    body: str, content_type: str = "text/html", *, targets: Sequence[str] = (ARTICLE,), any_element: bool = False
) -> LinkFound | None:
    return find_link(page(body, content_type), Targets(targets), any_element=any_element)


def hentry(body: str) -> HEntry:
    entry = read_hentry(page(body), Targets([ARTICLE]))
    assert entry is not None
    return entry


# --- what is a link to the article ----------------------------------------------------------------


@pytest.mark.parametrize(
    "href",
    [
        *(ARTICLE, "HTTPS://NEWS.example/article/1", "https://news.example:443/article/1", f"{ARTICLE}#c3"),
        *(
            "//news.example/article/1",
            "http://news.example/article/1",
            f" \n{ARTICLE}\t",
            "https://news.example/%61rticle/1",
            "https:\\\\news.example\\article\\1",
        ),
        f"{ARTICLE}?",
    ],
)
def test_equivalent_spellings_of_the_address_are_the_same_link(href: str) -> None:
    assert found(f'<p><a href="{href}">x</a>')


@pytest.mark.parametrize(
    "href",
    [
        *(f"{ARTICLE}0", f"{ARTICLE}/", f"{ARTICLE}/more", f"{ARTICLE}?x=1", "https://news.example/article/"),
        *("https://news.example:8443/article/1", "https://www.news.example/article/1"),
        *("https://news.example@evil.example/article/1", "https://evil.example/?u=https://news.example/article/1"),
        *(
            "https://evil.example/https://news.example/article/1",
            "https://user@news.example/article/1",
            "https://news.example/ARTICLE/1",
        ),
        *(
            "article/1",
            "/article/1",
            "javascript:location='https://news.example/article/1'",
            "",
            "http://[",
            "https://news.example:x/",
        ),
        "https://nеws.example/article/1",
    ],
)
def test_links_to_other_addresses_do_not_count(href: str) -> None:
    assert found(f'<p><a href="{href.replace(chr(34), "")}">x</a>') is None


@pytest.mark.parametrize(
    "body",
    [
        "<!-- <a href='{}'>x</a> -->",
        "<script>var a = \"<a href='{}'>\"</script>",
        "<style>/*<a href='{}'>*/</style>",
        "<template><p><a href='{}'>x</a></p></template>",
        "<noscript><a href='{}'>x</a></noscript>",
        "<textarea><a href='{}'>x</a></textarea>",
        "<iframe><a href='{}'>x</a></iframe>",
        "<title><a href='{}'>x</a></title>",
        "<xmp><a href='{}'>x</a></xmp>",
        '<!DOCTYPE html SYSTEM "{}">',
        "<p>{}",
        "<p title='{}' data-href='{}'>",
        "<a name='{}'>x</a>",
        "<b href='{}'>x</b>",
        "<code>&lt;a href='{}'&gt;</code>",
        "<form action='{}'>",
        "<meta http-equiv=refresh content='0;url={}'>",
        "<link rel=canonical href='{}'>",
        "<img src='{}'>",
        "",
    ],
)
def test_links_that_no_reader_can_follow_do_not_count(body: str) -> None:
    assert found(body.replace("{}", ARTICLE)) is None


@pytest.mark.parametrize(
    "body",
    [
        *(
            "<a href='{}'>x</a>",
            "<map><area href='{}'></map>",
            "<link href='{}'>",
            "<img src='{}'>",
            "<iframe src='{}'></iframe>",
        ),
        *(
            "<video src='{}'></video>",
            "<audio src='{}'></audio>",
            "<video><source src='{}'></video>",
            "<embed src='{}'>",
        ),
        *(
            "<object data='{}'></object>",
            "<blockquote cite='{}'>x</blockquote>",
            "<q cite='{}'>x</q>",
            "<del cite='{}'>x</del>",
        ),
    ],
)
def test_webmention_takes_every_element_that_names_an_address(body: str) -> None:
    assert found(body.replace("{}", ARTICLE), any_element=True)


def test_relative_links_resolve_against_the_base_and_the_final_address() -> None:
    assert found('<base href="https://news.example/"><base href="/no"><a href="article/1">x</a>')
    assert found('<a href="../article/1">x</a>', targets=["https://blog.example/article/1"])
    assert found('<base href="javascript:x"><a href="/1">x</a>', targets=["https://blog.example/1"])


def test_any_one_of_several_targets_suffices() -> None:
    link = found('<a href="https://news.example/1/">x</a>', targets=[ARTICLE, "https://news.example/1/", "no address"])
    assert link is not None
    assert link.url == "https://news.example/1/"


def test_the_target_page_itself_does_not_count_as_linking_to_it() -> None:
    article = page(f'<a href="{ARTICLE}">permalink</a>', url=f"{ARTICLE}#top")
    assert find_link(article, Targets([ARTICLE]), any_element=True) is None


def test_links_are_found_in_deep_and_broken_markup() -> None:
    assert found(f"{'<div><b>' * 5000}<a href='{ARTICLE}'>x</a>")
    assert found(f"<x\"y><a:b c=d><p></i></div><a href='{ARTICLE}'>&#1;\x01&#xffff;x</a>")


def test_text_and_json_sources_count_for_webmention_only() -> None:
    text, json = f"see {ARTICLE}.", f'{{"a": [1, {{"b": "{ARTICLE}"}}]}}'
    assert found(text, "text/plain; charset=utf-8", any_element=True)
    assert found(json, "application/json", any_element=True)
    assert found(json, "application/activity+json", any_element=True)
    assert found(text, "text/plain") is None
    assert found(json, "application/json") is None


@pytest.mark.parametrize("text", [f"{ARTICLE}0", f"{ARTICLE}/x", f"x{ARTICLE[1:]}", "news.example/article/1"])
def test_text_and_json_sources_match_as_a_whole(text: str) -> None:
    assert found(text, "text/plain", any_element=True) is None
    assert found(f'["{text}", "see {ARTICLE}"]', "application/json", any_element=True) is None


# --- what stands around it ------------------------------------------------------------------------


def test_the_link_is_returned_with_its_text_and_its_sentence() -> None:
    link = found(f"<p>Before.<p>I read <a href='{ARTICLE}'>this <b>fine</b>\n piece</a>, and liked it.<p>After.")
    assert link == LinkFound(ARTICLE, "this fine piece", "I read this fine piece, and liked it.")


def test_long_context_is_cut_between_words() -> None:
    link = found(f"<p>{'before ' * 50}<a href='{ARTICLE}'>{'link ' * 50}</a>{' after' * 50}</p>")
    assert link is not None
    assert link.context.startswith("…before before")
    assert link.context.endswith("after after…")
    assert len(link.text) <= 101
    assert len(link.context) < 320


def test_text_without_spaces_is_cut_too() -> None:
    link = found(f"<p>{'前' * 500}<a href='{ARTICLE}'>記事</a>{'後' * 500}</p>")
    assert link is not None
    assert link.context == f"…{'前' * 100}記事{'後' * 100}…"


def test_a_link_within_prose_is_preferred_to_one_in_a_menu() -> None:
    link = found(f"<ul><li><a href='{ARTICLE}'>Menu</a></ul><p>As <a href='{ARTICLE}'>they</a> say.")
    assert link is not None
    assert link.context == "As they say."


def test_text_hidden_by_browsers_is_left_out() -> None:
    link = found(f"<p>a <iframe>b</iframe><noscript>c</noscript><!--d--><script>e</script><a href='{ARTICLE}'>x</a>")
    assert link is not None
    assert link.context == "a x"


def test_markup_shown_as_text_stays_text() -> None:
    link = found(f"<p>&lt;script&gt;x <a href='{ARTICLE}'>y</a><script>alert(1)</script>")
    assert link is not None
    assert link.context == "<script>x y"


# --- metadata of the page -------------------------------------------------------------------------


def test_title_and_outgoing_links_are_read() -> None:
    read = page(
        "<title> A &amp; \n B </title><svg><title>no</title></svg>"
        "<a href='/own'>1</a><a href='//a.example/'>2</a><a href='https://a.example/'>2</a><a href='http://b.example'>3</a>"
    )
    assert (read.title, read.outgoing_links) == ("A & B", 2)


def test_a_title_may_come_from_open_graph_and_is_limited() -> None:
    assert page("<meta property='og:title' content='From there'>").title == "From there"
    assert len(page(f"<title>{'x' * 5000}").title or "") == 201
    assert page("<svg><title>drawing</title></svg>").title is None


@pytest.mark.parametrize(
    "body", ["<meta http-equiv='Status' content='410 Gone'>", "<META HTTP-EQUIV=status CONTENT=410>"]
)
def test_a_page_may_declare_itself_gone(body: str) -> None:
    assert page(body).is_gone
    assert read_page(Fetched("https://blog.example/", 410, "", b"")).is_gone
    assert not page("<meta http-equiv=status content='4100'><p>410 Gone").is_gone


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<title>日本語</title>".encode(), "text/html"),
        ("<title>日本語</title>".encode("euc_jp"), "text/html; charset=EUC-JP"),
        ("<title>日本語</title>".encode("cp932"), "text/html; charset='Shift_JIS'"),
        ("<meta charset=iso-2022-jp><title>日本語</title>".encode("iso2022_jp"), "text/html"),
        (
            "<meta http-equiv=content-type content='text/html; charset=x-sjis'><title>日本語</title>".encode("cp932"),
            "text/html",
        ),
        ("<?xml version='1.0' encoding='gb2312'?><title>日本語</title>".encode("gb18030"), "application/xhtml+xml"),
        ("<meta charset=utf-8><title>日本語</title>".encode("euc_jp"), "text/html; charset=euc-jp"),
        (b"\xef\xbb\xbf" + "<title>日本語</title>".encode(), "text/html; charset=euc-jp"),
        (b"\xff\xfe" + "<title>日本語</title>".encode("utf-16-le"), "text/html"),
        ("<meta charset=utf-16><title>日本語</title>".encode(), "text/html"),
        ("<title>日本語</title>".encode(), "text/html; charset=x-none"),
        ("<title>日本語</title>".encode(), "text/html; charset=unicode_escape"),
    ],
)
def test_the_charset_comes_from_the_byte_order_mark_the_header_or_the_meta_element(
    body: bytes, content_type: str
) -> None:
    assert page(body, content_type).title == "日本語"


def test_the_default_charset_is_utf_8_with_a_fallback_to_windows_1252() -> None:
    assert page(b"<title>caf\xe9 \x93x\x94").title == "café “x”"
    assert page(b"<title>a\xff\x81</title>").title == "aÿ\ufffd"


@pytest.mark.parametrize(
    ("title", "codec", "content_type"),
    [
        ("Größe & Café", "cp1252", "text/html; charset=utf-8"),
        ("日本語のテスト", "euc_jp", "text/html; charset=utf-8"),
        ("日本語のテスト", "cp932", "text/html; charset=utf-8"),
        ("日本語のテスト", "euc_jp", "text/html"),
        ("Größe & Café", "utf-8", "text/html; charset=iso-8859-1"),
        ("日本語のテスト", "utf-8", "text/html; charset=shift_jis"),
    ],
)
def test_a_declared_charset_that_does_not_fit_the_bytes_is_ignored(title: str, codec: str, content_type: str) -> None:
    body = f"<title>{title}</title>".encode(codec)
    assert page(body, content_type).title == title


def test_a_correct_meta_charset_wins_over_a_wrong_header() -> None:
    body = "<meta charset=windows-1251><title>Привет</title>".encode("cp1251")
    assert page(body, "text/html; charset=utf-8").title == "Привет"


@pytest.mark.parametrize(("text", "label"), [("Grüße", "utf-8"), ("日本語のテスト", "shift_jis")])
def test_a_broken_byte_does_not_affect_the_rest_of_the_page(text: str, label: str) -> None:
    body = f"<title>{text}</title><p>{text * 9}".encode(label) + b"\xff"
    assert page(body, f"text/html; charset={label}").title == text


# --- microformats ---------------------------------------------------------------------------------


def test_author_title_and_text_of_an_entry_are_read() -> None:
    entry = hentry(
        "<article class=h-entry><a class='p-author h-card' href=/me><img alt='' src=x>Ann</a>"
        "<h1 class=p-name>Re: it</h1>"
        "<time class=dt-published datetime='2024-05-01T10:00:00+0200'>x</time>"
        f"<div class=e-content><p>Hello <a href='{ARTICLE}'>there</a></p><p>World</p></div>"
        "<div class='u-comment h-cite'><p class=p-name>not mine</p></div></article>"
    )
    assert entry == HEntry(
        author_name="Ann",
        name="Re: it",
        text="Hello there\n\nWorld",
        markup=f'Hello <a href="{ARTICLE}">there</a>\n\nWorld',
    )


def test_the_entry_with_the_link_is_read_out_of_several() -> None:
    entry = hentry(
        "<div class=h-feed><p class='p-author h-card'>Feed</p><div class=h-entry><p class=p-name>One</p></div>"
        f"<div class=h-entry><p class=p-name>Two</p><a href='{ARTICLE}'>x</a></div></div>"
    )
    assert (entry.name, entry.author_name) == ("Two", "Feed")


def test_classic_markup_of_blog_themes_is_read() -> None:
    entry = hentry(
        "<div class='post hentry'><h2 class=entry-title>T</h2>"
        "<span class='author vcard'><a class='url fn n' href=//a.example>Bob</a>"
        "</span><abbr class=published title=2020-05-01>x</abbr><div class=entry-content>text</div></div>"
    )
    assert (entry.name, entry.author_name, entry.text) == ("T", "Bob", "text")


def test_a_title_that_repeats_the_text_is_left_out_and_a_long_name_is_cut() -> None:
    entry = hentry(
        "<div class=h-entry><p class='p-name e-content'>A note</p>"
        f"<a class='p-author h-card' href='javascript:x'>{'N' * 500}</a>"
    )
    assert (entry.name, entry.text) == (None, "A note")
    assert len(entry.author_name or "") == 81


@pytest.mark.parametrize("length", [1, 300])
def test_the_summary_of_a_text_is_shown(length: int) -> None:
    entry = hentry(f"<div class=h-entry><p class=p-summary>Short.</p><p class=e-content>{'long ' * length}</p></div>")
    assert (entry.text, entry.markup) == ("Short.", None)


def test_a_page_without_entries_has_no_entry() -> None:
    assert read_hentry(page(f"<a href='{ARTICLE}'>x</a>"), Targets([ARTICLE])) is None


# --- hostile pages --------------------------------------------------------------------------------

HOSTILE = {
    "one tag with many attributes": "<a " + " ".join(f"a{n}" for n in range(60_000)) + ">",
    "many tags with many attributes": ("<a " + " ".join(f"a{n}" for n in range(1000)) + ">") * 100,
    "deep": "<div>" * 49_000,
    "open quotes": '<a href="' * 50_000,
    "open comments": "<!--" * 100_000,
    "only brackets": "<" * 500_000,
    "unclosed": "<p><a href=x><b>" * 16_000,
    "many links": f"<a href='{ARTICLE}'>x</a> " * 16_000,
    "nested entries": "<div class='h-entry h-card p-author p-name e-content u-like-of u-url'>" * 190
    + "<i></i>" * 20_000,
    "long base": f"<base href='{'../' * 50_000}'><a href='{'../' * 50_000}'>",
    "escapes": f"<a href='{'%zz%4' * 50_000}'>",
    "blanks": f"<title>{' ' * 500_000}x</title><p>{' ' * 500_000}<a href='{ARTICLE}'>x</a>",
    "meta": "<meta " * 50_000,
    "nothing": "\0" * 300_000,
}


@pytest.mark.parametrize("odd", ["\0", "\x1f", "\ud800", "a" * 2048])
def test_the_host_is_not_asked_about_addresses_that_cannot_be_targets(odd: str) -> None:
    """JSON can hold what no page can; the finder may pass it on to a database that takes it for an error."""
    asked: list[str] = []
    links = [f"https://news.example/{odd}x", "https://news.example/other"]
    wanted = Targets([ARTICLE], lambda address: asked.append(address) is not None)
    assert find_link(page(json.dumps(links), "application/json"), wanted, any_element=True) is None
    assert asked == links[1:]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_are_read_in_linear_time(name: str) -> None:
    with quickly():
        read = page(HOSTILE[name])
        find_link(read, Targets([ARTICLE]), any_element=True)
        read_hentry(read, Targets([ARTICLE]))


@pytest.mark.parametrize("text", ["http://x" * 60_000, f"http://x{')' * 500_000}y", "http://x.example/ " * 25_000])
def test_hostile_texts_are_read_in_linear_time(text: str) -> None:
    with quickly():
        found(text, "text/plain", any_element=True)


def test_pages_with_too_many_elements_or_characters_are_not_read() -> None:
    assert page("<br>" * (MAX_ELEMENTS - 5)).tree is not None
    for body in ("<br>" * (MAX_ELEMENTS + 5), "x" * 2_200_000):
        with pytest.raises(FetchFailed) as failure:
            page(body)
        assert failure.value.kind == "too-large"


@pytest.mark.parametrize("body", ["[" * 100_000, "{", "9" * 10_000, ""])
def test_invalid_json_is_refused_cleanly(body: str) -> None:
    with pytest.raises(FetchFailed) as failure:
        page(body, "application/json")
    assert failure.value.kind == "bad-response"
