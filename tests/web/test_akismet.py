"""Akismet's answers and failures, and what becomes of the item, over a real loopback stand-in."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from moderate.testing import AkismetStandIn
from tests.sites import Host
from tests.tasks import next_due

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "secret-key-1234567890"


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, akismet: AkismetStandIn) -> Iterator[Host]:
    with closing(a_site(tmp_path, akismet.url)) as host:
        yield host


def a_site(folder: Path, url: str, **config: Any) -> Host:
    return Host(
        folder,
        **{
            "MODERATE_LIMITS": {},
            "MODERATE_AKISMET_KEY": KEY,
            "MODERATE_AKISMET_URL": url,
            "MODERATE_SITE_URL": "http://localhost",
            "MODERATE_PREMODERATION": "none",
            **config,
        },
    )


def work(site: Host) -> None:
    result = site.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
    assert result.exit_code == 0, result.output


def stored(site: Host, number: int) -> dict[str, Any]:
    found: dict[str, Any] = site.client.get(f"/discuss/moderation/items/{number}", headers=site.token()).json
    return found


def asked(akismet: AkismetStandIn, path: str = "comment-check") -> list[Any]:
    return [received for received in akismet.received if received.path == path]


def test_an_item_is_never_public_while_akismet_has_not_answered(site: Host, akismet: AkismetStandIn) -> None:
    answer = site.comment()
    assert answer.status_code == 202
    assert akismet.received == []
    item = stored(site, answer.json["id"])
    assert (item["status"], item["awaiting"]) == ("pending", "checks")
    work(site)
    assert stored(site, item["id"])["status"] == "approved"
    assert site.counts()["comments"] == 1


@pytest.mark.parametrize(
    ("marker", "status", "awaiting"),
    [
        ("nothing", "approved", None),
        ("akismet-guaranteed-spam", "spam", None),
        ("akismet-guaranteed-discard", "spam", None),
        ("akismet-alert", "approved", None),
        ("akismet-error", "pending", "checks"),
        ("akismet-invalid", "pending", "checks"),
        ("akismet-garbage", "pending", "checks"),
        ("akismet-empty", "pending", "checks"),
        ("akismet-status-429", "pending", "checks"),
        ("akismet-status-500", "pending", "checks"),
        ("akismet-redirect", "pending", "checks"),
        ("akismet-long", "pending", "checks"),
        ("akismet-recheck-after", "pending", "checks"),
    ],
)
def test_each_answer_leads_to_the_documented_status(site: Host, marker: str, status: str, awaiting: str | None) -> None:
    number = site.comment(f"A text with {marker} in it").json["id"]
    work(site)
    item = stored(site, number)
    assert (item["status"], item["awaiting"]) == (status, awaiting)


@pytest.mark.parametrize("marker", ["akismet-error", "akismet-invalid", "akismet-garbage", "akismet-status-500"])
def test_an_unanswered_item_is_left_to_a_moderator_with_the_reason_after_three_days(
    site: Host, akismet: AkismetStandIn, marker: str
) -> None:
    number = site.comment(f"A text with {marker} in it").json["id"]
    for _ in range(40):
        work(site)
        site.clock.advance(hours=2)
    item = stored(site, number)
    assert (item["status"], item["awaiting"]) == ("pending", "moderator")
    assert any(finding["check"] == "akismet" and finding["lean"] == "unsure" for finding in item["findings"])
    assert len(asked(akismet)) > 3


def test_a_service_that_refuses_connections_holds_items_and_is_retried_within_twenty_minutes(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with closing(a_site(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}")) as site:
            number = site.comment().json["id"]
            work(site)
            assert stored(site, number)["awaiting"] == "checks"
            due = next_due(site.state.desk.store.tasks)
            assert (due - site.clock.now()).total_seconds() <= 20 * 60


def test_an_item_with_a_provisional_answer_is_held_until_the_recheck(site: Host, akismet: AkismetStandIn) -> None:
    number = site.comment("akismet-recheck-after").json["id"]
    work(site)
    assert stored(site, number)["status"] == "pending"
    site.clock.advance(seconds=119)
    work(site)
    assert len(asked(akismet)) == 1
    site.clock.advance(seconds=2)
    work(site)
    assert stored(site, number)["status"] == "approved"
    assert asked(akismet)[-1].get("recheck_reason") == "recheck"


def test_blatant_spam_is_discarded_when_configured(tmp_path: Path, akismet: AkismetStandIn) -> None:
    with closing(a_site(tmp_path, akismet.url, MODERATE_AKISMET_DISCARD=True)) as site:
        number = site.comment("akismet-guaranteed-discard").json["id"]
        work(site)
        answer = site.client.get(f"/discuss/moderation/items/{number}", headers=site.token())
        assert answer.status_code == 404
        assert site.total() == 0


def test_akismet_is_not_called_for_items_decided_by_local_rules(site: Host, akismet: AkismetStandIn) -> None:
    site.trapped()
    work(site)
    assert asked(akismet) == []


def test_all_fields_of_the_sample_are_sent_as_submitted(site: Host, akismet: AkismetStandIn) -> None:
    parent = site.comment("First of all").json["id"]
    work(site)
    site.client.post(
        "/discuss/comments/thaw",
        json={
            "author": "Mika",
            "email": "mika@mail.example",
            "url": "https://mika.example/",
            "text": "<b>Well</b>",
            "parent": parent,
        },
        headers={"User-Agent": "Reader/1", "Referer": "http://localhost/thaw"},
    )
    work(site)
    sent = asked(akismet)[-1]
    expected = {
        "blog": "http://localhost",
        "user_ip": "127.0.0.1",
        "user_agent": "Reader/1",
        "referrer": "http://localhost/thaw",
        "permalink": "http://localhost/thaw",
        "comment_type": "reply",
        "comment_author": "Mika",
        "comment_author_email": "mika@mail.example",
        "comment_author_url": "https://mika.example/",
        "comment_content": "<b>Well</b>",
        "comment_parent": str(parent),
        "honeypot_field_name": "homepage",
    }
    assert {name: sent.get(name) for name in expected} == expected
    assert sent.fields["comment_context[]"] == ["About thaw"]


@pytest.mark.parametrize(
    ("text", "decision", "path"),
    [("akismet-guaranteed-spam", "approve", "submit-ham"), ("A good text", "spam", "submit-spam")],
)
def test_a_contradicting_decision_is_reported_with_the_checked_sample(
    site: Host, akismet: AkismetStandIn, text: str, decision: str, path: str
) -> None:
    number = site.comment(text).json["id"]
    work(site)
    item = stored(site, number)
    site.client.post(
        f"/discuss/moderation/items/{number}/decisions",
        json={"decision": decision, "version": item["version"]},
        headers={**site.token(), "User-Agent": "Moderator/9"},
        environ_base={"REMOTE_ADDR": "198.51.100.77"},
    )
    work(site)
    checked, told = asked(akismet)[0], asked(akismet, path)
    assert len(told) == 1
    for name in ("user_ip", "user_agent", "referrer", "comment_content", "comment_author", "permalink", "comment_type"):
        assert told[0].get(name) == checked.get(name)


@pytest.mark.parametrize(
    ("text", "decisions"), [("akismet-guaranteed-spam", ("trash", "spam")), ("A good text", ("hold", "approve"))]
)
def test_an_agreeing_decision_is_not_reported(
    site: Host, akismet: AkismetStandIn, text: str, decisions: tuple[str, ...]
) -> None:
    number = site.comment(text).json["id"]
    work(site)
    for decision in decisions:
        assert site.decide(number, decision, stored(site, number)["version"]).status_code == 200
        work(site)
    assert asked(akismet, "submit-spam") == asked(akismet, "submit-ham") == []


def test_an_undone_decision_is_reported_as_undone(site: Host, akismet: AkismetStandIn) -> None:
    number = site.comment("A good text").json["id"]
    work(site)
    for decision in ("spam", "approve"):
        site.decide(number, decision, stored(site, number)["version"])
        work(site)
    assert len(asked(akismet, "submit-spam")) == len(asked(akismet, "submit-ham")) == 1


@pytest.mark.parametrize(
    ("text", "decision", "learned"), [("A good text", "approve", (0, 1)), ("akismet-guaranteed-spam", "spam", (1, 0))]
)
def test_a_decision_that_agrees_with_the_checks_teaches_the_filter_until_it_is_undone(
    site: Host, akismet: AkismetStandIn, text: str, decision: str, learned: tuple[int, int]
) -> None:
    tokens = site.state.desk.services.tokens
    number = site.comment(text).json["id"]
    work(site)
    seen, counts = stored(site, number), site.counts()
    assert (seen["decided_by"], tokens.lookup(()).messages) == (None, (0, 0))
    answers = [site.decide(number, decision, seen["version"], **site.token(name)).json for name in ("mori", "sato")]
    assert [answer["decided_by"] for answer in answers] == ["mori", "mori"]
    work(site)
    item = stored(site, number)
    assert (item["status"], item["version"], site.counts()) == (seen["status"], seen["version"], counts)
    assert tokens.lookup(()).messages == learned
    line = item["history"][-1]
    assert len(item["history"]) == len(seen["history"]) + 1
    assert (line["by"], line["from"], line["to"], line["version"]) == (
        "mori", seen["status"], seen["status"], seen["version"],
    )  # fmt: skip
    undone = site.client.post("/discuss/moderation/undo", json={"history": line["id"]}, headers=site.token())
    assert [each["changed"] for each in undone.json["undone"]] == [True]
    work(site)
    assert (stored(site, number)["decided_by"], tokens.lookup(()).messages) == (None, (0, 0))
    assert stored(site, number)["version"] == seen["version"]
    # The service has said the same.
    assert asked(akismet, "submit-spam") == asked(akismet, "submit-ham") == []


def test_a_late_verdict_does_not_change_the_decision_of_a_moderator(site: Host) -> None:
    number = site.comment("akismet-guaranteed-spam").json["id"]
    site.decide(number, "approve", 1)
    work(site)
    item = stored(site, number)
    assert item["status"] == "approved"
    assert site.counts()["comments"] == 1


def test_an_item_held_by_a_request_check_stays_held_after_a_recheck(site: Host) -> None:
    """The form's age is known to the request alone; a task must not publish what it held."""
    token = site.client.get("/discuss/comments/thaw").headers["Moderate-Form-Token"]
    form = {"author": "Mika", "text": "Typed by nobody, in no time at all, and rather long", "form_token": token}
    site.client.post("/discuss/comments/thaw", data=form)
    work(site)
    item = stored(site, 1)
    assert (item["status"], item["awaiting"]) == ("pending", "moderator")
    assert [finding["check"] for finding in item["findings"]] == ["timing"]


def test_the_key_is_not_disclosed_anywhere(
    site: Host, akismet: AkismetStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    for text in ("akismet-error", "akismet-invalid", "akismet-status-500", "akismet-echo", "plain"):
        site.comment(f"{text} with the word x")
    work(site)
    pages = [
        site.client.get("/discuss/moderation/items", headers=site.token()).text,
        site.client.get("/discuss/health").text,
        site.app.test_cli_runner().invoke(args=["moderate", "check-config"]).output,
        repr(site.state),
        caplog.text,
    ]
    assert not any(KEY in page for page in pages)


def test_an_edited_text_is_checked_as_an_edit(site: Host, akismet: AkismetStandIn) -> None:
    answer = site.comment("A good text").json
    work(site)
    site.client.patch(
        f"/discuss/items/{answer['id']}", json={"text": "akismet-guaranteed-spam", "edit_token": answer["edit_token"]}
    )
    work(site)
    assert asked(akismet)[-1].get("comment_content") == "akismet-guaranteed-spam"
    item = stored(site, answer["id"])
    assert item["html"] == "<p>A good text</p>"
    assert item["awaiting"] == "moderator"


def test_the_learned_filter_learns_from_decisions_and_holds_similar_items(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    for number in range(14):
        spam = site.comment(f"cheap pills casino {number} buy now discount winner").json["id"]
        good = site.comment(f"The thaw on the river came late in year {number}, said my grandmother").json["id"]
        for item, decision in ((spam, "spam"), (good, "approve")):
            seen = stored(site, item)
            # The good ones are public already.
            site.decide(item, decision, seen["version"])
    work(site)
    judged = stored(site, site.comment("buy cheap casino pills now, a winner discount").json["id"])
    assert judged["status"] in {"pending", "spam"}
    assert [finding["check"] for finding in judged["findings"]] == ["learned"]
    assert "pills" in judged["findings"][0]["reason"]


def test_a_late_good_verdict_does_not_overrule_a_moderator_who_holds_the_item(site: Host) -> None:
    number = site.comment("A good text").json["id"]
    assert site.decide(number, "hold", 1).status_code == 200
    work(site)
    item = stored(site, number)
    assert (item["status"], item["awaiting"]) == ("pending", "moderator")
    assert [entry["by"] for entry in item["history"] if entry["act"] == "decided"] == ["mori"]
    assert site.decide(number, "hold", 1).status_code == 200
