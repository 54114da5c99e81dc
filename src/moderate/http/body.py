"""Keep the body of a request before any code of the host can use it up.

A host's ``before_request`` function that reads `request.form` empties the input stream, and Werkzeug
keeps no bytes of it. Flask sends its signal `request_started` before the first of these functions is
called: `keep` is connected to it, reads the body of a request to the blueprint under the blueprint's own
limit, and lets the request give those bytes from then on, to the host's code and to the views.
"""

from __future__ import annotations

import logging
from io import BytesIO
from typing import TYPE_CHECKING

from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from moderate.errors import Invalid, Refused, TooLarge
from moderate.http.state import current_state
from moderate.protocols.base import set_limits

if TYPE_CHECKING:
    from typing import IO

    from flask import Flask, Request

    from moderate.http.state import State

log = logging.getLogger("moderate")

#: Bytes that are read where the address does not say otherwise.
MAX_BODY = 65_536

#: Fields of a multipart form; Flask's own default.
MAX_PARTS = 1000

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

BODILESS = (
    "A request came without the body that it announced. Where this happens to every comment, WSGI middleware has read "
    "it: see 'Code of yours that reads requests' in docs/embedding.md. One client that broke off is no fault."
)

#: The key under which `keep` leaves a `Refused` in the WSGI environment, which belongs to one request alone.
REFUSAL = "moderate.refusal"


def keep(_app: Flask, **_: object) -> None:
    """Read the body of a request to the blueprint; a receiver of `flask.request_started`.

    Raises nothing: a body that cannot be read is refused later, in the form of the address that was requested, with
    the error that stands as `REFUSAL` in the WSGI environment. The host's code finds an empty body then.
    """
    if request.blueprint != "moderate" or request.method in _WITHOUT_BODY:
        return
    state = current_state()
    limit = state.max_body.get(request.endpoint or "")
    if limit is None:
        limit = state.max_body[request.endpoint or ""] = max_body(state, request.endpoint or "")
    # The host's settings limit the host's own forms. These values replace them for this request.
    # One byte more than is accepted, because Werkzeug silently truncates a body without a length at this number.
    # Older versions compare the length that was announced; what is read is bounded by then.
    most_of_form = max(limit, request.content_length or 0) + 1
    set_limits(request, max_content_length=limit + 1, max_form_memory_size=most_of_form, max_form_parts=MAX_PARTS)
    try:
        body = read(request, limit)
    except Refused as error:
        request.environ[REFUSAL] = error
        body = b""
    request.environ["wsgi.input"] = BytesIO(body)
    request.stream = BytesIO(body)
    request.get_data(cache=True)
    # For code of the host that reads the stream itself: `get_data` has emptied the one above.
    request.stream = BytesIO(body)


def max_body(state: State, endpoint: str) -> int:
    """Return the largest body, in bytes, that the view at *endpoint* takes."""
    name = endpoint.partition(".")[2]
    # An edit and a preview accept the text of a comment.
    takes_comment = name in {"item", "preview"}
    for protocol in state.protocols:
        if protocol.name == ("comment" if takes_comment else name):
            limit = protocol.max_body(state.edge)
            return max(MAX_BODY, limit) if takes_comment else limit
    return MAX_BODY


def read(incoming: Request, limit: int) -> bytes:
    """Return the body. Raises `TooLarge` above *limit* bytes, `Invalid` where it ends too early or is broken.

    Code that ran even before the signal (WSGI middleware, a session interface) may have read it. Then the
    input is rewound where the server's can be, else the bytes are those that Flask's request has kept.
    It is empty where only `request.form` is left of them, which protocols then read instead.
    """
    try:
        # A class of requests of the host may have a limit of its own, which cannot be set.
        is_used = "stream" in vars(incoming)
        stream = incoming.stream if is_used else get_input_stream(incoming.environ, max_content_length=limit + 1)
        body = stream.read() or read_again(incoming, limit)
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    except ClientDisconnected:
        body = read_again(incoming, limit)
    except Exception as error:
        # Servers raise their own errors for invalid chunks, whose messages may contain part of the body.
        log.info("The body of a request could not be read: %s.", type(error).__name__)
        raise Invalid.field("", "The request cannot be read.") from error
    # Werkzeug leaves this check to the server, and not all servers make it.
    is_short = len(body) < (incoming.content_length or 0)
    if is_short and (body or not vars(incoming).get("form")):
        if not body:
            current_state().hints.log_once(BODILESS)
        raise Invalid.field("", "The request ended early.")
    if len(body) > limit:
        raise TooLarge
    return body


def read_again(incoming: Request, limit: int) -> bytes:
    """Return the body of a request whose stream is at its end, empty where nothing is left of it."""
    try:
        if rewind(incoming.environ["wsgi.input"], incoming.content_length):
            return get_input_stream(incoming.environ, max_content_length=limit + 1).read()
        return incoming.get_data()
    except (ClientDisconnected, RequestEntityTooLarge):
        return b""


def rewind(stream: IO[bytes], length: int | None) -> bool:
    """Seek to the beginning of the body in an input that was read to its end. Return False where that is impossible.

    WSGI middleware may read the body before Flask does. Test clients and servers that buffer the body
    give an input that can be read again; from a socket it cannot.
    """
    try:
        start = stream.tell() - length if length is not None else 0
        if start < 0 or start == stream.tell():
            return False
        stream.seek(start)
    except (AttributeError, OSError, ValueError):
        return False
    return True
