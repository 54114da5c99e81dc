"""Every hostile payload of the corpus, posted and approved, in a real Chromium."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.newsroom.articles import STORIES
from moderate import Refused
from moderate.text.sanitizer import canonical, render
from moderate.text.tags import Policy
from tests.newsroom_site import Newsroom, serve
from tests.unit.clean.test_canonical import DOCUMENTS, LINKS, NEARLY
from tests.watched_page import WatchedPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.corpus

#: Each document as the browser's parser and serializer return it, twice over.
READ_AND_WRITTEN = """documents => documents.map(html => {
    const place = document.createElement("div");
    for (let times = 0; times < 2; times++) { place.innerHTML = html; html = place.innerHTML }
    return html;
})"""

OPEN = [story.key for story in STORIES if story.comments_open]


@pytest.fixture(scope="module")
def payloads(corpora: Path) -> list[str]:
    lines = (corpora / "xss" / "xss_payloads.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["payload"] for line in lines]


@pytest.fixture(params=["bleach", "nh3"])
def newsroom(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newsroom]:
    with serve(tmp_path, MODERATE_SANITIZER=request.param) as site:
        yield site


def post_all(newsroom: Newsroom, payloads: Sequence[str], **fields: Any) -> int:
    """Spread the payloads over the articles, each as the text and as every *fields* entry; returns how many went in."""
    taken = 0
    for number, payload in enumerate(payloads):
        values = {name: value.format(number) if value else payload for name, value in fields.items()}
        try:
            newsroom.post(values.pop("text", payload), OPEN[number % len(OPEN)], **values)
        except Refused:
            continue
        taken += 1
    return taken


def test_no_markup_in_the_text_of_a_comment_is_executed(newsroom: Newsroom, page: Page, payloads: list[str]) -> None:
    taken = post_all(newsroom, payloads)
    assert taken > len(payloads) * 0.8, "what was refused cannot run, but then nothing was tried"
    shown = look_at_all(newsroom, page)
    assert shown == taken


def test_no_markup_in_name_title_or_blog_name_is_executed(newsroom: Newsroom, page: Page, payloads: list[str]) -> None:
    post_all(newsroom, payloads, author="", text="Comment {}.")
    ping = {"kind": "trackback", "source_url": "https://blog.example/{}", "title": "", "blog_name": ""}
    assert post_all(newsroom, payloads, **ping) > len(payloads) * 0.8
    assert look_at_all(newsroom, page) > len(payloads) * 0.8


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(DOCUMENTS | NEARLY, min_size=1, max_size=30))
def test_a_browser_reads_canonical_html_as_it_is_written(page: Page, documents: list[str]) -> None:
    taken = [html for html in (*documents, *LINKS) if canonical(html, Policy())]
    assert page.evaluate(READ_AND_WRITTEN, taken) == taken


def test_a_browser_reads_the_payloads_as_they_were_rendered(page: Page, payloads: list[str]) -> None:
    shown = [render(f"<b>a</b> {payload}", Policy()).html for payload in payloads]
    taken = [html for html in shown if canonical(html, Policy())]
    assert len(taken) > len(payloads) * 0.8
    assert page.evaluate(READ_AND_WRITTEN, taken) == taken


def look_at_all(newsroom: Newsroom, page: Page) -> int:
    """Open every article as a reader, and the queue as a moderator; returns how many items the articles showed."""
    watched = WatchedPage(page)
    shown = 0
    for key in OPEN:
        watched.open(newsroom.article(key))
        shown += page.locator(".moderate-comment, .moderate-ping").count()
    newsroom.sign_in(page)
    address = f"{newsroom.queue}?status=approved"
    while True:
        watched.open(address)
        older = page.get_by_role("link", name="Older items")
        if not older.count():
            break
        address = newsroom.url + (older.get_attribute("href") or "")
    assert watched.happened == []
    return shown
