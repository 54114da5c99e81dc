"""A strict reader for one kind of XML-RPC call: strings in, nothing built, nothing expanded.

`xmlrpc.client.loads` expands entities, decodes any charset that Python knows, and builds values of all types. A ping
needs two strings. A body with a document type is refused at its first byte, so that neither entity bombs nor external
entities are ever read.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from html import escape
from xml.parsers import expat

#: Fault codes of the specification for fault code interoperability, for calls that cannot be read.
NOT_WELL_FORMED = -32700
BAD_ENCODING = -32701
NOT_A_CALL = -32600
UNKNOWN_METHOD = -32601
BAD_PARAMETERS = -32602

MAX_DEPTH = 16
MAX_ELEMENTS = 200
#: In characters, of all texts together: two addresses and a generous layout.
MAX_TEXT = 8192

#: Bodies up to this size get the second chance of `mended`.
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


class BadCall(Exception):
    """The body is no call that can be answered. Carries the fault code and what it says."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its text, None where it is of another type, and its name where one was given."""

    text: str | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    parameters: tuple[Parameter, ...]


def read_call(body: bytes) -> Call:
    """Return the call in *body*. Raises `BadCall` with a fault code of the interoperability list."""
    text = in_utf8(body)
    try:
        return parsed(text)
    except BadCall as error:
        if error.code != NOT_WELL_FORMED or not may_mend(text):
            raise
        return parsed(mended(text))


def in_utf8(body: bytes) -> bytes:
    """Return the body in UTF-8. Only charsets that contain ASCII are read, so that no byte hides a ``<``."""
    body = body.removeprefix(codecs.BOM_UTF8).strip()
    declared = DECLARED.match(body)
    label = declared[1].decode("ascii").lower() if declared else "utf-8"
    if label not in CHARSETS or b"\x00" in body:
        raise BadCall(BAD_ENCODING, "Unsupported encoding; send UTF-8.")
    try:
        return body.decode(CHARSETS[label]).encode()
    except UnicodeDecodeError as error:
        raise BadCall(BAD_ENCODING, "The bytes do not fit the encoding.") from error


def may_mend(body: bytes) -> bool:
    return len(body) <= MAX_MENDED and b"pingback.ping" in body and b"<!" not in body


def mended(body: bytes) -> bytes:
    """Escape ampersands in addresses, which a widely used sender leaves as they are; nothing else is guessed."""
    return BARE_AMPERSAND.sub(b"&amp;", body)


def parsed(body: bytes) -> Call:
    """Return the call in a body of UTF-8. Raises `BadCall`."""
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
        raise BadCall(NOT_WELL_FORMED, "The XML is not well formed.") from error
    return reader.call()


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
        raise BadCall(NOT_WELL_FORMED, "A document type is not accepted.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.path = (*self.path, tag)
        self.elements += 1
        if len(self.path) > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise BadCall(NOT_A_CALL, "The call is too deep or too long.")
        if self.path == PARAM:
            self.name, self.value, self.of_other_type = "", None, False
        elif self.path[:4] == VALUE and self.path not in KNOWN:
            # Other types are for other methods, whose absence is the better answer.
            self.of_other_type = True
        elif self.path not in KNOWN:
            raise BadCall(NOT_A_CALL, "This is not an XML-RPC call.")
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
            raise BadCall(NOT_A_CALL, "The call is too long.")
        self.texts.append(data)

    def call(self) -> Call:
        if not self.method:
            raise BadCall(NOT_A_CALL, "The call names no method.")
        return Call(self.method, tuple(self.parameters))


# --- answers ---------------------------------------------------------------------------------------

RESPONSE = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    "<methodResponse><params><param><value><string>{}</string></value></param></params></methodResponse>\n"
)

#: The order of the members, ``<int>`` and ``<string>`` are what regular expressions of senders look for.
FAULT = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    "<methodResponse><fault><value><struct>\n"
    "<member><name>faultCode</name><value><int>{}</int></value></member>\n"
    "<member><name>faultString</name><value><string>{}</string></value></member>\n"
    "</struct></value></fault></methodResponse>\n"
)


def response(text: str) -> bytes:
    """Return a response of one string, which must not contain "fault": some senders take that for a failure."""
    return RESPONSE.format(escape(text, quote=False)).encode()


def fault(code: int, text: str) -> bytes:
    return FAULT.format(code, escape(text, quote=False)).encode()
