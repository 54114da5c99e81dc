"""Atom feeds of what is approved, read by an XML parser as readers' programs do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

A = "{http://www.w3.org/2005/Atom}"
HOSTILE = "</content>]]><script>alert(1)</script>&amp;<b>bold</b> \u202e"


def feed(host: Host, path: str = "/discuss/feed/thaw") -> ET.Element:
    answer = host.client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/atom+xml")
    return ET.fromstring(answer.data)


def approved(host: Host, text: str = "The river froze twice.", **fields: Any) -> int:
    number: int = host.comment(text, **fields).json["id"]
    assert host.decide(number, "approve").status_code == 200
    return number


def links(root: ET.Element) -> list[str | None]:
    """Return the addresses that the entries link to."""
    found = root.findall(f"{A}entry/{A}link")
    return [link.get("href") for link in found if link.get("rel") == "alternate"]


def ids(root: ET.Element) -> list[str | None]:
    return [root.findtext(f"{A}id"), *texts(root, f"{A}entry/{A}id")]


def texts(element: ET.Element, path: str) -> list[str | None]:
    return [found.text for found in element.findall(path)]


def test_a_feed_has_exactly_the_approved_items(host: Host) -> None:
    host.add_article("frost")
    shown, other = approved(host), approved(host, "About the frost", article="frost")
    host.comment("Still waiting")
    host.decide(host.comment("Bad words").json["id"], "spam")
    assert links(feed(host)) == [f"http://localhost/thaw?moderate_at={shown}#comment-{shown}"]
    assert links(feed(host, "/discuss/feed")) == [
        f"http://localhost/frost?moderate_at={other}#comment-{other}",
        f"http://localhost/thaw?moderate_at={shown}#comment-{shown}",
    ]


def test_ids_are_independent_of_scheme_host_and_addresses(tmp_path: Path) -> None:
    old = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="http://news.example")
    old.add_article("thaw", url="http://news.example/thaw")
    approved(old)
    approved(old, "Another")
    paths = ("/discuss/feed/thaw", "/discuss/feed")
    before = [ids(feed(old, path)) for path in paths]
    # Entries are the same in both feeds, and no two things share an id.
    assert before[0][1:] == before[1][1:]
    assert len({*before[0], *before[1]}) == 4
    moved = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://www.news.example/paper")
    moved.app.secret_key = "another secret"
    moved.add_article("thaw", url="https://www.news.example/paper/2026/thaw?from=feed#top")
    moved.client.get("/thaw")
    assert [ids(feed(moved, path)) for path in paths] == before
    assert links(feed(moved))[1] == "https://www.news.example/paper/2026/thaw?from=feed&moderate_at=1#comment-1"


def test_ids_of_two_sites_differ(tmp_path: Path) -> None:
    hosts = [Host(tmp_path / name) for name in ("here", "there")]
    for host in hosts:
        approved(host)
    here, there = (ids(feed(host)) for host in hosts)
    assert not set(here) & set(there)


def test_a_feed_is_ordered_by_time_of_publication(host: Host) -> None:
    """A comment that is approved long after later ones were comes first, and says that it has changed."""
    late = host.comment("Written first.").json["id"]
    numbers = [approved(host, f"Number {number}.") for number in range(3)]
    tag = host.client.get("/discuss/feed").headers["ETag"]
    host.clock.advance(days=200)
    host.decide(late, "approve")
    for path in ("/discuss/feed", "/discuss/feed/thaw"):
        root = feed(host, path)
        assert [link and int(link.rpartition("-")[2]) for link in links(root)] == [late, *reversed(numbers)]
        assert root.findtext(f"{A}updated") == root.findtext(f"{A}entry/{A}updated") == "2026-08-01T20:22:00.000000Z"
        assert root.findtext(f"{A}entry/{A}published") == "2026-01-13T20:22:00.000000Z"
    assert host.client.get("/discuss/feed", headers={"If-None-Match": tag}).status_code == 200


def test_a_feed_lists_the_latest_publications_even_after_many_new_items(host: Host) -> None:
    late = host.comment("Written first.").json["id"]
    for number in range(55):
        approved(host, f"Number {number}.")
    host.clock.advance(hours=1)
    host.decide(late, "approve")
    assert len(links(feed(host))) == 50
    assert links(feed(host))[0] == f"http://localhost/thaw?moderate_at={late}#comment-{late}"


def test_a_feed_has_all_required_elements(host: Host) -> None:
    approved(host, url="https://mika.example/")
    root = feed(host)
    assert root.tag == f"{A}feed"
    for name in ("id", "title", "updated"):
        assert texts(root, f"{A}{name}")[0]
        assert texts(root, f"{A}entry/{A}{name}")[0]
    assert root.findtext(f"{A}id", "").startswith("urn:uuid:")
    links = {link.get("rel"): link.get("href") for link in root.findall(f"{A}link")}
    assert links == {"self": "http://localhost/discuss/feed/thaw", "alternate": "http://localhost/thaw"}
    entry = root.find(f"{A}entry")
    assert entry is not None
    assert entry.findtext(f"{A}author/{A}name") == "Mika"
    assert entry.findtext(f"{A}author/{A}uri") == "https://mika.example/"
    assert entry.findtext(f"{A}content") == "<p>The river froze twice.</p>"
    assert entry.findtext(f"{A}updated") == "2026-01-13T20:22:00.000000Z"


def test_an_empty_feed_is_valid(host: Host) -> None:
    assert texts(feed(host), f"{A}entry") == []
    assert feed(host).findtext(f"{A}updated") == "1970-01-01T00:00:00Z"


def test_hostile_text_is_escaped(host: Host) -> None:
    host.add_article("<&>", title="</title>\x0b<script>")
    approved(host, HOSTILE, article="<&>", author="</name><script>")
    root = feed(host, "/discuss/feed/%3C%26%3E")
    assert [found.tag for found in root.iter() if "script" in found.tag] == []
    content = root.find(f"{A}entry/{A}content")
    assert content is not None
    assert content.get("type") == "html"
    assert "<script" not in (content.text or "")
    assert root.findtext(f"{A}entry/{A}author/{A}name") == "</name><script>"
    assert "</title><script>" in (root.findtext(f"{A}title") or "")


def test_a_ping_links_to_its_source(host: Host) -> None:
    with host.app.app_context():
        item = host.moderate.submit(
            "thaw", "About ice", kind="trackback", source_url="https://blog.example/1?a&b", title="Ice"
        ).item
    host.decide(item.id, "approve", item.version)
    entry = feed(host).find(f"{A}entry")
    assert entry is not None
    assert entry.findtext(f"{A}title") == "Ice"
    assert [link.get("href") for link in entry.findall(f"{A}link") if link.get("rel") == "related"] == [
        "https://blog.example/1?a&b"
    ]


def test_an_unchanged_feed_gets_304(host: Host) -> None:
    approved(host)
    tag = host.client.get("/discuss/feed").headers["ETag"]
    again = host.client.get("/discuss/feed", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    approved(host, "Another one")
    assert host.client.get("/discuss/feed", headers={"If-None-Match": tag}).status_code == 200


def test_the_feed_of_an_unknown_article_is_not_found(host: Host) -> None:
    assert host.client.get("/discuss/feed/nowhere").json["code"] == "unknown-article"


def test_addresses_in_a_feed_do_not_come_from_the_host_field(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    answer = host.client.get("/discuss/feed", headers={"Host": "evil.example"})
    assert "evil.example" not in answer.text
    assert "https://news.example/discuss/feed" in answer.text


@pytest.mark.parametrize("below", ["/paper", ""])
@pytest.mark.parametrize("config", [{}, {"MODERATE_SITE_URL": "https://news.example/paper"}])
def test_absolute_addresses_include_the_sub_path(tmp_path: Path, config: dict[str, str], below: str) -> None:
    """With the path in the setting also behind a proxy that strips it; without, as SCRIPT_NAME has it."""
    host = Host(tmp_path, **{"MODERATE_LIMITS": {}, "MODERATE_SITE_URL": "https://news.example", **config})
    environ = {"environ_overrides": {"SCRIPT_NAME": below}}
    site = f"https://news.example{'/paper' if config else below}"
    feed = host.client.get("/discuss/feed", **environ).text
    assert f'rel="self" type="application/atom+xml" href="{site}/discuss/feed"' in feed
    assert f'rel="alternate" type="text/html" href="{site}/"' in feed
    page = host.client.get("/thaw", **environ)
    assert page.headers["X-Pingback"] == f"{site}/discuss/pingback"
    assert f'href="{site}/discuss/feed/thaw"' in page.text
    form = {"source": "https://blog.example/post", "target": "https://news.example/thaw"}
    mentioned = host.client.post("/discuss/webmention", data=form, **environ)
    assert mentioned.headers["Location"].startswith(f"{site}/discuss/webmention/")


@pytest.mark.parametrize("changes", [{}, {"pings_open": False}])
def test_an_article_page_announces_its_feed(host: Host, changes: dict[str, bool]) -> None:
    host.add_article("thaw", **changes)
    page = host.client.get("/thaw").text
    link = (
        '<link rel="alternate" type="application/atom+xml" title="Comments" href="http://localhost/discuss/feed/thaw">'
    )
    assert link in page
    assert page.index(link) > page.find('rel="trackback"')
    assert page.index(link) < page.index("</head>")


@pytest.mark.parametrize("key", ["/2024/01/thaw", "a//b", "a/", "雪 解け?#"])
def test_a_key_may_be_a_path_and_any_text(host: Host, key: str) -> None:
    host.add_article(key, url="http://localhost/thaw")
    with host.app.test_request_context():
        from flask import url_for

        paths = [url_for(f"moderate.{name}", article=key) for name in ("comment", "feed_of_article", "trackback")]
    assert host.client.post(paths[0], json={"author": "Mika", "text": "Hello"}).status_code == 202
    assert [host.client.get(path).status_code for path in paths] == [200, 200, 302]
