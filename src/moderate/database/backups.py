"""Backup and restore of a database that is one SQLite file; servers have tools of their own for both."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from moderate.database.migrate import HEAD, LOST, VERSION_TABLE, named
from moderate.database.schema import MYSQL, metadata
from moderate.database.sqlite import beside, file_of, size_of
from moderate.errors import BackupRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

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
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
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
    found = [row[0] for row in raw.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise BackupRefused(f"{name} is damaged: {'; '.join(found)}.")


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
    kept = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}")
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
