"""A reader, a moderator and another blog at each of the five hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.hosts.conftest import ARTICLES
from tests.hosts.visits import SITE, HostedSite, Visitor
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.blogs import Blog

HOSTS = sorted(ARTICLES)


def editor(site: HostedSite) -> Visitor:
    """A moderator at the queue: by the host's login and its link, or by a sign-in link where it has no login."""
    visitor = site.visitor().open("/")
    if site.log_in is None:
        path = site.run("token", "link", "mori").splitlines()[-1]
        return visitor.open(path).send("sign-in")
    site.log_in(visitor)
    return visitor.open("/").follow("/moderation/")


def approve(site: HostedSite, item: int) -> None:
    queue = editor(site)
    assert queue.answer.status_code == 200
    queue.send(f"/moderation/queue/{item}", "approve")
    assert queue.answer.status_code == 200


@pytest.mark.parametrize("name", HOSTS)
def test_a_comment_waits_is_approved_by_the_hosts_login_answered_and_counted(
    name: str, host: Callable[..., HostedSite]
) -> None:
    site = host(name)
    reader = site.visitor().open(site.path)
    assert "Comment (0) Trackback(0)" in reader.words
    assert reader.preview("With <em>ice</em>.")["html"] == "<p>With <em>ice</em>.</p>"
    reader.send("/comments/", author="Mika", text="It froze twice.")

    assert urlsplit(reader.url).path == site.path
    assert reader.answer.status_code == 200
    assert 'id="comment-1"' in reader.page
    assert "waiting for a moderator" in reader.words
    assert "It froze twice." not in site.visitor().open(site.path).page
    assert site.visitor().open("/discuss/moderation/").answer.status_code == 401

    approve(site, 1)
    stranger = site.visitor().open(site.path)
    assert "It froze twice." in stranger.words
    assert "Comment (1) Trackback(0)" in stranger.words

    stranger.follow("moderate_reply=1").send("/comments/", author="Nao", text="Three times.")
    assert "waiting for a moderator" in stranger.words
    approve(site, 2)
    page = site.visitor().open(site.path)
    assert "Comment (2) Trackback(0)" in page.words
    entries = [{node.get("id") for node in entry.iter()} for entry in page.tree().iter("li")]
    assert any({"comment-1", "comment-2"} <= ids for ids in entries)
    assert "Comment (2) Trackback(0)" in site.visitor().open("/").words


@pytest.mark.parametrize("name", HOSTS)
def test_a_refused_form_keeps_what_was_typed(name: str, host: Callable[..., HostedSite]) -> None:
    site = host(name)
    reader = site.visitor().open(site.path).send("/comments/", author="", text="Without a name.")
    assert reader.answer.status_code == 422
    assert "Without a name." in reader.words
    reader.send("/comments/", author="Mika")
    assert "Without a name." in reader.words
    assert "waiting for a moderator" in reader.words


@pytest.mark.parametrize("name", HOSTS)
def test_a_webmention_from_a_blog_on_another_port_is_verified_approved_and_counted(
    name: str, host: Callable[..., HostedSite], blog: Blog
) -> None:
    site = host(name)
    target = f"{SITE}{site.path}"
    source = blog.write("/on-ice", f'<title>On ice</title><p>Read <a href="{target}">this</a>.</p>')
    link = site.visitor().open(site.path).answer.headers["Link"]
    endpoint = re.search(r'<([^>]+)>; rel="?webmention', link)
    assert endpoint is not None
    answer = site.app.test_client().post(endpoint[1], data={"source": source, "target": target})
    assert answer.status_code == 201
    site.run("worker", "--once")
    assert blog.asked
    approve(site, 1)
    page = site.visitor().open(site.path)
    assert "On ice" in page.words
    assert "Comment (0) Trackback(1)" in page.words
    assert "Comment (0) Trackback(1)" in site.visitor().open("/").words


@pytest.mark.parametrize("name", HOSTS)
def test_check_config_finds_nothing_wrong_with_a_host(name: str, host: Callable[..., HostedSite]) -> None:
    host(name).run("check-config")


#: The one word of a template's line that each site has to write its own way.
OWN_NAMES = re.compile(r"(?:post|entry|page)\.(?:id|slug|path)|(?:session|current_user)\.is_editor")


def documented_lines() -> set[str]:
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return {OWN_NAMES.sub("…", line.strip()) for block in blocks for line in block.splitlines()}


@pytest.mark.parametrize("name", [name for name in HOSTS if name != "documented"])
def test_each_line_that_mounts_moderate_in_a_host_is_in_the_docs(name: str) -> None:
    folder = ROOT / "tests" / "hosts" / name
    source = (folder / "app.py").read_text(encoding="utf-8")
    copied = source.partition("# From docs/embedding.md:\n")[2].partition("# End of the lines")[0]
    assert "moderate = Moderate(" in copied
    mounting = re.compile(r"MODERATE|moderate\.(?:init|include)|from moderate")
    lines = copied.splitlines() + [line for line in source.splitlines() if mounting.search(line)]
    for template in (folder / "templates").glob("*.html"):
        lines += [line for line in template.read_text(encoding="utf-8").splitlines() if "moderate" in line]
    assert {OWN_NAMES.sub("…", line.strip()) for line in lines} - documented_lines() - {""} == set()
