"""No serious finding of axe-core on any page, in light and dark, in both languages; and what forced colours leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from moderate.moderation.access import new_link
from tests.browser.axe import grave_findings
from tests.newsroom_site import press, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom


@pytest.fixture(params=["en", "ja"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newsroom]:
    """A site with something of everything."""
    with serve(tmp_path, MODERATE_VERIFY_PINGS="off", MODERATE_LANGUAGE=request.param) as site:
        parent = site.post("Does it run on Sundays?", author="Hoshino", url="https://hoshino.example/")
        site.post("It does. שלום", parent=parent.id)
        source = {"kind": "trackback", "author": "", "source_url": "https://blog.example/tram", "blog_name": "Blog"}
        site.post("The first words about the tram.", title="Tram", **source)
        site.post("Quite other words about the tram.", title="Tram, again", decision=None, **source)
        links = " ".join(f"https://shop.example/{number}" for number in range(4))
        site.post(f"Buy {links}", decision=None, author="Shop", email="shop@example.org", ip="192.0.2.9")
        site.post("When does it come back?", decision=None, author="", kind="pingback", source_url="https://a.example/")
        yield site


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_for_readers_and_moderators_are_accessible(
    busy: Newsroom, reader: Callable[..., Page], scheme: str
) -> None:
    page = reader(color_scheme=scheme)
    found: dict[str, list[str]] = {}
    page.goto(busy.article())
    found["article"] = grave_findings(page)
    page.locator("form.moderate-form").evaluate("form => { form.noValidate = true; form.submit(); }")
    page.wait_for_url("**/comments/**")
    found["refused form"] = grave_findings(page)
    page.goto(busy.queue)
    found["the way in"] = grave_findings(page)
    busy.sign_in(page)
    for name, query in (
        ("queue", ""),
        ("changed", "?status=approved&awaiting=moderator"),
        ("empty", "?status=trash&q=nothing"),
        ("everything like this", "queue/like?status=pending&author=Shop"),
    ):
        page.goto(busy.queue + query)
        found[name] = grave_findings(page)
    page.goto(busy.queue)
    press(page, "j")
    press(page, "x")
    press(page, "t")
    expect(page.locator("#told button")).to_be_visible()
    found["after a decision"] = grave_findings(page)
    press(page, "?")
    found["keys"] = grave_findings(page)
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_page_of_a_sign_in_link_is_accessible(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    with newsroom.app.app_context():
        link = new_link(newsroom.app.extensions["moderate"], "Mori")
    page = reader()
    page.goto(newsroom.url + link)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert grave_findings(page) == []


def test_the_accessibility_checker_finds_faults(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    newsroom.sign_in(page)
    page.evaluate("document.querySelector('label[for=q]').remove(); document.getElementById('q').placeholder = ''")
    assert [problem for problem in grave_findings(page) if "critical: label" in problem]


def test_forced_colours_keep_focus_selected_tab_and_borders_visible(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    newsroom.post("Seen in every colour.", decision=None)
    page = reader(forced_colors="active")
    newsroom.sign_in(page)
    press(page, "j")
    card = page.get_by_role("article")
    assert card.evaluate("card => getComputedStyle(card).outlineStyle") == "solid"
    assert card.evaluate("card => getComputedStyle(card).borderTopStyle") == "solid"
    border = "tab => getComputedStyle(tab).borderBottomColor"
    here = page.locator(".tabs a[aria-current]").evaluate(border)
    assert here != page.locator(".tabs a:not([aria-current])").first.evaluate(border)


def test_the_queue_follows_the_language_of_the_browser_and_the_article_page_does_not(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    newsroom.post("Which language?", decision=None)
    page = reader(locale="ja-JP")
    newsroom.sign_in(page)
    assert page.locator("html").get_attribute("lang") == "ja"
    expect(page.get_by_role("link", name="承認待ち 1")).to_be_visible()
    press(page, "j")
    press(page, "a")
    expect(page.locator("#told")).to_contain_text("1番：承認。")
    page.goto(newsroom.article())
    expect(page.get_by_role("heading", name="Comments (1)")).to_be_visible()


def test_a_japanese_site_is_shown_in_japanese_to_everyone(tmp_path: Path, reader: Callable[..., Page]) -> None:
    with serve(tmp_path, MODERATE_LANGUAGE="ja") as newsroom:
        page = reader()
        page.goto(newsroom.article())
        page.get_by_label("コメント", exact=True).fill("こんにちは")
        page.get_by_label("お名前").fill("星野")
        page.get_by_label("メールアドレス").fill("星野")
        page.locator("form.moderate-form").evaluate("form => { form.noValidate = true; }")
        page.get_by_role("button", name="コメントする").click()
        expect(page.get_by_role("heading", name="コメントは送信されませんでした")).to_be_visible()
        expect(page.locator(".moderate-error")).to_have_text("メールアドレスの形式ではないようです。")
        page.get_by_label("メールアドレス").fill("")
        page.get_by_role("button", name="コメントする").click()
        expect(page.locator(".moderate-badge")).to_have_text("承認待ちです。あなただけに表示されています。")
