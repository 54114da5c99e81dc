"""Two texts of one item on a card, and which of them stands: by key, by button, and on a narrow screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_findings
from tests.newsroom_site import press, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.newsroom_site import Newsroom

CHANGED = "?status=approved&awaiting=moderator"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Newsroom]:
    """A site with three approved trackbacks whose texts have changed, and a comment that waits."""
    with serve(tmp_path, MODERATE_VERIFY_PINGS="off") as newsroom:
        for at in range(1, 4):
            source = {"kind": "trackback", "author": "", "source_url": f"https://blog.example/{at}", "title": "Tram"}
            newsroom.post(f"First words {at}.", **source)
            newsroom.post(f"Other words {at}.", decision=None, **source)
        newsroom.post("A comment that waits.", decision=None)
        yield newsroom


def cards(page: Page) -> Locator:
    return page.locator(".items > li:visible")


def tab(page: Page, name: str) -> Locator:
    return page.locator(".tabs a", has_text=re.compile(rf"^{name} ")).locator(".count")


def opened(desk: Newsroom, page: Page, query: str = CHANGED) -> Page:
    desk.sign_in(page)
    page.goto(desk.queue + query)
    return page


def texts(desk: Newsroom, reader: Callable[..., Page]) -> str:
    page = reader()
    page.goto(desk.article())
    return page.locator("body").inner_text()


def test_one_key_keeps_the_public_text_and_another_accepts_the_change(
    desk: Newsroom, reader: Callable[..., Page]
) -> None:
    page = opened(desk, reader())
    expect(cards(page)).to_have_count(3)
    press(page, "j")
    press(page, "d")
    expect(page.locator("#said")).to_have_text("Item 3: the public text stays.")
    expect(page.locator("#item-2")).to_be_focused()
    press(page, "a")
    expect(page.locator("#told")).to_contain_text("Item 2: approved.")
    expect(tab(page, "Changed")).to_have_text("1")
    public = texts(desk, reader)
    assert "First words 3." in public
    assert "Other words 2." in public
    press(page, "u")
    press(page, "u")
    expect(cards(page)).to_have_count(3)
    expect(tab(page, "Changed")).to_have_text("3")
    expect(page.locator("#item-3").get_by_role("region", name="Waiting")).to_contain_text("Other words 3.")
    public = texts(desk, reader)
    assert "Other words" not in public


def test_the_key_does_nothing_without_a_changed_text(desk: Newsroom, reader: Callable[..., Page]) -> None:
    page = opened(desk, reader(), "?status=pending")
    press(page, "j")
    press(page, "d")
    expect(page.locator("#said")).to_have_text("No changed text of item 4 is waiting.")
    assert desk.counts().pending == 1


def test_declining_for_a_selection_drops_changes_and_approves_nothing_else(
    desk: Newsroom, reader: Callable[..., Page]
) -> None:
    page = opened(desk, reader(), "?status=")
    page.get_by_label("All of this page").check()
    page.get_by_role("button", name="Keep the public text of what is selected").click()
    expect(page.locator("#told")).to_contain_text("3 items: the public text stays.")
    assert desk.counts().pending == 1
    # A card that stays shows the text that stands, and offers the choice no more.
    card = page.locator("#item-2")
    expect(card).to_contain_text("First words 2.")
    expect(card.get_by_text("Other words 2.").first).to_be_hidden()
    expect(card.get_by_role("button", name="Take the change")).to_be_hidden()
    press(page, "u")
    expect(card.get_by_text("Other words 2.").first).to_be_visible()
    expect(card.get_by_role("button", name="Take the change")).to_be_visible()


def test_the_second_moderator_sees_the_decision_of_the_first(desk: Newsroom, reader: Callable[..., Page]) -> None:
    mine, hers = opened(desk, reader()), reader()
    desk.sign_in(hers, "Sakai")
    hers.goto(desk.queue + CHANGED)
    hers.locator("#item-3").get_by_role("button", name="Keep the public text").click()
    expect(hers.locator("#told")).to_contain_text("Item 3: the public text stays.")
    mine.locator("#item-3").get_by_role("button", name="Take the change").click()
    expect(mine.locator("#item-3 .clash")).to_have_text("Item 3: Sakai has decided meanwhile: approved.")
    assert "First words 3." in texts(desk, reader)


def test_the_list_of_keys_includes_the_key_for_declining(desk: Newsroom, reader: Callable[..., Page]) -> None:
    page = opened(desk, reader())
    press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("drop the change: the public text stays")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_cards_with_both_texts_are_accessible_and_do_not_scroll_sideways(
    desk: Newsroom, reader: Callable[..., Page], width: int, scheme: str
) -> None:
    page = opened(desk, reader(viewport={"width": width, "height": 800}, color_scheme=scheme))
    assert grave_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
