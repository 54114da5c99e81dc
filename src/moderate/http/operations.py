"""What everybody may do, address by address. A new public route gets its entry here; a test asks for it."""

from __future__ import annotations

from moderate.http.operation import (
    ARTICLE,
    ATOM,
    CURSOR,
    FORM,
    HTML,
    IF_NONE_MATCH,
    ITEM,
    JSON,
    KEY,
    MULTIPART,
    NOTHING,
    PLAIN,
    PROBLEM,
    TOKEN,
    UNCHANGED,
    XML,
    Body,
    Operation,
    Reply,
    field,
    path,
    query,
    whole,
)
from moderate.http.schemas import (
    CountsOfArticles,
    HealthOut,
    MentionIn,
    MentionOut,
    PatchIn,
    PreviewForm,
    PreviewIn,
    PreviewOut,
    PublicItem,
    ReceivedItem,
    ThreadOut,
    TrackbackIn,
    WithdrawIn,
)
from moderate.http.schemas_moderation import Problem
from moderate.protocols.comment import CommentIn

#: A header field of printable ASCII characters (draft-ietf-httpapi-idempotency-key-header).
IDEMPOTENCY_KEY = field(
    "Idempotency-Key",
    {"type": "string", "maxLength": 200, "pattern": "^[ -~]*$"},
    "The same key from the same client returns its first comment and stores nothing. With another text it is refused.",
)

COMMENTS = (
    Operation(
        method="GET",
        path="/comments/{article}",
        endpoint="comment",
        about="The approved items of an article, and to their senders what waits",
        parameters=(
            ARTICLE,
            CURSOR,
            query("limit", whole(200, 100), "Items on a page."),
            query("order", {"enum": ["oldest", "newest"], "default": "oldest"}, "Which come first."),
            IF_NONE_MATCH,
        ),
        replies=(Reply(200, "A page of the thread.", ThreadOut, headers=("ETag", "Moderate-Form-Token")), UNCHANGED),
        problems=("invalid", "unknown-article"),
    ),
    Operation(
        method="POST",
        path="/comments/{article}",
        endpoint="comment",
        about="Comment on an article, or answer a comment",
        parameters=(ARTICLE, IDEMPOTENCY_KEY),
        bodies=(Body(JSON, CommentIn), Body(FORM, CommentIn), Body(MULTIPART, CommentIn)),
        replies=(
            Reply(201, "It is public.", ReceivedItem, headers=("Location",)),
            Reply(202, "It waits.", ReceivedItem, headers=("Location",)),
            Reply(303, "A browser's form: back to the article.", types=(HTML,), headers=("Location",)),
        ),
        problems=(
            "invalid",
            "too-large",
            "unsupported-media-type",
            "unknown-article",
            "closed",
            "forbidden",
            "rate-limited",
        ),
        problem_types=(PROBLEM, HTML),
    ),
    Operation(
        method="GET",
        path="/items/{item_id}",
        endpoint="item",
        about="One item: an approved one, or any for who holds its edit token",
        parameters=(ITEM, TOKEN, IF_NONE_MATCH),
        replies=(Reply(200, "The item.", PublicItem, headers=("ETag",)), UNCHANGED),
        problems=("unknown-item",),
    ),
    Operation(
        method="PATCH",
        path="/items/{item_id}",
        endpoint="item",
        about="Give your own comment a new text within the edit window; it is judged anew",
        parameters=(ITEM,),
        bodies=(Body(JSON, PatchIn),),
        replies=(Reply(200, "The item; an approved one keeps its old text until the new one is.", PublicItem),),
        problems=(
            "invalid",
            "too-large",
            "unsupported-media-type",
            "unknown-item",
            "unknown-article",
            "closed",
            "forbidden",
            "rate-limited",
        ),
    ),
    Operation(
        method="DELETE",
        path="/items/{item_id}",
        endpoint="item",
        about="Take your own comment back within the edit window",
        parameters=(ITEM, TOKEN),
        bodies=(Body(JSON, WithdrawIn, is_required=False),),
        replies=(NOTHING,),
        problems=("invalid", "too-large", "unknown-item", "closed", "forbidden", "rate-limited"),
    ),
    Operation(
        method="POST",
        path="/preview",
        endpoint="preview",
        about="A text as readers would see it; nothing is stored",
        bodies=(Body(JSON, PreviewIn), Body(FORM, PreviewForm), Body(MULTIPART, PreviewForm)),
        replies=(Reply(200, "The text as HTML.", PreviewOut),),
        problems=("invalid", "too-large", "unsupported-media-type", "rate-limited"),
    ),
    Operation(
        method="GET",
        path="/counts",
        endpoint="counts",
        about="The numbers of up to 100 articles",
        parameters=(
            query(
                "article",
                {"type": "array", "minItems": 1, "items": KEY},
                "The keys of up to 100 different articles, one parameter each.",
                required=True,
            ),
            IF_NONE_MATCH,
        ),
        replies=(Reply(200, "The numbers by key.", CountsOfArticles, headers=("ETag",)), UNCHANGED),
        problems=("invalid", "rate-limited"),
    ),
)

PINGS = (
    Operation(
        method="POST",
        path="/trackback/{article}",
        endpoint="trackback",
        about="TrackBack 1.2: tell that a page links to the article",
        parameters=(ARTICLE,),
        bodies=(Body(FORM, TrackbackIn),),
        replies=(
            Reply(200, "TrackBack XML, also for what was refused.", types=(XML,)),
            Reply(413, "The ping is too large.", types=(XML,)),
            Reply(429, "Too many at once.", types=(XML,), headers=("Retry-After", "RateLimit", "RateLimit-Policy")),
            Reply(503, "Not available right now.", types=(XML,), headers=("Retry-After",)),
        ),
        may_be_down=False,
    ),
    Operation(
        method="GET",
        path="/trackback/{article}",
        endpoint="trackback",
        about="The article's pings with `__mode=rss` (TrackBack 1.1), else the way to the article",
        parameters=(
            ARTICLE,
            query("__mode", {"type": "string"}, "`rss` for the list."),
        ),
        replies=(
            Reply(200, "The list.", types=(XML,)),
            Reply(302, "To the article.", types=(HTML,), headers=("Location",)),
            Reply(404, "There is no such article.", types=(XML,)),
            Reply(405, "With a `url`: pings must use POST.", types=(XML,), headers=("Allow",)),
            Reply(503, "Not available right now.", types=(XML,), headers=("Retry-After",)),
        ),
        may_be_down=False,
    ),
    Operation(
        method="POST",
        path="/pingback",
        endpoint="pingback",
        about="Pingback 1.0: `pingback.ping(source, target)` over XML-RPC",
        bodies=(Body(XML),),
        replies=(
            Reply(200, "An XML-RPC response or fault.", types=(XML,)),
            Reply(413, "The call is too large.", types=(PLAIN,)),
        ),
        may_be_down=False,
    ),
    Operation(
        method="POST",
        path="/webmention",
        endpoint="webmention",
        about="Webmention: tell that a page links to one of ours",
        bodies=(Body(FORM, MentionIn),),
        replies=(
            Reply(201, "Received; its status is at Location.", types=(PLAIN, HTML), headers=("Location",)),
            Reply(400, "Any fault of the sender (W3C, section 3.2.3).", Problem, types=(HTML,)),
        ),
        problems=("rate-limited",),
    ),
    Operation(
        method="GET",
        path="/webmention",
        endpoint="webmention",
        about="A form for people",
        replies=(Reply(200, "The form.", types=(HTML,)),),
        may_be_down=False,
    ),
    Operation(
        method="GET",
        path="/webmention/{token}",
        endpoint="webmention_status",
        about="What became of a mention",
        parameters=(path("token", {"type": "string", "minLength": 1}, "As in the Location of the answer."),),
        replies=(Reply(200, "The status.", MentionOut, types=(HTML,)),),
        problems=("unknown-item",),
    ),
)

FEEDS = (
    Operation(
        method="GET",
        path="/feed/{article}",
        endpoint="feed_of_article",
        about="Atom: the newest approved items of an article",
        parameters=(ARTICLE, IF_NONE_MATCH),
        replies=(Reply(200, "The feed.", types=(ATOM,), headers=("ETag",)), UNCHANGED),
        problems=("unknown-article",),
    ),
    Operation(
        method="GET",
        path="/feed",
        endpoint="feed",
        about="Atom: the newest approved items of the site",
        parameters=(IF_NONE_MATCH,),
        replies=(Reply(200, "The feed.", types=(ATOM,), headers=("ETag",)), UNCHANGED),
    ),
)

ABOUT = (
    Operation(
        method="GET",
        path="/openapi.json",
        endpoint="openapi",
        about="This document",
        parameters=(IF_NONE_MATCH,),
        replies=(Reply(200, "OpenAPI 3.1.", types=(JSON,), headers=("ETag",)), UNCHANGED),
        may_be_down=False,
    ),
    Operation(
        method="GET",
        path="/health",
        endpoint="health",
        about="Try what the site depends on: a write to the database, a decision of the limiter, Akismet, tasks",
        parameters=(
            query("deep", {"enum": ["0", "1"]}, "`1`, for moderators: ask Akismet now, and say what to do."),
            query(
                "part",
                {"enum": ["database", "redis", "akismet", "tasks", "retention"]},
                "This part alone decides the status.",
            ),
        ),
        replies=(Reply(200, "All is well.", HealthOut), Reply(503, "Something is not.", HealthOut)),
        problems=("invalid", "unauthorized", "rate-limited"),
        may_be_down=False,
    ),
)

PUBLIC: tuple[Operation, ...] = (*COMMENTS, *PINGS, *FEEDS, *ABOUT)
