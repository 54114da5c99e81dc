"""The queue's forms by themselves: refused ones change nothing, and notices are for their moderator only."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from moderate import Moderator
from moderate.model import NewTask
from moderate.moderation import labels
from moderate.tasks.housekeeping import AKISMET
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

QUEUE = "/discuss/moderation/"
FORMS = ("queue/1", "queue/selected", "queue/all", "queue/undo")


@pytest.fixture
def desk(host: Host) -> Host:
    host.moderator = Moderator("mori")
    for number in range(4):
        host.comment(f"Number {number}.", author=f"Reader {number % 2}")
    return host


def csrf(desk: Host) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', desk.client.get(QUEUE + "?status=").text)
    assert found
    return found[1]


def send(desk: Host, form: str, **fields: Any) -> Any:
    return desk.client.post(QUEUE + form, data={"csrf_token": csrf(desk), "decision": "spam", "version": "1", **fields})


def told(desk: Host, answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    found = re.search(r'<p role="status"[^>]*>([^<]*)</p>', desk.client.get(answer.headers["Location"]).text)
    return found[1] if found else ""


def pending(desk: Host) -> int:
    with desk.app.app_context():
        number: int = desk.state.desk.store.counters.totals().pending
    return number


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("changes", [{"csrf_token": ""}, {"csrf_token": "made up"}])
def test_every_form_needs_its_csrf_token(desk: Host, form: str, changes: dict[str, str]) -> None:
    answer = send(desk, form, item="1:1", expect="4", batch="x", **changes)
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert pending(desk) == 4


@pytest.mark.parametrize("form", FORMS)
def test_every_form_refuses_unauthenticated_clients(desk: Host, form: str) -> None:
    token = csrf(desk)
    desk.moderator = None
    data = {"csrf_token": token, "decision": "spam", "version": "1", "item": "1:1", "expect": "4"}
    answer = desk.client.post(QUEUE + form, data=data)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    desk.moderator = Moderator("mori")
    assert pending(desk) == 4


@pytest.mark.parametrize("page", ["queue/like", "queue/news"])
def test_unauthenticated_clients_see_no_items(desk: Host, page: str) -> None:
    desk.moderator = None
    answer = desk.client.get(QUEUE + page)
    assert answer.status_code == 401
    assert "Number" not in answer.text


@pytest.mark.parametrize("form", FORMS)
def test_every_form_refuses_get(desk: Host, form: str) -> None:
    assert desk.client.get(f"{QUEUE}{form}?decision=spam&version=1&item=1:1&expect=4").status_code == 405
    assert pending(desk) == 4


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("queue/selected", {"item": "1"}),
        ("queue/selected", {"item": "1:x"}),
        ("queue/selected", {"item": ["1:1", ":"]}),
        ("queue/selected", {"item": "1:1", "decision": "delete"}),
        ("queue/selected", {"item": f"{2**64}:1"}),
        ("queue/all", {"expect": ""}),
        ("queue/all", {"expect": "-1"}),
        ("queue/all", {"expect": "4", "filter_status": "nowhere"}),
        ("queue/all", {"expect": "4", "filter_like": "one"}),
        ("queue/all", {"expect": "4", "filter_q": "a\0b"}),
        ("queue/all", {"expect": "4", "decision": ""}),
    ],
)
def test_an_invalid_form_gets_an_error_page_and_decides_nothing(desk: Host, form: str, fields: dict[str, Any]) -> None:
    answer = send(desk, form, **fields)
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    assert pending(desk) == 4


@pytest.mark.parametrize("batch", ["", "nothing", "x" * 5000, "a\0b"])
def test_an_unknown_batch_cannot_be_undone(desk: Host, batch: str) -> None:
    answer = send(desk, "queue/undo", batch=batch)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_decision_that_changes_nothing_offers_no_undo(desk: Host) -> None:
    pages = [desk.client.get(send(desk, "queue/1").headers["Location"]).text for _ in range(2)]
    assert ['name="batch"' in page for page in pages] == [True, False]


def test_a_deleted_item_cannot_be_decided(desk: Host) -> None:
    answer = send(desk, "queue/999")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_filter_decides_only_on_the_items_that_were_shown(desk: Host) -> None:
    answer = send(desk, "queue/all", expect="3", filter_status="pending", filter_author="Reader 0")
    assert answer.status_code == 409
    assert "2 items match" in answer.text
    assert pending(desk) == 4
    answer = send(desk, "queue/all", expect="2", filter_status="pending", filter_author="Reader 0")
    assert told(desk, answer) == "2 items: spam."
    assert pending(desk) == 2


def test_an_unexpected_number_of_matches_is_told_in_the_language_of_the_moderator(desk: Host) -> None:
    sent = {"csrf_token": csrf(desk), "decision": "spam", "expect": "3", "filter_status": "pending"}
    answer = desk.client.post(f"{QUEUE}queue/all", data=sent, headers={"Accept-Language": "ja"})
    assert answer.status_code == 409
    assert "その間に該当するものが変わりました" in answer.text


def test_deleted_and_conflicting_items_are_reported_beside_the_decided_ones(desk: Host) -> None:
    desk.decide(2, "approve", **desk.token("sato"))
    answer = send(desk, "queue/selected", item=["1:1", "2:1", "99:1"])
    assert told(desk, answer) == ("Item 1: spam. Item 2: sato has decided meanwhile: approved. Item 99 is gone.")
    assert 'class="notice caution"' in desk.client.get(answer.headers["Location"]).text


def test_twenty_conflicts_are_counted_and_a_few_listed(desk: Host) -> None:
    answer = send(desk, "queue/selected", item=[f"{number}:1" for number in range(100, 120)])
    assert told(desk, answer).endswith("And 17 more.")
    assert 'class="notice caution"' in desk.client.get(answer.headers["Location"]).text


def test_a_notice_is_valid_for_its_moderator_and_for_an_hour(desk: Host) -> None:
    location = send(desk, "queue/selected", item="1:1").headers["Location"]
    html = desk.client.get(location).text
    assert "Item 1: spam." in html
    assert 'class="notice"' in html
    desk.moderator = Moderator("sato")
    assert "Item 1: spam." not in desk.client.get(location).text
    desk.moderator = Moderator("mori")
    desk.clock.advance(seconds=3601)
    assert "Item 1: spam." not in desk.client.get(location).text


def test_a_signed_text_of_another_purpose_is_no_notice(desk: Host) -> None:
    forged = desk.state.signer.sign("csrf", ["mori", {"act": "spam", "done": 5, "left": []}])
    assert "5 items" not in desk.client.get(f"{QUEUE}?notice={forged}").text


def test_an_undo_is_reported_without_an_offer_to_undo_it(desk: Host) -> None:
    location = send(desk, "queue/selected", item=["1:1", "2:1"]).headers["Location"]
    batch = re.search(r'name="batch" value="([^"]+)"', desk.client.get(location).text)
    assert batch
    answer = send(desk, "queue/undo", batch=batch[1], filter_status="pending", filter_q="Number")
    assert told(desk, answer) == "2 items: put back."
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["q"] == ["Number"]
    assert 'name="batch"' not in desk.client.get(answer.headers["Location"]).text
    assert pending(desk) == 4


def test_the_news_response_holds_only_numbers(desk: Host) -> None:
    answer = desk.client.get(f"{QUEUE}queue/news?status=pending&after=2")
    totals = {"pending": 4, "approved": 0, "spam": 0, "trash": 0, "changed": 0}
    assert answer.json == {"new": 2, "totals": totals}
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_queue_page_reports_late_checks_account_warnings_and_the_longest_wait(desk: Host) -> None:
    with desk.app.app_context():
        store, now = desk.state.desk.store, desk.clock.now()
        store.tasks.add(1, [NewTask(kind="judge", due_at=now)], now)
        desk.state.desk.account.keep("alert", "the plan has run out", now, quiet=0)
    desk.clock.advance(seconds=7300)
    html = desk.client.get(QUEUE).text
    assert "Checks are behind by 2 hours. Is a worker running?" in html
    assert "Akismet: the plan has run out" in html
    assert "The oldest has waited for 2 hours." in html


def test_the_queue_page_reports_the_state_of_akismet_found_by_a_worker(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_AKISMET_KEY="k", MODERATE_SITE_URL="https://news.example", MODERATE_LANGUAGE="ja")
    host.moderator = Moderator("mori")
    with host.app.app_context():
        host.state.desk.store.states.keep(AKISMET, {"state": "down"}, host.clock.now())
    assert "Akismet：応答なし. 応答があるまで保留され" in host.client.get(QUEUE).text
    host.close()


def test_a_newly_started_site_reports_no_missing_worker(desk: Host) -> None:
    worker, store = desk.state.worker, desk.state.desk.store
    worker.work()
    worker.stop()
    with desk.app.app_context():
        then = desk.clock.now() - timedelta(days=300)
        store.tasks.add(1, [NewTask(kind="judge", due_at=then)], then)
    assert "Is a worker running?" not in desk.client.get(QUEUE).text
    desk.clock.advance(minutes=3)
    assert "Is a worker running?" in desk.client.get(QUEUE).text


@pytest.mark.parametrize(
    ("accept", "language"), [("ja", "ja"), ("ja-JP, en;q=0.5", "ja"), ("de, en;q=0.8", "en"), ("", "en"), ("*", "en")]
)
def test_the_page_uses_the_language_of_the_moderator_where_available(desk: Host, accept: str, language: str) -> None:
    answer = desk.client.get(QUEUE, headers={"Accept-Language": accept})
    assert f'<html lang="{language}">' in answer.text
    assert "Accept-Language" in answer.headers["Vary"]


ALIKE = "Great offers on winter boots, jackets and gloves this weekend in our warehouse behind the station, offer {n}"
OFFERED = re.compile("more like this waits?</a>")


@pytest.mark.parametrize("decision", ["approve", "spam", "trash", "hold"])
def test_a_decision_offers_the_others_that_are_like_it(desk: Host, decision: str) -> None:
    for number in range(3):
        desk.comment(ALIKE.format(n=number))
    page = desk.client.get(send(desk, "queue/6", decision=decision).headers["Location"]).text
    offered = re.search(r'<a href="([^"]+)">2 more like this wait</a>', page)
    if decision == "hold":
        assert offered is None
        return
    assert offered
    preview = desk.client.get(offered[1].replace("&amp;", "&")).text
    assert "2 items match" in preview
    assert "offer 0" in preview
    assert "offer 1" not in preview
    # Its number is that of now: the notice may be shown again.
    last = send(desk, "queue/5", decision=decision).headers["Location"]
    assert "1 more like this waits" in desk.client.get(last).text
    send(desk, "queue/7", decision=decision)
    assert not OFFERED.search(desk.client.get(last).text)


def test_a_great_number_of_likes_is_not_counted_to_its_end(desk: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_ALIKE", 2)
    for number in range(4):
        desk.comment(ALIKE.format(n=number))
    assert "2+ more like this wait" in desk.client.get(send(desk, "queue/6").headers["Location"]).text
    assert not OFFERED.search(desk.client.get(send(desk, "queue/1").headers["Location"]).text)
    assert not OFFERED.search(desk.client.get(send(desk, "queue/selected", item="2:1").headers["Location"]).text)
