"""Articles that the host shows no more, or not to everybody: nothing of them is public on any address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from flask import abort

from moderate import Author
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from moderate import Article

SECRET = "The treaty is signed."
ATOM = "{http://www.w3.org/2005/Atom}"


def publish(host: Host, article: str, text: str) -> int:
    answer = host.comment(text, article=article)
    assert host.decide(answer.json["id"], "approve").status_code == 200
    number: int = answer.json["id"]
    return number


def entries(host: Host) -> list[str]:
    """The texts of the site feed."""
    answer = host.client.get("/discuss/feed")
    assert answer.status_code == 200
    return [found.text or "" for found in ET.fromstring(answer.data).iter(f"{ATOM}content")]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LIMITS={}, MODERATE_VERIFY_PINGS="off")


@pytest.fixture
def withdrawn(host: Host) -> Host:
    """A host that has withdrawn its article `secret`, on which there is a comment (1) and a ping (2)."""
    host.add_article("secret", title="Embargoed")
    publish(host, "secret", SECRET)
    ping = {"url": "http://blog.example/one", "title": "About the treaty", "blog_name": "A blog", "excerpt": SECRET}
    host.client.post("/discuss/trackback/secret", data=ping)
    host.decide(2, "approve")
    host.secret = host.articles.pop("secret")  # type: ignore[attr-defined]
    return host


@pytest.mark.parametrize(
    "address",
    [
        "/discuss/comments/secret",
        "/discuss/comments/secret?order=newest",
        "/discuss/items/1",
        "/discuss/items/2",
        "/discuss/feed/secret",
        "/discuss/trackback/secret",
        "/discuss/trackback/secret?__mode=rss",
    ],
)
def test_every_address_of_a_withdrawn_article_is_not_found(withdrawn: Host, address: str) -> None:
    for client in (withdrawn.client, withdrawn.app.test_client()):
        answer = client.get(address)
        assert answer.status_code == 404
        assert not any(word in answer.text for word in (SECRET, "Embargoed", "treaty"))


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_wrong_token_does_not_reveal_an_item_of_a_withdrawn_article(withdrawn: Host, method: str) -> None:
    guess = {"edit_token": "made up"} | ({"text": "Changed."} if method == "patch" else {})
    send = getattr(withdrawn.app.test_client(), method)
    answers = [send(f"/discuss/items/{number}", json=guess) for number in (1, 2, 99)]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert len({answer.text for answer in answers}) == 1


def test_every_address_works_again_when_the_article_is_back(withdrawn: Host) -> None:
    withdrawn.add_article("secret")
    for address in ("/discuss/comments/secret", "/discuss/items/1", "/discuss/feed/secret", "/discuss/feed"):
        assert SECRET in withdrawn.client.get(address).text
    assert withdrawn.counts("secret") == {"comments": 1, "trackbacks": 1}


def test_the_counters_of_a_single_withdrawn_article_are_zero(withdrawn: Host) -> None:
    assert withdrawn.counts("secret") == {"comments": 0, "trackbacks": 0}


def test_a_list_of_counters_makes_no_call_to_the_host(host: Host) -> None:
    asked: list[str] = []
    host.moderate.article_loader(lambda key: asked.append(key) or host.articles.get(key))
    host.client.get("/discuss/counts?article=thaw&article=frost")
    assert asked == []
    host.client.get("/discuss/counts?article=thaw&article=thaw")
    assert asked == ["thaw"]


def test_the_feed_of_the_site_leaves_out_a_withdrawn_article(withdrawn: Host) -> None:
    publish(withdrawn, "thaw", "The river froze.")
    assert entries(withdrawn) == ["<p>The river froze.</p>"]
    assert "Embargoed" not in withdrawn.client.get("/discuss/feed").text


def test_the_feed_of_the_site_is_full_despite_many_newer_withdrawn_items(host: Host) -> None:
    host.add_article("secret")
    asked: list[str] = []
    with host.app.app_context():
        for number in range(60):
            host.moderate.submit("thaw", f"Public {number}.", author="Mika")
        for number in range(120):
            host.moderate.submit("secret", f"Secret {number}.", author="Mika")
        for number in range(1, 181):
            host.moderate.decide(number, "approve", version=1, by="mori")
    del host.articles["secret"]
    host.moderate.article_loader(lambda key: asked.append(key) or host.articles.get(key))
    assert entries(host) == [f"<p>Public {number}.</p>" for number in range(59, 9, -1)]
    assert sorted(asked) == ["secret", "thaw"]


@pytest.mark.parametrize("code", [401, 403, 404, 410, 451])
def test_the_feed_of_the_site_skips_an_article_whose_loader_aborts(host: Host, code: int) -> None:
    asked: list[str] = []
    host.add_article("members")
    for number in range(2):
        publish(host, "members", f"For members {number}.")
    publish(host, "thaw", "The river froze.")

    @host.moderate.article_loader
    def load(key: str) -> Article:
        asked.append(key)
        return host.articles[key] if key == "thaw" else abort(code)

    assert entries(host) == ["<p>The river froze.</p>"]
    assert sorted(asked) == ["members", "thaw"]
    # 410 says the same as None.
    assert host.client.get("/discuss/items/1").status_code == (404 if code == 410 else code)


def test_a_feed_for_members_is_not_cached_for_others(host: Host) -> None:
    """The loader may know who asks: what one reader has is never taken for another's copy."""
    host.add_article("members")
    publish(host, "members", "For members.")
    host.moderate.article_loader(lambda key: host.articles[key] if key == "thaw" or host.author else None)
    host.author = Author("Mika")
    assert entries(host) == ["<p>For members.</p>"]
    tag = host.client.get("/discuss/feed").headers["ETag"]
    host.author = None
    assert entries(host) == []
    assert host.client.get("/discuss/feed", headers={"If-None-Match": tag}).status_code == 200


def test_an_author_can_withdraw_but_not_edit_a_comment_on_a_withdrawn_article(host: Host) -> None:
    host.add_article("secret")
    answer = host.comment(SECRET, article="secret").json
    number, token = answer["id"], answer["edit_token"]
    del host.articles["secret"]
    address = f"/discuss/items/{number}"
    assert host.client.get(f"{address}?edit_token={token}").status_code == 404
    assert host.client.patch(address, json={"text": "Another.", "edit_token": token}).status_code == 404
    assert host.client.delete(f"{address}?edit_token={token}").status_code == 204
    host.add_article("secret")
    assert host.client.get(f"{address}?edit_token={token}").json["status"] == "trash"


def status_page(host: Host) -> str:
    answer = host.client.post(
        "/discuss/webmention", data={"source": "http://blog.example/one", "target": "http://localhost/thaw"}
    )
    assert answer.status_code == 201
    return urlsplit(answer.headers["Location"]).path


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_the_status_of_a_mention_is_not_found_once_its_article_is_withdrawn(host: Host, accept: str) -> None:
    host.moderate.article_finder(lambda _: host.articles.get("thaw"))
    address = status_page(host)
    assert host.client.get(address, headers={"Accept": accept}).status_code == 200
    del host.articles["thaw"]
    answer = host.client.get(address, headers={"Accept": accept})
    assert answer.status_code == 404
    assert "localhost/thaw" not in answer.text


@pytest.mark.parametrize("post", ["comment", "reply", "trackback", "webmention"])
def test_no_submission_is_accepted_for_a_withdrawn_article(withdrawn: Host, post: str) -> None:
    ways: dict[str, Callable[[], object]] = {
        "comment": lambda: withdrawn.comment("One more.", article="secret"),
        "reply": lambda: withdrawn.comment("One more.", article="secret", parent=1),
        "trackback": lambda: withdrawn.client.post("/discuss/trackback/secret", data={"url": "http://blog.example/2"}),
        "webmention": lambda: withdrawn.client.post(
            "/discuss/webmention", data={"source": "http://blog.example/2", "target": "http://localhost/secret"}
        ),
    }
    before = withdrawn.total()
    ways[post]()
    assert withdrawn.total() == before


def test_moderators_still_see_the_items_of_a_withdrawn_article(withdrawn: Host) -> None:
    moderator = withdrawn.token()
    listed = withdrawn.client.get("/discuss/moderation/items", headers=moderator).json["items"]
    assert [item["id"] for item in listed] == [2, 1]
    assert SECRET in json.dumps(withdrawn.client.get("/discuss/moderation/items/1", headers=moderator).json)
    assert SECRET in withdrawn.client.get("/discuss/moderation/items.csv", headers=moderator).text
    assert withdrawn.decide(1, "trash", version=2, **moderator).status_code == 200
