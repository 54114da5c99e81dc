"""What authors may do with their own comment while the edit window is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, jsonify, request

from moderate.errors import Forbidden, Invalid, UnknownItem, UnsupportedMediaType
from moderate.http.item_json import PublicItem
from moderate.http.operation import EDIT_TOKEN, NOTHING, Answer, Operation, Reply
from moderate.http.state import current_state
from moderate.limits import Costs
from moderate.model import Author, Kind, Raw
from moderate.protocols.base import client_of
from moderate.protocols.comment import is_json, read_edit
from moderate.reading.views import refuse_hidden_article
from moderate.submit.desk import edit, withdraw

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Item


class PatchIn(Answer):
    """A new text for one's own comment."""

    text: str
    edit_token: str | None = None


class WithdrawIn(Answer):
    """The token may stand in the body instead of in the address."""

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
    if not is_json(request):
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
        identity=identity_of(found),
    )
    changed = edit(state.desk, found, raw)
    return jsonify(state.edge.item_json(changed, for_author=True))


def identity_of(found: Item) -> Author | None:
    """A comment that was made under a verified name stays under it."""
    return Author(found.author, found.email, found.url, found.author_id) if found.author_id else None


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
    token = request.args.get("edit_token") or (read_edit(request).edit_token if is_json(request) else None)
    withdraw(state.desk, own_item(state, item_id, token))
    return Response(status=204)


def own_item(state: State, item_id: int, token: str | None) -> Item:
    """The item, if the token is its own. Guessing costs, and tells nothing about which items there are."""
    found = state.desk.store.items.get(item_id)
    if found is not None and state.edge.opens(token, found):
        return found
    state.desk.limits.spend(Costs("edits", request.remote_addr or ""))
    if found is None or not found.is_public:
        raise UnknownItem
    refuse_hidden_article(state, found)
    raise Forbidden("The edit token does not belong to this item.")
