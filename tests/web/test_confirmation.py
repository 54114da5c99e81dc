"""Commenters confirm their e-mail addresses, and so become trusted: the full way, against a real SMTP server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author
from moderate.errors import ConfigError
from tests.mail_servers import MailServer
from tests.tasks import run_due
from tests.web.mail_sites import a_site, dead, open_tasks, stands, work
from tests.web.test_mail_links import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from moderate.notices.values import ConfirmationRequest
    from tests.mail_servers import Mail
    from tests.sites import Host

MIKA = "mika@readers.example"
COOKIE = "moderate_confirmed"
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, mail: MailServer) -> Host:
    return confirming_site(tmp_path, mail.port)


def confirming_site(folder: Path, port: int, **config: Any) -> Host:
    """A site that mails no moderators, so that all mails that come are to commenters."""
    settings = {"MODERATE_CONFIRM_EMAIL": True, "MODERATE_PREMODERATION": "strangers", "MODERATE_MAIL_TO": []}
    return a_site(folder, port, **{**settings, "MODERATE_TRUSTED_AFTER": 2, **config})


#: Texts that have nothing to do with one another.
TEXTS = iter(
    f"{one} {two} number {n}."
    for n in range(100)
    for one, two in (("The river froze", "twice that winter"), ("Nobody took", "the night tram home"))
)


def comment(site: Host, browser: FlaskClient | None = None, **fields: Any) -> Any:
    sent = {"author": "Mika", "email": MIKA, "text": next(TEXTS), **fields}
    answer = (browser or site.client).post("/discuss/comments/thaw", json=sent)
    assert answer.status_code in {201, 202}, answer.text
    return answer.json


def ask(site: Host, number: int, browser: FlaskClient | None = None, **sent: Any) -> Any:
    """Press the button as a browser does, or send what a program would."""
    sent = sent or {"data": {}, "headers": {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}}
    return (browser or site.client).post(f"/discuss/items/{number}/confirmation", **sent)


def link(got: Mail) -> str:
    return next(path for path in paths(got) if "/stop/" not in path)


def paths(got: Mail) -> list[str]:
    return [place.removeprefix("http://localhost") for place in got.links if "/confirmation/" in place]


def got_mail(site: Host, mail: MailServer, browser: FlaskClient | None = None, **fields: Any) -> tuple[int, Mail]:
    """A comment whose author has asked for the mail; its number, and the mail."""
    number = comment(site, browser, **fields)["id"]
    assert ask(site, number, browser).status_code == 202
    before = len(mail.mails)
    work(site)
    assert len(mail.mails) == before + 1
    return number, mail.mails[-1]


def author_id(site: Host, number: int) -> str | None:
    with site.app.app_context():
        found: str | None = site.state.desk.store.items.get(number).author_id
        return found


def cookie(browser: FlaskClient) -> str | None:
    found = browser.get_cookie(COOKIE)
    return found.value if found else None


# --- the whole way --------------------------------------------------------------------------------


def test_a_site_with_an_internationalized_name_is_named_in_unicode(tmp_path: Path, mail: MailServer) -> None:
    site = confirming_site(tmp_path, mail.port, MODERATE_SITE_URL="https://例え.jp")
    _, got = got_mail(site, mail)
    assert "例え.jp" in got.subject
    assert "https://xn--r8jz45g.jp/discuss/" in got.text
    assert got.message["X-Auto-Response-Suppress"] == "All"


def test_a_confirmed_address_is_trusted_after_some_approved_comments(site: Host, mail: MailServer) -> None:
    first, got = got_mail(site, mail)
    assert got.to == MIKA
    assert mail.mails == [got]
    page = site.client.get(link(got))
    assert page.status_code == 200
    assert "will count as yours" in page.text
    done = site.client.post(link(got))
    assert done.status_code == 200
    assert "is confirmed" in done.text
    site.decide(first, "approve")
    second = comment(site)
    assert second["status"] == "pending"
    site.decide(second["id"], "approve")
    third = comment(site)
    assert third["status"] == "approved"
    trust = next(found for found in stands(site, third["id"])["findings"] if found["check"] == "trusted-author")
    assert trust["reason"] == "confirmed e-mail address, with 2 approved comments and no spam within 90 days"


def test_a_confirmed_address_is_not_trusted_from_another_browser(site: Host, mail: MailServer) -> None:
    first, got = got_mail(site, mail)
    site.client.post(link(got))
    site.decide(first, "approve")
    site.decide(comment(site)["id"], "approve")
    stranger = site.app.test_client()
    stolen_name = comment(site, stranger)
    assert stolen_name["status"] == "pending"
    assert author_id(site, stolen_name["id"]) is None


def test_the_cookie_does_not_apply_to_another_address(site: Host, mail: MailServer) -> None:
    first, got = got_mail(site, mail)
    site.client.post(link(got))
    assert author_id(site, comment(site)["id"]) == author_id(site, first)
    for other in ("nao@readers.example", "MIKA@readers.example", "", None):
        assert author_id(site, comment(site, email=other)["id"]) is None
    # The same address in another spelling of its host is stored as the same.
    assert author_id(site, comment(site, email=" mika@Readers.EXAMPLE ")["id"]) == author_id(site, first)


def test_an_attacker_gains_nothing_when_the_owner_of_an_address_confirms_it(site: Host, mail: MailServer) -> None:
    attacker, victim = site.app.test_client(), site.app.test_client()
    planted, got = got_mail(site, mail, attacker)
    page = victim.get(link(got))
    assert "will not count as yours" in page.text
    assert victim.post(link(got)).status_code == 200
    assert author_id(site, planted) is None
    assert cookie(victim)
    assert cookie(attacker) is None
    assert author_id(site, comment(site, attacker)["id"]) is None
    assert author_id(site, comment(site, victim)["id"]) is not None
    # Nor does the link serve the attacker after the fact.
    assert attacker.post(link(got)).status_code == 409
    assert author_id(site, planted) is None


def test_an_item_sent_with_another_address_is_not_confirmed(site: Host, mail: MailServer) -> None:
    other = comment(site, email="nao@readers.example")["id"]
    _, got = got_mail(site, mail)
    site.client.post(link(got))
    assert author_id(site, other) is None


def test_confirming_keeps_the_version_and_the_history_of_the_item(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    before = stands(site, number)
    site.client.post(link(got))
    assert author_id(site, number) is not None
    after = stands(site, number)
    assert (after["version"], after["history"]) == (before["version"], before["history"])
    assert site.decide(number, "approve", before["version"]).status_code == 200


def test_spam_from_a_confirmed_address_ends_its_trust(site: Host, mail: MailServer) -> None:
    first, got = got_mail(site, mail)
    site.client.post(link(got))
    site.decide(first, "approve")
    site.decide(comment(site)["id"], "approve")
    site.decide(comment(site)["id"], "spam")
    assert comment(site)["status"] == "pending"


def test_deleted_spam_also_ends_the_trust(site: Host, mail: MailServer) -> None:
    first, got = got_mail(site, mail)
    site.client.post(link(got))
    site.decide(first, "approve")
    site.decide(comment(site)["id"], "approve")
    bad = comment(site)["id"]
    site.decide(bad, "spam")
    assert site.client.delete(f"/discuss/moderation/items/{bad}", headers=site.token()).status_code == 204
    assert comment(site)["status"] == "pending"


def test_an_edited_text_keeps_its_confirmed_author(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    site.client.post(link(got))
    made = comment(site)
    known = author_id(site, number)
    body = {"text": "Something else entirely.", "edit_token": made["edit_token"]}
    assert site.client.patch(f"/discuss/items/{made['id']}", json=body).status_code == 200
    assert author_id(site, made["id"]) == known


# --- logins of the host ---------------------------------------------------------------------------


def test_a_login_takes_precedence_over_the_cookie(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    site.client.post(link(got))
    site.author = Author("Mori", MIKA, id="7")
    assert author_id(site, comment(site)["id"]) == "7"
    site.author = Author("Mori", MIKA)
    assert author_id(site, comment(site)["id"]) is None


def test_an_author_id_of_the_host_cannot_imitate_a_confirmed_address(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    site.client.post(link(got))
    known = author_id(site, number)
    assert known is not None
    assert re.fullmatch(r"email:[0-9a-f]{32}", known)
    site.author = Author("Mori", id=known)
    assert author_id(site, comment(site)["id"]) == f"login:{known}"
    site.author = Author("Mori", id=f"login:{known}")
    assert author_id(site, comment(site)["id"]) == f"login:login:{known}"
    # As long as the id of an account may be.
    stored = set()
    for id_of_account in (f"email:{'x' * 249}", f"email:{'x' * 248}y"):
        site.author = Author("Mori", id=id_of_account)
        stored.add(author_id(site, comment(site)["id"]))
    assert len(stored) == 2
    assert all(one.startswith("login:") for one in stored)


def test_comments_of_a_signed_in_author_are_not_reassigned(site: Host, mail: MailServer) -> None:
    site.author = Author("Mori", MIKA, id="7")
    number = comment(site)["id"]
    site.author = None
    assert ask(site, number).status_code == 202
    work(site)
    assert mail.mails == []
    assert "Confirm my e-mail address" not in site.client.get("/thaw").text
    assert author_id(site, number) == "7"


# --- the mail -------------------------------------------------------------------------------------


def test_the_mail_holds_no_text_of_the_commenter(site: Host, mail: MailServer) -> None:
    typed = {"author": "Buy Pills", "url": "https://pills.example/", "text": "Cheap pills at pills.example now"}
    _, got = got_mail(site, mail, **typed)
    raw = got.raw.decode() + got.text + got.html
    assert not re.search("pill|cheap", raw, re.IGNORECASE)
    assert got.subject == "Confirm your e-mail address on localhost"
    assert got.message["To"] == MIKA
    assert got.message["From"] == "News <news@mail.example>"
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert got.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "About thaw\nhttp://localhost/thaw" in got.text
    assert {place.partition("/confirmation/")[0] for place in got.links} == {
        "http://localhost/thaw",
        "http://localhost/discuss",
    }


def test_no_part_of_the_address_appears_in_links_or_public_output(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    done = site.client.post(link(got))
    known = author_id(site, number) or ""
    public = [site.client.get(path).text for path in ("/discuss/comments/thaw", f"/discuss/items/{number}", "/thaw")]
    for told in (*got.links, *public, cookie(site.client) or "", done.text):
        assert "readers.example" not in told
    for told in (*got.links, *public):
        assert known.removeprefix("email:") not in told


def test_a_title_or_an_address_cannot_inject_a_header(site: Host, mail: MailServer) -> None:
    site.add_article("thaw", title="Thaw\r\nBcc: all@readers.example\r\n\r\nHello")
    _, got = got_mail(site, mail)
    assert got.message["Bcc"] is None
    assert "Thaw Bcc: all@readers.example Hello\n" in got.text
    answer = site.client.post(
        "/discuss/comments/thaw", json={"author": "M", "text": "x y", "email": f"{MIKA}\r\nBcc: a@b.example"}
    )
    assert answer.status_code == 422


def test_an_undeliverable_address_gets_no_button_and_no_mail(site: Host, mail: MailServer) -> None:
    number = comment(site, email="ミカ@readers.example")["id"]
    assert "Confirm my e-mail address" not in site.client.get("/thaw").text
    assert ask(site, number).status_code == 202
    work(site)
    assert mail.mails == []
    assert not open_tasks(site)


@pytest.mark.parametrize(
    ("host", "to"),
    [
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        # To IDNA 2003, which browsers and `moderate.web_address` left behind, it was "strasse.example".
        ("stra\xdfe.example", "xn--strae-oqa.example"),
    ],
    ids=ascii,
)
def test_mail_to_an_internationalised_host_uses_its_ascii_form(
    site: Host, mail: MailServer, host: str, to: str
) -> None:
    _, got = got_mail(site, mail, email=f"mika@{host}")
    assert got.to == f"mika@{to}"


def test_the_mail_is_written_in_the_language_of_the_site(tmp_path: Path, mail: MailServer) -> None:
    site = confirming_site(tmp_path, mail.port, MODERATE_LANGUAGE="ja")
    _, got = got_mail(site, mail)
    assert got.subject == "localhostでのメールアドレスの確認"
    assert "ご本人の場合" in got.text
    assert 'lang="ja"' in site.client.get(link(got)).text


# --- who may ask for the mail, and the response ---------------------------------------------------


def test_the_button_is_shown_only_to_the_author(site: Host) -> None:
    comment(site)
    mine = site.client.get("/thaw")
    assert "Confirm my e-mail address" in mine.text
    assert "private" in mine.headers["Cache-Control"]
    other = site.app.test_client().get("/thaw")
    assert "Confirm my e-mail address" not in other.text
    assert "Cache-Control" not in other.headers


def test_a_comment_without_an_address_has_nothing_to_confirm(site: Host) -> None:
    number = comment(site, email=None)["id"]
    assert "Confirm my e-mail address" not in site.client.get("/thaw").text
    answer = ask(site, number, json={})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_an_api_client_asks_for_the_mail_with_the_edit_token(site: Host, mail: MailServer) -> None:
    made = comment(site)
    program = site.app.test_client()
    for sent in ({}, {"json": {}}, {"json": {"edit_token": "wrong"}}):
        assert program.post(f"/discuss/items/{made['id']}/confirmation", **sent).status_code == 404
    answer = ask(site, made["id"], program, json={"edit_token": made["edit_token"]})
    assert (answer.status_code, answer.json) == (202, {"accepted": True})
    work(site)
    assert [got.to for got in mail.mails] == [MIKA]


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_a_page_of_another_site_cannot_ask_confirm_or_forget(
    site: Host, mail: MailServer, headers: dict[str, str]
) -> None:
    number = comment(site)["id"]
    assert ask(site, number, headers={**BROWSER, **headers}, data={"x": "y"}).status_code == 403
    assert not open_tasks(site)
    ask(site, number)
    work(site)
    assert site.client.post(link(mail.mails[0]), headers={**BROWSER, **headers}, data={"x": "y"}).status_code == 403
    assert author_id(site, number) is None
    site.client.post(link(mail.mails[0]))
    assert site.client.post("/discuss/confirmation/forget", headers=headers, data={"x": "y"}).status_code == 403
    assert cookie(site.client)


def test_a_browser_that_sends_origin_null_for_a_form_of_the_site_may_confirm(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    foreign = {"Origin": "null", "Sec-Fetch-Site": "cross-site"}
    assert site.client.post(link(got), headers=foreign).status_code == 403
    for ours in ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}):
        assert site.client.post(link(got), headers=ours).status_code == 200


def test_a_comment_sent_from_a_form_of_another_site_is_not_confirmed(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    site.client.post(link(got))
    fields = {"author": "Mika", "email": MIKA, "text": next(TEXTS)}
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = site.client.post("/discuss/comments/thaw", json=fields, headers=headers)
    assert author_id(site, answer.json["id"]) is None


def test_requests_for_mails_have_a_limit_of_their_own(tmp_path: Path, mail: MailServer) -> None:
    site = confirming_site(tmp_path, mail.port, MODERATE_LIMITS={"confirmations": ["2/hour per client"]})
    number = comment(site)["id"]
    assert [ask(site, number).status_code for _ in range(3)] == [202, 202, 429]
    last = ask(site, number)
    assert last.mimetype == "text/html"
    assert int(last.headers["Retry-After"]) > 0
    assert ask(site, number, json={}).json["code"] == "rate-limited"


def test_a_mailbox_gets_one_mail_a_day_and_the_response_is_the_same(site: Host, mail: MailServer) -> None:
    answers = []
    # Many providers put all of these into one mailbox.
    for address in (MIKA, MIKA, "Mi.ka+x@readers.example", "MIKA@readers.example"):
        browser = site.app.test_client()
        answers.append(ask(site, comment(site, browser, email=address)["id"], browser, json={}))
        work(site)
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    site.clock.advance(hours=23)
    work(site)
    assert [got.to for got in mail.mails] == [MIKA]
    assert not open_tasks(site)
    site.clock.advance(hours=2)
    got_mail(site, mail)
    assert len(mail.mails) == 2


def test_two_concurrent_workers_send_one_mail_to_a_mailbox(site: Host, mail: MailServer) -> None:
    numbers = [comment(site)["id"] for _ in range(2)]
    work(site)
    for number in numbers:
        ask(site, number)
    desk = site.state.desk

    def meanwhile(request: ConfirmationRequest) -> None:
        assert run_due(desk) == 1
        desk.confirming.send(request)

    with site.app.app_context():
        assert run_due(replace(desk, confirming=desk.confirming._replace(send=meanwhile))) == 1
    site.clock.advance(minutes=3)
    work(site)
    assert [got.to for got in mail.mails] == [MIKA]


@pytest.mark.parametrize(
    "host",
    ["\uff52eaders.example", "read\uff45r\u017f.example"],
    ids=ascii,
)
def test_a_host_that_imitates_the_real_destination_gets_no_mail(site: Host, mail: MailServer, host: str) -> None:
    """Full-width letters and the like become others in IDNA: each mixture of them would be a mailbox of its own."""
    assert ask(site, comment(site, email=f"mika@{host}")["id"]).status_code == 202
    work(site)
    assert mail.mails == []


def test_a_host_in_unicode_and_in_ascii_is_one_mailbox(site: Host, mail: MailServer) -> None:
    got_mail(site, mail, email="mika@b\xfccher.example")
    browser = site.app.test_client()
    assert ask(site, comment(site, browser, email="mika@xn--bcher-kva.example")["id"], browser).status_code == 202
    work(site)
    assert [got.to for got in mail.mails] == ["mika@xn--bcher-kva.example"]


def test_an_address_that_declined_mails_is_never_mailed_again(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    # As a mail program does it (RFC 8058): from nowhere, with nothing but this.
    stopped = site.app.test_client().post(got.unsubscribe, data={"List-Unsubscribe": "One-Click"})
    assert stopped.status_code == 200
    site.clock.advance(days=400)
    for address in (MIKA, "mika+news@readers.example"):
        browser = site.app.test_client()
        assert ask(site, comment(site, browser, email=address)["id"], browser).status_code == 202
        work(site)
    assert len(mail.mails) == 1
    assert site.client.post(got.unsubscribe, data={"again": "1"}).status_code == 200
    got_mail(site, mail)


def test_declined_addresses_are_stored_only_as_a_keyed_hash(site: Host, mail: MailServer) -> None:
    from sqlalchemy import select

    from moderate.database.schema import mailboxes

    _, got = got_mail(site, mail)
    site.client.post(got.unsubscribe)
    with site.app.app_context(), site.state.desk.store.database.read() as conn:
        kept = [row.key for row in conn.execute(select(mailboxes))]
    assert len(kept) == 1
    assert re.fullmatch("[0-9a-f]{24}", kept[0])


# --- the link -------------------------------------------------------------------------------------


def test_a_mail_scanner_that_opens_every_link_changes_nothing(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    before = snapshot(site)
    scanner = site.app.test_client()
    for path in paths(got):
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = scanner.open(path, method=method)
            assert answer.status_code < 300
            assert "Set-Cookie" not in answer.headers
    assert snapshot(site) == before
    assert site.client.post(link(got)).status_code == 200
    assert author_id(site, number) is not None


def test_the_page_behind_a_link_is_private(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    for page in (site.client.get(link(got)), site.client.post(link(got)), site.client.get(got.unsubscribe)):
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert "<script" not in page.text


def test_a_used_link_is_refused_in_another_browser_with_a_message(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    site.client.post(link(got))
    # Loading the page once more in the same browser gives no error.
    assert site.client.post(link(got)).status_code == site.client.get(link(got)).status_code == 200
    other = site.app.test_client()
    for method in ("GET", "POST"):
        again = other.open(link(got), method=method)
        assert again.status_code == 409
        assert "used already" in again.text
    assert cookie(other) is None


def test_a_link_expires_after_a_day(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    site.clock.advance(hours=24, seconds=1)
    assert [site.client.open(link(got), method=method).status_code for method in ("GET", "POST")] == [410, 410]
    assert author_id(site, number) is None


def test_links_of_another_app_purpose_or_key_are_invalid(tmp_path: Path, mail: MailServer, site: Host) -> None:
    other = confirming_site(tmp_path / "other", mail.port)
    number, got = got_mail(site, mail)
    comment(other)
    stop = got.unsubscribe.rpartition("/")[2]
    with site.app.app_context():
        edit = site.state.edge.edit_token(site.state.desk.store.items.get(number))
    assert other.client.post(link(got)).status_code == 410
    for token in (stop, edit, link(got).rpartition("/")[2][:-2], "x"):
        assert site.client.post(f"/discuss/confirmation/{token}").status_code == 410
    assert site.client.post(f"/discuss/confirmation/stop/{link(got).rpartition('/')[2]}").status_code == 410
    assert cookie(site.client) is None
    assert author_id(site, number) is None


def test_guessing_links_is_rate_limited(tmp_path: Path, mail: MailServer) -> None:
    site = confirming_site(tmp_path, mail.port, MODERATE_LIMITS={"edits": ["2/minute per client"]})
    answers = [site.client.post("/discuss/confirmation/guess").status_code for _ in range(3)]
    assert answers == [410, 410, 429]


def test_a_link_for_a_deleted_comment_shows_a_message(site: Host, mail: MailServer) -> None:
    number, got = got_mail(site, mail)
    site.decide(number, "trash")
    site.client.delete(f"/discuss/moderation/items/{number}", headers=site.token())
    assert site.client.post(link(got)).status_code == 410


# --- the cookie -----------------------------------------------------------------------------------


def test_the_cookie_is_http_only_same_site_and_expires(site: Host, mail: MailServer) -> None:
    _, got = got_mail(site, mail)
    done = site.client.post(link(got), base_url="https://localhost")
    own = next(value for value in done.headers.getlist("Set-Cookie") if value.startswith(COOKIE))
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/", f"Max-Age={180 * 86400}"} <= set(own.split("; "))
    site.client.set_cookie(COOKIE, own.partition("=")[2].partition(";")[0])
    assert author_id(site, comment(site)["id"]) is not None
    site.clock.advance(days=181)
    assert author_id(site, comment(site)["id"]) is None


@pytest.mark.parametrize("forged", ["", "x", "email:0123", "WyJlbWFpbCJd.AAAA"])
def test_a_forged_cookie_is_ignored(site: Host, forged: str) -> None:
    site.client.set_cookie(COOKIE, forged)
    assert author_id(site, comment(site)["id"]) is None
    assert "Forget the address here" not in site.client.get("/thaw").text


def test_a_cookie_of_another_app_is_ignored(tmp_path: Path, mail: MailServer, site: Host) -> None:
    other = confirming_site(tmp_path / "other", mail.port)
    _, got = got_mail(other, mail)
    other.client.post(link(got))
    site.client.set_cookie(COOKIE, cookie(other.client) or "")
    assert author_id(site, comment(site)["id"]) is None


def test_an_address_can_be_forgotten_on_the_device_that_confirmed_it(site: Host, mail: MailServer) -> None:
    first, got = got_mail(site, mail)
    site.client.post(link(got))
    site.decide(first, "approve")
    page = site.client.get("/thaw")
    assert "Forget the address here" in page.text
    assert "private" in page.headers["Cache-Control"]
    assert "Forget the address here" not in site.app.test_client().get("/thaw").text
    assert site.client.post("/discuss/confirmation/forget").status_code == 200
    assert cookie(site.client) is None
    assert "Forget the address here" not in site.client.get("/thaw").text
    assert author_id(site, comment(site)["id"]) is None


# --- mail servers ---------------------------------------------------------------------------------


def test_mails_are_retried_while_the_mail_server_is_down(
    site: Host, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    mail.stop()
    number = comment(site)["id"]
    assert ask(site, number).status_code == 202
    assert work(site) == 1
    # Asking again does not lose the mail that is still to come.
    assert ask(site, number).status_code == 202
    mail.start()
    site.clock.advance(hours=1)
    work(site)
    assert [got.to for got in mail.mails] == [MIKA]
    assert not open_tasks(site)
    assert "readers.example" not in caplog.text


def test_a_mail_is_given_up_after_a_day_of_outage(site: Host, mail: MailServer) -> None:
    mail.refusal = f"451 not now, <{MIKA}>"
    ask(site, comment(site)["id"])
    for _ in range(40):
        work(site)
        site.clock.advance(hours=1)
    (left,) = dead(site)
    assert left.kind == "confirm"
    assert "451 not now" in left.error
    assert "mika@" not in left.error
    assert not open_tasks(site)


def test_mail_to_a_nonexistent_address_is_dropped_silently(
    site: Host, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    mail.refused_address = f"550 no such user <{MIKA}>"
    answer = ask(site, comment(site)["id"])
    assert answer.status_code == 202
    work(site)
    assert dead(site) == []
    assert not open_tasks(site)
    assert "readers.example" not in caplog.text


# --- switched off, or wrong -----------------------------------------------------------------------


def test_confirmation_can_be_turned_off_completely(tmp_path: Path, mail: MailServer) -> None:
    site = confirming_site(tmp_path, mail.port, MODERATE_CONFIRM_EMAIL=False)
    number = comment(site)["id"]
    assert "Confirm my e-mail address" not in site.client.get("/thaw").text
    assert ask(site, number).status_code == 404
    for path in ("confirmation/x", "confirmation/stop/x", "confirmation/forget"):
        assert site.client.post(f"/discuss/{path}").status_code == 404


@pytest.mark.parametrize("missing", ["MODERATE_MAIL_SERVER", "MODERATE_MAIL_FROM", "MODERATE_SITE_URL"])
def test_the_start_fails_when_the_mails_could_not_be_written(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigError) as stopped:
        confirming_site(tmp_path, 1, **{missing: None})
    assert missing in str(stopped.value)
