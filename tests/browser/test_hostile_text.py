"""Hostile text in every field that strangers fill in runs nothing, neither for readers nor for moderators."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from moderate import Refused
from tests.newsroom_site import press
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


#: What else is only a nuisance on other pages, and breaks a page of cards: endless words, lines over lines,
#: marks that pile up, marks that turn the direction, and ids and names that the page itself uses.
UNRULY = (
    "W" * 300,
    "\u202e" * 20 + "desrever" + "\u2066" * 20,
    "Z" + "\u0301\u0335\u0489" * 60,
    "\u3164\u200b\u2060" * 30,
    "<p id=told>1</p><p id=said>2</p><form id=bulk><input name=csrf_token value=3>",
    "</article></li></ol></main><h1>Moderation</h1>",
    '" data-version="9" data-status="approved',
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
)

#: Where the text of a card stands, measured against the card.
OUT_OF_THE_CARD = """() => [...document.querySelectorAll('.card')].flatMap((card) => {
  const edge = card.getBoundingClientRect();
  return [...card.querySelectorAll('h2, .about, .text, .findings, .facts, .foot')].filter((part) => {
    const box = part.getBoundingClientRect();
    return box.left < edge.left - 1 || box.right > edge.right + 1 || part.scrollWidth > part.clientWidth + 1;
  }).map((part) => card.id + ' ' + part.className);
})"""


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


def test_no_hostile_text_is_executed_for_readers(full_of_it: Newsroom, reader: Callable[..., Page]) -> None:
    watched = WatchedPage(reader())
    watched.open(full_of_it.article())
    assert watched.page.locator(".moderate-comment").count() >= 2 * len(HOSTILE)
    watched.open(full_of_it.article() + "?moderate_reply=1")
    watched.open(full_of_it.url + "/")
    assert watched.happened == []


def test_no_hostile_text_is_executed_for_moderators(full_of_it: Newsroom, reader: Callable[..., Page]) -> None:
    page = reader()
    full_of_it.sign_in(page)
    watched = WatchedPage(page)
    for query in (
        "?status=pending",
        "?status=approved",
        "?status=&q=script",
        "?status=approved&awaiting=moderator",
        "queue/like?status=pending&q=Waiting",
        "queue/like?status=&author=%3Cscript%3Ewindow.ran=1%3C/script%3E&host=%22%3E%3Cimg+src=x+onerror=window.ran=1%3E",
        "?notice=%3Cscript%3Ewindow.ran=1%3C/script%3E",
    ):
        watched.open(full_of_it.queue + query)
    assert watched.happened == []


@pytest.mark.parametrize("width", [360, 1000])
def test_no_text_breaks_the_layout_of_the_queue_page(
    newsroom: Newsroom, reader: Callable[..., Page], width: int
) -> None:
    sent = 0
    for number, text in enumerate((*UNRULY, *HOSTILE)):
        for fields in ({"text": text}, {"text": f"By {number}.", "author": text[:90]}):
            with contextlib.suppress(Refused):
                newsroom.post(decision=None, **fields)
                sent += 1
        source = f"https://blog.example/{number}"
        newsroom.post(text, kind="trackback", author="", source_url=source, title=text, blog_name=text, decision=None)
        sent += 1
    page = reader(width=width)
    newsroom.sign_in(page)
    page.goto(f"{newsroom.queue}?status=")
    assert page.locator(".items > li").count() == min(50, sent)
    assert page.locator("h1").count() == 1
    assert page.locator("#told, #said, #bulk").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OUT_OF_THE_CARD) == []
    # The newest can still be decided, by key and by button.
    page.goto(newsroom.queue)
    press(page, "j")
    press(page, "s")
    page.get_by_role("article").first.get_by_role("button", name="Trash", exact=True).click()
    page.locator("#told", has_text="trash").wait_for()
    counted = newsroom.counts()
    assert (counted.spam, counted.trash) == (1, 1)


def test_hostile_names_of_moderators_articles_and_rules_are_escaped(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
    item = newsroom.post("Who decides?", decision=None)
    page = reader()
    name = "<img src=x onerror=window.ran=1>\u202e"
    newsroom.sign_in(page, name)
    with newsroom.app.app_context():
        newsroom.moderate.decide(item.id, "approve", version=item.version, by=name)
    watched = WatchedPage(page)
    watched.open(f"{newsroom.queue}?status=approved")
    assert page.get_by_text("onerror").count() == 2
    # A conflicting decision of another moderator shows that name in a sentence.
    page.locator("#item-1").focus()
    page.evaluate("document.querySelector('.items > li').dataset.version = 1")
    press(page, "t")
    page.locator("#told", has_text="onerror").wait_for()
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.ran") is None
    assert watched.happened == []


def test_no_hostile_text_is_executed_on_the_page_of_a_refused_form(
    newsroom: Newsroom, reader: Callable[..., Page]
) -> None:
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
def test_the_watch_detects_scripts_and_frames(newsroom: Newsroom, reader: Callable[..., Page], markup: str) -> None:
    page = reader()
    page.route(
        newsroom.article(),
        lambda route: route.fulfill(body=f"<article class=moderate-comment><div class=moderate-text>{markup}</div>"),
    )
    watched = WatchedPage(page)
    watched.open(newsroom.article())
    assert watched.happened
