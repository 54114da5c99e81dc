"""The contract of the learned filter's counts, in memory and on each database. See `moderate.ports.TokenCounts`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from moderate.database.engine import Database
from moderate.database.schema import learned_items, token_counts
from moderate.errors import ServiceDown
from moderate.learned.sql import SqlTokenCounts
from moderate.testing import ManualClock
from tests.stand_ins import MemoryTokenCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from moderate.ports import TokenCounts

BIG, SMALL = 2**63 - 1, -(2**63)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def counts(request: pytest.FixtureRequest, migrated_database: Callable[[str], str]) -> Iterator[TokenCounts]:
    if request.param == "memory":
        yield MemoryTokenCounts()
        return
    database = Database(migrated_database(request.param))
    yield SqlTokenCounts(database, lambda: b"key", ManualClock())
    database.dispose()


def test_all_counts_are_zero_at_first(counts: TokenCounts) -> None:
    table = counts.lookup([5, 6])
    assert (table.counts, table.messages, table.tokens) == ({}, (0, 0), (0, 0))


def test_tokens_are_counted_by_kind(counts: TokenCounts) -> None:
    assert counts.teach(1, [5, BIG], True)
    assert counts.teach(2, [5, SMALL], False)
    assert counts.teach(3, [5], True)
    table = counts.lookup([5, BIG, SMALL, 999])
    assert table.counts == {5: (2, 1), BIG: (1, 0), SMALL: (0, 1)}
    assert (table.messages, table.tokens) == ((2, 1), (3, 2))


def test_what_items_were_taught_as_is_known(counts: TokenCounts) -> None:
    counts.teach(1, [5], True)
    counts.teach(2, [5], False)
    counts.teach(SMALL, [6], True)
    counts.teach(3, [5], True)
    counts.teach(3, [5], None)
    assert counts.taught([1, 2, 3, 4, SMALL]) == {1: True, 2: False, SMALL: True}
    assert counts.taught([]) == {}


def test_what_was_learned_is_counted_without_what_was_taken_back(counts: TokenCounts) -> None:
    assert counts.extent() == (0, 0)
    counts.teach(1, [5, 6], True)
    counts.teach(-1, [6, BIG], False)
    counts.teach(2, [7], False)
    counts.teach(2, [7], None)
    assert counts.extent() == (1, 3)


def test_a_number_was_seen_when_both_kinds_have_as_many_texts(counts: TokenCounts) -> None:
    counts.teach(1, [5], True)
    counts.teach(2, [5], True)
    assert not counts.has_seen(1)
    counts.teach(3, [6], False)
    assert counts.has_seen(1)
    assert not counts.has_seen(2)
    counts.teach(4, [6], False)
    assert counts.has_seen(2)


def test_that_a_number_was_seen_is_remembered(counts: TokenCounts) -> None:
    """Each comment asks; a site that has learned enough is not asked for it again."""
    counts.teach(1, [5], True)
    counts.teach(2, [5], False)
    assert counts.has_seen(1)
    counts.teach(1, [5], None)
    assert counts.has_seen(1)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mariadb"])
def test_what_other_processes_teach_is_seen_some_seconds_later(
    dialect: str, migrated_database: Callable[[str], str]
) -> None:
    """Each comment asks; a new site does not look for it at each of them."""
    database, clock = Database(migrated_database(dialect)), ManualClock()
    here, elsewhere = (SqlTokenCounts(database, lambda: b"key", clock) for _ in range(2))
    here.teach(1, [5], True)
    assert not here.has_seen(1)
    elsewhere.teach(2, [5], False)
    assert not here.has_seen(1)
    clock.advance(seconds=5)
    assert here.has_seen(1)
    database.dispose()


def test_learning_an_item_twice_counts_once(counts: TokenCounts) -> None:
    assert counts.teach(1, [5, 6], True)
    assert not counts.teach(1, [5, 6], True)
    assert counts.lookup([5]).counts == {5: (1, 0)}


def test_learning_the_other_kind_unlearns_the_first(counts: TokenCounts) -> None:
    counts.teach(1, [5, 6], True)
    assert counts.teach(1, [5, 6], False)
    table = counts.lookup([5, 6])
    assert table.counts == {5: (0, 1), 6: (0, 1)}
    assert (table.messages, table.tokens) == ((0, 1), (0, 2))


def test_unlearning_leaves_no_counts(counts: TokenCounts) -> None:
    counts.teach(1, [5], True)
    assert counts.teach(1, [5], None)
    assert not counts.teach(1, [5], None)
    table = counts.lookup([5])
    assert table.counts.get(5, (0, 0)) == (0, 0)
    assert (table.messages, table.tokens) == ((0, 0), (0, 0))


def test_what_a_step_added_is_subtracted_again(counts: TokenCounts) -> None:
    """The step is kept with the item: what a second call says of it does not count."""
    counts.teach(1, [5, 6], True, 0.25)
    counts.teach(2, [5, BIG], False, -0.125)
    table = counts.lookup([5, 6, BIG, 999])
    assert (table.weights, table.bias) == ({5: 0.125, 6: 0.25, BIG: -0.125}, 0.125)
    assert not counts.teach(1, [5, 6], True, 0.5)
    assert counts.teach(1, [5, 6], False, -0.5)
    table = counts.lookup([5, 6])
    assert (table.weights, table.bias) == ({5: -0.625, 6: -0.5}, -0.625)
    assert counts.teach(1, [5, 6], None, 7.0)
    assert counts.teach(2, [5, BIG], None)
    table = counts.lookup([5, 6, BIG])
    assert {*table.weights.values(), table.bias} == {0.0}


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mariadb"])
def test_items_that_an_older_version_learned_have_no_weight_and_can_be_taken_back(
    dialect: str, migrated_database: Callable[[str], str]
) -> None:
    """They were counted with other tokens, and their rows have the defaults of the new columns."""
    database = Database(migrated_database(dialect))
    rows = [{"token": token, "spam": spam, "good": 0} for token, spam in ((0, 1), (1, 2), (5, 1), (6, 1))]
    with database.write() as conn:
        conn.execute(insert(token_counts), rows)
        conn.execute(insert(learned_items).values(item_id=1, is_spam=True))
    counts = SqlTokenCounts(database, lambda: b"key", ManualClock())
    table = counts.lookup([5, 6])
    assert (table.counts, table.weights, table.bias) == ({5: (1, 0), 6: (1, 0)}, {5: 0.0, 6: 0.0}, 0.0)
    assert counts.teach(1, [5, 7, 8], False, -0.5)
    table = counts.lookup([5, 6, 7, 8])
    assert table.counts == {5: (0, 1), 6: (1, 0), 7: (0, 1), 8: (0, 1)}
    assert (table.messages, table.tokens) == ((0, 1), (0, 3))
    assert (table.weights, table.bias) == ({5: -0.5, 6: 0.0, 7: -0.5, 8: -0.5}, -0.5)
    database.dispose()


def test_no_count_is_ever_negative(counts: TokenCounts) -> None:
    """A text that was edited after it was learned has other tokens than those that were counted."""
    counts.teach(1, [5], True)
    counts.teach(1, [6, 7, 8], None)
    counts.teach(2, [6], True)
    table = counts.lookup([5, 6])
    assert table.counts == {5: (1, 0), 6: (1, 0)}
    assert min(table.messages + table.tokens) >= 0


def test_concurrent_learning_loses_no_counts(counts: TokenCounts) -> None:
    """Each item is taught by two of them, as where a worker died and another took its task."""
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: counts.teach(n // 2, [5, 6, n // 2 + 100], True, 0.25), range(40)))
    table = counts.lookup([5, 6, 100])
    assert (table.weights, table.bias) == ({5: 5.0, 6: 5.0, 100: 0.25}, 5.0)
    assert done.count(True) == 20
    assert table.counts == {5: (20, 0), 6: (20, 0), 100: (1, 0)}
    assert table.messages == (20, 0)


def test_thousands_of_tokens_are_looked_up_in_one_call(counts: TokenCounts) -> None:
    counts.teach(1, range(-2000, -1000), True)
    assert len(counts.lookup(range(-3000, 0)).counts) == 1000


def test_a_database_without_tables_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(ServiceDown, match="db upgrade"):
        SqlTokenCounts(database, lambda: b"key", ManualClock()).lookup([1])
    database.dispose()
