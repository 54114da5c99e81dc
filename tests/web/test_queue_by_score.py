"""The queue in the order of suspicion, as JSON and as a page."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator
from moderate.model import Finding, Lean
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = "/discuss/moderation/items"
QUEUE = "/discuss/moderation/"


@pytest.fixture
def desk(tmp_path: Path) -> Host:
    """A site on which sixty comments wait; the filter suspects them the more the longer they have waited."""
    host = Host(tmp_path, MODERATE_LIMITS={})
    host.moderator = Moderator("mori")
    items = host.state.desk.store.items
    for number in range(60):
        answer = host.comment(f"Number {number}, {number * 7919}.", article="thaw")
        item = items.get(answer.json["id"])
        items.annotate(item, [Finding("learned", Lean.HOLD, "like spam", score=(60 - number) / 100)])
    return host


def listed(desk: Host, query: str) -> list[Any]:
    found, cursor = [], ""
    while True:
        page = desk.client.get(f"{ITEMS}?{query}{cursor}").json
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("query", ["status=pending", "status=pending&kind=comment", "", "author=Mika"])
def test_items_are_listed_by_score(desk: Host, query: str) -> None:
    found = listed(desk, f"{query}&sort=score&limit=7")
    assert [item["id"] for item in found] == list(range(1, 61))
    assert [item["score"] for item in found] == [n / 100 for n in range(60, 0, -1)]
    assert [item["id"] for item in listed(desk, f"{query}&sort=newest&limit=50")] == list(range(60, 0, -1))


def test_an_unknown_order_is_refused(desk: Host) -> None:
    answer = desk.client.get(f"{ITEMS}?sort=best")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "sort")
    page = desk.client.get(f"{QUEUE}?sort=best")
    assert page.status_code == 422
    assert "Order: One of newest, score." in page.text


def ids(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li data-id="(\d+)"', page)]


def link(page: str, words: str) -> str:
    found = re.search(rf'href="([^"]+)"[^>]*>{words}</a>', page)
    assert found, words
    return unescape(found[1])


def test_the_page_is_sorted_by_a_link_and_stays_so(desk: Host) -> None:
    page = desk.client.get(QUEUE).text
    assert ids(page) == list(range(60, 10, -1))
    page = desk.client.get(link(page, "Most suspicious first")).text
    assert ids(page) == list(range(1, 51))
    further = desk.client.get(link(page, "Less suspicious items")).text
    assert ids(further) == list(range(51, 61))
    # After a decision, and after a search.
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    fields = {"csrf_token": token[1], "decision": "spam", "version": "1", "filter_status": "pending"}
    answer = desk.client.post(f"{QUEUE}queue/1", data={**fields, "filter_sort": "score"})
    assert ids(desk.client.get(answer.headers["Location"]).text) == list(range(2, 52))
    assert '<input type="hidden" name="sort" value="score">' in page
    assert 'name="filter_sort" value="score"' in page
    assert ids(desk.client.get(link(page, "Newest first")).text) == list(range(60, 10, -1))
    # From the second page on it leads to the beginning of the other order.
    assert ids(desk.client.get(link(further, "Newest first")).text) == list(range(60, 10, -1))


def test_what_came_in_since_is_counted_in_each_order(desk: Host) -> None:
    for query in ("", "?sort=score"):
        found = re.search(r'data-news="([^"]+)"', desk.client.get(QUEUE + query).text)
        assert found
        assert desk.client.get(unescape(found[1])).json["new"] == 0
    desk.comment("One more.")
    assert desk.client.get(unescape(found[1])).json["new"] == 1
