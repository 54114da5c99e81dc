"""Counters: moved with their items, read in one query, rebuilt where they drifted. On every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, update

from moderate.database.schema import counters, items
from moderate.model import COUNTERS, Counts, Decision, Kind, Status
from moderate.store.articles import Drift
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_ping, a_verdict, decide_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.store.store import Store

KINDS = {"a": Kind.TRACKBACK, "b": Kind.PINGBACK, "c": Kind.WEBMENTION}


@pytest.fixture
def filled(store: Store) -> Store:
    for verdict in (APPROVED, APPROVED, HELD, TO_CHECK, SPAM, a_verdict(Status.TRASH)):
        store.items.record(a_comment(), verdict, [], NOON)
    for source, kind in KINDS.items():
        store.items.record(a_ping(f"https://{source}.example/", kind=kind, article="b"), APPROVED, [], NOON)
    return store


@pytest.fixture
def statements(store: Store) -> Iterator[list[str]]:
    """Yield the list of the statements that are sent to the database."""
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(" ".join(statement.split()))

    event.listen(store.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(store.database.engine, "before_cursor_execute", note)


def test_each_article_and_the_site_have_their_own_counts(filled: Store) -> None:
    thaw = Counts(comments=2, pending_comment=2, spam_comment=1, trash_comment=1)
    pinged = Counts(trackback=1, pingback=1, webmention=1)
    assert filled.counters.counts(["2026/thaw", "b", "unknown"]) == {
        "2026/thaw": thaw,
        "b": pinged,
        "unknown": Counts(),
    }
    assert pinged.trackbacks == 3
    assert filled.counters.totals() == Counts(2, 1, 1, 1, pending_comment=2, spam_comment=1, trash_comment=1)


def test_each_kind_is_counted_in_each_status(store: Store) -> None:
    every = [(kind, status) for kind in Kind for status in Status]
    for number, (kind, status) in enumerate(every):
        for copy in range(number + 1):
            source = f"https://{number}.example/{copy}"
            new = a_comment() if kind is Kind.COMMENT else a_ping(source, kind=kind, article="2026/thaw")
            store.items.record(new, a_verdict(status), [], NOON)
    totals = store.counters.totals()
    assert [getattr(totals, COUNTERS[kind, status]) for kind, status in every] == list(range(1, 17))
    assert totals.pending == sum(number + 1 for number, (_, status) in enumerate(every) if status is Status.PENDING)
    assert totals.approved + totals.pending + totals.spam + totals.trash == sum(range(1, 17))
    assert not any(store.counters.recount(repair=False))


def test_only_the_counters_that_move_are_written(store: Store, statements: list[str]) -> None:
    item = store.items.record(a_ping("https://a.example/", kind=Kind.PINGBACK), HELD, [], NOON).item
    decide_one(store, item.id, Decision.SPAM, version=1, by="mo", note=None, now=NOON)
    upserts = [sent for sent in statements if "INTO moderate_counters" in sent]
    received, decided = (sent.split("ON ")[1] for sent in upserts)
    assert [name in received for name in ("pending_pingback =", "spam_", "revision", "comments")] == [True] + [
        False
    ] * 3
    assert [name in decided for name in ("pending_pingback =", "spam_pingback =", "trash_")] == [True, True, False]


def test_an_empty_store_counts_nothing(store: Store) -> None:
    assert store.counters.totals() == Counts()
    assert store.counters.counts([]) == {}
    assert list(store.counters.recount(repair=True)) == [None]


def test_a_page_of_articles_costs_one_query(filled: Store, statements: list[str]) -> None:
    if filled.database.dialect == "sqlite":
        # Asked by the driver itself, which SQLAlchemy's events do not see.
        with filled.database.read() as conn:
            conn.connection.dbapi_connection.set_trace_callback(statements.append)
    found = filled.counters.counts([*(str(number) for number in range(50)), "b", "b"])
    assert len(found) == 51
    assert found["b"].trackbacks == 3
    assert [statement.split()[0] for statement in statements] == ["SELECT"]


def test_a_comment_costs_few_statements(filled: Store, statements: list[str]) -> None:
    filled.items.record(a_comment(), HELD, [], NOON)
    writes = [statement.split()[0:3] for statement in statements if not statement.startswith("BEGIN")]
    # Both rows of counters go in one call.
    assert writes == [
        ["INSERT", "INTO", "moderate_items"],
        ["INSERT", "INTO", "moderate_history"],
        ["INSERT", "INTO", "moderate_counters"],
    ]


def test_article_keys_are_distinguished_by_their_exact_characters(store: Store) -> None:
    for key in ("key", "Key", "key ", "кey", "ke\u0301y", "k\u00e9y"):
        store.items.record(a_comment(article=key), APPROVED, [], NOON)
    numbers = store.counters.counts(["key", "Key", "key ", "кey", "ke\u0301y", "k\u00e9y"])
    assert [counts.comments for counts in numbers.values()] == [1] * 6


# --- the revision ----------------------------------------------------------------------------------


def test_the_revision_grows_with_what_readers_see_and_only_then(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    assert store.counters.revision("2026/thaw") == 0
    approved = decide_one(store, item.id, Decision.APPROVE, version=1, by="mo", note=None, now=NOON).item
    assert store.counters.revision("2026/thaw") == 1
    proposed = store.items.revise(item.id, a_comment("Other"), HELD, [], NOON).item
    assert store.counters.revision("2026/thaw") == 1
    shown = decide_one(store, item.id, Decision.APPROVE, version=proposed.version, by="mo", note=None, now=NOON).item
    assert store.counters.revision("2026/thaw") == 2
    decide_one(store, item.id, Decision.SPAM, version=shown.version, by="mo", note=None, now=NOON)
    assert store.counters.revision("2026/thaw") == 3
    assert store.counters.revision("b") == 0
    assert store.counters.revision("") == 3
    assert approved.status is Status.APPROVED


# --- counting anew ---------------------------------------------------------------------------------


def test_a_recount_takes_one_step_for_each_article_and_one_for_the_site(filled: Store) -> None:
    assert filled.counters.articles_with_items() == 3
    assert list(filled.counters.recount(repair=False)) == [None, None, None]


def test_drift_is_found_reported_and_repaired(filled: Store) -> None:
    with filled.database.write() as conn:
        conn.execute(update(counters).where(counters.c.article_key == "b").values(pingback=7, pending_pingback=2))
    thaw = filled.counters.counts(["2026/thaw"])["2026/thaw"]
    wrong, right = Counts(trackback=1, pingback=7, webmention=1, pending_pingback=2), Counts(0, 1, 1, 1)
    found = [drift for drift in filled.counters.recount(repair=False) if drift]
    # Without repair the site's row is compared with the sum as it stands.
    assert found[0] == Drift("b", wrong, right)
    assert filled.counters.counts(["b"])["b"] == wrong
    before = filled.counters.revision("b")
    assert [drift for drift in filled.counters.recount(repair=True) if drift] == [Drift("b", wrong, right)]
    assert filled.counters.counts(["b", "2026/thaw"]) == {"b": right, "2026/thaw": thaw}
    assert filled.counters.revision("b") > before
    assert not any(filled.counters.recount(repair=True))


def test_counters_that_are_missing_or_count_nothing_are_repaired(filled: Store) -> None:
    with filled.database.write() as conn:
        conn.execute(delete(counters).where(counters.c.article_key.in_(["2026/thaw", ""])))
        conn.execute(delete(items).where(items.c.article_key == "b"))
    drifted = {drift.article for drift in filled.counters.recount(repair=True) if drift}
    assert drifted == {"2026/thaw", "b", ""}
    assert filled.counters.counts(["b"])["b"] == Counts()
    thaw = Counts(comments=2, pending_comment=2, spam_comment=1, trash_comment=1)
    assert filled.counters.totals() == filled.counters.counts(["2026/thaw"])["2026/thaw"] == thaw


def test_looking_without_repair_writes_nothing(filled: Store) -> None:
    with filled.database.write() as conn:
        conn.execute(delete(counters))
    assert [drift for drift in filled.counters.recount(repair=False) if drift]
    assert filled.counters.counts(["2026/thaw", "b", ""]) == {"2026/thaw": Counts(), "b": Counts(), "": Counts()}
    with filled.database.read() as conn:
        assert conn.execute(counters.select()).all() == []


def test_rows_are_locked_in_one_order_the_sites_last(store: Store) -> None:
    """Otherwise two transactions could wait for each other, and one of them would have to begin again."""
    locked: list[list[str]] = []

    def note(_conn: object, _cursor: object, statement: str, rows: Any, *_rest: object) -> None:
        if statement.startswith("INSERT INTO moderate_counters"):
            values = [row.values() if isinstance(row, dict) else row for row in rows]
            locked.append([value for row in values for value in row if isinstance(value, str)])

    event.listen(store.database.engine, "before_cursor_execute", note)
    made = [store.items.record(a_comment(article=key), HELD, [], NOON).item for key in ("b", "a", "c")]
    decide_one(store, made[0].id, Decision.TRASH, version=1, by="mo", note=None, now=NOON)
    store.decisions.decide({item.id: item.version for item in made[1:]}, Decision.SPAM, by="mo", note=None, now=NOON)
    store.decisions.decide({item.id: item.version + 1 for item in made}, Decision.HOLD, by="mo", note=None, now=NOON)
    event.remove(store.database.engine, "before_cursor_execute", note)
    assert locked == [["b", ""], ["a", ""], ["c", ""], ["b", ""], ["a", "c", ""], ["a", "b", "c", ""]]
