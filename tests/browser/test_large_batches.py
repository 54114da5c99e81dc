"""A decision on more items than a request waits for, as the moderator sees it: a bar, and an undo while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from moderate.moderation import decide
from tests.browser.axe import grave_findings
from tests.tasks import run_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom


@pytest.fixture
def busy(newsroom: Newsroom, monkeypatch: pytest.MonkeyPatch) -> Newsroom:
    """A site with nine items of one address, which are many here; a worker decides on three at a time."""
    monkeypatch.setattr(decide, "AT_ONCE", 5)
    monkeypatch.setattr(decide, "CHUNK", 3)
    monkeypatch.setattr(decide, "SPELL", 0.0)
    for number in range(9):
        newsroom.post(f"Comment number {number}.", decision=None, author="Shop", ip="192.0.2.9")
    return newsroom


def begin(site: Newsroom, page: Page) -> None:
    """Call all of them spam on the page that shows how many they are."""
    page.goto(f"{site.queue}queue/like?status=pending&author=Shop")
    page.get_by_role("button", name="All spam").click()
    expect(page.locator("#notice")).to_contain_text("0 of 9 items so far: spam.")


def work(site: Newsroom, decided: int) -> None:
    with site.app.app_context():
        while site.counts().spam < decided:
            assert run_due(site.app.extensions["moderate"].desk)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_bar_follows_the_worker_and_says_how_it_ended(
    busy: Newsroom, reader: Callable[..., Page], scheme: str
) -> None:
    page = reader(color_scheme=scheme)
    busy.sign_in(page)
    begin(busy, page)
    work(busy, 3)
    bar = page.get_by_role("progressbar", name="Items decided")
    expect(page.locator("#notice")).to_contain_text("3 of 9 items so far: spam.")
    assert bar.evaluate("bar => [bar.value, bar.max]") == [3, 9]
    assert bar.bounding_box()["width"] > 500  # type: ignore[index]
    assert grave_findings(page) == []
    work(busy, 9)
    expect(page.locator("#said")).to_have_text("9 items: spam.")
    expect(page.locator("#notice")).to_contain_text("9 items: spam.")
    expect(bar).to_have_count(0)
    assert grave_findings(page) == []
    page.get_by_role("link", name="Show how it stands now").click()
    expect(page.locator("main")).to_contain_text("Nothing matches.")


@pytest.mark.parametrize("javascript", [True, False])
def test_an_undo_while_it_runs_stops_it(busy: Newsroom, reader: Callable[..., Page], *, javascript: bool) -> None:
    page = reader(javascript=javascript)
    busy.sign_in(page)
    begin(busy, page)
    work(busy, 3)
    if not javascript:
        page.get_by_role("link", name="Show how it stands now").click()
    expect(page.locator("#notice")).to_contain_text("3 of 9 items so far: spam.")
    page.locator("#notice").get_by_role("button", name="Undo").click()
    expect(page.locator("#notice")).to_contain_text("3 items: put back.")
    with busy.app.app_context():
        while run_due(busy.app.extensions["moderate"].desk):
            pass
    assert (busy.counts().spam, busy.counts().pending) == (0, 9)
