"""Threads of many pages, and what was typed: nothing is lost from sight, and nothing is typed twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from flask_caching import Cache
from playwright.sync_api import expect

from tests.factories import fill_thread
from tests.newsroom_site import STORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom

DRAFT = "Half a thought, <b>and</b> more."


def fill(newsroom: Newsroom, page: Page, number: int) -> None:
    page.goto(newsroom.article())
    fill_thread(newsroom.app.extensions["moderate"].desk.store, number, STORY)


def write(page: Page, text: str) -> None:
    page.get_by_label("Name").fill("Hoshino")
    page.locator("form.moderate-form [name=text]").fill(text)


def send(page: Page) -> None:
    page.locator("form.moderate-form .moderate-send").click()
    page.wait_for_url(re.compile(r"#comment-\d+$"))


def is_in_sight(page: Page, number: int) -> None:
    """The item is what the address leads to, and the browser has scrolled to it."""
    item = page.locator(f"#comment-{number}")
    expect(item).to_be_in_viewport()
    assert item.evaluate("item => item.matches(':target')")


@pytest.mark.parametrize("number", [502, 5001])
@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_every_comment_of_a_long_thread_can_be_reached(
    newsroom: Newsroom, reader: Callable[..., Page], number: int, javascript: bool
) -> None:
    page = reader(javascript=javascript)
    fill(newsroom, page, number)
    # A comment that waits.
    page.goto(newsroom.article())
    write(page, "Mine.")
    send(page)
    is_in_sight(page, number + 1)
    expect(page.locator(f"#comment-{number + 1}")).to_contain_text("Waiting for a moderator. Only you can see this.")
    expect(page.get_by_role("status").first).to_contain_text("Your comment is waiting for a moderator.")
    # An answer to the first comment, from its page.
    page.goto(f"{newsroom.article()}?moderate_at=1#comment-1")
    is_in_sight(page, 1)
    page.get_by_role("link", name="Reply to Reader 1", exact=True).click()
    write(page, "An answer.")
    send(page)
    is_in_sight(page, number + 2)
    # Once public, it is found by the feed, by its own address, and leads back to what it answers.
    with newsroom.app.app_context():
        newsroom.moderate.decide(number + 2, "approve", version=1, by="Aoki Ren")
    stranger = reader(javascript=javascript)
    feed = ET.fromstring(stranger.request.get(f"{newsroom.url}/discuss/feed").body())
    link = feed.find("{*}entry/{*}link[@rel='alternate']")
    assert link is not None
    stranger.goto(link.get("href") or "")
    is_in_sight(stranger, number + 2)
    stranger.locator(f"#comment-{number + 2} .moderate-permalink").click()
    is_in_sight(stranger, number + 2)
    stranger.locator(f"#comment-{number + 2}").get_by_role("link", name="Reader 1", exact=True).click()
    is_in_sight(stranger, 1)
    expect(stranger.locator(f"#comment-{number + 1}")).to_have_count(0)


@pytest.mark.parametrize("way", ["reply", "article", "reload"])
def test_text_typed_into_the_form_is_kept_on_the_next_page(
    newsroom: Newsroom, reader: Callable[..., Page], way: str
) -> None:
    newsroom.post("Which kitchen?", author="Tegata resident")
    page = reader()
    page.goto(newsroom.article())
    if way == "article":
        page.get_by_role("link", name="Reply to Tegata resident").click()
        page.wait_for_url("**moderate_reply=*")
    write(page, DRAFT)
    if way == "reload":
        page.reload()
    else:
        words = "Reply to Tegata resident" if way == "reply" else "Comment on the article instead"
        page.get_by_role("link", name=words).click()
    expect(page.locator("form.moderate-form [name=text]")).to_have_value(DRAFT)
    expect(page.get_by_label("Name")).to_have_value("Hoshino")
    expect(page.locator("[name=parent]")).to_have_count(1 if way == "reply" else 0)
    # Once it is in, the form is empty again.
    send(page)
    expect(page.locator("form.moderate-form [name=text]")).to_have_value("")
    assert page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('moderate')).length") == 0
    page.reload()
    expect(page.locator("form.moderate-form [name=text]")).to_have_value("")


def test_a_draft_survives_a_failed_submission_within_its_tab(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    newsroom.post("Which kitchen?")
    page.goto(newsroom.article())
    write(page, DRAFT)
    page.route("**/discuss/comments/**", lambda route: route.abort())
    page.locator("form.moderate-form .moderate-send").click()
    page.wait_for_url("chrome-error://**")
    page.goto(newsroom.article())
    page.locator(".moderate-permalink").click()
    page.wait_for_url("**moderate_at=1*")
    expect(page.locator("form.moderate-form [name=text]")).to_have_value(DRAFT)
    other = page.context.new_page()
    other.goto(newsroom.article())
    expect(other.locator("form.moderate-form [name=text]")).to_have_value("")


def test_a_refused_form_keeps_its_draft_when_going_back_to_the_article(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    page = reader()
    page.goto(newsroom.article())
    write(page, DRAFT)
    page.get_by_label("Website").fill("javascript:alert(1)")
    page.locator("form.moderate-form .moderate-send").click()
    expect(page.get_by_role("heading", name="Your comment was not sent")).to_be_visible()
    page.get_by_role("link", name="Back to").click()
    expect(page.locator("form.moderate-form [name=text]")).to_have_value(DRAFT)


def test_a_cached_page_shows_that_the_comment_has_arrived(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    """A cache that was set up with no regard to queries and cookies."""
    views = newsroom.app.view_functions
    views["article"] = Cache(newsroom.app, config={"CACHE_TYPE": "SimpleCache"}).cached(timeout=60)(views["article"])
    page = reader()
    page.goto(newsroom.article())
    write(page, "Mine.")
    send(page)
    expect(page.get_by_role("status").first).to_contain_text("Your comment has arrived.")
    expect(page.locator("form.moderate-form [name=text]")).to_have_value("")
