"""TrackBack 1.2: a form post at the article's ping address, answered by five lines of XML.

Sources: the TrackBack 1.2 text, and what deployed senders write and read in fact; `docs/protocols.md`
has the whole list. Senders read the answer with regular expressions, so its bytes are fixed.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

from flask import Response, redirect

from moderate.errors import RateLimited, Refused, ServiceDown, TooLarge
from moderate.http.operation import FORM, HTML, TEXT, XML, Answer, Operation, Reply, query
from moderate.model import Kind, Raw
from moderate.protocols.base import address, client_of, message_of, parameters, storable, xml
from moderate.text.charsets import MAX_LABEL, decode
from moderate.web_address import MAX_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Request
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response as AnyResponse

    from moderate.model import Article, Item, Receipt
    from moderate.protocols.base import Edge

#: Bytes of a body at most, far more than title, excerpt and name of a blog need.
MAX_BODY = 65_536

METHODS = "GET, HEAD, OPTIONS, POST"

SUCCESS = b'<?xml version="1.0" encoding="utf-8"?>\n<response>\n<error>0</error>\n</response>\n'

FAILURE = '<?xml version="1.0" encoding="utf-8"?>\n<response>\n<error>1</error>\n<message>{}</message>\n</response>\n'

TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>|<!--[^<>]*-->")

#: The header fields that say when to try again.
RETRY = ("Retry-After", "RateLimit", "RateLimit-Policy")

#: An address that some senders have escaped twice, as whole or in part.
ESCAPED_TWICE = re.compile(r"https?%3A", re.IGNORECASE)


class TrackbackIn(Answer):
    """A ping. Fields that are not named here are ignored."""

    url: str
    title: str | None = None
    excerpt: str | None = None
    blog_name: str | None = None
    charset: str | None = None


class Trackback:
    """Pings at ``/trackback/<article>``. Every ping that was read is answered with success, even spam."""

    name = limit = rel = "trackback"
    rule = "/trackback/<path:article>"

    post = Operation(
        "POST",
        rule,
        name,
        "TrackBack 1.2: tell that a page links to the article",
        body={FORM: TrackbackIn},
        replies=(
            Reply(200, "TrackBack XML, also for what was refused.", types=(XML,)),
            Reply(413, "The ping is too large.", types=(XML,)),
            Reply(429, "Too many at once.", types=(XML,), headers=RETRY),
            Reply(503, "Not available right now.", types=(XML,), headers=("Retry-After",)),
        ),
        answers_errors=True,
    )
    get = Operation(
        "GET",
        rule,
        name,
        "The article's pings with `__mode=rss` (TrackBack 1.1), else the way to the article",
        parameters=(query("__mode", TEXT, "`rss` for the list."),),
        replies=(
            Reply(200, "The list.", types=(XML,)),
            Reply(302, "To the article.", types=(HTML,), headers=("Location",)),
            Reply(404, "There is no such article.", types=(XML,)),
            Reply(405, "With a `url`: pings must use POST.", types=(XML,), headers=("Allow",)),
            Reply(503, "Not available right now.", types=(XML,), headers=("Retry-After",)),
        ),
        answers_errors=True,
        takes_other_methods=True,
    )

    def max_body(self, edge: Edge) -> int:
        return MAX_BODY

    def read(self, request: Request, article: str | None, edge: Edge) -> Raw:
        sent = parameters(request, MAX_BODY)
        charset = sent.pop("charset", b"")[: MAX_LABEL + 1].decode("ascii", "replace")
        known = {name: sent.get(name, b"") for name in ("url", "title", "excerpt", "blog_name")}
        # Japanese software names its charset in the body, and then often another one in the header.
        texts = decode(known, (charset, request.mimetype_params.get("charset", "")))
        url = texts["url"].strip()
        if len(url) <= MAX_ADDRESS and ESCAPED_TWICE.match(url):
            url = unquote(url)
        return Raw(
            kind=Kind.TRACKBACK,
            client=client_of(request),
            article=article,
            source_url=address("url", url),
            title=texts["title"] or None,
            blog_name=texts["blog_name"] or None,
            text=texts["excerpt"],
        )

    def answer(self, request: Request, receipt: Receipt, edge: Edge) -> ResponseReturnValue:
        return xml(SUCCESS)

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue:
        response = failure(message_of(error), status_of(error))
        if response.status_code in {429, 503}:
            # The header fields that say when to retry are those of all other answers.
            fields = edge.problem(error).headers
            response.headers.update({name: fields[name] for name in RETRY if name in fields})
        return response

    def look(self, request: Request, article: str, edge: Edge) -> AnyResponse:
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": METHODS})
        if request.method not in {"GET", "HEAD"}:
            return wrong_method(METHODS)
        if "url" in request.args:
            # Pings by GET were given up in 2003: links and prefetching must not be able to ping.
            return wrong_method("POST")
        found = edge.article(article)
        if found is None:
            return failure("There is no such article.", 404)
        if request.args.get("__mode") == "rss":
            return xml(rss(found, edge.pings(found.key)))
        return redirect(found.url, 302)


# --- answers ---------------------------------------------------------------------------------------


def failure(message: str, status: int = 200) -> Response:
    """Return the error document. It always has a message: one reader takes an error without one for success."""
    text = " ".join(storable(message).split()) or Refused.default
    return xml(FAILURE.format(escape(text, quote=False)).encode(), status)


def status_of(error: Refused | ServiceDown) -> int:
    """Return 200 for errors of the protocol (1.2 has no other status), HTTP's own for those that concern proxies."""
    if isinstance(error, ServiceDown):
        return 503
    if isinstance(error, RateLimited):
        return 429
    return 413 if isinstance(error, TooLarge) else 200


def wrong_method(allowed: str) -> Response:
    response = failure("Trackback pings must use HTTP POST.", 405)
    response.headers["Allow"] = allowed
    return response


RSS = """<?xml version="1.0" encoding="utf-8"?>
<response>
<error>0</error>
<rss version="0.91"><channel>
<title>{title}</title>
<link>{link}</link>
<description>{description}</description>
<language>en-us</language>
{items}</channel>
</rss></response>
"""

RSS_ITEM = """<item>
<title>{title}</title>
<link>{link}</link>
<description>{description}</description>
</item>
"""


def rss(article: Article, items: Iterable[Item]) -> bytes:
    """Return the list of an article's public pings as of TrackBack 1.1."""
    entries = ""
    for item in items:
        if item.is_public:
            link = item.source_url or item.article_url
            # The text of the package's own HTML on one line. It may contain ``<``.
            text = marked_up(" ".join(unescape(TAG.sub(" ", item.html)).split()))
            entries += RSS_ITEM.format(title=marked_up(item.title or link), link=marked_up(link), description=text)
    title = marked_up(article.title)
    return RSS.format(title=title, link=marked_up(article.url), description=title, items=entries).encode()


def marked_up(text: str) -> str:
    """Escape text for XML, without the characters that XML cannot contain."""
    return escape(storable(text), quote=False)
