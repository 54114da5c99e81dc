"""Article pages whose lists are kept: strangers share them, and see every change at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, render_template_string, request, stream_with_context
from jinja2 import ChoiceLoader, DictLoader

from moderate import Author
from moderate.http import answers
from moderate.lifecycle import Overrides
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Request
    from werkzeug.routing import MapAdapter


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


FORMS = [
    {"author": "Mika", "text": "The river froze twice."},
    {"author": "a\"b'c", "email": "{email}", "url": "<u>&amp;", "text": "\r\n<b>{n} & % \\1</textarea>"},
    {"author": "", "text": "", "parent": "1"},
    {"text": "An answer.", "parent": "7<", "form_token": "x"},
    {"author": "A. Gone", "text": "Elsewhere.", "article": "nowhere"},
    {"author": "P. Ure", "text": "Kana", "url": "text.url.message."},
]


@pytest.mark.parametrize("config", [{}, {"MODERATE_LANGUAGE": "ja"}, {"MODERATE_FORM_TOKEN": "off"}])
def test_a_kept_page_of_a_refused_form_equals_one_that_is_rendered(tmp_path: Path, config: dict[str, str]) -> None:
    kept, rendered = (
        Host(tmp_path / name, MODERATE_LIMITS={"comments": ["1/hour per client"]}, **config) for name in ("a", "b")
    )
    # A template of the host is rendered for each request, this one to the same page.
    shipped = Path(answers.FOLDER, "moderate", "_macros.html").read_text("utf-8")
    rendered.app.jinja_loader = DictLoader({"moderate/_macros.html": shipped})  # type: ignore[assignment]
    token = re.compile(r'name="form_token" value="([^"]+)"')
    for host in (kept, rendered):
        host.add_article("thaw", title="Snow & <ice> {title}", url="http://localhost/thaw?a=1&b=2")
        assert host.comment().status_code == 202
    for form in FORMS * 2:
        for path in ("", "/below"):
            pages = [refused(host, form, path) for host in (kept, rendered)]
            assert token.sub("", pages[0]) == token.sub("", pages[1])
            assert len(set(token.findall("".join(pages)))) == (0 if config.get("MODERATE_FORM_TOKEN") else 2)


def refused(host: Host, form: dict[str, str], root: str) -> str:
    article = form.get("article", "thaw")
    answer = host.client.post(f"/discuss/comments/{article}", data=form, base_url=f"http://localhost{root}/")
    assert (answer.status_code, answer.content_type) == (429, "text/html; charset=utf-8")
    assert answer.headers["Retry-After"]
    return str(answer.text)


def test_a_kept_page_has_the_addresses_of_static_files_for_its_request(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"comments": ["1/hour per client"]})
    host.app.url_defaults(lambda _, values: values.update(v=request.values.get("author")))
    host.comment()
    for version in ("one", "two", "one"):
        page = refused(host, {"author": version, "text": "Snow."}, "")
        assert re.findall(r"(?:moderate\.css|thread\.js)\?v=(\w+)", page) == [version, version]


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


def test_a_cached_form_posts_to_the_article_of_its_page(host: Host) -> None:
    host.add_article("frost")
    pages = [str(host.app.test_client().get(path).text) for path in ("/thaw", "/frost", "/thaw")]
    actions = [re.findall(r'class="moderate-form" method="post" action="([^"]*)"', page) for page in pages]
    assert actions == [["/discuss/comments/thaw"], ["/discuss/comments/frost"], ["/discuss/comments/thaw"]]


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


def test_addresses_and_links_are_those_of_the_host_that_was_requested(host: Host) -> None:
    hows = [{"base_url": f"{scheme}://{name}"} for scheme, name in (("http", "a.example"), ("https", "b.example"))]
    pages = [str(host.app.test_client().get("/thaw", **how).text) for how in (*hows, *hows)]
    for how, page in zip((*hows, *hows), pages, strict=True):
        for address in ("/feed/thaw", "/trackback/thaw", "/webmention", "/pingback"):
            assert f'href="{how["base_url"]}/discuss{address}"' in page
        assert f'trackback:ping="{how["base_url"]}/discuss/trackback/thaw"' in page


def test_addresses_of_an_app_that_builds_them_in_its_own_way_are_not_cached(tmp_path: Path) -> None:
    class Tenants(Flask):
        def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
            adapter = super().create_url_adapter(request)
            if adapter is not None and request is not None:
                adapter.script_name = f"/{request.args['tenant']}/"
            return adapter

    host = Host(tmp_path, flask=Tenants)
    for tenant in ("ice", "snow"):
        page = shown(host, f"?tenant={tenant}")
        for address in ("comments/thaw", "trackback/thaw", "feed/thaw", "static/moderate.css"):
            assert f"/{tenant}/discuss/{address}" in page


def test_a_title_that_the_host_has_changed_is_announced_at_once(host: Host) -> None:
    shown(host)
    host.add_article("thaw", title="The thaw, corrected")
    assert 'dc:title="The thaw, corrected"' in shown(host)
    with host.app.app_context():
        host.state.desk.store.articles.set_overrides("thaw", Overrides(pings_open=False), host.clock.now())
    assert "trackback" not in shown(host).partition("<body>")[0]
    assert "rdf:RDF" not in shown(host)


def test_functions_of_the_host_make_the_addresses_of_files_for_each_request(host: Host) -> None:
    @host.app.url_defaults
    def stamp(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint.endswith("static"):
            values["v"] = request.args["v"]

    for version in ("1", "2"):
        page = shown(host, f"?v={version}")
        assert f'"/discuss/static/moderate.css?v={version}"' in page
        assert f'"/discuss/static/thread.js?v={version}"' in page


@pytest.mark.parametrize("name", ["_styles", "_scripts"])
def test_a_link_to_a_file_of_the_site_is_rendered_for_each_reader(host: Host, name: str) -> None:
    own = DictLoader({f"moderate/{name}.html": "for {{ request.args.who }} of {{ counts.comments }}"})
    host.app.jinja_loader = ChoiceLoader([own, host.app.jinja_loader])
    for who in ("Mika", "Aino"):
        assert f"for {who} of 0" in shown(host, f"?who={who}")


# --- what the parts of a page share ------------------------------------------------------------------


def test_a_warm_article_page_costs_one_statement(host: Host) -> None:
    approved(host, "The river froze twice.")
    shown(host)
    statements = host.statements()
    assert "Comment (1)" in shown(host)
    assert len(statements) == 1


def test_a_page_shows_what_its_own_view_has_changed(host: Host) -> None:
    item = host.comment("The river froze twice.").json["id"]

    def approving(key: str) -> str:
        before = host.moderate.counts([key])[key].comments
        host.moderate.decide(item, "approve", version=1, by="mo")
        page = render_template_string("{{ moderate_counts(key).comments }} {{ moderate_thread(key) }}", key=key)
        return f"{before} {page}"

    host.app.view_functions["article"] = approving
    page = shown(host)
    assert page.startswith("0 1 ")
    assert "froze twice" in page


def test_a_streamed_page_shows_what_another_process_has_changed_meanwhile(tmp_path: Path) -> None:
    here, there = Host(tmp_path, MODERATE_LIMITS={}), Host(tmp_path, MODERATE_LIMITS={})

    def numbers() -> Iterator[str]:
        for _ in range(2):
            yield str(here.moderate.counts(["thaw"])["thaw"].comments)
            approved(there, "The river froze twice.")
            here.clock.advance(seconds=1)

    here.app.add_url_rule("/stream", view_func=lambda: Response(stream_with_context(numbers())))
    assert here.app.test_client().get("/stream").text == "01"


def test_the_notice_of_a_waiting_comment_is_not_kept_for_another_author(host: Host) -> None:
    clients, ids = [host.app.test_client(), host.app.test_client()], []
    for client in clients:
        body = {"author": "Mika", "text": f"Waiting, number {len(ids)}."}
        ids.append(client.post("/discuss/comments/thaw", json=body).json["id"])
    for client, mine in zip((*clients, *clients), (*ids, *ids), strict=True):
        assert re.findall(r'<a href="#comment-(\d+)">Your comment', client.get("/thaw").text) == [str(mine)]


def test_what_is_around_the_lists_follows_numbers_replies_and_what_is_open(host: Host) -> None:
    assert "Comments (0)" in shown(host)
    item = approved(host, "One.")
    assert "Comments (1)" in shown(host)
    approved(host, "Two.")
    assert "Comments (2)" in shown(host)
    assert ">Your reply</h2>" in shown(host, f"?moderate_reply={item}")
    assert ">Your comment</h2>" in shown(host)
    with host.app.app_context():
        host.state.desk.store.articles.set_overrides("thaw", Overrides(pings_open=False), host.clock.now())
    assert "Trackbacks (0)" not in shown(host)
