"""Old data is deleted, in steps that no time limit of the database stops, and an alarm reports data that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, text

from moderate.database.schema import items
from moderate.tasks.housekeeping import CLAIMED, RETENTION, forget
from moderate.testing import ManualClock
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

OLD = 400

#: As many items as fit into one batch, which takes twice as long as `SLOW` allows.
SLOWER = 100

#: Statements are cancelled as by a statement_timeout of 300 ms on a server where the change of an item takes 6 ms, that
#: of one item {one} ms. The time is only counted, so that none passes, and other statements have no limit.
SLOW = """
CREATE FUNCTION begin_statement() RETURNS trigger AS $$ BEGIN
  PERFORM set_config('slow.spent', '0', true); RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN
  PERFORM set_config('slow.spent', CAST(
    CAST(current_setting('slow.spent') AS int) + CASE WHEN OLD.id = 7 THEN {one} ELSE 6 END AS text), true);
  IF CAST(current_setting('slow.spent') AS int) > 300 THEN
    RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled';
  END IF;
  RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER begin_statement BEFORE UPDATE OF ip ON moderate_items EXECUTE FUNCTION begin_statement();
CREATE TRIGGER slow BEFORE UPDATE OF ip ON moderate_items FOR EACH ROW EXECUTE FUNCTION slow();
"""

REFUSES = """
CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse BEFORE DELETE ON moderate_items FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A site with many approved comments, and one of spam."""
    database = {"postgresql": "pg_url", "mariadb": "mariadb_url"}.get(request.param)
    return filled(tmp_path, request.getfixturevalue(database) if database else None)


@pytest.fixture
def timed(tmp_path: Path, pg_url: str) -> Site:
    """The same on PostgreSQL, with fewer comments."""
    return filled(tmp_path, pg_url, SLOWER)


class Stopwatch(ManualClock):
    """A clock on which some time goes by between two looks at its seconds."""

    step = 0.0

    def monotonic(self) -> float:
        self.advance(seconds=self.step)
        return super().monotonic()


class Site(Host):
    clock: Stopwatch


def filled(folder: Path, url: str | None, number: int = OLD) -> Site:
    clock = Stopwatch()
    host = Site(folder, MODERATE_DATABASE_URL=url, MODERATE_LIMITS={}, extension={"clock": clock})
    host.clock = clock
    if url:
        assert host.app.test_cli_runner().invoke(args=["moderate", "db", "upgrade"]).exit_code == 0
    host.comment("A good text")
    host.comment("Another good text, which is decided to be spam")
    host.decide(1, "approve")
    host.decide(2, "spam")
    with host.app.app_context(), host.state.desk.store.database.write() as conn:
        row = conn.execute(items.select().where(items.c.id == 1)).one()._asdict()
        for name in ("id", "idempotency_key", "token_hash"):
            row.pop(name, None)
        conn.execute(insert(items), [{**row, "id": each} for each in range(3, number + 1)])
    return host


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        for statement in statements:
            conn.execute(text(statement))
    engine.dispose()


def left(host: Host) -> tuple[int, int]:
    """The number of items with an address, and of spam."""
    with host.state.desk.store.database.read() as conn:
        with_address = conn.execute(text("SELECT count(*) FROM moderate_items WHERE ip IS NOT NULL")).scalar_one()
        spam = conn.execute(text("SELECT count(*) FROM moderate_items WHERE status = 'spam'")).scalar_one()
    return with_address, spam


def look_after(host: Host) -> None:
    """Work as long as there is something to do or to forget."""
    host.state.worker.drain()


def health(host: Host, query: str = "") -> tuple[int, Any]:
    answer = host.client.get(f"/discuss/health{query}", headers=host.token())
    return answer.status_code, answer.json


@pytest.mark.parametrize("kept", [{"ip": 0}, {"ip": 90}, {"user_agent": 0, "ip": 20}])
def test_what_akismet_was_asked_is_removed_with_the_first_value_in_it(tmp_path: Path, kept: dict[str, int]) -> None:
    clock = ManualClock()
    host = Host(tmp_path, MODERATE_RETENTION={"user_agent": 20, **kept}, extension={"clock": clock})
    host.comment("A good text")
    with host.app.app_context():
        samples = host.state.desk.store.samples
        samples.save(1, {}, "ham", None, clock.now())
        clock.advance(days=19)
        forget(host.state.desk)
        assert samples.get(1) is not None
        clock.advance(days=2)
        forget(host.state.desk)
        assert samples.get(1) is None


def test_old_data_is_deleted_on_each_database(site: Site) -> None:
    site.clock.advance(days=29)
    look_after(site)
    assert left(site) == (OLD, 1)
    site.clock.advance(days=2)
    look_after(site)
    assert left(site) == (OLD - 1, 0)
    site.clock.advance(days=60)
    look_after(site)
    assert left(site) == (0, 0)
    assert health(site)[1].get("retention") is None


def test_a_statement_timeout_of_the_server_makes_the_batches_smaller(timed: Host, pg_url: str) -> None:
    execute(pg_url, SLOW.format(one=6))
    timed.clock.advance(days=91)
    look_after(timed)
    assert left(timed) == (0, 0)
    assert health(timed)[1].get("retention") is None


def test_a_row_that_cannot_be_changed_does_not_block_others(timed: Host, pg_url: str) -> None:
    execute(pg_url, SLOW.format(one=2000))
    timed.clock.advance(days=91)
    look_after(timed)
    assert left(timed) == (1, 0)
    status, body = health(timed, "?deep=1")
    assert (status, body["status"], body["retention"]) == (200, "degraded", "late")
    assert "ip: canceling statement due to statement timeout" in body["details"]["retention"]
    assert health(timed, "?part=retention")[0] == 503
    execute(pg_url, "DROP TRIGGER slow ON moderate_items")
    timed.clock.advance(minutes=11)
    look_after(timed)
    assert left(timed) == (0, 0)
    assert health(timed)[1].get("retention") is None


def test_a_row_that_cannot_be_changed_is_reported_where_a_round_takes_several_turns(timed: Site, pg_url: str) -> None:
    execute(pg_url, SLOW.format(one=2000))
    timed.clock.advance(days=91)
    timed.clock.step = 2.0
    with timed.app.app_context():
        assert any(not forget(timed.state.desk) for _ in range(2 * SLOWER))
    assert left(timed) == (1, 0)
    assert health(timed)[1]["retention"] == "late"


def test_a_failing_kind_of_data_does_not_block_others(timed: Host, pg_url: str) -> None:
    execute(pg_url, REFUSES)
    timed.clock.advance(days=91)
    look_after(timed)
    assert left(timed) == (0, 1)
    assert health(timed)[1]["retention"] == "late"
    result = timed.app.test_cli_runner().invoke(args=["moderate", "check-config"])
    assert result.exit_code == 1
    assert "retention: late, spam: " in result.output


def test_retention_continues_where_another_worker_has_stopped(site: Site) -> None:
    site.clock.advance(days=91)
    site.clock.step = 2.0
    with site.app.app_context():
        forget(site.state.desk)
        assert site.state.desk.store.states.get(RETENTION).value["ip"]["position"] > 0
    assert 0 < left(site)[0] < OLD
    site.clock.step = 0.0
    look_after(site)
    assert left(site) == (0, 0)


def test_a_round_looks_at_what_has_become_old_and_once_a_week_at_all(tmp_path: Path) -> None:
    site = filled(tmp_path, None)
    site.clock.advance(days=95)
    look_after(site)
    assert left(site) == (0, 0)
    with site.state.desk.store.database.write() as conn:
        conn.execute(text("UPDATE moderate_items SET ip = '192.0.2.1' WHERE id = 5"))
    site.clock.advance(days=6)
    look_after(site)
    assert left(site) == (1, 0)
    site.clock.advance(days=1)
    look_after(site)
    assert left(site) == (0, 0)


def test_a_worker_removes_turn_after_turn_until_nothing_is_left(tmp_path: Path) -> None:
    site = filled(tmp_path, None)
    site.clock.advance(days=91)
    site.clock.step = 2.0
    look_after(site)
    assert left(site) == (0, 0)


def test_an_error_is_reported_until_a_round_is_complete(tmp_path: Path) -> None:
    site = filled(tmp_path, None)
    site.clock.advance(days=91)
    now = site.clock.now()
    failed = {"done": now.timestamp(), "failed": now.timestamp(), "error": "no room"}
    with site.app.app_context():
        site.state.desk.store.states.keep(RETENTION, {"ip": failed}, now)
        site.clock.advance(minutes=11)
        site.clock.step = 2.0
        assert forget(site.state.desk)
        assert health(site)[1]["retention"] == "late"
        site.clock.step = 0.0
        forget(site.state.desk)
    assert left(site) == (0, 0)
    assert health(site)[1].get("retention") is None


def test_one_worker_at_a_time_removes_and_another_goes_on_where_it_died(tmp_path: Path) -> None:
    site = filled(tmp_path, None)
    site.clock.advance(days=91)
    now = site.clock.now()
    with site.app.app_context():
        site.state.desk.store.states.keep(RETENTION, {CLAIMED: now.timestamp()}, now)
        site.clock.advance(seconds=59)
        assert not forget(site.state.desk)
        assert left(site) == (OLD, 1)
        site.clock.advance(seconds=1)
        forget(site.state.desk)
    assert left(site) == (0, 0)


def test_a_site_without_workers_warns_that_no_data_is_deleted(tmp_path: Path) -> None:
    host = filled(tmp_path, None)
    assert health(host)[1].get("retention") is None
    host.clock.advance(days=32)
    assert health(host)[1]["retention"] == "late"
    look_after(host)
    assert health(host)[1].get("retention") is None
    host.clock.advance(days=2)
    assert health(host)[1]["retention"] == "late"
