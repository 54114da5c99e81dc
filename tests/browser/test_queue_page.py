"""The moderators' queue, as a page that works without JavaScript."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_findings
from tests.newsroom_site import OTHER_STORY, press

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.newsroom_site import Newsroom


@pytest.fixture
def moderator(newsroom: Newsroom, reader: Callable[..., Page]) -> Page:
    page = reader(javascript=False)
    newsroom.sign_in(page)
    return page


def test_signing_in_uses_up_the_link_and_sets_an_httponly_cookie(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    page = reader(javascript=False)
    newsroom.sign_in(page)
    (link,) = page.context.cookies()
    assert link["httpOnly"]
    assert newsroom.app.extensions["newsroom.links"] == {}


def test_no_item_is_shown_without_signing_in(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    newsroom.post("A secret text.", decision=None)
    page = reader()
    answer = page.goto(newsroom.queue)
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("alert")).to_contain_text("Sign in as a moderator first.")
    assert "A secret text." not in page.content()


@pytest.mark.parametrize(("button", "tab"), [("Approve", "Approved 1"), ("Spam", "Spam 1"), ("Trash", "Trash 1")])
def test_each_button_moves_the_item_and_updates_the_tab_counters(
    newsroom: Newsroom, moderator: Page, button: str, tab: str
) -> None:
    newsroom.post("Where does this go?", decision=None)
    moderator.reload()
    moderator.get_by_role("button", name=button, exact=True).click()
    expect(moderator.get_by_role("link", name="Pending 0")).to_be_visible()
    moderator.get_by_role("link", name=tab).click()
    expect(moderator.get_by_role("article")).to_contain_text("Where does this go?")
    # And back again: the button that would change nothing is not there.
    expect(moderator.get_by_role("button", name=button, exact=True)).to_have_count(0)
    moderator.get_by_role("button", name="Hold", exact=True).click()
    expect(moderator.locator("main")).not_to_contain_text("Where does this go?")
    assert newsroom.counts().pending == 1


def test_a_card_shows_the_findings_of_checks_and_the_sender(newsroom: Newsroom, moderator: Page) -> None:
    links = " ".join(f"https://shop.example/{number}" for number in range(4))
    newsroom.post(f"Buy {links}", decision=None, author="Shop", email="shop@example.org", ip="192.0.2.9")
    moderator.reload()
    card = moderator.get_by_role("article")
    expect(card).to_contain_text("Look closely 4 links")
    expect(card).to_contain_text("shop@example.org")
    expect(card).to_contain_text("192.0.2.9")
    raw = card.get_by_text("Buy https://shop.example/0 https://shop.example/1", exact=False).last
    expect(raw).to_be_hidden()
    card.get_by_text("As it was sent").click()
    expect(raw).to_be_visible()


def test_a_conflicting_decision_is_shown_and_kept(
    newsroom: Newsroom, moderator: Page, reader: Callable[..., Page]
) -> None:
    newsroom.post("Two people look at this.", decision=None)
    moderator.reload()
    colleague = reader(javascript=False)
    newsroom.sign_in(colleague, "Sakai")
    colleague.get_by_role("button", name="Approve", exact=True).click()
    moderator.get_by_role("button", name="Spam", exact=True).click()
    expect(moderator.get_by_role("status")).to_contain_text("Sakai has decided meanwhile: approved")
    assert newsroom.counts().comments == 1


def test_a_decision_returns_to_the_same_filters(newsroom: Newsroom, moderator: Page) -> None:
    newsroom.post("The tram is late.", decision=None)
    newsroom.post("The tram is early.", decision=None)
    newsroom.post("The snow is late.", OTHER_STORY, decision=None)
    moderator.reload()
    moderator.get_by_label("Words").fill("tram")
    moderator.get_by_role("button", name="Show").click()
    expect(moderator.get_by_role("article")).to_have_count(2)
    moderator.get_by_role("button", name="Approve", exact=True).first.click()
    expect(moderator.get_by_role("article")).to_have_count(1)
    expect(moderator.get_by_label("Words")).to_have_value("tram")
    moderator.get_by_role("link", name="Show everything").click()
    expect(moderator.get_by_role("article")).to_have_count(2)


def test_long_queues_are_paged(newsroom: Newsroom, moderator: Page) -> None:
    for number in range(53):
        newsroom.post(f"Comment number {number}.", decision=None)
    moderator.reload()
    expect(moderator.get_by_role("article")).to_have_count(50)
    moderator.get_by_role("link", name="Older items").click()
    expect(moderator.get_by_role("article")).to_have_count(3)
    # A decision down there leads back to there.
    moderator.get_by_role("button", name="Approve", exact=True).first.click()
    expect(moderator.get_by_role("article")).to_have_count(2)


def test_a_form_without_its_csrf_token_decides_nothing(newsroom: Newsroom, moderator: Page) -> None:
    item = newsroom.post("Forged?", decision=None)
    answer = moderator.request.post(
        f"{newsroom.queue}queue/{item.id}", form={"decision": "approve", "version": str(item.version)}
    )
    assert answer.status == 403
    assert newsroom.counts().comments == 0


def test_the_queue_runs_no_foreign_script_and_cannot_be_framed(newsroom: Newsroom, moderator: Page) -> None:
    answer = moderator.goto(newsroom.queue)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_broken_link_of_the_queue_gets_an_accessible_page_with_a_way_on(
    newsroom: Newsroom, reader: Callable[..., Page], scheme: str
) -> None:
    newsroom.post("Still here.", decision=None)
    page = reader(width=360, color_scheme=scheme)
    newsroom.sign_in(page)
    page.goto(f"{newsroom.queue}?status=pending&q=here&cursor=garbage")
    expect(page.get_by_role("alert")).to_contain_text("The link that led down the list is broken.")
    expect(page.get_by_label("Words")).to_have_value("here")
    assert grave_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    press(page, "j")
    page.get_by_role("alert").get_by_role("link", name="Show everything").click()
    expect(page.get_by_role("article")).to_contain_text("Still here.")


@pytest.mark.parametrize("javascript", [True, False])
def test_a_visitor_without_rights_is_led_to_the_site_without_a_loop(
    newsroom: Newsroom, reader: Callable[..., Page], javascript: bool
) -> None:
    page = reader(width=360, javascript=javascript)
    page.goto(newsroom.queue)
    expect(page.locator("main")).to_contain_text("flask moderate token link NAME")
    if javascript:
        assert grave_findings(page) == []
    page.get_by_role("link", name="To the site").click()
    expect(page).to_have_url(f"{newsroom.url}/")


def buttons(card: Locator) -> list[str]:
    return card.locator("form.decide").get_by_role("button").all_inner_texts()


def test_the_card_of_a_conflict_shows_the_decision_of_the_other_moderator(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    newsroom.post("Two people look at this.", decision=None)
    mine, hers = reader(), reader()
    newsroom.sign_in(mine)
    newsroom.sign_in(hers, "Sakai")
    hers.get_by_role("button", name="Approve", exact=True).click()
    expect(hers.get_by_role("link", name="Approved 1")).to_be_visible()
    mine.get_by_role("button", name="Spam", exact=True).click()
    card = mine.get_by_role("article")
    expect(card.locator(".clash")).to_have_text("Item 1: Sakai has decided meanwhile: approved.")
    expect(card.locator(".awaiting")).to_have_count(0)
    expect(card.locator(".status")).to_have_text("Approved")
    expect(card.locator(".facts")).to_contain_text("Sakai")
    assert buttons(card) == ["Hold", "Spam", "Trash"]
    expect(mine.locator("#told")).to_have_class(re.compile(r"\bcaution\b"))
    expect(card).to_be_focused()
    card.get_by_role("button", name="Trash").click()
    expect(mine.locator("#told")).to_contain_text("Item 1: trash.")
    expect(mine.locator("#told")).not_to_have_class(re.compile("caution"))
    assert newsroom.counts().trash == 1


def test_a_card_that_stays_on_the_page_shows_decisions_and_their_undo(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    newsroom.post("Where does this go?", decision=None)
    page = reader()
    newsroom.sign_in(page)
    page.goto(f"{newsroom.queue}?status=")
    card = page.get_by_role("article")
    for name, status, left in (
        ("Approve", "Approved", ["Hold", "Spam", "Trash"]),
        ("Spam", "Spam", ["Approve", "Hold", "Trash"]),
        ("Hold", "Pending", ["Approve", "Spam", "Trash"]),
    ):
        card.get_by_role("button", name=name, exact=True).click()
        expect(card.get_by_role("button", name=name, exact=True)).to_have_count(0)
        expect(card.locator(".status")).to_have_text(status)
        assert buttons(card) == left
        expect(card.locator(".awaiting")).to_have_count(1 if name == "Hold" else 0)
    press(page, "u")
    expect(card.locator(".status")).to_have_text("Spam")
    expect(card.get_by_role("button", name="Hold", exact=True)).to_be_visible()
    assert buttons(card) == ["Approve", "Hold", "Trash"]


def test_the_card_of_a_deleted_item_shows_a_notice_and_no_buttons(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    item = newsroom.post("Soon gone.", decision="spam")
    newsroom.post("Still here.", decision="spam")
    page = reader()
    newsroom.sign_in(page)
    page.goto(f"{newsroom.queue}?status=spam")
    with newsroom.app.app_context():
        newsroom.app.extensions["moderate"].desk.store.items.delete(item.id, "Sakai", item.created_at)
    card = page.get_by_role("article").filter(has_text="Soon gone.")
    card.get_by_role("button", name="Approve", exact=True).click()
    expect(card.locator(".clash")).to_have_text(f"Item {item.id} is gone.")
    expect(card.get_by_role("button")).to_have_count(0)
    expect(card.get_by_role("checkbox")).to_be_disabled()
    expect(page.get_by_role("link", name="Spam 1")).to_be_visible()
    page.get_by_label("All of this page").check()
    expect(page.locator(".chosen")).to_have_text("1 selected")


def test_a_text_changed_meanwhile_is_shown_before_the_next_decision(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    source = {"kind": "trackback", "author": "", "source_url": "https://blog.example/1"}
    newsroom.post("The first words.", decision=None, title="One", **source)
    page = reader()
    newsroom.sign_in(page)
    newsroom.post("Quite other words.", decision=None, title="Two", **source)
    page.get_by_role("button", name="Approve", exact=True).click()
    card = page.get_by_role("article")
    expect(card.locator(".clash")).to_be_visible()
    expect(card).to_contain_text("Quite other words.")
    assert newsroom.counts().trackbacks == 0


def test_bulk_buttons_do_nothing_without_a_selection(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    newsroom.post("Pick me.", decision=None)
    page = reader()
    newsroom.sign_in(page)
    bulk = page.get_by_role("form", name="What is selected")
    expect(bulk.get_by_role("button", name="Approve what is selected")).to_be_disabled()
    page.get_by_label("Select item 1").check()
    expect(bulk.get_by_role("button", name="Approve what is selected")).to_be_enabled()
    plain = reader(javascript=False)
    newsroom.sign_in(plain)
    plain.get_by_role("button", name="Approve what is selected").click()
    expect(plain.get_by_role("status")).to_have_text("Nothing was selected.")
    expect(plain.locator(".notice.caution")).to_be_visible()
    assert newsroom.counts().pending == 1


#: Texts that no browser can break, or that are longer than any screen.
UNBREAKABLE = ("\u1100", "\U0001f468\u200d", "\u0c95\u0ccd", "\U0001d165", "\u0b95\u0bca")


@pytest.mark.parametrize("width", [360, 1280])
def test_no_text_name_title_or_address_breaks_the_layout_of_the_queue(
    newsroom: Newsroom, reader: Callable[..., Page], width: int
) -> None:
    for number, letters in enumerate(UNBREAKABLE):
        newsroom.post((letters * 4000)[:8000], decision=None, author=(letters * 50)[:100])
        source = {"source_url": f"https://blog.example/{number}/{'p/' * 600}", "kind": "trackback", "author": ""}
        newsroom.post("Hello.", decision=None, title=(letters * 200)[:300], blog_name=(letters * 50)[:100], **source)
    newsroom.post("a\n\n" * 2600, decision=None)
    newsroom.post("W" * 8000, decision=None)
    page = reader(width=width)
    newsroom.sign_in(page)
    for query in (
        "?status=pending",
        "?status=",
        "queue/like?status=pending",
        "?status=pending&author=" + "\u1100" * 90,
    ):
        page.goto(newsroom.queue + query)
        assert page.evaluate("document.documentElement.scrollWidth") == width, query
        heights = page.evaluate("[...document.querySelectorAll('.card')].map((card) => card.offsetHeight)")
        assert max(heights, default=0) < 1500, query


@pytest.mark.parametrize("javascript", [True, False])
def test_a_long_text_unfolds_with_its_buttons_visible(
    newsroom: Newsroom, reader: Callable[..., Page], javascript: bool
) -> None:
    newsroom.post("a\n\n" * 1000 + "The end.", decision=None)
    page = reader(width=360, javascript=javascript)
    newsroom.sign_in(page)
    card = page.get_by_role("article")
    approve = card.get_by_role("button", name="Approve", exact=True)
    approve.scroll_into_view_if_needed()
    expect(approve).to_be_in_viewport()
    card.get_by_text("Show all of it").click()
    expect(approve).to_be_in_viewport()
    end = card.get_by_text("The end.").first
    end.scroll_into_view_if_needed()
    expect(end).to_be_in_viewport()
    expect(approve).to_be_in_viewport()
    card.get_by_text("Show less").click()
    expect(end).not_to_be_in_viewport()


def test_the_first_card_is_visible_and_its_checkbox_usable_on_a_phone(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    newsroom.post("Here I am.", decision=None)
    page = reader(viewport={"width": 360, "height": 760})
    newsroom.sign_in(page)
    top = page.evaluate("document.querySelector('.card').getBoundingClientRect().top")
    assert top < 400
    box = page.get_by_role("checkbox", name="Select item 1").bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 24
