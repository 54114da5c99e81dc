"""Moderators see the state of the account at Akismet and the reasons of each verdict; authors see what holds theirs."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from moderate import Author
from moderate.http.state import current_state
from moderate.testing import AkismetStandIn
from tests.web.test_akismet import a_site, asked, stored, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sites import Host

MANY_LINKS = "See https://one.example/ and https://two.example/ and https://three.example/ for more."


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, akismet: AkismetStandIn) -> Iterator[Host]:
    with closing(a_site(tmp_path, akismet.url)) as host:
        yield host


def notes(site: Host) -> dict[str, str]:
    with site.app.app_context():
        return {note.topic: note.text for note in current_state().desk.account.all()}


def details(site: Host) -> dict[str, str]:
    """Return the details of each part that the health response has for moderators."""
    found: dict[str, str] = site.client.get("/discuss/health?deep=1", headers=site.token()).json["details"]
    return found


def config(site: Host) -> Any:
    return site.app.test_cli_runner().invoke(args=["moderate", "check-config"])


def test_a_warning_about_the_account_is_shown_until_it_is_resolved(site: Host) -> None:
    site.comment("akismet-alert")
    work(site)
    assert notes(site)["alert"] == "Warning 10011: Over the monthly limit"
    assert "Over the monthly limit" in config(site).output
    assert details(site)["akismet"] == "ok, with a warning"
    site.comment("A good text")
    work(site)
    assert "alert" not in notes(site)
    assert details(site)["akismet"] == "ok"


def test_an_answer_with_a_warning_shows_that_the_key_is_accepted(site: Host) -> None:
    site.comment("akismet-invalid")
    work(site)
    assert "bad-key" in notes(site)
    # The check of the settings has just asked, and the key was accepted: the note is out of date.
    assert "key is refused" not in config(site).output
    site.comment("akismet-alert")
    work(site)
    assert "bad-key" not in notes(site)


def test_the_monthly_usage_is_requested_once_an_hour_and_shown(site: Host, akismet: AkismetStandIn) -> None:
    for _ in range(3):
        work(site)
    assert len(asked(akismet, "usage-limit")) == 1
    assert notes(site) == {"usage": "25 calls this month, of 500 (5 %)"}
    assert "25 calls this month" in config(site).output
    site.clock.advance(hours=1)
    work(site)
    assert len(asked(akismet, "usage-limit")) == 2


def test_the_monthly_usage_raises_no_alarm_until_few_calls_are_left(site: Host, akismet: AkismetStandIn) -> None:
    work(site)
    page = site.client.get("/discuss/moderation/", headers=site.token()).text
    assert '<footer class="foot-note"><p>Akismet: 25 calls this month, of 500 (5 %)</p></footer>' in page
    assert '<p class="banner' not in page.replace('<p class="banner" id="news"', "")
    akismet.used = 450
    site.clock.advance(hours=1)
    work(site)
    page = site.client.get("/discuss/moderation/", headers=site.token()).text
    assert re.findall(r'<p class="([^"]+)"[^>]*>Akismet: (\d+) calls', page) == [("banner urgent", "450")]
    assert "<footer" not in page
    assert list(notes(site)) == ["scarce"]


def test_a_refused_key_is_reported_once_in_six_hours(
    tmp_path: Path, akismet: AkismetStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(a_site(tmp_path, akismet.url, MODERATE_AKISMET_KEY="bad-key-0123456789")) as site:
        for hour in range(13):
            site.comment(f"Text of hour {hour}, {hour * 7919}")
            work(site)
            site.clock.advance(hours=1)
        said = [record.message for record in caplog.records if "key is refused" in record.message]
        assert len(said) == 3
        assert "bad-key" in notes(site)
        assert config(site).exit_code == 1
        assert site.client.get("/discuss/health").status_code == 503
        assert not any("0123456789" in text for text in (*notes(site).values(), caplog.text, config(site).output))
        assert site.counts()["comments"] == 0


def test_the_id_given_by_the_service_is_stored_with_the_sample(site: Host) -> None:
    number = site.comment("A good text").json["id"]
    work(site)
    sample = site.state.desk.store.samples.get(number)
    assert sample.guid.startswith("stand-in-")
    assert sample.verdict == "ham"


def test_a_provisional_answer_stores_no_sample(site: Host) -> None:
    number = site.comment("akismet-recheck-after").json["id"]
    work(site)
    assert site.state.desk.store.samples.get(number) is None


def test_skipped_checks_are_listed_with_the_reason(site: Host) -> None:
    item = stored(site, site.trapped().json["id"])
    assert [(finding["check"], finding["lean"]) for finding in item["findings"]] == [
        ("honeypot", "spam"),
        ("links", "hold"),
    ]
    assert item["passed"] == ["rules", "timing"]
    skipped = {entry["check"]: entry["reason"] for entry in item["skipped"]}
    assert skipped["akismet"] == skipped["repeat"] == "honeypot was certain (spam)"
    assert "source-link" not in skipped


def test_every_relevant_check_is_listed_exactly_once(site: Host) -> None:
    for fields in ({}, {"homepage": "x"}, {"text": MANY_LINKS}, {"text": "akismet-guaranteed-spam"}):
        number = site.comment(**fields).json["id"]
        for _ in range(2):
            item = stored(site, number)
            names = [entry["check"] for entry in (*item["findings"], *item["skipped"])] + item["passed"]
            expected = [check.name for check in site.state.desk.checks if "comment" in check.kinds]
            assert sorted(names) == sorted(expected)
            work(site)


def test_trust_ends_the_checks_and_is_given_as_the_reason(site: Host) -> None:
    site.author = Author("Ada", id="u:1")
    for number in range(4):
        item = stored(site, site.comment(f"A good text, {number * 7919}").json["id"])
        work(site)
    assert item["status"] == "approved"
    assert "trusted-author was certain (trust)" in {entry["reason"] for entry in item["skipped"]}


def test_an_author_sees_what_holds_the_comment(site: Host) -> None:
    answer = site.comment(MANY_LINKS).json
    assert answer["held_for"] == ["links"]
    assert site.client.get(f"/discuss/items/{answer['id']}").json["held_for"] == ["links"]
    assert site.client.get("/discuss/comments/thaw").json["items"][0]["held_for"] == ["links"]
    assert "findings" not in answer


def test_other_readers_see_no_reason(site: Host) -> None:
    number = site.comment("A good text").json["id"]
    work(site)
    public = site.app.test_client().get(f"/discuss/items/{number}").json
    assert public["status"] == "approved"
    assert "held_for" not in public


@pytest.mark.parametrize("fields", [{"homepage": "x"}, {"text": "akismet-guaranteed-spam"}, {}])
def test_reasons_for_authors_do_not_reveal_how_spam_is_detected(site: Host, fields: dict[str, str]) -> None:
    number = site.comment(**fields).json["id"]
    if "text" in fields:
        work(site)
    mine = site.client.get(f"/discuss/items/{number}").json
    assert (mine["status"], mine["held_for"]) == ("pending", [])
