"""Copies of a whole database: backup and restore of one SQLite file, and all rows into another database.

Servers have tools of their own for backups. The metadata lists the tables whose rows are copied, such as from SQLite
to PostgreSQL, so that a new table is copied as well. The source is read as of one moment; the target gets everything
in one transaction, or nothing.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from moderate.database import migrate
from moderate.database.migrate import HEAD, LOST, VERSION_TABLE, named
from moderate.database.outages import reason
from moderate.database.repairs import go_on_counting, highest_ids
from moderate.database.schema import MYSQL, counters, items, metadata, secrets, states
from moderate.database.sqlite import INTEGRITY, beside, damage, file_of, size_of
from moderate.errors import BackupRefused, CopyRefused, ServiceDown
from moderate.store import search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection

    from moderate.database.engine import Database


#: Seconds for which a restore waits until no other process has the database open.
PATIENCE = 2.0

#: Endings of the files that SQLite keeps beside a database, which must never be used with another one.
ENDINGS = ("-wal", "-shm", "-journal")

IN_USE = "Nothing was restored: {who} {path} open. Stop the site and its workers, and run this again."

TOOLS = {
    "postgresql": "pg_dump --format=custom --file={file}",
    "mysql": "mariadb-dump --single-transaction --result-file={file}",
}
TOOLS_BACK = {
    "postgresql": "pg_restore --clean --if-exists --no-owner --single-transaction --dbname=NAME {file}",
    "mysql": "mariadb NAME < {file}",
}


def backup(database: Database, target: Path, *, overwrite: bool) -> int:
    """Copy the database into *target* while the site goes on, check the copy, and return its size in bytes.

    The copy holds what was committed at one moment, the host's own tables in the same file included, and is
    one file without a ``-wal``. Raises `BackupRefused` where *target* exists and is not to be overwritten,
    where the copy is damaged, and for a database that is no SQLite file; then *target* is as it was.
    """
    source, target = sqlite_file(database, TOOLS, target), target.resolve()
    if target.exists() and (not overwrite or target.samefile(source)):
        raise BackupRefused(f"{target} exists already. Choose another name, or give --overwrite to replace it.")
    if not source.exists():
        raise BackupRefused(f"There is no database at {source}.")
    with unfinished(target) as part:
        with opened(source) as old, closing(sqlite3.connect(part, isolation_level=None)) as new:
            old.backup(new)
            refuse_damage(new, source)
            new.execute("PRAGMA journal_mode = DELETE")
        shutil.copymode(source, part)
        if overwrite:
            part.replace(target)
        else:
            put(part, target)
    return size_of(target)


def restore(database: Database, source: Path, now: datetime) -> tuple[str, Path | None]:
    """Put the backup *source* in the place of the database.

    Returns the version of its tables, and where the database that was there before is kept; None where there was
    none. Raises `BackupRefused`, and changes nothing, where *source* is damaged, no database of this package or
    of a version that is not known here, and where another process has the database open.
    """
    path = sqlite_file(database, TOOLS_BACK, source)
    if not source.is_file():
        raise BackupRefused(f"There is no file {source}.")
    if path.exists() and source.samefile(path):
        raise BackupRefused(f"{source} is the database itself.")
    database.dispose()
    with unfinished(path) as part:
        shutil.copyfile(source, part)
        if size_of(beside(source, "-wal")):
            shutil.copyfile(beside(source, "-wal"), beside(part, "-wal"))
        with opened(part, source) as new:
            new.execute("PRAGMA journal_mode = DELETE")
            refuse_damage(new, source)
            version = known_version(new, source)
        if not path.exists():
            drop_beside(path)
            put(part, path)
            return version, None
        like(path, part)
        with alone(path):
            kept = keep(path, now)
            part.replace(path)
            synced(path.parent)
    return version, kept


def sqlite_file(database: Database, tools: dict[str, str], file: Path) -> Path:
    """Return the path of the database; raise `BackupRefused` for a server's, with the tool to use instead."""
    dialect = database.dialect
    path = file_of(database.engine.url) if dialect == "sqlite" else None
    if path is not None:
        # A symbolic link stays one, and its target is replaced.
        return path.resolve()
    if dialect == "sqlite":
        raise BackupRefused("The database is in memory, and no file.")
    tool = tools["mysql" if dialect in MYSQL else dialect].format(file=file)
    raise BackupRefused(f"This is for SQLite. The site's database is on a server, which has its own tool: {tool}")


@contextmanager
def opened(path: Path, name: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open a database that exists. An error of SQLite within the block becomes `BackupRefused` about *name*."""
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as raw:
            yield raw
    except sqlite3.Error as error:
        raise BackupRefused(f"{name or path} could not be read or copied: {error}.") from error


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Yield the path of a new, empty file beside *target*, readable by this user only; it is deleted afterwards.

    Raises `BackupRefused` where the folder or the disk accepts no file.
    """
    part = target.with_name(f"{target.name}.{token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield part
    except OSError as error:
        raise BackupRefused(f"{error.filename or target} could not be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
        drop_beside(part)


def put(part: Path, target: Path) -> None:
    """Give a finished file its name. Raises `OSError`, also where that name is taken meanwhile."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        part.rename(target)
    synced(target.parent)


def synced(folder: Path) -> None:
    """Write a folder's list of files to the disk, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def like(path: Path, part: Path) -> None:
    """Give a file the owner and the rights of another, and write it to the disk."""
    shutil.copymode(path, part)
    with suppress(PermissionError):
        shutil.chown(part, path.stat().st_uid, path.stat().st_gid)
    with part.open("rb") as written:
        os.fsync(written.fileno())


def refuse_damage(raw: sqlite3.Connection, name: Path) -> None:
    """Raise `BackupRefused` where SQLite finds the file damaged."""
    found = damage(raw.execute(INTEGRITY))
    if found:
        raise BackupRefused(f"{name} is damaged: {found}.")


def known_version(raw: sqlite3.Connection, name: Path) -> str:
    """Return the version of the tables. Raises `BackupRefused` where they are missing, incomplete or too new."""
    names = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    asked = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608
    found = raw.execute(asked).fetchone() if VERSION_TABLE in names else None
    if found is None:
        raise BackupRefused(f"{name} is not a database of moderate: it has no {VERSION_TABLE}.")
    version = str(found[0])
    if version > HEAD:
        raise BackupRefused(
            f"{name} is of version {version}, and this program knows those up to {HEAD}. "
            "Install the version of flask-moderate that made it."
        )
    lost = sorted(set(metadata.tables) - names)
    if version == HEAD and lost:
        raise BackupRefused(f"These tables are missing in {name}: {named(lost)}. {LOST}")
    return version


# --- the database that is there ---------------------------------------------------------------------


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lock the database that is to be replaced. Raises `BackupRefused` where another process has it open.

    In WAL mode every open connection holds a lock, even an idle one, so that leaving that mode fails beside it.
    In the other modes idle connections hold none; there, and for a file that SQLite cannot read any more,
    the operating system lists the processes that have the file open.
    """
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as raw:
        try:
            raw.execute("PRAGMA journal_mode = DELETE")
            raw.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BackupRefused(IN_USE.format(who="another process has", path=path)) from error
        except sqlite3.DatabaseError:
            # Damaged: perhaps that is why it is to be replaced.
            pass
        others = holders(path)
        if others:
            who = f"process {others[0]} has" if len(others) == 1 else f"processes {', '.join(map(str, others))} have"
            raise BackupRefused(IN_USE.format(who=who, path=path))
        yield


def holders(path: Path) -> list[int]:
    """Return the ids of other processes that have a file open, as far as this user may see (Linux's /proc)."""
    wanted = path.stat()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            for entry in (process / "fd").iterdir():
                with suppress(OSError):
                    if os.path.samestat(entry.stat(), wanted):
                        found.append(int(process.name))
                        break
    return sorted(found)


def keep(path: Path, now: datetime) -> Path:
    """Give the database a second, dated name, with what is left beside it, and return that name."""
    kept = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}-{token_hex(2)}")
    for ending in ("", *ENDINGS):
        old, new = beside(path, ending), beside(kept, ending)
        if old.exists():
            try:
                os.link(old, new)
            except OSError:
                shutil.copy2(old, new)
    drop_beside(path)
    return kept


def drop_beside(path: Path) -> None:
    """Delete the files beside a database, which must not be used with another database in its place."""
    for ending in ENDINGS:
        beside(path, ending).unlink(missing_ok=True)


#: Number of rows that are in memory at a time.
BATCH = 500

OF_OTHER_VERSION = "{what} is at version {found}, and this program needs {head}. {advice}"


def copy(source: Database, target: Database, progress: Callable[[int], None]) -> None:
    """Copy every row. *progress* is called after each batch with the number of its rows.

    The target must be empty, with or without the package's tables. Raises `CopyRefused`, and `ServiceDown`
    where a database fails; then nothing has been written but empty tables.
    """
    refuse_version("The site's database", migrate.current(source))
    prepare(target)
    try:
        with target.write() as into:
            _copy(source, into, progress)
    except SQLAlchemyError as error:
        # A value that does not fit, or a row that another process has written in between.
        raise CopyRefused(
            f"The new database refused a row, so nothing was copied: {reason(error, target.engine.url)}"
        ) from error
    # Searches are right without it; what has been copied is not refused for it.
    with suppress(ServiceDown):
        search.update_index(target, most=None, lag=1)


def _copy(source: Database, into: Connection, progress: Callable[[int], None]) -> None:
    empty(into)
    with snapshot(source) as rows:
        copied = counted(rows)
        # First, as MySQL ends a transaction there.
        go_on_counting(into, highest_ids(rows))
        for table in metadata.sorted_tables:
            copy_table(table, rows, into, progress)
    refuse_difference(copied, counted(into), "The new database holds other numbers of rows than the old one")
    with snapshot(source) as later:
        now = counted(later)
    refuse_difference(copied, now, "The site was still being written to. Stop it and its workers, and run this again")


def prepare(target: Database) -> None:
    """Create the tables in the target, where there are none. Raises `CopyRefused`."""
    try:
        found = migrate.current(target)
        if found is None:
            migrate.upgrade(target)
        else:
            refuse_version("The new database", found)
    except ServiceDown as error:
        raise CopyRefused(f"The new database does not work: {error.reason}") from error


def refuse_version(what: str, found: str | None) -> None:
    if found != migrate.HEAD:
        is_older = found is None or found in migrate.KNOWN
        advice = "Run there: flask moderate db upgrade" if is_older else "Copy with the flask-moderate that made it."
        raise CopyRefused(OF_OTHER_VERSION.format(what=what, found=found or "none", head=migrate.HEAD, advice=advice))


def empty(conn: Connection) -> None:
    """Delete the rows of an upgrade and of health checks. Raises `CopyRefused` where there are any others."""
    new = {counters.name, secrets.name, states.name}
    full = [f"{name} ({number})" for name, number in counted(conn).items() if number and name not in new]
    if full:
        raise CopyRefused(f"The new database is not empty, so nothing was copied. Rows are in: {', '.join(full)}")
    conn.execute(delete(counters))
    conn.execute(delete(secrets))
    conn.execute(delete(states))


def refuse_difference(wanted: Mapping[str, int], found: Mapping[str, int], words: str) -> None:
    differing = [f"{name}: {number}, now {found[name]}" for name, number in wanted.items() if found[name] != number]
    if differing:
        raise CopyRefused(f"{words}. Nothing was copied. ({'; '.join(differing)})")


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """Yield a connection all of whose statements see the same moment."""
    with database.read() as conn:
        if conn.dialect.name == "sqlite":
            # Neither the driver nor the engine begins a transaction for reading.
            conn.exec_driver_sql("BEGIN")
        else:
            conn.execution_options(isolation_level="REPEATABLE READ")
        yield conn


def count_rows(database: Database) -> int:
    """Return the number of rows in all tables together."""
    with database.read() as conn:
        return sum(counted(conn).values())


def counted(conn: Connection) -> dict[str, int]:
    """Return the number of rows in each table."""
    tables = metadata.sorted_tables
    return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def copy_table(table: Table, rows: Connection, into: Connection, progress: Callable[[int], None]) -> None:
    every = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=BATCH)
    with rows.execute(every) as found:
        for part in found.mappings().partitions(BATCH):
            batch = [dict(row) for row in part]
            if table is items:
                # The terms for searches have another form in each database.
                for row in batch:
                    row["search"] = search.terms_of(row)
            into.execute(insert(table), batch)
            progress(len(batch))
