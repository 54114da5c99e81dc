"""``flask moderate …``: the group of all commands, and those of moderators: tokens and the queue."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup, with_appcontext

from moderate.cli import operating
from moderate.cli.learning import spam_report, teach
from moderate.cli.operating import akismet_stand_in, backup, check_config, recount, restore, worker
from moderate.errors import ConfigError, ModerateError
from moderate.http.state import current_state
from moderate.i18n import translator
from moderate.model import MAX_ID, Awaiting, ChangedText, Decision, ItemFilter, Moderator, Status
from moderate.moderation.access import new_link, revoke_links
from moderate.moderation.decide import DecisionRequest, decide_one, look_up
from moderate.moderation.items_csv import lines_of, pages_of
from moderate.text.characters import printable
from moderate.text.links import destinations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from moderate.model import Item


#: The number of an item's links that the terminal lists, and their names by place.
LINKS = 20
PLACES = {"source": "from", "website": "website", "text": "link", "change": "link of the changed text"}


class Commands(AppGroup):
    """A group whose commands end with one line, and not with a traceback, where one of our errors is raised."""

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal without some of the letters of a text shows question marks in their place.
            sys.stdout.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except ModerateError as error:
            raise click.ClickException(str(error)) from error


class WrongSetting(ConfigError, click.ClickException):
    """A wrong setting, met while a command builds the app. The command ends with one line, `flask run` included."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(error.key, error.value, error.accepted)
        click.ClickException.__init__(self, str(error))


@contextmanager
def settings_explained() -> Iterator[None]:
    """Let a command that builds the app report a wrong setting; outside of commands the error passes through."""
    try:
        yield
    except ConfigError as error:
        if not is_command():
            raise
        # Without the cause, whose traceback would add nothing to the message.
        raise WrongSetting(error) from None


def is_command() -> bool:
    """Return True while a command of ``flask`` runs, the development server's included."""
    return click.get_current_context(silent=True) is not None


def is_served() -> bool:
    """Return True where requests will be served: outside of commands, and in the development server."""
    context = click.get_current_context(silent=True)
    return context is None or context.info_name == "run"


tokens = AppGroup("token", help="Bearer tokens for moderators.")


def build_cli() -> AppGroup:
    """Return the command group, a new one for each app."""
    groups = [tokens, operating.db, operating.tasks, operating.mail]
    commands = [queue, decide, teach, spam_report, recount, worker, akismet_stand_in, check_config, backup, restore]
    about = "Comments and trackbacks: database, tokens, queue, worker."
    return Commands("moderate", help=about, commands=[*groups, *commands])


# --- tokens ---------------------------------------------------------------------------------------


def moderators_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the name for the history. Raises `click.ClickException`."""
    if not value.strip() or len(value) > 200:
        raise click.ClickException("Give the moderator's name, at most 200 characters.")
    return value.strip()


@tokens.command("create", short_help="Make a token for a moderator.")
@click.argument("name", callback=moderators_name)
def create(name: str) -> None:
    """Make a token for the moderator NAME, good until it is revoked; it is printed alone on the last line."""
    state = current_state()
    click.echo("Keep this token safe: it is shown only now.", err=True)
    click.echo(state.desk.store.tokens.create(name, state.desk.clock.now()))


@tokens.command("link", short_help="Make a link that signs a moderator in.")
@click.argument("name", callback=moderators_name)
def link(name: str) -> None:
    """Make a link that signs the moderator NAME in, once, within ten minutes; on the last line."""
    state = current_state()
    if state.settings.site_url is None:
        click.echo("Put your site's address in front of it, or set MODERATE_SITE_URL.", err=True)
    click.echo(new_link(state, name))


@tokens.command("list", help="List the tokens, never their secrets.")
def list_tokens() -> None:
    token = None
    for token in current_state().desk.store.tokens.all():
        state = f"revoked {moment(token.revoked_at)}" if token.revoked_at else "valid"
        if token.expires_at is not None:
            state += f", a session until {moment(token.expires_at)}"
        used = moment(token.last_used_at) if token.last_used_at else "never"
        click.echo(f"{token.id}  {printable(token.name)}  {state}  made {moment(token.created_at)}  used {used}")
    if token is None:
        click.echo("There is no token yet. Make one with: flask moderate token create NAME", err=True)


@tokens.command("revoke", short_help="Revoke a token, or all that a moderator has.")
@click.argument("name_or_id")
def revoke(name_or_id: str) -> None:
    """Revoke by id, or all tokens, sessions and links of a moderator by NAME."""
    state = current_state()
    revoke_links(state, name_or_id)
    count = state.desk.store.tokens.revoke(name_or_id, state.desk.clock.now())
    if not count:
        raise click.ClickException(f"There is no valid token called {name_or_id!r}. See: flask moderate token list")
    click.echo(f"Revoked {count}.")


# --- the queue ------------------------------------------------------------------------------------


@click.command("queue", help="List items, newest first.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in Status]),
    default=Status.PENDING.value,
    show_default=True,
    help="The status of the items.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many; 50 without it, or all as CSV.")
@click.option("--csv", "as_csv", is_flag=True, help="As a file for spreadsheets, the same as from the queue page.")
@with_appcontext
def queue(status: str, limit: int | None, as_csv: bool) -> None:
    state, which = current_state(), ItemFilter(status=Status(status))
    if as_csv:
        for lines in lines_of(
            pages_of(state.desk.store, which, limit=limit), translator(state.settings.language or "en")
        ):
            click.echo(lines, nl=False)
        return
    item = None
    for item in chain.from_iterable(pages_of(state.desk.store, which, limit=limit or 50)):
        click.echo(
            f"{item.id:>8}  v{item.version}  {item.kind.value:<10}  {moment(item.created_at)}  {printable(item.author)}"
        )
        for line in lines_about(item):
            click.echo(f"          {line}")
    if item is None:
        click.echo(f"No item is {status}.", err=True)


def lines_about(item: Item) -> Iterator[str]:
    """Yield what to decide on in a few lines: the text, where its links lead, and what the checks found."""
    yield f"{printable(item.article)}: {printable(' '.join(filter(None, (item.title, item.text))))[:120]}"
    for link in destinations(item)[:LINKS]:
        notes = [f"({link.spelled})"] if link.spelled else []
        # The title of a ping is in the line of its text.
        notes += [f'"{link.words}"'] if link.words and link.place != "source" else []
        notes += [f"names another host: {link.named}"] if link.named else []
        yield printable(" ".join([f"{PLACES[link.place]} {link.address}"[:400], *notes]))
    for finding in item.findings:
        yield f"{finding.lean.value}: {printable(finding.reason)[:200]} ({printable(finding.check)})"
    if item.awaiting is Awaiting.CHECKS:
        yield "checks are still running"


@click.command("decide", help="Decide on an item: approve, hold, spam or trash.")
@click.argument("item_id", type=click.IntRange(1, MAX_ID))
@click.argument("decision", type=click.Choice([decision.value for decision in Decision]))
@click.option("--by", default="terminal", show_default=True, help="The name that goes into the history.")
@click.option("--note", default=None, help="Why, for the history.")
@click.option("--decline-change", is_flag=True, help="Drop a changed text that waits; decide about the one before it.")
@with_appcontext
def decide(item_id: int, decision: str, by: str, note: str | None, decline_change: bool) -> None:
    desk = current_state().desk
    seen = look_up(desk, item_id)
    request = DecisionRequest(
        decision=Decision(decision),
        items={item_id: seen.version},
        by=Moderator(by),
        note=note,
        change=ChangedText.DECLINE if decline_change else ChangedText.ACCEPT,
    )
    done = decide_one(desk, request)
    dropped = " Its changed text was dropped." if decline_change and seen.proposed else ""
    click.echo(f"Item {done.id} is {done.status.value}, version {done.version}.{dropped}")


def moment(when: datetime) -> str:
    """Return a time in UTC to the second (RFC 3339)."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
