"""The moderators' JSON about their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from moderate.errors import Invalid, UnknownRule
from moderate.http.answers import unstored
from moderate.http.operation import NOTHING, Answer, Count, Id, Moment, Operation, Reply, query
from moderate.model import MAX_ID, Kind, Status
from moderate.moderation.access import signed_in
from moderate.moderation.views import STRICT, Note, json_body
from moderate.ports import Rule, RuleEffect, RuleKind
from moderate.rules import rulebook

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from moderate.model import Item
    from moderate.rules.rulebook import Tried
    from moderate.rules.sql import RuleInfo

#: The number of items that are shown of those that a tried rule matches.
SHOWN = 50


class RuleIn(BaseModel):
    """A rule: what matches the value is held, spam, or trusted."""

    model_config = STRICT

    kind: RuleKind
    value: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    effect: RuleEffect
    note: Note = ""


class RuleSaid(Answer):
    model_config = ConfigDict(from_attributes=True)

    kind: RuleKind
    value: str
    effect: RuleEffect
    note: str


class RuleOut(RuleSaid):
    id: Id
    created_at: Moment
    created_by: str
    hits: Count
    last_hit_at: Moment | None

    @classmethod
    def of(cls, info: RuleInfo) -> Self:
        said = RuleSaid.model_validate(info.rule)
        return cls(
            **dict(said),
            id=info.rule.id,
            created_at=info.created_at,
            created_by=info.created_by,
            hits=info.hits,
            last_hit_at=info.last_hit_at,
        )


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

    @classmethod
    def of(cls, item: Item, matched: str, effect: str) -> Self:
        return cls(
            id=item.id,
            kind=item.kind,
            article=item.article,
            author=item.author,
            text=item.text[:200],
            matched=matched,
            would=effect,
            status=item.status,
            decided_by=item.decided_by,
        )


class TrialOut(Answer):
    rule: RuleSaid
    looked_at: Count
    matched: Count
    by_status: dict[str, Count]
    decided: dict[str, Count]
    items: list[MetOut]

    @classmethod
    def of(cls, tried: Tried) -> Self:
        """Return what the rule would have done, beside where the items stand and what moderators had decided."""
        return cls(
            rule=RuleSaid.model_validate(tried.rule),
            looked_at=tried.looked_at,
            matched=len(tried.met),
            by_status=dict(tried.by_status()),
            decided=dict(tried.decided()),
            items=[MetOut.of(item, what, tried.rule.effect) for item, what in tried.met[:SHOWN]],
        )


@Operation(
    "GET",
    "/moderation/rules",
    "moderation_rules",
    "All rules, with how often each has matched",
    replies=(Reply(200, "The rules.", RulesOut),),
    is_for_moderators=True,
)
def rules() -> ResponseReturnValue:
    state, _ = signed_in()
    return unstored(RulesOut(rules=[RuleOut.of(info) for info in state.desk.store.rules.all()]))


@Operation(
    "GET",
    "/moderation/rules/<int:rule_id>",
    "moderation_rule",
    "One rule",
    replies=(Reply(200, "The rule.", RuleOut),),
    is_for_moderators=True,
)
def rule(rule_id: int) -> ResponseReturnValue:
    state, _ = signed_in()
    return unstored(RuleOut.of(rulebook.find(state.desk, known_id(rule_id))))


@Operation(
    "POST",
    "/moderation/rules",
    "moderation_rules",
    "Make a rule, or with `dry_run` only tell what it would have done to the last 1,000 items",
    parameters=(query("dry_run", {"enum": ["0", "1"]}, "`1` stores nothing."),),
    body=RuleIn,
    replies=(
        Reply(200, "What it would have done, or the rule as it was there already.", RuleOut, other=TrialOut),
        Reply(201, "The new rule.", RuleOut),
    ),
    is_for_moderators=True,
)
def add() -> ResponseReturnValue:
    state, who = signed_in()
    is_trial = flag("dry_run")
    sent = json_body(RuleIn)
    wanted = Rule(0, sent.kind, sent.value, sent.effect, sent.note)
    if is_trial:
        return unstored(TrialOut.of(rulebook.try_out(state.desk, wanted)))
    info, is_new = rulebook.add(state.desk, wanted, by=who)
    return unstored(RuleOut.of(info), 201 if is_new else 200)


@Operation(
    "DELETE",
    "/moderation/rules/<int:rule_id>",
    "moderation_rule",
    "Remove a rule; what it has done stays done",
    replies=(NOTHING,),
    is_for_moderators=True,
)
def remove(rule_id: int) -> ResponseReturnValue:
    state, _ = signed_in()
    rulebook.remove(state.desk, known_id(rule_id))
    return Response(status=204)


def known_id(number: int) -> int:
    if number > MAX_ID:
        raise UnknownRule
    return number


def flag(name: str) -> bool:
    """Return a switch of the query string. Raises `Invalid`."""
    value = request.args.get(name, "0")
    if value not in {"0", "1"}:
        raise Invalid.field(name, "Either 0 or 1.")
    return value == "1"
