"""Comments, as an HTML form or as JSON, answered in the format of the request."""

from __future__ import annotations

from collections import defaultdict
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes

from flask import jsonify
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_accept_header

from moderate.errors import FieldError, Invalid, Refused, TooLarge, UnsupportedMediaType
from moderate.http.operation import FORM, HTML, JSON, MULTIPART
from moderate.model import MAX_ID, Kind, Raw, whole_number
from moderate.protocols.base import client_of, set_limits

if TYPE_CHECKING:
    from flask import Request
    from flask.typing import ResponseReturnValue
    from werkzeug.wrappers import Response

    from moderate.errors import ServiceDown
    from moderate.model import Receipt
    from moderate.protocols.base import Edge

M = TypeVar("M", bound=BaseModel)

#: The most fields of a form. It has six; hosts and browser extensions add a few.
MAX_FIELDS = 50


#: The key of the fields of a form in the WSGI environment, for the page that shows it again.
TYPED = "moderate.typed"


class CommentIn(BaseModel):
    """A comment. A verified author and a status are never taken from it."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    text: str
    author: str | None = None
    email: str | None = None
    url: str | None = None
    parent: int | None = Field(default=None, ge=1, le=MAX_ID)
    form_token: str | None = None


class EditIn(BaseModel):
    """A changed text, or only the token where the comment is withdrawn."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    text: str | None = None
    edit_token: str | None = None


class Comment:
    """The comment form and its JSON twin, at ``/comments/<article>``."""

    name = "comment"
    rule = "/comments/<path:article>"
    limit = "comments"

    def max_body(self, edge: Edge) -> int:
        # One character takes at most four bytes, and each of them three when percent-encoded.
        return edge.max_length * 12 + 16_384

    def read(self, request: Request, article: str | None, edge: Edge) -> Raw:
        typed = request.environ[TYPED] = read_fields(request, edge)
        fields = defaultdict(str, typed)
        form_age, form = edge.form_age(fields["form_token"], article or "")
        identity = edge.author(request)
        confirmed_id = None if identity else edge.confirmed_id(request, fields["email"])
        parent = None
        if fields["parent"].strip():
            parent = whole_number(fields["parent"])
            if parent is None:
                raise Invalid.field("parent", "This is not the number of a comment.")
        who = (identity.id or identity.name) if identity else confirmed_id or ""
        return Raw(
            kind=Kind.COMMENT,
            client=client_of(request),
            article=article,
            author=fields["author"],
            email=fields["email"],
            url=fields["url"],
            text=fields["text"],
            parent=parent,
            identity=identity,
            confirmed_id=confirmed_id,
            honeypot=fields[edge.honeypot] if edge.honeypot else "",
            from_form=request.mimetype != JSON,
            form_age=form_age,
            idempotency_key=idempotency_key(request, edge, fields, form, who),
        )

    def answer(self, request: Request, receipt: Receipt, edge: Edge) -> ResponseReturnValue:
        item = receipt.item
        response: Response
        if wants_json(request):
            # With the token by which its author may change the item.
            response = jsonify(edge.item_json(item, for_author=True) | {"edit_token": edge.edit_token(item)})
            response.status_code = 201 if item.is_public else 202
            response.headers["Location"] = edge.item_url(item)
        else:
            response = edge.redirect(request, receipt)
        edge.remember_own(request, response, item)
        return response

    def refuse(
        self, request: Request, article: str | None, error: Refused | ServiceDown, edge: Edge
    ) -> ResponseReturnValue:
        if wants_json(request):
            return edge.problem(error)
        typed: dict[str, str] | None = request.environ.get(TYPED)
        if typed is None:
            try:
                typed = read_fields(request, edge)
            except (Refused, HTTPException):
                typed = {}
        return edge.form_page(article or "", typed, error)


def wants_json(request: Request) -> bool:
    """Return True for JSON, and for a form whose sender prefers JSON to a page."""
    return request.mimetype not in {FORM, MULTIPART} or prefers_json(request.environ.get("HTTP_ACCEPT"))


# Cached, because browsers of one kind send the same long list with each form.
@lru_cache(maxsize=256)
def prefers_json(accept: str | None) -> bool:
    """Return whether an Accept field prefers JSON to a page."""
    kinds = parse_accept_header(accept, MIMEAccept)
    return kinds.quality(JSON) > kinds.quality(HTML)


def read_fields(request: Request, edge: Edge) -> dict[str, str]:
    """Return the fields as text, in any of the accepted formats. Raises `Refused` where they cannot be read."""
    kind = request.mimetype
    if kind == FORM:
        return read_urlencoded(request)
    if kind == MULTIPART:
        return read_multipart(request)
    if kind != JSON:
        raise UnsupportedMediaType
    # By pydantic's own parser, which refuses lone surrogates and deep nesting.
    model = validated(model_for(edge.honeypot), request)
    return {name: str(value) for name, value in model if value is not None}


def read_edit(request: Request) -> EditIn:
    return validated(EditIn, request)


def validated(model: type[M], request: Request) -> M:
    """Return the body as *model*, without converting types. Raises `Invalid` with all errors."""
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError as error:
        raise Invalid(field_errors(error)) from error


@cache
def model_for(honeypot: str) -> type[CommentIn]:
    """Return `CommentIn` with the honeypot of this site as a further optional field."""
    if not honeypot:
        return CommentIn
    extra: dict[str, Any] = {honeypot: (str | None, None)}
    return create_model("CommentIn", __base__=CommentIn, __doc__=CommentIn.__doc__, **extra)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return the errors in pydantic's words, without the values that were sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [FieldError(".".join(str(part)[:100] for part in entry["loc"]), entry["msg"]) for entry in found[:20]]


def read_urlencoded(request: Request) -> dict[str, str]:
    """Return the fields of a form in strict UTF-8: Werkzeug's own parser skips invalid bytes."""
    body = request.get_data()
    if not body and request.form:
        # It was parsed before its bytes could be stored, by a session interface for example.
        return request.form.to_dict()
    if body.count(b"&") >= MAX_FIELDS:
        raise Invalid.field("", "The form has too many fields.")
    fields: dict[str, str] = {}
    try:
        for field in filter(None, body.replace(b"+", b" ").split(b"&")):
            name, _, value = field.partition(b"=")
            # The first of equal names counts.
            fields.setdefault(unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode())
    except UnicodeDecodeError as error:
        raise Invalid.field("", "The form is not UTF-8.") from error
    return fields


def read_multipart(request: Request) -> dict[str, str]:
    set_limits(request, max_form_parts=MAX_FIELDS)
    # The bytes are read first, because the check below needs them; Werkzeug parses them from there.
    body = request.get_data()
    try:
        form = request.form
    except HTTPException as error:
        raise TooLarge if error.code == 413 else Invalid.field("", "The form cannot be read.") from error
    if len(list(form.items(multi=True))) > MAX_FIELDS:
        # Code of the host has parsed the form already, without the bound on its parts.
        raise TooLarge
    fields = form.to_dict()
    replaced = any("\ufffd" in value for value in fields.values())
    if replaced and "\ufffd".encode() not in body:
        raise Invalid.field("", "The form is not UTF-8.")
    return fields


def idempotency_key(
    request: Request, edge: Edge, fields: defaultdict[str, str], form: str | None, who: str
) -> str | None:
    """Return the key under which a repeat of this request is the same comment, None where it has none.

    A key in the header is its sender's choice, and other senders may choose the same. A *form* may be shown
    to several readers by a cache, and sent again with other words after Back: these are part of its key.
    """
    given = request.environ.get("HTTP_IDEMPOTENCY_KEY", "").strip().strip('"')
    if given:
        if len(given) > 200 or not given.isascii() or not given.isprintable():
            raise Invalid.field("idempotency_key", "At most 200 printable ASCII characters.")
        return edge.sender_key(request, "header", given, who)
    if form is None:
        return None
    said = (fields["author"], fields["email"], fields["url"], fields["text"], fields["parent"])
    return edge.sender_key(request, "form", form, who, *said)
