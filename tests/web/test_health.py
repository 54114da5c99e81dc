"""Health: what a monitor and a load balancer ask every second, and what a moderator asks when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from moderate.acts.housekeeping import check_up
from moderate.services.akismet_stand_in import AkismetStandIn
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


READS = ("SELECT", "BEGIN", "PRAGMA MAIN.TABLE_")


@pytest.fixture
def akismet() -> Iterator[AkismetStandIn]:
    with AkismetStandIn() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, akismet: AkismetStandIn) -> Iterator[Host]:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="a key", MODERATE_AKISMET_URL=akismet.url)
    yield host
    host.close()


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Host]:
    """A site whose Akismet is away: nobody listens at port 1."""
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="a key", MODERATE_AKISMET_URL="http://127.0.0.1:1")
    yield host
    host.close()


def look(host: Host, query: str = "", **headers: str) -> Any:
    return host.client.get(f"/discuss/health{query}", headers=headers)


def worker_looks(host: Host) -> bool:
    with host.app.app_context():
        return check_up(host.state.desk)


def test_a_look_writes_nothing_and_asks_no_other_site(site: Host, akismet: AkismetStandIn) -> None:
    look(site)
    asked = []
    event.listen(site.state.desk.store.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    for _ in range(3):
        assert look(site).json["akismet"] == "unknown"
    assert asked
    assert [statement for statement in asked if not statement.lstrip().upper().startswith(READS)] == []
    assert akismet.received == []


def test_what_a_worker_found_is_told_by_every_process(site: Host, tmp_path: Path, akismet: AkismetStandIn) -> None:
    assert worker_looks(site)
    other = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_AKISMET_KEY="a key", MODERATE_AKISMET_URL=akismet.url)
    assert look(other).json["akismet"] == "ok"
    other.close()


def test_workers_ask_once_in_ten_minutes_all_together(site: Host, akismet: AkismetStandIn) -> None:
    assert [worker_looks(site) for _ in range(3)] == [True, False, False]
    assert len(akismet.received) == 1
    site.clock.advance(minutes=10)
    assert worker_looks(site)
    assert len(akismet.received) == 2


def test_a_service_that_is_away_is_down_and_a_word_of_old_is_not_believed(lonely: Host) -> None:
    worker_looks(lonely)
    answer = look(lonely)
    assert (answer.status_code, answer.json["status"], answer.json["akismet"]) == (503, "degraded", "down")
    lonely.clock.advance(hours=2)
    assert look(lonely).json["akismet"] == "unknown"


def test_a_moderator_has_it_asked_now_and_is_told_what_to_do(lonely: Host) -> None:
    answer = look(lonely, "?deep=1", **lonely.token())
    assert answer.status_code == 503
    assert "Akismet" not in answer.json["details"]["database"]
    assert "nothing is published meanwhile" in answer.json["advice"]["akismet"]
    assert lonely.state.desk.store.kept("akismet") is None
    assert look(lonely, "?deep=1").status_code == 401


def test_one_part_may_decide_alone(lonely: Host) -> None:
    worker_looks(lonely)
    assert look(lonely, "?part=database").status_code == 200
    assert look(lonely, "?part=database").json["akismet"] == "down"
    assert look(lonely, "?part=akismet").status_code == 503
    assert look(lonely, "?part=weather").json["code"] == "invalid"


def test_without_its_database_nothing_waits_for_it_twice(tmp_path: Path) -> None:
    site = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'no' / 'where.db'}")
    answer = look(site)
    assert answer.status_code == 503
    assert [answer.json[name] for name in ("database", "akismet", "tasks")] == ["down", "unknown", "down"]
