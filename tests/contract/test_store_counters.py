"""Counters: moved with their items, read in one query, rebuilt where they drifted. On every store."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, update

from moderate.akismet.sql import AccountNotes
from moderate.database.schema import articles, counters, items
from moderate.lifecycle import Overrides
from moderate.model import COUNTERS, Counts, Decision, ItemFilter, Kind, NewTask, Status
from moderate.monitoring.sql import Overview
from moderate.store.articles import Drift, Snapshot
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
    """Yield the list of the statements that are sent to the database, with their values."""
    sent: list[str] = []
    if store.database.dialect == "sqlite":
        # By its own driver, which SQLAlchemy's events do not see.
        with store.database.read() as conn:
            conn.connection.dbapi_connection.set_trace_callback(lambda text: sent.append(" ".join(text.split())))
        yield sent
        return

    def note(_conn: object, _cursor: object, statement: str, values: Any, _context: object, is_many: bool) -> None:
        if not is_many:
            named = isinstance(values, dict)
            statement %= {name: repr(value) for name, value in values.items()} if named else tuple(map(repr, values))
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
    received, decided = (sent.split("ON CONFLICT")[-1].split("ON DUPLICATE")[-1] for sent in upserts)
    assert [name in received for name in ("pending_pingback =", "spam_", "revision", "comments")] == [True] + [
        False
    ] * 3
    assert [name in decided for name in ("pending_pingback =", "spam_pingback =", "trash_")] == [True, True, False]


def test_an_empty_store_counts_nothing(store: Store) -> None:
    assert store.counters.totals() == Counts()
    assert store.counters.counts([]) == {}
    assert list(store.counters.recount(repair=True)) == [None]


def test_a_page_of_articles_costs_one_query(filled: Store, statements: list[str]) -> None:
    found = filled.counters.counts([*(str(number) for number in range(50)), "b", "b"])
    assert len(found) == 51
    assert found["b"].trackbacks == 3
    assert [statement.split()[0] for statement in statements] == ["SELECT"]


def test_the_queue_page_costs_two_queries(filled: Store, statements: list[str]) -> None:
    account = AccountNotes(filled.database)
    for topic in ("usage", "alert"):
        account.keep(topic, f"The {topic}.", NOON, quiet=60)
    filled.items.record(a_comment(), HELD, [NewTask(kind="judge", due_at=NOON - timedelta(minutes=3))], NOON)
    statements.clear()
    assert [item.id for item in filled.queue.page(ItemFilter(status=Status.PENDING), cursor=None, limit=9).items]
    overview = filled.overview()
    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]
    assert overview.totals == filled.counters.totals()
    assert (overview.waiting_since, overview.lag(NOON), overview.changed, overview.given_up) == (NOON, 180, 0, 0)
    assert [(note.topic, note.text, note.at) for note in overview.notes] == [
        ("alert", "The alert.", NOON),
        ("usage", "The usage.", NOON),
    ]


def test_the_overview_of_an_empty_site(store: Store) -> None:
    assert store.overview() == Overview(Counts(), 0, None, None, 0, (), None)


def test_the_public_numbers_are_those_of_the_counters(filled: Store) -> None:
    asked = {"b": "b", "2026/thaw": "2026/thaw", "none": None, "unknown": "unknown", "also b": "b"}
    counts = filled.counters.counts(["b", "2026/thaw"])
    numbers = {key: {"comments": each.comments, "trackbacks": each.trackbacks} for key, each in counts.items()}
    zero = {"comments": 0, "trackbacks": 0}
    assert numbers["b"] == {"comments": 0, "trackbacks": 3}
    found = json.loads(filled.counters.public_json((*asked,), (*asked.values(),)))
    assert found == {**numbers, "none": zero, "unknown": zero, "also b": numbers["b"]}
    assert list(found) == list(asked)
    assert json.loads(filled.counters.public_json((), ())) == {}


def test_a_comment_costs_few_statements(filled: Store, statements: list[str]) -> None:
    filled.items.record(a_comment(), HELD, [], NOON)
    writes = [statement.split()[0:3] for statement in statements if not statement.startswith(("BEGIN", "COMMIT"))]
    if filled.database.dialect == "postgresql":
        assert writes == [["WITH", "item", "AS"]]
        return
    # One statement adds to both rows of counters.
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


def test_a_snapshot_has_overrides_numbers_and_revision_of_an_article(filled: Store) -> None:
    overrides = Overrides(comments_open=False, premoderation="strangers")
    empty = Snapshot(Overrides(), Counts(), 0)
    # An article of which the host finds the address itself has counters only, one without items none.
    filled.database.transaction(lambda conn: conn.execute(delete(articles).where(articles.c.key == "b")))
    for key in ("2026/thaw", "unwritten"):
        filled.articles.set_overrides(key, overrides, NOON)
    assert filled.articles.snapshot("unknown") == empty
    assert filled.articles.snapshot("unwritten") == empty._replace(overrides=overrides)
    for key, known in (("2026/thaw", overrides), ("b", Overrides())):
        counts, revision = filled.counters.counts([key])[key], filled.counters.revision(key)
        assert revision
        assert filled.articles.snapshot(key) == Snapshot(known, counts, revision)


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


def test_a_recount_reads_ranges_of_articles_and_locks_only_what_seems_wrong(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moderate.store.articles.RANGE", 2)
    for name in "abcde":
        filled.items.record(a_comment("One more.", name), HELD, [], NOON)
    with filled.database.write() as conn:
        conn.execute(update(counters).where(counters.c.article_key.in_(["a", "d"])).values(pending_comment=9))
    locked: list[str] = []

    @event.listens_for(filled.database.engine, "before_cursor_execute")
    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        locked.extend(["one"] if statement.startswith("INSERT INTO moderate_counters") else [])

    steps = list(filled.counters.recount(repair=True))
    assert len(steps) == filled.counters.articles_with_items()
    assert [drift.article for drift in steps if drift] == ["a", "d"]
    # The two, and the site.
    assert len(locked) == 3
    assert not any(filled.counters.recount(repair=False))


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


def test_rows_are_locked_in_one_order_the_sites_last(store: Store, statements: list[str]) -> None:
    """Otherwise two transactions could wait for each other, and one of them would have to begin again."""
    made = [store.items.record(a_comment(article=key), HELD, [], NOON).item for key in ("b", "a", "c")]
    decide_one(store, made[0].id, Decision.TRASH, version=1, by="mo", note=None, now=NOON)
    store.decisions.decide({item.id: item.version for item in made[1:]}, Decision.SPAM, by="mo", note=None, now=NOON)
    store.decisions.decide({item.id: item.version + 1 for item in made}, Decision.HOLD, by="mo", note=None, now=NOON)
    counted = [sent.partition("INTO moderate_counters")[2] for sent in statements]
    locked = [re.findall(r"(?:\(|SELECT )'(\w*)'", rows) for rows in counted if rows]
    assert locked == [["b", ""], ["a", ""], ["c", ""], ["b", ""], ["a", "c", ""], ["a", "b", "c", ""]]
