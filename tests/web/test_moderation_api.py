"""The moderators' JSON: who may use it, what it returns, and that no decision overrides an unseen one."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = "/discuss/moderation/items"
DECISIONS = f"{ITEMS}/1/decisions"


def sign_in(host: Host, name: str = "mori") -> str:
    """Sign in the way the host does; returns the CSRF token of the queue page."""
    host.moderator = Moderator(name)
    page = host.client.get("/discuss/moderation/?status=").text
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def listed(host: Host, query: str = "") -> list[int]:
    answer = host.client.get(f"{ITEMS}?{query}", headers=host.token())
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json["items"]]


# --- who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "address"),
    [("GET", ITEMS), ("GET", f"{ITEMS}/1"), ("DELETE", f"{ITEMS}/1"), ("POST", DECISIONS), ("GET", f"{ITEMS}/999")],
)
@pytest.mark.parametrize("token", [None, "", "mod_0_x", "nonsense", "Bearer", "mod_é_x"])
def test_unauthenticated_requests_are_refused_before_anything_is_read(
    host: Host, method: str, address: str, token: str | None
) -> None:
    host.comment()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = host.client.open(address, method=method, headers=headers, json={"decision": "spam", "version": 1})
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert listed(host, "status=pending") == [1]


def test_a_revoked_token_gives_no_access(host: Host) -> None:
    headers = host.token("mori")
    assert host.client.get(ITEMS, headers=headers).status_code == 200
    with host.app.app_context():
        assert host.state.desk.store.tokens.revoke("mori", host.clock.now()) == 1
    assert host.client.get(ITEMS, headers=headers).status_code == 401


def test_the_secret_of_a_token_is_valid_only_for_its_id(host: Host) -> None:
    first, second = (host.token(name)["Authorization"].removeprefix("Bearer ") for name in ("mori", "sato"))
    mixed = "_".join([*first.split("_")[:2], second.split("_", 2)[2]])
    assert host.client.get(ITEMS, headers={"Authorization": f"Bearer {mixed}"}).status_code == 401


def test_guessing_tokens_is_rate_limited_without_effect_on_other_clients(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"moderation": ["3/minute per client"]})
    guesses = [host.client.get(ITEMS, headers={"Authorization": "Bearer mod_0_x"}) for _ in range(5)]
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429]
    assert int(guesses[-1].headers["Retry-After"]) >= 1
    # A colleague behind the same address goes on with a token that is right.
    assert host.client.get(ITEMS, headers=host.token()).status_code == 200
    assert host.client.get(ITEMS, headers={"Authorization": "Bearer mod_0_y"}).status_code == 429


def test_a_bearer_token_needs_no_csrf_token_even_with_a_cookie_from_another_site(host: Host) -> None:
    host.comment()
    sign_in(host)
    headers = {**host.token(), "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert host.client.post(DECISIONS, json={"decision": "spam", "version": 1}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "made up"},
        {"X-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "same-site"},
        {"X-CSRF-Token": "TOKEN", "Origin": "https://evil.example"},
        {"X-CSRF-Token": "TOKEN", "Origin": "http://localhost.evil.example"},
        {"X-CSRF-Token": "TOKEN", "Origin": "http://localhost:8000"},
        {"X-CSRF-Token": "TOKEN", "Origin": "null"},
        {"X-CSRF-Token": "TOKEN", "Origin": "http://["},
        {"X-CSRF-Token": "TOKEN", "Origin": ""},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_login_by_cookie_can_decide_only_from_pages_of_the_site(
    host: Host, method: str, headers: dict[str, str]
) -> None:
    host.comment()
    token = sign_in(host)
    sent = {name: value.replace("TOKEN", token) for name, value in headers.items()}
    address = DECISIONS if method == "POST" else f"{ITEMS}/1"
    answer = host.client.open(address, method=method, json={"decision": "spam", "version": 1}, headers=sent)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
    assert listed(host, "status=pending") == [1]


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}])
def test_the_page_of_the_queue_can_decide(host: Host, headers: dict[str, str]) -> None:
    host.comment()
    headers = {"X-CSRF-Token": sign_in(host), **headers}
    answer = host.client.post(DECISIONS, json={"decision": "approve", "version": 1}, headers=headers)
    assert (answer.status_code, answer.json["status"]) == (200, "approved")


def test_a_csrf_token_is_valid_for_one_moderator_and_one_working_day(host: Host) -> None:
    host.comment()
    token = sign_in(host, "mori")
    host.moderator = Moderator("sato")
    body = {"decision": "spam", "version": 1}
    assert host.client.post(DECISIONS, json=body, headers={"X-CSRF-Token": token}).status_code == 403
    host.moderator = Moderator("mori")
    host.clock.advance(hours=16, seconds=1)
    assert host.client.post(DECISIONS, json=body, headers={"X-CSRF-Token": token}).status_code == 403
    fresh = sign_in(host, "mori")
    assert host.client.post(DECISIONS, json=body, headers={"X-CSRF-Token": fresh}).status_code == 200


@pytest.mark.parametrize("purpose", ["form", "edit"])
def test_no_other_kind_of_token_is_accepted_as_csrf_token(host: Host, purpose: str) -> None:
    item = host.comment().json
    form = host.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"]
    sign_in(host)
    headers = {"X-CSRF-Token": form if purpose == "form" else item["edit_token"]}
    body = {"decision": "spam", "version": 1}
    assert host.client.post(DECISIONS, json=body, headers=headers).status_code == 403


def test_reading_never_changes_anything(host: Host) -> None:
    host.comment()
    host.client.get("/thaw")
    sign_in(host)
    headers = host.token()

    def stored() -> tuple[Any, ...]:
        with host.app.app_context():
            store = host.state.desk.store
            return (
                store.items.get(1),
                store.history.of_item(1),
                store.counters.counts(["thaw"]),
                store.counters.totals(),
                store.counters.revision("thaw"),
            )

    before = stored()
    rules = [rule for rule in host.app.url_map.iter_rules() if rule.rule.startswith("/discuss")]
    values = {"article": "thaw", "token": "x", "_": "moderation/items/1", "filename": "desk.css"}
    query = "decision=spam&version=1&edit_token=x&text=changed&article=thaw&_method=DELETE"
    for rule in rules:
        address = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], "1"), rule.rule)
        for method in ("GET", "HEAD", "OPTIONS"):
            for sent in (headers, {"X-HTTP-Method-Override": "POST"}):
                with host.client.open(f"{address}?{query}", method=method, headers=sent) as answer:
                    assert answer.status_code < 500, address
    assert stored() == before
    assert len(rules) > 10


# --- deciding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "status", "counts"),
    [("approve", "approved", 1), ("spam", "spam", 0), ("trash", "trash", 0), ("hold", "pending", 0)],
)
def test_a_decision_updates_the_item_and_the_counters(host: Host, decision: str, status: str, counts: int) -> None:
    host.comment()
    answer = host.decide(1, decision)
    assert answer.status_code == 200
    assert answer.json["status"] == status
    assert host.counts() == {"comments": counts, "trackbacks": 0}
    totals = host.client.get(ITEMS, headers=host.token()).json["totals"]
    assert totals == {"pending": 0, "approved": 0, "spam": 0, "trash": 0} | {status: 1}


def test_every_decision_is_allowed_from_every_status(host: Host) -> None:
    host.comment()
    version = 1
    names = ["approve", "spam", "trash", "hold"]
    ways = [after for first in names for second in names if first != second for after in (first, second)]
    for decision in ways:
        answer = host.decide(1, decision, version)
        assert answer.status_code == 200, decision
        version = answer.json["version"]
    with host.app.app_context():
        assert [drift for drift in host.state.desk.store.counters.recount(repair=False) if drift] == []


def test_a_conflicting_decision_gets_409_with_the_current_state(host: Host) -> None:
    host.comment()
    host.decide(1, "spam", **host.token("mori"))
    answer = host.decide(1, "approve", **host.token("sato"))
    assert (answer.status_code, answer.json["code"]) == (409, "decided-meanwhile")
    assert (answer.json["by"], answer.json["decision"], answer.json["item"]["version"]) == ("mori", "spam", 2)
    assert host.counts() == {"comments": 0, "trackbacks": 0}
    assert host.decide(1, "approve", 2).status_code == 200


def test_the_same_decision_again_changes_nothing_at_any_version(host: Host) -> None:
    host.comment()
    first = host.decide(1, "approve").json
    for version in (1, 2, 99):
        again = host.decide(1, "approve", version)
        assert (again.status_code, again.json["version"]) == (200, first["version"])
    history = host.client.get(f"{ITEMS}/1", headers=host.token()).json["history"]
    assert [entry["act"] for entry in history] == ["received", "decided"]
    assert host.counts() == {"comments": 1, "trackbacks": 0}


def test_a_decision_is_stored_with_its_moderator_and_reason(host: Host) -> None:
    host.comment()
    body = {"decision": "trash", "version": 1, "note": "off topic"}
    host.client.post(DECISIONS, json=body, headers=host.token("sato"))
    entry = host.client.get(f"{ITEMS}/1", headers=host.token()).json["history"][-1]
    told = {name: entry[name] for name in ("act", "by", "from", "to", "note", "version")}
    assert told == {
        "act": "decided", "by": "sato", "from": "pending", "to": "trash", "note": "off topic", "version": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "delete", "version": 1}, "decision"),
        ({"decision": "approve"}, "version"),
        ({"version": 1}, "decision"),
        ({"decision": "approve", "version": "1"}, "version"),
        ({"decision": "approve", "version": 1.0}, "version"),
        ({"decision": "approve", "version": True}, "version"),
        ({"decision": "approve", "version": 0}, "version"),
        ({"decision": "approve", "version": 1, "by": "somebody else"}, "by"),
        ({"decision": "approve", "version": 1, "note": "x" * 1001}, "note"),
    ],
)
def test_an_invalid_decision_is_refused(host: Host, body: dict[str, Any], field: str) -> None:
    host.comment()
    answer = host.client.post(DECISIONS, json=body, headers=host.token())
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert field in [error["field"] for error in answer.json["errors"]]
    assert listed(host, "status=pending") == [1]


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"", "application/json", 422),
        (b"[" * 10_000, "application/json", 422),
        (b'{"decision":"spam","version":1,"note":"\\u0000"}', "application/json", 422),
        (b'{"decision":"spam","version":99999999999999999999999}', "application/json", 422),
        (b"x" * 100_000, "application/json", 413),
        (b"decision=spam&version=1", "application/x-www-form-urlencoded", 415),
        (b'{"decision":"spam","version":1}', "text/plain", 415),
    ],
)
def test_an_unreadable_decision_is_refused(host: Host, data: bytes, kind: str, status: int) -> None:
    host.comment()
    answer = host.client.post(DECISIONS, data=data, content_type=kind, headers=host.token())
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert listed(host, "status=pending") == [1]


def test_only_spam_and_trash_can_be_deleted_permanently(host: Host) -> None:
    host.comment()
    headers = host.token()
    for decision, version in (("hold", 1), ("approve", 1)):
        host.decide(1, decision, version)
        answer = host.client.delete(f"{ITEMS}/1", headers=headers)
        assert (answer.status_code, answer.json["code"]) == (409, "not-allowed")
        assert answer.json["legal"]
    host.decide(1, "trash", 2)
    assert host.client.delete(f"{ITEMS}/1", headers=headers).status_code == 204
    assert host.client.delete(f"{ITEMS}/1", headers=headers).status_code == 404
    assert host.client.get(f"{ITEMS}/1", headers=headers).status_code == 404
    assert host.total() == 0


# --- the list -------------------------------------------------------------------------------------


def test_the_list_is_paged_newest_first_without_repeats_while_items_arrive(host: Host) -> None:
    for n in range(5):
        host.comment(f"Number {n}")
    first = host.client.get(f"{ITEMS}?limit=2", headers=host.token()).json
    host.comment("Meanwhile")
    second = host.client.get(f"{ITEMS}?limit=2&cursor={first['next']}", headers=host.token()).json
    third = host.client.get(f"{ITEMS}?limit=2&cursor={second['next']}", headers=host.token()).json
    ids = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert ids == [5, 4, 3, 2, 1]
    assert third["next"] is None


def test_the_list_holds_all_statuses_by_default(host: Host) -> None:
    for n, decision in enumerate(["approve", "spam", "trash", "hold"], start=1):
        host.comment(f"Number {n}")
        host.decide(n, decision)
    assert listed(host) == [4, 3, 2, 1]
    found = [listed(host, f"status={status}") for status in ("approved", "spam", "trash", "pending")]
    assert found == [[1], [2], [3], [4]]
    assert listed(host, "awaiting=moderator") == [4]


def test_the_list_can_be_filtered_by_everything_that_a_moderator_sees(host: Host) -> None:
    host.add_article("frost/2026")
    host.comment("The ice is 100% thick", email="mika@mail.example")
    host.comment("snow_drift", article="frost/2026", author="Aino")
    host.client.post(
        "/discuss/trackback/thaw", data={"url": "https://blog.example/1", "title": "On ice", "excerpt": "Cold"}
    )
    expected = {
        "kind=comment": [2, 1],
        "kind=trackback": [3],
        "article=frost/2026": [2],
        "author=Aino": [2],
        "author=mika@mail.example": [1],
        "ip=127.0.0.1": [3, 2, 1],
        "ip=192.0.2.1": [],
        "q=ICE": [3, 1],
        "q=100%25": [1],
        "q=snow_drift": [2],
        "q=s_ow": [],
        "q=%25": [],
        "q=blog.example": [3],
        "status=&kind=&q=+++": [3, 2, 1],
        "kind=comment&author=Aino&q=snow": [2],
        "q=%27%20OR%201=1%20--": [],
    }
    assert {query: listed(host, query) for query in expected} == expected


def test_the_list_tells_what_a_person_has_decided_on_from_what_only_checks_have(tmp_path: Path) -> None:
    with closing(Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")) as host:
        for number in (1, 2, 3):
            host.comment(f"Good text number {number}", author="Aino" if number == 1 else "Mika")
        for number in (4, 5):
            host.trapped(f"Spam number {number}")
        host.decide(1, "approve")
        host.decide(4, "spam", **host.token("sato"))
        expected = {
            "decided=": [5, 4, 3, 2, 1],
            "decided=0": [5, 3, 2],
            "decided=1": [4, 1],
            "decided=0&status=spam": [5],
            "decided=1&status=spam": [4],
            "decided=0&kind=comment": [5, 3, 2],
            "decided=1&kind=trackback": [],
            "decided=1&article=thaw&status=approved": [1],
            "decided=0&author=Mika": [5, 3, 2],
            "decided=1&author=Aino": [1],
            "decided=1&q=good": [1],
            "decided=0&q=number&status=approved": [3, 2],
            "decided=0&awaiting=moderator": [],
        }
        assert {query: listed(host, query) for query in expected} == expected
        assert listed(host, "decided=0&limit=2") == [5, 3]
        assert listed(host, "decided=0&cursor=3") == [2]
        body = {"decision": "spam", "filter": {"status": "spam", "decided": 0}, "expect": 1}
        for changed in ([True], []):
            decided = host.client.post("/discuss/moderation/decisions", json=body, headers=host.token())
            assert [each["changed"] for each in decided.json["decided"]] == changed
            body["expect"] = 0
        assert listed(host, "decided=0&status=spam") == []
        batch = host.client.get("/discuss/moderation/history?limit=1", headers=host.token()).json["history"][0]["batch"]
        host.client.post("/discuss/moderation/undo", json={"batch": batch}, headers=host.token())
        assert listed(host, "decided=0&status=spam") == [5]


@pytest.mark.parametrize(
    "query",
    [
        "decided=2",
        "decided=true",
        "status=public",
        "kind=email",
        "awaiting=godot",
        "limit=0",
        "limit=201",
        "cursor=x",
        "q=%00",
        "ip=%00",
        "q=" + "x" * 201,
        "article=" + "x" * 201,
    ],
)
def test_a_filter_that_cannot_match_is_refused(host: Host, query: str) -> None:
    answer = host.client.get(f"{ITEMS}?{query}", headers=host.token())
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_moderators_see_every_field_of_an_item_and_caches_do_not_store_it(host: Host) -> None:
    host.comment("Hello", email="mika@mail.example", url="https://mika.example/")
    answer = host.client.get(f"{ITEMS}/1", headers=host.token())
    assert answer.headers["Cache-Control"] == "no-store"
    item = answer.json
    assert (item["text"], item["email"], item["ip"], item["version"]) == ("Hello", "mika@mail.example", "127.0.0.1", 1)
    assert item["user_agent"].startswith("Werkzeug")
    assert item["awaiting"] == "moderator"
    assert "honeypot" in item["passed"]
    assert item["history"][0]["act"] == "received"
    assert "history" not in host.client.get(ITEMS, headers=host.token()).json["items"][0]
