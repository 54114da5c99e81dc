"""Nearly equal texts are found in the store, by index."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from moderate.lifecycle import Overrides
from moderate.model import Decision, Status
from moderate.text.similarity import near_text
from tests.factories import APPROVED, HELD, NOON, SPAM, a_comment
from tests.unit.checks.test_near import OTHER, changed
from tests.unit.checks.test_near import SPAM as ADVERT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.store.store import Store
    from moderate.text.similarity import Alike

HOUR = timedelta(hours=1)


def found(store: Store, words: str = ADVERT) -> Sequence[Alike]:
    near = near_text(words)
    assert near is not None
    alike = store.earlier.near_text(a_comment(words).text_key, near, NOON - HOUR)
    # With what is set for an article, or for one that nobody knows.
    known = [store.earlier.known(key, a_comment(words).text_key, near, NOON - HOUR) for key in ("a1", "unknown")]
    assert known == [(store.articles.overrides("a1"), alike), (Overrides(), alike)]
    return alike


def test_what_is_set_for_the_article_comes_in_the_same_query(store: Store) -> None:
    store.articles.set_overrides("a1", Overrides(comments_open=False, premoderation="strangers"), NOON)
    assert found(store) == []
    store.items.record(a_comment(ADVERT, "a1"), SPAM, [], NOON)
    assert len(found(store)) == 1


def test_similar_texts_are_found_on_all_articles_newest_first(store: Store) -> None:
    for number in range(12):
        store.items.record(a_comment(changed(ADVERT, number), f"a{number}"), SPAM, [], NOON)
        store.items.record(a_comment(f"{OTHER} {number}", f"a{number}"), HELD, [], NOON)
    alike = found(store)
    assert len(alike) >= 10
    assert {one.status for one in alike} == {Status.SPAM}
    assert [one.id for one in alike] == sorted((one.id for one in alike), reverse=True)
    near = near_text(ADVERT)
    assert near is not None
    assert all(one.simhash is not None and near.distance(one.simhash) < 20 for one in alike)


def test_older_texts_are_not_reported(store: Store) -> None:
    store.items.record(a_comment(ADVERT), SPAM, [], NOON - 2 * HOUR)
    assert found(store) == []


def test_a_changed_text_is_found_by_its_new_content(store: Store) -> None:
    item = store.items.record(a_comment(OTHER), HELD, [], NOON).item
    store.items.revise(item.id, a_comment(ADVERT), HELD, [], NOON)
    assert [one.id for one in found(store)] == [item.id]
    assert found(store, OTHER) == []


def test_at_most_a_hundred_similar_texts_are_found_by_index(store: Store) -> None:
    for number in range(130):
        store.items.record(a_comment(changed(ADVERT, number), f"a{number}"), SPAM, [], NOON)
    assert 20 <= len(found(store)) <= 100
    if store.database.dialect == "sqlite":
        plan = "EXPLAIN QUERY PLAN SELECT id FROM moderate_items WHERE near_1 = 5 ORDER BY id DESC LIMIT 20"
        with store.database.read() as conn:
            assert "ix_moderate_items_near_1_id" in str(conn.execute(text(plan)).all())


def test_the_newest_public_texts_are_given_as_they_begin(store: Store) -> None:
    store.items.record(a_comment("Held."), HELD, [], NOON)
    store.items.record(a_comment("Oldest."), APPROVED, [], NOON)
    long = "Спасибо, " * 100
    store.items.record(a_comment(long), APPROVED, [], NOON)
    newest = store.items.record(a_comment("Newest."), APPROVED, [], NOON).item
    assert store.earlier.newest_public(2) == ["Newest.", long[:200]]
    store.decisions.decide({newest.id: newest.version}, Decision.TRASH, by="mori", note=None, batch="b", now=NOON)
    assert store.earlier.newest_public(2) == [long[:200], "Oldest."]
