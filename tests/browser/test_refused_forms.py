"""A form that is refused comes back with what was typed, and says what is wrong where it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.newsroom_site import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom

TEXT = 'Kept: "quotes", <b>tags</b> & two\n\nparagraphs. 提灯'


def fill(page: Page, **fields: str) -> None:
    for name, value in {"author": "Hoshino", "text": TEXT, **fields}.items():
        page.locator(f"form.moderate-form [name={name}]").fill(value)


def send(page: Page) -> None:
    page.get_by_role("button", name="Post comment").click()


def test_the_error_is_beside_the_field_and_every_typed_value_is_kept(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    page = reader(javascript=False)
    page.goto(newsroom.article())
    fill(page, email="hoshino@example.org", url="javascript:alert(1)")
    send(page)
    expect(page.get_by_role("heading", name="Your comment was not sent")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_visible()

    website = page.get_by_label("Website")
    expect(website).to_have_attribute("aria-invalid", "true")
    expect(website).to_have_accessible_description(page.locator("#moderate-url-error").inner_text())
    expect(website).to_be_focused()
    expect(website).to_have_value("javascript:alert(1)")
    expect(page.get_by_label("Name")).to_have_value("Hoshino")
    expect(page.get_by_label("E-mail")).to_have_value("hoshino@example.org")
    expect(page.get_by_label("Comment", exact=True)).to_have_value(TEXT)
    assert newsroom.counts().pending == 0

    # Mended and sent from that very page, it goes through.
    website.fill("https://hoshino.example/")
    send(page)
    page.wait_for_url(f"{newsroom.article()}?*#comment-*")
    expect(page.locator(".moderate-comment")).to_contain_text('Kept: "quotes"')
    assert newsroom.counts().pending == 1


def test_a_refused_reply_is_still_a_reply_after_correction(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    parent = newsroom.post("Which kitchen?")
    page = reader(javascript=False)
    page.goto(f"{newsroom.article()}?moderate_reply={parent.id}#moderate-comment-form")
    fill(page, url="javascript:alert(1)")
    page.get_by_role("button", name="Post reply").click()
    expect(page.locator("input[name=parent]")).to_have_value(str(parent.id))
    expect(page.locator(".moderate-replying")).to_contain_text("You are replying to")
    page.get_by_label("Website").fill("")
    page.get_by_role("button", name="Post reply").click()
    page.wait_for_url(f"{newsroom.article()}?*#comment-*")
    expect(page.locator(".moderate-replies .moderate-comment")).to_have_count(1)


def test_the_page_of_a_refused_form_links_back_to_the_article(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader(javascript=False)
    page.goto(newsroom.article())
    fill(page, url="javascript:alert(1)")
    send(page)
    page.get_by_role("link", name="Back to").click()
    page.wait_for_url(newsroom.article())


def test_a_rate_limited_reader_sees_the_waiting_time(tmp_path: Path, reader: Callable[..., Page]) -> None:
    with serve(tmp_path, MODERATE_LIMITS={"comments": ["1/hour per client"]}) as newsroom:
        page = reader(javascript=False)
        for text in ("The first.", "The second."):
            page.goto(newsroom.article())
            fill(page, text=text)
            send(page)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Try again in 60 minutes.")
        expect(page.get_by_label("Comment", exact=True)).to_have_value("The second.")


def test_missing_fields_are_reported_before_the_form_is_sent(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader(javascript=False)
    page.goto(newsroom.article())
    send(page)
    expect(page.get_by_label("Name")).to_be_focused()
    assert page.url == newsroom.article()


def test_the_hidden_field_is_not_visible_focusable_or_read_out(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    page.goto(newsroom.article())
    trap = page.locator("form.moderate-form [name=homepage]")
    box = page.locator(".moderate-aside").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (1, 1)
    assert trap.get_attribute("tabindex") == "-1"
    assert trap.get_attribute("autocomplete") == "off"
    assert "Leave this field empty" not in page.locator("#moderate-comment-form").aria_snapshot()


def test_a_comment_with_the_hidden_field_filled_is_spam_that_looks_pending_to_its_sender(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    page = reader()
    page.goto(newsroom.article())
    page.evaluate("document.querySelector('[name=homepage]').value = 'https://spam.example/'")
    fill(page, text="https://a.example/ https://b.example/ https://c.example/")
    send(page)
    expect(page.locator(".moderate-comment")).to_contain_text("Waiting for a moderator")
    assert newsroom.counts().pending == 0
    assert newsroom.counts().spam == 1


def test_pasted_text_is_counted_as_on_the_server_and_never_cut(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    page.goto(newsroom.article())
    fill(page, text="")
    text = page.get_by_label("Comment", exact=True)
    text.focus()
    page.keyboard.insert_text("🙂" * 8001)
    send(page)
    length = "(field) => [[...field.value].length, field.validationMessage]"
    assert text.evaluate(length) == [8001, "Use at most 8000 characters; this has 8001."]
    assert newsroom.counts().pending == 0

    page.keyboard.press("Control+End")
    page.keyboard.press("Backspace")
    assert text.evaluate(length) == [8000, ""]
    send(page)
    page.wait_for_url("**#comment-*")
    assert newsroom.counts().pending == 1
