"""The one view behind all protocols: read, submit, answer, and refuse in the protocol's own tongue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from moderate.errors import Invalid, Refused, ServiceDown, TooLarge
from moderate.http.body import refuse_unread
from moderate.http.state import current_state
from moderate.limits import Costs
from moderate.submit.desk import submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

    from moderate.http.state import State
    from moderate.model import Raw
    from moderate.protocols.base import InboundProtocol


def intake(protocol: InboundProtocol) -> Callable[..., ResponseReturnValue]:
    """The view of one protocol."""

    def view(article: str | None = None) -> ResponseReturnValue:
        state = current_state()
        try:
            raw = read(state, protocol, article)
            receipt = submit(state.desk, raw)
            return protocol.answer(request, receipt, state.edge)
        except (Refused, ServiceDown) as error:
            current_state().report(error)
            return protocol.refuse(request, article, error, state.edge)

    return view


def read(state: State, protocol: InboundProtocol, article: str | None) -> Raw:
    """Return what the protocol reads. A request that cannot be read spends from the same limit as one that can.

    Any other error of Werkzeug's is one that a hook of the host has raised, and the app's to answer.
    """
    try:
        refuse_unread()
        return protocol.read(request, article, state.edge)
    except (Refused, BadRequest, RequestEntityTooLarge) as error:
        state.desk.limits.spend(Costs(protocol.limit, request.remote_addr or "", article=article))
        if isinstance(error, Refused):
            raise
        raise refusal_of(error) from error


def refusal_of(error: BadRequest | RequestEntityTooLarge) -> Refused:
    """Werkzeug's own refusals while the body is read, in our terms."""
    if isinstance(error, RequestEntityTooLarge):
        return TooLarge()
    return Invalid.field("", "The request cannot be read.")
