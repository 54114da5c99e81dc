"""Texts that are nearly equal are found to be so; others are not."""

from __future__ import annotations

import random
from datetime import timedelta
from hashlib import blake2b
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.checks.history import Repeat
from moderate.model import Kind, Lean, Status
from moderate.text.similarity import NEAR, Alike, near_text
from tests.unit.checks.cases import Past, comment, facts, ping

SPAM = (
    "Dear friends, our certified wholesale pharmacy delivers genuine medicine overnight, order number 48213 is"
    " waiting, satisfied customers everywhere recommend these amazing discount prices, contact support today"
)
OTHER = (
    "The ferry was late again this morning and nobody at the harbour told the passengers why, so that we waited"
    " for two hours in the pouring rain without any shelter, which the council had promised last summer"
)


def changed(text: str, seed: int) -> str:
    """Two neighbours swapped, one word replaced, another number, zero-width characters, some padding."""
    dice = random.Random(seed)
    words = text.replace("48213", str(dice.randrange(10**6))).split()
    place = dice.randrange(len(words) - 1)
    words[place : place + 2] = reversed(words[place : place + 2])
    words[dice.randrange(len(words))] = "".join(dice.choices("abcdefghijklmnop", k=7))
    hidden = dice.randrange(len(words))
    words[hidden] = "\u200b".join(words[hidden])
    return " ".join([*words, "".join(dice.choices("qrstuvwxyz", k=6))])


def is_near(one: str, other: str) -> bool:
    first, second = near_text(one), near_text(other)
    assert first is not None
    assert second is not None
    return bool(set(first.bands) & set(second.bands)) and first.distance(second.simhash) <= NEAR


def test_a_text_with_small_changes_is_found_in_nearly_all_cases() -> None:
    found = sum(is_near(SPAM, changed(SPAM, seed)) for seed in range(200))
    assert found >= 190


@pytest.mark.parametrize(
    "same",
    [
        SPAM.upper(),
        SPAM.replace("48213", "7"),
        "\u200b".join(SPAM),
        " ".join(reversed(SPAM.split())),
        SPAM.replace("pharmacy", "<b>pharmacy</b>"),
        SPAM.replace("a", "а"),
        SPAM.replace(" ", "&nbsp; "),
    ],
)
def test_invisible_differences_are_ignored(same: str) -> None:
    assert near_text(same) == near_text(SPAM)


def test_different_texts_are_not_near() -> None:
    dice = random.Random(1)
    # Far more words in common than any two texts have.
    vocabulary = sorted({word for word in (SPAM + " " + OTHER).split() if len(word) > 4})
    texts = [" ".join(dice.sample(vocabulary, 10)) for _ in range(60)]
    assert not is_near(SPAM, OTHER)
    pairs = [(one, other) for index, one in enumerate(texts) for other in texts[:index]]
    assert sum(is_near(*pair) for pair in pairs) <= len(pairs) / 50


@pytest.mark.parametrize("text", ["Thanks!", "What a great article, thank you so much!", "", "+1 " * 400, "😀" * 500])
def test_a_short_text_is_never_near_another_text(text: str) -> None:
    assert near_text(text) is None


def test_scripts_without_spaces_are_read_too() -> None:
    text = "今天早上渡轮又晚点了港口没有人告诉乘客原因我们在雨中等了两个小时"
    assert is_near(text, text + "真的")


@given(st.text(max_size=300))
def test_the_hashes_of_any_text_fit_the_columns(text: str) -> None:
    near = near_text((text + " ") * 2 + OTHER)
    assert near is not None
    assert -(2**63) <= near.simhash < 2**63
    assert all(-(2**31) <= band < 2**31 for band in near.bands)


@pytest.mark.parametrize(
    ("text", "simhash", "bands"),
    [
        (
            "The ferry at platform 12b was late_again, see C3PO and https://harbour.example/log for winter delays",
            1181223549263548866,
            (-164446820, 1876408343, -100975964, 566110314),
        ),
        (
            "昨日の船はまた遅れました。港の記録によると、強風のため12時間 delayed の予定です。",
            -4254269548870938991,
            (372312051, 427089535, -1290685525, 808206572),
        ),
        (
            "Größere Fähren würden bei Sturm später ablegen, ｆｕｌｌ width Ⅳ und ½ Stunden wären wahrscheinlich genug",
            2404973438081736875,
            (779425202, 1653343140, 1719806965, -1291446576),
        ),
    ],
    ids=["ASCII", "Japanese", "Latin"],
)
def test_new_hashes_are_comparable_with_stored_ones(text: str, simhash: int, bands: tuple[int, ...]) -> None:
    near = near_text(text)
    assert near is not None
    assert (near.simhash, near.bands) == (simhash, bands)


@pytest.mark.parametrize("number", [8, 9, 255, 256, 257, 20_001])
def test_the_simhash_has_the_bits_of_most_words_of_a_text_of_any_length(number: int) -> None:
    text = "".join(map(chr, random.Random(number).choices(range(0x4E00, 0x9FA0), k=number + 1)))
    words = set(map("".join, pairwise(text)))
    hashes = [int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big") for word in words]
    bits = [sum(value >> place & 1 for value in hashes) > len(words) // 2 for place in range(64)]
    near = near_text(text)
    assert near is not None
    assert near.simhash % 2**64 == sum(is_set << place for place, is_set in enumerate(bits))


@given(st.text("abc12_-'\n\t\x1f ", max_size=300))
def test_words_are_the_same_in_a_text_of_ascii_and_in_any_other(text: str) -> None:
    text = f"{text} {OTHER}"
    assert near_text(text) == near_text(f"{text} é")


def earlier(count: int, *, articles: int = 1, status: Status = Status.PENDING) -> Past:
    past = Past()
    for number in range(count):
        near = near_text(changed(SPAM, number))
        assert near is not None
        past.alike.append(Alike(number, Kind.COMMENT, status, f"a{number % articles}", str(number), near.simhash))
    return past


def test_nearly_the_same_text_is_held_from_the_third_on() -> None:
    assert Repeat().look(comment(SPAM), facts(earlier=earlier(1))) is None
    finding = Repeat().look(comment(SPAM), facts(earlier=earlier(2)))
    assert finding is not None
    assert finding.lean is Lean.HOLD
    assert "nearly the same text came 2 times" in finding.reason


def test_nearly_the_same_excerpt_of_a_ping_is_held_from_the_fourth_on() -> None:
    """One post may ping several articles."""
    assert Repeat().look(ping(SPAM), facts(earlier=earlier(2))) is None
    assert Repeat().look(ping(SPAM), facts(earlier=earlier(3))) is not None


def test_a_flood_of_nearly_equal_texts_over_articles_is_spam() -> None:
    finding = Repeat().look(comment(SPAM), facts(earlier=earlier(6, articles=6)))
    assert finding is not None
    assert (finding.lean, finding.score) == (Lean.SPAM, 6.0)


def test_texts_in_the_trash_and_distant_texts_do_not_count() -> None:
    assert Repeat().look(comment(SPAM), facts(earlier=earlier(6, status=Status.TRASH))) is None
    past = earlier(0)
    other = near_text(OTHER)
    assert other is not None
    past.alike = [Alike(number, Kind.COMMENT, Status.SPAM, "a", "x", other.simhash) for number in range(9)]
    assert Repeat().look(comment(SPAM), facts(earlier=past)) is None


def test_an_item_is_not_a_repeat_of_itself() -> None:
    past = earlier(2)
    assert Repeat().look(comment(SPAM), facts(earlier=past, item_id=1)) is None


def test_only_the_last_day_counts() -> None:
    past = earlier(0)
    asked = facts(earlier=past)
    Repeat().look(comment(SPAM), asked)
    assert past.since == asked.now - timedelta(days=1)
