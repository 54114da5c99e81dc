"""What the moderators' JSON answers look like, and the forms of their pages; see `moderate.http.schemas`."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (pydantic reads the annotations)
from typing import Annotated, Literal

from pydantic import Field

from moderate.http.schemas import Answer, Count, Id, PublicItem
from moderate.model import MAX_ID, Awaiting, Kind, Lean, Status


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
    #: Whom the site's own login, or a confirmed e-mail address, vouches for; null where the name is only typed.
    author_id: str | None
    verified: Literal["login", "email"] | None
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


class RuleSaid(Answer):
    kind: Literal["word", "host", "email", "ip"]
    value: str
    effect: Literal["hold", "spam", "trust"]
    note: str


class RuleOut(RuleSaid):
    id: Id
    created_at: datetime
    created_by: str
    hits: Count
    last_hit_at: datetime | None


class RulesOut(Answer):
    rules: list[RuleOut]


class MetOut(Answer):
    """An item that a tried rule matches: by what, and what the rule would have done."""

    id: Id
    kind: Kind
    article: str
    author: str
    text: str
    matched: str
    would: str
    status: Status
    decided_by: str | None


class TrialOut(Answer):
    rule: RuleSaid
    looked_at: Count
    matched: Count
    by_status: dict[str, Count]
    decided: dict[str, Count]
    items: list[MetOut]


class HostsWord(Answer):
    comments_open: bool
    pings_open: bool
    premoderation: Literal["all", "strangers", "none"]
    published_at: datetime | None


class ArticleOut(Answer):
    """What moderators set for an article, null where nothing, and what the host says."""

    article: str
    title: str
    url: str
    comments_open: bool | None
    pings_open: bool | None
    premoderation: Literal["all", "strangers", "none"] | None
    host: HostsWord


class ChangedOut(Answer):
    changed: Count


class FieldProblem(Answer):
    field: str
    message: str


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
    seen: str | None = None
    legal: list[str] | None = None


# --- forms of the pages -----------------------------------------------------------------------------


class CsrfIn(Answer):
    """Forms of a signed-in moderator carry the token of their page; requests with a bearer token need none."""

    csrf_token: str | None = None


class QueueDecisionIn(CsrfIn):
    """`filter_…` fields, which keep the moderator's place, may stand in it too; `keep` drops a changed text."""

    decision: Literal["approve", "keep", "hold", "spam", "trash"]
    version: Annotated[int, Field(ge=0, le=MAX_ID)]


class AgainIn(Answer):
    again: Literal["1"] | None = None
