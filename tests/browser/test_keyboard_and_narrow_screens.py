"""Without a mouse, and on a telephone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom

FOCUSED = "document.activeElement.name || document.activeElement.textContent.trim()"


def tab_to(page: Page, name: str, within: int = 60) -> list[str]:
    """Press Tab until the element of that name or text has the focus; returns what was passed on the way."""
    passed: list[str] = []
    for _ in range(within):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if now == name:
            return passed
        passed.append(now)
    raise AssertionError(f"{name} was not reached: {passed}")


def test_a_comment_is_written_and_sent_with_the_keyboard_alone(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    page.goto(newsroom.article())
    tab_to(page, "author")
    page.keyboard.type("Hoshino")
    passed = tab_to(page, "text")
    assert passed == ["email", "url"]
    page.keyboard.type("No mouse.")
    assert tab_to(page, "Post comment") == []
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px", "the focus is seen"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{newsroom.article()}?*#comment-*")
    expect(page.locator(".moderate-comment")).to_contain_text("No mouse.")


def test_a_moderator_decides_with_the_keyboard_alone(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    newsroom.post("Decide on me.", decision=None)
    page = reader(javascript=False)
    newsroom.sign_in(page)
    skip = page.get_by_text("Skip to the content")
    # A page that was not painted yet ignores keys.
    while not skip.evaluate("link => link === document.activeElement"):
        page.keyboard.press("Tab")
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    tab_with_script_free_page(page, "Approve")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_focused()
    assert newsroom.counts().comments == 1


def tab_with_script_free_page(page: Page, name: str) -> None:
    button = page.get_by_role("button", name=name, exact=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            return
    raise AssertionError(f"{name} was not reached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_narrow_screen(
    newsroom: Newsroom, reader: Callable[..., Page], scheme: str
) -> None:
    wide = "unbroken" * 60
    parent = newsroom.post(f"<pre>{wide}</pre> https://long.example/{wide} {wide}", author=wide[:90])
    for _ in range(6):
        parent = newsroom.post(wide, author="R" * 90, parent=parent.id)
    newsroom.post("x", kind="pingback", source_url=f"https://{'long-host.' * 12}example/{wide}", title=wide)
    newsroom.post(wide, author=wide[:90], email=f"{'e' * 60}@example.org", decision=None)
    page = reader(width=360, color_scheme=scheme)
    newsroom.sign_in(page)
    for address in (newsroom.queue, f"{newsroom.queue}?status=approved", newsroom.article(), newsroom.url):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, address
    page.goto(newsroom.article())
    page.locator("form.moderate-form").evaluate("form => { form.noValidate = true; form.submit(); }")
    expect(page.get_by_role("heading", name="Your comment was not sent")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_each_text_is_laid_out_in_its_own_direction(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    newsroom.post("שלום לכולם", author="דנה")
    newsroom.post("Hello everybody", author="Dana")
    page = reader()
    page.goto(newsroom.article())
    directions = page.locator(".moderate-comment .moderate-text").evaluate_all(
        "all => all.map(text => getComputedStyle(text).direction)"
    )
    assert directions == ["rtl", "ltr"]
