"""Commands of operators: the tables and their copies, deferred tasks, counters, the worker, and the settings."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from moderate.errors import ConfigError, ServiceDown, Undeliverable
from moderate.http.operation import rfc3339
from moderate.http.state import current_state
from moderate.model import TASK_KINDS, ItemFilter, Status
from moderate.monitoring.health import LAG, inspect
from moderate.notices.values import Event, Notice
from moderate.tasks.scheduler import LEASE
from moderate.tasks.worker import signals_blocked
from moderate.text.characters import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moderate.model import Item, Task
    from moderate.ports import Notifier
    from moderate.store.articles import Drift

REPAIR = "Mend what can be mended: flask moderate db check --repair"


db = AppGroup("db", help="The tables of moderate in the site's database.")
tasks = AppGroup(
    "tasks",
    help="Deferred work that was given up, such as mails that no server accepted, or is late.",
    short_help="Deferred work that was given up or is late.",
)
mail = AppGroup("mail", help="Mails to moderators.")


# --- the tables, and copies of them ---------------------------------------------------------------


@db.command("upgrade", help="Create the tables, or bring them up to this version.")
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


@db.command("current", help="Print the version of the tables.")
def current() -> None:
    click.echo(current_state().tables.current() or "no tables yet")


@db.command("check", short_help="Look for everything that can be wrong with the database.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without a loss.")
def check(repair: bool) -> None:
    """Look for everything that can be wrong with the database, for example after a restore.

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


@db.command("copy", short_help="Copy everything into another database.")
@click.option(
    "--to",
    "address",
    required=True,
    metavar="URL",
    envvar="MODERATE_COPY_TO",
    show_envvar=True,
    help="The new database, such as postgresql://user:password@host/name.",
)
def copy(address: str) -> None:
    """Copy everything into another, empty database: such as from SQLite to PostgreSQL.

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


# --- deferred work that failed or is late, and a trial mail ---------------------------------------


@tasks.command("dead", help="List what was given up, the latest first, with the reason.")
@click.option("--limit", type=click.IntRange(1, 10000), default=100, show_default=True)
def dead(limit: int) -> None:
    found = current_state().desk.store.tasks.dead(limit)
    echo_lines((line_of(task, f"made {rfc3339(task.created_at)}") for task in found), "Nothing was given up.")


@tasks.command("late", short_help="List what has been due for some minutes.")
def late() -> None:
    """List what has been due for some minutes, the oldest first: no worker runs, or too few."""
    desk = current_state().desk
    now = desk.clock.now()
    found = desk.store.tasks.late(now - timedelta(seconds=LAG))
    lines = (line_of(task, f"late by {(now - task.due_at).total_seconds():.0f} s") for task in found)
    echo_lines(lines, "Nothing is late.")


@tasks.command("replay", help="Try one again, by its ID, or all with --all.")
@click.argument("task_id", type=int, required=False)
@click.option("--all", "is_all", is_flag=True, help="Everything that was given up.")
def replay(task_id: int | None, is_all: bool) -> None:
    state = current_state()
    if (task_id is None) is not is_all:
        raise click.UsageError("Name one task, or say --all. See: flask moderate tasks dead")
    wanted = [task.id for task in state.desk.store.tasks.dead(100_000)] if task_id is None else [task_id]
    done = sum(state.desk.store.tasks.revive(each, state.desk.clock.now()) for each in wanted)
    if not done and task_id is not None:
        raise click.ClickException(f"No task {task_id} was given up. See: flask moderate tasks dead")
    click.echo(f"{done} will be tried again.")


@tasks.command("delete", help="Delete what was given up, by IDs, or all with --all.")
@click.argument("task_ids", type=int, nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Everything that was given up.")
def delete(task_ids: tuple[int, ...], is_all: bool) -> None:
    store = current_state().desk.store
    if bool(task_ids) is is_all:
        raise click.UsageError("Name tasks, or say --all. See: flask moderate tasks dead")
    dead = {task.id for task in store.tasks.dead(100_000)}
    unknown = sorted(set(task_ids) - dead)
    if unknown:
        raise click.ClickException(
            f"Not given up, so nothing was deleted: {', '.join(map(str, unknown))}. See: flask moderate tasks dead"
        )
    wanted = sorted(task_ids or dead)
    done = sum(store.tasks.delete(wanted[start : start + 500]) for start in range(0, len(wanted), 500))
    click.echo(f"{done} deleted.")


@mail.command("try", short_help="Send one mail now.")
@click.argument("address")
def try_mail(address: str) -> None:
    """Send one mail about the newest item to a moderator of MODERATE_MAIL_TO, now."""
    state = current_state()
    notifier = mailbox_of(address)
    item = newest()
    notice = Notice(
        id=f"{item.id}-{item.version}-try", event=Event.WAITING, items=(item,), total=1, at=state.desk.clock.now()
    )
    try:
        notifier.deliver(notice)
    except (ServiceDown, Undeliverable) as error:
        raise click.ClickException(printable(str(error))) from error
    click.echo("The mail server has taken it.")


def mailbox_of(address: str) -> Notifier:
    state = current_state()
    key = next((to.key for to in state.settings.mail_to if to.email.lower() == address.lower()), "")
    found = next((each for each in state.desk.notifiers if each.key == key), None)
    if found is None:
        raise click.ClickException(
            "No mails go to that address. Set MODERATE_MAIL_SERVER, and take an address of MODERATE_MAIL_TO."
        )
    return found


def newest() -> Item:
    store = current_state().desk.store
    for which in (ItemFilter(status=Status.PENDING), ItemFilter()):
        found = store.queue.page(which, cursor=None, limit=1).items
        if found:
            return found[0]
    raise click.ClickException("There is no item yet that a mail could be about.")


def line_of(task: Task, when: str) -> str:
    return f"{task.id:>8}  item {task.item}  {named(task.kind)}  {when}  {printable(task.error or '')}"


def echo_lines(lines: Iterable[str], nothing: str) -> None:
    """Print lines as they come, and *nothing* to the standard error where there are none."""
    line = None
    for line in lines:
        click.echo(line)
    if line is None:
        click.echo(nothing, err=True)


def named(kind: str) -> str:
    """Return a task's kind with the name of its destination in the settings, which for a webhook is its host."""
    state = current_state()
    if kind.partition(":")[0] not in TASK_KINDS:
        return printable(f"{kind} (of a newer version)")
    names = {f"notify:{to.key}": f"mail to {to.email}" for to in state.settings.mail_to}
    names |= {f"notify:{hook.key}": f"webhook {hook.host}" for hook in state.settings.webhooks}
    return printable(names.get(kind, kind))


# --- counters -------------------------------------------------------------------------------------


@click.command("recount", short_help="Count all items anew, and mend the counters.")
@click.option("--dry-run", is_flag=True, help="Show what differs, and change nothing.")
@with_appcontext
def recount(dry_run: bool) -> None:
    """Count every article's items anew and mend its counters; exit with 1 where any had drifted."""
    store = current_state().desk.store
    drifted = 0
    # The lines come after the bar, and may be as many as there are articles.
    with SpooledTemporaryFile(1_000_000, "w+", encoding="utf-8") as lines:
        with click.progressbar(length=store.counters.articles_with_items(), label="Counting") as bar:
            for drift in store.counters.recount(repair=not dry_run):
                bar.update(1)
                if drift is not None:
                    drifted += 1
                    lines.write(f"{drift.article or '(the whole site)'}: {difference(drift)}\n")
        store.states.keep("recount", {"drifted": drifted}, current_state().desk.clock.now())
        lines.seek(0)
        for line in lines:
            click.echo(line, nl=False)
    click.echo(f"{drifted} had drifted{'' if dry_run else ' and were mended'}." if drifted else "Nothing had drifted.")
    if drifted:
        raise SystemExit(1)


def difference(drift: Drift) -> str:
    """Return the counters that differ from what was counted, with both numbers."""
    stored, counted = asdict(drift.stored), asdict(drift.counted)
    wrong = [name for name in stored if stored[name] != counted[name]]
    texts = (", ".join(f"{name} {numbers[name]}" for name in wrong) for numbers in (stored, counted))
    return "stored {}; counted {}".format(*texts)


# --- worker and settings --------------------------------------------------------------------------


@click.command(
    "worker",
    short_help="Run deferred tasks.",
    help="Run deferred tasks: verify pings, ask Akismet, send mails and webhooks, remove old data.",
)
@click.option("--once", is_flag=True, help="Do what is due and stop; for cron.")
@with_appcontext
def worker(once: bool) -> None:
    state = current_state()
    if once:
        done = state.worker.drain()
        click.echo(f"{done} {'task' if done == 1 else 'tasks'} done." if done else "Nothing was due.")
        return
    with signals_blocked():
        # Printed while the signals are blocked: one that comes right after this line is not lost.
        click.echo(
            "Doing deferred tasks in this process: checks of comments, pages of pings, mails and webhooks, "
            "housekeeping. End it by Ctrl+C or SIGTERM."
        )
        state.worker.work_until_signal()
    # From here on a second signal does what it does everywhere.
    state.worker.stop(patience=LEASE)


@click.command("akismet-stand-in", short_help="Serve a stand-in for Akismet, to try things out.")
@click.option("--port", type=click.IntRange(1, 65535), default=8899, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def akismet_stand_in(port: int, host: str) -> None:
    """Serve a stand-in for Akismet that answers by markers in name, e-mail or text, and refuses keys like "bad…"."""
    from moderate.testing import serve_akismet_stand_in

    click.echo(f"Set MODERATE_AKISMET_KEY to any text and MODERATE_AKISMET_URL to http://{host}:{port}")
    serve_akismet_stand_in(port, host)


@click.command("check-config", short_help="Try everything that is set, and say what to do.")
@with_appcontext
def check_config() -> None:
    """Check settings, database, Redis, Akismet, mail, webhooks and workers, and say what to do.

    Writes one small row to see that it can, and sends nothing. Exits with 1 where something does not work.
    """
    key = "" if current_app.secret_key else " SECRET_KEY is not set: moderate uses a key in its database, Flask none."
    click.echo(f"settings: ok. {current_app.name} serves below {current_state().settings.url_prefix}.{key}")
    failed = False
    for part in inspect(current_state(), current_app.extensions.get("migrate")):
        end = "" if part.state.endswith("?") else "."
        click.echo(f"{part.name}: {part.state}{end} {part.advice}".rstrip())
        failed = failed or not part.is_well
    if failed:
        raise SystemExit(1)
