"""A spam wave: detected, answered by holding everything, reported once, and ended automatically."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from moderate import Author, wave_ended, wave_started
from moderate.http.state import current_state
from moderate.learned.tokens import Writing, features
from tests.sites import Host
from tests.unit.checks.test_near import SPAM, changed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINKS = " https://pills.example/ https://casino.example/ https://loans.example/"
GOOD = "The ferry was late again, and nobody at the pier knew why."


@pytest.fixture
def site(tmp_path: Path) -> Host:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none", MODERATE_EDIT_WINDOW=60)
    for number in range(40):
        host.add_article(f"a{number}")
    return host


def write(site: Host, text: str, article: str = "thaw", ip: str = "192.0.2.1", **fields: Any) -> Any:
    body = {"author": "Mika", "text": text, **fields}
    return site.client.post(f"/discuss/comments/{article}", json=body, environ_base={"REMOTE_ADDR": ip}).json


def flood(site: Host, count: int = 12) -> None:
    """Post *count* different texts with too many links on one article."""
    for number in range(count):
        write(site, f"{number} is my lucky number{LINKS}", "a0", author=f"Spammer {number}")


def status(site: Host, **how: Any) -> str:
    word: str = write(site, GOOD + str(site.total()), **how)["status"]
    return word


def reason(site: Host) -> str | None:
    with site.app.test_request_context():
        wave = current_state().desk.waves.current()
    return wave.reason if wave else None


@contextlib.contextmanager
def heard(signal: Any) -> Iterator[list[Any]]:
    waves: list[Any] = []

    def hear(_sender: object, wave: Any) -> None:
        waves.append(wave)

    with signal.connected_to(hear):
        yield waves


def test_a_comment_sent_again_and_again_is_no_burst(site: Host) -> None:
    body = {"author": "Mika", "text": f"Look here.{LINKS}"}
    for _ in range(12):
        site.client.post("/discuss/comments/a0", json=body, headers={"Idempotency-Key": "one"})
    assert reason(site) is None


def test_a_burst_on_one_article_holds_all_items_on_the_whole_site(site: Host) -> None:
    flood(site, 11)
    assert status(site) == "approved"
    flood(site, 1)
    assert status(site) == "pending"
    assert "on one article" in str(reason(site))
    item = site.client.get("/discuss/moderation/items?status=pending", headers=site.token()).json["items"][0]
    assert [finding["check"] for finding in item["findings"]] == ["wave"]
    assert "under a spam wave" in item["findings"][0]["reason"]


def test_similar_texts_on_many_articles_start_a_wave(site: Host) -> None:
    for number in range(12):
        write(site, changed(SPAM, number), f"a{number}", ip=f"192.0.2.{number}")
    assert "nearly the same text" in str(reason(site))
    assert status(site) == "pending"


def test_many_senders_start_a_wave(site: Host) -> None:
    for number in range(20):
        write(site, f"{number * 7919} things{LINKS}", f"a{number}", ip=f"192.0.2.{number}")
    assert "20 different senders" in str(reason(site))


def test_a_high_share_of_spam_starts_a_wave_and_a_low_share_does_not(site: Host) -> None:
    for number in range(40):
        write(site, f"{number * 7919} things{LINKS}", f"a{number}")
        if number < 30:
            write(site, f"{GOOD} {number} {'x' * number}", f"a{number}")
    assert reason(site) is None
    site.clock.advance(minutes=11)
    for number in range(30):
        write(site, f"{number * 104729} things{LINKS}", f"a{number}")
    assert "30 of 30 items" in str(reason(site))


def test_a_lively_article_starts_no_wave(site: Host) -> None:
    for number in range(40):
        write(site, f"{GOOD} {number * 7919}", ip=f"192.0.2.{number}")
    assert reason(site) is None


def test_items_held_by_premoderation_do_not_count_as_spam(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={})
    for number in range(40):
        write(site, f"{GOOD} {number * 7919}")
    assert reason(site) is None


def test_a_wave_ends_automatically_and_is_reported_once_at_each_end(
    site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    with heard(wave_started) as started, heard(wave_ended) as ended:
        flood(site, 60)
        assert len(started) == 1
        site.clock.advance(minutes=29)
        assert status(site) == "pending"
        assert ended == []
        site.clock.advance(minutes=3)
        assert status(site) == "approved"
        assert len(ended) == 1
        assert status(site) == "approved"
    said = [record.message for record in caplog.records if "wave" in record.message]
    assert [line.split(":")[0] for line in said] == ["A spam wave", "The spam wave is over"]
    assert ended[0].seen == 49


def test_a_wave_continues_while_spam_arrives(site: Host) -> None:
    flood(site)
    for _ in range(6):
        site.clock.advance(minutes=11)
        flood(site)
    assert status(site) == "pending"
    site.clock.advance(minutes=31)
    assert status(site) == "approved"


def test_items_held_by_the_wave_do_not_prolong_it(site: Host) -> None:
    flood(site)
    for number in range(40):
        site.clock.advance(seconds=50)
        write(site, f"{GOOD} {number * 7919}")
    assert status(site) == "approved"


def test_a_worker_ends_a_wave_without_requests(site: Host) -> None:
    flood(site)
    site.clock.advance(minutes=40)
    with heard(wave_ended) as ended:
        site.app.test_cli_runner().invoke(args=["moderate", "worker", "--once"])
    assert len(ended) == 1


def test_a_wave_does_not_hold_a_trusted_author_unless_the_identity_is_only_claimed(site: Host) -> None:
    site.author = Author("Ada", "ada@mail.example", id="u:1")
    for number in range(3):
        assert write(site, f"{GOOD} {number}")["status"] == "approved"
    site.author = None
    flood(site)
    assert status(site, author="Ada", email="ada@mail.example") == "pending"
    site.author = Author("Ada", "ada@mail.example", id="u:1")
    assert status(site) == "approved"
    site.author = Author("New", "new@mail.example", id="u:2")
    assert status(site) == "pending"


def test_a_trackback_is_held_during_a_wave(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none", MODERATE_VERIFY_PINGS="off")
    site.add_article("a0")
    flood(site)
    site.client.post("/discuss/trackback/thaw", data={"url": "https://blog.example/1", "title": "T", "excerpt": "E"})
    item = site.client.get("/discuss/moderation/items?kind=trackback", headers=site.token()).json["items"][0]
    assert (item["status"], [finding["check"] for finding in item["findings"]]) == ("pending", ["wave"])


def test_limits_are_stricter_during_a_wave(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={"comments": ["40/minute per client"]}, MODERATE_PREMODERATION="none")
    site.add_article("a0")
    flood(site)
    site.clock.advance(minutes=5)
    passed = sum("id" in write(site, f"{GOOD} {number}", ip="192.0.2.99") for number in range(20))
    assert passed == 10
    site.clock.advance(minutes=40)
    assert status(site) == "approved"
    assert sum("id" in write(site, f"{GOOD} and {number}", ip="192.0.2.98") for number in range(20)) == 20


def test_another_process_applies_the_wave_within_seconds(site: Host, tmp_path: Path) -> None:
    other = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    assert status(other) == "approved"
    flood(site)
    other.clock.advance(seconds=4)
    assert status(other) == "pending"


def test_a_suspicious_comment_is_counted_in_the_transaction_that_stores_it(site: Host) -> None:
    flood(site, 12)
    asked = site.statements()
    for ip in ("192.0.2.1", "192.0.2.2"):
        asked.clear()
        write(site, f"{ip} is my lucky number{LINKS}", "a0", ip=ip)
        assert [text for text in asked if text.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]
        assert any("INTO moderate_bursts" in text for text in asked)


def test_comments_cost_few_statements_also_beside_a_trained_filter(site: Host) -> None:
    tokens, store = site.state.desk.services.tokens, site.state.desk.store
    good = features(Writing.of(store.items.get(write(site, GOOD)["id"])), tokens.key())
    for number in range(10):
        tokens.teach(2 * number, good, is_spam=False)
        tokens.teach(2 * number + 1, [number], is_spam=True)
    status(site)
    asked = site.statements()

    def count(text: str, ip: str) -> int:
        asked.clear()
        write(site, text, ip=ip)
        assert [sent for sent in asked if sent.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE", "COMMIT"]
        return len(asked) - 2

    assert count(f"{GOOD} And so did we, who stood there.", "192.0.2.1") == 5
    assert count(f"{GOOD} The harbour master had no idea either.{LINKS}", "192.0.2.7") == 7
    flood(site)
    # The most of all: from a new sender, during a wave.
    assert count(f"{GOOD} Ask at the counter of the other pier.{LINKS}", "192.0.2.8") == 8


def test_a_clean_comment_needs_one_more_statement_every_few_seconds_only(site: Host) -> None:
    status(site)
    asked: list[str] = []

    def note(_conn: object, _cursor: object, text: str, *_rest: object) -> None:
        asked.append(text)

    engine = site.state.desk.store.database.engine
    event.listen(engine, "before_cursor_execute", note)
    for _ in range(5):
        status(site)
    assert not [text for text in asked if "moderate_waves" in text or "moderate_bursts" in text]
    site.clock.advance(seconds=4)
    status(site)
    event.remove(engine, "before_cursor_execute", note)
    assert len([text for text in asked if "moderate_waves" in text]) == 1
    assert not [text for text in asked if "moderate_bursts" in text]
