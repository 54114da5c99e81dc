"""Links in mails: opening one changes nothing, its button acts once, and every wrong one is refused in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from moderate import Moderator
from moderate.notices.views import DECISION
from tests.mail_servers import Mail, MailServer
from tests.web.mail_sites import MORI, NAO, a_site, stands, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.sites import Host


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, mail: MailServer) -> Host:
    return a_site(tmp_path, mail.port)


@pytest.fixture
def got(site: Host, mail: MailServer) -> Mail:
    """The mail about the first item."""
    site.comment("<b>Twice</b>, it froze. <script>alert(1)</script>", author="<i>Mika</i>")
    work(site)
    return mail.mails[0]


@pytest.mark.parametrize(("label", "status"), [("Approve", "approved"), ("Spam", "spam"), ("Trash", "trash")])
def test_the_button_behind_a_link_decides_as_its_moderator(site: Host, got: Mail, label: str, status: str) -> None:
    page = site.client.get(got.link(label))
    assert page.status_code == 200
    assert page.text.count("<form") == page.text.count("<button") == 1
    done = site.client.post(got.link(label))
    assert done.status_code == 200
    assert "Done." in done.text
    item = stands(site, 1)
    assert item["status"] == status
    assert item["history"][-1]["by"] == "Mori"
    assert item["history"][-1]["note"] == "from a mail"


def test_a_link_that_agrees_with_the_checks_is_a_decision_and_works_once(site: Host) -> None:
    site.trapped()
    (mori,) = site.state.settings.mail_to
    link = DECISION.issue(site.state.signer, "/discuss", [1, 1, "spam", mori.key])
    assert (site.client.get(link).status_code, stands(site, 1)["decided_by"]) == (200, None)
    assert [site.client.post(link).status_code for _ in range(2)] == [200, 409]
    item = stands(site, 1)
    assert (item["status"], item["version"], item["decided_by"], len(item["history"])) == ("spam", 1, "Mori", 2)
    assert item["history"][-1]["note"] == "from a mail"


def test_pages_behind_links_use_the_language_of_the_moderator(site: Host, got: Mail) -> None:
    japanese = {"Accept-Language": "ja,en;q=0.5"}
    spam, trash = got.link("Spam"), got.link("Trash")
    asked = site.client.get(spam, headers=japanese).text
    assert '<html lang="ja">' in asked
    assert ("スパムにする" in asked, "Moriとして" in asked.replace("<bdi>", "").replace("</bdi>", "")) == (True, True)
    assert "処理しました。" in site.client.post(spam, headers=japanese).text
    assert "このリンクはすでに使われています" in site.client.post(spam, headers=japanese).text
    assert "その間にMoriさんが処理しました。" in site.client.get(trash, headers=japanese).text
    assert "このリンクはもう無効です。" in site.client.get(f"{trash}x", headers=japanese).text
    leave = site.client.get(got.unsubscribe, headers=japanese).text
    assert ("メールを止めますか。" in leave, '<html lang="ja">' in leave) == (True, True)
    assert '<html lang="en">' in site.client.get(trash).text


@pytest.mark.parametrize(("own", "browser", "told"), [("en", "ja", "en"), ("ja", "en", "ja")])
def test_pages_behind_a_link_use_the_language_of_its_mail(
    tmp_path: Path, mail: MailServer, own: str, browser: str, told: str
) -> None:
    """With any language of the site and of the browser."""
    site = a_site(tmp_path, mail.port, {**MORI, "language": own}, MODERATE_LANGUAGE=browser)
    site.comment()
    work(site)
    (got,) = mail.mails
    approve, spam = [urlsplit(link).path for link in got.links if "/mail/" in link][:2]
    headers = {"Accept-Language": browser}
    pages = [site.client.get(approve, headers=headers), site.client.post(approve, headers=headers)]
    pages += [site.client.post(approve, headers=headers), site.client.get(spam, headers=headers)]
    pages += [site.client.get(got.unsubscribe, headers=headers), site.client.post(got.unsubscribe, headers=headers)]
    assert [page.status_code for page in pages] == [200, 200, 409, 409, 200, 200]
    assert [f'<html lang="{told}">' in page.text for page in pages] == [True] * 6


def test_the_page_shows_link_destinations_and_folds_a_long_text(site: Host, mail: MailServer) -> None:
    site.comment('<a href="https://evil.example/x">bank.example</a> ' + "word " * 400)
    work(site)
    page = site.client.get(mail.mails[0].link("Approve")).text
    assert "https://<b>evil.example</b>/x" in page
    assert "Its words name another host: <bdi>bank.example</bdi>" in page
    assert "Show all of it" in page


def test_the_page_shows_the_item_without_unsafe_markup(site: Host, got: Mail) -> None:
    page = site.client.get(got.link("Approve"))
    assert "<script>" not in page.text
    assert "<i>" not in page.text
    assert "<b>Twice</b>" in page.text
    assert "You decide as <bdi>Mori</bdi>" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_a_mail_scanner_that_opens_every_link_changes_nothing(site: Host, got: Mail) -> None:
    before = snapshot(site)
    addresses = [*got.links, str(got.message["List-Unsubscribe"]).strip("<>")]
    assert len(addresses) >= 6
    for address in addresses:
        path = address.removeprefix("http://localhost")
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = site.client.open(path, method=method, headers={"User-Agent": "LinkScanner/1.0"})
            assert answer.status_code < 500
        for method in ("PUT", "PATCH", "DELETE"):
            assert site.client.open(path, method=method).status_code == 405 or "/thaw" in path
    assert snapshot(site) == before
    # And the links still work for the person.
    assert site.client.post(got.link("Approve")).status_code == 200


def snapshot(site: Host) -> Any:
    """Everything in all tables that opening a page could have touched."""
    from sqlalchemy import select

    from moderate.database.schema import metadata

    store = site.state.desk.store
    with site.app.app_context(), store.database.read() as conn:
        return {
            name: [tuple(row) for row in conn.execute(select(table))]
            for name, table in metadata.tables.items()
            # Articles that were shown are remembered; tokens note their use.
            if name not in {"moderate_articles", "moderate_article_urls", "moderate_tokens"}
        }


# --- refusals -------------------------------------------------------------------------------------


def test_a_link_works_once(site: Host, got: Mail) -> None:
    site.client.post(got.link("Approve"))
    site.decide(1, "hold", 2)
    for method in ("GET", "POST"):
        again = site.client.open(got.link("Approve"), method=method)
        assert again.status_code == 409
        assert "used already" in again.text
        assert "<form" not in again.text
    assert stands(site, 1)["status"] == "pending"


def test_after_one_link_is_used_the_others_are_stale_and_name_the_decision(site: Host, got: Mail) -> None:
    site.client.post(got.link("Approve"))
    other = site.client.post(got.link("Spam"))
    assert other.status_code == 409
    assert "Mori has decided meanwhile" in other.text
    assert "approved and public" in other.text
    assert stands(site, 1)["status"] == "approved"


def test_a_link_is_valid_for_the_version_shown_in_the_mail(site: Host, mail: MailServer) -> None:
    made = site.comment("Harmless.").json
    work(site)
    site.client.patch("/discuss/items/1", json={"text": "Buy pills.", "edit_token": made["edit_token"]})
    for method in ("GET", "POST"):
        stale = site.client.open(mail.mails[0].link("Approve"), method=method)
        assert stale.status_code == 409
        assert "the text was changed" in stale.text
        assert "<form" not in stale.text
    assert stands(site, 1)["status"] == "pending"
    work(site)
    assert site.client.post(mail.mails[1].link("Approve")).status_code == 200


def test_a_link_expires_after_seven_days(site: Host, got: Mail) -> None:
    site.clock.advance(days=6, hours=23)
    assert site.client.get(got.link("Approve")).status_code == 200
    site.clock.advance(hours=2)
    for method in ("GET", "POST"):
        late = site.client.open(got.link("Approve"), method=method)
        assert late.status_code == 410
        assert "seven days" in late.text
    assert stands(site, 1)["status"] == "pending"


def test_a_link_about_a_deleted_item_shows_a_message(site: Host, got: Mail) -> None:
    site.decide(1, "trash")
    site.client.delete("/discuss/moderation/items/1", headers=site.token())
    assert site.client.post(got.link("Approve")).status_code == 404


def test_links_of_a_moderator_removed_from_the_settings_are_invalid(
    tmp_path: Path, got: Mail, mail: MailServer
) -> None:
    later = a_site(tmp_path, mail.port, NAO, MODERATE_LIMITS={"moderation": ["3/minute per client"]})
    answers = [later.client.post(got.link("Approve")).status_code for _ in range(4)]
    assert answers == [410, 410, 410, 429], "they count as guesses"
    assert stands(later, 1)["status"] == "pending"


def signed(site: Host, purpose: str, value: Any) -> str:
    with site.app.app_context():
        token: str = site.state.signer.sign(purpose, value)
    return token


KEY = "<key>"

ABUSES: dict[str, Callable[[Host, str], str]] = {
    "nothing": lambda _site, _token: "x",
    "cut": lambda _site, token: token[:-1],
    "longer": lambda _site, token: token + "A",
    "upper case": lambda _site, token: token.upper(),
    "another payload before the same signature": lambda site, token: (
        signed(site, "form", ["thaw", "x"]).rpartition(".")[0] + "." + token.rpartition(".")[2]
    ),
    "a form's token": lambda site, _token: signed(site, "form", ["thaw", "x"]),
    "an edit token": lambda site, _token: signed(site, "edit", 1),
    "a token to unsubscribe": lambda site, _token: signed(site, "unsubscribe", KEY),
    "a moderator whom nobody knows": lambda site, _token: signed(site, "mail-decision", [1, 1, "approve", "somebody"]),
    "not ASCII": lambda _site, _token: "％EF🙂",
    "very long": lambda _site, _token: "a" * 5000,
}


@pytest.mark.parametrize("abuse", ABUSES)
def test_forged_links_are_refused_and_change_nothing(site: Host, got: Mail, abuse: str) -> None:
    before = snapshot(site)
    token = ABUSES[abuse](site, got.link("Approve").rpartition("/")[2])
    for method in ("GET", "POST"):
        answer = site.client.open(f"/discuss/moderation/mail/{token}", method=method)
        assert answer.status_code == 410
        assert "<form" not in answer.text
    assert (
        site.client.post(f"/discuss/moderation/unsubscribe/{got.link('Approve').rpartition('/')[2]}").status_code == 410
    )
    assert snapshot(site) == before


def test_a_link_is_valid_for_one_item_only(site: Host, got: Mail) -> None:
    site.comment("Another.")
    site.client.post(got.link("Approve"))
    assert stands(site, 2)["status"] == "pending"


def test_guessing_links_is_rate_limited(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MODERATE_LIMITS={"moderation": ["3/minute per client"]})
    answers = [site.client.get(f"/discuss/moderation/mail/guess{n}").status_code for n in range(5)]
    assert answers == [410, 410, 410, 429, 429]


def test_links_need_no_login_and_start_no_session(site: Host, got: Mail) -> None:
    answer = site.client.post(got.link("Approve"), headers={"Sec-Fetch-Site": "none"})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert site.client.get("/discuss/moderation/items").status_code == 401


@pytest.mark.parametrize(
    ("config", "below"),
    [
        ({}, "/news"),
        ({"MODERATE_SITE_URL": "http://localhost/news"}, "/news"),
        ({"MODERATE_SITE_URL": "http://localhost/news/"}, "/news"),
        ({"MODERATE_SITE_URL": "http://localhost/news", "APPLICATION_ROOT": "/news"}, "/news"),
        ({"APPLICATION_ROOT": "/news/"}, "/news"),
        ({}, "/新聞/a b"),
        ({}, ""),
    ],
)
def test_links_include_the_sub_path_of_the_site(
    tmp_path: Path, mail: MailServer, config: dict[str, str], below: str
) -> None:
    site = a_site(tmp_path, mail.port, **config)
    mounts = {below.encode().decode("latin-1"): site.app.wsgi_app}
    client = Client(DispatcherMiddleware(Flask("whole site").wsgi_app, mounts) if below else site.app.wsgi_app)
    posted = client.post(f"{below}/discuss/comments/thaw", json={"author": "Mika", "text": "Hello."})
    assert posted.status_code == 202
    work(site)
    (got,) = mail.mails
    for link in (got.link("Approve"), got.unsubscribe):
        assert client.get(urlsplit(link).path).status_code == 200, link
    assert client.post(urlsplit(got.link("Approve")).path).status_code == 200
    signing_in = site.app.test_cli_runner().invoke(args=["moderate", "token", "link", "Mori"]).stdout.split()[-1]
    assert client.get(urlsplit(signing_in).path).status_code == 200


def test_a_worker_in_another_process_uses_the_same_sub_path(tmp_path: Path, mail: MailServer) -> None:
    a_site(tmp_path, mail.port).client.post(
        "/discuss/comments/thaw", json={"author": "Mika", "text": "Hello."}, environ_overrides={"SCRIPT_NAME": "/news"}
    )
    work(a_site(tmp_path, mail.port))
    assert mail.mails[0].link("Spam").startswith("/news/discuss/moderation/mail/")


@pytest.mark.parametrize(
    "root", ["@evil.example", "//evil.example?", "/news\\..", "/a/../b", "/x y\n", "/" + "x" * 300]
)
def test_a_forged_sub_path_gets_into_no_link(tmp_path: Path, mail: MailServer, root: str) -> None:
    site = a_site(tmp_path, mail.port)
    site.client.post(
        "/discuss/comments/thaw", json={"author": "Mika", "text": "Hello."}, environ_overrides={"SCRIPT_NAME": root}
    )
    work(site)
    assert [got.link("Spam").startswith("/discuss/moderation/mail/") for got in mail.mails] == [True]


def test_only_a_request_of_a_moderator_changes_the_stored_sub_path(tmp_path: Path, mail: MailServer) -> None:
    """Some servers take SCRIPT_NAME from a header field, as gunicorn does from proxies on the same machine."""
    site = a_site(tmp_path, mail.port)

    def send(path: str, root: str, **sent: Any) -> None:
        site.client.post(f"/discuss/{path}", environ_overrides={"SCRIPT_NAME": root}, **sent)

    def base() -> str:
        with site.app.app_context():
            return str(site.state.address.base())

    send("comments/thaw", "/news", json={"author": "Mika", "text": "Hello."})
    for path in ("comments/thaw", "nothing/here", "moderation/queue/1"):
        send(path, "/mallory", data={"author": "Mika", "text": "Hello."})
    assert base() == "http://localhost/news/discuss"
    site.moderator = Moderator("mori")
    page = site.client.get("/discuss/moderation/", headers={"Accept": "text/html"}).text
    (csrf,) = set(re.findall(r'name="csrf_token" value="([^"]+)"', page))
    send("moderation/queue/1", "/blog", data={"decision": "approve", "version": 1, "csrf_token": "made up"})
    assert base() == "http://localhost/news/discuss"
    send("moderation/queue/1", "/blog", data={"decision": "approve", "version": 1, "csrf_token": csrf})
    assert base() == "http://localhost/blog/discuss"
    # The decision stands, and other processes know the path as well, whatever their first request says.
    other = a_site(tmp_path, mail.port)
    words = {"author": "Mika", "text": "Hello again."}
    other.client.post("/discuss/comments/thaw", environ_overrides={"SCRIPT_NAME": "/mallory"}, json=words)
    assert other.state.address.seen() == "/blog"


def test_a_request_below_another_path_than_the_settings_name_is_logged_once(
    tmp_path: Path, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    site = a_site(tmp_path, mail.port, MODERATE_SITE_URL="http://localhost/blog")
    # Monitors ask at an internal address.
    site.client.get("/discuss/health", environ_overrides={"SCRIPT_NAME": "/internal"})
    for _ in range(2):
        site.client.get("/discuss/counts?article=thaw", environ_overrides={"SCRIPT_NAME": "/news"})
    (told,) = (record.getMessage() for record in caplog.records if "sub-path" in record.getMessage())
    assert "below '/news'" in told
    assert "http://localhost/blog/discuss" in told


def test_check_config_shows_the_base_of_links_and_warns_of_another_request_path(
    tmp_path: Path, mail: MailServer
) -> None:
    def links(site: Host) -> str:
        said = site.app.test_cli_runner().invoke(args=["moderate", "check-config"]).stdout.splitlines()
        return next(line for line in said if line.startswith("links: "))

    site = a_site(tmp_path, mail.port)
    assert links(site).startswith("links: lead to http://localhost/discuss. If the site lies below a path")
    form = {"author": "Mika", "text": "Hello."}
    site.client.post("/discuss/comments/thaw", json=form, environ_overrides={"SCRIPT_NAME": "/news"})
    assert links(site).startswith("links: lead to http://localhost/news/discuss. The sub-path is that of a form")
    other = a_site(tmp_path, mail.port, MODERATE_SITE_URL="http://localhost/blog")
    assert "lead to http://localhost/blog/discuss, but requests come in below /news" in links(other)
    assert "links: lead to http://localhost/news/discuss." in links(
        a_site(tmp_path, mail.port, MODERATE_SITE_URL="http://localhost/news")
    )


# --- no more mails --------------------------------------------------------------------------------


def test_one_click_unsubscribe_follows_rfc_8058(site: Host, got: Mail, mail: MailServer) -> None:
    assert got.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    raw_line = next(line for line in got.raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe: "))
    assert raw_line.startswith(b"List-Unsubscribe: <http")
    assert raw_line.endswith(b">")
    answer = site.client.post(got.unsubscribe, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    site.comment("Another.")
    work(site)
    assert len(mail.mails) == 1


def test_viewing_the_page_changes_nothing_and_unsubscribing_can_be_undone(
    site: Host, got: Mail, mail: MailServer
) -> None:
    page = site.client.get(got.unsubscribe)
    assert page.status_code == 200
    assert "No more mails" in page.text
    site.client.head(got.unsubscribe)
    site.comment("Another.")
    work(site)
    assert len(mail.mails) == 2
    site.client.post(got.unsubscribe)
    assert "Send me mails again" in site.client.get(got.unsubscribe).text
    site.client.post(got.unsubscribe, data={"again": "1"})
    site.comment("And another.")
    work(site)
    assert len(mail.mails) == 3


def test_one_moderator_unsubscribes_without_effect_on_others(tmp_path: Path, mail: MailServer) -> None:
    site = a_site(tmp_path, mail.port, MORI, NAO)
    site.comment("One.")
    work(site)
    site.client.post(next(got for got in mail.mails if got.to == MORI["email"]).unsubscribe)
    site.comment("Two.")
    work(site)
    assert [got.to for got in mail.mails[2:]] == [NAO["email"]]


def test_the_unsubscribe_link_of_an_old_mail_still_works(site: Host, got: Mail, mail: MailServer) -> None:
    site.clock.advance(days=400)
    assert site.client.post(got.unsubscribe).status_code == 200
