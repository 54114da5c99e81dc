"""Declare views: the decorator `Operation` holds all that there is to know of one method at one address.

    @Operation("GET", "/items/<int:item_id>", "item", "One item", replies=(Reply(200, "The item.", PublicItem),))
    def item(item_id: int) -> ResponseReturnValue: ...

The blueprint is built from these declarations (`moderate.http.blueprint`), and so is the OpenAPI document
(`moderate.http.openapi`). What follows from a declaration is derived from it and written nowhere: the parameters of
the path, and the problems that any address of its kind may answer with.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from moderate.model import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from flask.typing import ResponseReturnValue

    View = Callable[..., ResponseReturnValue]

Json = dict[str, Any]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"
PROBLEM = "application/problem+json"
HTML = "text/html"
XML = "text/xml"
PLAIN = "text/plain"
CSV = "text/csv"


def parameter(place: str, name: str, schema: Json, about: str, *, required: bool = False) -> Json:
    """Return a parameter; *place* is where it stands in the request."""
    return {"name": name, "in": place, "required": required, "description": about, "schema": schema}


query = partial(parameter, "query")
header = partial(parameter, "header")
in_path = partial(parameter, "path", required=True)


def whole(maximum: int, default: int | None = None) -> Json:
    """Return the schema of a whole number from 1 to *maximum*, written plainly, without a sign."""
    return {"type": "integer", "minimum": 1, "maximum": maximum} | ({} if default is None else {"default": default})


Count = Annotated[int, Field(ge=0)]
Id = Annotated[int, Field(ge=1)]


def rfc3339(moment: datetime | None) -> str | None:
    """Return *moment*, which is in UTC, as answers have it."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


#: A moment as answers have it.
Moment = Annotated[datetime, PlainSerializer(rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})]


class Answer(BaseModel):
    """Base of the models of answers, and of forms that are read field by field: no members but these."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


def one_of(*ways: tuple[str, ...]) -> Json:
    """Return the part of a schema that requires the members of exactly one of *ways*; the others may be null."""
    members = {name for names in ways for name in names}
    return {
        "oneOf": [
            {
                "required": list(names),
                "properties": {
                    **{name: {"not": {"type": "null"}} for name in names},
                    **{name: {"type": "null"} for name in sorted(members - set(names))},
                },
            }
            for names in ways
        ]
    }


#: The schema of a text without restrictions; no value of it is invalid.
TEXT: Json = {"type": "string"}

#: The schema of words to look for. NUL is the one character that not every database can store.
WORDS: Json = {"type": "string", "maxLength": 200, "pattern": r"^[^\x00]*$"}

#: The schema of an article's key.
KEY: Json = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}

CURSOR = query("cursor", whole(MAX_ID), "The `next` of the page before.")
EDIT_TOKEN = query("edit_token", TEXT, "What the author was given when the comment was received.")
IF_NONE_MATCH = header("If-None-Match", TEXT, "The ETag that the client has.")

#: Parameters of paths by their names. A route with a `token` describes it itself.
IN_PATHS: dict[str, Json] = {
    "article": in_path("article", KEY, "The host's key of the article; slashes allowed."),
    "batch": in_path("batch", {**WORDS, "minLength": 1}, "The id of a decision on many items."),
    "item_id": in_path("item_id", whole(MAX_ID), "The number of the item."),
    "rule_id": in_path("rule_id", whole(MAX_ID), "The number of the rule."),
    "proposal": in_path("proposal", TEXT, "The `key` of the proposed rule."),
}

#: Codes of problems by the parameter of the path that may cause them; an id that is no number has no address.
PROBLEMS_OF_PATHS = {
    "article": ("unknown-article",),
    "batch": ("unknown-decision",),
    "item_id": ("unknown-item", "not-found"),
    "rule_id": ("unknown-rule", "not-found"),
    "proposal": ("unknown-rule",),
}

_VARIABLE = re.compile(r"<(?:[^:>]+:)?(\w+)>")


class Reply(NamedTuple):
    """An answer that is no problem document. Without a model the body is text of one of the media `types`."""

    status: int
    about: str
    model: type[BaseModel] | None = None
    types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    #: A second model, where the body may be either.
    other: type[BaseModel] | None = None
    #: True where the body may be a problem document, in the form of a protocol.
    is_problem: bool = False

    @property
    def models(self) -> list[type[BaseModel]]:
        return [model for model in (self.model, self.other) if model is not None]


UNCHANGED = Reply(304, "The client has it already.", headers=("ETag",))
NOTHING = Reply(204, "Done; the answer has no body.")
HTML_PAGE = Reply(200, "The page.", types=(HTML,))


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """The declaration of one method at one address, and the decorator of its view."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    #: The address below the prefix, as Flask writes it. All methods of one endpoint have the same.
    rule: str
    #: The name of the route for ``url_for``, without that of the blueprint.
    endpoint: str
    #: The summary in the OpenAPI document; without one the operation is not part of the document.
    summary: str = ""
    _: KW_ONLY
    #: Parameters of the query string and header fields of the request.
    parameters: tuple[Json, ...] = ()
    #: Describes the ``<token>`` of the path, which is that of a link.
    link: str = ""
    #: The models of the request's body by media type, None for bare text; a model alone is one of JSON.
    body: type[BaseModel] | Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    is_body_required: bool = True
    replies: tuple[Reply, ...] = ()
    #: Whether the first reply has an ETag, and 304 answers a client that has it already.
    has_etag: bool = False
    #: Codes of the problems that may come besides those that follow from what else is declared; see `codes`.
    problems: tuple[str, ...] = ()
    #: Whether problems may also come as HTML pages.
    has_problem_pages: bool = False
    is_for_moderators: bool = False
    needs_database: bool = True
    #: Whether the view answers all errors itself, in the form of its protocol; no problem follows from the rest then.
    answers_errors: bool = False
    #: Whether the view refuses a body that cannot be read itself, in the form of its protocol.
    reads_body: bool = False
    #: Whether the view also answers the methods that no other operation of the endpoint is declared for.
    takes_other_methods: bool = False
    #: Translates the details of problems for the people who read them; programs get them as they are.
    translate: Callable[[str], str] = str

    def __call__(self, view: View) -> Route:
        """Make *view* a route."""
        return Route(self, view)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def path(self) -> str:
        """The address as OpenAPI writes it."""
        return _VARIABLE.sub(r"{\1}", self.rule)

    @property
    def bodies(self) -> Mapping[str, type[BaseModel] | None]:
        return {JSON: self.body} if isinstance(self.body, type) else self.body

    def all_parameters(self) -> list[Json]:
        """Return the parameters of the path, the query string and the header, in this order."""
        token = {"token": in_path("token", {"type": "string", "minLength": 1}, self.link)}
        found = [(IN_PATHS | token)[name] for name in _VARIABLE.findall(self.rule)]
        return [*found, *self.parameters, *([IF_NONE_MATCH] if self.has_etag else [])]

    def all_replies(self) -> list[Reply]:
        """Return the answers that are no problem documents, 304 with them."""
        if not self.has_etag:
            return list(self.replies)
        first, *others = self.replies
        return [first._replace(headers=("ETag", *first.headers)), *others, UNCHANGED]

    def codes(self) -> tuple[str, ...]:
        """Return the codes of all problems that may come, those that were declared first."""
        found = [*self.problems]
        if self.answers_errors:
            return tuple(found)
        if self.bodies:
            found.append("too-large")
            if self.is_body_required or JSON in self.bodies:
                found.append("invalid")
            if self.is_body_required and JSON in self.bodies:
                found.append("unsupported-media-type")
        if any(one["in"] == "query" and one["schema"] != TEXT for one in self.parameters):
            found.append("invalid")
        for name in _VARIABLE.findall(self.rule):
            found += PROBLEMS_OF_PATHS.get(name, ())
        if self.is_for_moderators:
            # Guesses of tokens are limited.
            found += ["unauthorized", "rate-limited"]
            found += [] if self.method == "GET" else ["forbidden"]
        return tuple(dict.fromkeys(found + ["unavailable"] * self.needs_database))


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A view with its declaration."""

    operation: Operation
    view: View


def routes_in(module: ModuleType) -> Iterator[Route]:
    """Yield the routes that *module* itself declares, in the order of its source."""
    for value in vars(module).values():
        if isinstance(value, Route) and value.view.__module__ == module.__name__:
            yield value
