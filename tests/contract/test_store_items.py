"""Storing and finding items on every store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import update

from moderate.database.schema import items
from moderate.errors import Invalid
from moderate.lifecycle import RetentionKind
from moderate.model import Article, Author, Awaiting, Client, Decision, ItemFilter, Kind, Lean, NewTask, Status
from moderate.store.rows import finding_to_json
from moderate.store.store import Store
from tests.factories import (
    APPROVED,
    HELD,
    NOON,
    SPAM,
    TO_CHECK,
    a_comment,
    a_finding,
    a_ping,
    a_verdict,
    an_article,
    decide_one,
)
from tests.tasks import next_due


def thread_texts(store: Store, **changes: object) -> list[str]:
    page = store.threads.page("2026/thaw", **{"cursor": None, "limit": 50, "newest_first": False, **changes})
    return [item.html.removeprefix("<p>").removesuffix("</p>") for item in page.items]


def test_the_result_of_record_equals_the_stored_item(store: Store) -> None:
    submission = a_comment(author_id="u:7", honeypot="filled", idempotency_key="k")
    recorded = store.items.record(submission, HELD, [], NOON)
    assert recorded.is_new
    assert recorded.before is None
    assert store.items.get(recorded.item.id) == recorded.item


def test_every_field_of_a_ping_is_read_back(store: Store) -> None:
    item = store.items.get(store.items.record(a_ping(kind=Kind.WEBMENTION), HELD, [], NOON).item.id)
    assert item is not None
    assert (item.kind, item.source_url, item.title, item.blog_name) == (
        Kind.WEBMENTION,
        "https://blog.example/1",
        "On They wrote",
        "A blog",
    )
    assert (item.article_title, item.article_url) == ("About 2026/thaw", "https://news.example/2026/thaw")
    assert item.links == ("https://linked.example/",)
    assert (item.version, item.status, item.awaiting) == (1, Status.PENDING, Awaiting.MODERATOR)


def test_times_are_read_back_aware_in_utc_with_their_microseconds(store: Store) -> None:
    kyoto = datetime(2026, 1, 13, 21, 0, 0, 654321, tzinfo=timezone(timedelta(hours=9)))
    item = store.items.get(store.items.record(a_comment(), HELD, [], kyoto).item.id)
    assert item is not None
    assert item.created_at == kyoto
    assert item.created_at.tzinfo is UTC
    assert item.created_at.microsecond == 654321


def test_findings_are_read_back_unchanged(store: Store) -> None:
    findings = (a_finding(), a_finding("akismet", Lean.UNSURE, "キー \u0000 \U0001f409", score=None, at=None))
    item = store.items.record(a_comment(), a_verdict(findings=findings, passed=("a", "b")), [], NOON).item
    kept = store.items.get(item.id)
    assert kept is not None
    assert kept.findings == findings
    assert kept.passed == ("a", "b")


def test_a_score_that_json_cannot_represent_is_left_out(store: Store) -> None:
    verdict = a_verdict(findings=(a_finding(score=float("nan"), again_after=float("inf")),))
    recorded = store.items.record(a_comment(), verdict, [], NOON).item
    item = store.items.get(recorded.id)
    assert item == recorded
    assert item.findings[0].score is None
    assert item.findings[0].again_after is None


def test_fields_of_a_finding_that_a_newer_version_has_stored_are_ignored(store: Store) -> None:
    item = store.items.record(a_comment(), a_verdict(findings=(a_finding(),)), [], NOON).item
    newer = [{**finding_to_json(finding), "certainty": "high"} for finding in item.findings]
    with store.database.write() as conn:
        conn.execute(update(items).values(findings=newer))
    assert store.items.get(item.id) == item


def test_an_unknown_item_is_none(store: Store) -> None:
    assert store.items.get(4711) is None
    assert store.items.get(0) is None


def test_text_of_all_scripts_and_lengths_is_kept(store: Store) -> None:
    text = "雪だるま ☃ \U0001f468\u200d\U0001f469 \u202eright " * 400
    submission = a_comment(text, article="地方/雪 ?#%", author="名" * 255, url="https://x.example/" + "u" * 3000)
    submission = replace(submission, client=Client("2001:db8::1", "agent " * 300, "r" * 3000))
    item = store.items.get(store.items.record(submission, HELD, [], NOON).item.id)
    assert item is not None
    assert item.text == text
    assert item.article == "地方/雪 ?#%"
    assert len(item.user_agent or "") == 1800


def test_ids_are_never_used_twice(store: Store) -> None:
    first = store.items.record(a_comment(), SPAM, [], NOON).item
    store.items.delete(first.id, "mo", NOON)
    assert store.items.record(a_comment(), SPAM, [], NOON).item.id > first.id


# --- repeats ---------------------------------------------------------------------------------------


def test_the_same_key_and_text_return_the_first_item_and_store_nothing(store: Store) -> None:
    first = store.items.record(a_comment(idempotency_key="k"), APPROVED, [], NOON)
    again = store.items.record(a_comment(idempotency_key="k"), SPAM, [NewTask(kind="judge", due_at=NOON)], NOON)
    assert not again.is_new
    assert again.before is Status.APPROVED
    assert again.item == first.item
    assert len(store.history.of_item(first.item.id)) == 1
    assert store.counters.totals().comments == 1
    assert next_due(store.tasks) is None


@pytest.mark.parametrize(
    "change", [{"text": "Other"}, {"author": "Eve"}, {"email": None}, {"url": "https://eve.example/"}]
)
def test_the_same_key_with_another_text_or_author_is_refused(store: Store, change: dict[str, str]) -> None:
    store.items.record(a_comment(idempotency_key="k"), HELD, [], NOON)
    with pytest.raises(Invalid) as refused:
        store.items.record(a_comment(idempotency_key="k", **change), HELD, [], NOON)
    assert refused.value.errors[0].field == "idempotency_key"
    assert store.counters.totals().pending == 1


def test_the_same_key_on_another_article_is_another_comment(store: Store) -> None:
    store.items.record(a_comment(idempotency_key="k"), HELD, [], NOON)
    assert store.items.record(a_comment(article="b", idempotency_key="k"), HELD, [], NOON).is_new


def test_comments_without_a_key_are_always_separate(store: Store) -> None:
    assert store.items.record(a_comment(), HELD, [], NOON).is_new
    assert store.items.record(a_comment(), HELD, [], NOON).is_new


def test_keys_of_any_length_are_accepted(store: Store) -> None:
    store.items.record(a_comment(idempotency_key="k" * 9000), HELD, [], NOON)
    assert not store.items.record(a_comment(idempotency_key="k" * 9000), HELD, [], NOON).is_new


def test_a_source_that_pings_again_by_another_protocol_is_one_item(store: Store) -> None:
    first = store.items.record(a_ping(), HELD, [], NOON)
    again = store.items.record(a_ping(kind=Kind.WEBMENTION), HELD, [], NOON)
    assert not again.is_new
    assert again.item == first.item
    assert len(store.history.of_item(first.item.id)) == 1


def test_a_source_may_ping_several_articles(store: Store) -> None:
    store.items.record(a_ping(), HELD, [], NOON)
    assert store.items.record(a_ping(article="b"), HELD, [], NOON).is_new


def test_a_repeated_ping_without_news_only_adds_its_tasks(store: Store) -> None:
    first = store.items.record(a_ping(), APPROVED, [], NOON)
    bare = a_ping(text="", kind=Kind.PINGBACK, title=None, blog_name=None, author="blog.example")
    again = store.items.record(bare, TO_CHECK, [NewTask(kind="verify", due_at=NOON)], NOON)
    assert again.item == first.item
    assert [task.kind for task in store.tasks.lease_due(NOON, limit=9, seconds=60)] == ["verify"]


def test_a_pending_ping_with_new_content_is_revised(store: Store) -> None:
    first = store.items.record(a_ping(), HELD, [], NOON)
    again = store.items.record(a_ping(text="They wrote more"), HELD, [], NOON)
    assert (again.item.id, again.item.text, again.item.version) == (first.item.id, "They wrote more", 2)
    assert store.items.get(first.item.id) == again.item


# --- parents ---------------------------------------------------------------------------------------


def test_a_reply_names_its_parent(store: Store) -> None:
    parent = store.items.record(a_comment(), APPROVED, [], NOON).item
    answer = store.items.record(a_comment("Indeed", parent=parent.id), HELD, [], NOON).item
    assert answer.parent == parent.id


def test_a_parent_must_be_a_comment_of_the_same_article(store: Store) -> None:
    elsewhere = store.items.record(a_comment(article="b"), APPROVED, [], NOON).item
    ping = store.items.record(a_ping(), APPROVED, [], NOON).item
    for parent in (elsewhere.id, ping.id, 4711):
        with pytest.raises(Invalid) as refused:
            store.items.record(a_comment(parent=parent), HELD, [], NOON)
        assert refused.value.errors[0].field == "parent"
    assert store.counters.totals().pending == 0


# --- threads ---------------------------------------------------------------------------------------


def test_a_thread_shows_what_is_approved_in_order(store: Store) -> None:
    for text, verdict in (("a", APPROVED), ("b", HELD), ("c", SPAM), ("d", APPROVED)):
        store.items.record(a_comment(text), verdict, [], NOON)
    store.items.record(a_comment("elsewhere", "b"), APPROVED, [], NOON)
    assert thread_texts(store) == ["a", "d"]
    assert thread_texts(store, newest_first=True) == ["d", "a"]


def test_authors_see_their_own_as_long_as_it_is_not_in_the_trash(store: Store) -> None:
    ids = {}
    for text, verdict in (("a", APPROVED), ("b", HELD), ("c", SPAM), ("d", a_verdict(Status.TRASH)), ("e", APPROVED)):
        ids[text] = store.items.record(a_comment(text), verdict, [], NOON).item.id
    other = store.items.record(a_comment("elsewhere", "b"), HELD, [], NOON).item.id
    mine = [ids["b"], ids["c"], ids["d"], ids["e"], other]
    assert thread_texts(store, mine=mine) == ["a", "b", "c", "e"]
    assert thread_texts(store, mine=mine, newest_first=True) == ["e", "c", "b", "a"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_of_a_thread_join_without_gaps_or_repeats(store: Store, newest_first: bool) -> None:
    mine = []
    for number in range(11):
        item = store.items.record(a_comment(str(number)), HELD if number % 3 == 1 else APPROVED, [], NOON).item
        mine += [item.id] if number % 3 == 1 else []
    seen: list[str] = []
    cursor = None
    for _ in range(6):
        page = store.threads.page("2026/thaw", cursor=cursor, limit=2, newest_first=newest_first, mine=mine)
        seen += [item.html.removeprefix("<p>").removesuffix("</p>") for item in page.items]
        cursor = page.next
    assert cursor is None
    assert seen == [str(number) for number in sorted(range(11), reverse=newest_first)]


def test_a_thread_leaves_out_what_only_moderators_read(store: Store) -> None:
    store.items.record(a_comment(), APPROVED, [], NOON)
    item = store.threads.page("2026/thaw", cursor=None, limit=9, newest_first=False).items[0]
    assert (item.findings, item.text, item.ip, item.links) == ((), "", None, ())
    assert item.html == "<p>The river froze twice.</p>"


def test_comments_and_pings_are_read_separately(store: Store) -> None:
    for number in range(3):
        store.items.record(a_comment(f"comment {number}"), APPROVED, [], NOON)
        kind = (Kind.TRACKBACK, Kind.PINGBACK, Kind.WEBMENTION)[number]
        store.items.record(a_ping(f"https://blog.example/{number}", f"ping {number}", kind=kind), APPROVED, [], NOON)
    assert thread_texts(store, kinds=[Kind.COMMENT]) == ["comment 0", "comment 1", "comment 2"]
    pings = [Kind.TRACKBACK, Kind.PINGBACK, Kind.WEBMENTION]
    assert thread_texts(store, kinds=pings) == ["ping 0", "ping 1", "ping 2"]
    assert thread_texts(store, kinds=pings, newest_first=True, limit=2) == ["ping 2", "ping 1"]
    assert thread_texts(store, kinds=pings, cursor=2) == ["ping 1", "ping 2"]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_page_of_an_item_is_the_one_that_paging_reaches(store: Store, size: int) -> None:
    """With items of other kinds, articles and statuses between them."""
    for number in range(7):
        store.items.record(a_comment(f"Number {number}."), APPROVED, [], NOON)
        store.items.record(a_comment("elsewhere", "b"), APPROVED, [], NOON)
        store.items.record(a_ping(f"https://blog.example/{number}"), APPROVED, [], NOON)
        store.items.record(a_comment("waits"), HELD, [], NOON)
    kinds = [Kind.COMMENT]
    cursor: int | None = None
    for _ in range(8):
        page = store.threads.page("2026/thaw", cursor=cursor, limit=size, newest_first=False, kinds=kinds)
        for item in page.items:
            assert store.threads.page_start("2026/thaw", item.id, kinds=kinds, size=size) == cursor
        cursor = page.next
        if cursor is None:
            break
    for not_there in (2, 3, 4, 26, 27, 28, 4711, 0):
        assert store.threads.page_start("2026/thaw", not_there, kinds=kinds, size=size) is None


def test_comments_waiting_for_their_author_leave_out_public_trashed_and_withdrawn_ones(store: Store) -> None:
    verdicts = [APPROVED, HELD, TO_CHECK, SPAM, a_verdict(Status.TRASH), HELD]
    numbers = [
        store.items.record(a_comment(f"Number {n}."), verdict, [], NOON).item.id for n, verdict in enumerate(verdicts)
    ]
    store.items.withdraw(numbers[-1], NOON)
    store.items.record(a_comment("elsewhere", "b"), HELD, [], NOON)
    store.items.record(a_ping(), HELD, [], NOON)
    waiting = store.threads.waiting("2026/thaw", range(1, 20))
    assert [item.status for item in waiting] == [Status.PENDING, Status.PENDING, Status.SPAM]
    assert store.threads.waiting("2026/thaw", [numbers[1]]) == [store.items.get(numbers[1])]


def test_parents_are_found_in_any_status(store: Store) -> None:
    for verdict in (APPROVED, SPAM):
        store.items.record(a_comment(), verdict, [], NOON)
    found = store.threads.parents([1, 2, 3])
    assert {number: item.status for number, item in found.items()} == {1: Status.APPROVED, 2: Status.SPAM}
    assert {item.ip for item in found.values()} == {None}


def test_the_latest_publications_come_first(store: Store) -> None:
    late = store.items.record(a_comment("late"), HELD, [], NOON).item.id
    others = [
        store.items.record(a_comment("other", article), APPROVED, [], NOON + timedelta(minutes=1)).item.id
        for article in ("2026/thaw", "b", "2026/thaw")
    ]
    store.items.record(a_comment("waits"), HELD, [], NOON)
    decide_one(store, late, Decision.APPROVE, version=1, by="mori", note=None, now=NOON + timedelta(days=1))
    assert [item.id for item in store.threads.published(limit=9)] == [late, *reversed(others)]
    assert [item.id for item in store.threads.published(limit=2)] == [late, others[2]]
    assert [item.id for item in store.threads.published("b", limit=9)] == [others[1]]
    decide_one(store, late, Decision.TRASH, version=2, by="mori", note=None, now=NOON + timedelta(days=2))
    assert [item.id for item in store.threads.published("2026/thaw", limit=9)] == [others[2], others[0]]


# --- the queue -------------------------------------------------------------------------------------


@pytest.fixture
def filled(store: Store) -> Store:
    store.items.record(a_comment("plain 100% snow_fall"), HELD, [], NOON)
    store.items.record(a_comment("100 snowXfall", author="Eve", email="eve@mail.example"), SPAM, [], NOON)
    store.items.record(a_comment("b", "b", author_id="u:1"), APPROVED, [], NOON)
    store.items.record(a_ping(title="Über Schnee", text="c"), HELD, [], NOON)
    store.items.record(a_comment("d", client=Client("2001:db8::1")), TO_CHECK, [], NOON)
    return store


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"status": Status.PENDING}, [5, 4, 1]),
        ({"status": Status.PENDING, "awaiting": Awaiting.CHECKS}, [5]),
        ({"kind": Kind.TRACKBACK}, [4]),
        ({"article": "b"}, [3]),
        ({"ip": "2001:db8::1"}, [5]),
        ({"author": "Eve"}, [2]),
        ({"author": "eve@mail.example"}, [2]),
        ({"author": "u:1"}, [3]),
        ({"q": "SNOW"}, [2, 1]),
        ({"q": "snow_fall"}, [1]),
        ({"q": "100%"}, [2, 1]),
        ({"q": "blog.example/1"}, [4]),
        ({"q": "schnee"}, [4]),
        ({"q": "eve"}, [2]),
        ({"q": "\\"}, []),
        ({"status": Status.PENDING, "article": "2026/thaw", "author": "Mika", "q": "d"}, [5]),
    ],
)
def test_moderators_filter_items(filled: Store, which: dict[str, object], expected: list[int]) -> None:
    page = filled.queue.page(ItemFilter(**which), cursor=None, limit=50)
    assert [item.id for item in page.items] == expected
    assert page.next is None


def test_pages_of_the_queue_join_without_gaps_or_repeats(filled: Store) -> None:
    first = filled.queue.page(ItemFilter(), cursor=None, limit=2)
    second = filled.queue.page(ItemFilter(), cursor=first.next, limit=2)
    third = filled.queue.page(ItemFilter(), cursor=second.next, limit=2)
    assert [item.id for page in (first, second, third) for item in page.items] == [5, 4, 3, 2, 1]
    assert third.next is None


def test_items_of_the_queue_are_whole(filled: Store) -> None:
    item = filled.queue.page(ItemFilter(author="Eve"), cursor=None, limit=1).items[0]
    assert item == filled.items.get(item.id)
    assert item.findings


def test_items_of_the_queue_are_those_of_now(filled: Store) -> None:
    """Items are made once of a row; each column of a row may change without their version, those of the article too."""
    which = ItemFilter(article="b")
    (before,) = filled.queue.page(which, cursor=None, limit=9).items
    assert filled.queue.page(which, cursor=None, limit=9).items == (before,)
    others = Store(filled.database)
    others.articles.remember(Article("b", "Another title", "https://news.example/b"), {}, NOON)
    assert filled.queue.page(which, cursor=None, limit=9).items[0].article_title == "Another title"
    decide_one(others, before.id, Decision.TRASH, version=before.version, by="mo", note=None, now=NOON)
    (after,) = filled.queue.page(which, cursor=None, limit=9).items
    assert (after.status, after) == (Status.TRASH, filled.items.get(before.id))


# --- the past --------------------------------------------------------------------------------------


def test_the_same_text_is_found_over_articles_newest_first(store: Store) -> None:
    store.items.record(a_comment("same"), HELD, [], NOON - timedelta(days=2))
    store.items.record(a_comment("same", "b"), SPAM, [], NOON)
    store.items.record(a_ping(text="same"), APPROVED, [], NOON + timedelta(seconds=1))
    store.items.record(a_comment("other"), HELD, [], NOON)
    found = store.earlier.same_text(a_comment("same").text_key, NOON - timedelta(days=1))
    assert list(found) == [(Kind.TRACKBACK, Status.APPROVED, "2026/thaw"), (Kind.COMMENT, Status.SPAM, "b")]


def test_at_most_fifty_items_with_the_same_text_are_found(store: Store) -> None:
    for _ in range(52):
        store.items.record(a_comment("same"), HELD, [], NOON)
    assert len(store.earlier.same_text(a_comment("same").text_key, NOON)) == 50


def test_the_record_of_a_verified_author(store: Store) -> None:
    author = Author("Mika", id="u:1")
    for verdict in (APPROVED, APPROVED, SPAM):
        store.items.record(a_comment(author_id=author.id), verdict, [], NOON)
    store.items.record(a_comment(), SPAM, [], NOON)
    assert store.earlier.author_record("u:1") == {Status.APPROVED: 2, Status.SPAM: 1}
    assert store.earlier.author_record("u:2") == {}


def test_spam_that_was_deleted_counts_against_its_author_as_long_as_it_would_have(store: Store) -> None:
    days = timedelta(days=1)
    store.items.record(a_comment(author_id="email:1"), APPROVED, [], NOON)
    for at in (NOON, NOON - 30 * days):
        spam = store.items.record(a_comment(author_id="email:1"), SPAM, [], at).item
        store.items.delete(spam.id, "Mori", NOON + days)
    assert store.earlier.author_record("email:1", NOON - 60 * days) == {Status.APPROVED: 1, Status.SPAM: 1}
    assert store.earlier.author_record("email:1", NOON) == {Status.APPROVED: 1, Status.SPAM: 1}
    assert store.earlier.author_record("email:1", NOON + timedelta(seconds=1)) == {}
    assert store.earlier.author_record("email:2", NOON) == {}


@pytest.mark.parametrize("decision", [Decision.TRASH, Decision.SPAM])
def test_purged_spam_counts_against_its_author(store: Store, decision: Decision) -> None:
    item = store.items.record(a_comment(author_id="email:1"), HELD, [], NOON).item
    after = decide_one(store, item.id, decision, version=1, by="Mori", note=None, now=NOON).item
    later = NOON + timedelta(days=31)
    assert store.retention.forget(RetentionKind(after.status.value), later, later).count == 1
    expected = {Status.SPAM: 1} if decision is Decision.SPAM else {}
    assert store.earlier.author_record("email:1", NOON) == expected


def test_a_new_title_of_the_article_is_shown_with_its_items(store: Store) -> None:
    item = store.items.record(a_comment(), HELD, [], NOON).item
    store.items.record(a_comment("again", an_article(title="A new headline")), HELD, [], NOON)
    kept = store.items.get(item.id)
    assert kept is not None
    assert kept.article_title == "A new headline"
