"""The results of moderators' searches on every store and in every script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.model import Decision, ItemFilter, Status
from moderate.store import search
from moderate.store.search import MOST_TERMS, asked_terms, terms_of, update_index
from tests.factories import APPROVED, HELD, NOON, a_comment, a_ping, decide_one

if TYPE_CHECKING:
    from moderate.store.store import Store

TEXTS = {
    1: "The ferry was late again, see https://harbour.example/log",
    2: "昨日の会議で市長が予算案を説明した。",
    3: "Die Straße nach Åbo ist GESPERRT",
    4: "ผู้อ่านเขียนถึงบรรณาธิการ",
    5: "ＣＡＳＩＮＯ ﾎﾞｰﾅｽ <b>free</b> chips",
    6: "Паром снова опоздал",
    7: "100% _underscored_ 'quoted\" (AND) OR NOT * : & | ! -minus",
    8: "C++ and C# \U0001f600\U0001f44d\U0001f3fd \U0001f1ef\U0001f1f5 \U0001fae9 \u20ac R&D",
}


@pytest.fixture
def filled(store: Store) -> Store:
    for text in TEXTS.values():
        store.items.record(a_comment(text), HELD, [], NOON)
    return store


def found(store: Store, query: str, **also: object) -> list[int]:
    return [item.id for item in store.queue.page(ItemFilter(q=query, **also), cursor=None, limit=50).items]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ferry", [1]),
        ("FERRY late", [1]),
        ("late ferr", [1]),
        ("harbour.example", [1]),
        ("erry", []),
        ("ferry casino", []),
        ("予算案", [2]),
        ("市長", [2]),
        ("議", [2]),
        ("た", [2]),
        ("市長 説明", [2]),
        ("案予", []),
        ("strasse", [3]),
        ("abo", [3]),
        ("gesperrt", [3]),
        ("บรรณาธิการ", [4]),
        ("casino", [5]),
        ("ボーナス", [5]),
        ("ПАРОМ", [6]),
        ("опозд", [6]),
        ("underscored", [7]),
        ("not", [7]),
        ("mika@mail.example", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("C++", [8]),
        ("c#", [8]),
        ("c+++", []),
        ("C", [8, 5]),
        ("R&D", [8]),
        ("r&n", []),
        ("\U0001f600", [8]),
        ("\U0001f44d", [8]),
        ("\U0001f44d\U0001f3fd", [8]),
        ("\U0001f44d\U0001f3fb", []),
        ("\u2764\ufe0f", []),
        ("\U0001f1ef\U0001f1f5", [8]),
        ("\U0001f1f5\U0001f1ef", []),
        ("\U0001fae9", [8]),
        ("\u20ac \U0001f600 and", [8]),
        ("???", []),
        ("%", []),
        ("' OR 1=1 --", [7]),
        ('"', []),
    ],
)
def test_a_search_finds_words_by_their_beginning_in_any_script(filled: Store, query: str, expected: list[int]) -> None:
    assert found(filled, query) == expected


@pytest.mark.parametrize(
    "text", ["министерство здравоохранения", "Ελληνικότατος", "w", "was it", "𝔘 𠮷野家 😀", "a" * 99]
)
def test_words_of_all_lengths_are_found_by_all_their_beginnings(store: Store, text: str) -> None:
    """By default, databases leave out words that are long, short or common; here no word is left out."""
    item = store.items.record(a_comment(text, author="-", email=None, url=None), HELD, [], NOON).item
    for word in text.split():
        for end in range(1, len(word) + 1):
            assert found(store, word[:end]) == ([item.id] if word.isalnum() or word == "😀" else [])


def test_a_search_goes_with_the_other_filters_and_in_pages(filled: Store) -> None:
    decide_one(filled, 3, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    assert found(filled, "mika", status=Status.SPAM) == [3]
    page = filled.queue.page(ItemFilter(q="mika", status=Status.PENDING), cursor=None, limit=2)
    assert ([item.id for item in page.items], page.next) == ([8, 7], 7)
    page = filled.queue.page(ItemFilter(q="mika", status=Status.PENDING), cursor=7, limit=9)
    assert ([item.id for item in page.items], page.next) == ([6, 5, 4, 2, 1], None)


def test_a_search_follows_the_text(store: Store) -> None:
    item = store.items.record(a_comment("about ferries"), HELD, [], NOON).item
    store.items.revise(item.id, a_comment("about trains"), HELD, [], NOON)
    assert (found(store, "ferries"), found(store, "trains")) == ([], [item.id])
    trashed = decide_one(store, item.id, Decision.TRASH, version=2, by="mo", note=None, now=NOON).item
    assert found(store, "trains") == [trashed.id]
    store.items.delete(item.id, "mo", NOON)
    assert found(store, "trains") == []


def test_a_changed_text_is_found_once_it_is_approved(store: Store) -> None:
    item = store.items.record(a_ping(text="about ferries"), APPROVED, [], NOON).item
    store.items.record(a_ping(text="about trains"), HELD, [], NOON)
    assert (found(store, "ferries"), found(store, "trains")) == ([item.id], [])
    decide_one(store, item.id, Decision.APPROVE, version=2, by="mo", note=None, now=NOON)
    assert (found(store, "ferries"), found(store, "trains")) == ([], [item.id])


def test_a_search_is_the_same_before_and_after_the_index_has_caught_up(store: Store) -> None:
    def fill(start: int) -> None:
        for number in range(start, start + 6):
            store.items.record(a_comment(f"ferry number{number % 3}"), HELD, [], NOON)

    def all_found() -> list[list[int]]:
        return [found(store, query) for query in ("ferry", "number1", "ferry num", "nothing")]

    fill(0)
    before = all_found()
    update_index(store.database, most=4, lag=1)
    assert all_found() == before
    store.items.revise(1, a_comment("about trains"), HELD, [], NOON)
    store.items.revise(6, a_comment("about trains"), HELD, [], NOON)
    assert found(store, "trains") == [6, 1]
    update_index(store.database, lag=1)
    decide_one(store, 1, Decision.TRASH, version=2, by="mo", note=None, now=NOON)
    store.items.delete(1, "mo", NOON)
    assert found(store, "trains") == [6]
    assert found(store, "ferry") == [5, 4, 3, 2]
    assert store.queue.versions(ItemFilter(q="ferry"), 9) == {5: 1, 4: 1, 3: 1, 2: 1}
    fill(6)
    assert found(store, "ferry num") == [12, 11, 10, 9, 8, 7, 5, 4, 3, 2]
    assert store.queue.versions(ItemFilter(q="ferry"), 2) == {12: 1, 11: 1}


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_common_word_is_found_page_by_page(store: Store, is_indexed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "RARE", 5)
    monkeypatch.setattr(search, "RECENT", 3)
    for number in range(12):
        store.items.record(a_comment(f"ferry{'man' if number % 2 else ''} {number}"), HELD, [], NOON)
    if is_indexed:
        update_index(store.database, lag=1)
    pages = [store.queue.page(ItemFilter(q="ferry"), cursor=cursor, limit=5) for cursor in (None, 8, 3)]
    assert [[item.id for item in page.items] for page in pages] == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]


@pytest.mark.parametrize("indexed", [0, 8, 12])
def test_a_common_word_is_found_beyond_the_newest_where_other_filters_pass_those_over(
    store: Store, indexed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "RARE", 3)
    for number in range(1, 13):
        store.items.record(a_comment(f"市長 {number}"), HELD, [], NOON)
        if number == indexed:
            update_index(store.database, lag=1)
    for number in (1, 4, 11):
        decide_one(store, number, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    spam = ItemFilter(q="市長", status=Status.SPAM)
    pages = [store.queue.page(spam, cursor=cursor, limit=2) for cursor in (None, 4)]
    assert [([item.id for item in page.items], page.next) for page in pages] == [([11, 4], 4), ([1], None)]
    pages = [store.queue.page(ItemFilter(q="市長"), cursor=cursor, limit=5) for cursor in (None, 8, 3)]
    assert [[item.id for item in page.items] for page in pages] == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]


@given(st.text(max_size=60))
def test_terms_are_plain_and_each_is_there_once(text: str) -> None:
    terms = terms_of({"text": text}).split()
    assert len(set(terms)) == len(terms)
    assert all(term.isascii() and term.isalnum() and term.islower() for term in terms)


@given(st.text(max_size=60), st.data())
def test_every_searched_part_of_a_text_matches_one_of_its_terms(text: str, data: st.DataObject) -> None:
    terms = terms_of({"text": text}).split()
    asked = asked_terms(text)
    assert all(any(term.startswith(word) if is_start else term == word for term in terms) for word, is_start in asked)


def test_a_long_text_is_found_by_its_beginning() -> None:
    assert len(terms_of({"text": " ".join(f"word{number}" for number in range(9000))}).split()) == MOST_TERMS


@pytest.mark.parametrize("query", ["x" * 200, "予" * 200, "' \" ; \\ % _ ( ) & | ! : * - +", "\u202e\u0301", "ﷺ"])
def test_no_search_breaks(filled: Store, query: str) -> None:
    assert found(filled, query) == []
