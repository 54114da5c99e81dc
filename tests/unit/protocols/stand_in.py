"""A site around the ping protocols, as small as can be: it takes what they read and notes it."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, render_template, request
from werkzeug.serving import make_server

import moderate
from moderate.errors import RateLimited, Refused, ServiceDown, UnknownArticle
from moderate.model import Article, Awaiting, Item, Kind, Raw, Receipt, Status
from moderate.protocols.pingback import Pingback
from moderate.protocols.trackback import Trackback
from moderate.protocols.webmention import Webmention
from moderate.text.clean import clean
from moderate.text.tags import Policy
from tests.servers import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moderate.model import Submission

SITE = "https://site.example"

ARTICLE = Article(key="1", title="On ferries", url=f"{SITE}/a/1")

ITEM = Item(
    id=7,
    kind=Kind.TRACKBACK,
    status=Status.PENDING,
    awaiting=Awaiting.CHECKS,
    version=1,
    article="1",
    article_title=ARTICLE.title,
    article_url=ARTICLE.url,
    author="",
    email=None,
    url=None,
    author_id=None,
    text="",
    html="",
    policy="",
    parent=None,
    source_url="https://blog.example/post",
    title=None,
    blog_name=None,
    ip=None,
    user_agent=None,
    referrer=None,
    text_key="",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    edited_at=None,
)


def item(**changes: Any) -> Item:
    return replace(ITEM, **changes)


class StandInEdge:
    """The methods of a site that the ping protocols call, and no others."""

    max_length = 8000
    honeypot = ""

    def __init__(self, items: Callable[[], list[Item]] = list) -> None:
        self.items = items

    def article(self, key: str) -> Article | None:
        return ARTICLE if key == ARTICLE.key else None

    def pings(self, article: str) -> list[Item]:
        assert article == ARTICLE.key
        return self.items()

    def render(self, name: str, /, **values: object) -> str:
        return render_template(f"moderate/{name}.html", **values)

    def status_url(self, receipt: Receipt) -> str:
        return f"{SITE}/discuss/webmention/token-{receipt.item.id}"

    def problem(self, error: Refused | ServiceDown) -> Response:
        status = 429 if isinstance(error, RateLimited) else 503
        body = json.dumps({"status": status, "code": error.code})
        response = Response(body, status, mimetype="application/problem+json")
        response.headers["Retry-After"] = "12"
        if isinstance(error, RateLimited):
            response.headers["RateLimit"] = '"pings";r=0;t=12'
        return response


@dataclass(slots=True)
class Site:
    """The app, what it has received, and what it says instead where a test wants a refusal."""

    app: Flask
    received: list[Raw] = field(default_factory=list)
    refuses: Refused | ServiceDown | None = None
    listed: list[Item] = field(default_factory=list)
    items_were_read: bool = False

    @property
    def last(self) -> Raw:
        assert self.received, "nothing was received"
        return self.received[-1]

    @property
    def cleaned(self) -> Submission:
        """The last one as it is stored: what senders call text is made plain there."""
        return clean(self.last, ARTICLE, Policy(), require_author=False)

    def submit(self, raw: Raw) -> Receipt:
        if self.refuses is not None:
            raise self.refuses
        if raw.kind is Kind.TRACKBACK and raw.article != ARTICLE.key:
            raise UnknownArticle
        self.received.append(raw)
        return Receipt(item(kind=raw.kind, source_url=raw.source_url), ARTICLE)

    def items(self) -> list[Item]:
        self.items_were_read = True
        return self.listed

    def view(self, protocol: Any) -> Callable[..., Any]:
        edge: Any = StandInEdge(self.items)

        def view(article: str | None = None) -> Any:
            if request.method != "POST":
                return protocol.look(request, article, edge)
            try:
                return protocol.answer(request, self.submit(protocol.read(request, article, edge)), edge)
            except (Refused, ServiceDown) as error:
                return protocol.refuse(request, article, error, edge)

        return view


def make_site() -> Site:
    app = Flask("site", template_folder=f"{moderate.__path__[0]}/http/templates")
    # Pages speak in the words of the catalogue's own language.
    app.jinja_env.globals.update(moderate_language=lambda: "en", moderate_say=str, moderate_translated=str)
    site = Site(app)
    blueprint = Blueprint("moderate", __name__)
    for protocol in (Trackback(), Pingback(), Webmention()):
        blueprint.add_url_rule(
            protocol.rule,
            protocol.name,
            site.view(protocol),
            methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
            provide_automatic_options=False,
        )
    app.register_blueprint(blueprint, url_prefix="/discuss")
    return site


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """A real server on a free port of this machine."""
    server = make_server(HOST, 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def exchange(port: int, request_bytes: bytes, *, hang_up: bool = False) -> bytes:
    """Send bytes as they are; return all that comes back until the server closes the line."""
    with socket.create_connection((HOST, port), timeout=10) as line:
        line.sendall(request_bytes)
        if hang_up:
            line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))
