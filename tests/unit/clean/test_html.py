from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from moderate.errors import ConfigError
from moderate.text.characters import decoded, readable
from moderate.text.sanitizer import Rendered, load_packages, render, render_excerpt, sanitized, verified
from moderate.text.tags import Policy
from tests.timing import quickly
from tests.unit.clean.dom import is_stable, meaning, strangers, text_of, tree

REL = 'rel="nofollow ugc noopener"'
BLEACH, NH3, MARKDOWN = Policy(), Policy(sanitizer="nh3"), Policy(markup="markdown")
BOTH = pytest.mark.parametrize("policy", [BLEACH, NH3], ids=["bleach", "nh3"])


@BOTH
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        # Paragraphs and line breaks.
        ("one\ntwo\n\n\n three ", "<p>one<br>\ntwo</p>\n<p>three</p>"),
        ("one\n \u3000\ntwo", "<p>one</p>\n<p>two</p>"),
        ("<b>one</b>\ntwo\n\nthree", "<p><b>one</b><br>\ntwo</p>\n<p>three</p>"),
        ("one<br>two<br/>\nthree", "<p>one<br>\ntwo<br>\nthree</p>"),
        ("<p>one</p><p>two", "<p>one</p>\n<p>two</p>"),
        ("one</p>two", "<p>one&lt;/p&gt;two</p>"),
        ("one.<p>Two.\n<p>\nThree", "<p>one.</p>\n<p>Two.</p>\n<p>Three</p>"),
        # Lines keep their indentation; a single space is not indentation.
        (
            "one\n  two\n\tthree\n\n   four",
            "<p>one<br>\n\xa0\xa0two<br>\n\xa0\xa0\xa0\xa0three</p>\n<p>\xa0\xa0\xa0four</p>",
        ),
        ("<i>one</i>\n  <b>two</b>", "<p><i>one</i><br>\n<b>\xa0\xa0two</b></p>"),
        ("<ul>\n   <li>\n   one\n   two</ul>", "<ul>\n<li>one<br>\ntwo</li></ul>"),
        ("a\n" + " " * 90 + "b", f"<p>a<br>\n{chr(0xA0) * 40}b</p>"),
        # Styles.
        ("a <B>b</B> <em>c</em>", "<p>a <b>b</b> <em>c</em></p>"),
        ("<b>one\n\ntwo</b> three", "<p><b>one</b></p>\n<p><b>two</b> three</p>"),
        ("<b>a<i>b</b>c</i>d", "<p><b>a<i>b</i></b><i>c</i>d</p>"),
        ("<b>a<b>b</b>c</b>d", "<p><b>abc</b>d</p>"),
        ("<b>never closed", "<p>&lt;b&gt;never closed</p>"),
        ("never opened</b></q>", "<p>never opened&lt;/b&gt;&lt;/q&gt;</p>"),
        ("<B\n>a</b\n>", "<p><b>a</b></p>"),
        ('<abbr title="Hyper&quot;Text">HT</abbr>', "<p><abbr title='Hyper\"Text'>HT</abbr></p>"),
        # Blocks.
        ("<ul><li>a<li>b</ul>c", "<ul>\n<li>a</li>\n<li>b</li></ul>\n<p>c</p>"),
        ("<li>a</li>", "<ul>\n<li>a</li></ul>"),
        ("<ol><li>b\n\nc</ol>", "<ol>\n<li>b<br>\n<br>\nc</li></ol>"),
        ("<ol start=3 class=x><li>a<li value='7'>b</ol>", '<ol start="3">\n<li>a</li>\n<li value="7">b</li></ol>'),
        ("<ol type=A reversed><li>a</ol>", '<ol reversed="" type="A">\n<li>a</li></ol>'),
        ("<ol start=x type=square><li value=>a</ol>", None),
        ("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", None),
        ("a<blockquote>b\n\nc</blockquote>d", "<p>a</p>\n<blockquote>\n<p>b</p>\n<p>c</p></blockquote>\n<p>d</p>"),
        ("<b>a<blockquote>b</b></blockquote>c", None),
        # Code keeps its lines and shows its tags.
        ("<pre>\n  a\n    b\n\n\nc\n</pre>", "<pre>  a\n    b\n\n\nc</pre>"),
        ("<pre><code class=py>x = a<b>c</b></code></pre>d", None),
        ("see <code>a\n\n    b</code> so", "<p>see</p>\n<pre><code>a\n\n    b</code></pre>\n<p>so</p>"),
        ("<pre>\na <code>b\n  c</code></pre>", "<pre>a <code>b\n  c</code></pre>"),
        ("<code><script>x</script></code>", "<p><code>&lt;script&gt;x&lt;/script&gt;</code></p>"),
        # What is not allowed is read as written.
        ("use <div> & <img src=x onerror=alert(1)>", "<p>use &lt;div&gt; &amp; &lt;img src=x onerror=alert(1)&gt;</p>"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("<style>p{}</style><!-- c --><?php ?>", None),
        ("1 < 2 && 3 > 2 <3 </", "<p>1 &lt; 2 &amp;&amp; 3 &gt; 2 &lt;3 &lt;/</p>"),
        ("AT&T &amp; R&D &lt;b&gt;", "<p>AT&amp;T &amp; R&amp;D &lt;b&gt;</p>"),
        ("std::vector<int> v; if (a<b) {}", "<p>std::vector&lt;int&gt; v; if (a&lt;b) {}</p>"),
        ("<b and more", "<p>&lt;b and more</p>"),
        ("</div></article></body>", "<p>&lt;/div&gt;&lt;/article&gt;&lt;/body&gt;</p>"),
        ("<bold>x</bold> <plaintext>", None),
        # Attributes.
        ("<b onclick=x style='color:red' class=y id=z>a</b>", "<p><b>a</b></p>"),
        ("<b\ntitle=x>a</b><br clear=all>c", "<p><b>a</b><br>\nc</p>"),
        # Nothing to see.
        ("<p></p><b> </b><ul><li></ul>&nbsp;&#8203;<a href=https://a.example></a><br>", ""),
        ("<pre>\n\u3164</pre><blockquote>\u2800</blockquote>&#x3164;", ""),
        ("", ""),
        (" \n\u200b", ""),
        ("\0\ud800a", "<p>a</p>"),
    ],
)
def test_a_text_is_rendered_as_the_intended_html(policy: Policy, typed: str, shown: str | None) -> None:
    html = render(typed, policy).html
    if shown is not None:
        assert meaning(html) == meaning(shown)
    assert strangers(html, policy) == []
    assert is_stable(html)


def test_lists_and_quotes_are_flattened_beyond_the_maximum_depth() -> None:
    html = render("<blockquote>" * 40 + "deep" + "</blockquote>" * 40 + "after", BLEACH).html
    assert 5 < html.count("<blockquote>") <= 12
    assert html.endswith("<p>after</p>")
    assert render("<ul><li>" * 40 + "deep", BLEACH).html.count("<ul>") <= 12


def test_empty_lines_at_the_start_of_preformatted_text_are_dropped() -> None:
    assert render("<pre>\n\n\n  a</pre>", BLEACH).html == "<pre>  a</pre>"


@BOTH
def test_a_link_ends_where_the_next_one_begins(policy: Policy) -> None:
    shown = render("<a href=https://a.example>x <a href=https://b.example>y</a> z</a>", policy)
    assert shown.links == ("https://a.example", "https://b.example")
    assert shown.html.endswith("y</a> z</p>")


def test_nested_lists_stay_nested() -> None:
    html = render("<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>", BLEACH).html
    assert html.replace("\n", "") == "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"


@pytest.mark.parametrize(
    ("typed", "html"),
    [
        (
            "<ul><li>a<blockquote>b</blockquote>c</li></ul>",
            "<ul><li>a<blockquote><p>b</p></blockquote>c</li></ul>",
        ),
        (
            "<ul><li><b>x<ul><li>y</li></ul></b></li></ul>",
            "<ul><li><b>x</b><ul><li><b>y</b></li></ul></li></ul>",
        ),
        (
            "<blockquote><b>a<ul><li>b</li></ul>c</b></blockquote>",
            "<blockquote><p><b>a</b></p><ul><li><b>b</b></li></ul><p><b>c</b></p></blockquote>",
        ),
    ],
)
def test_text_and_styles_go_on_in_and_after_an_inner_block(typed: str, html: str) -> None:
    assert render(typed, BLEACH).html.replace("\n", "") == html


def test_styles_are_taken_up_again_a_hundred_times_at_most() -> None:
    html = render("<b><i>" + "x\n\n" * 90 + "y</i></b>", BLEACH).html
    assert html.count("<p>") == 91
    assert html.count("<b>") + html.count("<i>") == 2 + 100


def test_code_within_preformatted_text_keeps_its_text() -> None:
    html = render("<pre><code class=py>x = a<b>c</b>\n  y\n</code></pre>d", BLEACH).html
    assert html == "<pre><code>x = a&lt;b&gt;c&lt;/b&gt;\n  y</code></pre>\n<p>d</p>"


@BOTH
@pytest.mark.parametrize(
    "typed",
    [
        "if (a<b && c>d) return x",
        "2 <b && c> 3 means both hold",
        "vector<a> list<i>",
        "use <ol> or <ul> here",
        "map<string, q> and List<b>, Set<Q>, Map<b,List<i>>",
        "x <b y",
        "the cast <i is never closed",
        "</b> without a start, and </p> and </li>",
        "<a>x</a> and <a name>y</a> and <a class='z'>w</a>",
        "a <pre> tag, a <CODE> tag, a <blockquote> tag",
        "write <code> for code, or `<pre>`",
        "I <3 <b",
        "<b<i>",
        "a <b\nc> d",
        "<b>one <i>two <q>three",
        "one</b> two</i> <b>three",
        "the <p> tag and the <li> tag and (<br>)",
        "<p> tags need no end",
        "in mid<p>word</p> and mid<li>word</li>",
        "<ul></ul> and <ol> </ol> and <ul>words</ul>",
        "use <b></b> or <strong> </strong>",
        "<b title>x</b> <b only>y</b> <b once=1>z</b>",
        "<b class = >x</b> <b =x>y</b> <b class='a'id=b>z</b>",
        '<i title="open>x</i> and "class>y</i>',
        "</b class=x> <b>x</b/>",
        "f(a<b, c>(d))",
        "<b></i>",
        "<abbr of=things>x</abbr>",
        "&lt;b&gt; <b&gt;x</b>",
    ],
)
def test_unclear_tags_are_shown_as_typed(policy: Policy, typed: str) -> None:
    shown = text_of(render(typed, policy).html)
    assert shown.split() == typed.replace("&lt;", "<").replace("&gt;", ">").split()


@BOTH
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("List<b> is not <b>bold</b>", "<p>List&lt;b&gt; is not <b>bold</b></p>"),
        ("<code>a<b>c</code> d</b>", "<p><code>a&lt;b&gt;c</code> d&lt;/b&gt;</p>"),
        ("<code> opens <code>code</code>", "<p>&lt;code&gt; opens <code>code</code></p>"),
        ("<pre>a <code> b</pre>", "<pre>a &lt;code&gt; b</pre>"),
        ("<ul>\n<li>a <li>b</ul></ul>", "<ul>\n<li>a</li>\n<li>b</li></ul>\n<p>&lt;/ul&gt;</p>"),
        ('<b id="x" data-y="z" aria-label=w onclick="v">a</b>', "<p><b>a</b></p>"),
    ],
)
def test_tags_are_distinguished_from_text_that_resembles_them(policy: Policy, typed: str, shown: str) -> None:
    assert meaning(render(typed, policy).html) == meaning(shown)


def test_a_text_of_very_many_paragraphs_falls_back_to_line_breaks_and_then_to_none() -> None:
    for text in ("a\n\n" * 2600, "<b>a</b>\n\n" + "a\n\n" * 2600, "<p>a." * 150 + "\n\nb" * 1500):
        html = render(text, BLEACH).html
        assert html.count("<p>") <= 101
        assert html.count("<br>") <= 1000
        assert text_of(html).split() == text.replace("<p>", " ").replace("<b>", "").replace("</b>", "").split()


@BOTH
@pytest.mark.parametrize(
    ("typed", "href", "text"),
    [
        ('<a href="https://a.example/?b=1&amp;c=2">x</a>', "https://a.example/?b=1&c=2", "x"),
        ("<A HREF='http://a.example/'\n>x</A>", "http://a.example/", "x"),
        ("<a href=https://a.example/?a=1&copy=2>x</a>", "https://a.example/?a=1&copy=2", "x"),
        ('<a href="www.a.example/b">x</a>', "https://www.a.example/b", "x"),
        ("<a href=a.example>x</a>", "https://a.example", "x"),
        ("www.a.example/b.", "https://www.a.example/b", "www.a.example/b"),
        ('<a href="https://a.example"> </a>.', "https://a.example", "https://a.example"),
        ('<a rel="follow" target=_blank href="https://a.example">x</a>', "https://a.example", "x"),
        ("<a href=' https://a.example '>x</a>", "https://a.example", "x"),
        ('<a href="https://a.example"\ttitle="t">x</a>', "https://a.example", "x"),
        ("<a href=https://a.example href=https://b.example>x</a>", "https://a.example", "x"),
        ("https://a.example/?a=1&region=jp.", "https://a.example/?a=1&region=jp", "https://a.example/?a=1&region=jp"),
        ("<i>https://a.example/?a=1&amp;b</i>", "https://a.example/?a=1&b", "https://a.example/?a=1&b"),
        ("<a href=https://a.example>https://b.example</a>", "https://a.example", "https://b.example"),
    ],
)
def test_links_are_kept_and_get_the_configured_rel(policy: Policy, typed: str, href: str, text: str) -> None:
    shown = render(typed, policy)
    assert shown.links == (href,)
    assert REL in shown.html
    assert "target" not in shown.html
    assert text_of(shown.html).removesuffix(".") == text
    assert strangers(shown.html, policy) == []


@BOTH
@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "&#1;javascript:alert(1)",
        "data:text/html,x",
        "javascript&colon;alert(1)",
        "&#106avascript:alert(1)",
        "javascript\u200b:x",
        "\u2028javascript:x",
        "vbscript:x",
        "/relative",
        "//evil.example",
        "\\\\evil.example",
        "#top",
        "?q",
        "mailto:a@b.example",
        "https:evil.example",
        "",
        "https://user:pw@a.example/",
        "https://a.example\\@b.example/",
        "http://a.example:99999",
        "feed:https://a.example",
    ],
)
def test_a_link_without_a_valid_destination_is_shown_as_typed(policy: Policy, href: str) -> None:
    typed = f'see <a href="{href}">this</a>'
    shown = render(typed, policy)
    assert text_of(shown.html).replace("\n", "") == readable(decoded(typed)).replace("\n", "")
    assert "href=" not in shown.html.replace('&lt;a href="', "").replace('<a href="https://a.example" rel', "")
    assert set(shown.links) <= {"https://a.example"}


@BOTH
def test_addresses_in_code_are_not_linked(policy: Policy) -> None:
    assert render("<code>https://a.example</code> <pre>https://b.example</pre>", policy).links == ()


def test_links_are_listed_in_order_and_with_repeats() -> None:
    text = "https://a.example https://b.example <a href='https://a.example'>again</a>"
    assert render(text, BLEACH).links == ("https://a.example", "https://b.example", "https://a.example")
    assert render("https://a.example https://a.example", BLEACH).links == ("https://a.example", "https://a.example")


def test_a_text_with_too_many_brackets_is_shown_as_typed() -> None:
    shown = render("<b>x</b>" * 201, BLEACH)
    assert shown.html.startswith("<p>&lt;b&gt;x&lt;/b&gt;")
    assert "<b>" in render("<b>x</b>" * 200, BLEACH).html


def test_markup_can_be_turned_off() -> None:
    shown = render("<b>x</b> &amp; https://a.example", Policy(markup="text")).html
    assert shown == f'<p>&lt;b&gt;x&lt;/b&gt; &amp;amp; <a href="https://a.example" {REL}>https://a.example</a></p>'


def test_tags_can_be_narrowed() -> None:
    policy = Policy(tags=frozenset({"p", "br", "b", "a"}), attributes=frozenset({("a", "href")}))
    html = render("<b>x</b> <i>y</i> <a href=https://a.example title=t>z</a>", policy).html
    assert html == f'<p><b>x</b> &lt;i&gt;y&lt;/i&gt; <a href="https://a.example" {REL}>z</a></p>'


@pytest.mark.parametrize("wrong", [{"tags": frozenset({"p", "img"})}, {"sanitizer": "none"}, {"markup": "bbcode"}])
def test_a_policy_cannot_be_widened(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Policy(**wrong)  # type: ignore[arg-type]


def test_the_name_of_a_policy_holds_version_markup_and_sanitizer() -> None:
    assert Policy(sanitizer="nh3", markup="markdown").name == "2.markdown.nh3"


def test_markdown_is_rendered_and_sanitized_like_html() -> None:
    source = "*a* **b** ~~c~~ `<d>`\nnext\n\n> q\n\n- l\n\n```\n  code <b>\n```\n\n[x](https://a.example 'T')"
    html = render(source, Policy(markup="markdown")).html
    assert meaning(html) == meaning(
        "<p><em>a</em> <strong>b</strong> <s>c</s> <code>&lt;d&gt;</code><br>\nnext</p>"
        "\n<blockquote>\n<p>q</p></blockquote>\n<ul>\n<li>l</li></ul>\n<pre><code>  code &lt;b&gt;</code></pre>"
        f'\n<p><a href="https://a.example" title="T" {REL}>x</a></p>'
    )


@pytest.mark.parametrize(
    "source",
    [
        "# heading",
        "![pic](https://a.example/x.png)",
        "<script>alert(1)</script>",
        "<b>html</b>",
        "[x](javascript:alert(1))",
        "[x](//evil.example)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "---",
        "a\n===",
    ],
)
def test_markdown_produces_no_headings_images_html_or_unsafe_addresses(source: str) -> None:
    policy = Policy(markup="markdown")
    shown = render(source, policy)
    assert strangers(shown.html, policy) == []
    assert is_stable(shown.html)
    assert all(link == "https://a.example/x.png" for link in shown.links)


@pytest.mark.parametrize("source", ["# heading", "---", "a\n===", "<b>html</b>", "!pic"])
def test_unsupported_markdown_is_shown_as_typed(source: str) -> None:
    assert text_of(render(source, Policy(markup="markdown")).html) == source


def test_underscores_in_addresses_are_not_taken_for_emphasis_in_markdown() -> None:
    shown = render("see https://a.example/_b_/*c*d, _really_", Policy(markup="markdown"))
    assert shown.links == ("https://a.example/_b_/*c*d",)
    assert "<em>really</em>" in shown.html


@pytest.mark.parametrize(
    ("typed", "href", "words"),
    [
        ("[https://a.example/b_c_d](https://a.example/b_c_d)", "https://a.example/b_c_d", "https://a.example/b_c_d"),
        ("[www.a.example](https://a.example/)", "https://a.example/", "www.a.example"),
        (
            "[docs at https://a.example/x_y](https://b.example/y)",
            "https://b.example/y",
            "docs at https://a.example/x_y",
        ),
        ("[docs](docs.a.example/start)", "https://docs.a.example/start", "docs"),
        ("[docs][1]\n\n[1]: www.a.example/b", "https://www.a.example/b", "docs"),
        ("www.a.example/b_c_d", "https://www.a.example/b_c_d", "www.a.example/b_c_d"),
        ("[](https://a.example)", "https://a.example", "https://a.example"),
    ],
)
def test_links_in_markdown_have_the_typed_destination(typed: str, href: str, words: str) -> None:
    shown = render(typed, Policy(markup="markdown"))
    assert shown.links == (href,)
    assert text_of(shown.html) == words


@pytest.mark.parametrize(
    "typed",
    [
        "write [me](mailto:ann@a.example) or <ann@a.example>",
        "[x](javascript:alert(1)) [y](/path) [z](page.html)",
        "[note]: see",
        "[unused]: www.a.example/b",
        "[x](y.html)\n\n[x]: y.html",
        "if (a<b && c>d) return x",
        "vector<a> list<i>, use <ol> or <ul> here, <b>raw</b>",
        "1\\. no list",
    ],
)
def test_markdown_drops_no_address_and_no_word(typed: str) -> None:
    shown = text_of(render(typed, Policy(markup="markdown")).html)
    assert shown.split() == typed.replace("\\", "").split()


def test_only_used_reference_definitions_are_removed_from_markdown() -> None:
    shown = render("[x][a]\n\n[a]: https://a.example\n[a]: https://b.example\n[c]: https://c.example", MARKDOWN)
    assert set(shown.links) == {"https://a.example", "https://b.example", "https://c.example"}
    assert text_of(shown.html).split() == ["x", "a:", "https://b.example", "[c]:", "https://c.example"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("1986. What a season", '<ol start="1986"><li>What a season</li></ol>'),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("1. a\n3. b\n4. c\n2. d", '<ol><li>a</li><li value="3">b</li><li>c</li><li value="2">d</li></ol>'),
        ("1. a\n1. b\n1. c", "<ol><li>a</li><li>b</li><li>c</li></ol>"),
    ],
)
def test_list_items_in_markdown_keep_their_numbers(typed: str, shown: str) -> None:
    assert render(typed, MARKDOWN).html.replace("\n", "") == shown


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("強調は **「強調」**です。", ["「強調」"]),
        ("これは**強調「です」**と", ["強調「です」"]),
        ("強調は **「強調」**です。これは**強調「です」**と", ["「強調」", "強調「です」"]),
        ("一**（二）**三**『四』**五*【六】*七", ["（二）", "『四』", "【六】"]),
        ("**(強調)**です**[二]**と", ["(強調)", "[二]"]),
        ('これは**"引用"**です', ['"引用"']),
        ("**强调。**次**“引”**的", ["强调。", "“引”"]),
        ("**강조(强調)**는 **'말'**은", ["강조(强調)", "'말'"]),
        ("消す~~「消」~~です", ["「消」"]),
        ("ab**「強調」**cd", ["「強調」"]),
        ("***「強い」***です", ["「強い」"]),
        ("**強調**と**強調**", ["強調", "強調"]),
        ("a * b * c と 5*3*2_x_y", ["3"]),
        ("snake_case_名前 _強調_です", []),
    ],
)
def test_emphasis_works_next_to_cjk_punctuation(typed: str, words: list[str]) -> None:
    root = tree(render(typed, MARKDOWN).html)
    styled = [element for element in root.iter() if element.tag.rpartition("}")[2] in {"strong", "em", "s"}]
    texts = ["".join(element.itertext()) for element in styled]
    assert texts[-len(words) :] == words if words else not texts


def test_lines_in_markdown_keep_their_indentation() -> None:
    assert render("one\n  two\n     three", MARKDOWN).html == render("one\n  two\n     three", BLEACH).html


def test_markdown_that_makes_too_many_tags_is_shown_as_typed() -> None:
    assert render("*a* " * 1300, Policy(markup="markdown")).html.startswith("<p>*a* *a*")


def test_an_excerpt_has_no_markup_and_no_links() -> None:
    assert render_excerpt("<b>x</b> https://a.example") == Rendered("<p>&lt;b&gt;x&lt;/b&gt; https://a.example</p>")
    assert render_excerpt("") == Rendered("")


@pytest.mark.parametrize(
    "html",
    [
        "<p>a",
        "</p>",
        "<p><b>a</p></b>",
        "<img>",
        "<p onclick='x'>a</p>",
        "<p class=x>a</p>",
        "<!-- -->",
        "a < b",
        '<a href="https://a.example">no rel</a>',
        f'<a {REL} href="javascript:alert(1)">x</a>',
        f'<a {REL} href="/x">x</a>',
        '<a href="https://a.example" rel="follow">x</a>',
        f'<a href="https://a.example" {REL} target="_blank">x</a>',
        "<P>a</P>",
        "<svg></svg>",
        "<br/>",
        f"<b {REL}>x</b>",
        "<p>a</p >",
        "</br>",
        "<",
    ],
)
def test_unexpected_output_of_a_sanitizer_is_not_shown(html: str) -> None:
    assert verified(html, BLEACH) is None


def test_an_address_of_a_scheme_that_is_not_granted_is_not_shown() -> None:
    html = f'<a href="http://a.example" {REL}>x</a>'
    assert verified(html, BLEACH) == Rendered(html, ("http://a.example",))
    assert verified(html, Policy(schemes=frozenset({"https"}))) is None


def test_output_of_a_sanitizer_is_read_with_either_kind_of_quotes() -> None:
    html = f"<p>a<br><a href='https://a.example/?b&amp;c' {REL}>x</a> > y</p>"
    assert verified(html, BLEACH) == Rendered(html, ("https://a.example/?b&c",))


@BOTH
@pytest.mark.parametrize(
    "hostile",
    [
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<p id=q onclick=y style='color:red'>w</p>",
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
        "<a href='javascript:x'>z</a>",
        "<a href='//evil.example'>z</a>",
        "<a href='/relative'>z</a>",
    ],
)
def test_the_last_two_steps_are_safe_without_the_layout_step(policy: Policy, hostile: str) -> None:
    html = sanitized(hostile, policy)
    assert set(strangers(html, policy)) <= {"a link without rel", "a href=//evil.example", "a href=/relative"}
    shown = verified(html, policy)
    assert shown is None or strangers(shown.html, policy) == []


def test_nh3_refuses_relative_addresses_by_itself() -> None:
    assert "href" not in sanitized("<a href='//evil.example'>z</a>", NH3)


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        "<b>x</b>" + "a\n\n" * 2660,
        "<b>" * 200 + "x" + "</b>" * 190,
        "<b " + "class=x " * 980 + ">x</b>",
        "<ul> " * 390 + "</ul>",
        "<code>" * 399 + "x" * 5000,
        "<code>x</code>\n" * 190 + "<pre>" * 10,
        "<p>" * 399 + " " * 6000 + "x",
        "<li>" * 399 + "\n" * 6000 + "x",
        "<b>x</b>" + "a\n" * 3990,
        "<ul><li>" * 199 + "x\n" * 3200,
        "<blockquote>" * 399 + "x\n\n" * 1000,
        "<b><i><em><strong><q><s><del><cite>" + "x\n\n" * 2600,
        "<a " + "x=1 " * 1990 + ">x",
        '<a title="' * 399 + "x" * 4000,
        "<a href=http://a.jp>" * 390,
        "<b>" + "http://a.jp " * 660,
        "<b>" + "&amp;" * 1590,
        "<b>" + "\u0316\u0300" * 3990,
        "<b>" + "\u202a" * 4000 + "\u2069" * 3990,
        "<b>" + " " * 7990 + "x",
        "<" * 400 + "b" * 7000,
        ("<a" + " " * 18) * 399,
    ],
)
def test_the_most_expensive_accepted_texts_are_rendered_quickly(policy: Policy, text: str) -> None:
    assert len(text) <= 8100
    with quickly():
        shown = render(text, policy)
    assert len(shown.html) < 60_000


@BOTH
def test_concurrent_threads_do_not_mix_their_texts(policy: Policy) -> None:
    def own(number: int) -> bool:
        return render(f"<b>{number}</b> <i>of many</i> " * 8, policy).html.count(f"<b>{number}</b>") == 8

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(own, range(200)))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("policy", [BLEACH, NH3, Policy(markup="markdown")], ids=["bleach", "nh3", "markdown"])
def test_a_policy_whose_extras_are_installed_can_be_prepared(policy: Policy) -> None:
    load_packages(policy)


@pytest.mark.parametrize(
    ("missing", "policy", "key"),
    [("nh3", NH3, "MODERATE_SANITIZER"), ("markdown_it", Policy(markup="markdown"), "MODERATE_MARKUP")],
)
def test_a_missing_extra_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, policy: Policy, key: str
) -> None:
    from moderate.text import markdown, sanitizer

    sanitizer._nh3_cleaner.cache_clear()
    monkeypatch.delitem(sys.modules, markdown.__name__)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=rf'{key}.*pip install "flask-moderate\['):
        load_packages(policy)
