"""Pingback 1.0: one XML-RPC method, two addresses. Answered with HTTP 200 always, except 413 and 405.

Senders do not read the answer under any other status. It never contains the result of the checks: these run later,
and an answer that distinguishes "no link" from "no such host" is a port scanner for strangers (CVE-2013-0235).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

from moderate.errors import Closed, FieldError, Forbidden, Invalid, RateLimited, ServiceDown, TooLarge, UnknownArticle
from moderate.http.operation import PLAIN, XML, Operation, Reply
from moderate.model import Kind, Raw
from moderate.protocols import xmlrpc
from moderate.protocols.base import address, body_of, client_of, message_of, xml
from moderate.web_address import same_page

if TYPE_CHECKING:
    from flask import Request
    from flask.typing import ResponseReturnValue

    from moderate.errors import Refused
    from moderate.model import Receipt
    from moderate.protocols.base import Edge

#: A call with two addresses of full length, each character escaped, fits in.
MAX_BODY = 16_384

METHOD = "pingback.ping"

#: Pingback 1.0 §3. 17, 48 and the definite 32 are never sent: the first needs the source to be fetched
#: while the sender waits, repeats are updates here, and whether a page exists is only for its host to say.
GENERIC = 0
NO_SUCH_SOURCE = 16
TARGET_NOT_USABLE = 33
ACCESS_DENIED = 49
UPSTREAM_ERROR = 50

REGISTERED = "Pingback registered. It is shown once it has been checked."


class PingRefused(Invalid):
    """A call that is answered with the fault `code`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__([FieldError("body", text)], text)
        self.fault = code


class Pingback:
    """The XML-RPC server at ``/pingback``, one for all articles."""

    name = limit = rel = "pingback"
    rule = "/pingback"

    post = Operation(
        "POST",
        rule,
        name,
        "Pingback 1.0: `pingback.ping(source, target)` over XML-RPC",
        body={XML: None},
        replies=(
            Reply(200, "An XML-RPC response or fault.", types=(XML,)),
            Reply(413, "The call is too large.", types=(PLAIN,)),
        ),
        answers_errors=True,
    )
    get = Operation("GET", rule, name, answers_errors=True, takes_other_methods=True)

    def max_body(self, edge: Edge) -> int:
        return MAX_BODY

    def read(self, request: Request, article: str | None, edge: Edge) -> Raw:
        # Senders declare all sorts of types, even that of a form, so that only the body is read.
        source, target = addresses_of(body_of(request, MAX_BODY))
        return Raw(kind=Kind.PINGBACK, client=client_of(request), source_url=source, target_url=target)

    def answer(self, request: Request, receipt: Receipt, edge: Edge) -> ResponseReturnValue:
        return xml(xmlrpc.response(REGISTERED))

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue:
        if isinstance(error, TooLarge):
            return Response(error.public, 413, mimetype="text/plain")
        unknown = "The target cannot be used: it is no article that takes pings."
        text = unknown if isinstance(error, UnknownArticle) else message_of(error)
        return xml(xmlrpc.fault(fault_of(error), text))

    def look(self, request: Request, article: str | None, edge: Edge) -> Response:
        return look(request)


def addresses_of(body: bytes) -> tuple[str, str]:
    """Return source and target of a call. Raises `PingRefused` with the fault for the error."""
    source, target = strings_of(body)
    source = usable("source", source, NO_SUCH_SOURCE)
    target = usable("target", target, TARGET_NOT_USABLE)
    if same_page(source, target):
        raise PingRefused(GENERIC, "Source and target are the same page.")
    return source, target


def strings_of(body: bytes) -> tuple[str, str]:
    try:
        call = xmlrpc.read_call(body)
    except xmlrpc.BadCall as error:
        raise PingRefused(error.code, error.text) from error
    if call.method != METHOD:
        raise PingRefused(xmlrpc.UNKNOWN_METHOD, "There is no such method.")
    texts = [given.text for given in in_order(call.parameters)]
    if len(texts) != 2 or texts[0] is None or texts[1] is None:
        raise PingRefused(xmlrpc.BAD_PARAMETERS, "pingback.ping takes two strings: source and target.")
    return texts[0], texts[1]


def in_order(parameters: tuple[xmlrpc.Parameter, ...]) -> tuple[xmlrpc.Parameter, ...]:
    """Return the parameters with the source first. They may have names, as some old servers allowed."""
    if [given.name for given in parameters] == ["targetURI", "sourceURI"]:
        return parameters[::-1]
    return parameters


def usable(field: str, value: str, code: int) -> str:
    try:
        return address(field, value)
    except Invalid as error:
        raise PingRefused(code, error.errors[0].message) from error


# --- answers ---------------------------------------------------------------------------------------


def fault_of(error: Refused | ServiceDown) -> int:
    if isinstance(error, PingRefused):
        return error.fault
    if isinstance(error, UnknownArticle | Closed):
        return TARGET_NOT_USABLE
    if isinstance(error, RateLimited | Forbidden):
        return ACCESS_DENIED
    # Some senders try once more on this one.
    return UPSTREAM_ERROR if isinstance(error, ServiceDown) else GENERIC


def look(request: Request) -> Response:
    """Answer every method but POST."""
    if request.method == "OPTIONS":
        return Response(status=204, headers={"Allow": "OPTIONS, POST"})
    text = "XML-RPC server accepts POST requests only."
    return Response(text, 405, headers={"Allow": "POST"}, mimetype="text/plain")
