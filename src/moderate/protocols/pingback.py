"""Pingback 1.0: one XML-RPC method, two addresses. Answered with HTTP 200 always, except 413 and 405.

Senders do not read the answer under any other status. It never contains the result of the checks: these run later,
and an answer that distinguishes "no link" from "no such host" is a port scanner for strangers (CVE-2013-0235).

XML-RPC is read by a strict reader: strings in, nothing built, nothing expanded. `xmlrpc.client.loads` expands
entities, decodes any charset that Python knows, and builds values of all types. A body with a document type is refused
at its first byte, so that neither entity bombs nor external entities are ever read.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from xml.parsers import expat

from flask import Response

from moderate.errors import Closed, FieldError, Forbidden, Invalid, RateLimited, ServiceDown, TooLarge, UnknownArticle
from moderate.http.operation import PLAIN, XML, Operation, Reply
from moderate.model import Kind, Raw
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

#: Fault codes of the specification for fault code interoperability, for calls that cannot be read.
NOT_WELL_FORMED = -32700
BAD_ENCODING = -32701
NOT_A_CALL = -32600
UNKNOWN_METHOD = -32601
BAD_PARAMETERS = -32602

#: The answer to every ping that is taken. It must not contain "fault": some senders take that for a failure.
REGISTERED = (
    b'<?xml version="1.0" encoding="utf-8"?>\n'
    b"<methodResponse><params><param><value><string>"
    b"Pingback registered. It is shown once it has been checked."
    b"</string></value></param></params></methodResponse>\n"
)

#: The order of the members, ``<int>`` and ``<string>`` are what regular expressions of senders look for.
FAULT = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    "<methodResponse><fault><value><struct>\n"
    "<member><name>faultCode</name><value><int>{}</int></value></member>\n"
    "<member><name>faultString</name><value><string>{}</string></value></member>\n"
    "</struct></value></fault></methodResponse>\n"
)


class PingRefused(Invalid):
    """A call that is answered with the fault code `fault`."""

    def __init__(self, fault: int, text: str) -> None:
        super().__init__([FieldError("body", text)], text)
        self.fault = fault


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
        return xml(REGISTERED)

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue:
        if isinstance(error, TooLarge):
            return Response(error.public, 413, mimetype="text/plain")
        unknown = "The target cannot be used: it is no article that takes pings."
        text = unknown if isinstance(error, UnknownArticle) else message_of(error)
        return xml(fault(fault_of(error), text))

    def look(self, request: Request, article: str | None, edge: Edge) -> Response:
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": "OPTIONS, POST"})
        text = "XML-RPC server accepts POST requests only."
        return Response(text, 405, headers={"Allow": "POST"}, mimetype="text/plain")


def fault(code: int, text: str) -> bytes:
    return FAULT.format(code, escape(text, quote=False)).encode()


def fault_of(error: Refused | ServiceDown) -> int:
    if isinstance(error, PingRefused):
        return error.fault
    if isinstance(error, UnknownArticle | Closed):
        return TARGET_NOT_USABLE
    if isinstance(error, RateLimited | Forbidden):
        return ACCESS_DENIED
    # Some senders try once more on this one.
    return UPSTREAM_ERROR if isinstance(error, ServiceDown) else GENERIC


def addresses_of(body: bytes) -> tuple[str, str]:
    """Return source and target of a call. Raises `PingRefused` with the fault for the error."""
    call = read_call(body)
    if call.method != METHOD:
        raise PingRefused(UNKNOWN_METHOD, "There is no such method.")
    given = call.parameters
    if [parameter.name for parameter in given] == ["targetURI", "sourceURI"]:
        # Some old servers allowed names, and with them any order.
        given = given[::-1]
    if len(given) != 2 or given[0].text is None or given[1].text is None:
        raise PingRefused(BAD_PARAMETERS, "pingback.ping takes two strings: source and target.")
    source = usable("source", given[0].text, NO_SUCH_SOURCE)
    target = usable("target", given[1].text, TARGET_NOT_USABLE)
    if same_page(source, target):
        raise PingRefused(GENERIC, "Source and target are the same page.")
    return source, target


def usable(name: str, value: str, code: int) -> str:
    try:
        return address(name, value)
    except Invalid as error:
        raise PingRefused(code, error.errors[0].message) from error


# --- the reader of calls ----------------------------------------------------------------------------

MAX_DEPTH = 16
MAX_ELEMENTS = 200
#: In characters, of all texts together: two addresses and a generous layout.
MAX_TEXT = 8192

#: Bodies up to this size get a second chance.
MAX_MENDED = 8192

CALL = ("methodCall",)
NAME = ("methodCall", "methodName")
PARAM = ("methodCall", "params", "param")
PARAM_NAME = (*PARAM, "name")
VALUE = (*PARAM, "value")
STRING = (*VALUE, "string")
KNOWN = frozenset({CALL, NAME, ("methodCall", "params"), PARAM, PARAM_NAME, VALUE, STRING})

#: All others could hide markup from filters, or reach codecs that are no charsets.
CHARSETS = {"utf-8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}

DECLARED = re.compile(rb"<\?xml[^>]{0,100}?\sencoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")

#: An ampersand that begins no reference: the one mistake of senders that is worth mending.
BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


class Parameter(NamedTuple):
    """One parameter: its text, None where it is of another type, and its name where one was given."""

    text: str | None
    name: str = ""


class Call(NamedTuple):
    method: str
    parameters: tuple[Parameter, ...]


def read_call(body: bytes) -> Call:
    """Return the call in *body*. Raises `PingRefused` with a fault code of the interoperability list."""
    text = in_utf8(body)
    try:
        return parsed(text)
    except PingRefused as error:
        may_mend = len(text) <= MAX_MENDED and METHOD.encode() in text and b"<!" not in text
        if error.fault != NOT_WELL_FORMED or not may_mend:
            raise
    # A widely used sender leaves ampersands in addresses as they are. Nothing else is guessed.
    return parsed(BARE_AMPERSAND.sub(b"&amp;", text))


def in_utf8(body: bytes) -> bytes:
    """Return the body in UTF-8. Only charsets that contain ASCII are read, so that no byte hides a ``<``."""
    body = body.removeprefix(codecs.BOM_UTF8).strip()
    declared = DECLARED.match(body)
    label = declared[1].decode("ascii").lower() if declared else "utf-8"
    if label not in CHARSETS or b"\x00" in body:
        raise PingRefused(BAD_ENCODING, "Unsupported encoding; send UTF-8.")
    try:
        return body.decode(CHARSETS[label]).encode()
    except UnicodeDecodeError as error:
        raise PingRefused(BAD_ENCODING, "The bytes do not fit the encoding.") from error


def parsed(body: bytes) -> Call:
    """Return the call in a body of UTF-8. Raises `PingRefused`."""
    reader = Reader()
    # The charset is settled before; naming it here keeps expat from asking Python's codecs for another.
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.EntityDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise PingRefused(NOT_WELL_FORMED, "The XML is not well formed.") from error
    if not reader.method:
        raise PingRefused(NOT_A_CALL, "The call names no method.")
    return Call(reader.method, tuple(reader.parameters))


@dataclass(slots=True)
class Reader:
    """Follows the parser. It keeps the texts at the few places of a call that matter, and counts the rest."""

    path: tuple[str, ...] = ()
    elements: int = 0
    texts: list[str] = field(default_factory=list)
    length: int = 0
    method: str | None = None
    parameters: list[Parameter] = field(default_factory=list)
    #: The parameter that is being read.
    name: str = ""
    value: str | None = None
    of_other_type: bool = False

    def refuse_doctype(self, *_: object) -> None:
        raise PingRefused(NOT_WELL_FORMED, "A document type is not accepted.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.path = (*self.path, tag)
        self.elements += 1
        if len(self.path) > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise PingRefused(NOT_A_CALL, "The call is too deep or too long.")
        if self.path == PARAM:
            self.name, self.value, self.of_other_type = "", None, False
        elif self.path[:4] == VALUE and self.path not in KNOWN:
            # Other types are for other methods, whose absence is the better answer.
            self.of_other_type = True
        elif self.path not in KNOWN:
            raise PingRefused(NOT_A_CALL, "This is not an XML-RPC call.")
        # A value's text may be cut in two by its <string>; blanks outside that are layout.
        self.texts.clear()

    def end(self, tag: str) -> None:
        text = "".join(self.texts).strip()
        if self.path == NAME:
            self.method = text
        elif self.path == PARAM_NAME:
            self.name = text
        elif self.path == STRING or (self.path == VALUE and self.value is None):
            self.value = text
        elif self.path == PARAM:
            self.parameters.append(Parameter(None if self.of_other_type else self.value, self.name))
        self.texts.clear()
        self.path = self.path[:-1]

    def characters(self, data: str) -> None:
        self.length += len(data)
        if self.length > MAX_TEXT:
            raise PingRefused(NOT_A_CALL, "The call is too long.")
        self.texts.append(data)
