"""A genuine ping is proven by any address of the article, and by no address of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from flask import abort, request

from tests.web.test_pings import a_site, approve, blog, only, pingback, site, trackback, webmention, work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.blogs import Blog
    from tests.sites import Host

__all__ = ["blog", "site"]

HOME = "https://news.example"
PROTOCOLS = {
    "webmention": webmention,
    "pingback": pingback,
    "trackback": lambda site, source, _target: trackback(site, source),
}


@pytest.fixture
def found(site: Host) -> list[str]:
    """Let the site find its articles itself; all that its finder was asked for."""
    asked: list[str] = []
    site.add_article("thaw", url=f"{HOME}/one")
    site.add_article("two", url=f"{HOME}/two")
    keys = {"one": "thaw", "two": "two"}

    def find(url: str) -> Any:
        asked.append(url)
        parts = urlsplit(url)
        if parts.hostname == "sho.rt":
            return site.articles.get(keys.get(parts.path.strip("/"), ""))
        if parts.hostname not in {"news.example", "www.news.example"}:
            return None
        key = parts.query.removeprefix("p=") if parts.query.startswith("p=") else keys.get(parts.path.strip("/"), "")
        return site.articles.get(key)

    site.moderate.article_finder(find)
    return asked


def linking(*addresses: str) -> str:
    links = "".join(f"<p>They wrote <a href='{address}'>about it</a>, and well.</p>" for address in addresses)
    return f"<title>On ice</title>{links}"


def standing(site: Host) -> tuple[str, str | None]:
    item = only(site)
    return item["status"], item["awaiting"]


VARIANTS = [
    f"{HOME}/one",
    "http://news.example/one",
    f"{HOME}/one/",
    f"{HOME}/one?utm_source=feed&utm_medium=rss",
    f"{HOME}/one?replytocom=262215#respond",
    f"{HOME}/?p=thaw",
    "http://www.news.example/one",
    "https://sho.rt/one",
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("link", VARIANTS)
def test_a_link_to_any_address_of_the_article_verifies_the_ping(
    site: Host, blog: Blog, found: list[str], protocol: str, link: str
) -> None:
    source = blog.write("/1", linking("https://other.example/", link))
    PROTOCOLS[protocol](site, source, link)
    work(site)
    assert standing(site) == ("pending", "moderator")


@pytest.mark.parametrize("link", VARIANTS)
def test_the_page_may_link_to_another_address_than_the_ping_names(
    site: Host, blog: Blog, found: list[str], link: str
) -> None:
    webmention(site, blog.write("/1", linking(link)), f"{HOME}/one")
    work(site)
    assert standing(site) == ("pending", "moderator")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "link", [f"{HOME}/two", f"{HOME}/two/?utm_source=x", f"{HOME}/?p=two", "https://sho.rt/two", HOME]
)
def test_an_address_of_another_article_verifies_nothing(
    site: Host, blog: Blog, found: list[str], protocol: str, link: str
) -> None:
    PROTOCOLS[protocol](site, blog.write("/1", linking(link)), f"{HOME}/one?utm_source=x")
    work(site)
    assert standing(site) == ("spam", None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("own", "link"), [("https", "http"), ("http", "https")])
def test_http_and_https_addresses_are_equivalent_without_a_finder(
    site: Host, blog: Blog, protocol: str, own: str, link: str
) -> None:
    site.add_article("thaw", url=f"{own}://news.example/one")
    site.client.get("/thaw")
    target = f"{link}://news.example/one"
    PROTOCOLS[protocol](site, blog.write("/1", linking(target)), target)
    work(site)
    assert standing(site) == ("pending", "moderator")


def test_an_earlier_address_of_the_article_verifies_a_ping(site: Host, blog: Blog) -> None:
    old = "http://localhost/old-address"
    site.add_article("thaw", url=old)
    site.client.get("/thaw")
    site.add_article("thaw", url="http://localhost/new-address")
    site.client.get("/thaw")
    webmention(site, blog.write("/1", linking(old)), old)
    work(site)
    assert standing(site) == ("pending", "moderator")


@pytest.mark.parametrize("link", [f"{HOME}/one/", "https://sho.rt/one"])
def test_rechecks_accept_the_same_address(site: Host, blog: Blog, found: list[str], link: str) -> None:
    source = blog.write("/1", linking(link))
    webmention(site, source, link)
    work(site)
    approve(site)
    for days in (1, 6, 23):
        site.clock.advance(days=days, minutes=1)
        blog.asked.clear()
        work(site)
        assert len(blog.asked) == 1
    assert standing(site) == ("approved", None)
    assert only(site)["findings"] == []


def test_rechecks_use_the_received_address(site: Host, blog: Blog) -> None:
    site.moderate.article_finder(lambda url: site.articles["thaw"] if url.endswith("/redirected") else None)
    target = "http://localhost/redirected"
    webmention(site, blog.write("/1", linking(target)), target)
    work(site)
    approve(site)
    # A finder that has forgotten an old address: the link on the page is what it was.
    site.moderate.article_finder(lambda _: None)
    for _ in range(3):
        site.clock.advance(days=15)
        work(site)
    assert standing(site) == ("approved", None)


def test_a_ping_repeated_for_another_address_is_verified_by_that_address(
    site: Host, blog: Blog, found: list[str]
) -> None:
    source = blog.write("/1", linking(f"{HOME}/one"))
    webmention(site, source, f"{HOME}/one")
    work(site)
    approve(site)
    blog.write("/1", linking("https://sho.rt/one"))
    site.clock.advance(minutes=11)
    webmention(site, source, "https://sho.rt/one")
    work(site)
    assert standing(site) == ("approved", None)
    assert not any(finding["check"] == "link" for finding in only(site)["findings"])


def in_requests(site: Host) -> Callable[[str], Any]:
    """Return a finder that uses the host of the current request."""

    def find(url: str) -> Any:
        parts = urlsplit(url)
        return site.articles.get(parts.path.strip("/")) if parts.netloc == request.host else None

    return find


def test_a_finder_that_needs_a_request_does_not_turn_a_genuine_ping_into_spam(
    site: Host, blog: Blog, caplog: pytest.LogCaptureFixture
) -> None:
    site.moderate.article_finder(in_requests(site))
    target = "http://localhost/thaw/"
    webmention(site, blog.write("/1", linking("https://other.example/", target)), target)
    work(site)
    assert standing(site) == ("pending", "moderator")


def test_a_failing_finder_holds_pings_with_a_reason_instead_of_marking_spam(
    site: Host, blog: Blog, caplog: pytest.LogCaptureFixture
) -> None:
    site.moderate.article_finder(in_requests(site))
    webmention(
        site, blog.write("/1", linking("https://other.example/", "https://third.example/")), "http://localhost/thaw"
    )
    work(site)
    assert standing(site) == ("pending", "checks")
    assert "the article finder of this site failed" in only(site)["findings"][-1]["reason"]
    (line,) = [record.getMessage() for record in caplog.records if "article_finder" in record.getMessage()]
    assert "outside of a request" in line


def test_a_finder_that_aborts_for_unknown_addresses_has_not_failed(site: Host, blog: Blog) -> None:
    """As one that goes by Werkzeug's routing or Flask-SQLAlchemy's `first_or_404` does."""
    site.moderate.article_finder(lambda url: site.articles.get(urlsplit(url).path.strip("/")) or abort(404))
    webmention(site, blog.write("/1", linking("https://other.example/", "https://third.example/")), f"{HOME}/thaw")
    work(site)
    assert standing(site) == ("spam", None)


def test_the_finder_is_called_a_limited_number_of_times_for_a_page_of_many_links(
    site: Host, blog: Blog, found: list[str]
) -> None:
    links = [f"https://farm{number}.example/" for number in range(3000)]
    own = [f"{HOME}/{number}" for number in range(3000)]
    webmention(site, blog.write("/1", linking(*links, *own)), f"{HOME}/one")
    found.clear()
    work(site)
    assert standing(site) == ("spam", None)
    assert len(found) == 1200
    # The address that was received needs no asking, wherever it stands.
    webmention(site, blog.write("/2", linking(*links, *own, f"{HOME}/one/")), f"{HOME}/one/")
    work(site)
    newest = site.client.get("/discuss/moderation/items?limit=1", headers=site.token()).json["items"][0]
    assert (newest["status"], newest["awaiting"]) == ("pending", "moderator")


# --- the words of the page --------------------------------------------------------------------------

NOTE = """<title>On ice</title><article class=h-entry><h1 class=p-name>Two winters</h1><div class=e-content>
<p>First line<br>
  second line, a &lt; b</p>
<p>Next paragraph with <a href="/more?a=1&amp;b=2">a link</a> to <a href="{target}">the article</a>,
<a href="javascript:alert(1)">no link</a> and <b onclick=x>bold</b> words.</p><script>alert(2)</script>
<pre><code>def f():
    return 1</code></pre></div></article>"""


@pytest.mark.parametrize("ping", [webmention, pingback])
@pytest.mark.parametrize("markup", ["html", "markdown", "text"])
def test_the_text_of_a_page_keeps_its_structure(blog: Blog, ping: Any, markup: str, tmp_path: Path) -> None:
    site = a_site(tmp_path, blog, MODERATE_MARKUP=markup)
    source = blog.write("/1", NOTE.format(target="http://localhost/thaw"))
    ping(site, source)
    work(site)
    item = only(site)
    rel = 'rel="nofollow ugc noopener"'
    more = source.removesuffix("/1") + "/more?a=1&amp;b=2"
    assert item["html"].replace("\n", "") == (
        "<p>First line<br>second line, a &lt; b</p>"
        f'<p>Next paragraph with <a href="{more}" {rel}>a link</a> to '
        f'<a href="http://localhost/thaw" {rel}>the article</a>, no link and <b>bold</b> words.</p>'
        "<pre><code>def f():    return 1</code></pre>"
    )
    assert item["text"].startswith("First line\nsecond line, a < b\n\nNext paragraph with a link")
    approve(site)
    assert "<pre><code>def f():\n    return 1</code></pre>" in site.client.get("/thaw").text


def test_a_long_page_is_cut_outside_of_tags_and_limited_in_height(site: Host, blog: Blog) -> None:
    lines = "".join(f"<p>{number} <b>bold <i>and more" for number in range(400))
    body = f"<article class=h-entry><div class=e-content><a href='http://localhost/thaw'>x</a>{lines}</div></article>"
    webmention(site, blog.write("/1", body))
    work(site)
    html = only(site)["html"]
    assert html.count("<b>") == html.count("</b>") > 0
    assert html.count("<p>") < 30
    assert "..." in html


def test_a_page_of_long_addresses_makes_no_long_text(site: Host, blog: Blog) -> None:
    links = "".join(f"<a href='http://blog.example/{number}{'p' * 400}'>x</a> " for number in range(100))
    target = "<a href='http://localhost/thaw'>the article</a>"
    webmention(site, blog.write("/1", f"<article class=h-entry><div class=e-content>{target} {links}</div></article>"))
    work(site)
    html = only(site)["html"]
    assert "the article</a>" in html
    assert html.count("<a ") > 1
    assert len(html) < 3000


def test_a_recheck_of_an_unchanged_page_keeps_the_version(site: Host, blog: Blog) -> None:
    webmention(site, blog.write("/1", NOTE.format(target="http://localhost/thaw")))
    work(site)
    approve(site)
    version = only(site)["version"]
    site.clock.advance(days=1, minutes=1)
    work(site)
    assert only(site)["version"] == version


def test_a_page_with_a_wrong_charset_in_its_header_is_decoded_correctly(site: Host, blog: Blog) -> None:
    body = "<title>Grüße & Café</title><p>Ein <a href='http://localhost/thaw'>schöner Gruß</a>".encode("cp1252")
    webmention(site, blog.write("/1", body, kind="text/html; charset=utf-8"))
    work(site)
    item = only(site)
    assert item["title"] == "Grüße & Café"
    assert "schöner Gruß" in item["html"]
