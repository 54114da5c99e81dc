"""The caching headers of each response: no cache gives one reader what only another may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import make_response, render_template_string, request, stream_template_string
from flask_caching import Cache

from moderate import Author

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sites import Host

FORM = {"author": "Mika", "text": "Hello from a form"}
PING = {"url": "https://blog.example/1"}
#: Method, path below the prefix, and the body.
KEPT_BY_NOBODY = [
    ("POST", "/comments/thaw", {"json": {"author": "Mika", "text": "Hello"}}),
    ("POST", "/comments/thaw", {"data": FORM}),
    ("POST", "/comments/thaw", {"data": {}}),
    ("POST", "/preview", {"json": {"text": "Hello"}}),
    ("POST", "/trackback/thaw", {"data": PING}),
    ("GET", "/trackback/thaw", {}),
    ("GET", "/trackback/thaw?__mode=rss", {}),
    ("GET", "/trackback/nowhere", {}),
    ("POST", "/pingback", {"data": "<x/>"}),
    ("GET", "/pingback", {}),
    ("POST", "/webmention", {"data": {}}),
    ("GET", "/webmention", {}),
    ("GET", "/health", {}),
    ("GET", "/nowhere", {}),
    ("PUT", "/counts", {}),
    ("GET", "/moderation/", {}),
    ("GET", "/moderation/items", {}),
    ("DELETE", "/items/1", {}),
    ("OPTIONS", "/items/1", {}),
]
ASKED_FOR_AGAIN = ["/comments/thaw", "/items/1", "/counts?article=thaw", "/feed", "/feed/thaw", "/openapi.json"]


@pytest.mark.parametrize(("method", "path", "sent"), KEPT_BY_NOBODY, ids=lambda value: str(value)[:40])
def test_momentary_responses_are_stored_by_no_cache(
    host: Host, method: str, path: str, sent: dict[str, object]
) -> None:
    answer = host.client.open(f"/discuss{path}", method=method, **sent)  # type: ignore[arg-type]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


@pytest.mark.parametrize("path", ASKED_FOR_AGAIN)
def test_public_responses_are_stored_and_revalidated(host: Host, path: str) -> None:
    host.comment()
    host.decide(1, "approve")
    reader = host.app.test_client()
    first = reader.get(f"/discuss{path}")
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-cache")
    again = reader.get(f"/discuss{path}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert (again.headers["Cache-Control"], again.headers.get("Vary")) == ("no-cache", first.headers.get("Vary"))


@pytest.mark.parametrize("path", ["/comments/thaw", "/items/1"])
def test_pending_items_are_cached_only_for_their_author(host: Host, path: str) -> None:
    host.comment()
    answer = host.client.get(f"/discuss{path}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Cookie" in answer.headers["Vary"]


# --- caches inside the host, which look neither at cookies nor at Cache-Control ----------------------------


def by_flask_caching(host: Host, **how: Any) -> None:
    cache = Cache(host.app, config={"CACHE_TYPE": "SimpleCache"})
    host.app.view_functions["article"] = cache.cached(timeout=60, **how)(host.page)


def by_a_block_of_the_template(host: Host) -> None:
    Cache(host.app, config={"CACHE_TYPE": "SimpleCache"})
    block = "{% cache 60, 'thread' %}{{ moderate_thread(key) }}{% endcache %}"
    host.app.view_functions["article"] = lambda key: render_template_string(block, key=key)


def by_a_dictionary_of_responses(host: Host) -> None:
    kept: dict[str, Any] = {}

    def view(key: str) -> Any:
        if request.path not in kept:
            kept[request.path] = make_response(*host.page(key))
        return kept[request.path]

    host.app.view_functions["article"] = view


CACHES = [by_flask_caching, by_a_block_of_the_template, by_a_dictionary_of_responses]


@pytest.mark.parametrize("cache", CACHES)
def test_a_cached_page_holds_nothing_of_its_first_reader(host: Host, cache: Callable[[Host], None]) -> None:
    cache(host)
    host.author = Author("Aino", id="7")
    landing = host.client.post("/discuss/comments/thaw", data=FORM).headers["Location"]
    first = host.client.get(landing)
    # The reader who fills the cache still sees their own comment and name.
    assert "Hello from a form" in first.text
    assert "is waiting for a moderator" in first.text
    assert "You comment as" in first.text
    assert first.headers["Cache-Control"] == "private"
    host.author = None
    stranger = host.app.test_client().get("/thaw")
    assert "Hello from a form" not in stranger.text
    assert "is waiting" not in stranger.text
    assert "Aino" not in stranger.text
    assert "moderate-form" in stranger.text
    assert "Cache-Control" not in stranger.headers


@pytest.mark.parametrize(
    ("address", "cookie", "is_personal"),
    [
        ("/thaw", "", False),
        ("/thaw", "moderate_own=x", True),
        ("/thaw", "moderate_confirmed=x", True),
        ("/thaw?moderate_sent=x", "", True),
    ],
)
def test_a_page_is_personal_by_its_cookies_or_its_address(
    host: Host, address: str, cookie: str, is_personal: bool
) -> None:
    with host.app.test_request_context(address, headers={"Cookie": cookie}):
        assert host.moderate.is_personal() is is_personal


@pytest.mark.parametrize("client", [{"use_cookies": True}, {"use_cookies": False}])
def test_a_cache_that_checks_for_personal_pages_shows_authors_their_pending_items(
    host: Host, client: dict[str, bool]
) -> None:
    by_flask_caching(host, unless=host.moderate.is_personal, query_string=True)
    stranger = host.app.test_client()
    before = stranger.get("/thaw").text
    author = host.app.test_client(**client)
    landing = author.post("/discuss/comments/thaw", data=FORM).headers["Location"]
    assert "is waiting for a moderator" in author.get(landing).text
    assert ("is waiting for a moderator" in author.get("/thaw").text) is client["use_cookies"]
    assert stranger.get("/thaw").text == before


def test_a_streamed_page_shows_pending_items_to_their_author(host: Host) -> None:
    source = "{{ moderate_thread(key) }}"
    host.app.view_functions["article"] = lambda key: stream_template_string(source, key=key)
    landing = host.client.post("/discuss/comments/thaw", data=FORM).headers["Location"]
    assert "is waiting for a moderator" in host.client.get(landing).text
    assert "is waiting for a moderator" in host.client.get("/thaw").text
    assert "is waiting for a moderator" not in host.app.test_client().get("/thaw").text


def by_the_view(host: Host, fields: dict[str, str]) -> None:
    host.app.view_functions["article"] = lambda key: make_response(host.page(key)[0], fields)


def by_the_app(host: Host, fields: dict[str, str]) -> None:
    host.app.after_request(lambda response: response.headers.update(fields) or response)


def by_a_streamed_page(host: Host, fields: dict[str, str]) -> None:
    source = "{{ moderate_thread(key) }}"
    host.app.view_functions["article"] = lambda key: (stream_template_string(source, key=key), fields)


@pytest.mark.parametrize("said", [by_the_view, by_the_app, by_a_streamed_page])
@pytest.mark.parametrize("client", [{"use_cookies": True}, {"use_cookies": False}])
def test_no_shared_cache_stores_pending_items_whatever_the_host_sets(
    host: Host, said: Callable[[Host, dict[str, str]], None], client: dict[str, bool]
) -> None:
    """Varnish, nginx and CDNs put some of these fields above Cache-Control."""
    public = {
        "Cache-Control": "public, max-age=60, s-maxage=600",
        "CDN-Cache-Control": "max-age=600",
        "Surrogate-Control": "max-age=600",
        "X-Accel-Expires": "600",
    }
    said(host, public)
    author = host.app.test_client(**client)
    own = author.get(author.post("/discuss/comments/thaw", data=FORM).headers["Location"])
    assert "is waiting for a moderator" in own.text
    assert {directive.strip() for directive in own.headers["Cache-Control"].split(",")} == {"private", "max-age=60"}
    assert own.headers.keys() & public.keys() == {"Cache-Control"}
    stranger = host.app.test_client().get("/thaw")
    assert public.items() <= dict(stranger.headers).items()


def test_a_page_with_personal_content_is_never_answered_by_304(host: Host) -> None:
    """A host that tags what its view returns, as Flask's documentation shows it."""

    def view(key: str) -> Any:
        response = make_response(*host.page(key))
        response.set_etag("of the article")
        return response.make_conditional(request)

    host.app.view_functions["article"] = view
    conditional = {"If-None-Match": host.client.get("/thaw").headers["ETag"]}
    assert host.client.get("/thaw", headers=conditional).status_code == 304
    host.client.post("/discuss/comments/thaw", data=FORM)
    own = host.client.get("/thaw", headers=conditional)
    assert (own.status_code, "is waiting for a moderator" in own.text, "ETag" in own.headers) == (200, True, False)


def test_the_host_controls_the_caching_of_its_own_pages(host: Host) -> None:
    assert "Cache-Control" not in host.client.get("/thaw").headers
    style = host.client.get("/discuss/static/moderate.css")
    assert style.headers["Cache-Control"] == "no-cache"
    style.close()
