"""``flask moderate spam-report``: what the filter has learned, and how the checks do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from moderate.cli import learning
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

MANY = "See https://a.example https://b.example https://c.example"


def run(host: Host, *words: str) -> Result:
    result = host.app.test_cli_runner().invoke(args=["moderate", "spam-report", *words])
    assert result.exit_code == 0, result.output
    return result


def report(host: Host, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(host, *words, "--json").stdout.splitlines()[-1])
    return found


@pytest.fixture
def judged(host: Host) -> Host:
    """Three items that a check holds, two that it marks, and two that none objects to."""
    for number in range(3):
        host.comment(f"{number} {MANY}")
    for number in range(2):
        host.trapped(f"Spam {number}")
    for number in range(2):
        host.comment(f"The river froze {number}")
    return host


def test_agreement_is_counted_by_check_and_status(judged: Host) -> None:
    judged.decide(1, "approve")
    judged.decide(2, "spam")
    judged.decide(4, "approve")
    found = report(judged)
    assert found["days"] == 30
    assert found["checks"] == [
        {"check": None, "status": "pending", "items": 2, "agreed": 0, "disagreed": 0, "undecided": 2},
        {"check": "honeypot", "status": "spam", "items": 2, "agreed": 0, "disagreed": 1, "undecided": 1},
        {"check": "links", "status": "pending", "items": 3, "agreed": 1, "disagreed": 1, "undecided": 1},
    ]
    assert found["held"] == {"items": 5, "agreed": 1, "disagreed": 1, "undecided": 3}
    assert found["marked"] == {"items": 2, "agreed": 0, "disagreed": 1, "undecided": 1}
    assert found["published"]["items"] == 0


def test_a_decision_to_hold_what_waits_is_neither(judged: Host) -> None:
    judged.decide(1, "hold")
    assert report(judged)["held"]["undecided"] == 5


def test_each_decision_agrees_or_disagrees_with_the_status_that_a_check_gave(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    decisions = ("approve", "hold", "spam", "trash")
    for decision in decisions:
        for sent in (host.comment(f"{decision} {MANY}"), host.trapped(decision), host.comment(f"The river {decision}")):
            host.decide(sent.json["id"], decision)
    found = report(host)
    assert found["held"] == {"items": 4, "agreed": 2, "disagreed": 1, "undecided": 1}
    assert found["marked"] == {"items": 4, "agreed": 2, "disagreed": 2, "undecided": 0}
    assert found["published"] == {"items": 4, "agreed": 1, "disagreed": 3, "undecided": 0}


def test_what_was_published_and_removed_later_is_told(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    for number in range(4):
        host.comment(f"The river froze {number}")
    host.decide(1, "trash")
    # Approving what is public, and calling spam what a check has marked, are decisions as well.
    host.decide(2, "approve")
    host.trapped()
    host.decide(5, "spam")
    found = report(host)
    assert found["published"] == {"items": 4, "agreed": 1, "disagreed": 1, "undecided": 2}
    assert found["marked"] == {"items": 1, "agreed": 1, "disagreed": 0, "undecided": 0}
    assert "Of 4 published ones, 1 (25.0%) were removed later." in run(host).stdout


def test_the_table_names_each_check_once_for_each_status(judged: Host) -> None:
    judged.decide(1, "approve")
    lines = run(judged).stdout.splitlines()
    assert [line.split() for line in lines if line.startswith("links")] == [["links", "held", "3", "0", "1", "2"]]
    assert [line.split() for line in lines if line.startswith("honeypot")] == [
        ["honeypot", "marked", "2", "0", "0", "2"]
    ]
    assert [line.split() for line in lines if line.startswith("none")] == [["none", "held", "2", "0", "0", "2"]]
    assert "Of 1 held ones that were decided, 1 (100.0%) were approved." in lines


def test_what_was_judged_before_the_days_is_left_out(judged: Host) -> None:
    judged.clock.advance(days=3)
    judged.comment(f"Late {MANY}")
    assert report(judged, "--days", "2")["held"]["items"] == 1
    assert report(judged, "--days", "4")["held"]["items"] == 6


def test_a_long_history_is_counted_in_parts(judged: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    judged.decide(1, "approve")
    whole = report(judged)
    monkeypatch.setattr(learning, "LINES", 2)
    assert report(judged) == whole


def test_the_filter_is_described_without_its_words(judged: Host, tmp_path: Path) -> None:
    assert "It finds nothing until it has learned from 10 of each." in run(judged).stdout
    path = tmp_path / "texts.jsonl"
    texts = [{"text": f"cheap watches number{n}", "label": "spam" if n % 2 else "ham"} for n in range(20)]
    for label in ("ham", "spam"):
        # One kind alone is not enough.
        assert not report(judged)["filter"]["is_in_use"]
        path.write_text("".join(json.dumps(text) + "\n" for text in texts if text["label"] == label))
        judged.app.test_cli_runner().invoke(args=["moderate", "teach", str(path)])
    judged.decide(1, "approve")
    judged.state.worker.drain()
    learned = report(judged)["filter"]
    assert (learned["spam"], learned["good"], learned["from_files"], learned["is_in_use"]) == (10, 11, 20, True)
    assert learned["tokens"] > 20
    assert not learned["marks_spam"]
    shown = run(judged).stdout
    assert "10 spam and 11 good texts, 20 of them from files." in shown
    assert "It only holds, and marks nothing as spam until it has learned from 50 of each." in shown
    assert "watches" not in shown


def test_a_site_without_items_has_a_report(host: Host) -> None:
    assert report(host)["checks"] == []
    assert "Of 0 published ones, 0 were removed later." in run(host).stdout
