"""Discovery, as the programs that look for it read it."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from urllib.parse import unquote

import pytest

from moderate.protocols.discovery import feed_elements, head_links, headers, rdf_block
from tests.unit.protocols.stand_in import ARTICLE

BASE = "https://site.example/discuss"
ENDPOINTS = {
    "trackback": f"{BASE}/trackback/1",
    "pingback": f"{BASE}/pingback",
    "webmention": f"{BASE}/webmention",
}

HOSTILE = [
    "A -- B --- C----",
    "--> <script>alert(1)</script>",
    "<!-- x --!>",
    "Fish & \"Chips\" 'n' more",
    "two\nlines\tand \x1b controls",
    "日本語 – Größe",
    "-",
]


def block_of(title: str = "On ferries", url: str = ARTICLE.url, ping: str = f"{BASE}/trackback/1") -> str:
    return str(rdf_block(replace(ARTICLE, title=title, url=url), {**ENDPOINTS, "trackback": ping}))


def test_the_header_fields_are_exact_and_link_is_first() -> None:
    assert headers(ENDPOINTS) == [
        ("Link", f'<{BASE}/webmention>; rel="webmention"'),
        ("X-Pingback", f"{BASE}/pingback"),
    ]


def test_the_link_elements_are_byte_exact() -> None:
    assert head_links(ENDPOINTS).splitlines() == [
        f'<link rel="webmention" href="{BASE}/webmention">',
        f'<link rel="pingback" href="{BASE}/pingback">',
        f'<link rel="trackback" type="application/x-www-form-urlencoded" href="{BASE}/trackback/1">',
    ]


def test_further_protocols_are_announced_before_the_links_and_after_the_header_fields_of_ours() -> None:
    endpoints = {**ENDPOINTS, "salmon": f"{BASE}/salmon"}
    assert head_links(endpoints) == f'<link rel="salmon" href="{BASE}/salmon">\n{head_links(ENDPOINTS)}'
    assert headers(endpoints) == [*headers(ENDPOINTS), ("Link", f'<{BASE}/salmon>; rel="salmon"')]


def test_the_block_is_byte_exact() -> None:
    assert block_of() == (
        "<!--\n"
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"\n'
        '         xmlns:dc="http://purl.org/dc/elements/1.1/"\n'
        '         xmlns:trackback="http://madskills.com/public/xml/rss/module/trackback/">\n'
        "<rdf:Description\n"
        '    rdf:about="https://site.example/a/1"\n'
        '    dc:identifier="https://site.example/a/1"\n'
        '    dc:title="On ferries"\n'
        '    trackback:ping="https://site.example/discuss/trackback/1" />\n'
        "</rdf:RDF>\n"
        "-->\n"
    )


def test_an_item_of_a_feed_names_the_ping_address_with_its_own_namespace() -> None:
    item = ET.fromstring(f"<item><title>On ferries</title>{feed_elements(ENDPOINTS)}</item>")
    (found,) = item.findall("{http://madskills.com/public/xml/rss/module/trackback/}ping")
    assert found.text == f"{BASE}/trackback/1"


@pytest.mark.parametrize("key", ["a&b", "<x>]]>", "日本語", "'\"--"])
def test_every_address_is_safe_in_a_feed(key: str) -> None:
    element = feed_elements({**ENDPOINTS, "trackback": f"{BASE}/trackback/{key}"})
    found = ET.fromstring(element)
    assert found.text is not None
    assert unquote(found.text) == f"{BASE}/trackback/{key}"


def test_protocols_turned_off_are_not_announced() -> None:
    assert feed_elements({}) == ""
    assert headers({}) == []
    assert head_links({}) == ""
    assert rdf_block(ARTICLE, {}) == ""
    assert headers({"webmention": ENDPOINTS["webmention"]}) == headers(ENDPOINTS)[:1]


@pytest.mark.parametrize("title", HOSTILE)
def test_no_title_can_end_its_comment_or_break_the_xml(title: str) -> None:
    block = block_of(title)
    inside = block.removeprefix("<!--").removesuffix("-->\n")
    assert "--" not in inside
    assert inside.count("<") == 3
    tree = ET.fromstring(inside)
    (description,) = tree
    seen = description.get("{http://purl.org/dc/elements/1.1/}title", "")
    assert re.sub("[-\\s]+", "-", seen) == re.sub("[-\\s]+", "-", re.sub("[\x00\x1b]", "", title).strip())


@pytest.mark.parametrize(
    ("ping", "path"),
    [
        (f"{BASE}/trackback/a&b", "/discuss/trackback/a%26b"),
        (f"{BASE}/trackback/a--b", "/discuss/trackback/a-%2Db"),
        (f'{BASE}/trackback/"><b>', "/discuss/trackback/%22%3E%3Cb%3E"),
        (f"{BASE}/trackback/日本", "/discuss/trackback/%E6%97%A5%E6%9C%AC"),
        (f"{BASE}/trackback/%E6%97%A5", "/discuss/trackback/%E6%97%A5"),
        (f"{BASE}/trackback/2026/05/it's", "/discuss/trackback/2026/05/it%27s"),
    ],
)
def test_endpoint_addresses_need_no_unescaping(ping: str, path: str) -> None:
    block = block_of(ping=ping)
    assert f'trackback:ping="https://site.example{path}" />' in block
    (found,) = re.findall(r'rel="trackback"[^>]*href="([^"]*)"', str(head_links({**ENDPOINTS, "trackback": ping})))
    assert html.unescape(found) == found
    assert "&" not in found
    for _, value in headers({"webmention": ping, "pingback": ping}):
        assert value.isascii()
        assert not re.search(r"[\s&]", value.replace("; rel", ""))


def test_the_article_address_is_announced_unchanged() -> None:
    block = block_of(url="https://site.example/?p=1&q=it's")
    assert 'dc:identifier="https://site.example/?p=1&amp;q=it\'s"' in block


# --- the readers -----------------------------------------------------------------------------------

PAGE = f"<html><head>\n{head_links(ENDPOINTS)}\n</head><body><p>x</p>\n{block_of()}</body></html>"


def test_movable_type_finds_the_ping_address() -> None:
    (rdf,) = re.findall(r"<rdf:RDF.*?</rdf:RDF>", PAGE, re.DOTALL)
    attributes = dict(re.findall(r'([\w:]+)="([^"]*)"', rdf))
    assert attributes["dc:identifier"] == ARTICLE.url
    assert attributes["trackback:ping"] == ENDPOINTS["trackback"]


def test_serendipity_finds_link_and_block() -> None:
    found = re.search(r'link\s+rel=["\']trackback["\'].*?href=["\'](https?:[^"\']+)["\']', PAGE, re.IGNORECASE)
    assert found
    assert found[1] == ENDPOINTS["trackback"]
    found = re.search(r'trackback:ping\s*=\s*["\'](https?:[^"\']+)["\']', PAGE)
    assert found
    assert found[1] == ENDPOINTS["trackback"]


def test_dotclear_finds_all_three() -> None:
    found = re.search(r"<rdf:RDF.*?<rdf:Description.*?/>\s*</rdf:RDF>", PAGE, re.DOTALL)
    assert found
    assert f'dc:identifier="{ARTICLE.url}"' in found[0]
    found = re.search(r'<link rel="pingback" href="(.*?)"( /)?>', PAGE)
    assert found
    assert found[1] == ENDPOINTS["pingback"]
    name, value = headers(ENDPOINTS)[0]
    assert name == "Link"
    found = re.match(r'<(https?://[^>]+)>; rel="?webmention"?', value)
    assert found
    assert found[1] == ENDPOINTS["webmention"]


def test_the_regular_expression_of_the_pingback_specification_finds_the_server() -> None:
    found = re.search(r'<link rel="pingback" href="([^"]+)" ?/?>', PAGE[:5000])
    assert found
    assert found[1] == ENDPOINTS["pingback"]


def test_wordpress_takes_the_server_from_the_next_href() -> None:
    start = PAGE.index('rel="pingback"')
    found = re.compile('href="([^"]+)"').search(PAGE, start)
    assert found
    assert found[1] == ENDPOINTS["pingback"]


def test_indieweb_utils_searches_comments_only() -> None:
    comments = re.findall(r"<!--(.*?)-->", PAGE, re.DOTALL)
    assert any("trackback:ping" in comment and ET.fromstring(comment) is not None for comment in comments)


def test_webmention_clients_find_the_link_with_two_attributes() -> None:
    assert re.findall(r'<link rel="webmention" href="([^"]+)">', PAGE) == [ENDPOINTS["webmention"]]
