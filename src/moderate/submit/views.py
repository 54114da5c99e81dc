"""The views by which submissions come in: the addresses of all protocols, and an author's own comment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from flask import Response, jsonify, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from moderate.errors import Forbidden, Invalid, Refused, ServiceDown, TooLarge, UnknownItem, UnsupportedMediaType
from moderate.http.item_json import PublicItem, ReceivedItem
from moderate.http.operation import (
    EDIT_TOKEN,
    FORM,
    HTML,
    JSON,
    MULTIPART,
    NOTHING,
    Answer,
    Operation,
    Reply,
    Route,
    header,
)
from moderate.http.state import REFUSAL, current_request, current_state
from moderate.limits.rates import ACTIONS
from moderate.limits.spending import Costs
from moderate.model import Author, Kind, Raw
from moderate.protocols import webmention
from moderate.protocols.base import client_of
from moderate.protocols.comment import Comment, CommentIn, read_edit
from moderate.reading.views import refuse_hidden_article, thread
from moderate.submit.submit import edit, submit, withdraw

if TYPE_CHECKING:
    from flask import Request
    from flask.typing import ResponseReturnValue

    from moderate.http.operation import View
    from moderate.http.state import State
    from moderate.model import Item
    from moderate.protocols.base import InboundProtocol

#: A header field of printable ASCII characters (draft-ietf-httpapi-idempotency-key-header).
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    {"type": "string", "maxLength": 200, "pattern": "^[ -~]*$"},
    "The same key from the same client returns its first comment and stores nothing. With another text it is refused.",
)


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


def routes_of(protocol: InboundProtocol) -> list[Route]:
    """Return the routes at the address of *protocol*, as `InboundProtocol` describes them.

    A protocol of the site's own without a `post` is not in the OpenAPI document. At the comments' address, GET shows
    the thread. Raises `TypeError` for a protocol that would fail at its first request.
    """
    if isinstance(protocol, type):
        raise TypeError(f"The protocol {protocol.__name__} is not usable: it is a class, write {protocol.__name__}()")
    if protocol.limit not in ACTIONS:
        raise TypeError(
            f"The protocol {protocol.name!r} is not usable: its limit {protocol.limit!r} is no row of MODERATE_LIMITS; "
            f"rows are {', '.join(ACTIONS)}"
        )
    is_comment = protocol.name == Comment.name
    own = POST_COMMENT if is_comment else Operation("POST", protocol.rule, protocol.name, answers_errors=True)
    routes = [replace(getattr(protocol, "post", own), rule=protocol.rule)(intake(protocol))]
    if is_comment:
        routes.insert(0, replace(thread.operation, rule=protocol.rule)(thread.view))
    elif get := getattr(protocol, "get", None):
        routes.insert(0, replace(get, rule=protocol.rule)(other_methods(protocol)))
    return routes


def intake(protocol: InboundProtocol) -> View:
    """Return the view that reads a submission, submits it and answers, or refuses it in the protocol's own format."""

    def view(article: str | None = None) -> ResponseReturnValue:
        state, incoming = current_state(), current_request()
        try:
            raw = read(state, protocol, incoming, article)
            receipt = submit(state.desk, raw)
            return protocol.answer(incoming, receipt, state.edge)
        except (Refused, ServiceDown) as error:
            state.report(error)
            return protocol.refuse(incoming, article, error, state.edge)

    return view


def read(state: State, protocol: InboundProtocol, incoming: Request, article: str | None) -> Raw:
    """Return what the protocol reads. A request that cannot be read spends from the same limit as one that can.

    Other errors of Werkzeug are raised by hooks of the host, and are left to the app.
    """
    costs = Costs(protocol.limit, incoming.remote_addr or "", article=article)
    # Nothing is read of a client that goes on after a refusal, unless it was refused with a source or an author.
    state.desk.limits.refuse_again(costs)
    try:
        if REFUSAL in incoming.environ:
            raise incoming.environ[REFUSAL]
        return protocol.read(incoming, article, state.edge)
    except (Refused, BadRequest, RequestEntityTooLarge) as error:
        state.desk.limits.spend(costs)
        if isinstance(error, Refused):
            raise
        if isinstance(error, RequestEntityTooLarge):
            raise TooLarge from error
        raise Invalid.field("", "The request cannot be read.") from error


def other_methods(protocol: Any) -> View:
    """Return the view that answers all methods but POST at the address of a protocol of this package."""

    def view(article: str | None = None) -> ResponseReturnValue:
        answer: ResponseReturnValue = protocol.look(current_request(), article, current_state().edge)
        return answer

    return view


# --- an author's own comment, while the edit window is open ------------------------------------------


class PatchIn(Answer):
    """A new text for one's own comment."""

    text: str
    edit_token: str | None = None


class WithdrawIn(Answer):
    """The token, which may be in the body instead of in the address."""

    edit_token: str | None = None


@Operation(
    "PATCH",
    "/items/<int:item_id>",
    "item",
    "Give your own comment a new text within the edit window; it is judged anew",
    body=PatchIn,
    replies=(Reply(200, "The item; an approved one keeps its old text until the new one is.", PublicItem),),
    problems=("unknown-article", "closed", "forbidden", "rate-limited"),
)
def patch(item_id: int) -> ResponseReturnValue:
    state = current_state()
    if request.mimetype != JSON:
        raise UnsupportedMediaType("Send application/json.")
    fields = read_edit(request)
    if fields.text is None:
        raise Invalid.field("text", "A text is needed.")
    found = own_item(state, item_id, fields.edit_token)
    raw = Raw(
        kind=Kind.COMMENT,
        client=client_of(request),
        article=found.article,
        author=found.author,
        email=found.email or "",
        url=found.url or "",
        text=fields.text,
        parent=found.parent,
        # An edit does not undo what held the comment when it came in.
        honeypot=found.honeypot,
        # The verified author, where there is one.
        identity=Author(found.author, found.email, found.url, found.author_id) if found.author_id else None,
    )
    changed = edit(state.desk, found, raw)
    return jsonify(state.edge.item_json(changed, for_author=True))


@Operation(
    "DELETE",
    "/items/<int:item_id>",
    "item",
    "Take your own comment back within the edit window",
    parameters=(EDIT_TOKEN,),
    body=WithdrawIn,
    is_body_required=False,
    replies=(NOTHING,),
    problems=("closed", "forbidden", "rate-limited"),
)
def delete(item_id: int) -> ResponseReturnValue:
    state = current_state()
    token = request.args.get("edit_token") or (read_edit(request).edit_token if request.mimetype == JSON else None)
    withdraw(state.desk, own_item(state, item_id, token))
    return Response(status=204)


def own_item(state: State, item_id: int, token: str | None) -> Item:
    """Return the item that *token* opens. A wrong token spends from a limit, and does not reveal which items exist."""
    found = state.desk.store.items.get(item_id)
    if found is not None and state.edge.opens(token, found):
        return found
    state.desk.limits.spend(Costs("edits", request.remote_addr or ""))
    if found is None or not found.is_public:
        raise UnknownItem
    refuse_hidden_article(state, found)
    raise Forbidden("The edit token does not belong to this item.")


# --- the status of a webmention ---------------------------------------------------------------------


class MentionOut(Answer):
    """The status of a webmention."""

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
