"""Numbers for Prometheus: right whichever process answers, and only for whom the setting names."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from moderate import Moderator
from moderate.tasks.housekeeping import tidy
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def public(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LIMITS={}, MODERATE_METRICS="public", MODERATE_HONEYPOT="homepage")


def numbers(host: Host) -> dict[tuple[str, ...], float]:
    """All samples by name and the values of their labels, in the order of the labels' names."""
    answer = host.client.get("/discuss/metrics")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_item_metrics_equal_the_counters(public: Host) -> None:
    for number in range(3):
        public.comment(f"Text number {number}")
    public.decide(1, "approve")
    public.clock.advance(seconds=90)
    found = numbers(public)
    assert found["moderate_items", "comment", "approved"] == 1
    assert found["moderate_items", "comment", "pending"] == 2
    assert sum(number for name, number in found.items() if name[0] == "moderate_items") == public.total()
    assert found["moderate_oldest_waiting_seconds",] == 90


def test_waiting_time_counts_from_when_an_item_became_pending(public: Host) -> None:
    public.comment()
    public.decide(1, "approve")
    public.clock.advance(days=320)
    public.decide(1, "hold", version=2)
    public.clock.advance(seconds=30)
    assert numbers(public)["moderate_oldest_waiting_seconds",] == 30
    public.moderator = Moderator("mori")
    assert "The oldest has waited for less than a minute." in public.client.get("/discuss/moderation/").text


def test_decisions_against_a_check_are_counted_for_that_check(public: Host) -> None:
    public.trapped("Good words")
    public.trapped("Bad words")
    public.decide(1, "approve")
    found = numbers(public)
    assert found["moderate_verdicts_total", "honeypot", "spam"] == 2
    assert found["moderate_overrides_total", "approved", "spam", "honeypot"] == 1
    assert found["moderate_decisions_total", "decided", "approved", "spam"] == 1


def test_counted_events_are_stored_and_not_counted_again(public: Host) -> None:
    """Housekeeping keeps what has settled; the numbers are the same before, after, and in another process."""
    public.trapped("One")
    public.clock.advance(seconds=600)
    public.trapped("Two")
    before = numbers(public)["moderate_verdicts_total", "honeypot", "spam"]
    # A line may come to light after younger ones, so the last minutes are counted anew each time.
    public.clock.advance(seconds=60)
    with public.app.app_context():
        assert tidy(public.state.desk)
        kept = public.state.desk.store.states.get("tally")
    assert kept is not None
    assert (kept.value["upto"], kept.value["verdicts"]) == (1, [["honeypot", "spam", 1]])
    assert numbers(public)["moderate_verdicts_total", "honeypot", "spam"] == before == 2
    public.clock.advance(hours=2)
    with public.app.app_context():
        assert tidy(public.state.desk)
    assert numbers(public)["moderate_verdicts_total", "honeypot", "spam"] == 2


def test_a_long_history_is_reported_once_a_worker_has_counted_it(public: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderate.monitoring.sql.STEP", 1)
    public.trapped("One")
    public.trapped("Two")
    assert not [name for name in numbers(public) if name[0] == "moderate_verdicts_total"]
    public.clock.advance(seconds=600)
    with public.app.app_context():
        assert tidy(public.state.desk)
    assert numbers(public)["moderate_verdicts_total", "honeypot", "spam"] == 2


def test_a_recount_is_reported_with_its_time(public: Host) -> None:
    assert not [name for name in numbers(public) if name[0] == "moderate_counters_drifted"]
    public.app.test_cli_runner().invoke(args=["moderate", "recount"])
    assert numbers(public)["moderate_counters_drifted",] == 0
    assert numbers(public)["moderate_last_recount_timestamp_seconds",] == public.clock.now().timestamp()


def test_the_duration_and_findings_of_checks_are_reported_per_process(public: Host) -> None:
    public.trapped("One")
    public.comment("Two")
    found = numbers(public)
    assert found["moderate_process_findings_total", "honeypot", "hold"] == 1
    assert found["moderate_process_findings_total", "honeypot", "passed"] == 1
    assert found["moderate_process_check_seconds_bucket", "honeypot", "+Inf"] == 2


def test_metrics_of_two_sites_in_one_process_are_separate(public: Host, tmp_path: Path) -> None:
    other = Host(tmp_path / "other", MODERATE_LIMITS={}, MODERATE_METRICS="public")
    public.comment("Here")
    assert numbers(public)["moderate_items", "comment", "pending"] == 1
    assert numbers(other)["moderate_items", "comment", "pending"] == 0


def test_moderators_may_read_metrics_by_default(host: Host) -> None:
    assert host.client.get("/discuss/metrics").status_code == 401
    assert host.client.get("/discuss/metrics", headers=host.token()).status_code == 200


def test_metrics_can_be_turned_off(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_METRICS="off")
    answer = site.client.get("/discuss/metrics", headers=site.token())
    assert (answer.status_code, answer.json["code"]) == (404, "not-found")


def test_the_error_for_a_missing_extra_names_what_to_install(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden: Any = None
    monkeypatch.setitem(sys.modules, "prometheus_client", hidden)
    answer = host.client.get("/discuss/metrics", headers=host.token())
    assert (answer.status_code, answer.json["detail"]) == (404, "Install flask-moderate[metrics] to have metrics.")
