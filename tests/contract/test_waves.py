"""Bursts and waves in the store: all processes agree, and everything is over some time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.akismet.sql import AccountNotes
from moderate.database.engine import Database
from moderate.waves.sql import Waves
from tests.factories import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_a_burst_counts_what_looked_like_spam_and_what_came_in_all(waves: Waves) -> None:
    for item in (10, 11, 19):
        counted = waves.count(["site", "article:a"], item, NOON, 600)
    assert (counted["site"].seen, counted["site"].received) == (3, 10)
    assert counted["article:a"].started_at == NOON


def test_a_burst_that_is_over_begins_anew(waves: Waves) -> None:
    waves.count(["site"], 1, NOON, 600)
    assert waves.count(["site"], 9, NOON + 9 * MINUTE, 600)["site"].seen == 2
    again = waves.count(["site"], 20, NOON + 10 * MINUTE, 600)["site"]
    assert (again.seen, again.received, again.started_at) == (1, 1, NOON + 10 * MINUTE)


def test_the_first_under_one_name_counts_under_another_as_well(waves: Waves) -> None:
    first = waves.count(["sender:a", "site"], 1, NOON, 600, firsts={"sender:a": "senders"})
    assert {name: burst.seen for name, burst in first.items()} == {"sender:a": 1, "site": 1, "senders": 1}
    again = waves.count(["sender:a", "site"], 2, NOON, 600, firsts={"sender:a": "senders"})
    assert {name: burst.seen for name, burst in again.items()} == {"sender:a": 2, "site": 2}
    other = waves.count(["sender:b", "site"], 3, NOON, 600, firsts={"sender:b": "senders"})
    assert (other["senders"].seen, other["senders"].received) == (2, 3)


def test_an_open_wave_is_not_begun_again(waves: Waves) -> None:
    begun = waves.begin("a flood", NOON, LATER)
    assert begun is not None
    assert waves.begin("another flood", NOON, LATER) is None
    assert waves.open() == begun
    waves.count(["site"], 1, NOON, 600)
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
    waves.count(["site"], 1, NOON, 600)
    waves.forget(NOON + MINUTE)
    assert waves.count(["site"], 2, NOON + MINUTE, 600)["site"].seen == 1


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
