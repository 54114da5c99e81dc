"""The results of moderators' searches on every store and in every script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, update

from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.database.schema import items
from moderate.model import Decision, ItemFilter, Status
from moderate.store import search
from moderate.store.rows import NEAR
from moderate.store.search import MOST_TERMS, asked_terms, terms_of, update_index
from moderate.store.store import Store
from tests.factories import APPROVED, HELD, NOON, a_comment, a_ping, decide_one

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
    return [item.id for item in store.queue.page(ItemFilter(q=query or None, **also), cursor=None, limit=50).items]


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


# SQLite asks its index for the newest ones.
@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_a_page_of_the_newest_items_is_found_without_an_index_that_puts_all_words_together(store: Store) -> None:
    for number in range(4):
        store.items.record(a_comment(f"ferry{number}"), HELD, [], NOON)
    asked: list[str] = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    found_now = store.queue.page(ItemFilter(q="ferr"), cursor=None, limit=3)
    assert [item.id for item in found_now.items] == [4, 3, 2]
    assert asked
    assert not [statement for statement in asked if "@@" in statement or "MATCH" in statement]


@pytest.mark.parametrize("query", ["word{}", "\u4e00{}"])
@pytest.mark.parametrize("cursor", [None, 4000])
def test_postgresql_plans_a_search_for_its_own_words(pg_url: str, query: str, cursor: int | None) -> None:
    store = Store(Database(pg_url))
    upgrade(store.database)
    kept = "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements WHERE statement LIKE '%%@@%%'"
    for number in range(12):
        which = ItemFilter(q=query.format(chr(0x4E00 + number)))
        assert not store.queue.page(which, cursor=cursor, limit=50).items
    with store.database.read() as conn:
        assert conn.exec_driver_sql(kept).scalar() == 0
    store.database.dispose()


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


def test_terms_are_comparable_with_stored_ones() -> None:
    values = {"author": "Renée", "email": "a_b@mail.example", "text": "C++ and C# in 昨日の船 ☃ Ⅳ R2D2 e\u0301té"}
    assert terms_of(values) == (
        "wwrenee wwa wwb wwmail wwexample wwcq0002bq0002b wwcq00023 wwc wwand wwin"
        " cwwq06628q065e5 cwwq065e5q0306e cwwq0306eq08239 cwwq08239 wwiv wwr2d2 wwete wwq02603"
    )


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


# --- items that an older version has stored ----------------------------------------------------------


def write_as_before(store: Store, **columns: object) -> None:
    """Leave the items as a version without these columns, and without terms of hosts, has stored them."""
    with store.database.write() as conn:
        conn.execute(update(items).values(columns))
    store.states.keep("search", {"upto": 0, "is_complete": False}, NOON)


def complete(store: Store) -> int:
    """Complete all items, step by step as if each were the last before a kill; return the number of steps."""
    steps = 1
    while Store(store.database).backfill.run(NOON, lambda: True):
        steps += 1
    return steps


def test_items_of_an_older_version_are_found_once_they_are_completed(store: Store) -> None:
    words = "Great offers on winter boots, jackets and gloves this weekend in our warehouse behind the station"
    for number in range(120):
        store.items.record(a_comment(f"{words} {number}", url=f"https://blog{number % 2}.example/"), HELD, [], NOON)
    update_index(store.database, lag=1)
    write_as_before(store, search=None, **dict.fromkeys(NEAR))
    assert (found(store, "gloves"), found(store, "", like=7)) == ([], [7])
    writes: list[int] = []

    @event.listens_for(store.database.engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, values: list[object], *_: object) -> None:
        if statement.startswith("UPDATE moderate_items"):
            writes.append(len(values))

    assert complete(store) >= 3
    # Each item once, and no more in one transaction than others can wait for.
    assert sum(writes) == 120
    assert max(writes) <= 50
    assert found(store, "gloves 77") == [78]
    assert len(store.queue.versions(ItemFilter(like=7), 200)) == 120
    assert len(store.queue.versions(ItemFilter(host="blog1.example"), 200)) == 60
    assert complete(store) == 1
    assert sum(writes) == 120


def test_items_that_an_older_version_stores_beside_this_one_are_completed_too(store: Store) -> None:
    store.items.record(a_ping("https://blog.example/1"), HELD, [], NOON)
    complete(store)
    store.items.record(a_ping("https://blog.example/2", "about ferries"), HELD, [], NOON)
    with store.database.write() as conn:
        conn.execute(update(items).where(items.c.id == 2).values(search="wwferries wwblog wwexample"))
    assert found(store, "", host="blog.example") == [1]
    assert store.backfill.is_due(NOON)
    # After an upgrade hosts are found by their words until all items have the terms.
    store.states.keep("search", {"upto": 0, "is_complete": False}, NOON)
    assert found(store, "", host="blog.example") == [2, 1]
    complete(store)
    assert found(store, "", host="blog.example") == [2, 1]


def test_a_text_that_changes_while_it_is_completed_is_found_by_its_new_words(store: Store) -> None:
    item = store.items.record(a_comment("about ferries"), HELD, [], NOON).item
    write_as_before(store, search=None)

    @event.listens_for(store.database.engine, "after_cursor_execute")
    def revise(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if "simhash IS NULL" in statement and store.items.get(item.id).version == 1:  # type: ignore[union-attr]
            store.items.revise(item.id, a_comment("about trains"), HELD, [], NOON)

    complete(store)
    assert (found(store, "ferries"), found(store, "trains")) == ([], [item.id])
