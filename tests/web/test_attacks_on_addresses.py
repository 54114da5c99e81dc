"""Attacks by addresses: a forged Host field, pages that redirect, pings in the name of a trusted blog."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from flask import url_for

from moderate import Article
from tests.blogs import Blog
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORGED = {"Host": "evil.example"}
LINK = "<title>On ice</title><p>See <a href='http://localhost/thaw'>the thaw</a>, and well.</p>"


@pytest.fixture
def blog() -> Iterator[Blog]:
    with Blog() as blog:
        yield blog


@contextmanager
def redirecting(address: str, target: str) -> Iterator[str]:
    """A server on a loopback address that sends everybody on; yields its own address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}/go"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def naive(folder: Path, **config: Any) -> Host:
    """A site whose loader makes addresses of the request's own Host field."""
    host = Host(folder, MODERATE_LIMITS={}, **config)
    host.moderate.article_loader(lambda key: Article(key, "About ice", url_for("article", key=key, _external=True)))
    return host


def stored(host: Host) -> str:
    found: Any = host.client.get("/discuss/moderation/items", headers=host.token()).json
    return str(found["items"][0]["article_url"])


# --- the Host field -----------------------------------------------------------------------------------


def test_a_forged_host_field_gets_into_no_stored_address(tmp_path: Path) -> None:
    host = naive(tmp_path, MODERATE_SITE_URL="https://news.example")
    sent = host.client.post("/discuss/comments/thaw", json={"author": "M", "text": "Hi."}, headers=FORGED)
    assert sent.status_code == 202
    assert stored(host) == "https://news.example/thaw"
    form = host.client.post("/discuss/comments/thaw", data={"author": "M", "text": "Ho."}, headers=FORGED)
    assert form.headers["Location"].startswith("https://news.example/thaw?")
    host.decide(1, "approve")
    for feed in ("/discuss/feed", "/discuss/feed/thaw"):
        assert "evil.example" not in host.client.get(feed, headers=FORGED).text
    page = host.client.get("/discuss/moderation/?status=", headers={**host.token(), **FORGED}).text
    assert "evil.example" not in page


def test_pages_shown_under_a_forged_host_accept_no_pings_for_it(tmp_path: Path) -> None:
    host = naive(tmp_path, MODERATE_SITE_URL="https://news.example")
    host.client.get("/discuss/comments/thaw", headers=FORGED)
    with host.app.test_request_context(headers=FORGED):
        host.moderate.discovery_headers("thaw")
    mentions = [
        host.client.post("/discuss/webmention", data={"source": "https://blog.example/a", "target": target})
        for target in ("https://evil.example/thaw", "http://evil.example/thaw", "https://news.example/thaw")
    ]
    assert [answer.status_code for answer in mentions] == [400, 400, 201]


def test_an_article_address_at_a_host_chosen_by_the_site_is_kept(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    host.add_article("thaw", url="https://shop.example:8443/thaw?a=1#top", aliases=("http://evil.example/thaw",))
    host.client.post("/discuss/comments/thaw", json={"author": "M", "text": "Hi."}, headers=FORGED)
    assert stored(host) == "https://shop.example:8443/thaw?a=1#top"


def test_an_article_address_at_the_site_keeps_its_scheme_and_port(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example:443")
    host.add_article("thaw", url="http://news.example/thaw")
    host.client.post("/discuss/comments/thaw", json={"author": "M", "text": "Hi."}, headers={"Host": "news.example"})
    assert stored(host) == "http://news.example/thaw"


def test_a_forged_former_host_takes_no_address_from_another_article(tmp_path: Path) -> None:
    """The former site may have had another article at the path that one has now."""
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_SITE_URL="https://news.example")
    host.add_article("thaw", url="https://news.example/1", aliases=("https://old.example/2",))
    host.add_article("frost", url="https://news.example/2")
    for key in ("frost", "thaw"):
        host.client.get(f"/{key}", headers={"Host": "news.example"})
    host.client.get("/thaw", headers={"Host": "old.example"})
    for target in ("https://news.example/2", "https://old.example/2"):
        sent = {"source": "https://blog.example/a", "target": target}
        assert host.client.post("/discuss/webmention", data=sent).status_code == 201
    items = host.client.get("/discuss/moderation/items", headers=host.token()).json["items"]
    assert [item["article"] for item in reversed(items)] == ["frost", "thaw"]


def test_trusted_hosts_of_flask_protect_a_site_without_site_url(tmp_path: Path) -> None:
    host = naive(tmp_path, TRUSTED_HOSTS=["localhost"])
    sent = {"author": "M", "text": "Hi."}
    assert host.client.post("/discuss/comments/thaw", json=sent, headers=FORGED).status_code == 400
    assert host.total() == 0
    assert host.client.post("/discuss/comments/thaw", json=sent).status_code == 202


# --- pages that we are made to read --------------------------------------------------------------------


def reading(folder: Path, *ports: int, **config: Any) -> Host:
    settings = {"MODERATE_FETCH_ALLOW": ["127.0.0.0/8"], "MODERATE_FETCH_PORTS": [80, 443, *ports]}
    return Host(folder, MODERATE_LIMITS={}, **settings, **config)


def ping(host: Host, source: str) -> dict[str, Any]:
    """The item as it stands after the source was read."""
    sent = host.client.post("/discuss/trackback/thaw", data={"url": source, "title": "On ice", "excerpt": "See."})
    assert b"<error>0</error>" in sent.data, sent.data
    host.clock.advance(minutes=11)
    assert host.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"]).exit_code == 0
    found: Any = host.client.get("/discuss/moderation/items", headers=host.token()).json
    first: dict[str, Any] = found["items"][0]
    return first


def reasons(item: dict[str, Any]) -> str:
    return " ".join(finding["reason"] for finding in item["findings"])


def test_a_site_without_site_url_does_not_fetch_its_own_pages(tmp_path: Path, blog: Blog) -> None:
    host = reading(tmp_path, blog.port)
    host.add_article("thaw", url=blog.url("/thaw"))
    blog.write("/other", LINK)
    assert "this site itself" in reasons(ping(host, blog.url("/other")))
    with redirecting("127.0.0.2", blog.url("/other")) as source:
        host = reading(tmp_path, blog.port, int(source.split(":")[2].partition("/")[0]))
        host.add_article("thaw", url=blog.url("/thaw"))
        assert "this site itself" in reasons(ping(host, source))
    assert blog.asked == []


def test_trust_in_a_host_does_not_extend_to_its_redirects(tmp_path: Path, blog: Blog) -> None:
    page = blog.write("/a", LINK)
    with redirecting("127.0.0.2", page) as source:
        port = int(source.split(":")[2].partition("/")[0])
        host = reading(tmp_path, blog.port, port, MODERATE_PREMODERATION="strangers")
        for trusted in ("127.0.0.2", "127.0.0.1"):
            rule = {"kind": "host", "value": trusted, "effect": "trust"}
            assert host.client.post("/discuss/moderation/rules", json=rule, headers=host.token()).status_code == 201
            assert ping(host, source)["status"] == "pending"
            host.client.delete("/discuss/moderation/rules/1", headers=host.token())
        direct = ping(host, page)
        assert direct["status"] == "approved", direct["findings"]


def test_trust_in_a_host_has_no_effect_when_pages_are_not_read(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off", MODERATE_PREMODERATION="strangers")
    rule = {"kind": "host", "value": "blog.example", "effect": "trust"}
    assert host.client.post("/discuss/moderation/rules", json=rule, headers=host.token()).status_code == 201
    assert ping(host, "https://blog.example/claimed")["status"] == "pending"


# --- a blog's good name ---------------------------------------------------------------------------------


def test_pings_in_the_name_of_a_blog_do_not_use_up_its_budget(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={"pings": ["3/hour per source-host"]})

    def pings(client: str, number: int) -> list[bool]:
        sent = [{"url": f"https://blog.example/{client}/{each}", "title": "T"} for each in range(number)]
        place = {"REMOTE_ADDR": client}
        answers = [host.client.post("/discuss/trackback/thaw", data=data, environ_base=place) for data in sent]
        return [b"<error>0</error>" in answer.data for answer in answers]

    assert pings("198.51.100.66", 9) == [True] * 3 + [False] * 6
    assert pings("192.0.2.1", 3) == [True] * 3
