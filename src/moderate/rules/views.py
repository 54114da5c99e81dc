"""The moderators' JSON about their rules: listing, trying out, adding, removing; and the rules that are proposed."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, Self

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field

from moderate.errors import Invalid, UnknownRule
from moderate.http.answers import unstored
from moderate.http.operation import FORM, NOTHING, Answer, Count, Id, Moment, Operation, Reply, query
from moderate.model import MAX_ID, ItemFilter, Kind, Status
from moderate.moderation.access import answers_pages, signed_in
from moderate.moderation.forms import FormIn, form, to_queue
from moderate.moderation.labels import sign_saying
from moderate.moderation.views import STRICT, Note, json_body
from moderate.ports import Rule, RuleEffect, RuleKind
from moderate.rules.check import is_proven, matches, normal, reading_of
from moderate.rules.proposals import Proposal, settle
from moderate.tasks import anew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.typing import ResponseReturnValue

    from moderate.model import Item, Moderator
    from moderate.rules.sql import RuleInfo
    from moderate.submit.desk import Desk

#: The number of latest items that a rule is tried on, and that are read at a time.
TRIED = 1000
PAGE = 200
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
        values = info._asdict()
        return cls(**values.pop("rule")._asdict(), **values)


class RulesOut(Answer):
    rules: list[RuleOut]


class MetOut(Answer):
    """An item that a tried rule matches: the words that match, and what the rule would have done."""

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
    for info in state.desk.store.rules.all():
        if info.rule.id == rule_id:
            return unstored(RuleOut.of(info))
    raise UnknownRule


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
    dry_run = request.args.get("dry_run", "0")
    if dry_run not in {"0", "1"}:
        raise Invalid.field("dry_run", "Either 0 or 1.")
    sent = json_body(RuleIn)
    wanted = normal(Rule(0, sent.kind, sent.value, sent.effect, sent.note))
    if dry_run == "1":
        return unstored(try_out(state.desk, wanted))
    info, is_new = put(state.desk, wanted, who)
    return unstored(RuleOut.of(info), 201 if is_new else 200)


def put(desk: Desk, rule: Rule, who: Moderator) -> tuple[RuleInfo, bool]:
    """Store a rule, and return it with whether it is new. It ends proposals, and what waits is judged by it."""
    stored = desk.store.rules.add(rule, who.name, desk.clock.now())
    settle(desk)
    anew.ask(desk)
    return stored


def try_out(desk: Desk, rule: Rule) -> TrialOut:
    """Match a rule against the latest items, without storing or changing anything.

    Returns what it would have done, beside where the items stand and what moderators had decided.
    """
    looked_at = 0
    met: list[tuple[Item, str]] = []
    for item in latest(desk):
        looked_at += 1
        what = matches(rule, reading_of(item))
        # The address from which a ping's page was read in the end is not stored; usually it is that of the source.
        if what and (rule.effect != "trust" or is_proven(rule, item, item.source_url or "")):
            met.append((item, what))
    return TrialOut(
        rule=RuleSaid.model_validate(rule),
        looked_at=looked_at,
        matched=len(met),
        by_status=Counter(item.status.value for item, _ in met),
        decided=Counter(item.status.value for item, _ in met if item.decided_by is not None),
        items=[MetOut.of(item, what, rule.effect) for item, what in met[:SHOWN]],
    )


def latest(desk: Desk) -> Iterator[Item]:
    """Yield the latest items, up to `TRIED`, the newest first."""
    cursor = None
    for _ in range(TRIED // PAGE):
        page = desk.store.queue.page(ItemFilter(), cursor=cursor, limit=PAGE)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


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
    if rule_id > MAX_ID or not state.desk.store.rules.delete(rule_id):
        raise UnknownRule
    return Response(status=204)


# --- proposals ------------------------------------------------------------------------------------------

KEY = r"^[0-9a-f]{20}$"


class ProposedRule(Answer):
    kind: RuleKind
    value: str
    effect: RuleEffect


class ProposalOut(Answer):
    """A proposed rule: the decisions that it rests on, and the newest items that it matches, at most 50.

    Sent to `POST /moderation/rules`, `rule` becomes a rule.
    """

    key: str
    rule: ProposedRule
    decided: Count
    by_status: dict[str, Count]
    examples: list[Id]

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        values = proposal._asdict()
        said = {name: getattr(proposal.rule, name) for name in ProposedRule.model_fields}
        return cls(**{**values, "rule": ProposedRule(**said)})


class ProposalsOut(Answer):
    proposals: list[ProposalOut]


class ProposalAnswerIn(FormIn):
    """The answer to a proposed rule; `filter_…` fields keep the moderator's place."""

    proposal: Annotated[str, Field(pattern=KEY)]
    answer: Literal["add", "dismiss"]


@Operation(
    "GET",
    "/moderation/rules/proposals",
    "moderation_proposals",
    "Rules that are proposed because moderators have decided alike three times, the newest first",
    replies=(Reply(200, "The proposals, at most 20.", ProposalsOut),),
    is_for_moderators=True,
)
def proposals() -> ResponseReturnValue:
    state, _ = signed_in()
    found = map(Proposal.of, state.desk.store.proposals.all())
    return unstored(ProposalsOut(proposals=[ProposalOut.of(each) for each in found]))


@Operation(
    "DELETE",
    "/moderation/rules/proposals/<proposal>",
    "moderation_proposal",
    "Dismiss a proposed rule; it is not proposed again",
    replies=(NOTHING,),
    is_for_moderators=True,
)
def dismiss(proposal: str) -> ResponseReturnValue:
    state, _ = signed_in()
    if not state.desk.store.proposals.dismiss(shaped(proposal), state.desk.clock.now()):
        raise UnknownRule
    return Response(status=204)


def shaped(key: str) -> str:
    """Return a proposal's key. Raises `UnknownRule` for what cannot be one."""
    if not re.fullmatch(KEY, key, re.ASCII):
        raise UnknownRule
    return key


@form(
    "/moderation/queue/proposals",
    "queue_proposal",
    "Add a proposed rule, or dismiss it",
    body={FORM: ProposalAnswerIn},
    problems=("unknown-rule",),
)
@answers_pages()
def answer_proposal() -> ResponseReturnValue:
    state, who = signed_in()
    key, answer, desk = shaped(request.form.get("proposal", "")), request.form.get("answer"), state.desk
    if answer == "dismiss":
        saying = "dismissed" if desk.store.proposals.dismiss(key, desk.clock.now()) else "answered"
    elif answer == "add":
        stored = desk.store.proposals.get(key)
        if stored is not None:
            put(desk, Proposal.of(stored).rule, who)
        saying = "answered" if stored is None else "added"
    else:
        raise Invalid.field("answer", "Either add or dismiss.")
    return to_queue(sign_saying(state, who, saying))
