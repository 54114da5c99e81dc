"""Many items at once over HTTP: by list, by filter, undone, and listed in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator, signals
from moderate.errors import ServiceDown

if TYPE_CHECKING:
    from tests.sites import Host

API = "/discuss/moderation"


def post(host: Host, where: str, body: dict[str, Any], by: str = "mori") -> Any:
    return host.client.post(f"{API}/{where}", json=body, headers=host.token(by))


def get(host: Host, where: str) -> Any:
    answer = host.client.get(f"{API}/{where}", headers=host.token())
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def fill(host: Host, number: int) -> None:
    for index in range(number):
        host.comment(f"Comment {index} about rivers")


def statuses(host: Host) -> dict[int, str]:
    return {item["id"]: item["status"] for item in get(host, "items?limit=200")["items"]}


def test_a_list_of_items_is_decided_and_conflicts_are_reported(host: Host) -> None:
    fill(host, 4)
    host.decide(2, "spam", **host.token("sato"))
    host.decide(3, "approve", **host.token("sato"))
    seen = [{"id": number, "version": 1} for number in (1, 2, 3, 4, 99)]
    answer = post(host, "decisions", {"decision": "approve", "items": seen, "note": "all fine"})
    assert answer.status_code == 200
    assert answer.json["decided"] == [
        {"id": 1, "status": "approved", "version": 2, "changed": True},
        {"id": 3, "status": "approved", "version": 2, "changed": False},
        {"id": 4, "status": "approved", "version": 2, "changed": True},
    ]
    assert answer.json["conflicts"] == [
        {"id": 2, "code": "decided-meanwhile", "by": "sato", "decision": "spam", "version": 2},
        {"id": 99, "code": "unknown-item"},
    ]
    assert host.counts() == {"comments": 3, "trackbacks": 0}
    line = get(host, "items/1")["history"][-1]
    assert (line["act"], line["by"], line["note"], line["batch"]) == (
        "decided", "mori", "all fine", answer.json["batch"],
    )  # fmt: skip


def test_a_filter_decides_its_matches_when_their_number_is_as_expected(host: Host) -> None:
    fill(host, 3)
    host.comment("Buy casino chips")
    wanted = {"decision": "spam", "filter": {"status": "pending", "q": "casino"}, "expect": 1}
    assert [done["id"] for done in post(host, "decisions", wanted).json["decided"]] == [4]
    assert statuses(host) == {1: "pending", 2: "pending", 3: "pending", 4: "spam"}


def test_a_filter_with_an_unexpected_number_of_matches_decides_nothing(host: Host) -> None:
    fill(host, 3)
    for expect in (2, 4):
        answer = post(host, "decisions", {"decision": "trash", "filter": {"status": "pending"}, "expect": expect})
        assert (answer.status_code, answer.json["code"], answer.json["found"]) == (409, "unexpected-number", 3)
    assert set(statuses(host).values()) == {"pending"}


def test_a_filter_with_too_many_matches_decides_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderate.moderation.decide.MOST", 2)
    fill(host, 3)
    answer = post(host, "decisions", {"decision": "trash", "filter": {"status": "pending"}, "expect": 3})
    assert (answer.status_code, answer.json["code"]) == (409, "not-allowed")
    assert set(statuses(host).values()) == {"pending"}


def test_several_transactions_make_one_batch_and_items_are_announced_after_commit(host: Host) -> None:
    fill(host, 120)
    heard: list[tuple[int, str]] = []

    def on_spam(app: object, item: Any, by: str) -> None:
        with host.app.app_context():
            assert host.state.desk.store.items.get(item.id).status == "spam"
        heard.append((item.id, by))

    with signals.item_marked_spam.connected_to(on_spam, sender=host.app):
        answer = post(host, "decisions", {"decision": "spam", "filter": {"status": "pending"}, "expect": 120})
    assert heard == [(number, "mori") for number in range(1, 121)]
    assert len(answer.json["decided"]) == 120
    undone = post(host, "undo", {"batch": answer.json["batch"]}, by="sato").json
    assert (len(undone["undone"]), undone["conflicts"]) == (120, [])
    assert set(statuses(host).values()) == {"pending"}
    with host.app.app_context():
        assert not any(host.state.desk.store.counters.recount(repair=False))


def test_an_outage_between_transactions_reports_the_items_that_were_left(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(host, 60)
    stored = host.state.desk.store.decisions
    decide = stored.decide

    def decide_the_first(versions: dict[int, int], *args: Any, **options: Any) -> Any:
        if 1 not in versions:
            raise ServiceDown("database", "it went away")
        return decide(versions, *args, **options)

    monkeypatch.setattr(stored, "decide", decide_the_first)
    everything = {"decision": "spam", "filter": {"status": "pending"}, "expect": 60}
    answer = post(host, "decisions", everything).json
    assert [done["id"] for done in answer["decided"]] == list(range(1, 51))
    assert answer["conflicts"] == [{"id": number, "code": "unavailable"} for number in range(51, 61)]
    assert post(host, "decisions", {**everything, "expect": 10}).status_code == 503, "nothing was decided"


def test_an_undo_skips_and_reports_items_decided_again_since(host: Host) -> None:
    fill(host, 3)
    seen = [{"id": number, "version": 1} for number in (1, 2, 3)]
    batch = post(host, "decisions", {"decision": "spam", "items": seen}).json["batch"]
    host.decide(2, "approve", 2, **host.token("sato"))
    undone = post(host, "undo", {"batch": batch}).json
    assert [done["id"] for done in undone["undone"]] == [1, 3]
    assert undone["conflicts"] == [
        {"id": 2, "code": "decided-meanwhile", "by": "sato", "decision": "approved", "version": 3}
    ]
    assert statuses(host) == {1: "pending", 2: "approved", 3: "pending"}
    again = post(host, "undo", {"batch": batch}).json
    assert (again["undone"], len(again["conflicts"])) == ([], 3)


def test_an_undo_can_be_undone(host: Host) -> None:
    fill(host, 2)
    batch = post(host, "decisions", {"decision": "approve", "filter": {}, "expect": 2}).json["batch"]
    undone = post(host, "undo", {"batch": batch}).json
    assert host.counts()["comments"] == 0
    assert len(post(host, "undo", {"batch": undone["batch"]}).json["undone"]) == 2
    assert host.counts()["comments"] == 2


def test_a_single_decision_is_undone_by_its_log_entry(host: Host) -> None:
    fill(host, 1)
    host.decide(1, "approve", **host.token("mori"))
    received, decided = get(host, "items/1")["history"]
    assert post(host, "undo", {"history": received["id"]}).json["code"] == "not-allowed"
    answer = post(host, "undo", {"history": decided["id"]}, by="sato")
    assert answer.json["undone"] == [{"id": 1, "status": "pending", "version": 3, "changed": True}]
    last = get(host, "items/1")["history"][-1]
    assert (last["act"], last["by"], last["from"], last["to"]) == ("undone", "sato", "approved", "pending")


@pytest.mark.parametrize(
    "body",
    [{"batch": "no-such"}, {"history": 99}],
)
def test_a_decision_that_does_not_exist_cannot_be_undone(host: Host, body: dict[str, Any]) -> None:
    answer = post(host, "undo", body)
    assert (answer.status_code, answer.json["code"]) == (404, "unknown-decision")


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("decisions", {}),
        ("decisions", {"decision": "approve"}),
        ("decisions", {"decision": "approve", "items": []}),
        ("decisions", {"decision": "burn", "items": [{"id": 1, "version": 1}]}),
        ("decisions", {"decision": "approve", "items": [{"id": "1", "version": 1}]}),
        ("decisions", {"decision": "approve", "items": [{"id": 1}]}),
        ("decisions", {"decision": "approve", "items": [{"id": 1, "version": 1}] * 2}),
        ("decisions", {"decision": "approve", "items": [{"id": n, "version": 1} for n in range(1, 502)]}),
        ("decisions", {"decision": "approve", "items": [{"id": 2**63, "version": 1}]}),
        ("decisions", {"decision": "approve", "filter": {"status": "pending"}}),
        ("decisions", {"decision": "approve", "filter": {"colour": "red"}, "expect": 1}),
        ("decisions", {"decision": "approve", "filter": {}, "expect": 10_001}),
        ("decisions", {"decision": "approve", "filter": {}, "expect": 1, "items": [{"id": 1, "version": 1}]}),
        ("decisions", {"decision": "approve", "filter": {}, "expect": True}),
        ("decisions", {"decision": "approve", "filter": {"q": "a\0b"}, "expect": 1}),
        ("undo", {}),
        ("undo", {"batch": ""}),
        ("undo", {"batch": "b", "history": 1}),
        ("undo", {"history": 0}),
    ],
)
def test_an_invalid_body_is_refused_with_its_fields_and_decides_nothing(host: Host, where: str, body: Any) -> None:
    fill(host, 1)
    answer = post(host, where, body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert answer.json["errors"]
    assert statuses(host) == {1: "pending"}


@pytest.mark.parametrize("where", ["decisions", "undo", "history", "rules", "articles"])
def test_unauthenticated_clients_get_no_access(host: Host, where: str) -> None:
    for method in ("GET", "POST"):
        answer = host.client.open(f"{API}/{where}", method=method, json={})
        assert answer.status_code in {401, 405}
    host.moderator = Moderator("mori")
    answer = host.client.post(f"{API}/{where}", json={})
    assert answer.status_code in {403, 405}


def test_the_log_is_listed_newest_first_in_pages_and_by_moderator_item_and_batch(host: Host) -> None:
    fill(host, 3)
    batch = post(host, "decisions", {"decision": "approve", "filter": {}, "expect": 3}).json["batch"]
    host.decide(2, "spam", 2, **host.token("sato"))
    page = get(host, "history?limit=2")
    assert [(entry["item"], entry["by"]) for entry in page["history"]] == [(2, "sato"), (3, "mori")]
    rest = get(host, f"history?limit=200&cursor={page['next']}")
    assert (len(rest["history"]), rest["next"]) == (5, None)
    assert [entry["to"] for entry in get(host, "history?item=2")["history"]] == ["spam", "approved", "pending"]
    assert [entry["item"] for entry in get(host, "history?moderator=sato")["history"]] == [2]
    assert len(get(host, f"history?batch={batch}")["history"]) == 3
    assert get(host, "history?moderator=nobody")["history"] == []
    answer = host.client.get(f"{API}/history?item=x", headers=host.token())
    assert answer.status_code == 422


def test_an_item_is_shown_with_others_of_the_same_author(host: Host) -> None:
    host.comment("First", email="mika@mail.example")
    host.comment("Second", email="mika@mail.example")
    host.comment("Third")
    for _ in range(12):
        host.client.post(
            "/discuss/comments/thaw", json={"author": "X", "text": "else"}, environ_base={"REMOTE_ADDR": "198.51.100.9"}
        )
    others = get(host, "items/1")["others"]
    assert [(other["id"], other["same"]) for other in others] == [(3, ["ip"]), (2, ["email", "ip"])]
    assert [other["id"] for other in get(host, "items/4")["others"]] == list(range(15, 5, -1))
