"""The receiver tests of webmention.rocks, rebuilt on this machine: receive, update, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.blogs import Blog
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def blog() -> Iterator[Blog]:
    with Blog() as blog:
        yield blog


@pytest.fixture
def site(tmp_path: Path, blog: Blog) -> Host:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_FETCH_ALLOW=["127.0.0.0/8"], MODERATE_FETCH_PORTS=[blog.port])
    for key in ("part-1", "part-2"):
        host.add_article(key)
        host.client.get(f"/{key}")
    return host


def send(site: Host, source: str, target: str) -> Any:
    return site.client.post("/discuss/webmention", data={"source": source, "target": target})


def work(site: Host) -> None:
    site.clock.advance(minutes=11)
    site.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])


def approve_all(site: Host) -> None:
    for item in site.client.get("/discuss/moderation/items?status=pending", headers=site.token()).json["items"]:
        site.decide(item["id"], "approve", item["version"])


def shown(site: Host, key: str) -> list[str]:
    return [item["html"] for item in site.client.get(f"/discuss/comments/{key}").json["items"]]


def linking_to(*keys: str, words: str = "First words") -> str:
    links = " ".join(f'<a href="http://localhost/{key}">{key}</a>' for key in keys)
    return f'<div class="h-entry"><p class="p-summary">{words}</p> {links}</div>'


def test_receiver_1_a_valid_mention_gets_201_and_a_readable_status(site: Host, blog: Blog) -> None:
    answer = send(site, blog.write("/1", linking_to("part-1")), "http://localhost/part-1")
    assert answer.status_code == 201
    location = answer.headers["Location"]
    assert site.client.get(location).json["status"] == "queued"
    work(site)
    assert site.client.get(location).json["status"] == "pending"
    approve_all(site)
    assert site.client.get(location).json["status"] == "success"
    assert shown(site, "part-1") == ["<p>First words</p>"]


@pytest.mark.parametrize(
    ("source", "target"),
    [("garbage", "http://localhost/part-1"), ("http://blog.example/1", "garbage"), ("garbage", "rubbish"), ("", "")],
)
def test_receiver_2_an_invalid_request_gets_400(site: Host, source: str, target: str) -> None:
    assert send(site, source, target).status_code == 400
    assert site.total() == 0


def test_an_unknown_status_address_is_not_found(site: Host) -> None:
    assert site.client.get("/discuss/webmention/made-up-token").status_code == 404


def test_update_1_a_link_added_later_is_a_separate_mention(site: Host, blog: Blog) -> None:
    source = blog.write("/1", linking_to("part-1"))
    send(site, source, "http://localhost/part-1")
    work(site)
    approve_all(site)
    blog.write("/1", linking_to("part-1", "part-2", words="Second words"))
    send(site, source, "http://localhost/part-2")
    send(site, source, "http://localhost/part-1")
    work(site)
    work(site)
    approve_all(site)
    assert shown(site, "part-2") == ["<p>Second words</p>"]
    assert site.counts("part-1")["trackbacks"] == site.counts("part-2")["trackbacks"] == 1


def test_update_2_a_removed_link_removes_only_its_own_mention(site: Host, blog: Blog) -> None:
    source = blog.write("/1", linking_to("part-1", "part-2"))
    for key in ("part-1", "part-2"):
        send(site, source, f"http://localhost/{key}")
    work(site)
    work(site)
    approve_all(site)
    blog.write("/1", linking_to("part-1"))
    for key in ("part-1", "part-2"):
        send(site, source, f"http://localhost/{key}")
    work(site)
    work(site)
    assert site.counts("part-2")["trackbacks"] == 1
    # A page may be a notice of maintenance for a moment, so it is read twice.
    site.clock.advance(hours=6)
    work(site)
    assert site.counts("part-1")["trackbacks"] == 1
    assert site.counts("part-2")["trackbacks"] == 0


@pytest.mark.parametrize("status", [410, 200])
def test_delete_1_a_deleted_page_removes_its_mention(site: Host, blog: Blog, status: int) -> None:
    source = blog.write("/1", linking_to("part-1"))
    location = send(site, source, "http://localhost/part-1").headers["Location"]
    work(site)
    approve_all(site)
    meta = '<meta http-equiv="Status" content="410 Gone">' + linking_to("part-1")
    blog.write("/1", "" if status == 410 else meta, status=status)
    send(site, source, "http://localhost/part-1")
    work(site)
    assert site.counts("part-1")["trackbacks"] == 0
    assert site.client.get(location).json["status"] == "deleted"


def test_a_page_cannot_mention_itself(site: Host) -> None:
    site.add_article("part-1", aliases=("http://localhost/old",))
    assert send(site, "http://localhost/part-1#x", "http://localhost/part-1").status_code == 400
    tracked = site.client.post("/discuss/trackback/part-1", data={"url": "http://localhost/old"})
    assert b"<error>1</error>" in tracked.data
    assert site.total() == 0


def test_a_title_that_mentions_a_tag_keeps_it_through_verification(site: Host, blog: Blog) -> None:
    source = blog.write("/1", linking_to("part-1"))
    sent = {"url": source, "title": "How to use &lt;b&gt;", "blog_name": "Tags &amp;amp; co"}
    site.client.post("/discuss/trackback/part-1", data=sent)
    before = site.client.get("/discuss/moderation/items", headers=site.token()).json["items"][0]
    work(site)
    after = site.client.get("/discuss/moderation/items", headers=site.token()).json["items"][0]
    assert after["awaiting"] == "moderator"
    assert (after["title"], after["blog_name"]) == (before["title"], before["blog_name"])
    assert after["title"] == "How to use <b>"
