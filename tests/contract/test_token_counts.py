"""The contract of the learned filter's counts, in memory and on each database. See `moderate.ports.TokenCounts`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from moderate.database.engine import Database
from moderate.errors import ServiceDown
from moderate.learned.sql import SqlTokenCounts
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
    yield SqlTokenCounts(database, lambda: b"key")
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
        done = list(pool.map(lambda number: counts.teach(number // 2, [5, 6, number // 2 + 100], True), range(40)))
    table = counts.lookup([5, 6, 100])
    assert done.count(True) == 20
    assert table.counts == {5: (20, 0), 6: (20, 0), 100: (1, 0)}
    assert table.messages == (20, 0)


def test_thousands_of_tokens_are_looked_up_in_one_call(counts: TokenCounts) -> None:
    counts.teach(1, range(-2000, -1000), True)
    assert len(counts.lookup(range(-3000, 0)).counts) == 1000


def test_a_database_without_tables_is_an_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(ServiceDown, match="db upgrade"):
        SqlTokenCounts(database, lambda: b"key").lookup([1])
    database.dispose()
