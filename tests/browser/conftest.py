"""The example site and as many readers as a test wants, each with cookies of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.newsroom_site import Newsroom, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

# Its own five seconds are little for a busy machine.
expect.set_options(timeout=30_000)


@pytest.fixture
def newsroom(tmp_path: Path) -> Iterator[Newsroom]:
    with serve(tmp_path) as site:
        yield site


@pytest.fixture
def reader(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page for one more person: `reader(javascript=False, width=360)`."""
    contexts: list[BrowserContext] = []

    def open_page(*, javascript: bool = True, width: int = 1000, **options: Any) -> Page:
        options.setdefault("viewport", {"width": width, "height": 800})
        context = browser.new_context(java_script_enabled=javascript, **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
