"""The thread in pages of hosts that style their own elements, and texts that would break such a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_findings
from tests.newsroom_site import STORY, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom

#: What Bootstrap 3 sets on bare elements.
BOOTSTRAP_3 = """
html { font-size: 10px } body { font-size: 14px; line-height: 1.43 }
blockquote { padding: 10px 20px; font-size: 17.5px; border-left: 5px solid #eee }
code { color: #c7254e; background-color: #f9f2f4; white-space: nowrap }
pre { color: #333; background-color: #f5f5f5; border: 1px solid #ccc; word-break: break-all }
"""
DARK = """
html { color-scheme: light }
body, body :not(.moderate, .moderate *) { background: #222 !important; color: #ddd !important }
.moderate a { color: #9cf !important }
pre, code { color: #222; text-shadow: 0 1px #fff } blockquote { color: #333 }
"""
WHITE_ON_BLACK = (
    "pre { background: #000; color: #fff; border: 2px solid #fff } blockquote { background: #000; color: #fff }"
)
MARKUP = (
    "Run <code>apt --with-a-long-option=that_does_not_break</code>:\n\n<pre>one\n  two</pre>\n\n"
    "<blockquote>Quoted.</blockquote>\n\n<ul><li>one</li></ul>"
)

#: Clusters of letters between which no line may break: Hangul, Devanagari, an emoji sequence, letters with marks.
CLUSTERS = {
    "hangul": "\u1100" * 800,
    "devanagari": "\u0915\u094d" * 800,
    "emoji": "\U0001f468\u200d" * 800,
    "tamil": "\u0b95\u0bcb\u0bcc" * 600,
    "words": "W" * 2000,
}
WIDEST = "[document.documentElement.scrollWidth, document.querySelector('.moderate').scrollWidth]"
SMALL = """() => [...document.querySelectorAll('.moderate :is(a, button, summary, input, textarea)')]
  .filter((part) => !part.closest('.moderate-text, .moderate-aside') && part.type !== 'hidden')
  .map((part) => [part.outerHTML.slice(0, 60), part.getBoundingClientRect().height])
  .filter(([, height]) => height > 0 && height < 24)"""


def style(page: Page, *sheets: str) -> None:
    page.locator("head").evaluate(
        "(head, text) => head.append(Object.assign(document.createElement('style'), { textContent: text }))",
        "\n".join(sheets),
    )


@pytest.mark.parametrize("sheet", ["", BOOTSTRAP_3, "html { font-size: 62.5% }", "html { font-size: 20px }"])
def test_sizes_depend_on_the_surrounding_text_and_not_on_the_root(
    newsroom: Newsroom, reader: Callable[..., Page], sheet: str
) -> None:
    parent = newsroom.post(MARKUP, author="Mika", url="https://mika.example/")
    newsroom.post("A reply.", parent=parent.id)
    newsroom.post("An excerpt.", kind="trackback", author="", source_url="https://blog.example/", title="A post")
    page = reader(bypass_csp=True)
    page.goto(f"{newsroom.article()}?moderate_reply={parent.id}")
    style(page, sheet, "main, .moderate { font-size: 14px }")
    size = "part => parseFloat(getComputedStyle(part).fontSize)"
    assert page.locator("#moderate-comments-title").evaluate(size) == 14 * 1.25
    assert page.locator(".moderate-text blockquote").evaluate(size) == 14
    for width in (768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        buttons = page.locator(".moderate-buttons button")
        assert min(buttons.evaluate_all("all => all.map(part => part.getBoundingClientRect().height)")) >= 44
        assert page.evaluate(SMALL) == []
        assert page.evaluate(WIDEST)[0] == width
    fields = page.locator(".moderate-fields")
    assert " " not in fields.evaluate("part => getComputedStyle(part).gridTemplateColumns"), "one column at 360 px"


@pytest.mark.parametrize("sheet", [DARK, DARK + BOOTSTRAP_3, WHITE_ON_BLACK, BOOTSTRAP_3])
def test_code_quotations_and_fields_are_readable_on_any_host_page(
    newsroom: Newsroom, reader: Callable[..., Page], sheet: str
) -> None:
    newsroom.post(MARKUP)
    page = reader(bypass_csp=True)
    page.goto(newsroom.article())
    style(page, sheet)
    assert [finding for finding in grave_findings(page) if "contrast" in finding] == []
    looks = page.locator(".moderate").evaluate(
        """root => [...root.querySelectorAll('pre, code, blockquote, textarea')].map((part) => {
             const look = getComputedStyle(part);
             return [look.color === getComputedStyle(root).color, look.textShadow, look.borderTopWidth !== '2px'];
           })"""
    )
    assert len(looks) > 4
    assert all(look == [True, "none", True] for look in looks)


@pytest.mark.parametrize(
    "layout", ["", "main { display: grid; grid-template-columns: 1fr 80px }", "main { display: flex }"]
)
def test_no_text_and_no_name_makes_the_page_wider(newsroom: Newsroom, reader: Callable[..., Page], layout: str) -> None:
    parent = newsroom.post("A comment.", author="Mika", url="https://mika.example/")
    newsroom.post("A reply.", author="Aino", parent=parent.id)
    newsroom.post("An excerpt.", kind="trackback", author="", source_url="https://blog.example/", title="A post")
    page = reader(width=360, bypass_csp=True)
    page.goto(f"{newsroom.article()}?moderate_reply={parent.id}")
    style(page, layout)
    width = "document.querySelector('.moderate-comment').clientWidth"
    before = page.evaluate(f"[{WIDEST}, {width}]")
    # Put in on the page, so that what the site lets in today does not decide.
    put = (
        "text => document.querySelectorAll('.moderate bdi, .moderate-text p').forEach(part => part.textContent = text)"
    )
    for name, cluster in CLUSTERS.items():
        page.evaluate(put, cluster)
        assert page.evaluate(f"[{WIDEST}, {width}]") == before, name


@pytest.mark.parametrize("text", ["a\n\n" * 200, "Long words. " * 600, "川は凍りました。" * 400])
def test_a_long_comment_is_folded_and_unfolds_without_javascript(
    newsroom: Newsroom, reader: Callable[..., Page], text: str
) -> None:
    newsroom.post("A short one.")
    newsroom.post(text.strip() + "\n\nThe end: https://end.example/")
    page = reader(javascript=False, width=360)
    page.goto(newsroom.article())
    height = "part => part.getBoundingClientRect().height"
    long = page.locator(".moderate-text").last
    assert page.locator(".moderate-fold").count() == 1
    folded = long.evaluate(height)
    assert folded < 600
    page.get_by_text("Show all of it").click()
    whole = long.evaluate(height)
    assert whole > 1000
    page.get_by_text("Show less").click()
    assert long.evaluate(height) == folded
    long.get_by_role("link").focus()
    assert long.evaluate(height) == whole, "a link that has the keyboard's focus is shown"
    page.emulate_media(media="print")
    assert long.evaluate(height) > 700
    expect(page.locator(".moderate-fold summary")).to_be_hidden()
    expect(page.locator("#moderate-form-title")).to_be_hidden()


def test_forced_colours_mark_only_the_comment_named_by_the_address(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    parent = newsroom.post("Read me.")
    newsroom.post("And me.", parent=parent.id)
    page = reader(forced_colors="active")
    page.goto(f"{newsroom.article()}#comment-{parent.id}")
    borders = page.locator(".moderate-comment").evaluate_all(
        "all => all.map(part => getComputedStyle(part).borderInlineStartWidth)"
    )
    assert borders == ["3px", "0px"]


def test_dates_are_in_the_language_of_the_thread(tmp_path: Path, reader: Callable[..., Page]) -> None:
    with serve(tmp_path, MODERATE_LANGUAGE="ja") as newsroom:
        item = newsroom.post("いつですか。")
        page = reader(timezone_id="Asia/Tokyo", locale="en-GB")
        page.goto(newsroom.article())
        assert page.locator("html").get_attribute("lang") != "ja"
        expect(page.locator(".moderate-permalink time")).to_contain_text(f"{item.created_at.year}年")
        expect(page.locator(".moderate-permalink time")).not_to_contain_text("UTC")


def test_a_page_with_two_threads_has_one_preview_for_each_form(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    page.goto(newsroom.article())
    script = page.locator("script[src$='thread.js']").evaluate("script => script.outerHTML")
    page.route(
        newsroom.article(), lambda route: route.fulfill(response=(got := route.fetch()), body=got.text() + script)
    )
    page.goto(newsroom.article(STORY))
    expect(page.locator("script[src$='thread.js']")).to_have_count(2)
    expect(page.get_by_role("button", name="Preview")).to_have_count(1)
