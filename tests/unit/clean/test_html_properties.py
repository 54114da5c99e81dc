"""Properties of every text, tried with many: the fast and the full path agree, and no foreign markup remains."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderate.text.characters import is_blank, readable
from moderate.text.markup import Layout
from moderate.text.sanitizer import render, sanitized, verified
from moderate.text.tags import TAGS, Policy, lexed
from tests.unit.clean.dom import is_stable, meaning, strangers, text_of

BLEACH, NH3, MARKDOWN = Policy(), Policy(sanitizer="nh3"), Policy(markup="markdown")
BOTH = pytest.mark.parametrize("policy", [BLEACH, NH3], ids=["bleach", "nh3"])

WORDS = st.sampled_from(
    [
        "a",
        "x y",
        " ",
        "\n",
        "\n\n",
        "\t",
        "\u3000",
        "&",
        "&amp;",
        "&lt;b&gt;",
        "&#8238;",
        "&nbsp;",
        "&#10;",
        "&copy",
        "'",
        '"',
        ">",
        "]]>",
        "https://a.example/b?c=1&d=2",
        "http://[",
        "(https://a.example)",
        "\u202e",
        "\u2067",
        "\u200b",
        "é",
        "e\u0301",
        "日本。",
        "\0",
        "&#0;",
    ]
)
ATTRIBUTES = st.sampled_from(
    [
        "",
        " ",
        ' href="https://a.example/?b&amp;c"',
        " href='javascript:alert(1)'",
        " href=//b.example",
        ' title="a"b"',
        " title='\"<b>\n'",
        " onclick=x",
        " /",
        " style='x'",
        ' rel="x"',
        ' href="https://a.example',
        "\nhref=http://b.example",
        " =",
        " href",
    ]
)
NAMES = st.sampled_from(
    [
        *sorted(TAGS),
        "script",
        "style",
        "svg",
        "math",
        "div",
        "textarea",
        "table",
        "template",
        "noscript",
        "xmp",
        "form",
        "title",
        "A",
        "!--",
    ]
)
TAG_LIKE = st.builds(
    "<{}{}{}{}".format,
    st.sampled_from(["", "/", " "]),
    NAMES,
    ATTRIBUTES,
    st.sampled_from([">", ">", ">", "", "/>", "-->"]),
)
PLAIN = (
    st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=30).map("".join).map(lambda text: text.replace("<", ""))
)
MARKED = st.lists(st.one_of(WORDS, TAG_LIKE, TAG_LIKE, st.text(max_size=4)), max_size=40).map("".join)
MARKED_DOWN = st.lists(
    st.one_of(
        WORDS,
        TAG_LIKE,
        st.sampled_from(["*", "**", "`", "```\n", "> ", "- ", "1. ", "[a](", ")", "![", "~~", "_", "#", "\\"]),
    ),
    max_size=40,
).map("".join)
#: Words to be found again, and what looks like a tag in all the ways that people type.
TYPED_WORDS = st.sampled_from(["word", "a&&b", "x1", "語。", "é", "==", "1986.", "(y)", "i<3", "a < b", "c > d", "<b"])
LOOSE_TAGS = st.builds(
    "<{}{}{}{}".format,
    st.sampled_from(["", "/"]),
    st.sampled_from([*sorted(TAGS), "B", "Code", "int", "div"]),
    st.sampled_from(["", " ", " && c", " class=x", " title='t'", " href=https://a.example", " href=x", ", q", "\n"]),
    st.sampled_from([">", ">", ">", "/>", ">>"]),
)
#: What may be markup, and may so be out of sight.
ALLOWED_TAG = re.compile(rf"</?({'|'.join(TAGS)})( class=x| title='t'| href=[a-z:./]+|\s)*/?>+", re.IGNORECASE)
SPACES = st.sampled_from(["", " ", "\n", "\n\n", "  "])
LOOSE = st.lists(st.tuples(TYPED_WORDS | LOOSE_TAGS, SPACES), max_size=30)
#: No end tags, and nothing whose end is optional.
STARTS = st.sampled_from(
    ["<b>", "<I>", "<code>", "<pre>", "<ul>", "<a>", "<b x>", "<q", "<b && c>", "<a href=x>", "<OL\n>"]
)
UNPAIRED = st.lists(st.tuples(TYPED_WORDS | STARTS, SPACES), max_size=30)


def joined(pieces: list[tuple[str, str]]) -> str:
    return "".join(map("".join, pieces))


def letters_of(text: str) -> str:
    return "".join(text.replace("\xa0", " ").split())


def laid_out(text: str, policy: Policy) -> str:
    layout = Layout(policy)
    for token in lexed(readable(text), policy):
        layout.feed(token)
    return layout.close()


@BOTH
@settings(max_examples=300, deadline=None)
@given(pieces=LOOSE)
def test_no_typed_word_is_lost(policy: Policy, pieces: list[tuple[str, str]]) -> None:
    html = render(joined(pieces), policy).html
    shown, at = letters_of(text_of(html)), 0
    for piece, _ in pieces:
        if not ALLOWED_TAG.fullmatch(piece):
            at = shown.find(letters_of(piece), at)
            assert at >= 0, (piece, html)
            at += len(letters_of(piece))


@pytest.mark.parametrize("policy", [BLEACH, NH3, Policy(markup="text")], ids=lambda policy: policy.name)
@settings(max_examples=200, deadline=None)
@given(pieces=UNPAIRED)
def test_a_text_of_unclosed_tags_is_shown_whole(policy: Policy, pieces: list[tuple[str, str]]) -> None:
    typed = joined(pieces)
    assert letters_of(text_of(render(typed, policy).html)) == letters_of(typed)


@settings(max_examples=200, deadline=None)
@given(pieces=UNPAIRED)
def test_markdown_shows_html_source_whole(pieces: list[tuple[str, str]]) -> None:
    typed = "See: " + joined([(piece, " ") for piece, _ in pieces]).replace("\n", "")
    assert letters_of(text_of(render(typed, MARKDOWN).html)) == letters_of(typed)


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=PLAIN)
def test_a_text_without_markup_gives_the_same_html_by_the_fast_and_the_full_path(policy: Policy, text: str) -> None:
    short, long = render(text, policy), verified(sanitized(laid_out(text, policy), policy), policy)
    assert long is not None
    assert meaning(short.html) == meaning(long.html)
    assert short.links == long.links


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_no_markup_outside_the_policy_remains(policy: Policy, text: str) -> None:
    shown = render(text, policy)
    assert strangers(shown.html, policy) == []
    assert is_stable(shown.html)
    assert verified(shown.html, policy) == shown or not shown.html
    # An empty answer means that there was nothing to see.
    assert bool(shown.html) is not is_blank(text_of(shown.html))


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_sanitizing_sanitized_html_changes_nothing(policy: Policy, text: str) -> None:
    html = render(text, policy).html
    assert meaning(sanitized(html, policy)) == meaning(html)


@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_both_sanitizers_give_the_same_result(text: str) -> None:
    assert meaning(render(text, BLEACH).html) == meaning(render(text, NH3).html)


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_no_sanitizer_changes_the_output_of_the_layout_step(policy: Policy, text: str) -> None:
    html = laid_out(text, policy)
    assert meaning(sanitized(html, policy)) == meaning(html)
    assert verified(sanitized(html, policy), policy) is not None


@settings(max_examples=150, deadline=None)
@given(text=MARKED_DOWN)
def test_markdown_output_has_no_markup_outside_the_policy(text: str) -> None:
    shown = render(text, MARKDOWN)
    assert strangers(shown.html, MARKDOWN) == []
    assert is_stable(shown.html)


@settings(max_examples=100, deadline=None)
@given(text=st.text() | MARKED)
def test_every_visible_character_is_shown_with_markup_turned_off(text: str) -> None:
    shown = render(text, Policy(markup="text"))
    lines = [line for line in readable(text).split("\n") if not is_blank(line)]
    assert "".join(text_of(shown.html).split()) == "".join("".join(lines).split())
    assert strangers(shown.html, BLEACH) == []
