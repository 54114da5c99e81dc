"""Moderators' rules and overrides of articles over HTTP: what they do, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

RULES = "/discuss/moderation/rules"
ARTICLES = "/discuss/moderation/articles"


def add(host: Host, kind: str, value: str, effect: str = "spam", query: str = "", **more: Any) -> Any:
    body = {"kind": kind, "value": value, "effect": effect, **more}
    return host.client.post(f"{RULES}{query}", json=body, headers=host.token())


def rules(host: Host) -> list[dict[str, Any]]:
    answer = host.client.get(RULES, headers=host.token())
    assert answer.headers["Cache-Control"] == "no-store"
    found: list[dict[str, Any]] = answer.json["rules"]
    return found


def item(host: Host, number: int) -> Any:
    return host.client.get(f"/discuss/moderation/items/{number}", headers=host.token()).json


def test_a_rule_takes_effect_at_once_and_counts_its_matches(host: Host) -> None:
    host.comment("Try our casino")
    made = add(host, "word", " casino ", "spam", note="since May")
    assert made.status_code == 201
    host.comment("Another casino here")
    host.comment("About rivers")
    assert [item(host, number)["status"] for number in (1, 2, 3)] == ["pending", "spam", "pending"]
    (rule,) = rules(host)
    assert rule == {
        "id": 1,
        "kind": "word",
        "value": "casino",
        "effect": "spam",
        "note": "since May",
        "created_at": made.json["created_at"],
        "created_by": "mori",
        "hits": 1,
        "last_hit_at": made.json["created_at"],
    }
    assert host.client.get(f"{RULES}/1", headers=host.token()).json == rule


def test_the_log_and_the_findings_name_the_rule(host: Host) -> None:
    add(host, "host", "casino.example", "hold")
    host.comment("See https://www.casino.example/x")
    found = item(host, 1)
    assert [finding["rule"] for finding in found["findings"] if finding["check"] == "rules"] == [1]
    assert found["history"][0]["cause"] == {"check": "rules", "rule": 1}
    host.comment("About rivers")
    assert item(host, 2)["history"][0]["cause"] is None


def test_an_edit_that_matches_the_same_rule_again_is_counted_once(host: Host) -> None:
    add(host, "word", "casino", "hold")
    sent = host.comment("A casino").json
    body = {"text": "Still a casino", "edit_token": sent["edit_token"]}
    assert host.client.patch(f"/discuss/items/{sent['id']}", json=body).status_code == 200
    assert rules(host)[0]["hits"] == 1


def test_a_deleted_rule_has_no_effect(host: Host) -> None:
    add(host, "word", "casino")
    answer = host.client.delete(f"{RULES}/1", headers=host.token())
    assert (answer.status_code, answer.data) == (204, b"")
    host.comment("Another casino here")
    assert (item(host, 1)["status"], rules(host)) == ("pending", [])
    for number in (1, 99, 2**70):
        answer = host.client.delete(f"{RULES}/{number}", headers=host.token())
        assert (answer.status_code, answer.json["code"]) == (404, "unknown-rule")


def test_another_process_applies_a_new_rule_within_seconds(tmp_path: Path) -> None:
    one, other = (Host(tmp_path, MODERATE_LIMITS={}) for _ in range(2))
    other.comment("Before the casino")
    add(one, "word", "casino")
    other.comment("A casino, too soon to tell")
    other.clock.advance(seconds=6)
    other.comment("A casino, later")
    assert [item(one, number)["status"] for number in (1, 2, 3)] == ["pending", "pending", "spam"]


def test_repeating_a_value_updates_the_effect_and_the_note_of_the_rule(host: Host) -> None:
    add(host, "ip", "192.0.2.7")
    again = add(host, "ip", "192.0.2.7/32", "hold", note="milder")
    assert (again.status_code, again.json["id"], again.json["effect"], again.json["note"]) == (200, 1, "hold", "milder")
    assert len(rules(host)) == 1


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("ip", "2001:DB8::/32", "2001:db8::/32"),
        ("ip", "192.0.2.77/24", "192.0.2.0/24"),
        ("host", "https://WWW.Bücher.example/path", "www.xn--bcher-kva.example"),
        ("email", "Mika@Mail.Example", "mika@mail.example"),
        ("email", "@mail.example", "@mail.example"),
    ],
)
def test_values_are_stored_in_one_spelling(host: Host, kind: str, value: str, stored: str) -> None:
    assert add(host, kind, value).json["value"] == stored


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "ip", "value": "192.0.2.0/33", "effect": "spam"},
        {"kind": "ip", "value": "everybody", "effect": "spam"},
        {"kind": "host", "value": "not a host", "effect": "spam"},
        {"kind": "email", "value": "nobody", "effect": "spam"},
        {"kind": "word", "value": "*", "effect": "spam"},
        {"kind": "word", "value": " ", "effect": "spam"},
        {"kind": "word", "value": "x" * 201, "effect": "spam"},
        {"kind": "word", "value": "a\0b", "effect": "spam"},
        {"kind": "word", "value": "casino", "effect": "burn"},
        {"kind": "colour", "value": "red", "effect": "spam"},
        {"kind": "word", "value": 7, "effect": "spam"},
        {"kind": "word", "value": "casino", "effect": "spam", "note": "x" * 1001},
        {"kind": "word", "value": "casino", "effect": "spam", "hits": 7},
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=1"])
def test_an_invalid_rule_is_refused(host: Host, body: dict[str, Any], query: str) -> None:
    answer = host.client.post(f"{RULES}{query}", json=body, headers=host.token())
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert rules(host) == []


def test_a_dry_run_lists_matches_and_earlier_decisions_of_moderators(host: Host) -> None:
    for number in range(3):
        host.comment(f"Casino {number}")
    host.comment("About rivers")
    host.decide(1, "approve")
    host.decide(2, "spam")
    answer = add(host, "word", "casino", "hold", "?dry_run=1")
    assert answer.status_code == 200
    told = answer.json
    assert (told["looked_at"], told["matched"]) == (4, 3)
    assert told["by_status"] == {"pending": 1, "approved": 1, "spam": 1}
    assert told["decided"] == {"approved": 1, "spam": 1}
    assert [(met["id"], met["would"], met["status"], met["decided_by"]) for met in told["items"]] == [
        (3, "hold", "pending", None),
        (2, "hold", "spam", "mori"),
        (1, "hold", "approved", "mori"),
    ]
    assert rules(host) == []
    assert add(host, "word", "casino", "hold", "?dry_run=yes").status_code == 422


def test_a_dry_run_of_a_trust_rule_matches_only_verified_authors(host: Host) -> None:
    host.comment("Hello", email="mika@mail.example")
    assert add(host, "email", "mika@mail.example", "trust", "?dry_run=1").json["matched"] == 0
    assert add(host, "email", "mika@mail.example", "hold", "?dry_run=1").json["matched"] == 1


# --- articles --------------------------------------------------------------------------------------


def put(host: Host, article: str, **body: Any) -> Any:
    return host.client.put(f"{ARTICLES}/{article}", json=body, headers=host.token())


def test_moderators_can_close_and_open_an_article_against_the_setting_of_the_host(host: Host) -> None:
    host.add_article("2026/über alles", comments_open=False)
    told = put(host, "2026/über alles", comments_open=True).json
    assert (told["comments_open"], told["pings_open"], told["premoderation"]) == (True, None, None)
    assert told["host"]["comments_open"] is False
    assert host.comment(article="2026/über alles").status_code == 202
    put(host, "2026/über alles", premoderation="none")
    assert host.comment("Now at once", article="2026/über alles").status_code == 201
    put(host, "2026/über alles", comments_open=None)
    assert host.comment(article="2026/über alles").json["code"] == "closed"
    told = host.client.get(f"{ARTICLES}/2026/über alles", headers=host.token())
    assert told.headers["Cache-Control"] == "no-store"
    assert (told.json["comments_open"], told.json["premoderation"]) == (None, "none")


@pytest.mark.parametrize("body", [{"comments_open": 1}, {"premoderation": "some"}, {"title": "x"}])
def test_invalid_overrides_are_refused(host: Host, body: dict[str, Any]) -> None:
    assert put(host, "thaw", **body).json["code"] == "invalid"
    assert put(host, "no-such", comments_open=True).json["code"] == "unknown-article"


def test_all_known_articles_older_than_a_date_are_closed_at_once(host: Host) -> None:
    now = host.clock.now()
    host.add_article("old", published_at=now - timedelta(days=400))
    host.add_article("naive", published_at=datetime(2020, 1, 1))  # noqa: DTZ001 - as many hosts store it
    host.add_article("young", published_at=now - timedelta(days=3))
    for key in ("old", "naive", "young", "thaw"):
        host.comment(article=key)
    body = {"older_than": (now - timedelta(days=30)).isoformat(), "comments_open": False}
    answer = host.client.post(ARTICLES, json=body, headers=host.token())
    assert (answer.status_code, answer.json) == (200, {"changed": 2})
    codes = [host.comment("Again", article=key).status_code for key in ("old", "naive", "young", "thaw")]
    assert codes == [403, 403, 202, 202]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"comments_open": False},
        {"older_than": "2026-01-01"},
        {"older_than": "soon", "comments_open": False},
        {"older_than": "2026-01-01", "comments_open": "no"},
    ],
)
def test_a_bulk_change_needs_a_setting_and_a_date(host: Host, body: dict[str, Any]) -> None:
    answer = host.client.post(ARTICLES, json=body, headers=host.token())
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_a_date_without_a_time_is_midnight_in_utc(host: Host) -> None:
    for key, hour in (("before", 23), ("after", 1)):
        day = 31 if hour == 23 else 1
        month = 12 if hour == 23 else 1
        host.add_article(key, published_at=datetime(2026 if month == 1 else 2025, month, day, hour, tzinfo=UTC))
        host.comment(article=key)
    body = {"older_than": "2026-01-01", "pings_open": False}
    assert host.client.post(ARTICLES, json=body, headers=host.token()).json == {"changed": 1}
