"""Nearly equal texts are found in the store, by index."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from moderate.model import Status
from moderate.text.similarity import near_text
from tests.factories import HELD, NOON, SPAM, a_comment
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
    return store.earlier.near_text(a_comment(words).text_key, near, NOON - HOUR)


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
