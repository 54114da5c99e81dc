"""After a decision the page offers what is like it and waits; the queue is sorted by suspicion with one click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from moderate.model import Finding, Lean
from tests.browser.axe import grave_findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom

LETTER = "Great offers on winter boots, jackets and gloves this weekend in our warehouse behind the station, offer {n}"


@pytest.fixture
def offers(newsroom: Newsroom) -> Newsroom:
    for number in range(4):
        newsroom.post(LETTER.format(n=number), decision=None)
    newsroom.post("Something else.", decision=None)
    return newsroom


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_like_a_decided_item_is_decided_with_one_more_click(
    offers: Newsroom, reader: Callable[..., Page], *, javascript: bool, scheme: str
) -> None:
    page = reader(javascript=javascript, color_scheme=scheme)
    offers.sign_in(page)
    letter = page.get_by_role("article").filter(has_text="offer 1").first
    letter.get_by_role("button", name="Spam", exact=True).click()
    link = page.get_by_role("link", name="3 more like this wait")
    expect(link).to_be_visible()
    if javascript:
        expect(page.locator("#said")).to_have_text("Item 2: spam. 3 more like this wait")
        assert grave_findings(page) == []
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 items match")
    page.get_by_role("button", name="All spam").click()
    expect(page.get_by_role("status").first).to_have_text("3 items: spam.")
    assert (offers.counts().spam, offers.counts().pending) == (4, 1)
    # Nothing is offered where nothing more is like it.
    page.goto(offers.queue)
    page.get_by_role("article").first.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("#told" if javascript else "#notice")).to_contain_text("Item 5: approved.")
    expect(page.get_by_role("link", name="more like this")).to_have_count(0)


def test_an_offer_is_about_the_last_decision_only(offers: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    offers.sign_in(page)
    letter = page.get_by_role("article").filter(has_text="offer 1").first
    letter.get_by_role("button", name="Spam", exact=True).click()
    link = page.get_by_role("link", name="3 more like this wait")
    expect(link).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#told")).to_contain_text("put back")
    expect(link).to_be_hidden()


@pytest.mark.parametrize("javascript", [True, False])
def test_the_most_suspicious_come_first_with_one_click(
    offers: Newsroom, reader: Callable[..., Page], *, javascript: bool
) -> None:
    items = offers.app.extensions["moderate"].desk.store.items
    with offers.app.app_context():
        items.annotate(items.get(3), [Finding("learned", Lean.HOLD, "91 % like spam", score=0.91)])
    page = reader(javascript=javascript)
    offers.sign_in(page)
    expect(page.get_by_role("article").first).to_contain_text("Something else.")
    page.get_by_role("link", name="Most suspicious first").click()
    expect(page.get_by_role("article").first).to_contain_text("offer 2")
    page.get_by_role("article").first.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("article").filter(visible=True)).to_have_count(4)
    assert "sort=score" in page.url
    if javascript:
        assert grave_findings(page) == []
