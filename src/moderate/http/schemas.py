"""What our JSON answers look like, for the OpenAPI document; a test holds real answers against it.

`moderate.http.present` builds the answers, plainly and fast. These models only describe them, and
know no member that is not here: what is public by mistake does not pass.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads the annotations)
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from moderate.model import Kind, Status  # noqa: TC001
from moderate.protocols.comment import CommentIn

Count = Annotated[int, Field(ge=0)]
Id = Annotated[int, Field(ge=1)]


class Answer(BaseModel):
    """What we send has exactly these members."""

    model_config = ConfigDict(extra="forbid")


class AuthorOut(Answer):
    name: str
    url: str | None
    avatar: str | None


class PublicItem(Answer):
    """An item as readers get it. `source_url`, `title` and `blog_name` stand in pings only.

    `held_for` stands in what its author gets while it waits: the checks that want a person to look.
    """

    id: Id
    article: str
    kind: Kind
    status: Status
    parent: Id | None
    author: AuthorOut
    html: str
    created_at: datetime
    edited_at: datetime | None
    held_for: list[str] | None = None
    source_url: str | None = None
    title: str | None = None
    blog_name: str | None = None


class ReceivedItem(PublicItem):
    """A comment that was just received, with the token by which its author may change it."""

    edit_token: str


class CountsOut(Answer):
    comments: Count
    trackbacks: Count


class CountsOfArticles(Answer):
    """The numbers by article key; unknown keys count zero."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, CountsOut]


class ThreadOut(Answer):
    """A stretch of a thread. `form_token` is null: the token comes in the Moderate-Form-Token field."""

    items: list[PublicItem]
    counts: CountsOut
    next: Id | None
    form_token: None


class PreviewOut(Answer):
    html: str


class MentionOut(Answer):
    """What became of a webmention."""

    status: Literal["queued", "pending", "success", "deleted"]
    summary: str
    source: str | None
    target: str


class HealthOut(Answer):
    """One word for each part; ``newer`` is a database that works and was upgraded by a later version.

    `advice` and `details` are for moderators who asked with ``deep=1``.
    """

    status: Literal["ok", "degraded"]
    database: str
    redis: str
    akismet: str
    tasks: str
    retention: str | None = Field(default=None, description="Only where it is late.")
    details: dict[str, str] | None = None
    advice: dict[str, str] | None = None


# --- bodies that are read field by field ------------------------------------------------------------


class PreviewIn(CommentIn):
    """A comment as it may be sent; only the text is looked at."""


class PreviewForm(Answer):
    """The comment form as it stands; only the text is looked at."""

    text: str


class PatchIn(Answer):
    """A new text for one's own comment."""

    text: str
    edit_token: str | None = None


class WithdrawIn(Answer):
    """The token may stand in the body instead of in the address."""

    edit_token: str | None = None


class MentionIn(Answer):
    source: str
    target: str


class TrackbackIn(Answer):
    """A ping. Fields that are not named here are ignored."""

    url: str
    title: str | None = None
    excerpt: str | None = None
    blog_name: str | None = None
    charset: str | None = None
