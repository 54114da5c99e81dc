"""Attacks on a site, each made as an attacker would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import request
from werkzeug.test import create_environ, run_wsgi_app

from moderate import Article
from moderate.testing import AkismetStandIn
from tests.blogs import Blog
from tests.sites import Host
from tests.tasks import run_due

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "http://localhost/thaw"
LINKS = f"<title>On ice</title><p>Someone wrote <a href='{TARGET}'>about the thaw</a>, and well.</p>"
SPAM = {"title": "Deals", "blog_name": "Deals", "excerpt": "[url=http://deals.example]Deals[/url]"}

JSON = {"Accept": "application/json"}


@pytest.fixture
def blog() -> Iterator[Blog]:
    with Blog() as blog:
        yield blog


@pytest.fixture
def site(tmp_path: Path, blog: Blog) -> Host:
    """A site that has shown its article and takes pings from the blog."""
    ports = [80, 443, blog.port]
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_FETCH_ALLOW=["127.0.0.0/8"], MODERATE_FETCH_PORTS=ports)
    host.client.get("/thaw")
    return host


def trackback(site: Host, source: str, **fields: str) -> Any:
    return site.client.post("/discuss/trackback/thaw", data={"url": source, **fields})


def webmention(site: Host, source: str) -> Any:
    return site.client.post("/discuss/webmention", data={"source": source, "target": TARGET})


def work(site: Host) -> None:
    """All that is due, past the ten minutes in which no source is read twice."""
    site.clock.advance(minutes=11)
    result = site.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
    assert result.exit_code == 0, result.output


def only(site: Host) -> dict[str, Any]:
    page: Any = site.client.get("/discuss/moderation/items", headers=site.token()).json
    found = page["items"]
    assert len(found) == 1
    one: dict[str, Any] = found[0]
    return one


def form_token(host: Host) -> str:
    return str(host.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"])


def edit(host: Host, item: dict[str, Any], text: str) -> Any:
    return host.client.patch(f"/discuss/items/{item['id']}", json={"text": text, "edit_token": item["edit_token"]})


# --- to be public without a moderator --------------------------------------------------------------


def test_editing_does_not_publish_a_comment_held_as_too_fast(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    form = {"author": "Mika", "text": "Sent by a program.", "form_token": form_token(host)}
    held: Any = host.client.post("/discuss/comments/thaw", data=form, headers=JSON)
    assert held.status_code == 202
    assert edit(host, held.json, "Sent by a program!").json["status"] == "pending"
    assert host.counts() == {"comments": 0, "trackbacks": 0}


def test_editing_does_not_publish_a_comment_held_by_the_hidden_field(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    held = host.comment("Sent by a program.", homepage="https://pills.example/")
    assert held.status_code == 202
    assert edit(host, held.json, "Sent by a program!").json["status"] == "pending"
    assert host.counts() == {"comments": 0, "trackbacks": 0}


def test_editing_does_not_publish_a_comment_held_during_a_wave(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["1/minute per article"]}, MODERATE_PREMODERATION="none")
    assert host.comment("The first one.").status_code == 201
    held = host.comment("One of the crowd.")
    assert held.status_code == 202
    assert edit(host, held.json, "One of the crowd!").json["status"] == "pending"


# --- to ping in another site's name ----------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "approved"])
def test_spam_in_the_name_of_a_site_does_not_replace_its_own_ping(site: Host, blog: Blog, status: str) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    if status == "approved":
        site.decide(only(site)["id"], "approve", only(site)["version"])
    before = only(site)
    assert trackback(site, blog.url("/1"), **SPAM).status_code == 200
    after = only(site)
    assert (after["status"], after["title"], after["version"]) == (status, "On ice", before["version"])
    assert after["proposed"] is None


def test_spam_in_the_name_of_a_site_does_not_block_its_own_ping(site: Host, blog: Blog) -> None:
    trackback(site, blog.write("/1", LINKS), **SPAM)
    assert only(site)["status"] == "spam"
    webmention(site, blog.url("/1"))
    work(site)
    found = only(site)
    assert (found["status"], found["awaiting"], found["title"]) == ("pending", "moderator", "On ice")
    assert found["html"] == "<p>Someone wrote about the thaw, and well.</p>"


def test_a_ping_marked_as_spam_by_a_moderator_stays_spam_when_it_is_repeated(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    site.decide(only(site)["id"], "spam", only(site)["version"])
    trackback(site, blog.url("/1"), title="Another title")
    webmention(site, blog.url("/1"))
    work(site)
    assert only(site)["status"] == "spam"


def test_a_repeated_mention_of_an_unchanged_page_proposes_no_change(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    site.decide(only(site)["id"], "approve", only(site)["version"])
    for _ in range(2):
        webmention(site, blog.url("/1"))
        assert (only(site)["proposed"], only(site)["awaiting"]) == (None, None)
        work(site)
        assert (only(site)["proposed"], only(site)["awaiting"]) == (None, None)


# --- to use one site's tokens at another -----------------------------------------------------------


@pytest.fixture
def sister(tmp_path: Path) -> Host:
    """Another site with the same SECRET_KEY, and a database of its own."""
    return Host(tmp_path / "sister", MODERATE_LIMITS={})


def test_an_edit_token_is_invalid_on_another_site(host: Host, sister: Host) -> None:
    ours, theirs = host.comment("Ours.").json, sister.comment("Theirs.").json
    assert ours["id"] == theirs["id"]
    stranger = sister.app.test_client()
    seen = stranger.get(f"/discuss/items/{theirs['id']}", query_string={"edit_token": ours["edit_token"]})
    assert seen.status_code == 404
    changed = stranger.patch(f"/discuss/items/{theirs['id']}", json={"text": "Mine.", "edit_token": ours["edit_token"]})
    assert changed.status_code == 404


def test_the_cookie_of_another_site_shows_no_hidden_items(host: Host, sister: Host) -> None:
    host.comment("Ours.")
    sister.comment("Theirs.")
    cookie = host.client.get_cookie("moderate_own")
    assert cookie is not None
    stranger = sister.app.test_client()
    stranger.set_cookie(cookie.key, cookie.value)
    shown: Any = stranger.get("/discuss/comments/thaw").json
    assert shown["items"] == []
    assert "Theirs." not in stranger.get("/thaw").text


def test_a_sign_in_link_of_another_site_is_invalid(host: Host, sister: Host) -> None:
    made = sister.app.test_cli_runner().invoke(args=["moderate", "token", "link", "mallory"])
    address = made.output.split()[-1]
    assert sister.app.test_client().get(address).status_code == 200
    assert host.app.test_client().post(address).status_code == 403


# --- to see items of other people ------------------------------------------------------------------


def test_a_page_with_a_pending_comment_of_its_reader_is_not_stored_by_shared_caches(host: Host) -> None:
    assert "Cache-Control" not in host.client.get("/thaw").headers
    host.comment("Only for me to see.")
    mine = host.client.get("/thaw")
    assert "Only for me to see." in mine.text
    assert mine.headers["Cache-Control"] == "private"
    assert "Cache-Control" not in host.app.test_client().get("/thaw").headers


def test_repeating_a_comment_with_the_token_of_a_cached_page_gives_no_access_to_it(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    form = {"author": "Mika", "text": "For all to read.", "form_token": form_token(host)}
    host.clock.advance(minutes=1)

    def send(address: str) -> Any:
        place = {"REMOTE_ADDR": address}
        return host.app.test_client().post("/discuss/comments/thaw", data=form, headers=JSON, environ_base=place)

    first, again, stranger = send("192.0.2.1"), send("192.0.2.1"), send("198.51.100.1")
    assert (first.status_code, first.json["id"]) == (201, again.json["id"])
    assert stranger.json["id"] != first.json["id"]


# --- to get around the limits ----------------------------------------------------------------------


def test_a_fragment_of_the_target_gives_no_separate_budget(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["2/minute per article"]}, MODERATE_VERIFY_PINGS="off")
    host.client.get("/thaw")
    pings = [{"source": f"http://blog{n}.example/", "target": f"{TARGET}#{n}"} for n in range(4)]
    codes = [host.client.post("/discuss/webmention", data=ping).status_code for ping in pings]
    assert codes == [201, 201, 429, 429]


# --- to show readers something old -----------------------------------------------------------------


def test_another_key_of_the_same_article_has_the_same_etag(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    host.moderate.article_loader(lambda key: host.articles.get(key.lower()))
    reader = host.app.test_client()
    tag = reader.get("/discuss/comments/THAW").headers["ETag"]
    host.comment()
    assert reader.get("/discuss/comments/THAW", headers={"If-None-Match": tag}).status_code == 200


# --- to keep the site busy -------------------------------------------------------------------------


def test_a_flood_of_pings_does_not_delay_the_checks_of_comments(tmp_path: Path, blog: Blog) -> None:
    with AkismetStandIn() as akismet:
        host = Host(
            tmp_path,
            MODERATE_LIMITS={},
            MODERATE_FETCH_ALLOW=["127.0.0.0/8"],
            MODERATE_FETCH_PORTS=[blog.port],
            MODERATE_AKISMET_KEY="key",
            MODERATE_AKISMET_URL=akismet.url,
        )
        host.client.get("/thaw")
        for number in range(5):
            webmention(host, blog.write(f"/{number}", LINKS))
        host.clock.advance(seconds=1)
        host.comment()
        with host.app.app_context():
            assert run_due(host.state.desk) == 1
        host.close()
    assert [received.path for received in akismet.received] == ["comment-check"]
    assert blog.asked == []


def test_health_requests_do_not_call_akismet(tmp_path: Path) -> None:
    with AkismetStandIn() as akismet:
        host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="key", MODERATE_AKISMET_URL=akismet.url)
        assert [host.client.get("/discuss/health").status_code for _ in range(20)] == [200] * 20
        assert akismet.received == []
        host.close()


def test_a_malformed_host_field_does_not_break_the_feed(host: Host) -> None:
    # Below the test client, which cannot take such a field itself.
    environ = create_environ("/discuss/feed") | {"HTTP_HOST": "xn--"}
    _, status, _ = run_wsgi_app(host.app.wsgi_app, environ, buffered=True)
    assert status == "200 OK"


def test_forged_host_fields_do_not_fill_the_table_of_addresses(host: Host) -> None:
    """A host whose loader makes the address of the request, as many do."""
    host.moderate.article_loader(lambda key: Article(key, "Thaw", f"{request.host_url}{key}"))
    names = [f"http://host{number}.example" for number in range(120)]
    for name in names:
        with host.app.test_request_context("/thaw", base_url=name):
            assert host.moderate.discovery_headers("thaw")
    with host.app.test_request_context("/thaw"):
        known = [name for name in names if host.state.desk.articles.find(f"{name}/thaw")]
    assert 1 <= len(known) <= 50
    assert known[-1] == names[-1]


def test_every_response_forbids_content_sniffing(host: Host) -> None:
    for path in ("/discuss/counts?article=thaw", "/discuss/comments/thaw", "/discuss/nothing", "/discuss/webmention"):
        assert host.client.get(path).headers["X-Content-Type-Options"] == "nosniff"
