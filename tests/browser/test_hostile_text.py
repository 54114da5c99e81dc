"""Hostile text in every field that strangers fill in runs nothing, neither for readers nor for moderators."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from moderate import Refused
from tests.watched_page import WatchedPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.newsroom_site import Newsroom

HOSTILE = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror=window.ran=1>",
    "<svg/onload=window.ran=1>",
    "<a href='java\tscript:window.ran=1'>click</a>",
    '<a href="https://x.example/" onmouseover="window.ran=1" style="position:fixed;inset:0">everywhere</a>',
    "<details open ontoggle=window.ran=1><summary>x</summary></details>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=window.ran=1&gt;'>",
    '"><script>window.ran=1</script>',
    "'-window.ran=1-'",
    "</textarea><script>window.ran=1</script>",
    "{{ 7 * 7 }}{% raw %}",
    "<base href=https://elsewhere.example/>",
    "<form action=https://elsewhere.example/><input name=author autofocus onfocus=window.ran=1></form>",
    "<link rel=stylesheet href=https://elsewhere.example/x.css><style>@import 'https://elsewhere.example/y.css'</style>",
    "<p id=comments class=moderate-alert>not ours</p>",
    "<!--><script>window.ran=1</script>-->",
)


@pytest.fixture
def full_of_it(newsroom: Newsroom) -> Newsroom:
    for number, text in enumerate(HOSTILE):
        newsroom.post(f"Text and {text}")
        newsroom.post(f"Beside the name {number}.", author=f"N {text[:90]}")
        newsroom.post(f"Waiting, {text}", author=f"W {text[:90]}", decision=None)
        source = f"https://blog.example/{number}"
        newsroom.post(f"Excerpt {text}", kind="trackback", author="", source_url=source, title=text, blog_name=text)
        for url in (text, "javascript:window.ran=1", f"https://x.example/{text}"):
            # Most of these are refused, which is as good.
            with contextlib.suppress(Refused):
                newsroom.post("By its address.", url=url)
    return newsroom


def test_nothing_runs_for_readers(full_of_it: Newsroom, reader: Callable[..., Page]) -> None:
    watched = WatchedPage(reader())
    watched.open(full_of_it.article())
    assert watched.page.locator(".moderate-comment").count() >= 2 * len(HOSTILE)
    watched.open(full_of_it.article() + "?moderate_reply=1")
    watched.open(full_of_it.url + "/")
    assert watched.happened == []


def test_nothing_runs_for_moderators(full_of_it: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    full_of_it.sign_in(page)
    watched = WatchedPage(page)
    for query in (
        "?status=pending",
        "?status=approved",
        "?status=&q=script",
        "?notice=%3Cscript%3Ewindow.ran=1%3C/script%3E",
    ):
        watched.open(full_of_it.queue + query)
    assert watched.happened == []


def test_nothing_runs_on_the_page_of_a_refused_form(newsroom: Newsroom, reader: Callable[..., Page]) -> None:
    watched = WatchedPage(reader())
    for text in HOSTILE:
        watched.open(newsroom.article())
        with watched.page.expect_navigation():
            watched.page.evaluate(
                """(text) => {
              const form = document.querySelector('form.moderate-form');
              for (const name of ['author', 'text', 'url']) form.elements[name].value = text;
              form.noValidate = true;
              form.submit();
            }""",
                text,
            )
        assert watched.page.evaluate("window.ran") is None, text
    assert watched.happened == []


@pytest.mark.parametrize(
    "markup",
    ["<script>window.ran = 1</script>", "<img src=x onerror='window.ran = 1'>", "<iframe srcdoc='x'></iframe>"],
)
def test_the_watch_itself_notices_what_runs(newsroom: Newsroom, reader: Callable[..., Page], markup: str) -> None:
    page = reader()
    page.route(
        newsroom.article(),
        lambda route: route.fulfill(body=f"<article class=moderate-comment><div class=moderate-text>{markup}</div>"),
    )
    watched = WatchedPage(page)
    watched.open(newsroom.article())
    assert watched.happened
