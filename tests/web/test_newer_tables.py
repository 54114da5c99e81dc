"""Deploys and rollbacks: code that is older than the tables goes on for as long as it can, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from moderate import Moderator
from moderate.database.migrate import VERSION_TABLE
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

DATABASES = ("embedded", "postgresql", "mariadb")

ADDITIONS = (
    "ALTER TABLE moderate_items ADD COLUMN mood VARCHAR(20)",
    "ALTER TABLE moderate_items ADD COLUMN weight INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE moderate_counters ADD COLUMN moods INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE moderate_moods (name VARCHAR(20) PRIMARY KEY, ink VARCHAR(9) NOT NULL)",
)


@pytest.fixture(params=DATABASES)
def new_site(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Host]:
    """Start a process of the same site, again and again."""
    config: dict[str, Any] = {"MODERATE_LIMITS": {}}
    if request.param != "embedded":
        name = "pg_url" if request.param == "postgresql" else "mariadb_url"
        config["MODERATE_DATABASE_URL"] = request.getfixturevalue(name)

    def start() -> Host:
        host = Host(tmp_path, **config)
        host.moderator = Moderator("mori")
        return host

    with start().app.app_context():
        start().state.tables.upgrade()
    return start


def run(site: Host, *command: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["moderate", *command])


def migrate(site: Host, *statements: str) -> None:
    """Do what an upgrade by a later version does to the tables."""
    with site.state.desk.store.database.write() as conn:
        for statement in statements:
            conn.execute(text(statement))
        conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0099'"))


def works(site: Host) -> bool:
    """Post a comment, approve it, and see it on its page."""
    said = f"Number {site.total()}."
    posted = site.comment(said)
    assert posted.status_code == 202
    assert site.decide(posted.json["id"], "approve").status_code == 200
    assert site.client.get("/discuss/moderation/").status_code == 200
    return said in site.client.get("/thaw").text


def test_older_code_works_after_a_rollback_and_warns_of_newer_tables(
    new_site: Callable[[], Host],
) -> None:
    migrate(new_site(), *ADDITIONS)
    site = new_site()
    assert works(site)
    answer = site.client.get("/discuss/health")
    assert (answer.status_code, answer.json["status"], answer.json["database"]) == (200, "ok", "newer")
    for command in (("check-config",), ("db", "check"), ("db", "upgrade")):
        result = run(site, *command)
        assert result.exit_code == 0, result.output
        assert "Its tables are of version 0099, newer than this code" in result.output
        assert "There is nothing to do" in result.output
        assert "flask moderate db upgrade" not in result.output
    with site.app.app_context():
        site.moderate.create_tables()
    assert works(site)


def test_old_and_new_processes_work_side_by_side_during_an_upgrade(new_site: Callable[[], Host]) -> None:
    old = new_site()
    # So often that the driver has prepared its statements.
    for _ in range(7):
        assert works(old)
    migrate(new_site(), *ADDITIONS)
    new = new_site()
    for _ in range(3):
        assert works(old)
        assert works(new)
    assert old.client.get("/discuss/health").json["database"] == "newer"
    assert old.counts()["comments"] == 13
    with old.app.app_context():
        assert not any(old.state.desk.store.counters.recount(repair=False))


def test_older_code_that_cannot_use_the_tables_starts_and_names_the_version_to_install(
    new_site: Callable[[], Host],
) -> None:
    migrate(new_site(), "ALTER TABLE moderate_items DROP COLUMN blog_name")
    site = new_site()
    assert "About thaw" in site.client.get("/thaw").text
    assert site.comment().status_code == 503
    answer = site.client.get("/discuss/health")
    assert (answer.status_code, answer.json["database"]) == (503, "down")
    assert site.client.get("/discuss/health?deep=1").json["details"]["database"] == "newer"
    for command in (("check-config",), ("db", "check"), ("db", "upgrade")):
        result = run(site, *command)
        assert result.exit_code == 1
        assert "which needs moderate_items.blog_name. Install the version of flask-moderate" in result.output
        assert "flask moderate db upgrade" not in result.output


def test_tables_without_a_version_are_not_upgraded(new_site: Callable[[], Host]) -> None:
    site = new_site()
    with site.state.desk.store.database.write() as conn:
        conn.execute(text(f"DELETE FROM {VERSION_TABLE}"))
    for command in (("check-config",), ("db", "check"), ("db", "upgrade")):
        result = run(site, *command)
        assert result.exit_code == 1
        assert "moderate_alembic_version is gone or empty" in result.output
