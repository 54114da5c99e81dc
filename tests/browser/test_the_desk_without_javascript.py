"""The forms of the queue do the same as its script: decide, select, everything like this, undo, search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.newsroom_site import OTHER_STORY, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.newsroom_site import Newsroom

#: Long enough to be compared word by word.
LETTER = (
    "Great offers on winter boots, winter jackets and winter gloves only this weekend in our warehouse "
    "behind the station, number {n}, with coffee for everybody who brings this message along"
)


@pytest.fixture
def moderator(newsroom: Newsroom, reader: Callable[..., Page]) -> Page:
    page = reader(javascript=False)
    newsroom.sign_in(page)
    return page


def card(page: Page, text: str) -> Locator:
    return page.get_by_role("article").filter(has_text=text)


def test_a_decision_is_undone_by_the_button_beside_its_notice(newsroom: Newsroom, moderator: Page) -> None:
    newsroom.post("Take me back.", decision=None)
    moderator.reload()
    moderator.get_by_role("button", name="Spam", exact=True).click()
    expect(moderator.get_by_role("status")).to_have_text("Item 1: spam.")
    moderator.get_by_role("button", name="Undo").click()
    expect(moderator.get_by_role("status")).to_have_text("Item 1: put back.")
    expect(card(moderator, "Take me back.")).to_be_visible()
    expect(moderator.get_by_role("button", name="Undo")).to_have_count(0)
    assert newsroom.counts().pending == 1


def test_selected_items_are_decided_and_undone_together(newsroom: Newsroom, moderator: Page) -> None:
    for number in range(5):
        newsroom.post(f"Comment number {number}.", decision=None)
    moderator.reload()
    for number in (1, 2, 5):
        moderator.get_by_label(f"Select item {number}").check()
    moderator.get_by_role("button", name="Trash what is selected").click()
    expect(moderator.get_by_role("status")).to_have_text("3 items: trash.")
    expect(moderator.get_by_role("article")).to_have_count(2)
    moderator.get_by_role("button", name="Undo").click()
    expect(moderator.get_by_role("status")).to_have_text("3 items: put back.")
    expect(moderator.get_by_role("article")).to_have_count(5)
    moderator.get_by_role("button", name="Trash what is selected").click()
    expect(moderator.get_by_role("status")).to_have_text("Nothing was selected.")
    assert newsroom.counts().pending == 5


def test_undo_skips_items_decided_again_by_another_moderator(
    newsroom: Newsroom, moderator: Page, reader: Callable[..., Page]
) -> None:
    for number in range(2):
        newsroom.post(f"Comment number {number}.", decision=None)
    moderator.reload()
    moderator.get_by_label("Select item 1").check()
    moderator.get_by_label("Select item 2").check()
    moderator.get_by_role("button", name="Spam what is selected").click()
    colleague = reader(javascript=False)
    newsroom.sign_in(colleague, "Sakai")
    colleague.get_by_role("link", name="Spam 2").click()
    card(colleague, "Comment number 1.").get_by_role("button", name="Approve", exact=True).click()
    moderator.get_by_role("button", name="Undo").click()
    told = "Item 1: put back. Item 2: Sakai has decided meanwhile: approved."
    expect(moderator.get_by_role("status")).to_have_text(told)
    counted = newsroom.counts()
    assert (counted.pending, counted.comments, counted.spam) == (1, 1, 0)


@pytest.mark.parametrize(
    ("choice", "others"),
    [
        ("With nearly the same text", {"text": LETTER.format(n=99), "author": "Else", "ip": "192.0.2.77"}),
        ("By Shop", {"text": "Something quite different.", "author": "Shop", "ip": "192.0.2.77"}),
        ("From the address 192.0.2.66", {"text": "Something quite different.", "author": "Else", "ip": "192.0.2.66"}),
        (
            "From the host shop.example",
            {"text": "Other.", "author": "Else", "url": "https://shop.example/other", "ip": "192.0.2.77"},
        ),
    ],
)
def test_all_items_like_one_are_shown_decided_and_undone(
    newsroom: Newsroom, moderator: Page, choice: str, others: dict[str, str]
) -> None:
    newsroom.post(LETTER.format(n=1), decision=None, author="Shop", ip="192.0.2.66", url="https://shop.example/")
    newsroom.post(decision=None, article=OTHER_STORY, **others)
    newsroom.post("About shop.example: an honest question.", decision=None, author="Shopper", ip="192.0.2.6")
    moderator.reload()
    first = card(moderator, "number 1,").last
    first.get_by_text("Everything like this…").click()
    first.get_by_role("link", name=choice).click()
    expect(moderator.get_by_role("heading", level=1)).to_have_text("2 items match")
    expect(moderator.locator(".items > li")).to_have_count(2)
    assert newsroom.counts().pending == 2
    moderator.get_by_role("button", name="All spam").click()
    expect(moderator.get_by_role("status")).to_have_text("2 items: spam.")
    assert newsroom.counts().pending == 1
    moderator.get_by_role("button", name="Undo").click()
    expect(moderator.get_by_role("status")).to_have_text("2 items: put back.")
    assert newsroom.counts().pending == 2


def test_a_filter_whose_matches_have_changed_is_shown_again_without_a_decision(
    newsroom: Newsroom, moderator: Page
) -> None:
    newsroom.post("One.", decision=None, author="Shop")
    moderator.reload()
    moderator.get_by_text("Everything like this…").click()
    moderator.get_by_role("link", name="By Shop").click()
    newsroom.post("Another one that nobody has seen.", decision=None, author="Shop")
    moderator.get_by_role("button", name="All spam").click()
    expect(moderator.get_by_role("alert")).to_contain_text("Meanwhile other items match.")
    expect(moderator.get_by_role("heading", level=1)).to_have_text("2 items match")
    assert newsroom.counts().spam == 0
    moderator.get_by_role("button", name="All spam").click()
    expect(moderator.get_by_role("status")).to_have_text("2 items: spam.")


def test_all_results_of_a_search_can_be_decided(newsroom: Newsroom, moderator: Page) -> None:
    for number in range(7):
        newsroom.post(f"Cheap watches, offer {number}.", decision=None)
    newsroom.post("The tram is late.", decision=None)
    moderator.reload()
    moderator.get_by_label("Words").fill("watches")
    moderator.get_by_role("button", name="Show").click()
    moderator.get_by_role("link", name="Decide on all of these…").click()
    expect(moderator.get_by_role("heading", level=1)).to_have_text("7 items match")
    expect(moderator.locator("main")).to_contain_text("And 2 more.")
    moderator.get_by_role("button", name="Trash all").click()
    expect(moderator.get_by_role("status")).to_have_text("7 items: trash.")
    # Still the same search, in which nothing is left.
    expect(moderator.get_by_label("Words")).to_have_value("watches")
    expect(moderator.locator("main")).to_contain_text("Nothing matches.")


def test_a_changed_text_is_shown_beside_the_approved_one_under_its_own_tab(
    tmp_path: Path, reader: Callable[..., Page]
) -> None:
    source = {"kind": "trackback", "author": "", "source_url": "https://blog.example/tram", "blog_name": "Blog"}
    moderator = reader(javascript=False)
    # Where pings are not verified, a changed one waits only for a moderator.
    with serve(tmp_path, MODERATE_VERIFY_PINGS="off") as newsroom:
        newsroom.post("The first words about the tram.", title="Tram", **source)
        newsroom.post("Quite other words about the tram.", title="Tram, again", decision=None, **source)
        newsroom.sign_in(moderator)
        expect(moderator.locator("main")).to_contain_text("Nothing is waiting.")
        moderator.get_by_role("link", name="Changed 1").click()
        expect(moderator.get_by_role("region", name="Public now")).to_contain_text("The first words")
        changed = moderator.get_by_role("region", name="Waiting")
        expect(changed).to_contain_text("Tram, again")
        expect(changed).to_contain_text("Quite other words")
        moderator.get_by_role("button", name="Take the change", exact=True).click()
        expect(moderator.locator("main")).to_contain_text("No changed text is waiting.")
        moderator.get_by_role("button", name="Undo").click()
        expect(moderator.get_by_role("region", name="Waiting")).to_contain_text("Quite other words")
        moderator.get_by_role("button", name="Keep the public text", exact=True).click()
        expect(moderator.locator("main")).to_contain_text("No changed text is waiting.")
        expect(moderator.get_by_role("status")).to_contain_text("Item 1: the public text stays.")
        assert newsroom.counts().trackbacks == 1
        moderator.goto(newsroom.article())
        expect(moderator.locator("body")).to_contain_text("The first words about the tram.")
        expect(moderator.locator("body")).not_to_contain_text("Quite other words")


def test_the_longest_waiting_time_is_shown(newsroom: Newsroom, moderator: Page) -> None:
    newsroom.post("How long?", decision=None)
    moderator.reload()
    expect(moderator.get_by_text("The oldest has waited for less than a minute.")).to_be_visible()


def test_no_link_can_put_text_on_the_page(newsroom: Newsroom, moderator: Page) -> None:
    newsroom.post("Decide.", decision=None)
    moderator.goto(f"{newsroom.queue}?notice=Your+password+has+expired")
    expect(moderator.get_by_role("status")).to_have_count(0)
    assert "password" not in moderator.content()
    moderator.get_by_role("button", name="Trash", exact=True).click()
    assert "notice=" in moderator.url
