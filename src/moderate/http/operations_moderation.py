"""What moderators may do, address by address. A new route of theirs gets its entry here; a test asks for it."""

from __future__ import annotations

from moderate.http.operation import (
    ARTICLE,
    CURSOR,
    ITEM,
    JSON,
    NOTHING,
    PLAIN,
    PROBLEM,
    WORDS,
    Body,
    Operation,
    Reply,
    path,
    query,
    whole,
)
from moderate.http.operations_queue import FILTER
from moderate.http.routing import MAX_ID
from moderate.http.schemas_moderation import (
    ArticleOut,
    ChangedOut,
    DecisionsOut,
    HistoryOut,
    ItemsOut,
    ModeratorItem,
    ModeratorItemWhole,
    RuleOut,
    RulesOut,
    TrialOut,
    UndoOut,
)
from moderate.moderation.articles_views import OlderIn, OverridesIn
from moderate.moderation.bulk_views import DecisionsIn, UndoIn
from moderate.moderation.views import DecisionIn
from moderate.rules.views import RuleIn

RULE = path("rule_id", whole(MAX_ID), "The number of the rule.")
LIMIT = query("limit", whole(200, 50), "Entries on a page.")

API = (
    Operation(
        method="GET",
        path="/moderation/items",
        endpoint="moderation_items",
        about="Items, newest first, with the totals of the site",
        parameters=(*FILTER, CURSOR, LIMIT),
        replies=(Reply(200, "A page of items.", ItemsOut),),
        problems=("invalid",),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/items/{item_id}",
        endpoint="moderation_item",
        about="One item with its findings, its history, and what else came from the same hand",
        parameters=(ITEM,),
        replies=(Reply(200, "The item.", ModeratorItemWhole),),
        problems=("unknown-item",),
        is_for_moderators=True,
    ),
    Operation(
        method="DELETE",
        path="/moderation/items/{item_id}",
        endpoint="moderation_item",
        about="Delete an item for good, from spam or trash only",
        parameters=(ITEM,),
        replies=(NOTHING,),
        problems=("unknown-item", "not-allowed"),
        is_for_moderators=True,
    ),
    Operation(
        method="POST",
        path="/moderation/items/{item_id}/decisions",
        endpoint="moderation_decide",
        about="Decide on an item, on the version that was seen",
        parameters=(ITEM,),
        bodies=(Body(JSON, DecisionIn),),
        replies=(Reply(200, "The item as it stands now.", ModeratorItem),),
        problems=("invalid", "too-large", "unsupported-media-type", "unknown-item", "decided-meanwhile"),
        is_for_moderators=True,
    ),
    Operation(
        method="POST",
        path="/moderation/decisions",
        endpoint="moderation_decisions",
        about="One decision on listed items, or with `expect` on all that a filter matches",
        bodies=(Body(JSON, DecisionsIn),),
        replies=(Reply(200, "What was decided and what was left.", DecisionsOut),),
        problems=("invalid", "too-large", "unsupported-media-type", "unexpected-number", "not-allowed"),
        is_for_moderators=True,
    ),
    Operation(
        method="POST",
        path="/moderation/undo",
        endpoint="moderation_undo",
        about="Take back a batch or one line of the history, but for what was decided again since",
        bodies=(Body(JSON, UndoIn),),
        replies=(Reply(200, "What was put back and what was left.", UndoOut),),
        problems=("invalid", "too-large", "unsupported-media-type", "unknown-decision", "not-allowed"),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/rules",
        endpoint="moderation_rules",
        about="All rules, with how often each has matched",
        replies=(Reply(200, "The rules.", RulesOut),),
        is_for_moderators=True,
    ),
    Operation(
        method="POST",
        path="/moderation/rules",
        endpoint="moderation_rules",
        about="Make a rule, or with `dry_run` only tell what it would have done to the last 1,000 items",
        parameters=(query("dry_run", {"enum": ["0", "1"]}, "`1` stores nothing."),),
        bodies=(Body(JSON, RuleIn),),
        replies=(
            Reply(200, "What it would have done, or the rule as it was there already.", RuleOut, other=TrialOut),
            Reply(201, "The new rule.", RuleOut),
        ),
        problems=("invalid", "too-large", "unsupported-media-type"),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/rules/{rule_id}",
        endpoint="moderation_rule",
        about="One rule",
        parameters=(RULE,),
        replies=(Reply(200, "The rule.", RuleOut),),
        problems=("unknown-rule",),
        is_for_moderators=True,
    ),
    Operation(
        method="DELETE",
        path="/moderation/rules/{rule_id}",
        endpoint="moderation_rule",
        about="Remove a rule; what it has done stays done",
        parameters=(RULE,),
        replies=(NOTHING,),
        problems=("unknown-rule",),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/articles/{article}",
        endpoint="moderation_article",
        about="What moderators set for an article, and what the host itself says",
        parameters=(ARTICLE,),
        replies=(Reply(200, "The article.", ArticleOut),),
        problems=("unknown-article",),
        is_for_moderators=True,
    ),
    Operation(
        method="PUT",
        path="/moderation/articles/{article}",
        endpoint="moderation_article",
        about="Override the host's word on an article; null gives it back, what is left out stays",
        parameters=(ARTICLE,),
        bodies=(Body(JSON, OverridesIn),),
        replies=(Reply(200, "The article.", ArticleOut),),
        problems=("invalid", "too-large", "unsupported-media-type", "unknown-article"),
        is_for_moderators=True,
    ),
    Operation(
        method="POST",
        path="/moderation/articles",
        endpoint="moderation_articles",
        about="Override the host's word on all known articles that are older than a moment",
        bodies=(Body(JSON, OlderIn),),
        replies=(Reply(200, "How many changed.", ChangedOut),),
        problems=("invalid", "too-large", "unsupported-media-type"),
        is_for_moderators=True,
    ),
    Operation(
        method="GET",
        path="/moderation/history",
        endpoint="moderation_history",
        about="The log, newest first",
        parameters=(
            query("moderator", WORDS, "Who decided."),
            query("item", whole(MAX_ID), "The number of an item."),
            query("batch", {**WORDS, "maxLength": 64}, "The id of a bulk decision or an undo."),
            CURSOR,
            LIMIT,
        ),
        replies=(Reply(200, "A page of the log.", HistoryOut),),
        problems=("invalid",),
        is_for_moderators=True,
    ),
)

METRICS = (
    Operation(
        method="GET",
        path="/metrics",
        endpoint="metrics",
        about="Numbers for Prometheus; who may read them is MODERATE_METRICS",
        replies=(Reply(200, "In Prometheus' text format.", types=(PLAIN,)),),
        problems=("not-found",),
        problem_types=(PROBLEM,),
        is_for_moderators=True,
    ),
)

MODERATION: tuple[Operation, ...] = (*API, *METRICS)
