"""Webmention (W3C Recommendation): a form post of source and target, answered 201 with a status page.

Any fault of the sender is 400 (§3.2.3), except too many requests. The status page says "waits", "shown" or "gone" and
nothing else of what the checks found, so that a spammer learns nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import Response

from moderate.errors import Invalid, RateLimited, ServiceDown
from moderate.http.operation import FORM, HTML, PLAIN, Answer, Operation, Reply
from moderate.i18n import Message
from moderate.model import Awaiting, Kind, Raw, Status
from moderate.protocols.base import address, client_of, message_of, parameters
from moderate.web_address import same_page

if TYPE_CHECKING:
    from flask import Request
    from flask.typing import ResponseReturnValue

    from moderate.errors import Refused
    from moderate.model import Item, Receipt
    from moderate.protocols.base import Edge

#: Two addresses of full length, each character escaped, fit in.
MAX_BODY = 16_384

METHODS = "GET, HEAD, OPTIONS, POST"

ACCEPTED = Message("Thank you. The mention is checked and shown once it has been approved.")

#: Sentences by status, in the words that other receivers use where there are any.
SUMMARIES = {
    "queued": Message("The mention waits for its source to be checked."),
    "pending": Message("The mention waits for a moderator."),
    "success": Message("The mention is shown."),
    "deleted": Message("The mention is not shown any more."),
}


class MentionIn(Answer):
    source: str
    target: str


class Webmention:
    """The endpoint at ``/webmention``, one for all articles. It ignores cookies, so that it needs no CSRF token."""

    name = limit = rel = "webmention"
    rule = "/webmention"

    post = Operation(
        "POST",
        rule,
        name,
        "Webmention: tell that a page links to one of ours",
        body={FORM: MentionIn},
        replies=(
            Reply(201, "Received; its status is at Location.", types=(PLAIN, HTML), headers=("Location",)),
            Reply(400, "Any fault of the sender (W3C, section 3.2.3).", types=(HTML,), is_problem=True),
        ),
        problems=("rate-limited", "unavailable"),
        answers_errors=True,
    )
    get = Operation(
        "GET",
        rule,
        name,
        "A form for people",
        replies=(Reply(200, "The form.", types=(HTML,)),),
        answers_errors=True,
        takes_other_methods=True,
    )

    def max_body(self, edge: Edge) -> int:
        return MAX_BODY

    def read(self, request: Request, article: str | None, edge: Edge) -> Raw:
        sent = parameters(request, MAX_BODY)
        source = address("source", sent.get("source", b"").decode("utf-8", "replace"))
        target = address("target", sent.get("target", b"").decode("utf-8", "replace"))
        if same_page(source, target):
            raise Invalid.field("source", "Source and target are the same page.")
        return Raw(kind=Kind.WEBMENTION, client=client_of(request), source_url=source, target_url=target)

    def answer(self, request: Request, receipt: Receipt, edge: Edge) -> ResponseReturnValue:
        location = edge.status_url(receipt)
        if wants_page(request):
            response = page(edge, 201, message=ACCEPTED, status_url=location)
        else:
            response = Response(f"{ACCEPTED}\n{location}\n", 201, mimetype="text/plain")
        response.headers["Location"] = location
        return response

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue:
        if isinstance(error, RateLimited | ServiceDown):
            return edge.problem(error)
        if wants_page(request):
            return page(edge, 400, message=message_of(error))
        return Response(problem_of(error), 400, mimetype="application/problem+json")

    def look(self, request: Request, article: str | None, edge: Edge) -> Response:
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": METHODS})
        if request.method in {"GET", "HEAD"}:
            return page(edge, 200)
        return Response("Send source and target by POST.", 405, headers={"Allow": METHODS}, mimetype="text/plain")


def wants_page(request: Request) -> bool:
    """Return True for browsers. Software that accepts anything gets what software reads."""
    accept = request.accept_mimetypes
    return accept["text/html"] > accept["application/json"] and accept["text/html"] > accept["text/plain"]


def problem_of(error: Refused) -> str:
    """Return the error as a problem document whose status is always 400."""
    body: dict[str, object] = {"type": "about:blank", "title": "Bad Request", "status": 400, "code": error.code}
    body["detail"] = message_of(error)
    if isinstance(error, Invalid):
        body["errors"] = [{"field": entry.field, "message": entry.message} for entry in error.errors]
    return json.dumps(body, ensure_ascii=False)


# --- pages for people, and the status of a mention ---------------------------------------------------


def page(
    edge: Edge, status: int, *, message: str = "", status_url: str = "", mention: dict[str, object] | None = None
) -> Response:
    """Return the endpoint's page: *message* above the form, or in its place the status of *mention*."""
    shown = edge.render("webmention", message=message, status_url=status_url, mention=mention)
    return unlisted(Response(shown, status))


def status_json(item: Item) -> dict[str, object]:
    """Return the status of a mention for its sender, without what the checks found: spam waits like all else."""
    status = {Status.APPROVED: "success", Status.TRASH: "deleted"}.get(item.status, "pending")
    if item.status is Status.PENDING and item.awaiting is Awaiting.CHECKS:
        status = "queued"
    return {
        "status": status,
        "summary": SUMMARIES[status],
        "source": item.source_url,
        "target": item.article_url,
    }


def status_page(request: Request, item: Item, edge: Edge) -> Response:
    """Return the status of a mention, as JSON or as a page for people."""
    status = status_json(item)
    if wants_page(request):
        response = page(edge, 200, mention=status)
    else:
        response = Response(json.dumps(status, ensure_ascii=False), mimetype="application/json")
    response.vary.add("Accept")
    return unlisted(response)


def unlisted(response: Response) -> Response:
    """Keep caches from storing, and search engines from listing the page: a spammer would gain a link by it."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
