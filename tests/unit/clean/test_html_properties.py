"""What holds for every text, found by trying many: short and long way agree, and nothing foreign is ever left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderate.clean.characters import is_blank, readable
from moderate.clean.html import render, render_with_sanitizer, sanitized, verified
from moderate.clean.markup import Layout, lexed
from moderate.clean.policy import TAGS, Policy
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


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=PLAIN)
def test_a_text_without_markup_means_the_same_on_the_short_way_and_on_the_long_one(policy: Policy, text: str) -> None:
    short, long = render(text, policy), render_with_sanitizer(readable(text), policy)
    assert meaning(short.html) == meaning(long.html)
    assert short.links == long.links


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_nothing_outside_the_policy_is_left(policy: Policy, text: str) -> None:
    shown = render(text, policy)
    assert strangers(shown.html, policy) == []
    assert is_stable(shown.html)
    assert verified(shown.html, policy) == shown or not shown.html
    # An empty answer means that there was nothing to see.
    assert bool(shown.html) is not is_blank(text_of(shown.html))


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_sanitizing_what_was_sanitized_changes_nothing(policy: Policy, text: str) -> None:
    html = render(text, policy).html
    assert meaning(sanitized(html, policy)) == meaning(html)


@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_both_sanitizers_show_the_same(text: str) -> None:
    assert meaning(render(text, BLEACH).html) == meaning(render(text, NH3).html)


@BOTH
@settings(max_examples=150, deadline=None)
@given(text=MARKED)
def test_the_layout_is_such_that_no_sanitizer_has_to_change_it(policy: Policy, text: str) -> None:
    layout = Layout(policy)
    for token in lexed(readable(text), policy):
        layout.feed(token)
    html = layout.close()
    assert meaning(sanitized(html, policy)) == meaning(html)
    assert verified(sanitized(html, policy), policy) is not None


@settings(max_examples=150, deadline=None)
@given(text=MARKED_DOWN)
def test_markdown_leaves_nothing_outside_the_policy(text: str) -> None:
    shown = render(text, MARKDOWN)
    assert strangers(shown.html, MARKDOWN) == []
    assert is_stable(shown.html)


@settings(max_examples=100, deadline=None)
@given(text=st.text() | MARKED)
def test_markup_turned_off_shows_every_visible_character(text: str) -> None:
    shown = render(text, Policy(markup="text"))
    lines = [line for line in readable(text).split("\n") if not is_blank(line)]
    assert "".join(text_of(shown.html).split()) == "".join("".join(lines).split())
    assert strangers(shown.html, BLEACH) == []
