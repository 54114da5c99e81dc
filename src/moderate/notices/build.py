"""Puts together whom a site tells of its items: mailboxes and webhooks."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from moderate.confirmation.confirm import Confirming
from moderate.confirmation.views import ConfirmationAddresses
from moderate.errors import ConfigError
from moderate.i18n import translator
from moderate.notices.delivery import Notices
from moderate.notices.views import SiteLinks
from moderate.settings import NOT_SHOWN
from moderate.text.destinations import both_spellings
from moderate.web_address import host_of

if TYPE_CHECKING:
    from flask import Flask

    from moderate.http.signing import Signer
    from moderate.http.site_address import SiteAddress
    from moderate.notices.mail import Mailer, Transport
    from moderate.notices.smtp_auth import Account
    from moderate.ports import Clock, Notifier
    from moderate.settings import Settings
    from moderate.store.store import Store

#: A server setting that begins so names a folder.
FOLDER = "file:"


def make_notices(app: Flask, settings: Settings, signer: Signer, clock: Clock, address: SiteAddress) -> Notices:
    """Return the destinations of the site's notices.

    Raises `ConfigError` where something is missing without which no link or mail could be written.
    """
    has_mail = settings.mail_server is not None
    if not has_mail and not settings.webhooks:
        return Notices()
    if settings.site_url is None:
        raise ConfigError("MODERATE_SITE_URL", None, "mails and webhooks need the site's own address for their links")
    links = SiteLinks(address.base, signer)
    mailboxes = make_mailboxes(app, settings, settings.site_url, links, clock) if has_mail else ()
    return Notices((*mailboxes, *make_hooks(settings, links, clock)))


def make_mailboxes(
    app: Flask, settings: Settings, site_url: str, links: SiteLinks, clock: Clock
) -> tuple[Notifier, ...]:
    from moderate.notices.notice_mail import MailNotifier

    if settings.mail_from is None:
        raise ConfigError("MODERATE_MAIL_FROM", None, "with MODERATE_MAIL_SERVER the mails need a sender")
    mailer = make_mailer(app, settings, settings.mail_from, host_of(site_url), clock)
    return tuple(
        MailNotifier(
            to,
            mailer,
            links,
            translator(to.language or settings.language or "en"),
            digest_after=settings.mail_digest_after,
        )
        for to in settings.mail_to
        if to.notify != "off"
    )


def make_confirming(
    app: Flask, settings: Settings, signer: Signer, store: Store, address: SiteAddress, *, clock: Clock
) -> Confirming | None:
    """Return what confirms commenters' e-mail addresses, None where MODERATE_CONFIRM_EMAIL is off.

    Raises `ConfigError` where a setting is missing that its mails need.
    """
    if not settings.confirm_email:
        return None
    if settings.mail_server is None or settings.mail_from is None or settings.site_url is None:
        needed = ("mail_server", "mail_from", "site_url")
        missing = ", ".join(f"MODERATE_{name.upper()}" for name in needed if getattr(settings, name) is None)
        raise ConfigError("MODERATE_CONFIRM_EMAIL", True, f"its mails need {missing} as well")
    from moderate.confirmation.mail import ConfirmationMails

    links = ConfirmationAddresses(address.base, signer)
    mails = ConfirmationMails(
        make_mailer(app, settings, settings.mail_from, host_of(settings.site_url), clock),
        translator(settings.language or "en"),
        readable_site(settings.site_url),
        links.confirm,
        links.stop,
    )
    # Kept for all requests, as identities are asked for again and again.
    return Confirming(mails.send, cache(lambda: store.secrets.get("addresses")))


def readable_site(site_url: str) -> str:
    """Return the site's address for people: without its scheme, and its host in its own letters."""
    host = host_of(site_url)
    letters = both_spellings(host)[1]
    return site_url.partition("://")[2].replace(host, letters or host, 1)


def make_mailer(app: Flask, settings: Settings, sender: str, host: str, clock: Clock) -> Mailer:
    from moderate.notices.mail import Mailer

    return Mailer(make_transport(app, settings, host, clock), sender, host)


def make_transport(app: Flask, settings: Settings, host: str, clock: Clock) -> Transport:
    from moderate.notices.mail import ConsoleTransport, FolderTransport
    from moderate.notices.smtp import SmtpTransport

    server = settings.mail_server or ""
    if server == "console":
        return ConsoleTransport()
    if server.startswith(FOLDER):
        return FolderTransport(Path(app.instance_path) / server.removeprefix(FOLDER))
    return SmtpTransport(
        server,
        settings.mail_port,
        security=settings.mail_security,
        account=make_account(settings),
        timeout=settings.mail_timeout,
        own_name=host,
        clock=clock,
    )


def make_account(settings: Settings) -> Account | None:
    """Return what to sign in to the mail server with. Raises `ConfigError` for settings that exclude each other."""
    from moderate.notices.smtp_auth import Account

    if settings.mail_token_command:
        words = "a token command needs MODERATE_MAIL_USERNAME, and no MODERATE_MAIL_PASSWORD beside it"
        if settings.mail_username is None or settings.mail_password is not None:
            raise ConfigError("MODERATE_MAIL_TOKEN_COMMAND", NOT_SHOWN, words)
    if settings.mail_username is None:
        return None
    return Account(settings.mail_username, settings.mail_password or "", settings.mail_token_command)


def make_hooks(settings: Settings, links: SiteLinks, clock: Clock) -> tuple[Notifier, ...]:
    if not settings.webhooks:
        return ()
    from moderate.notices.webhook import WebhookNotifier

    agent = f"moderate/{version('flask-moderate')}"
    return tuple(
        WebhookNotifier(hook, links, clock=clock, timeout=settings.webhook_timeout, user_agent=agent)
        for hook in settings.webhooks
    )
