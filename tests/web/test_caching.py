"""What each answer says to caches: nothing that one reader may see reaches another through one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
def test_what_is_for_one_moment_is_kept_by_nobody(host: Host, method: str, path: str, sent: dict[str, object]) -> None:
    answer = host.client.open(f"/discuss{path}", method=method, **sent)  # type: ignore[arg-type]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


@pytest.mark.parametrize("path", ASKED_FOR_AGAIN)
def test_what_everybody_may_see_is_kept_but_asked_for_again(host: Host, path: str) -> None:
    host.comment()
    host.decide(1, "approve")
    reader = host.app.test_client()
    first = reader.get(f"/discuss{path}")
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-cache")
    again = reader.get(f"/discuss{path}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert (again.headers["Cache-Control"], again.headers.get("Vary")) == ("no-cache", first.headers.get("Vary"))


@pytest.mark.parametrize("path", ["/comments/thaw", "/items/1"])
def test_what_waits_is_kept_by_its_author_alone(host: Host, path: str) -> None:
    host.comment()
    answer = host.client.get(f"/discuss{path}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Cookie" in answer.headers["Vary"]


def test_the_host_decides_about_its_own_pages(host: Host) -> None:
    assert "Cache-Control" not in host.client.get("/thaw").headers
    style = host.client.get("/discuss/static/moderate.css")
    assert style.headers["Cache-Control"] == "no-cache"
    style.close()
