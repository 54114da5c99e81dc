"""The main way, as people go it: read, write, wait, be approved, be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.newsroom_site import CLOSED_STORY, STORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom


def write(page: Page, text: str, author: str = "Hoshino") -> None:
    page.get_by_label("Name").fill(author)
    page.get_by_label("Comment", exact=True).fill(text)
    page.get_by_role("button", name="Post comment").click()


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_comment_is_sent_approved_in_the_queue_and_shown_on_the_article(
    newsroom: Newsroom, reader: Callable[..., Page], javascript: bool
) -> None:
    author = reader(javascript=javascript)
    author.goto(newsroom.article())
    expect(author.locator(".foot")).to_contain_text("13/1 20:22")
    expect(author.get_by_role("link", name="Comment (0)")).to_be_visible()
    write(author, "See you on the first tram.")

    # The author lands on the comment and sees that it is pending.
    author.wait_for_url(f"{newsroom.article()}?*#comment-*")
    mine = author.locator(".moderate-comment")
    expect(mine).to_contain_text("Waiting for a moderator. Only you can see this.")
    expect(mine).to_contain_text("See you on the first tram.")
    assert mine.evaluate("comment => comment.matches(':target')")

    # No other reader sees it.
    stranger = reader(javascript=javascript)
    stranger.goto(newsroom.article())
    expect(stranger.locator(".moderate-comment")).to_have_count(0)
    expect(stranger.get_by_role("link", name="Comment (0)")).to_be_visible()

    # A moderator approves it, without JavaScript.
    moderator = reader(javascript=False)
    newsroom.sign_in(moderator)
    expect(moderator.get_by_role("article")).to_contain_text("See you on the first tram.")
    moderator.get_by_role("button", name="Approve", exact=True).click()
    expect(moderator.get_by_role("status")).to_contain_text("approved")
    expect(moderator.locator("main")).to_contain_text("Nothing is waiting.")

    # Now it is public, and counted.
    stranger.reload()
    expect(stranger.get_by_role("link", name="Comment (1)")).to_be_visible()
    expect(stranger.locator(".moderate-comment")).to_contain_text("See you on the first tram.")
    author.reload()
    expect(author.get_by_text("Only you can see this")).to_have_count(0)
    stranger.goto(newsroom.url)
    expect(stranger.locator("li", has_text="Night tram").get_by_role("link", name="Comment (1)")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_double_click_sends_one_comment(newsroom: Newsroom, reader: Callable[..., Page], javascript: bool) -> None:
    page = reader(javascript=javascript)
    page.goto(newsroom.article())
    page.get_by_label("Name").fill("Hoshino")
    page.get_by_label("Comment", exact=True).fill("Twice is once.")
    page.get_by_role("button", name="Post comment").dblclick()
    page.wait_for_url(f"{newsroom.article()}?*#comment-*")
    expect(page.locator(".moderate-comment")).to_have_count(1)
    assert newsroom.counts().pending == 1


def test_a_form_resent_from_the_history_is_one_comment(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader(javascript=False)
    page.goto(newsroom.article())
    body = {
        "author": "Hoshino",
        "text": "Sent again.",
        "form_token": page.locator("[name=form_token]").get_attribute("value") or "",
    }
    action = newsroom.url + (page.locator("form.moderate-form").get_attribute("action") or "")
    first, second = (page.request.post(action, form=body, max_redirects=0) for _ in range(2))
    assert (first.status, second.status) == (303, 303)
    fragments = [answer.headers["location"].partition("#")[2] for answer in (first, second)]
    assert fragments[0] == fragments[1]
    assert newsroom.counts().pending == 1


def test_a_reply_without_javascript_is_shown_below_its_parent(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    newsroom.post("Which kitchen?", author="Tegata resident")
    page = reader(javascript=False)
    page.goto(f"{newsroom.article()}?from=front")
    page.get_by_role("link", name="Reply to Tegata resident").click()
    # What the site's own address carries is kept.
    assert "from=front" in page.url
    expect(page.locator("#moderate-comment-form")).to_contain_text("You are replying to Tegata resident")
    page.get_by_label("Name").fill("Hoshino")
    page.get_by_label("Reply", exact=True).fill("The one with the lantern.")
    page.get_by_role("button", name="Post reply").click()
    page.wait_for_url(f"{newsroom.article()}?*#comment-*")
    answer = page.locator(".moderate-comments > li > .moderate-replies > li")
    expect(answer).to_contain_text("The one with the lantern.")


def test_a_chain_of_replies_deeper_than_the_maximum_is_shown_whole(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    parent = None
    for number in range(40):
        parent = newsroom.post(f"Answer number {number}.", author=f"Reader {number}", parent=parent).id
    page = reader(width=360)
    page.goto(newsroom.article())
    expect(page.locator(".moderate-comment")).to_have_count(40)
    nested = (
        "document.querySelectorAll('.moderate-replies .moderate-replies .moderate-replies .moderate-replies').length"
    )
    assert page.evaluate(nested) == 1
    assert page.evaluate("document.querySelectorAll('" + " ".join([".moderate-replies"] * 5) + "').length") == 0
    expect(page.locator(f"#comment-{parent}")).to_contain_text("in reply to Reader 38")


def test_pings_are_listed_separately_with_source_title_and_excerpt(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    newsroom.post(
        "The last guests can stay.",
        author="",
        kind="trackback",
        source_url="https://pierkitchen.example/after-midnight",
        title="After midnight",
        blog_name="Pier Kitchen",
    )
    page = reader()
    page.goto(newsroom.article())
    page.get_by_role("link", name="Trackback(1)").click()
    trackbacks = page.locator("#trackbacks")
    expect(trackbacks).to_be_in_viewport()
    expect(trackbacks).to_contain_text("Trackback from Pier Kitchen, pierkitchen.example")
    expect(trackbacks).to_contain_text("The last guests can stay.")
    link = trackbacks.get_by_role("link", name="After midnight")
    assert link.get_attribute("href") == "https://pierkitchen.example/after-midnight"
    assert link.get_attribute("rel") == "nofollow ugc noopener"
    expect(page.locator("#comments .moderate-comment")).to_have_count(0)


def test_a_closed_article_shows_a_notice_and_no_form(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    page.goto(newsroom.article(CLOSED_STORY))
    expect(page.get_by_text("Comments are closed.")).to_be_visible()
    expect(page.locator("form.moderate-form")).to_have_count(0)


def test_the_preview_shows_the_final_text_and_stores_nothing(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    page.goto(newsroom.article())
    page.get_by_label("Comment", exact=True).fill("<b>Bold</b> <script>window.ran = 1</script>")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".moderate-preview b")).to_have_text("Bold")
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.querySelectorAll('.moderate-preview script').length") == 0
    assert newsroom.counts(STORY).pending == 0


def test_times_are_in_the_time_zone_of_the_reader_or_in_utc_without_javascript(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    item = newsroom.post("When?")
    page = reader(timezone_id="Asia/Tokyo")
    page.goto(newsroom.article())
    hour = (item.created_at.hour + 9) % 24
    expect(page.locator(".moderate-permalink time")).to_contain_text(f"{hour:02}:{item.created_at:%M}")
    plain = reader(javascript=False)
    plain.goto(newsroom.article())
    expect(plain.locator(".moderate-permalink time")).to_contain_text(f"{item.created_at:%H:%M} UTC")
