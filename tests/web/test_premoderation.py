"""`PREMODERATION = "links"` on a site: forms, JSON, edits, pings, trust, overrides, and the moderators' page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author, Moderator
from moderate.checks.premoderation import AGAIN, ENOUGH
from moderate.testing import AkismetStandIn
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

LINKED = "The timetable: https://ferry.example/times"


@pytest.fixture
def site(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="links", MODERATE_VERIFY_PINGS="off")


def seen(site: Host, number: int) -> Any:
    return site.client.get(f"/discuss/moderation/items/{number}", headers=site.token()).json


@pytest.mark.parametrize(
    "fields", [{"text": LINKED}, {"text": "Nice.", "url": "https://mika.example/"}, {"text": "Call +46 8 123 456 78."}]
)
def test_what_carries_something_waits_by_form_and_json_alike_and_the_rest_is_public(site: Host, fields: Any) -> None:
    answer = site.comment(**fields)
    assert (answer.status_code, answer.json["held_for"]) == (202, ["premoderation"])
    sent = {"author": "Mika", **fields}
    page = site.client.post("/discuss/comments/thaw", data=sent, follow_redirects=True).text
    assert "waiting for a moderator" in page
    assert [seen(site, number)["awaiting"] for number in (1, 2)] == ["moderator", "moderator"]
    assert site.comment("Is it on time today?").status_code == 201
    site.client.post("/discuss/comments/thaw", data={"author": "Mika", "text": "It was.", "email": "mika@mail.example"})
    assert site.counts() == {"comments": 2, "trackbacks": 0}


def test_the_card_says_why_it_waits_in_the_moderators_language(site: Host) -> None:
    site.comment(LINKED, url="https://mika.example/")
    site.moderator = Moderator("mori")
    assert "it carries a link, a website of the author" in site.client.get("/discuss/moderation/").text
    japanese = site.client.get("/discuss/moderation/", headers={"Accept-Language": "ja"}).text
    assert "リンク、投稿者のウェブサイトが含まれています" in japanese


def test_a_changed_text_that_now_carries_a_link_waits_while_the_old_one_stays(site: Host) -> None:
    item = site.comment().json
    assert item["status"] == "approved"
    path, token = f"/discuss/items/{item['id']}", item["edit_token"]
    assert site.client.patch(path, json={"edit_token": token, "text": LINKED}).status_code == 200
    found = seen(site, item["id"])
    assert (found["status"], found["awaiting"], found["proposed"]["text"]) == ("approved", "moderator", LINKED)
    (public,) = site.client.get("/discuss/comments/thaw").json["items"]
    assert public["html"] == "<p>The river froze twice.</p>"
    # Without the link it is public again.
    site.client.patch(path, json={"edit_token": token, "text": "It froze once."})
    (public,) = site.client.get("/discuss/comments/thaw").json["items"]
    assert public["html"] == "<p>It froze once.</p>"


def test_pings_wait(site: Host) -> None:
    site.client.post(
        "/discuss/trackback/thaw", data={"url": "http://192.0.2.1/x", "title": "On ice", "excerpt": "Well."}
    )
    (item,) = site.client.get("/discuss/moderation/items", headers=site.token()).json["items"]
    assert (item["status"], item["awaiting"]) == ("pending", "moderator")
    assert [one["reason"] for one in item["findings"]] == ["a ping is a link to another site"]


def test_links_of_trusted_authors_and_those_that_a_rule_trusts_pass(site: Host) -> None:
    site.author = Author("Mika", id="7")
    for text in ("One.", "Two.", "Three."):
        assert site.comment(text).status_code == 201
    assert site.comment(LINKED).status_code == 201
    site.author = None
    assert site.comment(LINKED + "?day=2").status_code == 202
    rule = {"kind": "word", "value": "timetable", "effect": "trust"}
    assert site.client.post("/discuss/moderation/rules", json=rule, headers=site.token()).status_code == 201
    assert site.comment(LINKED + "?day=3").status_code == 201


def test_links_wait_although_the_spam_service_finds_nothing(tmp_path: Path) -> None:
    with AkismetStandIn() as akismet:
        asked = {"MODERATE_AKISMET_KEY": "key", "MODERATE_AKISMET_URL": akismet.url}
        settings = {"MODERATE_SITE_URL": "http://localhost", "MODERATE_PREMODERATION": "links"}
        host = Host(tmp_path, MODERATE_LIMITS={}, **asked, **settings)
        numbers = [host.comment(text).json["id"] for text in (LINKED, "Is it on time today?")]
        assert [seen(host, number)["awaiting"] for number in numbers] == ["checks", "checks"]
        result = host.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
        assert result.exit_code == 0, result.output
    assert [seen(host, number)["awaiting"] for number in numbers] == ["moderator", None]
    assert [seen(host, number)["status"] for number in numbers] == ["pending", "approved"]


def test_moderators_set_it_for_one_article(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={})
    host.add_article("open")
    path = "/discuss/moderation/articles/open"
    told = host.client.put(path, json={"premoderation": "links"}, headers=host.token()).json
    assert (told["premoderation"], told["host"]["premoderation"]) == ("links", "all")
    assert host.comment("Hello.", "open").status_code == 201
    assert host.comment(LINKED, "open").status_code == 202
    assert host.comment("Hello there.").status_code == 202
    schemas = host.client.get("/discuss/openapi.json").json["components"]["schemas"]
    assert "links" in str(schemas["OverridesIn"]["properties"]["premoderation"])


def test_a_site_of_links_that_wait_is_in_no_spam_wave(site: Host) -> None:
    for number in range(35):
        site.comment(f"{LINKED}/{number}", homepage="")
    assert site.comment("Is it on time today?").status_code == 201


@pytest.mark.parametrize("decided", ["one", "all", "elsewhere"])
def test_a_script_that_no_public_comment_has_waits_until_one_is_approved(
    site: Host, tmp_path: Path, decided: str
) -> None:
    site.comment("Спасибо, очень интересно!")
    with site.app.app_context():
        for number in range(ENOUGH):
            # Texts of few letters pass however often they come.
            site.moderate.submit("thaw", f"Day {number}: on time.", author="Mika")
    site.clock.advance(seconds=AGAIN)
    # Public since the site was young.
    assert site.comment("Спасибо большое!").status_code == 201
    held = site.comment("素晴らしい記事をありがとうございます。")
    assert (held.status_code, held.json["held_for"]) == (202, ["premoderation"])
    (finding,) = seen(site, held.json["id"])["findings"]
    assert finding["reason"] == "no public item is in this script: Han, Kana"
    if decided == "one":
        site.decide(held.json["id"], "approve")
    elif decided == "elsewhere":
        # By another process, with the same database.
        Host(tmp_path).decide(held.json["id"], "approve")
    else:
        every = {"decision": "approve", "filter": {"status": "pending"}, "expect": 1}
        answer = site.client.post("/discuss/moderation/decisions", json=every, headers=site.token())
        assert len(answer.json["decided"]) == 1
    site.clock.advance(seconds=AGAIN)
    assert site.comment("とても美味しかったです。").status_code == 201


def test_a_site_with_known_scripts_sends_no_statement_more_for_a_comment(tmp_path: Path) -> None:
    lengths = set()
    for premoderation in ("none", "links"):
        host = Host(tmp_path / premoderation, MODERATE_LIMITS={}, MODERATE_PREMODERATION=premoderation)
        with host.app.app_context():
            for number in range(ENOUGH):
                host.moderate.submit("thaw", f"Day {number}: on time.", author="Mika")
        host.comment("The river froze twice.")
        sent = host.statements()
        host.comment("It is late again.")
        sent.clear()
        host.comment("And again, by an hour.")
        lengths.add(len(sent))
    assert len(lengths) == 1
