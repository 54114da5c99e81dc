"""The words in which operations are described; the tables are in `operations` and `operations_moderation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from moderate.http.routing import MAX_ID

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = dict[str, Any]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"
PROBLEM = "application/problem+json"
HTML = "text/html"
XML = "text/xml"
PLAIN = "text/plain"
ATOM = "application/atom+xml"
CSV = "text/csv"


@dataclass(frozen=True, slots=True)
class Body:
    """One form that a request body may have. A form's schema is that of its model without null types."""

    media_type: str
    model: type[BaseModel] | None = None
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer that is no problem document. Without a model the body is text of the named types."""

    status: int
    about: str
    model: type[BaseModel] | None = None
    types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    #: A second model, where the body may be either.
    other: type[BaseModel] | None = None

    @property
    def models(self) -> list[type[BaseModel]]:
        return [model for model in (self.model, self.other) if model is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one method does at one address. `endpoint` is the name that the blueprint gives the route.

    `problems` are the codes of the problem documents that may come; those that any operation of its
    kind may meet (no database, no sign-in, another site's form) are added by themselves.
    `problem_types` are the media types in which they come.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    endpoint: str
    about: str
    parameters: tuple[Json, ...] = ()
    bodies: tuple[Body, ...] = ()
    replies: tuple[Reply, ...] = ()
    problems: tuple[str, ...] = ()
    problem_types: tuple[str, ...] = (PROBLEM,)
    is_for_moderators: bool = False
    may_be_down: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def codes(self) -> tuple[str, ...]:
        """All codes of problem documents that may come."""
        # An id that is no number has no address here.
        found = [*self.problems, *(["not-found"] if "_id}" in self.path else [])]
        if self.is_for_moderators:
            # Whoever guesses tokens too often is told to wait.
            found += ["unauthorized", "rate-limited"]
            found += [] if self.method == "GET" else ["forbidden"]
        return tuple(dict.fromkeys(found + ["unavailable"] * self.may_be_down))


def path(name: str, schema: Json, about: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def query(name: str, schema: Json, about: str, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "description": about, "schema": schema}


def field(name: str, schema: Json, about: str) -> Json:
    """A header field of the request."""
    return {"name": name, "in": "header", "required": False, "description": about, "schema": schema}


def whole(maximum: int, default: int | None = None) -> Json:
    """A whole number from 1; written plainly, without a sign."""
    return {"type": "integer", "minimum": 1, "maximum": maximum} | ({} if default is None else {"default": default})


#: NUL is the one character that not every database can store.
WORDS: Json = {"type": "string", "maxLength": 200, "pattern": r"^[^\x00]*$"}

KEY: Json = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}

ARTICLE = path("article", KEY, "The host's key of the article; slashes allowed.")
ITEM = path("item_id", whole(MAX_ID), "The number of the item.")
CURSOR = query("cursor", whole(MAX_ID), "The `next` of the page before.")
TOKEN = query("edit_token", {"type": "string"}, "What the author was given when the comment was received.")
IF_NONE_MATCH = field("If-None-Match", {"type": "string"}, "The ETag that the client has.")

UNCHANGED = Reply(304, "The client has it already.", headers=("ETag",))
NOTHING = Reply(204, "Done; there is nothing to say.")
