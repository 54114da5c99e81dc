"""Rate limits over HTTP: what is refused says when to come back, and what was typed is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import redis

from moderate import Author
from moderate.errors import RateLimited
from moderate.limits.spending import Costs
from tests.redis_servers import PATIENT
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

FORM = {"author": "Mika", "text": "The river froze twice."}


def limited(tmp_path: Path, **rows: list[str]) -> Host:
    return Host(tmp_path, MODERATE_LIMITS=rows)


def test_a_limited_client_gets_the_time_of_the_next_allowed_request(tmp_path: Path) -> None:
    host = limited(tmp_path, comments=["2/minute per client", "20/hour per client"])
    assert [host.comment(f"Number {n}").status_code for n in range(3)] == [202, 202, 429]
    answer = host.comment("Again")
    assert (answer.mimetype, answer.json["code"]) == ("application/problem+json", "rate-limited")
    wait = int(answer.headers["Retry-After"])
    assert wait == 30
    assert answer.headers["RateLimit-Policy"] == '"2/minute per client";q=2;w=60, "20/hour per client";q=20;w=3600'
    assert answer.headers["RateLimit"].startswith('"2/minute per client";r=0;t=30, "20/hour per client";r=18;t=')
    assert host.total() == 2
    host.clock.advance(seconds=wait - 1)
    assert host.comment("Too early").status_code == 429
    host.clock.advance(seconds=1)
    assert host.comment("In time").status_code == 202


def test_a_refused_form_shows_the_waiting_time_and_keeps_the_typed_text(tmp_path: Path) -> None:
    host = limited(tmp_path, comments=["1/10 minutes per client"])
    host.client.post("/discuss/comments/thaw", data=FORM)
    answer = host.client.post("/discuss/comments/thaw", data={**FORM, "text": "Kept <i>words</i>"})
    assert (answer.status_code, answer.mimetype) == (429, "text/html")
    assert answer.headers["Retry-After"] == "600"
    assert answer.headers["RateLimit-Policy"]
    assert "Kept &lt;i&gt;words&lt;/i&gt;" in answer.text
    assert re.search(r"Try again in\s+10 minutes", answer.text)
    assert host.total() == 1
    token = re.search(r'name="form_token" value="([^"]+)"', answer.text)
    assert token is not None
    host.clock.advance(minutes=10)
    again = host.client.post("/discuss/comments/thaw", data={**FORM, "text": "Kept", "form_token": token[1]})
    assert again.status_code == 303


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"not json", "application/json"),
        (b"", ""),
        (b"x" * 300_000, "application/json"),
        (b"text=%FF", "application/x-www-form-urlencoded"),
        (b"x=" + b"x" * 300_000, "application/x-www-form-urlencoded"),
        (b"--X--", "multipart/form-data; boundary=X"),
        (b'{"author":"M","text":""}', "application/json"),
        (b'{"author":"M","text":"x","is_admin":true}', "application/json"),
    ],
)
def test_unreadable_requests_cost_as_much_as_readable_ones(tmp_path: Path, data: bytes, kind: str) -> None:
    host = limited(tmp_path, comments=["2/minute per client"])
    answers = [host.client.post("/discuss/comments/thaw", data=data, content_type=kind) for _ in range(3)]
    assert [answer.status_code for answer in answers[:2]] != [429, 429]
    assert answers[2].status_code == 429
    assert host.comment().status_code == 429


def test_requests_for_unknown_articles_are_charged_too(tmp_path: Path) -> None:
    host = limited(tmp_path, comments=["2/minute per client"])
    assert [host.comment(article=f"nowhere-{n}").status_code for n in range(3)] == [404, 404, 429]


def test_each_sender_has_a_budget_of_its_own(tmp_path: Path) -> None:
    host = limited(tmp_path, comments=["1/minute per client"])

    def post(ip: str) -> int:
        return int(host.client.post("/discuss/comments/thaw", json=FORM, environ_base={"REMOTE_ADDR": ip}).status_code)

    assert [post("192.0.2.1"), post("192.0.2.1"), post("192.0.2.2")] == [202, 429, 202]
    # One household has a whole /64 of addresses.
    assert [post("2001:db8::1"), post("2001:db8::2"), post("2001:db8:0:1::1")] == [202, 429, 202]


def test_a_forwarded_header_of_a_client_does_not_make_another_sender(tmp_path: Path) -> None:
    host = limited(tmp_path, comments=["1/minute per client"])
    host.comment()
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP"):
        assert host.client.post("/discuss/comments/thaw", json=FORM, headers={name: "192.0.2.9"}).status_code == 429


def test_a_verified_author_has_one_budget_at_every_address(tmp_path: Path) -> None:
    host = limited(tmp_path, comments=["1/minute per author"])
    host.author = Author("Editor", id="7")
    answers = [
        host.client.post("/discuss/comments/thaw", json=FORM, environ_base={"REMOTE_ADDR": f"192.0.2.{n}"})
        for n in (1, 2)
    ]
    assert [answer.status_code for answer in answers] == [202, 429]


def test_an_article_over_its_limit_holds_comments_instead_of_refusing_them(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["2/minute per article"]}, MODERATE_PREMODERATION="none")
    assert [host.comment(f"Number {n}").status_code for n in range(8)] == [201, 201, 202, 202, 202, 202, 202, 202]
    assert host.comment("One too many").status_code == 429
    assert host.counts() == {"comments": 2, "trackbacks": 0}
    held = host.client.get("/discuss/moderation/items?status=pending", headers=host.token()).json["items"]
    assert {finding["check"] for item in held for finding in item["findings"]} == {"crowd"}


def test_an_empty_table_turns_all_limits_off(tmp_path: Path) -> None:
    host = limited(tmp_path)
    assert {host.comment(f"Number {n}").status_code for n in range(40)} == {202}


def test_the_defaults_allow_a_reader_five_comments_a_minute(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert [host.comment(f"Number {n}").status_code for n in range(6)] == [202] * 5 + [429]


@pytest.mark.parametrize(
    ("row", "method", "address", "sent"),
    [
        ("previews", "POST", "/discuss/preview", {"json": {"text": "x"}}),
        ("reads", "GET", "/discuss/counts?article=thaw", {}),
        ("edits", "PATCH", "/discuss/items/1", {"json": {"text": "x", "edit_token": "guess"}}),
        ("moderation", "GET", "/discuss/moderation/items", {"headers": {"Authorization": "Bearer mod_0_x"}}),
    ],
)
def test_each_row_limits_its_own_action(
    tmp_path: Path, row: str, method: str, address: str, sent: dict[str, Any]
) -> None:
    host = limited(tmp_path, **{row: ["1/minute per client"]})
    first, second = (host.client.open(address, method=method, **sent) for _ in range(2))
    assert first.status_code != 429
    assert second.status_code == 429
    assert int(second.headers["Retry-After"]) >= 1
    assert host.comment().status_code == 202


def test_a_trackback_over_the_limit_gets_the_error_form_of_its_protocol(tmp_path: Path) -> None:
    host = limited(tmp_path, pings=["1/minute per client"])
    ping = {"url": "https://blog.example/1", "title": "On ice"}
    first, second = (host.client.post("/discuss/trackback/thaw", data=ping) for _ in range(2))
    assert "<error>0</error>" in first.text
    assert "<error>1</error>" in second.text
    assert second.headers["Retry-After"]


@pytest.mark.parametrize("spellings", [("THAW", "Thaw", "thaw", "tHAW"), ("thaw", "THAW", "thaw", "THAW")])
def test_all_spellings_of_a_key_share_the_ping_budget_of_the_article(
    tmp_path: Path, spellings: tuple[str, ...]
) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["3/hour per article"]}, MODERATE_VERIFY_PINGS="off")
    host.moderate.article_loader(lambda key: host.articles.get(key.lower()))
    answers = [
        host.client.post(f"/discuss/trackback/{key}", data={"url": f"http://blog.example/{number}"}).status_code
        for number, key in enumerate(spellings)
    ]
    assert answers == [200, 200, 200, 429]
    assert host.total() == 3


def test_all_spellings_of_a_key_share_the_comment_budget_of_the_article(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["1/hour per article"]}, MODERATE_PREMODERATION="none")
    host.moderate.article_loader(lambda key: host.articles.get(key.lower()))
    answers = [
        host.comment(f"Number {n}.", article=key) for n, key in enumerate(("Thaw", "tHaw", "thAw", "thaW", "THAW"))
    ]
    # One is public, three more are held until the overdraft is used up as well.
    assert [answer.status_code for answer in answers] == [201, 202, 202, 202, 429]


def test_all_protocols_and_addresses_share_the_budget_of_the_article(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["2/hour per article"]}, MODERATE_VERIFY_PINGS="off")
    host.moderate.article_loader(lambda key: host.articles.get(key.lower()))
    host.moderate.article_finder(lambda url: host.articles.get(url.rpartition("/")[2].lower()))

    def mention(number: int, target: str) -> int:
        sent = {"source": f"http://blog.example/{number}", "target": target}
        return host.client.post("/discuss/webmention", data=sent).status_code

    assert mention(1, "http://localhost/thaw") == 201
    assert host.client.post("/discuss/trackback/Thaw", data={"url": "http://blog.example/2"}).status_code == 200
    assert mention(3, "http://localhost/THAW") == 429
    assert host.client.post("/discuss/trackback/thaw", data={"url": "http://blog.example/4"}).status_code == 429


def test_an_unknown_article_still_charges_the_sender(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["2/hour per client", "50/hour per article"]})
    assert [host.comment(article=key).status_code for key in ("no-1", "no-2", "no-3")] == [404, 404, 429]


@pytest.mark.parametrize("limit", ["2/hour per client", "2/hour per article", "2/hour per site"])
def test_sites_with_one_secret_on_one_redis_have_separate_budgets_by_default(
    tmp_path: Path, redis_url: str, limit: str
) -> None:
    config = {"MODERATE_LIMITS": {"comments": [limit]}, "MODERATE_REDIS_URL": redis_url + PATIENT}
    one, two = Host(tmp_path / "one", **config), Host(tmp_path / "two", **config)
    again = Host(tmp_path / "one", **config)
    passed = [spend(host) for host in (one, again, one, two, two, two)]
    assert passed == [True, True, False, True, True, False]


def test_sites_with_one_prefix_and_one_secret_share_their_budgets(tmp_path: Path, redis_url: str) -> None:
    limit = ["2/hour per client"]
    address = redis_url + PATIENT
    config = {"MODERATE_LIMITS": {"comments": limit}, "MODERATE_REDIS_URL": address, "MODERATE_REDIS_PREFIX": "news"}
    one, two = Host(tmp_path / "one", **config), Host(tmp_path / "two", **config)
    assert [spend(host) for host in (one, two, one, two)] == [True, True, False, False]
    apart = Host(tmp_path / "two", **{**config, "MODERATE_REDIS_PREFIX": "other"})
    assert spend(apart)
    with redis.Redis.from_url(redis_url) as client:
        assert {key.decode().partition("}")[0] for key in client.scan_iter()} == {"{news", "{other"}


def test_separate_budgets_need_no_database_query_per_request(tmp_path: Path, redis_url: str) -> None:
    numbers = []
    for config in ({"MODERATE_REDIS_URL": redis_url + PATIENT}, {}):
        host = Host(tmp_path / str(len(config)), MODERATE_LIMITS={"comments": ["9/hour per client"]}, **config)
        host.comment()
        asked = host.statements()
        host.comment("Again")
        numbers.append(len(asked))
    assert numbers[0] == numbers[1]


def spend(host: Host) -> bool:
    """Return True when one more comment is within the limits; above them, it is held by shared budgets or refused."""
    costs = Costs("comments", "203.0.113.7", article="thaw")
    with host.app.app_context():
        try:
            return not host.state.desk.limits.spend(costs).crowded
        except RateLimited:
            return False


def test_nothing_is_read_of_a_flood_until_a_second_after_its_refusal(tmp_path: Path) -> None:
    asked: list[str] = []
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["1/minute per client"]})
    host.moderate.author_loader(lambda: asked.append("author"))
    assert host.comment().status_code == 202
    assert host.comment().status_code == 429
    before = len(asked)
    answers = [host.client.post("/discuss/comments/thaw", data=b"{", content_type="application/json") for _ in "abc"]
    answers += [host.comment() for _ in "abc"]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(429, "rate-limited")] * 6
    assert len(asked) == before
    form = host.client.post("/discuss/comments/thaw", data={"author": "Mika", "text": "Typed."})
    assert form.status_code == 429
    assert ">\nTyped.</textarea>" in form.text
    other = host.client.post("/discuss/comments/thaw", json={}, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert other.status_code == 422
    host.clock.advance(seconds=1)
    before = len(asked)
    assert host.comment().headers["Retry-After"] == "59"
    assert len(asked) == before + 1
    host.clock.advance(seconds=59)
    assert host.comment("Something else.").status_code == 202
