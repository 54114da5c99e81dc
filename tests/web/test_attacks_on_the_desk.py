"""Attacks on decisions about many items: texts changed after they were shown, and concurrent decisions."""

from __future__ import annotations

import random
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUEUE = "/discuss/moderation/queue"
DECISIONS = "/discuss/moderation/decisions"
UNDO = "/discuss/moderation/undo"


def harmless(host: Host) -> list[dict[str, Any]]:
    return [host.comment(f"A kind word about ice, the {number}.").json for number in (1, 2, 3)]


def replaced(host: Host, item: dict[str, Any]) -> None:
    """One item goes and another comes: as many as before."""
    host.client.delete(f"/discuss/items/{item['id']}?edit_token={item['edit_token']}")
    host.comment("Buy ice at ice.example, the 4.")


def rewritten(host: Host, item: dict[str, Any]) -> None:
    change = {"text": "Buy ice at ice.example.", "edit_token": item["edit_token"]}
    assert host.client.patch(f"/discuss/items/{item['id']}", json=change).status_code == 200


BAITS = pytest.mark.parametrize("switch", [replaced, rewritten])


@BAITS
def test_a_bulk_button_publishes_no_text_that_arrived_after_its_page(
    host: Host, switch: Callable[[Host, dict[str, Any]], None]
) -> None:
    items = harmless(host)
    host.moderator = Moderator("mori")
    page = host.client.get(f"{QUEUE}/like?q=ice").text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    switch(host, items[1])
    answer = host.client.post(f"{QUEUE}/all", data={**fields, "decision": "approve"})
    assert answer.status_code == 409
    assert host.counts()["comments"] == 0
    again = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text))
    assert host.client.post(f"{QUEUE}/all", data={**again, "decision": "approve"}).status_code == 303
    assert host.counts()["comments"] == 3


@BAITS
def test_an_api_client_can_decide_on_exactly_the_version_that_it_read(
    host: Host, switch: Callable[[Host, dict[str, Any]], None]
) -> None:
    items, headers = harmless(host), host.token()
    body: dict[str, Any] = {"decision": "approve", "filter": {"q": "ice", "status": "pending"}, "expect": 0}
    told: Any = host.client.post(DECISIONS, json=body, headers=headers).json
    assert told["found"] == 3
    body |= {"expect": told["found"], "seen": told["seen"]}
    switch(host, items[1])
    refused: Any = host.client.post(DECISIONS, json=body, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (409, "unexpected-number")
    assert host.counts()["comments"] == 0
    body |= {"expect": refused.json["found"], "seen": refused.json["seen"]}
    assert host.client.post(DECISIONS, json=body, headers=headers).status_code == 200
    assert host.counts()["comments"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"items": [{"id": 1, "version": 1}], "seen": "x"},
        {"filter": {}, "expect": 1, "seen": ""},
        {"filter": {}, "expect": 1, "seen": 1},
        {"filter": {}, "expect": "1"},
        {"filter": {}, "expect": 1.0},
        {"filter": {}},
        {"filter": {"like": 2**63}, "expect": 1},
        {"filter": {"like": -1}, "expect": 1},
        {"filter": {"status": ["pending"]}, "expect": 1},
        {"filter": {"article": {"$ne": ""}}, "expect": 1},
        {"filter": [], "expect": 1},
        {"items": [{"id": 1, "version": 1}, {"id": 1, "version": 2}]},
        {"items": [{"id": 1.0, "version": 1}]},
        {"items": [{"id": "1", "version": 1}]},
        {"items": [{"id": True, "version": 1}]},
        {"items": [{"id": 2**63, "version": 1}]},
        {"items": [{"id": 1, "version": -1}]},
        {"items": [{"id": number, "version": 1} for number in range(1, 502)]},
        {"items": []},
    ],
)
def test_values_of_wrong_types_do_not_widen_a_decision(host: Host, body: dict[str, Any]) -> None:
    host.comment()
    answer = host.client.post(DECISIONS, json={"decision": "approve", **body}, headers=host.token())
    assert answer.status_code == 422
    assert host.counts()["comments"] == 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_concurrent_decisions_undos_and_edits_leave_correct_counters(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    settings = {"MODERATE_DATABASE_URL": request.getfixturevalue("pg_url")} if database == "postgresql" else {}
    # Two apps on one database, as two processes are.
    hosts = [Host(tmp_path, MODERATE_LIMITS={}, **settings) for _ in range(2)]
    if settings:
        assert hosts[0].app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"]).exit_code == 0
    items = [hosts[0].comment(f"Word {number}.").json for number in range(20)]
    headers = hosts[0].token()
    statuses: list[int] = []

    def meddle(number: int) -> None:
        dice, client = random.Random(number), hosts[number % 2].app.test_client()
        batch = None
        for _ in range(12):
            chosen = dice.sample(items, 8)
            if batch and dice.random() < 0.4:
                answer: Any = client.post(UNDO, json={"batch": batch}, headers=headers)
            elif dice.random() < 0.3:
                one = chosen[0]
                change = {"text": f"Other word {dice.random()}.", "edit_token": one["edit_token"]}
                answer = client.patch(f"/discuss/items/{one['id']}", json=change)
            elif dice.random() < 0.1:
                answer = client.delete(f"/discuss/items/{chosen[0]['id']}?edit_token={chosen[0]['edit_token']}")
            else:
                wanted = [{"id": item["id"], "version": dice.randint(1, 6)} for item in chosen]
                body = {"decision": dice.choice(["approve", "hold", "spam", "trash"]), "items": wanted}
                answer = client.post(DECISIONS, json=body, headers=headers)
                batch = answer.json.get("batch")
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=meddle, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drift = hosts[0].app.test_cli_runner().invoke(args=["moderate", "recount", "--dry-run"])
    for host in hosts:
        host.state.desk.store.database.dispose()
    assert len(statuses) == 72
    # 404: of a batch in which nothing could be decided there is nothing to undo.
    assert set(statuses) <= {200, 204, 403, 404}
    assert drift.exit_code == 0, drift.output
