"""The state of everything that moderate depends on, advice where it does not work, and ``GET /health``."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from flask import request
from pydantic import Field

from moderate.akismet.feedback import ALERT, BAD_KEY
from moderate.clock import follow
from moderate.errors import EXPLAINED, Invalid, ServiceDown
from moderate.http.answers import unstored
from moderate.http.operation import Answer, Operation, Reply, query
from moderate.http.state import current_state
from moderate.i18n import Message
from moderate.limits.local import PROBE
from moderate.moderation.access import moderator
from moderate.tasks.housekeeping import AKISMET, CHECK_UP, REFUSED, late_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask.typing import ResponseReturnValue

    from moderate.akismet.sql import AccountNote
    from moderate.http.state import State
    from moderate.settings import Settings

NAMES = ("database", "redis", "akismet", "tasks", "retention")


class HealthOut(Answer):
    """One word for each part; ``newer`` is a database that works and was upgraded by a later version.

    `advice` and `details` are for moderators who asked with ``deep=1``.
    """

    status: Literal["ok", "degraded"]
    database: str
    redis: str
    akismet: str
    tasks: str
    retention: str | None = Field(default=None, description="`late`, or absent.")
    details: dict[str, str] | None = None
    advice: dict[str, str] | None = None


@Operation(
    "GET",
    "/health",
    "health",
    "Try what the site depends on: a write to the database, a decision of the limiter, Akismet, tasks",
    parameters=(
        query("deep", {"enum": ["0", "1"]}, "`1`, for moderators: ask Akismet now, and say what to do."),
        query("part", {"enum": list(NAMES)}, "This part alone decides the status."),
    ),
    replies=(Reply(200, "Everything works.", HealthOut), Reply(503, "Something does not work.", HealthOut)),
    # Without the database no moderator can be recognised, and ``deep=1`` is refused.
    problems=("unauthorized", "rate-limited", "unavailable"),
    needs_database=False,
)
def health() -> ResponseReturnValue:
    """Answer 200 where everything works, else 503. It may be asked every second.

    The database is written one small row, and Redis takes one decision of the limiter: an answer to a PING
    would not tell that either of them refuses writes. No other site is asked. ``part=database`` lets that part alone
    decide the status. ``deep=1``, for moderators, asks Akismet now, and says what to do.
    """
    state = current_state()
    deciding = choice("part", NAMES)
    deep = choice("deep", ("0", "1")) == "1"
    if deep:
        moderator(state)
    parts = examine(state, deep=deep)
    body: dict[str, object] = {"status": "ok" if all(part.is_well for part in parts) else "degraded"}
    # Monitors of the other parts keep working: retention is included only where it is late.
    body |= {part.name: word(part) for part in parts if part.name != "retention" or not part.is_well}
    if deep:
        body["details"] = {part.name: part.state for part in parts}
        body["advice"] = {part.name: part.advice for part in parts if part.advice}
    response = unstored(body)
    # Late retention does not affect readers.
    is_well = all(part.is_well for part in parts if part.name == deciding or (deciding is None and part.serves))
    response.status_code = 200 if is_well else 503
    return response


def choice(name: str, accepted: tuple[str, ...]) -> str | None:
    value = request.args.get(name)
    if value is not None and value not in accepted:
        raise Invalid.field(name, Message("One of {values}.", values=list(accepted)))
    return value


def word(part: Part) -> str:
    """Return the public word for a part. Details are for moderators and ``flask moderate check-config``."""
    if not part.is_well and part.serves:
        return "down"
    return part.state.partition(",")[0]


# --- the parts -----------------------------------------------------------------------------------------


class Part(NamedTuple):
    """One dependency. `state` is one word or a short phrase, `advice` a sentence."""

    name: str
    state: str
    is_well: bool
    advice: str = ""
    #: True if readers and senders notice where it does not work.
    serves: bool = True


def examine(state: State, *, deep: bool = False) -> list[Part]:
    """Return the state of each dependency, each within its own time-out.

    The database is tried with a write and the limiter with a decision, because a SELECT or a PING may succeed where
    these fail. With *deep*, Akismet is asked now, and the rights on every table are tried; without, Akismet's state
    is the one that a worker found last.
    """
    first = examined("database", partial(database, deep=deep), state)
    found = [first, examined("redis", redis, state)]
    if not first.is_well:
        # Their state is in the database; waiting for it a second time would show nothing new.
        return [
            *found,
            Part("akismet", "unknown", True),
            Part("tasks", "unknown", False, ADVICE["tasks"]),
            Part("retention", "unknown", True),
        ]
    return [
        *found,
        examined("akismet", ask_akismet if deep else akismet, state),
        examined("tasks", tasks, state),
        examined("retention", retention, state),
    ]


def inspect(state: State, flask_migrate: Any = None) -> Iterator[Part]:
    """Yield the parts of a deep `examine`, and of migrations, links, mail and webhooks; nothing is sent to the latter.

    *flask_migrate* is Flask-Migrate's entry in ``app.extensions``. Call this in an app context.
    """
    first, *rest = examine(state, deep=True)
    yield first._replace(advice=f"{state.tables.describe()}. {first.advice}") if first.is_well else first
    yield from rest
    with suppress(ServiceDown):
        yield from migrations(state, flask_migrate)
    if state.settings.site_url is not None:
        yield examined("links", links, state)
    yield mail(state)
    for hook in state.settings.webhooks:
        yield reached(state, f"webhook {hook.host}", hook.key, WEBHOOK_ADVICE)


def migrations(state: State, flask_migrate: Any) -> Iterator[Part]:
    """Warn where the host's Alembic uses the same database and would drop tables that it does not know.

    Flask-Migrate shows its engines and filters; of a plain Alembic only the version table can be seen.
    """
    if flask_migrate is None:
        if state.tables.has_hosts_migrations():
            yield Part(
                "migrations", "Alembic works on this database too", True, f"Make sure of it: {MIGRATIONS_ADVICE}"
            )
        return
    engines = getattr(flask_migrate.db, "engines", None) or {None: flask_migrate.db.engine}
    if not any(state.tables.is_shared_with(engine) for engine in engines.values()):
        return
    filters = flask_migrate.configure_args
    if state.tables.are_left_out_by(filters.get("include_name"), filters.get("include_object")):
        yield Part("migrations", "ok", True, "Flask-Migrate leaves moderate's tables out.")
    else:
        yield Part("migrations", "warning: Flask-Migrate would drop moderate's tables", True, MIGRATIONS_ADVICE)


def links(state: State) -> Part:
    """Compare the address of links in mails and webhooks with the sub-path that was learned from requests."""
    address = state.address
    base, configured, seen = address.base(), address.configured, address.seen()
    if configured and seen and seen != configured:
        return Part("links", f"lead to {base}, but requests come in below {seen}", False, LINKS_ADVICE)
    if seen:
        return Part("links", f"lead to {base}", True, "The sub-path is that of a form that was sent.")
    if configured:
        return Part("links", f"lead to {base}", True)
    return Part("links", f"lead to {base}", True, LINKS_UNSEEN)


def mail(state: State) -> Part:
    if state.settings.mail_server is None:
        return Part("mail", "not used", True, "Set MODERATE_MAIL_SERVER to have moderators written to.")
    wanted = [to.key for to in state.settings.mail_to if to.notify != "off"]
    if not wanted:
        return Part("mail", "not used", True, "Nobody in MODERATE_MAIL_TO is to be written to.")
    # All mails go to one server.
    found = reached(state, "mail", wanted[0], MAIL_ADVICE)
    return found._replace(advice=CLEAR) if found.is_well and sends_password_in_the_clear(state.settings) else found


def sends_password_in_the_clear(settings: Settings) -> bool:
    """Return True if the mail server's password crosses a network unencrypted."""
    is_here = settings.mail_server in {"localhost", "::1"} or (settings.mail_server or "").startswith("127.")
    return settings.mail_security == "none" and settings.mail_username is not None and not is_here


def reached(state: State, name: str, key: str, advice: str) -> Part:
    """Connect to the destination of notices that has *key*, and return its state as a part called *name*."""
    notifier = next(notifier for notifier in state.desk.notifiers if notifier.key == key)
    try:
        notifier.probe()
    except ServiceDown as error:
        return Part(name, error.reason, False, advice)
    return Part(name, "ok", True)


def examined(name: str, look: Callable[[State], Part], state: State) -> Part:
    try:
        return look(state)
    except ServiceDown as error:
        return Part(name, error.reason or "down", False, "" if error.kind == EXPLAINED else ADVICE[name])


def database(state: State, *, deep: bool = False) -> Part:
    """Compare the tables with the code, and try to write; *deep* tries the rights on every table."""
    found = state.tables.trouble()
    if found.state and not found.serves:
        return Part("database", found.state, False, found.advice)
    state.tables.probe(state.desk.clock.now(), every_table=deep)
    ahead = follow(state.desk.clock, state.desk.store.time)
    if not found.state and abs(ahead) >= SKEW:
        word = "ahead of" if ahead > 0 else "behind"
        return Part("database", f"ok, but this host's clock is {abs(ahead):.0f} s {word} its own", True, SKEW_ADVICE)
    return Part("database", found.state or "ok", True, found.advice)


def redis(state: State) -> Part:
    limiter = state.redis
    if limiter is None:
        return Part("redis", "not used", True, "Limits hold for each process; set MODERATE_REDIS_URL for several.")
    limiter.take(PROBE)
    return Part("redis", "ok", True, " ".join((limiter.describe(), *limiter.advice(), *limiter.remarks())))


def akismet(state: State, notes: Sequence[AccountNote] | None = None) -> Part:
    """Return Akismet's state as a worker found it last, so that health checks do not wait for another server.

    *notes* are those about the site's account where they are known already.
    """
    if state.desk.services.spam is None:
        return NOT_USED
    kept = state.desk.store.states.get(AKISMET)
    if kept is None or state.desk.clock.now() - kept.at > STALE:
        return Part("akismet", "unknown", True, "No worker has asked it lately. See: flask moderate worker")
    word = str(kept.value["state"])
    return (
        well(state, notes)
        if word == "ok"
        else Part("akismet", word, False, AKISMET_ADVICE.get(word, ADVICE["akismet"]))
    )


def ask_akismet(state: State) -> Part:
    """Ask Akismet now whether it accepts our key."""
    service = state.desk.services.spam
    if service is None:
        return NOT_USED
    if not service.verify():
        return Part("akismet", REFUSED, False, AKISMET_ADVICE[REFUSED])
    return well(state)


def well(state: State, notes: Sequence[AccountNote] | None = None) -> Part:
    """Return Akismet as working, with its latest notes about our account as advice."""
    # A note of a refused key is out of date: the service has just accepted it.
    known = state.desk.account.all() if notes is None else notes
    notes = [note for note in known if note.topic != BAD_KEY]
    advice = " ".join(f"{note.text} ({note.at:%Y-%m-%d %H:%M} UTC)." for note in notes)
    return Part("akismet", "ok, with a warning" if any(note.topic == ALERT for note in notes) else "ok", True, advice)


def tasks(state: State) -> Part:
    """Return the state of the workers: a task that waits longer than `LAG` means that none runs.

    Tasks that were given up are mentioned, but are no failure: a moderator has to look at them.
    """
    whole = state.desk.store.overview()
    lag = whole.lag(state.desk.clock.now())
    if lag > LAG:
        return Part("tasks", f"{lag:.0f} s behind", False, "Is a worker running? See: flask moderate worker")
    if whole.given_up:
        return Part("tasks", f"ok, {whole.given_up} given up", True, "See: flask moderate tasks dead")
    return Part("tasks", "ok", True)


def retention(state: State) -> Part:
    """Return the state of retention: late where personal data or old items remain longer than MODERATE_RETENTION."""
    late = late_kinds(state.desk)
    if not late:
        return Part("retention", "ok", True)
    kinds = "; ".join(f"{kind.value}: {reason}" for kind, reason in late.items())
    return Part("retention", f"late, {kinds}", False, RETENTION_ADVICE, serves=False)


#: Seconds by which this host's clock may differ from the database's.
SKEW = 5.0

SKEW_ADVICE = "Set the clocks of all hosts by NTP. Until then this process goes by the database's clock."

#: Seconds by which the oldest due task may be late.
LAG = 300.0

#: The age up to which the state of Akismet that a worker found is believed.
STALE = 6 * CHECK_UP

NOT_USED = Part("akismet", "not used", True, "Set MODERATE_AKISMET_KEY to ask Akismet.")

AKISMET_ADVICE: dict[str, str] = {REFUSED: Message("Check MODERATE_AKISMET_KEY and the site's address.")}

CLEAR = "Warning: the password goes to the mail server in the clear; set MODERATE_MAIL_SECURITY to 'starttls' or 'tls'."
MAIL_ADVICE = (
    "Check the settings MODERATE_MAIL_…; mails wait, and are given up after some days. "
    "Then try: flask moderate mail try ADDRESS"
)
RETENTION_ADVICE = (
    "What MODERATE_RETENTION should have removed is still there. Is a worker running? See its log, "
    "and 'What is forgotten' in docs/operating.md."
)
WEBHOOK_ADVICE = "Check MODERATE_WEBHOOKS and that the server runs; calls wait, and are given up after some days."

MIGRATIONS_ADVICE = (
    "Write Migrate(app, db, include_name=moderate.include_name), or give the same to context.configure in env.py; "
    "see 'Your own migrations' in docs/embedding.md."
)

LINKS_ADVICE = (
    "Put the sub-path under which readers see the site into MODERATE_SITE_URL, such as https://example.org/news, and "
    "let the server or ProxyFix pass the same on as SCRIPT_NAME."
)
LINKS_UNSEEN = "If the site lies below a path, put it into MODERATE_SITE_URL, such as https://example.org/news."

ADVICE = {
    "links": "Check MODERATE_DATABASE_URL and that the server runs.",
    "database": "Check MODERATE_DATABASE_URL and that the server runs.",
    "redis": "Check MODERATE_REDIS_URL and that the server runs; until then MODERATE_LIMITER_OUTAGE holds.",
    "akismet": Message("Items wait until it answers; nothing is published meanwhile."),
    "retention": "Its state is in the database: see there.",
    "tasks": "They are in the database: see there.",
}
