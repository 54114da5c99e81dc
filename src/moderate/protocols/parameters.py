"""The parameters of a form post as bytes, because only the sender's charset tells what they mean.

Werkzeug's own `request.form` is no use for TrackBack: it reads every form as UTF-8, whatever the
sender declared, and mixes what it cannot read beyond repair; and without a Content-Type it is empty.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Field, File, MultipartDecoder, NeedData

from moderate.errors import Invalid, TooLarge
from moderate.i18n import Message
from moderate.web_address import MAX_ADDRESS, split_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Request

#: More parameters than any sender has; one that sends more is after something else.
MAX_PARAMETERS = 32

#: A byte above ASCII as Werkzeug's form parser writes it where it is not part of a UTF-8 sequence.
ESCAPED = re.compile(rb"%([89A-F][0-9A-F])")

#: White space, controls and the characters that begin or end an address in a text.
NOT_IN_ADDRESS = re.compile(r"[\s\x00-\x20\x7f-\x9f<>\"\\^`{|}\ud800-\udfff\ufffd]")


def body_of(request: Request, limit: int) -> bytes:
    """Return the body, whatever its type. Raises `TooLarge` above *limit* bytes and `Invalid` where it ends early.

    A mounted app has kept it in the request by then, see `moderate.http.body`.
    """
    set_limits(request, max_content_length=limit)
    try:
        body = request.get_data(cache=True)
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    except ClientDisconnected as error:
        raise Invalid.field("body", "The body ended before its announced length.") from error
    if len(body) > limit:
        raise TooLarge
    return body


def set_limits(request: Request, **limits: int) -> None:
    """Set attributes of a request that bound what Werkzeug reads of it.

    A host's own class of requests may have properties there, which cannot be set. They stay then.
    """
    for name, most in limits.items():
        with suppress(AttributeError):
            setattr(request, name, most)


def parameters(request: Request, limit: int) -> dict[str, bytes]:
    """Name to value; names in lower case, the first of equal names wins, values without blanks around them."""
    found: dict[str, bytes] = {}
    for name, value in pairs(request, body_of(request, limit)):
        found.setdefault(name.decode("ascii", "replace").lower(), value.strip())
    return found


def pairs(request: Request, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return all parameters in the order sent. The query string is no part of them: it could override the body."""
    if not body and request.form:
        return parsed_pairs(request)
    if request.mimetype == "multipart/form-data":
        return multipart_pairs(body, request.mimetype_params.get("boundary", ""))
    return urlencoded_pairs(body)


def parsed_pairs(request: Request) -> Iterator[tuple[bytes, bytes]]:
    """The parameters of a form that was parsed before its bytes could be kept, by a session interface for example.

    Werkzeug leaves bytes that are no UTF-8 as ``%XX`` in what it parsed of an urlencoded form.
    """
    for name, value in request.form.items(multi=True):
        yield name.encode(), ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), value.encode())


def urlencoded_pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of a form, read without believing its Content-Type."""
    fields = body.split(b"&", MAX_PARAMETERS + 1)
    if len(fields) > MAX_PARAMETERS:
        raise TooLarge
    for field in fields:
        name, _, value = field.partition(b"=")
        # Some senders separate with "&amp;", because they once copied their code out of a web page.
        yield unquoted(name).strip().removeprefix(b"amp;"), unquoted(value)


def unquoted(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))


def multipart_pairs(body: bytes, boundary: str) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of a multipart form, files left out. Raises `Invalid` where it is not well formed."""
    try:
        decoder = MultipartDecoder(boundary.encode("ascii"), max_parts=MAX_PARAMETERS)
        decoder.receive_data(body)
        decoder.receive_data(None)
        yield from parts_of(decoder)
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    except ValueError as error:
        raise Invalid.field("body", "The multipart form cannot be read.") from error


def parts_of(decoder: MultipartDecoder) -> Iterator[tuple[bytes, bytes]]:
    name: str | None = None
    value = b""
    # Only fields and data matter here; preamble, epilogue and files are passed over.
    while not isinstance(event := decoder.next_event(), NeedData) and type(event).__name__ != "Epilogue":
        if isinstance(event, Field):
            name, value = event.name, b""
        elif isinstance(event, File):
            name = None
        elif isinstance(event, Data) and name is not None:
            value += event.data
            if not event.more_data:
                yield name.encode("utf-8", "replace"), value


def address(field: str, value: str) -> str:
    """Return an absolute http or https address with a host and no user name, as sent but for blanks around it.

    Raises `Invalid` for *field* where it is none. The fetcher decides whether the host may be asked.
    """
    value = value.strip()
    if not value:
        raise Invalid.field(field, Message("The parameter {name} is missing.", name=field))
    if len(value) > MAX_ADDRESS:
        words = Message("The address in {name} is longer than {most} characters.", name=field, most=MAX_ADDRESS)
        raise Invalid.field(field, words)
    parts = None if NOT_IN_ADDRESS.search(value) else split_address(value)
    if parts is None:
        words = Message("The parameter {name} is not an absolute http or https address.", name=field)
        raise Invalid.field(field, words)
    if parts.user:
        raise Invalid.field(field, Message("The address in {name} must not hold a user name.", name=field))
    return value
