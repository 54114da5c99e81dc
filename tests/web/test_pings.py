"""Pings from the request to the page: over real HTTP to a blog on this machine, with the clock moved by hand."""

from __future__ import annotations

import threading
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from moderate.outbound import fetch
from tests.blogs import Blog
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = "http://localhost/thaw"
LINKS = f"<title>On ice</title><p>Someone wrote <a href='{TARGET}'>about the thaw</a>, and well.</p>"
SILENT = "<title>On ice</title><p>Nothing to see.</p>"


@pytest.fixture
def blog() -> Iterator[Blog]:
    with Blog() as blog:
        yield blog


@pytest.fixture
def site(tmp_path: Path, blog: Blog) -> Host:
    return a_site(tmp_path, blog)


def a_site(folder: Path, blog: Blog, **config: Any) -> Host:
    """A site that has shown its article, so that pings to its address find it."""
    ports = [80, 443, blog.port]
    host = Host(folder, MODERATE_LIMITS={}, MODERATE_FETCH_ALLOW=["127.0.0.0/8"], MODERATE_FETCH_PORTS=ports, **config)
    host.client.get("/thaw")
    return host


def trackback(site: Host, source: str, **fields: str) -> Any:
    return site.client.post("/discuss/trackback/thaw", data={"url": source, **fields})


def pingback(site: Host, source: str, target: str = TARGET) -> Any:
    call = xmlrpc.client.dumps((source, target), "pingback.ping")
    return site.client.post("/discuss/pingback", data=call, content_type="text/xml")


def webmention(site: Host, source: str, target: str = TARGET) -> Any:
    return site.client.post("/discuss/webmention", data={"source": source, "target": target})


PINGS = [trackback, pingback, webmention]


def work(site: Host) -> None:
    """All that is due now, as a worker would do it."""
    result = site.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
    assert result.exit_code == 0, result.output


def items(site: Host, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.client.get(
        "/discuss/moderation/items", query_string=query, headers=site.token()
    ).json["items"]
    return found


def only(site: Host) -> dict[str, Any]:
    found = items(site)
    assert len(found) == 1
    number = found[0]["id"]
    one: dict[str, Any] = site.client.get(f"/discuss/moderation/items/{number}", headers=site.token()).json
    return one


def approve(site: Host) -> None:
    item = only(site)
    assert site.decide(item["id"], "approve", item["version"]).status_code == 200


@pytest.mark.parametrize("ping", PINGS)
def test_no_source_is_fetched_within_the_request(site: Host, blog: Blog, ping: Any) -> None:
    assert ping(site, blog.write("/1", LINKS)).status_code in {200, 201}
    assert blog.asked == []
    assert only(site)["awaiting"] == "checks"
    work(site)
    assert [path for path, _ in blog.asked] == ["/1"]


@pytest.mark.parametrize("ping", PINGS)
def test_a_ping_with_a_link_is_pending_and_counted_when_approved(site: Host, blog: Blog, ping: Any) -> None:
    ping(site, blog.write("/1", LINKS))
    work(site)
    item = only(site)
    assert (item["status"], item["awaiting"]) == ("pending", "moderator")
    assert "source-link" in item["passed"]
    assert site.counts() == {"comments": 0, "trackbacks": 0}
    approve(site)
    assert site.counts() == {"comments": 0, "trackbacks": 1}
    page = site.app.test_client().get("/thaw").text
    assert "Trackback(1)" in page
    assert "On ice" in page
    assert "127.0.0.1" in page


@pytest.mark.parametrize("ping", [pingback, webmention])
def test_title_and_text_come_from_the_page_when_the_protocol_has_none(site: Host, blog: Blog, ping: Any) -> None:
    ping(site, blog.write("/1", LINKS))
    work(site)
    item = only(site)
    assert item["title"] == "On ice"
    assert "Someone wrote about the thaw, and well." in item["html"]


def test_the_texts_of_a_trackback_are_kept(site: Host, blog: Blog) -> None:
    trackback(site, blog.write("/1", LINKS), title="My title", excerpt="My words", blog_name="My blog")
    work(site)
    item = only(site)
    assert (item["title"], item["blog_name"], item["html"]) == ("My title", "My blog", "<p>My words</p>")


@pytest.mark.parametrize("ping", PINGS)
@pytest.mark.parametrize(
    "page",
    [
        SILENT,
        f"<p>{TARGET}</p>",
        f"<!-- <a href='{TARGET}'>x</a> -->",
        f"<script>'<a href=\"{TARGET}\">'</script>",
        f"<p><a href='{TARGET}/more'>longer</a></p>",
        "<p><a href='http://localhost/tha'>shorter</a></p>",
        f"<p><a href='http://evil.example/?{TARGET}'>elsewhere</a></p>",
    ],
)
def test_a_ping_without_a_link_is_spam(site: Host, blog: Blog, ping: Any, page: str) -> None:
    ping(site, blog.write("/1", page))
    work(site)
    item = only(site)
    assert item["status"] == "spam"
    assert item["findings"][0]["check"] == "source-link"
    assert item["findings"][0]["reason"]


@pytest.mark.parametrize("ping", PINGS)
def test_an_unreachable_source_is_retried_and_finally_left_to_a_moderator(site: Host, blog: Blog, ping: Any) -> None:
    ping(site, blog.url("/missing"))
    work(site)
    first = only(site)
    assert (first["status"], first["awaiting"]) == ("pending", "checks")
    for _ in range(60):
        site.clock.advance(hours=2)
        work(site)
    last = only(site)
    assert (last["status"], last["awaiting"]) == ("pending", "moderator")
    assert "could not be read" in last["findings"][0]["reason"]
    assert site.counts() == {"comments": 0, "trackbacks": 0}
    assert len(blog.asked) > 3


def test_the_first_retry_is_within_twenty_minutes(site: Host, blog: Blog) -> None:
    pingback(site, blog.url("/1"))
    work(site)
    blog.write("/1", LINKS)
    site.clock.advance(minutes=20)
    work(site)
    assert only(site)["awaiting"] == "moderator"


def test_a_source_in_a_private_network_is_never_fetched_and_looks_like_any_other(tmp_path: Path, blog: Blog) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={})
    site.client.get("/thaw")
    answers = [webmention(site, blog.write("/1", LINKS)), webmention(site, "http://192.0.2.1/x")]
    work(site)
    assert blog.asked == []
    assert {item["awaiting"] for item in items(site)} == {"checks"}
    states = [site.client.get(answer.headers["Location"]).json["status"] for answer in answers]
    assert states == ["queued", "queued"]


def test_pings_by_three_protocols_make_one_item(site: Host, blog: Blog) -> None:
    source = blog.write("/1", LINKS)
    for ping in PINGS:
        ping(site, source)
    assert len(items(site)) == 1
    webmention(site, source.replace("http://", "HTTP://") + "#top")
    assert len(items(site)) == 1


def test_a_source_is_fetched_once_in_ten_minutes_and_no_repeat_is_lost(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    blog.write("/1", LINKS.replace("and well", "and badly"))
    webmention(site, blog.url("/1"))
    work(site)
    assert len(blog.asked) == 1
    site.clock.advance(minutes=11)
    work(site)
    assert len(blog.asked) == 2


def test_a_changed_text_of_an_approved_ping_is_pending_while_the_old_one_stays_public(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    site.clock.advance(minutes=11)
    webmention(site, blog.write("/1", LINKS.replace("and well", "with PILLS")))
    work(site)
    item = only(site)
    assert (item["status"], item["awaiting"]) == ("approved", "moderator")
    assert "PILLS" in item["proposed"]["text"]
    public = site.client.get("/discuss/comments/thaw").text
    assert "and well" in public
    assert "PILLS" not in public
    assert site.counts()["trackbacks"] == 1
    approve(site)
    assert "PILLS" in site.client.get("/discuss/comments/thaw").text


@pytest.mark.parametrize(
    "gone",
    [
        ("<p>Gone</p>", 410),
        (SILENT, 200),
        (f'<meta http-equiv="Status" content="410 Gone"><a href="{TARGET}">x</a>', 200),
    ],
)
@pytest.mark.parametrize("days", [1, 7, 30])
def test_an_approved_ping_is_rechecked_and_removed_when_its_link_is_gone(
    site: Host, blog: Blog, gone: tuple[str, int], days: int
) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    for day in range(days):
        if day == days - 1:
            blog.write("/1", gone[0], status=gone[1])
        site.clock.advance(days=1, minutes=1)
        work(site)
    if gone == (SILENT, 200):
        assert only(site)["status"] == "approved"
        site.clock.advance(hours=6)
        work(site)
    item = only(site)
    assert item["status"] == "trash"
    assert item["history"][-1]["act"] == "withdrawn"
    assert "no longer links" in item["history"][-1]["note"]
    assert site.counts()["trackbacks"] == 0


def test_a_temporary_maintenance_page_removes_no_ping(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    for _ in range(2):
        blog.write("/1", "<p>We are back soon.</p>")
        site.clock.advance(minutes=11)
        webmention(site, blog.url("/1"))
        work(site)
        # A second look within the hour, at the same notice, proves nothing more.
        site.clock.advance(minutes=30)
        webmention(site, blog.url("/1"))
        work(site)
        assert only(site)["status"] == "approved"
        assert "does not link here at the moment" in only(site)["findings"][-1]["reason"]
        blog.write("/1", LINKS)
        site.clock.advance(hours=6)
        work(site)
        # What was missed once is forgotten, and counts for nothing when it is missed again.
        assert not any("at the moment" in finding["reason"] for finding in only(site)["findings"])
    assert site.counts()["trackbacks"] == 1


def lose_its_link(site: Host, blog: Blog) -> None:
    """An approved ping whose link was missed twice."""
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    blog.write("/1", SILENT)
    for _ in range(2):
        site.clock.advance(hours=25)
        work(site)
    assert only(site)["status"] == "trash"


def test_a_ping_withdrawn_by_checks_is_judged_again_when_its_source_links_again(site: Host, blog: Blog) -> None:
    lose_its_link(site, blog)
    blog.write("/1", LINKS)
    webmention(site, blog.url("/1"))
    site.clock.advance(minutes=11)
    work(site)
    item = only(site)
    assert (item["status"], item["awaiting"]) == ("pending", "moderator")
    approve(site)
    assert site.counts()["trackbacks"] == 1


def test_a_ping_removed_by_a_moderator_stays_removed_when_it_is_repeated(site: Host, blog: Blog) -> None:
    lose_its_link(site, blog)
    item = only(site)
    site.decide(item["id"], "approve", item["version"])
    site.decide(item["id"], "trash", item["version"] + 1)
    blog.write("/1", LINKS)
    webmention(site, blog.url("/1"))
    site.clock.advance(minutes=11)
    work(site)
    assert only(site)["status"] == "trash"


def test_a_lost_link_during_a_decision_of_a_moderator_is_no_withdrawal(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    item = only(site)
    site.decide(item["id"], "trash", item["version"])
    with site.app.app_context():
        # The worker has read the page before, and comes second.
        assert not site.state.desk.store.items.withdraw(item["id"], site.clock.now()).changed
    webmention(site, blog.url("/1"))
    site.clock.advance(minutes=11)
    work(site)
    assert only(site)["status"] == "trash"


def test_a_changing_source_conflicts_with_a_moderator_once_in_ten_minutes_at_most(site: Host, blog: Blog) -> None:
    source = blog.write("/1", LINKS)
    trackback(site, source, title="A title", excerpt="First words")
    work(site)
    approve(site)
    version = only(site)["version"]
    for minute in range(9):
        trackback(site, source, title="A title", excerpt=f"Changed for the time number {minute}")
        work(site)
        site.clock.advance(minutes=1)
    assert only(site)["version"] == version + 1
    site.clock.advance(minutes=11)
    work(site)
    # What was said last is what waits now.
    item = only(site)
    assert item["version"] == version + 2
    assert "number 8" in item["proposed"]["text"]


def test_a_ping_stays_when_its_page_is_temporarily_unavailable(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    blog.write("/1", "", status=503)
    for _ in range(40):
        site.clock.advance(days=1)
        work(site)
    assert only(site)["status"] == "approved"


def test_a_repeated_webmention_does_not_remove_a_ping_that_still_links(site: Host, blog: Blog) -> None:
    """Any client may send a webmention for a source; only the source itself decides what happens to the item."""
    webmention(site, blog.write("/1", LINKS))
    work(site)
    approve(site)
    site.clock.advance(minutes=11)
    webmention(site, blog.url("/1"))
    work(site)
    assert only(site)["status"] == "approved"


def test_without_verification_a_ping_is_pending_at_once(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off")
    trackback(site, "http://192.0.2.1/x", title="T")
    assert (only(site)["status"], only(site)["awaiting"]) == ("pending", "moderator")


def test_a_missing_link_only_holds_the_ping_when_configured_as_a_signal(tmp_path: Path, blog: Blog) -> None:
    site = Host(
        tmp_path,
        MODERATE_LIMITS={},
        MODERATE_VERIFY_PINGS="signal",
        MODERATE_PREMODERATION="none",
        MODERATE_FETCH_ALLOW=["127.0.0.0/8"],
        MODERATE_FETCH_PORTS=[blog.port],
    )
    trackback(site, blog.write("/1", SILENT), title="T")
    work(site)
    assert (only(site)["status"], only(site)["awaiting"]) == ("pending", "moderator")


@pytest.mark.parametrize("ping", PINGS)
def test_a_closed_article_accepts_no_pings_and_shows_no_endpoints(site: Host, ping: Any) -> None:
    site.add_article("thaw", pings_open=False)
    answer = ping(site, "http://blog.example/1")
    assert items(site) == []
    assert b"<error>1" in answer.data or b"<fault>" in answer.data or answer.status_code == 400
    page = site.client.get("/thaw")
    assert 'rel="webmention"' not in page.text
    assert "X-Pingback" not in page.headers


@pytest.mark.parametrize("target", ["http://localhost/other", "http://elsewhere.example/thaw", "http://localhost/"])
def test_a_target_that_is_no_article_is_refused(site: Host, target: str) -> None:
    assert webmention(site, "http://blog.example/1", target).status_code == 400
    assert b"<fault>" in pingback(site, "http://blog.example/1", target).data
    assert items(site) == []


def test_the_host_may_map_addresses_to_articles(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={})
    site.moderate.article_finder(lambda url: site.articles["thaw"] if url.endswith("?p=1") else None)
    assert webmention(site, "http://blog.example/1", "http://localhost/?p=1").status_code == 201
    assert items(site)[0]["article"] == "thaw"


def test_the_rss_list_holds_only_approved_pings(site: Host, blog: Blog) -> None:
    trackback(site, blog.write("/1", LINKS), title="Shown")
    work(site)
    assert b"Shown" not in site.client.get("/discuss/trackback/thaw?__mode=rss").data
    approve(site)
    assert b"<title>Shown</title>" in site.client.get("/discuss/trackback/thaw?__mode=rss").data


def test_the_user_agent_of_the_fetcher_names_the_site_and_the_purpose(site: Host, blog: Blog) -> None:
    pingback(site, blog.write("/1", LINKS))
    work(site)
    agent = blog.asked[0][1]["User-Agent"]
    assert "moderate/" in agent
    assert "verifying pingback from 127.0.0.1" in agent


def test_endpoints_are_announced_in_headers_head_and_thread(site: Host) -> None:
    answer = site.client.get("/thaw")
    assert answer.headers.getlist("Link")[0] == '<http://localhost/discuss/webmention>; rel="webmention"'
    assert answer.headers["X-Pingback"] == "http://localhost/discuss/pingback"
    assert '<link rel="pingback" href="http://localhost/discuss/pingback">' in answer.text
    assert 'trackback:ping="http://localhost/discuss/trackback/thaw"' in answer.text
    assert site.client.head("/thaw").headers["X-Pingback"] == "http://localhost/discuss/pingback"


def test_threads_that_begin_to_read_pages_at_once_share_one_fetcher_and_its_limits(
    site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    class Slow(fetch.GuardedFetcher):
        def __init__(self, **options: Any) -> None:
            both.wait(30)
            super().__init__(**options)

    monkeypatch.setattr(fetch, "GuardedFetcher", Slow)
    fetcher = site.state.desk.services.fetcher
    assert fetcher is not None
    with ThreadPoolExecutor(2) as threads:
        one, other = [threads.submit(fetcher) for _ in range(2)]
        assert one.result() is other.result() is fetcher()
