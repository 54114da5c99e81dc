"""Backups and restores: by the command line for SQLite, by the servers' own tools for the others."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine

from moderate.database import migrate
from moderate.database.tables import Tables
from moderate.model import ItemFilter
from tests.next_version import install_next_version
from tests.servers import ROOT, program
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from tests.mariadb_servers import MariaDB
    from tests.servers import PostgreSQL


def run(host: Host, *words: str | Path) -> Result:
    return host.app.test_cli_runner().invoke(args=["moderate", *map(str, words)])


def texts(host: Host) -> set[str]:
    with host.app.app_context():
        return {item.text for item in host.state.desk.store.queue.page(ItemFilter(), cursor=None, limit=200).items}


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of the site."""
    return tmp_path / "site" / "moderate.sqlite3"


@pytest.fixture
def host(path: Path) -> Host:
    """A site with one comment."""
    host = Host(path.parent, MODERATE_LIMITS={})
    host.comment("Before")
    return host


@pytest.fixture
def backup(host: Host, tmp_path: Path) -> Path:
    """A backup that holds one comment; another one has come since."""
    made = tmp_path / "backup.sqlite3"
    assert run(host, "backup", made).exit_code == 0
    host.comment("After")
    return made


def test_a_backup_of_a_running_site_is_one_complete_file(host: Host, path: Path, tmp_path: Path) -> None:
    made = tmp_path / "out" / "backup.sqlite3"
    made.parent.mkdir()
    with host.app.app_context(), host.state.desk.store.database.write():
        # Even a transaction that is under way, and a -wal that holds everything, are no obstacle.
        assert path.with_name("moderate.sqlite3-wal").stat().st_size
        done = run(host, "backup", made)
    assert (done.exit_code, "was checked" in done.output) == (0, True), done.output
    assert files_in(made.parent) == {"backup.sqlite3"}
    assert made.stat().st_mode == path.stat().st_mode
    with closing(sqlite3.connect(made)) as raw:
        assert raw.execute("SELECT text FROM moderate_items").fetchall() == [("Before",)]
    assert files_in(made.parent) == {"backup.sqlite3"}


def test_a_backup_overwrites_a_file_only_when_asked(host: Host, tmp_path: Path) -> None:
    made = tmp_path / "backup.sqlite3"
    made.write_text("Something else.", encoding="ascii")
    refused = run(host, "backup", made)
    assert refused.exit_code == 1
    assert "exists already" in refused.output
    assert made.read_text(encoding="ascii") == "Something else."
    assert run(host, "backup", "--overwrite", made).exit_code == 0
    assert made.read_bytes().startswith(b"SQLite format 3")


def test_a_backup_never_replaces_the_database_itself(host: Host, path: Path) -> None:
    assert run(host, "backup", "--overwrite", path).exit_code == 1
    assert texts(host) == {"Before"}


def test_a_backup_into_a_missing_folder_fails_with_one_line(host: Host, tmp_path: Path) -> None:
    refused = run(host, "backup", tmp_path / "none" / "backup.sqlite3")
    assert refused.exit_code == 1
    assert "could not be written: No such file or directory" in refused.output


def test_a_restore_brings_back_the_backup_and_keeps_the_previous_file(host: Host, path: Path, backup: Path) -> None:
    assert texts(host) == {"Before", "After"}
    done = run(host, "restore", backup)
    assert done.exit_code == 0, done.output
    assert texts(host) == {"Before"}
    host.close()
    (kept,) = files_in(path.parent) - {"moderate.sqlite3"}
    assert str(path.with_name(kept)) in done.output
    with closing(sqlite3.connect(path.with_name(kept))) as raw:
        assert raw.execute("SELECT count(*) FROM moderate_items").fetchone() == (2,)
    assert host.comment("Later").status_code == 202
    assert run(host, "db", "check").exit_code == 0


def test_a_restore_takes_the_wal_beside_its_source(host: Host, path: Path, tmp_path: Path) -> None:
    """As where the files of a site that runs were copied, by a snapshot of the disk say."""
    source = tmp_path / "copied.sqlite3"
    with host.app.app_context(), host.state.desk.store.database.read():
        shutil.copyfile(path, source)
        shutil.copyfile(f"{path}-wal", f"{source}-wal")
    host.comment("After")
    assert run(host, "restore", source).exit_code == 0
    assert texts(host) == {"Before"}
    assert os.path.exists(f"{source}-wal")


def test_a_restore_through_a_symbolic_link_replaces_its_target(tmp_path: Path, backup: Path) -> None:
    """The instance folder may be on another volume than the data, and be created again by each deploy."""
    data, folder = tmp_path / "data", tmp_path / "linked"
    data.mkdir()
    folder.mkdir()
    (folder / "moderate.sqlite3").symlink_to(data / "real.sqlite3")
    host = Host(folder, MODERATE_LIMITS={})
    host.comment("Another")
    assert run(host, "restore", backup).exit_code == 0
    assert texts(host) == {"Before"}
    host.close()
    assert (folder / "moderate.sqlite3").is_symlink()
    assert files_in(folder) == {"moderate.sqlite3"}
    with closing(sqlite3.connect(data / "real.sqlite3")) as raw:
        assert raw.execute("SELECT text FROM moderate_items").fetchall() == [("Before",)]


def test_files_left_by_a_killed_process_do_not_undo_a_restore(tmp_path: Path, path: Path) -> None:
    """The same by `cp` gave back the newer comments, or a damaged database."""
    code = (
        "import os, shutil, sys; from tests.sites import Host; from pathlib import Path\n"
        "folder = Path(sys.argv[1]); host = Host(folder, MODERATE_LIMITS={}); host.comment('Before')\n"
        "host.app.test_cli_runner().invoke(args=['moderate', 'backup', sys.argv[2]])\n"
        "for number in range(30): host.comment(str(number) + ' long' * 500)\n"
        "os._exit(0)"
    )
    backup = tmp_path / "backup.sqlite3"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    subprocess.run([sys.executable, "-c", code, path.parent, backup], env=env, check=True)
    assert path.with_name("moderate.sqlite3-wal").stat().st_size > 100_000
    host = Host(path.parent, MODERATE_LIMITS={})
    assert run(host, "restore", backup).exit_code == 0
    assert texts(host) == {"Before"}
    assert run(host, "db", "check").exit_code == 0


def test_a_damaged_database_can_be_replaced(host: Host, path: Path, backup: Path) -> None:
    host.close()
    path.write_bytes(b"rubbish" * 2000)
    path.with_name("moderate.sqlite3-wal").write_bytes(b"rubbish" * 2000)
    damaged = Host(path.parent, MODERATE_LIMITS={})
    assert run(damaged, "restore", backup).exit_code == 0
    assert texts(damaged) == {"Before"}
    # SQLite may have made an index of the write-ahead log, which holds no data.
    kept = {name for name in files_in(path.parent) if ".before-" in name and "-shm" not in name}
    assert {path.with_name(name).read_bytes() for name in kept} == {b"rubbish" * 2000}


def test_the_error_for_a_damaged_database_has_instructions(
    host: Host, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host.close()
    path.write_bytes(b"rubbish" * 2000)
    damaged = Host(path.parent, MODERATE_LIMITS={})
    assert damaged.comment().status_code == 503
    words = f"{path} is damaged: stop the site, and restore a backup by `flask moderate restore FILE`"
    assert f"database: {words}." in run(damaged, "check-config").output.splitlines()
    assert f"database: {words}" in caplog.messages


def test_a_new_database_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        Host(tmp_path, MODERATE_LIMITS={}, has_tables=False).close()
    assert caplog.messages == [f"A new and empty database was made: {tmp_path / 'moderate.sqlite3'}"]


def test_a_restore_on_a_new_machine_needs_no_existing_database(tmp_path: Path, backup: Path) -> None:
    host = Host(tmp_path / "new", MODERATE_LIMITS={})
    host.close()
    (tmp_path / "new" / "moderate.sqlite3").unlink()
    assert run(host, "restore", backup).exit_code == 0
    assert texts(host) == {"Before"}


def changed(backup: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(backup)) as raw:
        for statement in statements:
            raw.execute(statement)
        raw.commit()
    return backup


def damaged(backup: Path) -> Path:
    data = bytearray(backup.read_bytes())
    data[4096 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4096)
    backup.write_bytes(data)
    return backup


def text_file(backup: Path) -> Path:
    backup.write_text("-- a dump\n" * 1000, encoding="ascii")
    return backup


def other_database(backup: Path) -> Path:
    backup.unlink()
    return changed(backup, "CREATE TABLE posts (id INTEGER)")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (damaged, "damaged"),
        (text_file, "file is not a database"),
        (other_database, "not a database of moderate"),
        (lambda file: changed(file, "UPDATE moderate_alembic_version SET version_num = '9999'"), "of version 9999"),
        (lambda file: changed(file, "DROP TABLE moderate_history"), "moderate_history"),
        (lambda file: file.with_name("none.sqlite3"), "There is no file"),
    ],
)
def test_an_unusable_backup_file_is_refused_without_changes(
    host: Host, path: Path, backup: Path, change: Any, words: str
) -> None:
    refused = run(host, "restore", change(backup))
    assert refused.exit_code == 1
    assert words in refused.output.replace("malformed", "damaged")
    assert refused.output.count("\n") == 1
    assert texts(host) == {"Before", "After"}
    host.close()
    assert files_in(path.parent) == {"moderate.sqlite3"}


def test_a_backup_of_an_older_version_is_upgraded(
    host: Host, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_next_version(tmp_path / "migrations", monkeypatch)
    done = run(host, "restore", backup)
    assert done.exit_code == 0, done.output
    assert host.state.tables.current() == migrate.HEAD
    assert texts(host) == {"Before"}


@contextmanager
def another_process(path: Path, statement: str) -> Iterator[None]:
    """A process that has done something with the database and keeps it open, idle."""
    code = (
        "import sqlite3, sys; raw = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "raw.execute(sys.argv[2]).fetchall(); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path, statement], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        process.communicate()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("statement", ["SELECT count(*) FROM moderate_items", "BEGIN IMMEDIATE"])
def test_a_restore_is_refused_while_another_process_has_the_database_open(
    tmp_path: Path, mode: str, statement: str
) -> None:
    """A process that is idle holds a lock in WAL mode only."""
    path = tmp_path / "site.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    host = Host(tmp_path, extension={"engine": engine}, MODERATE_LIMITS={})
    Tables(host.state.desk.store.database).upgrade()
    host.comment("Before")
    backup = tmp_path / "backup.sqlite3"
    assert run(host, "backup", backup).exit_code == 0
    host.comment("After")
    engine.dispose()
    changed(path, f"PRAGMA journal_mode = {mode}")
    with another_process(path, statement):
        refused = run(host, "restore", backup)
        assert refused.exit_code == 1, refused.output
        assert "Stop the site and its workers" in refused.output
        engine.dispose()
    assert texts(host) == {"Before", "After"}
    engine.dispose()
    assert run(host, "restore", backup).exit_code == 0
    assert texts(host) == {"Before"}
    engine.dispose()


def texts_in(path: Path) -> set[str]:
    """The texts in an SQLite file that was copied without what lies beside it."""
    copy = path.with_name(f"{path.name}.copy")
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy)) as raw:
        return {row[0] for row in raw.execute("SELECT text FROM moderate_items")}


def test_a_running_site_uses_a_replaced_database_from_then_on(
    host: Host, path: Path, backup: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Host(path.parent, MODERATE_LIMITS={})
    assert texts(other) == {"Before", "After"}
    moved = path.rename(path.with_name("moved.sqlite3"))
    shutil.copyfile(backup, path)
    for site in (host, other):
        site.clock.advance(seconds=1)
        assert site.comment("Later").status_code == 202
    assert texts(host) == texts(other) == {"Before", "Later"}
    # Each process says so once.
    assert len([record for record in caplog.records if "moved or replaced" in record.message]) == 2
    assert texts_in(moved) == {"Before", "After"}
    assert run(host, "db", "check").exit_code == 0
    host.close()
    other.close()
    assert texts_in(path) == {"Before", "Later"}
    assert not [name for name in files_in(path.parent) if "-wal" in name or "-shm" in name]


def test_a_moved_database_is_an_outage_until_it_is_back(host: Host, path: Path) -> None:
    moved = path.rename(path.with_name("moved.sqlite3"))
    host.clock.advance(seconds=1)
    for _ in range(2):
        assert host.comment("After").status_code == 503
        health = host.client.get("/discuss/health")
        assert (health.status_code, health.json["database"]) == (503, "down")
    assert "moved away" in run(host, "check-config").output
    assert not path.exists()
    assert texts_in(moved) == {"Before"}
    moved.rename(path)
    host.clock.advance(seconds=1)
    assert host.comment("After").status_code == 202
    assert texts(host) == {"Before", "After"}


@pytest.mark.parametrize(
    ("server", "tools"), [("pg_url", ("pg_dump", "pg_restore")), ("mariadb_url", ("mariadb-dump", "mariadb "))]
)
def test_the_backup_tool_of_a_database_server_is_named(
    tmp_path: Path, request: pytest.FixtureRequest, server: str, tools: tuple[str, str]
) -> None:
    host = Host(tmp_path, MODERATE_DATABASE_URL=request.getfixturevalue(server))
    for command, tool in zip(("backup", "restore"), tools, strict=True):
        refused = run(host, command, tmp_path / "file")
        assert refused.exit_code == 1
        assert tool in refused.output
    assert not (tmp_path / "file").exists()


def test_postgresql_is_restored_by_its_own_tools(tmp_path: Path, postgresql: PostgreSQL, pg_url: str) -> None:
    folder = postgresql.initdb.parent
    host = Host(tmp_path, MODERATE_DATABASE_URL=pg_url, MODERATE_LIMITS={})
    run(host, "db", "upgrade")
    host.comment("Before")
    dump, address = tmp_path / "dump", pg_url.replace("+psycopg", "")
    subprocess.run([folder / "pg_dump", "--format=custom", f"--file={dump}", address], check=True)
    host.comment("After")
    host.close()
    restore = ["--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={address}"]
    subprocess.run([folder / "pg_restore", *restore, dump], check=True)
    checked = run(host, "db", "check")
    assert checked.exit_code == 0, checked.output
    assert texts(host) == {"Before"}
    assert host.comment("Later").status_code == 202


def test_mariadb_is_restored_by_its_own_tools(tmp_path: Path, mariadb: MariaDB, mariadb_url: str) -> None:
    host = Host(tmp_path, MODERATE_DATABASE_URL=mariadb_url, MODERATE_LIMITS={})
    run(host, "db", "upgrade")
    host.comment("Before 🎉")
    url = urlsplit(mariadb_url)
    sign_in = [f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}", f"--password={url.password}"]
    dump, name = tmp_path / "dump.sql", url.path[1:]
    dumper = program("mariadb-dump", "mariadb-client")
    subprocess.run([dumper, *sign_in, "--single-transaction", f"--result-file={dump}", name], check=True)
    host.comment("After")
    host.close()
    with dump.open("rb") as written:
        subprocess.run([program("mariadb", "mariadb-client"), *sign_in, name], stdin=written, check=True)
    checked = run(host, "db", "check")
    assert checked.exit_code == 0, checked.output
    assert texts(host) == {"Before 🎉"}
    assert host.comment("Later").status_code == 202
