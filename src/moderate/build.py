"""Build an app's state from its settings: the one place where adapters are chosen and connected to each other."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar

from moderate.akismet.sql import AccountNotes
from moderate.articles import HostArticles
from moderate.checks.base import Services, Timings
from moderate.checks.order import CHECKS, in_use
from moderate.checks.premoderation import PublicScripts
from moderate.clock import SystemClock
from moderate.database.engine import Database
from moderate.database.tables import Tables
from moderate.database.url import ENCODE
from moderate.errors import ConfigError, ServiceDown
from moderate.http import language
from moderate.http.answers import Templates
from moderate.http.edge import Hooks, SiteEdge
from moderate.http.signing import Signer
from moderate.http.site_address import SiteAddress
from moderate.http.state import State, once_per_request, request_scope
from moderate.i18n import translator
from moderate.learned.sql import SqlTokenCounts
from moderate.limits.local import LocalLimiter
from moderate.limits.spending import Limits
from moderate.monitoring.warnings import Hints, Outages, PageOutages
from moderate.notices.values import Confirming
from moderate.notices.views import SiteLinks
from moderate.protocols import PROTOCOLS
from moderate.reading import fragments
from moderate.rules.sql import RuleBook
from moderate.settings import NOT_SHOWN
from moderate.store.store import Store
from moderate.submit.desk import Desk
from moderate.tasks.worker import Worker
from moderate.text.links import both_spellings
from moderate.text.tags import Policy
from moderate.waves.sql import Waves
from moderate.waves.watch import WaveWatch
from moderate.web_address import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask import Flask
    from sqlalchemy.engine import Engine

    from moderate.checks.base import Check
    from moderate.notices.mail import Mailer, Transport
    from moderate.notices.smtp_auth import Account
    from moderate.outbound.fetch import GuardedFetcher
    from moderate.ports import Clock, Notifier, SpamService
    from moderate.protocols.base import InboundProtocol
    from moderate.redis import RedisLimiter, WorkerChannel
    from moderate.settings import Settings

log = logging.getLogger("moderate")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects and hooks that a host hands in; see `Moderate`. None for those that the package provides."""

    engine: Engine | Callable[[], Engine] | None
    redis: Any
    checks: Sequence[Check] | None
    protocols: Sequence[InboundProtocol] | None
    clock: Clock | None
    hooks: Hooks


def build_state(app: Flask, settings: Settings, parts: Parts) -> State:
    """Return the state of *app*. Connects to nothing yet but the embedded database.

    Raises `ConfigError` for settings that do not fit together, `TypeError` for an unusable Redis client.
    """
    refuse_missing(settings)
    redis = redis_of(app, settings, parts)
    clock = parts.clock or SystemClock()
    database = make_database(app, settings, parts, clock)
    store, tables = Store(database), Tables(database, SystemClock())
    if parts.engine is None and settings.database_url is None:
        upgrade_embedded(tables, database.engine.url.database)
        # A process that is forked from this one must not share a connection, nor SQLite's state of locks.
        database.close_connections()
    stored_secret = cache(partial(store.secrets.get, "signing"))
    signer = Signer(app, clock, database=stored_secret)
    address = SiteAddress(app, settings, store, clock)
    articles = make_articles(parts.hooks, address, store, clock)
    policy = Policy(sanitizer=settings.sanitizer, markup=settings.markup, max_length=settings.max_length)
    services = make_services(settings, database, store, clock, address.own)
    limiter = None if redis is None else make_redis(redis, settings)
    limits = make_limits(settings, limiter, signer, clock)
    desk = Desk(
        app=app,
        articles=articles,
        store=store,
        limits=limits,
        checks=in_use(CHECKS if parts.checks is None else parts.checks, services),
        policy=policy,
        settings=settings,
        services=services,
        clock=clock,
        waves=WaveWatch(app, Waves(database), limits, clock, secret=partial(signer.derive, "waves")),
        account=AccountNotes(database),
        outages=Outages(clock, lambda: database.done),
        notifiers=make_notifiers(app, settings, signer, clock, address),
        confirming=make_confirming(app, settings, signer, store, address, clock=clock),
    )
    worker_channel = make_worker_channel(settings, redis, signer, clock)
    worker = Worker(app, desk, enabled=settings.worker == "thread", channel=worker_channel)
    database.on_due = worker.wake
    endings = (
        database.dispose,
        articles.close,
        *(part.close for part in (limiter, services.spam, worker_channel) if part is not None),
        # Ends the thread that asks a limiter in an outage.
        limits.close,
    )
    templates = Templates({**language.GLOBALS, **fragments.GLOBALS})
    return State(
        desk=desk,
        signer=signer,
        edge=SiteEdge(desk, signer, parts.hooks, address, templates),
        address=address,
        protocols=tuple(PROTOCOLS if parts.protocols is None else parts.protocols),
        worker=worker,
        redis=limiter,
        tables=tables,
        templates=templates,
        hints=Hints(tuple(hints_on(settings, limiter))),
        page_outages=PageOutages(clock),
        endings=endings,
    )


def make_articles(hooks: Hooks, address: SiteAddress, store: Store, clock: Clock) -> HostArticles:
    """Return the host's articles, each of which is looked up once per request."""
    look_up = partial(once_per_request, address.article_by)
    load, find = partial(look_up, hooks.load_article), partial(look_up, hooks.find_article)
    return HostArticles(load, find, partial(hooks.has, "article_finder"), store, clock)


#: Values of settings that need an optional package: setting, value, module, extra.
EXTRAS = (
    ("sanitizer", "nh3", "nh3", "nh3"),
    ("markup", "markdown", "markdown_it", "markdown"),
    ("metrics", "public", "prometheus_client", "metrics"),
)


def refuse_missing(settings: Settings) -> None:
    """Raise `ConfigError` at the start, and not at the first comment, where a package is missing."""
    for name, value, module, extra in EXTRAS:
        if getattr(settings, name) == value and find_spec(module) is None:
            raise ConfigError(f"MODERATE_{name.upper()}", value, f"install flask-moderate[{extra}] first")


def make_database(app: Flask, settings: Settings, parts: Parts, clock: Clock) -> Database:
    """Return the database of the host's engine, of the settings, or of an SQLite file in the instance folder."""
    source = parts.engine or settings.database_url or embedded_database(app)
    database = Database(
        source, sqlite_synchronous=settings.sqlite_synchronous, clock=clock, options=settings.database_options
    )
    database.scope = request_scope
    if database.is_ours:
        # Connects to nothing yet, but a wrong address or a missing driver stops the start.
        _ = database.engine
    return database


def embedded_database(app: Flask) -> str:
    """Return the address of the SQLite file in the instance folder; make the folder where it is missing.

    Raises `ConfigError` where the folder cannot be made, or cannot be written and has no such file yet. With a
    read-only file the site goes on, and health checks report it.
    """
    folder = Path(app.instance_path)
    path = folder / "moderate.sqlite3"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with TemporaryFile(dir=folder):
                pass
    except OSError as error:
        words = (
            f"the SQLite file goes into the instance folder {folder}, which cannot be "
            f"{'written' if folder.is_dir() else 'made'} ({error.strerror or error}): make it writable, choose another "
            "one by Flask(instance_path=…), or set MODERATE_DATABASE_URL to a database elsewhere"
        )
        raise ConfigError("MODERATE_DATABASE_URL", None, words) from error
    return f"sqlite:///{path}"


def upgrade_embedded(tables: Tables, path: str | None) -> None:
    """Bring the tables of the embedded database at *path* up to date, or create them.

    Creation is logged, because a file or volume that is not in its place also leads to it. Failure does not stop the
    start: the site's own pages are worth more than its comments.
    """
    try:
        before, _ = tables.upgrade()
    except ServiceDown as error:
        log.warning("The tables could not be brought up to date, and comments are not available: %s", error)
    else:
        if before is None:
            log.warning("A new and empty database was made: %s", path)


def make_limits(settings: Settings, limiter: RedisLimiter | None, signer: Signer, clock: Clock) -> Limits:
    """Return the limits, which are counted in this process where there is no *limiter* in Redis."""
    secret = partial(signer.derive, "limits")

    def secret_of_site() -> bytes:
        # While the database is down from the start, hardly anything can be sent that has to be limited.
        with suppress(ServiceDown):
            return signer.derive_for_site("limits")
        return secret()

    return Limits(
        settings.limits,
        limiter or LocalLimiter(clock),
        # Sites that set the same prefix want to share their limits.
        secret=secret if limiter is None or settings.redis_prefix is not None else secret_of_site,
        clock=clock,
        outage=settings.limiter_outage,
    )


def hints_on(settings: Settings, redis: RedisLimiter | None) -> Iterator[str]:
    """Yield a sentence for each setting that works, but perhaps not as its operator expects."""
    if redis is None and any(row.limits for row in settings.limits.rows.values()):
        yield "MODERATE_REDIS_URL is not set: rate limits hold for each process on its own."
    if settings.akismet_key is not None and settings.site_url is None:
        yield "MODERATE_SITE_URL is not set: Akismet cannot tell whose site it is asked about."


def redis_of(app: Flask, settings: Settings, parts: Parts) -> Any:
    """Return the host's client of Redis or its address, which may also be in the settings; None without either.

    A callable is called once, within the app context. Raises `TypeError` for an object that is no client.
    """
    given = settings.redis_url if parts.redis is None else parts.redis
    if given is None or isinstance(given, str):
        return given
    from moderate.redis import refuse_client

    if callable(given) and not isinstance(given, type) and not hasattr(given, "evalsha"):
        with app.app_context():
            given = given()
    refuse_client(given)
    return given


def make_redis(redis: Any, settings: Settings) -> RedisLimiter:
    """Return the limiter at a client or address."""
    from moderate.redis import RedisLimiter, connect

    is_ours = isinstance(redis, str)
    try:
        return RedisLimiter(connect(redis) if is_ours else redis, prefix_of(settings), is_ours=is_ours)
    except ValueError:
        accepted = f"accepted is an address such as 'redis://host:6379/0', 'rediss://…' (TLS) or 'unix://…'; {ENCODE}"
        # Without the cause, whose text may hold the password.
        raise ConfigError("MODERATE_REDIS_URL", NOT_SHOWN, accepted) from None


def prefix_of(settings: Settings) -> str:
    return settings.redis_prefix or "moderate"


def make_worker_channel(settings: Settings, redis: Any, signer: Signer, clock: Clock) -> WorkerChannel | None:
    """Return the channel that wakes external workers, None without Redis or where web processes work themselves."""
    if settings.worker == "thread" or redis is None:
        return None
    from moderate.redis import WorkerChannel, bounded, connect

    def channel() -> str:
        # A channel belongs to the whole server, not to the database whose number is in the address.
        own = f":{signer.derive_for_site('bell').hex()[:16]}" if settings.redis_prefix is None else ""
        return f"{prefix_of(settings)}:work{own}"

    client = connect(redis) if isinstance(redis, str) else bounded(redis)
    return WorkerChannel(client, clock, channel, is_ours=client is not redis)


def make_services(settings: Settings, database: Database, store: Store, clock: Clock, own: Sequence[str]) -> Services:
    """Return what checks use besides the store."""
    spam: SpamService | None = None
    if settings.akismet_key is not None:
        from moderate.akismet.client import AkismetService

        site_url = settings.site_url or "http://localhost"
        spam = AkismetService(settings.akismet_key, site_url, clock=clock, base_url=settings.akismet_url)
    return Services(
        fetcher=None if settings.verify_pings == "off" else made_once(partial(make_fetcher, settings, clock, own)),
        spam=spam,
        rules=RuleBook(store.rules, clock),
        tokens=SqlTokenCounts(database, partial(store.secrets.get, "learned"), clock),
        scripts=PublicScripts(store.earlier, clock),
        timings=Timings(),
    )


def made_once(make: Callable[[], T]) -> Callable[[], T]:
    """Return a function that makes something at its first call, and returns the same one to all threads."""
    made: list[T] = []

    def get() -> T:
        if not made:
            # Of those that threads make at once the first one counts.
            made.append(make())
        return made[0]

    return get


def make_fetcher(settings: Settings, clock: Clock, own: Sequence[str]) -> GuardedFetcher:
    """Return what reads pages of other sites. Only processes that work on tasks load it."""
    from moderate.outbound.fetch import GuardedFetcher

    return GuardedFetcher(
        clock=clock,
        timeout=settings.fetch_timeout,
        max_bytes=settings.fetch_max_bytes,
        ports=settings.fetch_ports,
        allow=settings.fetch_allow,
        # The site never fetches its own pages: that would bypass what protects them.
        own=own,
        user_agent=user_agent(),
    )


def user_agent() -> str:
    return f"moderate/{version('flask-moderate')}"


# --- mails and webhooks ---------------------------------------------------------------------------


def make_notifiers(
    app: Flask, settings: Settings, signer: Signer, clock: Clock, address: SiteAddress
) -> tuple[Notifier, ...]:
    """Return the destinations of the site's notices: mailboxes and webhooks.

    Raises `ConfigError` where a setting is missing that their links or mails need.
    """
    if settings.mail_server is None and not settings.webhooks:
        return ()
    if settings.site_url is None:
        raise ConfigError("MODERATE_SITE_URL", None, "mails and webhooks need the site's own address for their links")
    links = SiteLinks(address.base, signer)
    notifiers: list[Notifier] = []
    if settings.mail_server is not None:
        from moderate.notices.mail import MailNotifier

        if settings.mail_from is None:
            raise ConfigError("MODERATE_MAIL_FROM", None, "with MODERATE_MAIL_SERVER the mails need a sender")
        mailer = make_mailer(app, settings, clock)
        for to in settings.mail_to:
            if to.notify != "off":
                words = translator(to.language or settings.language or "en")
                notifiers.append(MailNotifier(to, mailer, links, words, digest_after=settings.mail_digest_after))
    if settings.webhooks:
        from moderate.notices.webhook import WebhookNotifier

        notifiers += [
            WebhookNotifier(hook, links, clock=clock, timeout=settings.webhook_timeout, user_agent=user_agent())
            for hook in settings.webhooks
        ]
    return tuple(notifiers)


def make_confirming(
    app: Flask, settings: Settings, signer: Signer, store: Store, address: SiteAddress, *, clock: Clock
) -> Confirming | None:
    """Return the confirmation of commenters' e-mail addresses, None where MODERATE_CONFIRM_EMAIL is off.

    Raises `ConfigError` where a setting is missing that its mails need.
    """
    if not settings.confirm_email:
        return None
    needed = ("mail_server", "mail_from", "site_url")
    missing = ", ".join(f"MODERATE_{name.upper()}" for name in needed if getattr(settings, name) is None)
    if missing:
        raise ConfigError("MODERATE_CONFIRM_EMAIL", True, f"its mails need {missing} as well")
    from moderate.notices.mail import ConfirmationMails

    links = SiteLinks(address.base, signer)
    mails = ConfirmationMails(
        make_mailer(app, settings, clock),
        translator(settings.language or "en"),
        readable_site(settings.site_url or ""),
        links.confirm,
        links.stop,
    )
    # Cached, because each request with an identity needs it.
    return Confirming(mails.send, cache(partial(store.secrets.get, "addresses")))


def readable_site(site_url: str) -> str:
    """Return the site's address for people: without its scheme, and with its host in Unicode."""
    host = host_of(site_url)
    letters = both_spellings(host)[1]
    return site_url.partition("://")[2].replace(host, letters or host, 1)


def make_mailer(app: Flask, settings: Settings, clock: Clock) -> Mailer:
    """Return the mailer for MODERATE_MAIL_SERVER: the console, a folder, or an SMTP server."""
    from moderate.notices.mail import ConsoleTransport, FolderTransport, Mailer
    from moderate.notices.smtp import SmtpTransport

    server, host = settings.mail_server or "", host_of(settings.site_url or "")
    transport: Transport
    if server == "console":
        transport = ConsoleTransport()
    elif server.startswith("file:"):
        transport = FolderTransport(Path(app.instance_path) / server.removeprefix("file:"))
    else:
        transport = SmtpTransport(
            server,
            settings.mail_port,
            security=settings.mail_security,
            account=make_account(settings),
            timeout=settings.mail_timeout,
            own_name=host,
            clock=clock,
        )
    return Mailer(transport, settings.mail_from or "", host)


def make_account(settings: Settings) -> Account | None:
    """Return the account at the mail server, if any. Raises `ConfigError` for settings that exclude each other."""
    from moderate.notices.smtp_auth import Account

    if settings.mail_token_command and (settings.mail_username is None or settings.mail_password is not None):
        words = "a token command needs MODERATE_MAIL_USERNAME, and no MODERATE_MAIL_PASSWORD beside it"
        raise ConfigError("MODERATE_MAIL_TOKEN_COMMAND", NOT_SHOWN, words)
    if settings.mail_username is None:
        return None
    return Account(settings.mail_username, settings.mail_password or "", settings.mail_token_command)
