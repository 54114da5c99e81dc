"""The moderators' "everything like this": of one host, with nearly the same text; and who has waited longest."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from moderate.model import Decision, ItemFilter, Status
from tests.factories import APPROVED, HELD, NOON, SPAM, TO_CHECK, a_comment, a_ping, decide_one

if TYPE_CHECKING:
    from moderate.store.store import Store

LETTER = (
    "Great offers on winter boots, winter jackets and winter gloves only this weekend in our warehouse "
    "behind the station, number {n}, with coffee for everybody who brings this message along"
)


def found(store: Store, **which: object) -> list[int]:
    return [item.id for item in store.queue.page(ItemFilter(**which), cursor=None, limit=50).items]


def test_a_host_filter_matches_the_source_or_the_website_only(store: Store) -> None:
    for source in (
        "https://blog.example/1",
        "http://BLOG.example",
        "https://blog.example:8443/2?x",
        "https://blog.example.net/3",
        "https://my-blog.example/4",
        "https://other.example/?about=https://blog.example/",
    ):
        store.items.record(a_ping(source), HELD, [], NOON)
    store.items.record(a_comment("Hello.", url="https://blog.example/me"), HELD, [], NOON)
    store.items.record(a_comment("See https://blog.example/ yourself.", url=None), HELD, [], NOON)
    assert found(store, host="blog.example") == [7, 3, 2, 1]
    assert found(store, host="Blog.Example") == [7, 3, 2, 1]
    assert found(store, host="blog.example:8443") == [3]
    assert found(store, host="blog") == []


@pytest.mark.parametrize("host", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--bcher-kva.example"])
def test_an_internationalized_host_is_found_in_unicode_and_in_ascii(store: Store, host: str) -> None:
    for source in ("https://bücher.example/1", "https://xn--bcher-kva.example/2", "https://bucher.example/3"):
        store.items.record(a_ping(source), HELD, [], NOON)
    assert found(store, host=host) == [2, 1]


@pytest.mark.parametrize("host", ["%", "_log.example", "' OR 1=1 --", "blog.example/1", "*", "\\", "日本"])
def test_a_host_filter_is_no_pattern(store: Store, host: str) -> None:
    store.items.record(a_ping("https://blog.example/1"), HELD, [], NOON)
    assert found(store, host=host) == ([1] if host == "blog.example/1" else [])


def test_items_like_another_have_the_same_or_nearly_the_same_text(store: Store) -> None:
    for number in range(3):
        text = LETTER.format(n=number)
        store.items.record(a_comment(text), HELD, [], NOON)
    other = "Does the last tram still wait for the ferry from the island when that one is late on stormy evenings?"
    store.items.record(a_comment(other), HELD, [], NOON)
    store.items.record(a_comment("Short."), HELD, [], NOON)
    store.items.record(a_comment("Short.", article="2026/snow"), SPAM, [], NOON)
    assert found(store, like=1) == [3, 2, 1]
    assert found(store, like=4) == [4]
    assert found(store, like=5) == [6, 5]
    assert found(store, like=5, status=Status.PENDING) == [5]
    assert found(store, like=99) == []


def test_items_without_a_text_are_like_no_others(store: Store) -> None:
    for number in range(2):
        store.items.record(a_ping(f"https://blog.example/{number}", "", text_key=""), HELD, [], NOON)
    assert found(store, like=1) == [1]


def test_the_oldest_waiting_item_is_pending_and_needs_a_moderator(store: Store) -> None:
    assert store.overview().waiting_since is None
    for number, verdict in enumerate((APPROVED, TO_CHECK, SPAM, HELD, HELD)):
        store.items.record(a_comment(f"Number {number}."), verdict, [], NOON + timedelta(hours=number))
    assert store.overview().waiting_since == NOON + timedelta(hours=3)
    decide_one(store, 4, Decision.TRASH, version=1, by="mori", note=None, now=NOON)
    assert store.overview().waiting_since == NOON + timedelta(hours=4)


def test_waiting_time_counts_from_when_an_item_became_pending(store: Store) -> None:
    later = NOON + timedelta(days=300)
    public = store.items.record(a_comment("Public."), APPROVED, [], NOON).item
    held = decide_one(store, public.id, Decision.HOLD, version=1, by="mori", note=None, now=later)
    assert store.overview().waiting_since == later
    checked = store.items.record(a_comment("To check."), TO_CHECK, [], NOON).item
    assert store.overview().waiting_since == later
    store.items.settle(None, checked.id, checked.version, HELD, NOON + timedelta(days=1))
    assert store.overview().waiting_since == NOON + timedelta(days=1)
    decide_one(store, checked.id, Decision.APPROVE, version=1, by="mori", note=None, now=later)
    store.decisions.undo({held.item.id: held.history}, by="mori", batch="b", now=later + timedelta(hours=1))
    assert store.overview().waiting_since is None


def test_an_undo_restores_the_times_of_waiting_and_publication(store: Store) -> None:
    hours = [NOON + timedelta(hours=number) for number in range(5)]
    item = store.items.record(a_comment(), HELD, [], hours[0]).item
    approved = decide_one(store, item.id, Decision.APPROVE, version=1, by="mori", note=None, now=hours[1])
    assert (approved.item.public_at, approved.item.waiting_since) == (hours[1], hours[0])
    back = store.decisions.undo({item.id: approved.history}, by="mori", batch="1", now=hours[2]).done[0]
    assert (back.item.status, back.item.waiting_since) == (Status.PENDING, hours[0])
    again = store.decisions.undo({item.id: back.history}, by="mori", batch="2", now=hours[3]).done[0]
    assert (again.item.status, again.item.public_at) == (Status.APPROVED, hours[1])
    decide_one(store, item.id, Decision.SPAM, version=4, by="mori", note=None, now=hours[3])
    last = decide_one(store, item.id, Decision.APPROVE, version=5, by="mori", note=None, now=hours[4]).item
    assert (last.public_at, store.items.get(item.id)) == (hours[4], last)
