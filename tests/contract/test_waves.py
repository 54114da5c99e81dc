"""Bursts and waves in the store: all processes agree, and everything is over some time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.akismet.sql import AccountNotes
from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.lifecycle import Burst, Suspicion
from moderate.waves.sql import Waves
from tests.factories import HELD, NOON, a_comment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moderate.store.store import Store

MINUTE = timedelta(minutes=1)
LATER = NOON + 30 * MINUTE


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.dispose()


@pytest.fixture
def waves(database: Database) -> Waves:
    return Waves(database)


def test_the_hourly_removal_of_bursts_waits_for_no_writer_where_none_is_over(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/site.db")
    upgrade(database)
    waves = Waves(database)
    waves.count(Suspicion(["site"], 600), 10, NOON)
    with closing(sqlite3.connect(tmp_path / "site.db", timeout=0, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        waves.forget(NOON - MINUTE)
    waves.forget(LATER)
    assert waves.count(Suspicion(["site"], 6000), 12, LATER)["site"].seen == 1
    database.dispose()


def test_a_burst_counts_what_looked_like_spam_and_what_came_in_all(waves: Waves) -> None:
    for item in (10, 11, 19):
        counted = waves.count(Suspicion(["site", "article:a"], 600), item, NOON)
    assert (counted["site"].seen, counted["site"].received) == (3, 10)


def test_a_burst_that_is_over_begins_anew(waves: Waves) -> None:
    waves.count(Suspicion(["site"], 600), 1, NOON)
    assert waves.count(Suspicion(["site"], 600), 9, NOON + 9 * MINUTE)["site"].seen == 2
    again = waves.count(Suspicion(["site"], 600), 20, NOON + 10 * MINUTE)["site"]
    assert (again.seen, again.received) == (1, 1)
    assert waves.count(Suspicion(["site"], 600), 21, NOON + 19 * MINUTE)["site"].seen == 2


def test_the_first_under_one_name_counts_under_another_as_well(waves: Waves) -> None:
    first = waves.count(Suspicion(["sender:a", "site"], 600, ("sender:a", "senders")), 1, NOON)
    assert {name: burst.seen for name, burst in first.items()} == {"sender:a": 1, "site": 1, "senders": 1}
    again = waves.count(Suspicion(["sender:a", "site"], 600, ("sender:a", "senders")), 2, NOON)
    assert {name: burst.seen for name, burst in again.items()} == {"sender:a": 2, "site": 2}
    other = waves.count(Suspicion(["sender:b", "site"], 600, ("sender:b", "senders")), 3, NOON)
    assert (other["senders"].seen, other["senders"].received) == (2, 3)


def test_a_suspicious_item_is_counted_in_the_transaction_that_stores_it(store: Store) -> None:
    def record(text: str, minutes: int = 0, sender: str = "sender:a", *, in_wave: bool = False) -> dict[str, Burst]:
        suspicion = Suspicion([sender, "site", "text:a"], 600, (sender, "senders"), in_wave)
        return dict(store.items.record(a_comment(text), HELD, [], NOON + minutes * MINUTE, suspicion).bursts)

    one = Burst(1, 1)
    assert record("1") == {"sender:a": one, "site": one, "text:a": one, "senders": one}
    assert store.items.record(a_comment("clean"), HELD, [], NOON).bursts == {}
    two = Burst(2, 3)
    assert record("3", 9) == {"sender:a": two, "site": two, "text:a": two}
    three = Burst(3, 4)
    assert record("4", 9, "sender:b") == {"sender:b": one, "site": three, "text:a": three, "senders": Burst(2, 4)}
    assert record("5", 10) == {"sender:a": one, "site": one, "text:a": one, "senders": one}
    waves = Waves(store.database)
    assert waves.begin("a flood", NOON, LATER) is not None
    assert record("6", 10, in_wave=True)["site"] == Burst(2, 2)
    now_open = waves.open()
    assert now_open is not None
    assert now_open.seen == 2
    assert store.counters.totals().pending == 6
    assert not any(store.counters.recount(repair=False))


def test_an_open_wave_is_not_begun_again(waves: Waves) -> None:
    begun = waves.begin("a flood", NOON, LATER)
    assert begun is not None
    assert waves.begin("another flood", NOON, LATER) is None
    assert waves.open() == begun
    waves.count(Suspicion(["site"], 600, in_wave=True), 1, NOON)
    now_open = waves.open()
    assert now_open is not None
    assert now_open.seen == 2


def test_a_wave_grows_longer_and_never_shorter(waves: Waves) -> None:
    begun = waves.begin("a flood", NOON, LATER)
    assert begun is not None
    waves.prolong(begun.id, LATER + MINUTE)
    waves.prolong(begun.id, LATER)
    found = waves.open()
    assert found is not None
    assert found.until == LATER + MINUTE


def test_one_process_ends_a_wave_and_only_when_its_time_is_over(waves: Waves) -> None:
    begun = waves.begin("a flood", NOON, LATER)
    assert begun is not None
    assert not waves.end(begun.id, LATER - MINUTE)
    assert [waves.end(begun.id, LATER), waves.end(begun.id, LATER)] == [True, False]
    assert waves.open() is None
    assert waves.begin("the next", LATER, LATER + MINUTE) is not None


def test_old_bursts_are_forgotten(waves: Waves) -> None:
    waves.count(Suspicion(["site"], 600), 1, NOON)
    waves.forget(NOON + MINUTE)
    assert waves.count(Suspicion(["site"], 600), 2, NOON + MINUTE)["site"].seen == 1


def test_one_notice_about_the_same_problem_is_due_in_six_hours(database: Database) -> None:
    notes = AccountNotes(database)
    hours = [0, 1, 5, 6, 7, 12.1]
    told = [notes.keep("bad-key", f"{hour}", NOON + timedelta(hours=hour), quiet=6 * 3600) for hour in hours]
    assert told == [True, False, False, True, False, True]
    assert [(note.topic, note.text) for note in notes.all()] == [("bad-key", "12.1")]


def test_dropped_warnings_of_a_service_are_deleted(database: Database) -> None:
    notes = AccountNotes(database)
    for topic in ("alert", "usage"):
        notes.keep(topic, "x", NOON, quiet=60)
    notes.drop({"alert", "bad-key"})
    assert [note.topic for note in notes.all()] == ["usage"]
