"""A moderator's morning by keyboard: every key, undo, several moderators, and a server that says no."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.newsroom_site import OTHER_STORY, press, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.newsroom_site import Newsroom


@pytest.fixture
def desk(newsroom: Newsroom, reader: Callable[..., Page]) -> Callable[..., Page]:
    """Put a number of items into the queue, and open it for a moderator."""

    def open_desk(number: int = 0, name: str = "Aoki Ren", **options: object) -> Page:
        for at in range(number):
            newsroom.post(f"Comment number {at}.", decision=None, author=f"Reader {at}", ip=f"192.0.2.{at}")
        page = reader(**options)
        newsroom.sign_in(page, name)
        return page

    return open_desk


def cards(page: Page) -> Locator:
    return page.locator(".items > li:visible")


def card(page: Page, text: str) -> Locator:
    return page.get_by_role("article").filter(has_text=text)


def tab(page: Page, name: str) -> Locator:
    return page.locator(".tabs a", has_text=re.compile(rf"^{name} ")).locator(".count")


def test_fifty_items_are_decided_with_the_keyboard_alone(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(50)
    expect(cards(page)).to_have_count(50)
    press(page, "j")
    expect(page.locator("#item-50")).to_be_focused()
    # The newest are approved, then some are spam, some trash; one after the other, never touching a mouse.
    press(page, "a" * 20 + "s" * 20)
    expect(page.locator("#item-10")).to_be_focused()
    # What is selected is decided together.
    press(page, "xjxjx")
    press(page, "t")
    expect(page.locator("#item-7")).to_be_focused()
    press(page, "t" * 7)
    expect(page.locator("#done a")).to_be_focused()
    expect(page.locator("#said")).to_have_text("Item 1: trash.")
    for name, number in (("Pending", 0), ("Approved", 20), ("Spam", 20), ("Trash", 10)):
        expect(tab(page, name)).to_have_text(str(number))
    counted = newsroom.counts()
    assert (counted.comments, counted.pending, counted.spam, counted.trash) == (20, 0, 20, 10)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Nothing is waiting.")


def test_keys_move_select_hold_and_open(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(3)
    # Once it has been shown, the article is known by this site's own address.
    page.goto(newsroom.article())
    page.goto(newsroom.queue)
    press(page, "jj")
    expect(page.locator("#item-2")).to_be_focused()
    press(page, "k")
    expect(page.locator("#item-3")).to_be_focused()
    press(page, "x")
    expect(page.get_by_label("Select item 3")).to_be_checked()
    expect(page.locator(".chosen")).to_have_text("1 selected")
    press(page, "x")
    expect(page.get_by_label("Select item 3")).not_to_be_checked()
    press(page, "h")
    expect(page.locator("#said")).to_have_text("Item 3 stands there already.")
    with page.context.expect_page() as opened:
        press(page, "o")
    assert opened.value.url == newsroom.article()
    press(page, "/")
    expect(page.get_by_label("Words")).to_be_focused()


def test_keys_are_ignored_while_typing_or_with_a_modifier(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(2)
    page.get_by_label("Words").press_sequentially("asthjkxu?")
    expect(page.get_by_label("Words")).to_have_value("asthjkxu?")
    press(page, "j")
    page.locator("#item-2").focus()
    page.keyboard.press("Control+s")
    page.keyboard.press("Alt+a")
    page.locator("select#kind").focus()
    press(page, "t")
    assert newsroom.counts().pending == 2
    expect(cards(page)).to_have_count(2)


def test_invalid_key_events_sent_by_programs_are_harmless(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    """Form fillers send events without a key, and extensions take keys for themselves or send them to the document."""
    page = desk(2)
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    press(page, "j")
    page.evaluate(
        """() => {
            document.querySelector("#q, input[type=search]").dispatchEvent(new Event("keydown", { bubbles: true }));
            document.activeElement.dispatchEvent(new Event("keydown", { bubbles: true }));
            const taken = new KeyboardEvent("keydown", { key: "a", code: "KeyA", bubbles: true, cancelable: true });
            taken.preventDefault();
            document.activeElement.dispatchEvent(taken);
            document.dispatchEvent(new KeyboardEvent("keydown", { key: "s", code: "KeyS" }));
        }"""
    )
    expect(tab(page, "Spam")).to_have_text("1")
    assert newsroom.counts().comments == 0
    assert faults == []


#: The properties of a key event: letter, place, Caps Lock and Shift; and whether the key acts.
KEYS = {
    "Cyrillic": ("ф", "KeyA", False, False, True),
    "Greek": ("α", "KeyA", False, False, True),
    "Hebrew": ("ש", "KeyA", False, False, True),
    "Arabic": ("ش", "KeyA", False, False, True),
    "Japanese kana": ("ち", "KeyA", False, False, True),
    "Cyrillic with Caps Lock": ("Ф", "KeyA", True, False, True),
    "Caps Lock": ("A", "KeyA", True, False, True),
    "Latin letters elsewhere": ("a", "KeyQ", False, False, True),
    "another Latin letter at its place": ("q", "KeyA", False, False, False),
    "an accented letter at its place": ("å", "KeyA", False, False, False),
    "Shift": ("A", "KeyA", False, True, False),
    "Caps Lock and Shift": ("a", "KeyA", True, True, False),
    "Cyrillic with Shift": ("Ф", "KeyA", False, True, False),
    "an input method": ("Process", "KeyA", False, False, False),
    "a dead key": ("Dead", "KeyA", False, False, False),
    "AltGr": ("a", "KeyA", False, False, False),
    "Arabic with AltGr": ("ٱ", "KeyA", False, False, False),
}


@pytest.mark.parametrize("sort", KEYS)
def test_keys_work_in_every_keyboard_layout(newsroom: Newsroom, desk: Callable[..., Page], sort: str) -> None:
    key, code, has_caps_lock, has_shift, acts = KEYS[sort]
    page = desk(2)
    press(page, "j")
    page.evaluate(
        "key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { ...key, bubbles: true }))",
        {
            "key": key,
            "code": code,
            "modifierCapsLock": has_caps_lock,
            "shiftKey": has_shift,
            "modifierAltGraph": "AltGr" in sort,
        },
    )
    if not acts:
        # What comes next shows that the key before has done nothing.
        press(page, "s")
    expect(tab(page, "Approved" if acts else "Spam")).to_have_text("1")
    assert newsroom.counts().comments == (1 if acts else 0)


def test_keys_are_ignored_during_input_method_composition(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(1)
    press(page, "j")
    page.evaluate(
        """() => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: "a", code: "KeyA", isComposing: true, bubbles: true }))"""
    )
    press(page, "s")
    expect(tab(page, "Spam")).to_have_text("1")
    assert newsroom.counts().comments == 0


def test_a_key_held_down_decides_once(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(3)
    press(page, "j")
    for _ in range(3):
        # The same key again without having been let go.
        page.keyboard.down("a")
    page.keyboard.up("a")
    expect(tab(page, "Approved")).to_have_text("1")
    assert newsroom.counts().comments == 1


def test_keys_can_be_turned_off_permanently(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(1)
    press(page, "?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    # Behind the dialog nothing is decided.
    press(page, "a")
    dialog.get_by_label("Keys are on").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.reload()
    press(page, "ja")
    assert newsroom.counts().pending == 1
    page.get_by_role("button", name="Keys").click()
    dialog.get_by_label("Keys are on").check()
    dialog.get_by_role("button", name="Close").click()
    press(page, "ja")
    expect(tab(page, "Approved")).to_have_text("1")


def test_undo_reverts_the_last_decision_and_then_the_one_before(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(3)
    press(page, "ja")
    press(page, "s")
    expect(cards(page)).to_have_count(1)
    press(page, "u")
    expect(page.locator("#item-2")).to_be_focused()
    expect(page.locator("#said")).to_have_text("Item 2: put back.")
    page.get_by_role("button", name="Undo").click()
    expect(cards(page)).to_have_count(3)
    assert newsroom.counts().pending == 3
    expect(tab(page, "Pending")).to_have_text("3")
    press(page, "u")
    expect(page.locator("#said")).to_have_text("There is nothing to undo.")
    # What came back can be decided again: its version has grown with the others'.
    press(page, "t")
    expect(tab(page, "Trash")).to_have_text("1")


def test_undo_reverts_the_decision_on_a_whole_selection(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(6)
    page.get_by_label("All of this page").check()
    page.get_by_label("Select item 4").uncheck()
    expect(page.locator(".chosen")).to_have_text("5 selected")
    page.get_by_role("button", name="Spam what is selected").click()
    expect(cards(page)).to_have_count(1)
    expect(page.locator("#told")).to_contain_text("5 items: spam.")
    assert newsroom.counts().spam == 5
    press(page, "u")
    expect(cards(page)).to_have_count(6)
    assert newsroom.counts().pending == 6


def test_an_item_decided_by_another_moderator_reappears_with_that_decision(
    newsroom: Newsroom, desk: Callable[..., Page]
) -> None:
    mine = desk(3)
    hers = desk(name="Sakai")
    press(hers, "jja")
    expect(tab(hers, "Approved")).to_have_text("1")
    # The page of the first moderator still shows all three.
    press(mine, "j")
    press(mine, "sss")
    clash = card(mine, "Comment number 1.")
    expect(clash).to_be_visible()
    expect(clash.locator(".clash")).to_have_text("Item 2: Sakai has decided meanwhile: approved.")
    expect(cards(mine)).to_have_count(1)
    assert newsroom.counts().comments == 1
    # Now that it is known, it can be decided otherwise.
    clash.get_by_role("button", name="Trash").click()
    expect(cards(mine)).to_have_count(0)
    expect(tab(mine, "Trash")).to_have_text("1")
    # And hers can no longer be undone by her key, which shows the reason.
    press(hers, "u")
    expect(hers.locator("#said")).to_have_text("Item 2: Aoki Ren has decided meanwhile: trash.")
    assert newsroom.counts().trash == 1


def test_an_item_that_the_server_did_not_hear_of_comes_back(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(2)
    page.route("**/moderation/decisions", lambda route: route.abort())
    press(page, "ja")
    expect(page.locator("#told")).to_contain_text("The server cannot be reached. Nothing was decided")
    expect(cards(page)).to_have_count(2)
    expect(card(page, "Comment number 1.").locator(".clash")).to_be_visible()
    page.unroute("**/moderation/decisions")
    press(page, "ka")
    expect(tab(page, "Approved")).to_have_text("1")


def test_a_moderator_signed_out_meanwhile_gets_a_message(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(1)
    page.context.clear_cookies()
    press(page, "ja")
    expect(page.locator("#told")).to_contain_text("You are no longer signed in")
    expect(cards(page)).to_have_count(1)
    assert newsroom.counts().pending == 1


def test_new_items_are_announced_and_not_inserted(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(1)
    page.clock.install()
    page.reload()
    newsroom.post("I came later.", OTHER_STORY, decision=None)
    page.clock.fast_forward(29_000)
    expect(page.locator("#news")).to_be_hidden()
    page.clock.fast_forward(2_000)
    expect(page.locator("#news")).to_contain_text("1 new since you opened this page.")
    expect(tab(page, "Pending")).to_have_text("2")
    expect(cards(page)).to_have_count(1)
    page.get_by_role("link", name="Show them").click()
    expect(cards(page)).to_have_count(2)


def test_decisions_on_all_items_keep_the_scroll_position(newsroom: Newsroom, desk: Callable[..., Page]) -> None:
    page = desk(2)
    page.goto(f"{newsroom.queue}?status=")
    press(page, "ja")
    expect(page.locator("#item-1")).to_be_focused()
    expect(card(page, "Comment number 1.").locator(".status")).to_have_text("Approved")
    expect(cards(page)).to_have_count(2)


def test_what_only_checks_have_decided_is_confirmed_by_key_and_all_at_once(
    tmp_path: Path, reader: Callable[..., Page]
) -> None:
    with serve(tmp_path, MODERATE_PREMODERATION="none") as newsroom:
        for number in range(4):
            newsroom.post(f"Comment number {number}.", decision=None)
        store = newsroom.app.extensions["moderate"].desk.store
        assert newsroom.counts().comments == 4
        page = reader()
        newsroom.sign_in(page)
        tab(page, "Approved").click()
        page.get_by_role("link", name="Not looked at").click()
        # The same cards are on the page before.
        page.wait_for_url("**decided=0**")
        expect(cards(page)).to_have_count(4)
        press(page, "ja")
        expect(cards(page)).to_have_count(3)
        expect(page.locator("#told p")).to_have_text("Item 4: approved.")
        expect(tab(page, "Approved")).to_have_text("4")
        # What came back can be confirmed again, by its button too, also before its card is renewed.
        page.route("**/queue/cards?**", lambda route: route.abort())
        press(page, "u")
        expect(page.locator("#told p")).to_have_text("Item 4: put back.")
        expect(cards(page)).to_have_count(4)
        page.locator("#item-4").get_by_role("button", name="Confirm").click()
        expect(cards(page)).to_have_count(3)
        page.reload()
        expect(cards(page)).to_have_count(3)
        page.get_by_role("link", name="Confirm all of these…").click()
        page.get_by_role("button", name="Confirm all of these").click()
        expect(page.get_by_text("3 items: approved.")).to_be_visible()
        expect(page.get_by_text("Nothing matches.")).to_be_visible()
        assert [store.items.get(number).decided_by for number in (1, 2, 3, 4)] == ["Aoki Ren"] * 4
        page.get_by_role("button", name="Undo").click()
        expect(cards(page)).to_have_count(3)
        assert newsroom.counts().comments == 4
        # In the list of all that is public, one that was confirmed stands there already.
        tab(page, "Approved").click()
        page.locator("#item-4").focus()
        press(page, "a")
        expect(page.locator("#said")).to_have_text("Item 4 stands there already.")
        expect(page.locator("#item-4").get_by_role("button", name="Confirm")).to_have_count(0)
