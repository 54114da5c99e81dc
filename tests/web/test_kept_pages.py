"""Article pages whose lists are kept: strangers share them, and see every change at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import ChoiceLoader, DictLoader

from moderate import Author
from moderate.lifecycle import Overrides
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path


def approved(host: Host, text: str) -> int:
    item = int(host.comment(text).json["id"])
    assert host.decide(item, "approve").status_code == 200
    return item


def shown(host: Host, query: str = "") -> str:
    """The page as a stranger gets it."""
    return str(host.app.test_client().get(f"/thaw{query}").text)


def replies(page: str) -> list[str]:
    return re.findall(r'href="([^"]*)#moderate-comment-form" rel="nofollow"', page)


def test_changes_of_another_process_are_visible_to_anonymous_readers_at_once(tmp_path: Path) -> None:
    here, there = Host(tmp_path, MODERATE_LIMITS={}), Host(tmp_path, MODERATE_LIMITS={})
    first = approved(here, "The river froze twice.")
    for _ in range(2):
        assert "froze twice" in shown(here)
    assert len(here.state.listings) == 1
    approved(there, "The ice is gone.")
    assert "ice is gone" in shown(here)
    there.decide(first, "trash", version=2)
    assert "froze twice" not in shown(here)


def test_a_cached_page_equals_a_newly_rendered_one(host: Host) -> None:
    approved(host, "The river froze twice.")
    token = re.compile(r'name="form_token" value="([^"]+)"')
    first, then = shown(host), shown(host)
    assert token.sub("", first) == token.sub("", then)
    assert token.findall(first) != token.findall(then)


def test_pending_comments_of_other_readers_are_not_cached(host: Host) -> None:
    approved(host, "The river froze twice.")
    host.comment("Mine, and waiting.")
    assert "Mine, and waiting" in host.client.get("/thaw").text
    assert "Mine, and waiting" not in shown(host)
    assert "Mine, and waiting" in host.client.get("/thaw").text


def test_reply_links_keep_the_query_of_their_page(host: Host) -> None:
    item = approved(host, "The river froze twice.")
    assert replies(shown(host)) == [f"?moderate_reply={item}"]
    assert replies(shown(host, '?page=2&q=a"<b')) == [f"?page=2&amp;q=a%22%3Cb&amp;moderate_reply={item}"]
    assert len(host.state.listings) == 1
    assert "You are replying to" in shown(host, f"?moderate_reply={item}")
    assert "You are replying to" not in shown(host)


def test_a_closed_article_has_no_reply_links(host: Host) -> None:
    approved(host, "The river froze twice.")
    assert replies(shown(host))
    with host.app.app_context():
        host.state.desk.store.articles.set_overrides("thaw", Overrides(comments_open=False), host.clock.now())
    assert not replies(shown(host))


@pytest.mark.parametrize("name", ["_comment", "thread"])
def test_a_template_of_the_site_is_rendered_for_each_reader(host: Host, name: str) -> None:
    own = "{% macro comments(nodes) %}for {{ request.args.who }}: {{ nodes[0].item.html }}{% endmacro %}"
    if name == "thread":
        own = "for {{ request.args.who }}: {{ nodes[0].item.html }}"
    host.app.jinja_loader = ChoiceLoader([DictLoader({f"moderate/{name}.html": own}), host.app.jinja_loader])
    approved(host, "The river froze twice.")
    for who in ("Mika", "Aino"):
        page = shown(host, f"?who={who}")
        assert f"for {who}: " in page
        assert "froze twice" in page
    assert len(host.state.listings) == 0


def test_the_cached_form_is_shared_by_all_articles_and_posts_to_the_right_one(host: Host) -> None:
    host.add_article("frost")
    pages = [str(host.app.test_client().get(path).text) for path in ("/thaw", "/frost", "/thaw")]
    actions = [re.findall(r'class="moderate-form" method="post" action="([^"]*)"', page) for page in pages]
    assert actions == [["/discuss/comments/thaw"], ["/discuss/comments/frost"], ["/discuss/comments/thaw"]]
    assert len(host.state.forms) == 1


def test_a_form_below_a_prefix_posts_and_previews_there(host: Host) -> None:
    below = {"environ_overrides": {"SCRIPT_NAME": "/blog"}}
    hows: tuple[dict[str, Any], ...] = ({}, below, {}, below)
    pages = [str(host.app.test_client().get("/thaw", **how).text) for how in hows]
    assert [page.count('"/blog/discuss/comments/thaw"') for page in pages] == [0, 1, 0, 1]
    assert [page.count('"/blog/discuss/preview"') for page in pages] == [0, 1, 0, 1]


def test_a_form_of_the_site_is_rendered_for_each_reader(host: Host) -> None:
    own = "for {{ request.args.who }}: {{ form.action }}"
    templates: Any = host.app.jinja_loader
    host.app.jinja_loader = ChoiceLoader([DictLoader({"moderate/_form.html": own}), templates])
    for who in ("Mika", "Aino"):
        assert f"for {who}: /discuss/comments/thaw" in shown(host, f"?who={who}")


def test_a_signed_in_author_sees_their_own_name_and_other_readers_do_not(host: Host) -> None:
    assert "You comment as" not in shown(host)
    host.author = Author(id="7", name="Aino")
    assert "You comment as <b><bdi>Aino</bdi></b>" in shown(host)
    host.author = None
    assert "You comment as" not in shown(host)


def test_an_article_page_reads_the_overrides_of_moderators_once(host: Host) -> None:
    shown(host)
    statements = host.statements()
    shown(host)
    assert sum("comments_open" in statement for statement in statements) == 1
