"""The filter that learns: what it reads, when it speaks, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.checks.base import Services, judge
from moderate.learned.check import HOLD_AT, LEAST, SPAM_AT, Learned, learn, opinion_of
from moderate.learned.tokens import MOST_WORDS, Writing, features, told
from moderate.model import Finding, Item, Kind, Lean, Status
from moderate.ports import TokenTable
from tests.stand_ins import MemoryTokenCounts
from tests.unit.checks.cases import comment, facts, ping

if TYPE_CHECKING:
    from moderate.model import Submission

KEY = b"a key of this site"
SPAMS = ["Buy cheap pills at https://pills.example now!!!", "CHEAP PILLS subscribe to my channel", "free pills free"]
GOODS = ["I love this song, what a voice", "The ferry was late again today", "Thanks for the article, well written"]


def taught(times: int = LEAST, *, goods: int | None = None) -> MemoryTokenCounts:
    counts = MemoryTokenCounts(KEY)
    for number in range(times):
        counts.teach(number, features(Writing(text=SPAMS[number % 3]), KEY).keys(), True)
    for number in range(times if goods is None else goods):
        counts.teach(1000 + number, features(Writing(text=GOODS[number % 3]), KEY).keys(), False)
    return counts


def look(submission: Submission, counts: MemoryTokenCounts) -> Finding | None:
    return Learned().look(submission, facts(services=Services(tokens=counts)))


def test_text_like_earlier_spam_is_spam_and_good_text_passes() -> None:
    finding = look(comment("cheap pills, subscribe to my channel https://pills.example"), taught())
    assert finding is not None
    assert finding.lean is Lean.SPAM
    assert finding.score is not None
    assert finding.score >= SPAM_AT
    assert look(comment("what a voice, I love this article"), taught()) is None


def test_text_somewhat_like_spam_is_held() -> None:
    finding = look(comment("free song about the channel"), taught())
    assert finding is not None
    assert finding.lean is Lean.HOLD
    assert HOLD_AT <= (finding.score or 0) < SPAM_AT


def test_the_filter_gives_no_verdict_before_enough_spam_and_good_texts() -> None:
    spam = comment(SPAMS[0])
    assert look(spam, taught(LEAST - 1)) is None
    assert look(spam, taught(50, goods=LEAST - 1)) is None
    assert look(spam, taught(LEAST)) is not None
    assert opinion_of([5], TokenTable({5: (9, 1)}, messages=(LEAST, LEAST - 1), tokens=(99, 99))) is None
    assert opinion_of([5], TokenTable({5: (9, 1)}, messages=(LEAST, LEAST), tokens=(99, 99))) is not None


@given(st.text(max_size=80), st.integers(0, 30), st.integers(0, 30))
def test_the_filter_never_gives_a_trusted_verdict(text: str, spams: int, goods: int) -> None:
    finding = look(comment(text), taught(spams, goods=goods))
    assert finding is None or finding.lean in {Lean.HOLD, Lean.SPAM}


def test_a_good_verdict_publishes_no_item_that_would_be_held() -> None:
    about = facts(services=Services(tokens=taught()), premoderation="strangers")
    assert judge(comment(GOODS[0]), about, [Learned()], remote=True).status is Status.PENDING


def test_a_word_seen_once_is_hardly_suspicious_on_a_site_with_much_spam() -> None:
    table = TokenTable({1: (1, 0)}, (200, 10), (2000, 100))
    opinion = opinion_of([1, 2, 3], table)
    assert opinion is not None
    assert opinion.probability < 0.6


def test_a_single_strong_token_cannot_decide_the_verdict() -> None:
    table = TokenTable({1: (100_000, 0)}, (1000, 1000), (1_000_000, 1_000_000))
    opinion = opinion_of([1], table)
    assert opinion is not None
    assert opinion.probability < 0.96


def test_the_explanation_names_tokens_of_the_text_both_ways() -> None:
    finding = look(comment("cheap pills about the ferry article https://pills.example"), taught())
    assert finding is not None
    assert "“cheap pills”" in finding.reason
    assert "against: " in finding.reason
    assert "10 spam and 10 good ones" in finding.reason
    assert "nothing" not in finding.reason


def test_tokens_made_with_different_keys_have_no_hash_in_common() -> None:
    """The table alone does not reveal its words, and guessing them needs the key."""
    mine, other = features(Writing(text=SPAMS[0]), KEY), features(Writing(text=SPAMS[0]), b"another")
    assert set(mine.values()) == set(other.values())
    assert not set(mine) & set(other)


def an_item(text: str) -> Item:
    at = datetime(2026, 1, 13, tzinfo=UTC)
    return Item(
        id=7, kind=Kind.COMMENT, status=Status.SPAM, awaiting=None, version=2, article="ferry", article_title="",
        article_url="", author="Åsa", email="a@example.org", url="https://a.example/", author_id=None, text=text,
        html="", policy="", parent=None, source_url=None, title=None, blog_name=None, ip=None, user_agent=None,
        referrer=None, text_key="", created_at=at, edited_at=None,
    )  # fmt: skip


def test_an_item_has_the_same_tokens_as_its_submission() -> None:
    submission = comment("Hello", email="a@example.org", url="https://a.example/")
    assert Writing.of(submission) == Writing.of(an_item("Hello"))
    assert Writing.of(ping()).url == "https://blog.example.net/ferry"


def test_learning_twice_has_no_effect_and_unlearning_removes_all_counts() -> None:
    counts = MemoryTokenCounts(KEY)
    item = an_item(SPAMS[0])
    assert learn(counts, item, True)
    assert not learn(counts, item, True)
    assert learn(counts, replace(item, status=Status.APPROVED), None)
    assert counts.lookup(features(Writing.of(item), KEY).keys()) == TokenTable({}, (0, 0), (0, 0))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("visit HTTPS://WWW.Pills.example/Free-Trial?x=1", "@pills.example"),
        ("visit HTTPS://WWW.Pills.example/Free-Trial?x=1", "/trial"),
        ("visit <a href='https://pills.example'>us</a>", "@pills.example"),
        ("v&#105;sit сheap shops", "=cheap"),
        ("we love ❤ it", "=❤"),
        ("call 555123", "=000000"),
        ("subscribers", "<subs"),
        ("subscribers", ">ers"),
        ("two words", "+two words"),
        ("LOUD TEXT", "#capitals: 4 of 4"),
    ],
)
def test_tokens_of_a_text_are_extracted(text: str, label: str) -> None:
    assert label in features(Writing(text=text), KEY).values()


@given(st.text(max_size=300))
def test_tokens_of_any_text_are_extracted_and_explained(text: str) -> None:
    for number, label in features(Writing(text=text, email="a@b.example", url=text), KEY).items():
        assert -(2**63) <= number < 2**63
        assert told(label)


def test_the_tokens_of_an_endless_text_are_limited() -> None:
    assert len(features(Writing(text="word " * 100_000), KEY)) < 40
    different = " ".join(f"word{chr(97 + number % 26)}{number}x" for number in range(20_000))
    assert len(features(Writing(text=different), KEY)) < 3 * MOST_WORDS + 20


def test_word_pairs_depend_on_the_order_of_the_words() -> None:
    one, other = features(Writing(text="good bad"), KEY), features(Writing(text="bad good"), KEY)
    assert {label for number, label in one.items() if number not in other} == {"+good bad"}
