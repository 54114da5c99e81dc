"""HTML that needs no sanitizer: whatever `canonical` takes, bleach and nh3 return character by character."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderate.text.sanitizer import Rendered, canonical, render, sanitized, verified
from moderate.text.tags import TAGS, Policy
from tests.unit.clean.dom import is_stable

REL = 'rel="nofollow ugc noopener"'
BLEACH, NH3 = Policy(), Policy(sanitizer="nh3")
NARROW = Policy(tags=frozenset("abp"), attributes=frozenset({("a", "href")}), schemes=frozenset({"https"}))


def element(name: str, content: list[str]) -> str:
    attributes = f' href="https://a.example/?b&amp;c" {REL}' if name == "a" else ""
    return f"<{name}{attributes}>{''.join(content)}</{name}>"


# Documents by the grammar of canonical HTML, and what misses it in one place.
SHORT = st.sampled_from(["x", " ", "\n", "&amp;", "&amp;lt;", "&lt;", '"', "é", "日本", "<br>"])
STYLES = st.sampled_from(["a", "a", "abbr", "b", "cite", "code", "del", "em", "i", "q", "s", "strong"])
INLINE = st.deferred(lambda: SHORT | st.builds(element, STYLES, st.lists(INLINE, max_size=2)))
TEXTS = st.builds(element, st.sampled_from(["p", "pre"]), st.lists(INLINE, max_size=3))
ITEMS = st.deferred(lambda: st.builds(element, st.just("li"), st.lists(INLINE | BLOCKS, max_size=3)))
LISTS = st.builds(element, st.sampled_from(["ol", "ul"]), st.lists(ITEMS, max_size=2))
BLOCKS = st.deferred(lambda: TEXTS | TEXTS | LISTS | st.builds(element, st.just("blockquote"), st.lists(BLOCKS)))
DOCUMENTS = st.lists(BLOCKS, max_size=3).map("\n".join)
ODD_TEXT = ["&quot;", "&#x27;", "&nbsp;", "&", "<", ">", *"\0\r\x0b\x0c\x1b\x7f\x85\xa0\u2028\ufeff\ufffe\ud800"]
SLIPS = [*ODD_TEXT, "", "<b>", "</b>", "<p>", "</p>", "<li>", "<br/>", "</br>", "<b >", "<B>x</B>", "<b\n>x</b>"]
NEARLY = st.builds(
    lambda html, at, cut, slip: html[:at] + slip + html[at + cut :],
    DOCUMENTS | TEXTS,
    st.integers(0, 60),
    st.integers(0, 2),
    st.sampled_from(SLIPS),
)

ODD = [*ODD_TEXT, *"'\"`[]\\^|%;: \t\n\u200b日", "&amp;", "&amp;lt", "&amp;lt;", "&amp;amp;", "&amp;#1;", "&amp;#x41;"]
HOSTS = [
    *("localhost", "a.example:80", "a.example:99999", "a.example:", "a.example.", "A.example", "a_b.example", "a..b"),
    *("-a.example", "a--b.example", "xn--a.example", "a.xn--p1ai", "xn--bcher-kva.example", "日本.example"),
    *("u@a.example", "1", "1.2.3.4", "a.1", "a.0x1", "0x7f.1", "[::1]", "[x", "ex%61mple", "", "a" * 64, "a.b." * 70),
]
BEGINNINGS = ["https:", "http:", "HTTP:", "ftp:", "javascript:", "https:/", "", " http:"]
HREFS = [
    *(f"https://a.example{sign}{odd}{end}" for sign in "/?#" for odd in ODD for end in ("", "b;c")),
    *(f"https://{host}{end}" for host in HOSTS for end in ("", "/")),
    *(f"{beginning}//a.example" for beginning in BEGINNINGS),
]
ATTRIBUTES = [
    *("", REL, f'href="#" {REL}', 'href="https://a.example"', 'href="https://a.example" rel="ugc"'),
    *(f'href="{href}" {REL}' for href in HREFS),
    *(f'href="https://a.example" title="{odd}{end}" {REL}' for odd in ODD for end in ("", "b;c")),
    *(f'href="https://a.example" {REL}{more}' for more in (" ", "/", ' id="x"', " hidden", ' title="x"')),
    *(f'{first}href="https://a.example" {REL}' for first in (" ", 'title="x" ', 'href="https://b.example" ')),
]
LINKS = [f"<p>x <a {attributes}>y</a></p>" for attributes in ATTRIBUTES]


def element(name: str, content: list[str]) -> str:
    attributes = f' href="https://a.example/?b&amp;c" {REL}' if name == "a" else ""
    return f"<{name}{attributes}>{''.join(content)}</{name}>"


def sanitizing_changes_nothing(html: str) -> bool:
    """Return whether the text is canonical, after a comparison with what sanitizers return for it."""
    for policy in (BLEACH, NH3, NARROW):
        if found := canonical(html, policy):
            assert sanitized(html, policy) == html
            assert verified(html, policy) == found
    return canonical(html, BLEACH) is not None


@settings(max_examples=250, deadline=None)
@given(html=DOCUMENTS | NEARLY)
def test_a_sanitizer_returns_canonical_html_as_it_is(html: str) -> None:
    assert not sanitizing_changes_nothing(html) or is_stable(html)


def test_a_sanitizer_returns_canonical_links_as_they_are() -> None:
    assert 20 < sum(map(sanitizing_changes_nothing, LINKS)) < len(LINKS) / 3


def test_a_sanitizer_returns_canonical_elements_as_they_are_however_they_are_nested() -> None:
    taken = 0
    for outer, middle, inner in itertools.product([*sorted(TAGS), "div"], repeat=3):
        taken += sanitizing_changes_nothing(element(outer, ["x", element(middle, ["\ny", element(inner, ["z"])])]))
    assert 200 < taken < 1000


def test_a_sanitizer_returns_all_canonical_characters_as_they_are() -> None:
    taken = [
        char for char in map(chr, (*range(0x3100), *range(0xD700, 0x10010))) if canonical(f"<p>{char}</p>", BLEACH)
    ]
    assert len(taken) > 20_000
    for start in range(0, len(taken), 1000):
        assert sanitizing_changes_nothing("<p>{0}</p>\n<p>{0}</p>".format("".join(taken[start : start + 1000])))
    # At the beginning of a document some mean its encoding.
    for char in (char for char in taken if not char.isprintable()):
        assert sanitizing_changes_nothing(f"{char}<p>a</p>")


@pytest.mark.parametrize(
    ("typed", "links"),
    [
        ("<b>late</b> & <i>lost</i>, see https://a.example/?b=1&c=2", ("https://a.example/?b=1&c=2",)),
        ("<p>one</p>\n<p>two<br>three</p>", ()),
        ("<a href='http://a.example:8080/b' title='Wärme & Licht'>x</a>", ("http://a.example:8080/b",)),
        ("<ul><li>a<li>b <code>c && d</code></ul><blockquote>日本</blockquote>", ()),
        ("<pre>a\n  b</pre> <em>c</em>", ()),
        ("<b>bold</b> <script>alert(1)</script> <img src=x onerror=y>", ()),
    ],
)
@pytest.mark.parametrize("policy", [BLEACH, NH3], ids=["bleach", "nh3"])
def test_ordinary_texts_with_markup_need_no_sanitizer(
    policy: Policy, typed: str, links: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = render(typed, policy)
    assert made.links == links
    assert made == verified(sanitized(made.html, policy), policy)
    monkeypatch.setattr("moderate.text.sanitizer.sanitized", None)
    assert render(typed, policy) == made


@pytest.mark.parametrize(
    "html",
    [
        "<p>a",
        "a</p>",
        "<p><b>a</p></b>",
        "<p><p>a</p></p>",
        "<b><p>a</p></b>",
        "<p><ul></ul></p>",
        "<li>a</li>",
        "<ul>\n<p>a</p></ul>",
        "<p><b><b>a</b></b></p>",
        f'<p><a href="https://a.example" {REL}><i><a href="https://a.example" {REL}>x</a></i></a></p>',
        "<pre>\na</pre>",
        "<p>a</br></p>",
        "<p>a<br/></p>",
        "<P>a</P>",
        "<p >a</p>",
        "<p\n>a</p>",
        "<p>a</p >",
        "<p class=x>a</p>",
        '<p id="x">a</p>',
        "<p><abbr title='x'>a</abbr></p>",
        "<img>",
        "<svg></svg>",
        "<!-- -->",
        "<?php ?>",
        "<![CDATA[x]]>",
        "<p>a < b</p>",
        "<p>a > b</p>",
        "<p>a & b</p>",
        "<p>&nbsp;</p>",
        "<p>&#60;</p>",
        "<p>a\0b</p>",
        "<p>a\rb</p>",
        "<p>a\x0cb</p>",
        "\ufeff<p>a</p>",
        "<p>\ud800</p>",
        '<p><a href="https://a.example">no rel</a></p>',
        '<p><a href="https://a.example" rel="follow">x</a></p>',
        f'<p><a {REL} href="https://a.example">x</a></p>',
        f'<p><a href="https://a.example" {REL} target="_blank">x</a></p>',
        f'<p><a href="https://a.example" href="https://b.example" {REL}>x</a></p>',
        f"<p><a href='https://a.example' {REL}>x</a></p>",
        f'<p><a href="javascript:alert(1)" {REL}>x</a></p>',
        f'<p><a href=" https://a.example" {REL}>x</a></p>',
        f'<p><a href="https:a.example" {REL}>x</a></p>',
        f'<p><a href="//a.example" {REL}>x</a></p>',
        f'<p><a href="https://a.example/&quot;" {REL}>x</a></p>',
        f'<p><a href="https://a.example" title="&lt;img&gt;" {REL}>x</a></p>',
        f'<p><a href="https://a.example" title="`" {REL}>x</a></p>',
        f'<p><a href="https://u:p@a.example" {REL}>x</a></p>',
        f'<p><a href="https://a.example:99999" {REL}>x</a></p>',
        f'<p><a href="https://0x7f.1" {REL}>x</a></p>',
        f'<p><a href="https://[::1]/" {REL}>x</a></p>',
    ],
)
def test_the_least_deviation_is_for_a_sanitizer(html: str) -> None:
    assert canonical(html, BLEACH) is None


def test_canonical_html_has_what_the_policy_grants() -> None:
    html = f'<p><a href="http://a.example" {REL}>x</a> <i>y</i></p>'
    assert canonical(html, BLEACH) == Rendered(html, ("http://a.example",))
    for narrower in (
        Policy(schemes=frozenset({"https"})),
        Policy(tags=frozenset({"a", "p"})),
        Policy(attributes=frozenset()),
        Policy(rel="nofollow"),
    ):
        assert canonical(html, narrower) is None
