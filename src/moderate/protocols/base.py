"""The interface of protocols, and the functions that several of them read requests with.

A protocol reads a request into a `Raw` and writes the answer; what happens between the two is the same for all
(`moderate.submit.submit.submit`). It keeps no state, and reaches the site only through `Edge`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from flask import Response
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from moderate.errors import Invalid, ServiceDown, TooLarge
from moderate.i18n import Message
from moderate.model import Client
from moderate.web_address import MAX_ADDRESS, split_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flask import Request
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response as AnyResponse

    from moderate.errors import Refused
    from moderate.model import Article, Author, Item, Raw, Receipt

#: The most parameters of a ping. No sender has more than a few.
MAX_PARAMETERS = 32

#: A byte above ASCII as Werkzeug's form parser writes it where it is not part of a UTF-8 sequence.
ESCAPED = re.compile(rb"%([89A-F][0-9A-F])")

#: White space, controls and the characters that begin or end an address in a text.
NOT_IN_ADDRESS = re.compile(r"[\s\x00-\x20\x7f-\x9f<>\"\\^`{|}\ud800-\udfff\ufffd]")

#: Characters that XML cannot contain, however they are escaped: controls, lone surrogates and noncharacters.
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Edge(Protocol):
    """The part of the site that protocols may use."""

    @property
    def max_length(self) -> int:
        """The longest text that is accepted, in characters."""

    @property
    def honeypot(self) -> str:
        """The name of the field that people do not see; empty where there is none."""

    def author(self, request: Request) -> Author | None:
        """Return the author that the host verifies. Raises `Forbidden` where another site's page sent the request."""

    def confirmed_id(self, request: Request, email: str) -> str | None:
        """Return the identity of the typed address, where this browser has confirmed that one; None elsewhere."""

    def form_age(self, token: str | None, article: str) -> tuple[float | None, str | None]:
        """Return the age in seconds of a form token and its own key; Nones where it is not valid."""

    def sender_key(self, request: Request, *parts: str) -> str:
        """Return an idempotency key made of *parts* that no other client's request can have."""

    def article(self, key: str) -> Article | None: ...

    def pings(self, article: str) -> Sequence[Item]:
        """Return the approved pings of an article that were received last, the latest first."""

    def item_json(self, item: Item, *, for_author: bool = False) -> dict[str, object]: ...

    def item_url(self, item: Item) -> str: ...

    def edit_token(self, item: Item) -> str: ...

    def redirect(self, request: Request, receipt: Receipt) -> AnyResponse:
        """Redirect the sender to where the item is shown, or that it waits, also without cookies."""

    def remember_own(self, request: Request, response: AnyResponse, item: Item) -> None:
        """Let the sender's browser see the item while it is pending; not where another site's page has sent it."""

    def problem(self, error: Refused | ServiceDown) -> AnyResponse:
        """Return the error as application/problem+json (RFC 9457)."""

    def form_page(self, article: str, typed: dict[str, str], error: Refused | ServiceDown) -> AnyResponse:
        """Return the comment form with what was typed, and the error's messages beside the fields."""

    def render(self, name: str, /, **values: object) -> str:
        """Render the template ``moderate/NAME.html``."""

    def status_url(self, receipt: Receipt) -> str:
        """Return the address at which the sender of a webmention finds its status."""

    def absolute_url(self, endpoint: str, **values: object) -> str: ...


class InboundProtocol(Protocol):
    """A protocol. `rule` is its path below the prefix; `limit` names its row of MODERATE_LIMITS.

    It may have more attributes, which those of this package have:

    - `post`, an `Operation`: the description of its POST in the OpenAPI document;
    - `get`, an `Operation`, with a method ``look(request, article, edge)`` that answers all methods but POST;
    - `rel`, the link relation by which article pages announce its address, see `moderate.protocols.discovery`.
    """

    @property
    def name(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def limit(self) -> str: ...

    def max_body(self, edge: Edge) -> int:
        """Return the largest body that is read, in bytes."""

    def read(self, request: Request, article: str | None, edge: Edge) -> Raw:
        """Read the request. Raises `Refused` where it cannot be read."""

    def answer(self, request: Request, receipt: Receipt, edge: Edge) -> ResponseReturnValue: ...

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue: ...


def client_of(request: Request) -> Client:
    """Return the origin of a request. Proxies are handled by the host's `ProxyFix`; other headers are not read."""
    environ = request.environ
    return Client(
        ip=request.remote_addr or "",
        user_agent=environ.get("HTTP_USER_AGENT", "")[:500],
        referrer=environ.get("HTTP_REFERER", "")[:2000],
    )


def message_of(error: Refused | ServiceDown) -> str:
    """Return the error's message for the sender of a ping: those of all fields of an `Invalid`, else its own."""
    if isinstance(error, ServiceDown):
        return "This is not available right now. Please try again later."
    if not isinstance(error, Invalid) or not error.errors:
        return error.public
    messages = [entry.message for entry in error.errors]
    # A message alone stays translatable.
    return messages[0] if len(messages) == 1 else " ".join(messages)


def xml(body: bytes, status: int = 200) -> Response:
    return Response(body, status, content_type="text/xml; charset=utf-8")


def storable(text: str) -> str:
    """Return the text without the characters that neither XML nor HTML can contain."""
    return NOT_IN_XML.sub("", text)


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


# --- parameters of a form post as bytes --------------------------------------------------------------
#
# They are decoded by the sender's charset. Werkzeug's own `request.form` reads every form as UTF-8, even where the
# sender declared another charset, and without a Content-Type it is empty.


def parameters(request: Request, limit: int) -> dict[str, bytes]:
    """Return the parameters of a form of at most *limit* bytes, by their names in lower case.

    The first of equal names counts. Values have no blanks around them.
    """
    found: dict[str, bytes] = {}
    for name, value in pairs(request, body_of(request, limit)):
        found.setdefault(name.decode("ascii", "replace").lower(), value.strip())
    return found


def body_of(request: Request, limit: int) -> bytes:
    """Return the body, without regard to its type.

    Raises `TooLarge` above *limit* bytes and `Invalid` where it ends early.

    A mounted app has stored it in the request before, see `moderate.http.blueprint`.
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

    A host's own request class may have properties of these names, which cannot be set; they stay.
    """
    for name, most in limits.items():
        try:
            setattr(request, name, most)
        except AttributeError:
            continue


def pairs(request: Request, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return all parameters in the order sent. The query string is not read: it could override the body."""
    if not body and request.form:
        return parsed_pairs(request)
    if request.mimetype == "multipart/form-data":
        return multipart_pairs(body, request.mimetype_params.get("boundary", ""))
    return urlencoded_pairs(body)


def parsed_pairs(request: Request) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of a form that was parsed before its bytes could be stored, by a session interface for example.

    Werkzeug has left bytes that are not UTF-8 as ``%XX`` in an urlencoded form.
    """
    for name, value in request.form.items(multi=True):
        yield name.encode(), ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), value.encode())


def urlencoded_pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of an urlencoded form, without regard to its Content-Type."""
    fields = body.split(b"&", MAX_PARAMETERS + 1)
    if len(fields) > MAX_PARAMETERS:
        raise TooLarge
    for field in fields:
        name, _, value = field.replace(b"+", b" ").partition(b"=")
        # Some senders separate with "&amp;", because they once copied their code out of a web page.
        yield unquote_to_bytes(name).strip().removeprefix(b"amp;"), unquote_to_bytes(value)


def multipart_pairs(body: bytes, boundary: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of a multipart form without its files. Raises `Invalid` where it is not well formed."""
    name: str | None = None
    value = b""
    try:
        decoder = MultipartDecoder(boundary.encode("ascii"), max_parts=MAX_PARAMETERS)
        decoder.receive_data(body)
        decoder.receive_data(None)
        # Only fields and data matter here; preamble, epilogue and files are skipped.
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field):
                name, value = event.name, b""
            elif isinstance(event, File):
                name = None
            elif isinstance(event, Data) and name is not None:
                value += event.data
                if not event.more_data:
                    yield name.encode("utf-8", "replace"), value
    except RequestEntityTooLarge as error:
        raise TooLarge from error
    except ValueError as error:
        raise Invalid.field("body", "The multipart form cannot be read.") from error
