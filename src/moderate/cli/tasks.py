"""``flask moderate tasks …`` and ``flask moderate mail …``: deferred work that failed or is late, and a trial mail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click
from flask.cli import AppGroup, with_appcontext

from moderate.errors import ServiceDown, Undeliverable
from moderate.http.operation import rfc3339
from moderate.http.state import current_state
from moderate.model import TASK_KINDS, ItemFilter, Status
from moderate.monitoring.health import LAG
from moderate.notices.values import Event, Notice
from moderate.text.characters import printable

if TYPE_CHECKING:
    from moderate.model import Item
    from moderate.ports import Notifier


def tasks_group() -> AppGroup:
    return AppGroup(
        "tasks",
        help="Deferred work that was given up (mails and webhooks that nobody took) or is late.",
        short_help="Deferred work that was given up or is late.",
        commands=[dead, late, replay, delete],
    )


def mail_group() -> AppGroup:
    return AppGroup("mail", help="Mails to moderators.", commands=[try_mail])


@click.command("dead", help="List what was given up, the latest first, with the reason.")
@click.option("--limit", type=click.IntRange(1, 10000), default=100, show_default=True)
@with_appcontext
def dead(limit: int) -> None:
    task = None
    for task in current_state().desk.store.tasks.dead(limit):
        made = rfc3339(task.created_at)
        click.echo(f"{task.id:>8}  item {task.item}  {named(task.kind)}  made {made}  {printable(task.error or '')}")
    if task is None:
        click.echo("Nothing was given up.", err=True)


@click.command("late", short_help="List what has been due for some minutes.")
@with_appcontext
def late() -> None:
    """List what has been due for some minutes, the oldest first: no worker runs, or too few."""
    desk = current_state().desk
    now, task = desk.clock.now(), None
    for task in desk.store.tasks.late(now - timedelta(seconds=LAG)):
        by = (now - task.due_at).total_seconds()
        click.echo(
            f"{task.id:>8}  item {task.item}  {named(task.kind)}  late by {by:.0f} s  {printable(task.error or '')}"
        )
    if task is None:
        click.echo("Nothing is late.", err=True)


@click.command("replay", help="Try one again, by its ID, or all with --all.")
@click.argument("task_id", type=int, required=False)
@click.option("--all", "is_all", is_flag=True, help="Everything that was given up.")
@with_appcontext
def replay(task_id: int | None, is_all: bool) -> None:
    state = current_state()
    if (task_id is None) is not is_all:
        raise click.UsageError("Name one task, or say --all. See: flask moderate tasks dead")
    wanted = [task.id for task in state.desk.store.tasks.dead(100_000)] if task_id is None else [task_id]
    done = sum(state.desk.store.tasks.revive(each, state.desk.clock.now()) for each in wanted)
    if not done and task_id is not None:
        raise click.ClickException(f"No task {task_id} was given up. See: flask moderate tasks dead")
    click.echo(f"{done} will be tried again.")


@click.command("delete", help="Delete what was given up, by IDs, or all with --all.")
@click.argument("task_ids", type=int, nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Everything that was given up.")
@with_appcontext
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


@click.command("try", short_help="Send one mail now.")
@click.argument("address")
@with_appcontext
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


def named(kind: str) -> str:
    """Return a task's kind with the name of its destination in the settings, which for a webhook is its host."""
    state = current_state()
    if kind.partition(":")[0] not in TASK_KINDS:
        return printable(f"{kind} (of a newer version)")
    names = {f"notify:{to.key}": f"mail to {to.email}" for to in state.settings.mail_to}
    names |= {f"notify:{hook.key}": f"webhook {hook.host}" for hook in state.settings.webhooks}
    return printable(names.get(kind, kind))
