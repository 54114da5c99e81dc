"""Hosts in a real browser: one with a strict Content Security Policy, one with styles made for another unit."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import make_server

from tests.newsroom_site import buffered
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.hosts.visits import HostedSite


@pytest.fixture
def served(host: Callable[..., HostedSite]) -> Iterator[Callable[[str], tuple[HostedSite, str]]]:
    """Serve a host by its name; returns it and the address of its article."""
    running: list[Any] = []

    def serve(name: str) -> tuple[HostedSite, str]:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        site = host(name, MODERATE_SITE_URL=url)
        server = make_server("127.0.0.1", port, buffered(site.app), threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return site, url + site.path

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def nothing_forbidden(page: Page) -> Iterator[None]:
    """Fail where the page's policy forbids something, which Chromium writes to the console, or a script fails."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(f"Content Security Policy aside: {error}"))
    yield
    assert [text for text in said if "Content Security Policy" in text] == []


def write_and_approve(page: Page, site: HostedSite, url: str, text: str) -> None:
    page.goto(url)
    page.get_by_label("Name").fill("Mika")
    page.locator(".moderate-form textarea").fill(text)
    page.get_by_role("button", name="Preview").click()
    page.locator(".moderate-preview:visible").wait_for()
    page.get_by_role("button", name="Post comment").click()
    page.locator("#comment-1").wait_for()
    assert "waiting for a moderator" in page.inner_text(".moderate")
    with site.app.app_context():
        site.moderate.decide(1, "approve", version=1, by="mori")
    page.goto(url)


def test_the_thread_and_the_queue_work_under_a_policy_of_the_host(
    served: Callable[[str], tuple[HostedSite, str]], page: Page
) -> None:
    site, url = served("journal")
    with nothing_forbidden(page):
        write_and_approve(page, site, url, "It <em>froze</em>.")
        assert page.evaluate("document.documentElement.dataset.own") == "ran"
        page.get_by_role("link", name="Reply").click()
        page.get_by_text("You are replying to").wait_for()
        page.get_by_label("Name").fill("Nao")
        page.locator(".moderate-form textarea").fill("Twice.")
        page.get_by_role("button", name="Post reply").click()
        page.locator("#comment-2").wait_for()
        page.goto(url.replace(site.path, "/login"))
        page.locator("input[type=password]").fill("secret")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="Comments to decide on").click()
        # Before its script has run, the page sends its form instead.
        page.wait_for_load_state()
        with page.expect_response("**/moderation/decisions"):
            page.locator(".card").get_by_role("button", name="Approve").click()
    page.goto(url)
    assert "Comment (2)" in page.inner_text("body")


SIZES = """() => {
  const px = (selector, name) => parseFloat(getComputedStyle(document.querySelector(selector))[name]);
  const colour = (selector) => getComputedStyle(document.querySelector(selector)).color;
  const text = '.moderate-comment .moderate-text';
  return {
    text: px(text, 'fontSize'), title: px('.moderate-title', 'fontSize'), quote: px(text + ' blockquote', 'fontSize'),
    button: document.querySelector('.moderate-send').offsetHeight, colours: [colour(text), colour(text + ' pre')],
    lefts: [...document.querySelectorAll('.moderate-field')].map((field) => field.getBoundingClientRect().left),
    width: document.documentElement.scrollWidth,
  };
}"""


def test_where_the_hosts_rem_is_ten_pixels_the_thread_is_as_large_as_the_hosts_text(
    served: Callable[[str], tuple[HostedSite, str]], page: Page
) -> None:
    site, url = served("blogroll")
    page.set_viewport_size({"width": 360, "height": 800})
    write_and_approve(page, site, url, "Look:\n\n<pre>code = 1</pre>\n\n<blockquote>Said.</blockquote>")
    sizes = page.evaluate(SIZES)
    assert sizes["text"] == 16
    assert sizes["title"] > 16
    assert sizes["quote"] <= 16
    assert sizes["button"] >= 44
    assert len(set(sizes["lefts"])) == 1
    assert len(set(sizes["colours"])) == 1
    assert sizes["width"] <= 360
