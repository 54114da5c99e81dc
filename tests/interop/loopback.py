"""Our site and a stranger's blog, both on this machine, talking over real sockets."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from flask import Flask, render_template_string
from werkzeug.serving import make_server

from moderate import Article, Moderate
from moderate.testing import ManualClock
from tests.servers import HOST, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARTICLE_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
{{ moderate_discovery(article.key) }}
<title>{{ article.title }}</title></head><body><h1>{{ article.title }}</h1>
<p>Trackback({{ moderate_counts(article.key).trackbacks }})</p>
{{ moderate_thread(article.key) }}</body></html>"""

POST_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>About {name}</title></head>
<body><p>We read <a href="{target}">about the ferries</a> over breakfast.</p></body></html>"""


class InteropSite:
    """The running site. `items()` lists what is stored; `settled()` waits until every source was looked at."""

    def __init__(self, app: Flask, moderate: Moderate, base_url: str, blog_url: str) -> None:
        self.app, self.moderate = app, moderate
        self.base_url, self.blog_url = base_url, blog_url
        self.article_url = f"{base_url}/2026/ferries"

    def post_url(self, name: str) -> str:
        """The address of a page of the stranger's blog that links to the article."""
        return f"{self.blog_url}/{name}"

    @property
    def trackback_url(self) -> str:
        return f"{self.base_url}/discuss/trackback/2026/ferries"

    def items(self) -> list[dict[str, Any]]:
        """All items as moderators see them, newest first."""
        request = Request(f"{self.base_url}/discuss/moderation/items?limit=200", headers=self.moderator)
        with urlopen(request, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["items"]
        return found

    def items_from(self, source: str) -> list[dict[str, Any]]:
        return [item for item in self.items() if item["source_url"] == source]

    def item_from(self, source: str) -> dict[str, Any]:
        """The one item from a source, once its page was looked at."""
        wait_until(lambda: all(item["awaiting"] != "checks" for item in self.items_from(source)), within=30)
        (item,) = self.items_from(source)
        return item

    @cached_property
    def moderator(self) -> dict[str, str]:
        """Header fields of a moderator."""
        with self.app.app_context():
            desk = self.app.extensions["moderate"].desk
            return {"Authorization": f"Bearer {desk.store.tokens.create('mori', desk.clock.now())}"}


@contextmanager
def serving(app: Flask, server: Any = None) -> Iterator[str]:
    server = server or make_server(HOST, 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def interop_site(folder: Path, *ports: int) -> Iterator[InteropSite]:
    """Our site and the blog. The site may fetch from this machine: from the blog's port and from those named."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:
        site = Flask("site", instance_path=str(folder))
        blog = Flask("blog")
        base_url = stack.enter_context(serving(site))
        blog_url = stack.enter_context(serving(blog))
        article_url = f"{base_url}/2026/ferries"
        blog.add_url_rule("/<path:name>", "post", lambda name: POST_PAGE.format(name=name, target=article_url))
        moderate = embed(site, base_url, int(blog_url.rpartition(":")[2]), *ports)
        stack.callback(site.extensions["moderate"].worker.stop)
        yield InteropSite(site, moderate, base_url, blog_url)


def embed(app: Flask, base_url: str, *ports: int) -> Moderate:
    """A host with one article, as any site would embed us."""
    article = Article("2026/ferries", "On ferries -- & more", f"{base_url}/2026/ferries")
    app.config.update(
        SECRET_KEY="for tests only",
        MODERATE_SITE_URL=base_url,
        MODERATE_LIMITS={},
        MODERATE_FETCH_ALLOW=["127.0.0.0/8"],
        MODERATE_FETCH_PORTS=list(ports),
    )
    moderate = Moderate(clock=ManualClock())
    moderate.article_loader({article.key: article}.get)
    moderate.init_app(app)

    def page() -> tuple[str, list[tuple[str, str]]]:
        return render_template_string(ARTICLE_PAGE, article=article), moderate.discovery_headers(article.key)

    app.add_url_rule("/2026/ferries", "article", page)
    return moderate
