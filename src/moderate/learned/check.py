"""A filter that learns from moderators' decisions, one at a time.

It is the mean of two classifiers over the same tokens, each token counted once for an item.

One is naive Bayes. Frequencies are shares of all *tokens* seen as spam or as good, not of all messages: spam is often
longer, and by messages every word of a good text would look suspicious. Counts are smoothed in proportion to the amount
of each kind, so that on a site with a hundred spams and ten good comments a new word does not look like spam.

The other is a logistic regression that is trained by stochastic gradient descent at a constant rate: each decision
moves the weights of the item's tokens by the same step, the larger the more the prediction was wrong.
"""

from __future__ import annotations

import math
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from moderate.checks.base import CheckDefaults, Facts
from moderate.i18n import Message
from moderate.learned.tokens import Label, Writing, features, name_label, number, signs_in, told
from moderate.model import Finding, Item, Lean, Status, Submission

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from moderate.ports import TokenCounts, TokenTable

#: The number of decisions of each kind below which the filter finds nothing.
LEAST = 10
#: The probability of spam from which on an item with a sign is held.
HOLD_AT = 0.45
#: The probability from which on it is spam, if very much was learned and there is a sign.
SPAM_AT = 0.95
#: The number of decisions of each kind at which the bar for marking spam is halfway from certainty to `SPAM_AT`.
RESERVE = 150
#: The number of decisions of each kind from which on the filter marks spam by itself.
ENOUGH = 50
#: The number of decisions of each kind at which the bar for an item without a sign is halfway from `SPAM_AT` to
#: `HOLD_AT`. After few decisions short thanks look like the spam that begins with thanks.
CAUTION = 40
#: How often a name must have been seen in spam, and in nothing good, to be a sign.
OFTEN = 3
#: The pseudo-count of each token, divided in proportion to the kinds.
SMOOTHING = 1.5
#: The factor for the sum of weights, because the tokens of one text are not independent.
DAMPING = 0.7
#: The largest weight of a token, in natural-log odds.
MOST = 6.0
#: The factor for the mean of both log odds: without it probabilities in the middle are too sure.
CALIBRATION = 0.8
#: The factor for the log odds of the logistic regression, and its learning rate.
SCALE = 3.0
RATE = 1.0
#: The factor for each of the two log odds.
HALF = CALIBRATION / 2
EDGES = "<>"
#: The number of tokens for and against that an explanation names.
NAMED = 4


class Opinion(NamedTuple):
    """The probability of spam, with what it rests on: both weights of every known token, and the factor of the second.

    `bayes` are log odds of naive Bayes, `regression` the weights of the logistic regression.
    """

    probability: float
    bayes: Mapping[int, float]
    regression: Mapping[int, float]
    unit: float


class Learned(CheckDefaults):
    """Holds what looks like earlier spam, or marks it as spam if that is nearly certain. It never publishes.

    It marks nothing by its words alone: there must be a sign as well.
    """

    name = "learned"
    needs = "tokens"
    version = 2
    follows = timedelta.max

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        counts = facts.services.tokens
        # On a new site texts are not split into tokens for nothing.
        if counts is None or not counts.has_seen(LEAST):
            return None
        writing = Writing.of(submission)
        labels = features(writing, counts.key())
        table = counts.lookup(labels.keys())
        opinion = opinion_of(labels, table)
        if opinion is None or opinion.probability < HOLD_AT:
            return None
        signs: list[str] = [sign.label for sign in signs_in(writing)]
        if is_known(table.counts.get(number(counts.key(), name_label(writing.author)), (0, 0))):
            signs.append(Message("a name known from spam"))
        if any(one.status is Status.SPAM and one.id != facts.item_id for one in facts.alike or ()):
            signs.append(Message("a text like earlier spam"))
        lean = lean_of(opinion.probability, min(table.messages), bool(signs))
        if lean is None:
            return None
        return Finding(self.name, lean, explained(opinion, labels, table, signs), score=round(opinion.probability, 4))


def learn(counts: TokenCounts, item: Item, is_spam: bool | None) -> bool:
    """Teach the filter a moderator's decision on *item*, or take it back (None). To do it twice does no harm."""
    return learn_writing(counts, item.id, Writing.of(item), is_spam)


def learn_writing(counts: TokenCounts, number: int, writing: Writing, is_spam: bool | None) -> bool:
    """Do the same as `learn` with what is no item, under a *number* that no item has."""
    tokens = features(writing, counts.key()).keys()
    step = 0.0 if is_spam is None else step_of(tokens, counts.lookup(tokens), is_spam)
    return counts.teach(number, tokens, is_spam, step)


def is_known(seen: tuple[int, int]) -> bool:
    """Return True for a name that was seen in spam only, and not just by chance."""
    spam, good = seen
    return good == 0 and spam >= OFTEN


def lean_of(probability: float, least: int, has_sign: bool) -> Lean | None:
    """Return what follows from a probability of spam on a site with at least *least* decisions of each kind."""
    if has_sign and least >= ENOUGH and probability >= 1 - (1 - SPAM_AT) * least / (least + RESERVE):
        return Lean.SPAM
    bar = HOLD_AT if has_sign else HOLD_AT + (SPAM_AT - HOLD_AT) * CAUTION / (least + CAUTION)
    return Lean.HOLD if probability >= bar else None


def opinion_of(tokens: Collection[int], table: TokenTable) -> Opinion | None:
    """Return what their counts show about *tokens*, or None while there are too few of either kind."""
    if min(table.messages) < LEAST or min(table.tokens) <= 0:
        return None
    weight_of = weights(table.tokens)
    bayes = {token: weight_of[seen] for token, seen in table.counts.items()}
    unit = unit_of(tokens)
    odds = (math.fsum(bayes.values()) * DAMPING + regression(table) * unit) * HALF
    return Opinion(logistic(odds), bayes, table.weights, unit)


def regression(table: TokenTable) -> float:
    """Return the sum of the weights of a text's tokens, and of the constant, in the logistic regression."""
    return table.bias + math.fsum(table.weights.values())


def unit_of(tokens: Collection[int]) -> float:
    """Return the factor that makes log odds of that sum. Long texts have more tokens, and are no surer for that."""
    return SCALE / math.sqrt(len(tokens) + 1)


def step_of(tokens: Collection[int], table: TokenTable, is_spam: bool) -> float:
    """Return what a decision adds to the weights of an item's tokens: at most `RATE` either way.

    Where other processes teach at the same time, the weights may be those of a moment before. That changes how far
    the step goes, not that it is taken back exactly.
    """
    unit = unit_of(tokens)
    return RATE / SCALE * unit * (is_spam - logistic(regression(table) * unit))


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


def explained(opinion: Opinion, labels: dict[int, Label], table: TokenTable, signs: list[str]) -> Message:
    """Say how probable spam is, what that rests on, the tokens that counted most, both ways, and the signs."""
    first, other, unit = DAMPING * HALF, opinion.regression, opinion.unit * HALF
    # Beginnings and endings help the filter, but the words that they came from tell a reader more.
    ranked = sorted(
        (weight * first + other.get(token, 0.0) * unit, label)
        for token, weight in opinion.bayes.items()
        if (label := labels[token])[0] not in EDGES
    )
    against = [told(label) for weight, label in ranked[:NAMED] if weight < 0]
    towards = [told(label) for weight, label in ranked[::-1][:NAMED] if weight > 0]
    spam, good = table.messages
    words = Message(
        "{share} like spam, going by {seen}; for spam: {for_list}; against: {against_list}",
        share=f"{opinion.probability:.0%}",
        seen=Message("{spam} spam and {good} good ones that moderators decided on", spam=spam, good=good),
        for_list=towards or Message("nothing"),
        against_list=against or Message("nothing"),
    )
    return Message("{words}; besides words: {sign_list}", words=words, sign_list=signs or Message("nothing"))
