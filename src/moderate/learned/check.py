"""A filter that learns from moderators' decisions, one at a time.

Naive Bayes over tokens, each counted once an item. Shares are taken of all *tokens* seen as spam or
as good, not of all messages: spam is often the longer kind, and by messages every word of a good
text would look suspicious. Counts are smoothed in proportion to how much of each kind was seen, so
that a site with a hundred spams and ten good comments does not take every new word for spam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from moderate.checks.base import CheckDefaults
from moderate.i18n import Message
from moderate.learned.tokens import Writing, features, told
from moderate.model import Finding, Lean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.checks.base import Facts
    from moderate.learned.tokens import Label
    from moderate.model import Item, Submission
    from moderate.ports import TokenCounts, TokenTable

#: Below so many decisions of either kind the filter says nothing.
LEAST = 10
#: From this probability on an item is held.
HOLD_AT = 0.4
#: From this probability on it is spam.
SPAM_AT = 0.95
#: How many imagined sightings each token starts with, shared out as the kinds are.
SMOOTHING = 1.5
#: Tokens of one text say the same thing several times over; the sum of their weights is damped by this.
DAMPING = 0.5
#: No single token may say more than this, in natural-log odds.
MOST = 6.0
EDGES = "<>"
#: How many tokens an explanation names on each side.
NAMED = 4


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the filter thinks: the probability of spam, and every known token's weight (positive: spam)."""

    probability: float
    weights: dict[int, float]


class Learned(CheckDefaults):
    """Holds what looks like earlier spam, marks as spam what does so beyond doubt; never publishes anything."""

    name = "learned"
    needs = "tokens"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        counts = facts.services.tokens
        # A young site's comments are not taken apart for nothing.
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
    """Teach the filter a moderator's decision on *item*, or take it back (None). Harmless when done twice."""
    return counts.teach(item.id, features(Writing.of_item(item), counts.key()).keys(), is_spam)


def opinion_of(tokens: Iterable[int], table: TokenTable) -> Opinion | None:
    """What the counts say of *tokens*, or None while too little of either kind was seen."""
    if min(table.messages) < LEAST or min(table.tokens) <= 0:
        return None
    weight_of = weights(table.tokens)
    found = {token: weight_of[seen] for token in tokens if (seen := table.counts.get(token))}
    return Opinion(logistic(math.fsum(found.values()) * DAMPING), found)


class Weights(dict[tuple[int, int], float]):
    """What a token says that was seen so often as (spam, good): log odds, positive for spam.

    They follow from the totals of all tokens, and each is worked out when it is first asked for:
    most tokens of a text were seen once or twice.
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


#: For as long as nothing is learned the totals stay the same.
weights = lru_cache(maxsize=4)(Weights)


def logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(odds, -700.0), 700.0)))


def explained(opinion: Opinion, labels: dict[int, Label], table: TokenTable) -> Message:
    """Say how probable spam is, what that rests on, and the tokens that counted most, both ways."""
    # Beginnings and endings help to judge, but a reader sees more in the words that they came from.
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
