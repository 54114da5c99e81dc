"""Hosts whose own Alembic migrates the database that moderate's tables are in."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

#: A host with one engine for both, as the page on embedding describes, and Flask-Migrate.
FLASK_MIGRATE = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
import moderate as package
from moderate import Article, Moderate

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SITE_DATABASE"]
db = SQLAlchemy(app)
moderate = Moderate(engine=lambda: db.engine)
moderate.article_loader(lambda key: Article(key, "A title", url=f"https://news.example/{key}"))
moderate.init_app(app)
filters = {
    "extension": {"include_name": moderate.include_name},
    "package": {"include_name": package.include_name},
    "composed": {"include_name": moderate.include_name(lambda name, type_, parents: name != "legacy")},
    "object": {"include_object": lambda item, name, type_, *_: not str(name).startswith("moderate_")},
    "none": {},
}
Migrate(app, db, **filters[os.environ["SITE_FILTER"]])


class Post(db.Model):
    id = db.Column(db.Integer, primary_key=True)


class ModerateLater(db.Model):
    # A table of the host whose name begins like ours.
    __tablename__ = "moderate_later"
    id = db.Column(db.Integer, primary_key=True)
"""

FILL = """
with app.app_context():
    receipt = moderate.submit("first", "Kept through all migrations", author="Mika")
    print("stored", receipt.item.id)
"""


class Site:
    """A host in a folder of its own, which its commands are run in."""

    def __init__(self, folder: Path, source: str, **environment: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "FLASK_APP": "site_app", **environment}
        (folder / "site_app.py").write_text(source, encoding="utf-8")

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def flask(self, *words: str, code: int = 0) -> str:
        return self.run("flask", *words, code=code)

    def together(self, *commands: tuple[str, ...]) -> list[str]:
        """Run several commands of Flask in one process, and return what each has printed."""
        script = (
            f"for words in {commands!r}:\n"
            "    result = app.test_cli_runner().invoke(args=words)\n"
            "    assert result.exit_code == 0, result.output\n"
            "    print(result.output, end='\\0')\n"
        )
        return self.python(script).split("\0")[: len(commands)]

    def python(self, source: str) -> str:
        (self.folder / "script.py").write_text(f"from site_app import *\n{source}", encoding="utf-8")
        return self.run("script")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'site.sqlite3'}"
    address: str = request.getfixturevalue("pg_url" if request.param == "postgresql" else "mariadb_url")
    return address


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_migrations_of_the_host_do_not_affect_comments(tmp_path: Path, url: str) -> None:
    site = Site(tmp_path, FLASK_MIGRATE, SITE_DATABASE=url, SITE_FILTER="extension")
    assert "New and empty tables were made" in site.flask("moderate", "db", "upgrade")
    assert "stored 1" in site.python(FILL)
    site.together(("db", "init"), ("db", "migrate", "-m", "first"), ("db", "upgrade"))
    assert {"post", "moderate_later", "moderate_items", "moderate_alembic_version"} <= tables(url)
    shown = site.together(
        ("db", "check"),
        ("moderate", "db", "upgrade"),
        ("moderate", "db", "check"),
        ("moderate", "queue"),
        ("moderate", "check-config"),
    )
    expected = (
        "No new upgrade operations",
        "already",
        "those of this version",
        "Kept through all migrations",
        "migrations: ok.",
    )
    assert all(words in output for words, output in zip(expected, shown, strict=True)), shown


@pytest.mark.parametrize("kind", ["package", "composed", "object"])
def test_each_way_to_exclude_the_tables_is_recognized(tmp_path: Path, kind: str) -> None:
    url = f"sqlite:///{tmp_path / 'site.sqlite3'}"
    site = Site(tmp_path, FLASK_MIGRATE, SITE_DATABASE=url, SITE_FILTER=kind)
    assert "migrations: ok." in site.together(("moderate", "db", "upgrade"), ("moderate", "check-config"))[1]


def test_a_missing_filter_is_warned_about_and_lost_tables_are_noticed(tmp_path: Path, pg_url: str) -> None:
    site = Site(tmp_path, FLASK_MIGRATE, SITE_DATABASE=pg_url, SITE_FILTER="none")
    site.flask("moderate", "db", "upgrade")
    said = site.flask("moderate", "check-config")
    assert (
        "migrations: warning: Flask-Migrate would drop moderate's tables. Write Migrate(app, db, include_name" in said
    )
    engine = create_engine(pg_url)
    with engine.begin() as conn:
        conn.execute(text("DROP TABLE moderate_items CASCADE"))
    engine.dispose()
    for words in (("upgrade",), ("check",)):
        said = site.flask("moderate", "db", *words, code=1)
        assert "moderate_items" in said
        assert "Restore them from a backup" in said
        assert "Traceback" not in said
    assert "database: tables missing." in site.flask("moderate", "check-config", code=1)
    assert "moderate_items" not in tables(pg_url)


def test_a_separate_database_needs_no_filter(tmp_path: Path) -> None:
    site = Site(
        tmp_path, FLASK_MIGRATE.replace("engine=lambda: db.engine", ""), SITE_DATABASE="sqlite://", SITE_FILTER="none"
    )
    assert "migrations" not in site.flask("moderate", "check-config")


#: A host with plain Alembic, whose ``env.py`` creates the app. Its comments are in the embedded database.
FACTORY = """
from flask import Flask
from moderate import Article, Moderate

moderate = Moderate()
moderate.article_loader(lambda key: Article(key, "A title", url=f"https://news.example/{key}"))


def create_app():
    app = Flask(__name__)
    moderate.init_app(app)
    return app
"""

ENV = """
from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
from moderate import include_name
from site_app import create_app

app = create_app()
metadata = MetaData()
Table("posts", metadata, Column("id", Integer, primary_key=True))
assert context.config.get_main_option("script_location")
with create_engine("sqlite:///{database}").connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
"""

INI = "[alembic]\nscript_location = scripts\nprepend_sys_path = .\npath_separator = os\n"


@pytest.mark.parametrize("shared", [False, True], ids=["other database", "same database"])
def test_plain_alembic_may_create_the_app_on_a_new_machine(tmp_path: Path, shared: bool) -> None:
    site = Site(tmp_path, FACTORY)
    site.run("alembic", "init", "scripts")
    database = tmp_path / ("instance/moderate.sqlite3" if shared else "site.sqlite3")
    (tmp_path / "scripts" / "env.py").write_text(ENV.replace("{database}", str(database)))
    (tmp_path / "alembic.ini").write_text(INI)
    site.run("alembic", "revision", "--autogenerate", "-m", "first")
    site.run("alembic", "upgrade", "head")
    assert "posts" in tables(f"sqlite:///{database}")
    assert "moderate_items" in tables(f"sqlite:///{tmp_path}/instance/moderate.sqlite3")
    assert ("Alembic works on this database too" in site.flask("moderate", "check-config")) == shared
