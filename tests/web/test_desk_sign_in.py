"""The way in for sites without a login: a link that works once, and a session that ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from moderate import Moderator
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

QUEUE = "/discuss/moderation/"
ITEMS = "/discuss/moderation/items"


def link(host: Host, name: str = "mori") -> str:
    done = host.app.test_cli_runner().invoke(args=["moderate", "token", "link", name])
    assert done.exit_code == 0, done.output
    return urlsplit(done.stdout.strip().splitlines()[-1]).path


def sign_in(host: Host, name: str = "mori") -> Any:
    return host.client.post(link(host, name))


def csrf(host: Host) -> str:
    page = host.client.get(f"{QUEUE}?status=").text
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def test_the_queue_is_unreachable_until_a_login_is_configured(host: Host) -> None:
    host.comment()
    for path in (QUEUE, ITEMS, f"{ITEMS}/1", "/discuss/moderation/history", "/discuss/moderation/rules"):
        assert host.client.get(path).status_code == 401


def test_only_the_button_behind_a_link_signs_in(host: Host) -> None:
    address = link(host)
    for _ in range(3):
        page = host.client.get(address)
        assert page.status_code == 200
        assert "<button" in page.text
        # Only the cookie that shows whether the browser keeps any.
        assert [cookie.partition("=")[0] for cookie in page.headers.getlist("Set-Cookie")] == ["moderate_probe"]
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert host.client.get(ITEMS).status_code == 401
    entered = host.client.post(address)
    assert (entered.status_code, entered.headers["Location"]) == (303, QUEUE)
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert f"Path={QUEUE}" in cookie
    assert "Max-Age=43200" in cookie
    assert "Secure" not in cookie
    assert host.client.get(ITEMS).status_code == 200


def test_the_cookie_is_secure_over_https(host: Host) -> None:
    entered = host.client.post(link(host), base_url="https://localhost")
    assert "Secure" in entered.headers["Set-Cookie"]


def test_a_link_works_once(host: Host) -> None:
    address = link(host)
    assert host.client.post(address).status_code == 303
    stranger = host.app.test_client()
    again = stranger.post(address)
    assert again.status_code == 403
    assert "used already" in again.text
    assert stranger.get(ITEMS).status_code == 401


def test_a_used_link_shows_no_button(host: Host) -> None:
    address = link(host)
    assert "<button" in host.client.get(address).text
    assert host.client.post(address).status_code == 303
    shown = host.app.test_client().get(address)
    assert shown.status_code == 403
    assert "used already" in shown.text
    assert 'method="post"' not in shown.text


def test_a_browser_without_cookies_gets_a_message_and_the_link_stays_valid(host: Host) -> None:
    address = link(host)
    forgetful = host.app.test_client(use_cookies=False)
    page = forgetful.get(address)
    assert page.headers.getlist("Set-Cookie")[0].startswith("moderate_probe=1;")
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', page.text))
    for _ in range(2):
        told = forgetful.post(address, data=sent)
        assert told.status_code == 403
        assert "keeps no cookies" in told.text
        assert "<button" in told.text
    browser = host.app.test_client()
    browser.get(address)
    assert browser.post(address, data=sent).status_code == 303
    assert browser.get(ITEMS).status_code == 200


def test_a_link_expires_after_ten_minutes(host: Host) -> None:
    address = link(host)
    host.clock.advance(minutes=10, seconds=1)
    assert host.client.get(address).status_code == 403
    assert host.client.post(address).status_code == 403
    assert host.client.get(ITEMS).status_code == 401


@pytest.mark.parametrize("token", ["x", "e30", "W10.sig", "a" * 5000, "%00", "é"])
def test_a_forged_link_is_refused_with_a_message(host: Host, token: str) -> None:
    for answer in (
        host.client.get(f"/discuss/moderation/sign-in/{token}"),
        host.client.post(f"/discuss/moderation/sign-in/{token}"),
    ):
        assert answer.status_code == 403
        assert "flask moderate token link" in answer.text


def test_another_site_cannot_sign_a_user_in(host: Host) -> None:
    address = link(host)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert host.client.post(address, headers=headers).status_code == 403
    assert host.client.post(address).status_code == 303, "the attempts have not used it up"


def test_a_browser_that_hides_the_origin_of_the_form_can_sign_in(host: Host) -> None:
    """The page sends no referrer, and the origin is then "null" by the Fetch standard."""
    assert host.client.post(link(host), headers={"Origin": "null"}).status_code == 403
    ours = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert host.client.post(link(host), headers=ours).status_code == 303


def test_sign_in_attempts_are_limited(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"moderation": ["3/minute per client"]})
    answers = [host.client.post("/discuss/moderation/sign-in/guess") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert host.client.post(link(host)).status_code == 303, "a link that is right works beside who guesses"
    host.clock.advance(minutes=2)
    assert host.client.post("/discuss/moderation/sign-in/guess").status_code == 403


def test_a_session_expires(host: Host) -> None:
    sign_in(host)
    host.clock.advance(hours=11, minutes=59)
    assert host.client.get(ITEMS).status_code == 200
    host.clock.advance(minutes=2)
    assert host.client.get(ITEMS).status_code == 401


def test_a_session_is_revoked_by_the_name_of_its_moderator(host: Host) -> None:
    sign_in(host)
    listed = host.app.test_cli_runner().invoke(args=["moderate", "token", "list"]).output
    assert "mori" in listed
    assert "a session until" in listed
    assert host.app.test_cli_runner().invoke(args=["moderate", "token", "revoke", "mori"]).exit_code == 0
    assert host.client.get(ITEMS).status_code == 401


def test_a_copy_of_the_cookie_is_invalid_after_signing_out(host: Host) -> None:
    sign_in(host)
    copy = host.client.get_cookie("moderate_session", path=QUEUE)
    assert copy is not None
    host.comment()
    token = csrf(host)
    refused = host.client.post("/discuss/moderation/sign-out")
    assert (refused.status_code, refused.mimetype) == (403, "text/html"), "it needs the page's token"
    left = host.client.post("/discuss/moderation/sign-out", data={"csrf_token": token})
    assert (left.status_code, left.headers["Location"]) == (303, QUEUE)
    assert host.client.get_cookie("moderate_session", path=QUEUE) is None
    host.client.set_cookie("moderate_session", copy.value, path=QUEUE)
    assert host.client.get(ITEMS).status_code == 401


def test_a_change_in_a_session_needs_the_csrf_token_and_the_same_site(host: Host) -> None:
    host.comment()
    sign_in(host)
    body = {"decision": "spam", "items": [{"id": 1, "version": 1}]}
    address = "/discuss/moderation/decisions"
    assert host.client.post(address, json=body).status_code == 403
    token = {"X-CSRF-Token": csrf(host)}
    assert host.client.post(address, json=body, headers={**token, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert host.client.post(address, json=body, headers={**token, "Origin": "https://evil.example"}).status_code == 403
    done = host.client.post(address, json=body, headers=token)
    assert (done.status_code, done.json["conflicts"]) == (200, [])


def test_the_csrf_token_of_another_moderator_is_refused(host: Host) -> None:
    host.comment()
    sign_in(host, "mori")
    token = csrf(host)
    sign_in(host, "sato")
    body = {"decision": "spam", "items": [{"id": 1, "version": 1}]}
    answer = host.client.post("/discuss/moderation/decisions", json=body, headers={"X-CSRF-Token": token})
    assert answer.status_code == 403


def test_the_login_of_the_host_takes_precedence_over_the_session(host: Host) -> None:
    host.comment()
    sign_in(host, "mori")
    host.moderator = Moderator("host-login")
    body = {"decision": "spam", "items": [{"id": 1, "version": 1}]}
    headers = {"X-CSRF-Token": csrf(host)}
    assert host.client.post("/discuss/moderation/decisions", json=body, headers=headers).status_code == 200
    assert host.client.get(f"{ITEMS}/1").json["history"][-1]["by"] == "host-login"


@pytest.mark.parametrize("cookie", ["", "x", "mod_1_x", "a" * 4000])
def test_a_forged_cookie_gives_no_access(host: Host, cookie: str) -> None:
    host.client.set_cookie("moderate_session", cookie, path=QUEUE)
    assert host.client.get(ITEMS).status_code == 401


def test_a_hostile_name_is_escaped(host: Host) -> None:
    page = host.client.get(link(host, "<script>alert(1)</script>"))
    assert "<script>" not in page.text


def test_the_link_is_absolute_when_site_url_is_set(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_SITE_URL="https://news.example")
    done = host.app.test_cli_runner().invoke(args=["moderate", "token", "link", "mori"])
    assert done.stdout.strip().startswith("https://news.example/discuss/moderation/sign-in/")
    assert host.app.test_cli_runner().invoke(args=["moderate", "token", "link", " "]).exit_code == 1


def test_the_queue_offers_to_sign_out_of_its_own_session_only(host: Host) -> None:
    sign_in(host)
    page = host.client.get(QUEUE).text
    assert 'action="/discuss/moderation/sign-out"' in page
    assert host.client.post("/discuss/moderation/sign-out", data={"csrf_token": csrf(host)}).status_code == 303
    assert host.client.get(QUEUE).status_code == 401
    host.moderator = Moderator("sato")
    assert "/discuss/moderation/sign-out" not in host.client.get(QUEUE).text
