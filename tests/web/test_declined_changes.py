"""A changed text is declined everywhere that moderators decide: programs, forms, mails and the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Moderator
from moderate.testing import AkismetStandIn
from tests.blogs import Blog
from tests.mail_servers import MailServer
from tests.sites import Host
from tests.unit.services.loopback import serving
from tests.web.mail_sites import a_site, stands, work
from tests.web.test_webhooks import Receiver, a_hooked_site

if TYPE_CHECKING:
    from pathlib import Path

API = "/discuss/moderation"
FIRST, CHANGED = "The river froze twice.", "It froze once."


def change(host: Host, text: str = FIRST, to: str = CHANGED) -> int:
    """An approved comment whose changed text waits, at version 3."""
    made = host.comment(text).json
    host.decide(made["id"], "approve", stands(host, made["id"])["version"])
    body = {"text": to, "edit_token": made["edit_token"]}
    assert host.app.test_client().patch(f"/discuss/items/{made['id']}", json=body).status_code == 200
    number: int = made["id"]
    return number


def post(host: Host, where: str, body: dict[str, Any], by: str = "mori") -> Any:
    return host.client.post(f"{API}/{where}", json=body, headers=host.token(by))


def decline(host: Host, number: int, version: int = 3, decision: str = "approve", by: str = "mori") -> Any:
    body = {"decision": decision, "version": version, "change": "decline"}
    return post(host, f"items/{number}/decisions", body, by)


def texts(host: Host, article: str = "thaw") -> list[str]:
    page = host.app.test_client().get(f"/discuss/comments/{article}").json
    return [re.sub("<[^>]+>", "", item["html"]) for item in page["items"]]


# --- programs ---------------------------------------------------------------------------------------


def test_readers_keep_seeing_the_approved_text(host: Host) -> None:
    number = change(host)
    before = host.client.get("/discuss/comments/thaw")
    answer = decline(host, number)
    assert answer.status_code == 200
    item = answer.json
    assert (item["status"], item["text"], item["proposed"], item["awaiting"]) == ("approved", FIRST, None, None)
    assert (item["version"], item["edited_at"], item["findings"]) == (4, None, [])
    after = host.client.get("/discuss/comments/thaw")
    assert (after.data, after.headers["ETag"]) == (before.data, before.headers["ETag"])
    assert host.counts() == {"comments": 1, "trackbacks": 0}
    line = stands(host, number)["history"][-1]
    assert (line["act"], line["by"], line["from"], line["to"]) == ("declined", "mori", "approved", "approved")


def test_accepting_a_change_publishes_the_new_text(host: Host) -> None:
    number = change(host)
    post(host, f"items/{number}/decisions", {"decision": "approve", "version": 3, "change": "accept"})
    assert texts(host) == [CHANGED]


@pytest.mark.parametrize("word", ["refuse", "", None, True])
def test_an_unknown_value_of_change_is_refused_without_a_decision(host: Host, word: Any) -> None:
    number = change(host)
    for where in (f"items/{number}/decisions", "decisions"):
        body = {"decision": "approve", "version": 3} if "items" in where else {"decision": "approve", "items": []}
        answer = post(host, where, {**body, "change": word})
        assert answer.status_code == 422
        assert "change" in [error["field"] for error in answer.json["errors"]]
    assert stands(host, number)["version"] == 3


def test_a_change_is_declined_for_the_version_that_was_seen(host: Host) -> None:
    number = change(host)
    answer = decline(host, number, version=2)
    assert (answer.status_code, answer.json["code"]) == (409, "decided-meanwhile")
    assert answer.json["item"]["proposed"]["text"] == CHANGED


def test_a_later_contradicting_decision_conflicts_and_an_equal_one_does_not(host: Host) -> None:
    number = change(host)
    decline(host, number, by="sato")
    assert decline(host, number).status_code == 200
    late = host.decide(number, "approve", 3)
    assert (late.status_code, late.json["by"]) == (409, "sato")
    assert texts(host) == [FIRST]


def test_lists_and_filters_decline_changes_and_one_undo_restores_them(host: Host) -> None:
    numbers = [change(host, f"First {at}.", f"Second {at}.") for at in range(3)]
    listed = {
        "decision": "approve",
        "change": "decline",
        "items": [{"id": number, "version": 3} for number in numbers[:1]],
    }
    assert post(host, "decisions", listed).json["decided"][0]["changed"] is True
    matched = {
        "decision": "approve",
        "change": "decline",
        "filter": {"status": "approved", "awaiting": "moderator"},
        "expect": 2,
    }
    answer = post(host, "decisions", matched).json
    assert [done["id"] for done in answer["decided"]] == numbers[1:]
    assert texts(host) == ["First 0.", "First 1.", "First 2."]
    undone = post(host, "undo", {"batch": answer["batch"]}).json
    assert [done["id"] for done in undone["undone"]] == numbers[1:]
    assert [stands(host, number)["proposed"] is not None for number in numbers] == [False, True, True]
    assert post(host, "undo", {"history": stands(host, numbers[0])["history"][-1]["id"]}).status_code == 200
    assert stands(host, numbers[0])["proposed"]["text"] == "Second 0."


# --- what other services get ------------------------------------------------------------------------


def a_judged_site(tmp_path: Path, akismet: AkismetStandIn) -> Host:
    """A site that publishes what Akismet lets pass."""
    asked = {"MODERATE_AKISMET_KEY": "k", "MODERATE_AKISMET_URL": akismet.url}
    return a_site(tmp_path, 25, MODERATE_MAIL_SERVER="", MODERATE_PREMODERATION="none", **asked)


def test_the_declined_text_is_not_reported_as_good_to_the_spam_service(tmp_path: Path) -> None:
    with AkismetStandIn() as akismet:
        host = a_judged_site(tmp_path, akismet)
        made = host.comment().json
        work(host)
        body = {"text": "Buy akismet-guaranteed-spam", "edit_token": made["edit_token"]}
        host.client.patch(f"/discuss/items/{made['id']}", json=body)
        work(host)
        item = stands(host, made["id"])
        assert (item["status"], item["awaiting"]) == ("approved", "moderator")
        assert any(finding["check"] == "akismet" for finding in item["findings"])
        decline(host, made["id"], item["version"])
        work(host)
        # Nor is the approved text reported as spam under the sample of the declined one.
        host.decide(made["id"], "spam", item["version"] + 1)
        work(host)
        assert {received.path for received in akismet.received} == {"comment-check"}
        host.close()


def test_a_late_verdict_on_a_declined_text_is_ignored(tmp_path: Path) -> None:
    with AkismetStandIn() as akismet:
        host = a_judged_site(tmp_path, akismet)
        made = host.comment().json
        work(host)
        host.client.patch(f"/discuss/items/{made['id']}", json={"text": CHANGED, "edit_token": made["edit_token"]})
        item = stands(host, made["id"])
        assert item["awaiting"] == "checks"
        decline(host, made["id"], item["version"])
        asked = len(akismet.received)
        work(host)
        assert len(akismet.received) == asked
        after = stands(host, made["id"])
        assert (after["text"], after["proposed"], after["awaiting"], after["findings"]) == (FIRST, None, None, [])
        host.close()


def test_webhooks_report_the_approved_text_after_a_declined_change(tmp_path: Path) -> None:
    receiver = Receiver()
    with serving(receiver) as server:
        host = a_hooked_site(tmp_path, {"url": server.url("/hook"), "events": ["waiting", "approved", "spam"]})
        number = change(host)
        work(host)
        decline(host, number)
        work(host)
        assert receiver.events[-2:] == ["item.waiting", "item.approved"]
        waiting, approved = (told["data"] for told in receiver.told[-2:])
        assert (waiting["text"], approved["text"]) == (CHANGED, FIRST)
        assert (approved["version"], approved["awaiting"]) == (4, None)


def test_a_page_that_repeats_declined_text_is_not_queued_again(tmp_path: Path) -> None:
    with Blog() as blog:
        host = Host(
            tmp_path, MODERATE_LIMITS={}, MODERATE_FETCH_ALLOW=["127.0.0.0/8"], MODERATE_FETCH_PORTS=[blog.port]
        )
        host.client.get("/thaw")
        page = '<title>A post</title><p>They wrote <a href="http://localhost/thaw">of it</a> and well.</p>'
        source = blog.write("/1", page)
        host.client.post("/discuss/webmention", data={"source": source, "target": "http://localhost/thaw"})
        work(host)
        host.decide(1, "approve", stands(host, 1)["version"])
        blog.write("/1", page.replace("and well", "with PILLS"))
        host.clock.advance(days=1, hours=1)
        work(host)
        item = stands(host, 1)
        assert "PILLS" in item["proposed"]["text"]
        decline(host, 1, item["version"])
        for _ in range(3):
            host.clock.advance(days=10)
            host.client.post("/discuss/webmention", data={"source": source, "target": "http://localhost/thaw"})
            work(host)
        after = stands(host, 1)
        assert (after["proposed"], after["awaiting"], after["version"]) == (None, None, item["version"] + 1)
        assert len(blog.asked) > 3


# --- forms ------------------------------------------------------------------------------------------


@pytest.fixture
def desk(host: Host) -> Host:
    host.moderator = Moderator("mori")
    return host


def press(desk: Host, form: str, **fields: Any) -> Any:
    html = desk.client.get(f"{API}/?status=").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert token
    return desk.client.post(f"{API}/queue/{form}", data={"csrf_token": token[1], "decision": "keep", **fields})


def told(desk: Host, answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    found = re.search(r'<p role="status"[^>]*>([^<]*)</p>', desk.client.get(answer.headers["Location"]).text)
    return found[1] if found else ""


def test_a_card_offers_both_texts_and_both_buttons(desk: Host) -> None:
    number = change(desk)
    html = desk.client.get(f"{API}/?status=approved&awaiting=moderator").text
    assert html.index("Public now") < html.index(FIRST) < html.index("Waiting</h3>") < html.index(CHANGED)
    assert "Take the change" in html
    assert "Keep the public text" in html
    assert told(desk, press(desk, str(number), version="3")) == f"Item {number}: the public text stays."
    assert texts(desk) == [FIRST]
    assert "Take the change" not in desk.client.get(f"{API}/?status=approved").text


def test_declining_for_a_selection_approves_no_pending_item(desk: Host) -> None:
    number = change(desk)
    waiting = desk.comment("Never seen before.").json["id"]
    answer = press(desk, "selected", item=[f"{number}:3", f"{waiting}:1"])
    assert told(desk, answer) == f"Item {number}: the public text stays."
    assert stands(desk, waiting)["status"] == "pending"
    assert texts(desk) == [FIRST]


def test_a_conflicting_decision_is_reported_to_the_moderator_who_declines(desk: Host) -> None:
    number = change(desk)
    desk.decide(number, "hold", 3, **desk.token("sato"))
    answer = press(desk, "selected", item=[f"{number}:3"])
    assert told(desk, answer) == f"Item {number}: sato has decided meanwhile: on hold."


def test_declining_for_all_matches_keeps_their_public_texts(desk: Host) -> None:
    for at in range(2):
        change(desk, f"First {at}.", f"Second {at}.")
    desk.comment("Never seen before.")
    html = desk.client.get(f"{API}/queue/like?status=approved&awaiting=moderator").text
    assert "Keep all public texts" in html
    assert "Take all changes" in html
    place = {"filter_status": "approved", "filter_awaiting": "moderator"}
    assert told(desk, press(desk, "all", expect="2", **place)) == "2 items: the public text stays."
    # With any filter, an item that was not public does not become public.
    assert press(desk, "all", expect="1", filter_status="pending").status_code == 409
    assert texts(desk) == ["First 0.", "First 1."]


# --- mails and the terminal -------------------------------------------------------------------------


def test_a_mail_shows_both_texts_and_its_link_keeps_the_old_one(tmp_path: Path) -> None:
    with MailServer() as server:
        host = a_site(tmp_path, server.port)
        number = change(host)
        work(host)
        mail = server.mails[-1]
        assert f"Public now:\n> {FIRST}\n\nWaiting:\n> {CHANGED}\n" in mail.text
        assert str(mail.message["Subject"]).startswith("Changed: ")
        page = host.client.get(mail.link("Keep the old text"))
        assert "Keep the public text?" in page.text
        assert FIRST in page.text
        assert CHANGED in page.text
        assert stands(host, number)["version"] == 3
        done = host.client.post(mail.link("Keep the old text"))
        assert "The change was dropped; the public text stays as it was." in done.text
        item = stands(host, number)
        assert (item["text"], item["proposed"], item["history"][-1]["act"]) == (FIRST, None, "declined")
        other = host.client.post(mail.link("Take the change"))
        assert other.status_code == 409
        assert "Mori has decided meanwhile" in other.text
        assert texts(host) == [FIRST]


def test_a_change_can_be_declined_at_the_terminal(host: Host) -> None:
    number = change(host)
    words = ["moderate", "decide", str(number), "approve", "--decline-change"]
    done = host.app.test_cli_runner().invoke(args=words)
    assert done.output == f"Item {number} is approved, version 4. Its changed text was dropped.\n"
    assert host.app.test_cli_runner().invoke(args=words).output == f"Item {number} is approved, version 4.\n"
    assert texts(host) == [FIRST]
