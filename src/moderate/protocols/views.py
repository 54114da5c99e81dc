"""The addresses of the protocols: submissions by POST, and the views that answer other methods there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from flask import request

from moderate.errors import UnknownItem
from moderate.http.answers import Problem
from moderate.http.item_json import ReceivedItem
from moderate.http.operation import (
    FORM,
    HTML,
    JSON,
    MULTIPART,
    PLAIN,
    TEXT,
    XML,
    Answer,
    Operation,
    Reply,
    Route,
    header,
    query,
)
from moderate.http.state import current_state
from moderate.model import PINGS, Kind
from moderate.protocols import pingback, trackback, webmention
from moderate.protocols.comment import Comment, CommentIn
from moderate.protocols.pingback import Pingback
from moderate.protocols.trackback import Trackback
from moderate.protocols.webmention import Webmention
from moderate.reading.views import refuse_hidden_article, thread
from moderate.submit.views import intake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask.typing import ResponseReturnValue

    from moderate.model import Item
    from moderate.protocols.base import InboundProtocol

#: Pings in a list that a program asked for.
LISTED = 200


#: A header field of printable ASCII characters (draft-ietf-httpapi-idempotency-key-header).
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    {"type": "string", "maxLength": 200, "pattern": "^[ -~]*$"},
    "The same key from the same client returns its first comment and stores nothing. With another text it is refused.",
)


class TrackbackIn(Answer):
    """A ping. Fields that are not named here are ignored."""

    url: str
    title: str | None = None
    excerpt: str | None = None
    blog_name: str | None = None
    charset: str | None = None


class MentionIn(Answer):
    source: str
    target: str


POST_COMMENT = Operation(
    "POST",
    Comment.rule,
    Comment.name,
    "Comment on an article, or answer a comment",
    parameters=(IDEMPOTENCY_KEY,),
    body={JSON: CommentIn, FORM: CommentIn, MULTIPART: CommentIn},
    replies=(
        Reply(201, "It is public.", ReceivedItem, headers=("Location",)),
        Reply(202, "It waits.", ReceivedItem, headers=("Location",)),
        Reply(303, "A browser's form: back to the article.", types=(HTML,), headers=("Location",)),
    ),
    problems=("closed", "forbidden", "rate-limited"),
    has_problem_pages=True,
    reads_body=True,
)

POST_TRACKBACK = Operation(
    "POST",
    Trackback.rule,
    Trackback.name,
    "TrackBack 1.2: tell that a page links to the article",
    body={FORM: TrackbackIn},
    replies=(
        Reply(200, "TrackBack XML, also for what was refused.", types=(XML,)),
        Reply(413, "The ping is too large.", types=(XML,)),
        Reply(429, "Too many at once.", types=(XML,), headers=("Retry-After", "RateLimit", "RateLimit-Policy")),
        Reply(503, "Not available right now.", types=(XML,), headers=("Retry-After",)),
    ),
    answers_errors=True,
)

POST_PINGBACK = Operation(
    "POST",
    Pingback.rule,
    Pingback.name,
    "Pingback 1.0: `pingback.ping(source, target)` over XML-RPC",
    body={XML: None},
    replies=(
        Reply(200, "An XML-RPC response or fault.", types=(XML,)),
        Reply(413, "The call is too large.", types=(PLAIN,)),
    ),
    answers_errors=True,
)

POST_WEBMENTION = Operation(
    "POST",
    Webmention.rule,
    Webmention.name,
    "Webmention: tell that a page links to one of ours",
    body={FORM: MentionIn},
    replies=(
        Reply(201, "Received; its status is at Location.", types=(PLAIN, HTML), headers=("Location",)),
        Reply(400, "Any fault of the sender (W3C, section 3.2.3).", Problem, types=(HTML,)),
    ),
    problems=("rate-limited", "unavailable"),
    answers_errors=True,
)

POSTS = {post.endpoint: post for post in (POST_COMMENT, POST_TRACKBACK, POST_PINGBACK, POST_WEBMENTION)}


def routes_of(protocol: InboundProtocol) -> list[Route]:
    """Return the routes at the address of *protocol*: its submissions, and what those of this package answer else.

    A protocol of the site's own is no part of the OpenAPI document.
    """
    own = Operation("POST", protocol.rule, protocol.name, answers_errors=True)
    post = replace(POSTS.get(protocol.name, own), rule=protocol.rule)
    looks = [route for route in LOOKS if route.operation.endpoint == protocol.name]
    return [*(replace(look.operation, rule=protocol.rule)(look.view) for look in looks), post(intake(protocol))]


@Operation(
    "GET",
    Trackback.rule,
    Trackback.name,
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
def look_at_trackback(article: str) -> ResponseReturnValue:
    state = current_state()
    found = state.desk.articles.load(article)

    def items() -> Iterable[Item]:
        if found is None:
            return []
        return state.desk.store.threads.page(found.key, cursor=None, limit=LISTED, newest_first=True, kinds=PINGS).items

    return trackback.look(request, found, items)


@Operation("GET", Pingback.rule, Pingback.name, answers_errors=True, takes_other_methods=True)
def look_at_pingback() -> ResponseReturnValue:
    return pingback.look(request)


@Operation(
    "GET",
    Webmention.rule,
    Webmention.name,
    "A form for people",
    replies=(Reply(200, "The form.", types=(HTML,)),),
    answers_errors=True,
    takes_other_methods=True,
)
def look_at_webmention() -> ResponseReturnValue:
    return webmention.look(request, current_state().edge)


class MentionOut(Answer):
    """What became of a webmention."""

    status: Literal["queued", "pending", "success", "deleted"]
    summary: str
    source: str | None
    target: str


@Operation(
    "GET",
    "/webmention/<token>",
    "webmention_status",
    "What became of a mention",
    link="As in the Location of the answer.",
    replies=(Reply(200, "The status.", MentionOut, types=(HTML,)),),
    problems=("unknown-item",),
)
def webmention_status(token: str) -> ResponseReturnValue:
    state = current_state()
    opened = state.signer.open("webmention", token)
    item = state.desk.store.items.get(opened[0]) if opened else None
    if item is None or item.kind is Kind.COMMENT:
        raise UnknownItem
    refuse_hidden_article(state, item)
    return webmention.status_page(request, item, state.edge)


#: Routes that exist only together with a protocol; the comments' address shows the thread.
LOOKS = (thread, look_at_trackback, look_at_pingback, look_at_webmention)
