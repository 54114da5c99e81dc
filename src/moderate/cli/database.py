"""``flask moderate db …``, ``backup`` and ``restore``: the tables, and copies of them."""

from __future__ import annotations

from pathlib import Path

import click
from flask.cli import AppGroup, with_appcontext

from moderate.errors import ConfigError
from moderate.http.state import current_state

REPAIR = "Mend what can be mended: flask moderate db check --repair"


def db_group() -> AppGroup:
    about = "The tables of moderate in the site's database."
    return AppGroup("db", help=about, commands=[upgrade, current, check, copy])


@click.command("upgrade", help="Create the tables, or bring them up to this version.")
@with_appcontext
def upgrade() -> None:
    before, after = current_state().tables.upgrade()
    found = current_state().tables.trouble()
    if found.serves:
        click.echo(f"Nothing was changed. {found.advice}")
    elif before is None:
        click.echo(f"New and empty tables were made, at version {after}.")
    elif before == after:
        click.echo(f"The tables are at version {after} already.")
    else:
        click.echo(f"The tables are at version {after} now; they were at {before}.")


@click.command("current", help="Print the version of the tables.")
@with_appcontext
def current() -> None:
    click.echo(current_state().tables.current() or "no tables yet")


@click.command("check", short_help="Look for everything that can be wrong with the database.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without a loss.")
@with_appcontext
def check(repair: bool) -> None:
    """Look for everything that can be wrong with the database, after a restore say.

    Damage of an SQLite file, lost or changed tables, a newer version, a foreign encoding, ids that would be given
    twice, lost keys and indexes, counters that have drifted. With --repair the sequences of ids, keys, indexes,
    character sets and counters are mended; rows that stand in the way of a lost key are named. Exits with 1 where
    something is wrong that was not mended.
    """
    found = current_state().tables.trouble()
    if found.state and not found.serves:
        raise click.ClickException(f"The tables are not those of this version ({found.state}). {found.advice}")
    faults = list(current_state().tables.faults(repair=repair))
    for fault in faults:
        click.echo(f"{'Mended: ' if fault.is_mended else ''}{fault.words}")
    if not all(fault.is_mended for fault in faults):
        raise click.ClickException(f"Something is wrong with the database.{'' if repair else ' ' + REPAIR}")
    click.echo(found.advice or "The tables are those of this version.")


@click.command("copy", short_help="Copy everything into another database.")
@click.option(
    "--to",
    "address",
    required=True,
    metavar="URL",
    envvar="MODERATE_COPY_TO",
    show_envvar=True,
    help="The new database, such as postgresql://user:password@host/name.",
)
@with_appcontext
def copy(address: str) -> None:
    """Copy everything into another, empty database: from SQLite to PostgreSQL, say.

    Stop the site and its workers first. All of it is copied or nothing, and the site's database is only
    read. Exits with 1 where nothing was copied; the text says why.
    """
    tables = current_state().tables
    try:
        with click.progressbar(length=tables.count_rows(), label="Copying") as bar:
            drifts = tables.copy_to(address, bar.update)
    except ConfigError as error:
        raise click.BadParameter(error.accepted, param_hint="--to") from error
    click.echo(f"{bar.pos} rows were copied, and the new database holds them all.")
    if drifts:
        click.echo(f"{len(drifts)} counters do not match their items, as before. Run: flask moderate recount")
    click.echo("Set MODERATE_DATABASE_URL to its address, and start the site again.")


@click.command("backup", short_help="Copy the SQLite database into a file while the site runs.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace FILE where it exists.")
@with_appcontext
def backup(file: Path, overwrite: bool) -> None:
    """Copy the SQLite database into FILE, as it stands at one moment, and check the copy.

    The site may go on meanwhile. FILE is whole in itself and holds everything that is in the database, the
    site's own tables in the same file included. Exits with 1, and leaves FILE as it was, where that fails.
    """
    size = current_state().tables.backup(file.absolute(), overwrite=overwrite)
    click.echo(f"{file} holds the whole database ({size:,} bytes) and was checked.")


@click.command("restore", short_help="Put a backup in the place of the SQLite database.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_appcontext
def restore(file: Path) -> None:
    """Put the backup FILE in the place of the SQLite database. Stop the site and its workers first.

    The database that was there is kept beside it under a dated name. Exits with 1, and changes nothing, where
    FILE is damaged or not a database of moderate, or where another process has the database open.
    """
    state = current_state()
    version, kept = state.tables.restore(file.absolute(), state.desk.clock.now())
    click.echo(f"The database is that of {file} now, at version {version}.")
    if kept is not None:
        click.echo(f"The one before is kept: {kept}")
    state.tables.upgrade()
    click.echo("See whether all is well: flask moderate db check")
