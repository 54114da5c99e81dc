"""The filter that learns: what it reads, when it speaks, and what it never does."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.spam import OWN
from moderate.checks.base import Services, judge
from moderate.learned.check import (
    ENOUGH,
    HOLD_AT,
    LEAST,
    SPAM_AT,
    Learned,
    explained,
    lean_of,
    learn,
    learn_writing,
    opinion_of,
)
from moderate.learned.tokens import MOST_WORDS, Writing, features, told
from moderate.model import Finding, Item, Kind, Lean, Status
from moderate.ports import TokenTable
from moderate.text.similarity import Alike
from tests.stand_ins import MemoryTokenCounts
from tests.unit.checks.cases import comment, facts, ping

if TYPE_CHECKING:
    from moderate.model import Submission

KEY = b"a key of this site"
SPAMS = ["Buy cheap pills at https://pills.example now!!!", "CHEAP PILLS subscribe to my channel", "free pills free"]
GOODS = ["I love this song, what a voice", "The ferry was late again today", "Thanks for the article, well written"]


def taught(times: int = LEAST, *, goods: int | None = None, name: str = "") -> MemoryTokenCounts:
    counts = MemoryTokenCounts(KEY)
    for number in range(times):
        learn_writing(counts, number, Writing(text=SPAMS[number % 3], author=name), True)
    for number in range(times if goods is None else goods):
        learn_writing(counts, 1000 + number, Writing(text=GOODS[number % 3], author="Åsa"), False)
    return counts


def look(submission: Submission, counts: MemoryTokenCounts) -> Finding | None:
    return Learned().look(submission, facts(services=Services(tokens=counts)))


def test_text_like_earlier_spam_is_spam_and_good_text_passes() -> None:
    finding = look(comment("cheap pills, subscribe to my channel https://pills.example"), taught(ENOUGH))
    assert finding is not None
    assert finding.lean is Lean.SPAM
    assert finding.score is not None
    assert finding.score >= SPAM_AT
    assert look(comment("what a voice, I love this article"), taught(ENOUGH)) is None


def test_text_somewhat_like_spam_is_held() -> None:
    finding = look(comment("the song about the free channel http://other.example"), taught())
    assert finding is not None
    assert finding.lean is Lean.HOLD
    assert HOLD_AT <= (finding.score or 0) < SPAM_AT


def test_the_filter_only_holds_until_it_has_learned_enough() -> None:
    spam = comment(SPAMS[0])
    for counts in (taught(LEAST), taught(ENOUGH - 1), taught(200, goods=ENOUGH - 1)):
        finding = look(spam, counts)
        assert finding is not None
        assert finding.lean is Lean.HOLD
        assert (finding.score or 0) > SPAM_AT
    finding = look(spam, taught(ENOUGH))
    assert finding is not None
    assert finding.lean is Lean.SPAM


def test_no_text_is_spam_by_its_words_alone() -> None:
    """Short thanks look like the spam that begins with thanks."""
    finding = look(comment("CHEAP PILLS subscribe to my channel"), taught(200))
    assert finding is not None
    assert finding.lean is Lean.HOLD
    assert (finding.score or 0) > SPAM_AT
    assert "besides words: nothing" in finding.reason


def test_the_bars_are_the_higher_the_less_was_learned() -> None:
    assert [lean_of(0.75, least, False) for least in (10, 20, 50, 1000)] == [None, None, Lean.HOLD, Lean.HOLD]
    assert [lean_of(0.46, least, True) for least in (10, 1000)] == [Lean.HOLD, Lean.HOLD]
    assert [lean_of(0.975, least, True) for least in (49, 50, 100, 200)] == [Lean.HOLD] * 3 + [Lean.SPAM]
    assert [lean_of(0.39, least, sign) for least in (10, 1000) for sign in (True, False)] == [None] * 4


def test_a_name_known_from_spam_is_a_sign() -> None:
    text = "CHEAP PILLS subscribe to my channel"
    finding = look(comment(text, author="Pill Palace"), taught(ENOUGH, name="pill PALACE"))
    assert finding is not None
    assert finding.lean is Lean.SPAM
    assert "besides words: a name known from spam" in finding.reason
    unknown = look(comment(text, author="Åsa"), taught(ENOUGH, name="Åsa"))
    assert unknown is not None
    assert unknown.lean is Lean.HOLD


@pytest.mark.parametrize(("status", "lean"), [(Status.SPAM, Lean.SPAM), (Status.APPROVED, Lean.HOLD)])
def test_a_repeat_of_spam_is_a_sign(status: Status, lean: Lean) -> None:
    alike = (Alike(3, Kind.COMMENT, status, "ferry", "", None),)
    about = replace(facts(services=Services(tokens=taught(ENOUGH))), alike=alike)
    finding = Learned().look(comment("CHEAP PILLS subscribe to my channel"), about)
    assert finding is not None
    assert finding.lean is lean


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
    assert "besides words: a link" in finding.reason
    assert "nothing" not in finding.reason


def invented() -> tuple[list[tuple[Submission, int]], list[tuple[Submission, int]]]:
    """Return the good and the spam texts of the benchmarks, each with a number."""
    kinds: tuple[list[tuple[Submission, int]], list[tuple[Submission, int]]] = ([], [])
    for number, line in enumerate(OWN.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        made = comment(row["text"], author=row.get("author", ""), email=row.get("email"), url=row.get("url"))
        kinds[row["is_spam"]].append((made, number))
    return kinds


@pytest.mark.parametrize("decisions", [20, 100])
def test_a_young_site_marks_no_short_thanks_and_holds_most_spam(decisions: int) -> None:
    """Unseen short texts in many languages, by authors without a website, and unseen spam."""
    good, spam = invented()
    brief = [row for row in good if len(row[0].body.raw) <= 60 and not row[0].url]
    short = [text for text, _ in brief[::2]]
    others = [row for row in good if row not in brief[::2]]
    held = found = marked = 0
    for seed in range(2):
        order = random.Random(seed)
        order.shuffle(others)
        order.shuffle(spam)
        counts = MemoryTokenCounts(KEY)
        for pair in zip(others[:decisions], spam[:decisions], strict=True):
            for is_spam, (text, number) in enumerate(pair):
                learn_writing(counts, number, Writing.of(text), bool(is_spam))
        findings = [finding for text in short if (finding := look(text, counts))]
        held += len(findings)
        marked += sum(finding.lean is Lean.SPAM for finding in findings)
        found += sum(look(text, counts) is not None for text, _ in spam[decisions:])
    assert marked == 0
    assert held <= 0.15 * 2 * len(short)
    assert found >= 0.6 * 2 * (len(spam) - decisions)


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


def test_the_explanation_counts_what_both_classifiers_believe() -> None:
    table = TokenTable({1: (5, 5), 2: (5, 5)}, (50, 50), (500, 500), {1: 0.5, 2: -0.2}, 0.1)
    opinion = opinion_of([1, 2], table)
    assert opinion is not None
    why = explained(opinion, {1: "=cheap", 2: "=ferry"}, table, [])
    assert "for spam: “cheap”; against: “ferry”; " in str(why)
    assert opinion.probability > 0.5


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([True, False, None])), max_size=30))
def test_teaching_and_taking_back_in_any_order_leaves_exactly_nothing(acts: list[tuple[int, bool | None]]) -> None:
    counts = taught(LEAST)
    texts = [Writing(text=text) for text in (SPAMS[0], GOODS[0], "cheap ferry", "")]
    everything = [*{token for text in texts for token in features(text, KEY)}, 99]
    before = counts.lookup(everything)
    for item, is_spam in [*acts, *((item, None) for item in range(4))]:
        learn_writing(counts, 5000 + item, texts[item], is_spam)
    after = counts.lookup(everything)
    assert (after.messages, after.tokens, after.bias) == (before.messages, before.tokens, pytest.approx(before.bias))
    for token in everything:
        assert after.counts.get(token, (0, 0)) == before.counts.get(token, (0, 0))
        assert after.weights.get(token, 0.0) == pytest.approx(before.weights.get(token, 0.0), abs=1e-9)


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
        ("visit https://pills.example", "!link"),
        ("ch3ap pi11s", "=cheap"),
        ("c h e a p p i l l s", "=cheappills"),
        ("ありがとう", "_がと"),
        ("ขอบคุณ", "_ขอ"),
        ("Telegram @Pill_Bot", "&@pill_bot"),
        ("call +1 555 0133", "&15550133"),
    ],
)
def test_tokens_of_a_text_are_extracted(text: str, label: str) -> None:
    assert label in features(Writing(text=text), KEY).values()


def test_tokens_of_the_name_and_the_address_of_an_author_are_extracted() -> None:
    writing = Writing(text="", author="Cheap Pills 24", url="https://cheap-pills.example/now")
    found = set(features(writing, KEY).values())
    assert {"~cheap", "~pills", "~cheap pills 00", "#words in the name: 3", "#digits in the name: 2"} <= found
    assert {"@cheap-pills.example", "/cheap", "/pills", "/now", "!site"} <= found


@given(st.text(max_size=300))
def test_tokens_of_any_text_are_extracted_and_explained(text: str) -> None:
    for number, label in features(Writing(text=text, email="a@b.example", url=text, author=text[::-1]), KEY).items():
        assert -(2**63) <= number < 2**63
        assert told(label)


def test_the_tokens_of_an_endless_text_are_limited() -> None:
    assert len(features(Writing(text="word " * 100_000), KEY)) < 40
    different = " ".join(f"word{chr(97 + number % 26)}{number}x" for number in range(20_000))
    assert len(features(Writing(text=different), KEY)) < 3 * MOST_WORDS + 20


def test_word_pairs_depend_on_the_order_of_the_words() -> None:
    one, other = features(Writing(text="good bad"), KEY), features(Writing(text="bad good"), KEY)
    assert {label for number, label in one.items() if number not in other} == {"+good bad"}
