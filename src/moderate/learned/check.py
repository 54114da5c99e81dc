"""A filter that learns from moderators' decisions, one at a time.

It is a naive Bayes classifier over tokens, each counted once for an item. Frequencies are shares of all *tokens* seen
as spam or as good, not of all messages: spam is often longer, and by messages every word of a good text would look
suspicious. Counts are smoothed in proportion to the amount of each kind, so that on a site with a hundred spams and
ten good comments a new word does not look like spam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from moderate.checks.base import CheckDefaults, Facts
from moderate.i18n import Message
from moderate.learned.tokens import Label, Writing, features, told
from moderate.model import Finding, Item, Lean, Submission

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.ports import TokenCounts, TokenTable

#: The number of decisions of each kind below which the filter finds nothing.
LEAST = 10
#: The probability of spam from which on an item is held.
HOLD_AT = 0.4
#: The probability from which on it is spam.
SPAM_AT = 0.95
#: The pseudo-count of each token, divided in proportion to the kinds.
SMOOTHING = 1.5
#: The factor for the sum of weights, because the tokens of one text are not independent.
DAMPING = 0.5
#: The largest weight of a token, in natural-log odds.
MOST = 6.0
EDGES = "<>"
#: The number of tokens for and against that an explanation names.
NAMED = 4


@dataclass(frozen=True, slots=True)
class Opinion:
    """The probability of spam, and the weight of every known token (positive for spam)."""

    probability: float
    weights: dict[int, float]


class Learned(CheckDefaults):
    """Holds what looks like earlier spam, or marks it as spam if that is nearly certain. It never publishes."""

    name = "learned"
    needs = "tokens"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        counts = facts.services.tokens
        # On a new site texts are not split into tokens for nothing.
        if counts is None or not counts.has_seen(LEAST):
            return None
        labels = features(Writing.of(submission), counts.key())
        table = counts.lookup(labels.keys())
        opinion = opinion_of(labels, table)
        if opinion is None or opinion.probability < HOLD_AT:
            return None
        lean = Lean.SPAM if opinion.probability >= SPAM_AT else Lean.HOLD
        return Finding(self.name, lean, explained(opinion, labels, table), score=round(opinion.probability, 4))


def learn(counts: TokenCounts, item: Item, is_spam: bool | None) -> bool:
    """Teach the filter a moderator's decision on *item*, or take it back (None). To do it twice does no harm."""
    return counts.teach(item.id, features(Writing.of(item), counts.key()).keys(), is_spam)


def opinion_of(tokens: Iterable[int], table: TokenTable) -> Opinion | None:
    """Return what the counts show about *tokens*, or None while there are too few of either kind."""
    if min(table.messages) < LEAST or min(table.tokens) <= 0:
        return None
    weight_of = weights(table.tokens)
    found = {token: weight_of[seen] for token in tokens if (seen := table.counts.get(token))}
    return Opinion(logistic(math.fsum(found.values()) * DAMPING), found)


class Weights(dict[tuple[int, int], float]):
    """The weights of tokens by their counts (spam, good): log odds, positive for spam.

    They depend on the totals of all tokens. Each is computed when it is first needed, since most tokens of a text have
    the same few counts.
    """

    def __init__(self, totals: tuple[int, int]) -> None:
        super().__init__()
        spam, good = totals
        start = SMOOTHING / (spam + good)
        self._spam, self._good = start * spam, start * good
        self._odds = math.log(spam / good)

    def __missing__(self, seen: tuple[int, int]) -> float:
        odds = math.log((seen[0] + self._spam) / (seen[1] + self._good)) - self._odds
        self[seen] = weight = min(max(odds, -MOST), MOST)
        return weight


#: The totals change only when the filter learns.
weights = lru_cache(maxsize=4)(Weights)


def logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(odds, -700.0), 700.0)))


def explained(opinion: Opinion, labels: dict[int, Label], table: TokenTable) -> Message:
    """Say how probable spam is, what that rests on, and the tokens that counted most, both ways."""
    # Beginnings and endings help the filter, but the words that they came from tell a reader more.
    readable = ((weight, labels[token]) for token, weight in opinion.weights.items() if labels[token][0] not in EDGES)
    ranked = sorted(readable)
    against = [told(label) for weight, label in ranked[:NAMED] if weight < 0]
    towards = [told(label) for weight, label in ranked[::-1][:NAMED] if weight > 0]
    spam, good = table.messages
    return Message(
        "{share} like spam, going by {seen}; for spam: {for_list}; against: {against_list}",
        share=f"{opinion.probability:.0%}",
        seen=Message("{spam} spam and {good} good ones that moderators decided on", spam=spam, good=good),
        for_list=towards or Message("nothing"),
        against_list=against or Message("nothing"),
    )
