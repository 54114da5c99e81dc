"""Flask-Migrate at a host that shares its engine with moderate."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.hosts.magazine import app as magazine
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


#: Runs the commands that it is given, each as one argument, in a process of their own: Alembic's set-up of logging
#: switches off the loggers of its caller.
RUN = """
import sys
from tests.hosts.magazine.app import create_app
runner = create_app().test_cli_runner()
for command in sys.argv[1:]:
    done = runner.invoke(args=command.split())
    print(done.output)
    if done.exit_code:
        raise done.exception or SystemExit(done.exit_code)
"""


class Deployment:
    """A folder and a database in which the magazine's ``flask …`` commands run."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database

    def flask(self, *commands: str) -> str:
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "MAGAZINE_FOLDER": str(self.folder),
            "MAGAZINE_DATABASE": self.database,
        }
        process = [sys.executable, "-c", RUN, *commands]
        done = subprocess.run(process, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def within(self, act: Callable[[], object]) -> object:
        """Call *act* within the app context of the magazine."""
        app = magazine.create_app(self.folder, {"TESTING": True, "SQLALCHEMY_DATABASE_URI": self.database})
        try:
            with app.app_context():
                found = act()
                magazine.db.session.remove()
                magazine.db.engine.dispose()
                return found
        finally:
            magazine.moderate.close(app)


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    if request.param == "sqlite":
        return Deployment(tmp_path, f"sqlite:///{tmp_path}/site.sqlite3")
    return Deployment(tmp_path, request.getfixturevalue("pg_url"))


def test_the_hosts_next_migration_leaves_comments_where_they_are(deployment: Deployment) -> None:
    deployment.flask("db init", "db migrate -m begin", "db upgrade", "moderate db upgrade")

    def write() -> None:
        magazine.fill()
        receipt = magazine.moderate.submit("1", "It froze twice.", author="Mika")
        magazine.moderate.decide(receipt.item.id, "approve", version=1, by="mori")

    deployment.within(write)
    told = deployment.flask("db migrate -m next", "db upgrade", "moderate db check")
    assert "No changes in schema detected" in told
    assert deployment.within(lambda: magazine.moderate.counts([1])[1].comments) == 1
