"""A reader without JavaScript confirms the e-mail address, is known by it, and is forgotten again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.mail_servers import MailServer
from tests.newsroom_site import Newsroom, serve
from tests.servers import free_port
from tests.tasks import run_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

BUTTON = "Confirm my e-mail address"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, mail: MailServer) -> Iterator[Newsroom]:
    port = free_port()
    settings = {
        "MODERATE_SITE_URL": f"http://127.0.0.1:{port}",
        "MODERATE_MAIL_SERVER": "127.0.0.1",
        "MODERATE_MAIL_PORT": mail.port,
        "MODERATE_MAIL_SECURITY": "none",
        "MODERATE_MAIL_FROM": "News <news@mail.example>",
        "MODERATE_MAIL_TO": [],
        "MODERATE_CONFIRM_EMAIL": True,
        "MODERATE_PREMODERATION": "strangers",
        "MODERATE_TRUSTED_AFTER": 1,
        "MODERATE_AKISMET_KEY": "",
        "MODERATE_MIN_SECONDS": 0,
    }
    with serve(tmp_path, port=port, **settings) as newsroom:
        yield newsroom


def send(page: Page, site: Newsroom, text: str) -> None:
    page.goto(site.article())
    page.get_by_label("Name").fill("Mika")
    page.get_by_label("E-mail").fill("mika@readers.example")
    page.get_by_label("Comment", exact=True).fill(text)
    page.get_by_role("button", name="Post comment").click()
    page.wait_for_url("**#comment-*")


def link_of(site: Newsroom, mail: MailServer) -> str:
    """Do what is due, and read the mail."""
    with site.app.app_context():
        while run_due(site.app.extensions["moderate"].desk):
            pass
    (got,) = mail.mails
    return next(place for place in got.links if place.startswith(f"{site.url}/discuss/confirmation/"))


def test_an_address_can_be_confirmed_without_javascript(
    site: Newsroom, mail: MailServer, reader: Callable[..., Page]
) -> None:
    page = reader(javascript=False)
    send(page, site, "The night tram came late, and everybody sang.")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_role("heading")).to_have_text("Look into your mailbox")
    page.goto(link_of(site, mail))
    expect(page.get_by_text("This browser has sent the comment, so it will count as yours.")).to_be_visible()
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_role("heading")).to_have_text("Your e-mail address is confirmed.")
    with site.app.app_context():
        site.moderate.decide(1, "approve", version=1, by="Aoki Ren")
    send(page, site, "And the morning one was empty but for a dog.")
    expect(page.get_by_role("article").filter(has_text="but for a dog")).to_be_visible()
    expect(page.get_by_text("waiting for a moderator")).to_have_count(0)
    assert site.counts().comments == 2
    page.get_by_role("button", name="Forget the address here").click()
    expect(page.get_by_role("heading")).to_have_text("This browser has forgotten your address.")
    send(page, site, "Nobody knows me any more on this line.")
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
    assert site.counts().pending == 1
