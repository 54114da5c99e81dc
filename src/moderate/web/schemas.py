"""What our JSON answers look like, for the OpenAPI document; a test holds real answers against it.

`moderate.web.present` builds the answers, plainly and fast. These models only describe them, and
know no member that is not here: what is public by mistake does not pass.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads the annotations)
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from moderate.model import Awaiting, Kind, Lean, Status  # noqa: TC001
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
    """One word for each part. `advice` and `details` are for moderators who asked with ``deep=1``."""

    status: Literal["ok", "degraded"]
    database: str
    redis: str
    akismet: str
    tasks: str
    details: dict[str, str] | None = None
    advice: dict[str, str] | None = None


class FieldProblem(Answer):
    field: str
    message: str


class FindingOut(Answer):
    check: str
    lean: Lean
    reason: str
    score: float | None
    version: int
    took_ms: float
    at: datetime | None
    rule: int | None = None


class SkippedOut(Answer):
    """A check that was not asked, and why."""

    check: str
    reason: str


class CauseOut(Answer):
    """The check that put an item where it stands, and the number of its rule, if one did."""

    check: str
    rule: int | None


class HistoryLine(Answer):
    id: Id
    at: datetime
    act: str
    by: str | None
    from_: Status | None = Field(alias="from")
    to: Status
    version: int
    note: str | None
    batch: str | None
    cause: CauseOut | None


class ModeratorItem(PublicItem):
    """An item as moderators get it: everything, with what the checks said."""

    text: str
    email: str | None
    ip: str | None
    user_agent: str | None
    version: Id
    awaiting: Awaiting | None
    article_title: str
    article_url: str
    findings: list[FindingOut]
    passed: list[str]
    skipped: list[SkippedOut]
    proposed: dict[str, str | None] | None


class RelatedItem(Answer):
    """Another item of the same hand, in short; `same` tells by what."""

    id: Id
    kind: Kind
    status: Status
    version: Id
    article: str
    article_title: str
    author: str
    text: str
    created_at: datetime
    same: list[Literal["author_id", "email", "ip"]]


class ModeratorItemWhole(ModeratorItem):
    history: list[HistoryLine]
    others: list[RelatedItem]


class TotalsOut(Answer):
    pending: Count
    approved: Count
    spam: Count
    trash: Count


class ItemsOut(Answer):
    items: list[ModeratorItem]
    next: Id | None
    totals: TotalsOut


class DecidedOut(Answer):
    id: Id
    status: Status
    version: Id
    changed: bool


class ConflictOut(Answer):
    """An item that was left as it is; `code` is that of the refusal which the same would have met alone."""

    id: Id
    code: str
    by: str | None = None
    decision: Status | None = None
    version: Id | None = None


class DecisionsOut(Answer):
    batch: str | None
    decided: list[DecidedOut]
    conflicts: list[ConflictOut]


class UndoOut(Answer):
    batch: str | None
    undone: list[DecidedOut]
    conflicts: list[ConflictOut]


class HistoryOutLine(HistoryLine):
    item: Id


class HistoryOut(Answer):
    history: list[HistoryOutLine]
    next: Id | None


class Problem(Answer):
    """A problem document (RFC 9457). `code` is stable; the members below `detail` belong to some codes only."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    code: str
    detail: str
    errors: list[FieldProblem] | None = None
    by: str | None = None
    decision: Status | None = None
    item: ModeratorItem | None = None
    found: Count | None = None
    legal: list[str] | None = None


# --- bodies that are read field by field ------------------------------------------------------------


class PreviewIn(CommentIn):
    """The comment form as it stands; only the text is looked at."""


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


class QueueDecisionIn(Answer):
    """The queue page's buttons; `filter_…` keep the moderator's place."""

    decision: Literal["approve", "hold", "spam", "trash"]
    version: Annotated[int, Field(ge=0, le=999_999_999)]
    csrf_token: str | None = None
