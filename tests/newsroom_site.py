"""The example site, served for a browser by a thread of the test process."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from examples.newsroom.app import create_app
from examples.newsroom.sign_in import new_link
from tests.sites import SETTINGS, put_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask
    from playwright.sync_api import Page

    from moderate import Counts, Item, Moderate

STORY = "2026/01/13/night-tram"
OTHER_STORY = "2026/01/13/first-snow"
CLOSED_STORY = "2026/01/08/market"


class Newsroom:
    """A running example site, without seeds."""

    def __init__(self, app: Flask, url: str) -> None:
        self.app, self.url = app, url
        self.moderate: Moderate = app.extensions["newsroom.moderate"]

    def article(self, key: str = STORY) -> str:
        return f"{self.url}/articles/{key}"

    @property
    def queue(self) -> str:
        return f"{self.url}/discuss/moderation/"

    def sign_in(self, page: Page, name: str = "Aoki Ren") -> None:
        """Sign a page in as a moderator and leave it on the queue."""
        page.goto(self.url + new_link(self.app, name))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(self.queue)

    def post(self, text: str, article: str = STORY, *, decision: str | None = "approve", **fields: Any) -> Item:
        """Submit from code, and decide at once unless *decision* is None."""
        with self.app.app_context():
            item = self.moderate.submit(article, text, **{"author": "Mika", **fields}).item
            if decision is None:
                return item
            return self.moderate.decide(item.id, decision, version=item.version, by="Aoki Ren")

    def counts(self, article: str = STORY) -> Counts:
        with self.app.app_context():
            return self.moderate.counts([article])[article]


def buffered(app: WSGIApplication) -> WSGIApplication:
    """Let an app answer from memory: where a browser hangs up, werkzeug's server closes no file of the app."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body, status, headers = run_wsgi_app(app, environ, buffered=True)
        start_response(status, headers.to_wsgi_list())
        return body

    return answer


@contextmanager
def serve(folder: Path, *, port: int = 0, **config: Any) -> Iterator[Newsroom]:
    """The site on *port*, or on a free one, with its data in *folder*. No limits: one browser plays many people."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    settings = {**SETTINGS, "NEWSROOM_DATA": str(folder), "MODERATE_LIMITS": {}}
    put_tables(folder)
    app = create_app({**settings, **config})
    server = make_server("127.0.0.1", port, buffered(app), threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield Newsroom(app, f"http://127.0.0.1:{server.port}")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
        app.extensions["newsroom.moderate"].close(app)


def press(page: Page, keys: str) -> None:
    # A page that a link has led to ignores keys before its scripts have run and before it was painted once.
    page.wait_for_load_state("domcontentloaded")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    for key in keys:
        page.keyboard.press(key)
