"""What a list, a filter or the tidy costs does not grow with the table, and lists are the same with each filter."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, insert, update

from moderate.database.engine import Database
from moderate.database.migrate import upgrade
from moderate.database.schema import history, items, samples, tasks
from moderate.lifecycle import RetentionKind
from moderate.model import Awaiting, Decision, ItemFilter, Kind, Status
from moderate.store.moves import derived_columns
from moderate.store.rows import columns_of
from moderate.store.search import update_index
from moderate.store.store import Store
from moderate.tasks.sql import DEAD
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_ping, decide_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEW, MANY = 400, 4000

#: Each with its value for a filter that few or no items match, or that as many match as a page needs.
FILTERS = (
    {},
    {"kind": Kind.COMMENT},
    {"kind": Kind.PINGBACK},
    {"kind": Kind.TRACKBACK},
    {"kind": Kind.TRACKBACK, "status": Status.SPAM},
    {"kind": Kind.PINGBACK, "status": Status.APPROVED},
    {"awaiting": Awaiting.MODERATOR},
    {"awaiting": Awaiting.CHECKS},
    {"awaiting": Awaiting.MODERATOR, "status": Status.APPROVED},
    {"awaiting": Awaiting.MODERATOR, "kind": Kind.COMMENT},
    {"awaiting": Awaiting.MODERATOR, "kind": Kind.TRACKBACK},
    {"decided": 0},
    {"decided": 1},
    {"decided": 1, "status": Status.APPROVED},
    {"article": "thaw"},
    {"article": "thaw", "kind": Kind.PINGBACK},
    {"host": "rare.example"},
    {"host": "none.example"},
    {"host": "often.example"},
    {"host": "rare.example", "status": Status.APPROVED},
    {"like": 1},
    {"like": 1, "kind": Kind.COMMENT},
)


class Steps:
    """A counter of SQLite's steps, in hundreds."""

    def __init__(self, database: Database) -> None:
        self.done = 0
        event.listen(database.engine, "connect", self._watch)

    def _watch(self, raw: Any, _: Any) -> None:
        raw.set_progress_handler(self._count, 100)

    def _count(self) -> int:
        self.done += 1
        return 0

    def of(self, work: Callable[[], object]) -> int:
        work()
        before = self.done
        work()
        return self.done - before


@pytest.fixture(params=[(FEW, MANY)], scope="module")
def sizes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[tuple[Store, Steps]]]:
    made = []
    for number in request.param:
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('growth')}/{number}.db")
        steps = Steps(database)
        made.append((filled(database, number), steps))
    yield made
    for store, _ in made:
        store.database.dispose()


def filled(database: Database, number: int) -> Store:
    """Make a site of comments that are alike in all that filters ask, with a few old pings among them."""
    upgrade(database)
    store = Store(database)
    words = "Great offers on winter boots, jackets and gloves this weekend in our warehouse behind the station"
    place = {"kind": "comment", "version": 1, "article_key": "thaw", "public_at": NOON}
    rows, lines = [], []
    for n in range(number):
        if n % 50 == 0 and n < 200:
            store.items.record(a_ping(f"https://rare.example/{n}"), SPAM, [], NOON)
        at = NOON + timedelta(minutes=n)
        verdict = HELD if n % 4 == 0 else APPROVED
        row = columns_of(a_comment(words, author=f"Reader {n}", url="https://often.example/"), verdict, at)
        rows.append({**row, **derived_columns(row), **place, "status": verdict.status.value})
        line = {"act": "received", "after": verdict.status.value, "version": 1}
        lines.append({**line, "item_id": 4 + n, "at": at, "cause": "links" if n % 3 == 0 else None})
    about = {"payload": {}, "created_at": NOON}
    asked = [{**about, "item_id": n, "verdict": "ham"} for n in range(1, number + 1)]
    dead = {**about, "kind": "teach", "state": DEAD, "due_at": NOON, "attempts": 9}
    given_up = [{**dead, "item_id": n} for n in range(1, number + 1)]
    with database.write() as conn:
        conn.execute(insert(items), rows)
        conn.execute(insert(history), lines)
        conn.execute(insert(samples), asked)
        conn.execute(insert(tasks), given_up)
    update_index(database, most=None, lag=1)
    store.backfill.run(NOON, lambda: False)
    return store


@pytest.mark.parametrize("which", FILTERS, ids=str)
def test_a_page_costs_as_much_in_a_table_of_ten_times_as_many_items(
    sizes: list[tuple[Store, Steps]], which: dict[str, Any]
) -> None:
    costs = [
        steps.of(lambda store=store: store.queue.page(ItemFilter(**which), cursor=None, limit=20))  # type: ignore[misc]
        for store, steps in sizes
    ]
    assert costs[1] <= 2 * costs[0] + 20


@pytest.mark.parametrize("which", [{"status": Status.PENDING}, {"status": Status.APPROVED}], ids=str)
def test_the_most_suspicious_cost_as_much_in_a_table_of_ten_times_as_many_items(
    sizes: list[tuple[Store, Steps]], which: dict[str, Any]
) -> None:
    costs = []
    for store, steps in sizes:
        middle = store.queue.by_score(ItemFilter(**which), cursor=None, limit=40).next
        for cursor in (None, middle):
            costs.append(  # noqa: PERF401
                steps.of(lambda at=cursor, store=store: store.queue.by_score(ItemFilter(**which), cursor=at, limit=20))  # type: ignore[misc]
            )
    assert costs[2] <= 2 * costs[0] + 20
    assert costs[3] <= 2 * costs[1] + 20


@pytest.mark.parametrize("kind", list(RetentionKind))
def test_removal_costs_nothing_where_nothing_is_due(sizes: list[tuple[Store, Steps]], kind: RetentionKind) -> None:
    costs = [
        steps.of(lambda store=store: store.retention.forget(kind, NOON, NOON))  # type: ignore[misc]
        for store, steps in sizes
    ]
    assert costs[1] <= costs[0] + 10


@pytest.mark.parametrize("kind", list(RetentionKind))
def test_removal_waits_for_no_writer_where_nothing_is_due(
    sizes: list[tuple[Store, Steps]], kind: RetentionKind
) -> None:
    store, _ = sizes[0]
    with closing(another(store)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert store.retention.forget(kind, NOON, NOON).position is None


def test_removal_lets_other_writers_in_after_some_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(f"sqlite:///{tmp_path}/site.db")
    store = filled(database, FEW)
    turns = 0

    def write(_: int) -> None:
        nonlocal turns
        with closing(another(store)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            turns += 1

    monkeypatch.setattr("moderate.store.retention.pause", write)
    late = NOON + timedelta(days=365)
    kept = {RetentionKind.SAMPLES: (FEW, 2), RetentionKind.TASKS: (FEW, 2), RetentionKind.IP: (FEW + 4, 3)}
    for kind, (count, most) in kept.items():
        turns = 0
        assert store.retention.forget(kind, late, late).count == count
        assert turns == most
    turns = 0
    assert store.retention.forget(RetentionKind.SPAM, late, late).count == 4
    assert turns == 2
    database.dispose()


def another(store: Store) -> sqlite3.Connection:
    """Return a connection that waits for no lock, as of another process."""
    return sqlite3.connect(store.database.engine.url.database or "", timeout=0, isolation_level=None)


@pytest.mark.parametrize("limit", [3, 50])
def test_lists_are_the_same_with_each_filter(store: Store, limit: int) -> None:
    """Whatever look-ups a filter takes: the newest items that it matches, page by page."""
    verdicts = itertools.cycle((APPROVED, HELD, SPAM, TO_CHECK, HELD))
    kinds = itertools.cycle((Kind.COMMENT, Kind.TRACKBACK, Kind.COMMENT, Kind.PINGBACK))
    for number, verdict in zip(range(24), verdicts, strict=False):
        kind, article = next(kinds), f"2026/{number % 2}"
        made = (
            a_comment(f"Number {number}.", article)
            if kind is Kind.COMMENT
            else a_ping(f"https://blog{number % 3}.example/{number}", article=article, kind=kind)
        )
        store.items.record(made, verdict, [], NOON)
    every = store.queue.page(ItemFilter(), cursor=None, limit=50).items
    choices = {
        "status": (None, Status.PENDING, Status.APPROVED),
        "kind": (None, Kind.COMMENT, Kind.TRACKBACK),
        "awaiting": (None, Awaiting.MODERATOR),
        "article": (None, "2026/0"),
        "host": (None, "blog1.example"),
    }
    for values in itertools.product(*choices.values()):
        which = dict(zip(choices, values, strict=True))
        expected = [item.id for item in every if matches(item, which)]
        found, cursor = [], None
        while True:
            page = store.queue.page(ItemFilter(**which), cursor=cursor, limit=limit)
            found += [item.id for item in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert found == expected, which
        assert list(store.queue.versions(ItemFilter(**which), limit)) == expected[:limit], which


def matches(item: Any, which: dict[str, Any]) -> bool:
    host = which["host"]
    plain = {name: value for name, value in which.items() if name != "host" and value is not None}
    is_there = host is None or (item.source_url or "").startswith(f"https://{host}/")
    return is_there and all(getattr(item, name) == value for name, value in plain.items())


def test_a_whole_round_forgets_addresses_of_items_whose_times_do_not_follow_their_ids(store: Store) -> None:
    for number in range(60):
        store.items.record(a_comment(str(number)), HELD, [], NOON)
    with store.database.write() as conn:
        old = update(items).where(items.c.id.between(21, 25)).values(created_at=NOON - timedelta(days=900))
        conn.execute(old)
    before = NOON - timedelta(days=90)
    assert store.retention.forget(RetentionKind.IP, before, NOON, is_whole=True).count == 5


def test_an_item_that_was_spam_twice_is_removed_and_counted_once(store: Store) -> None:
    number = store.items.record(a_comment("A text"), HELD, [], NOON).item.id
    for version, decision in enumerate((Decision.SPAM, Decision.HOLD, Decision.SPAM), 1):
        decide_one(store, number, decision, version=version, by="mo", note=None, now=NOON)
    later = NOON + timedelta(days=40)
    assert store.retention.forget(RetentionKind.SPAM, later, later).count == 1
    assert store.items.get(number) is None
