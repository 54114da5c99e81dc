"""Readers for the settings about mails and webhooks: like those in `moderate.settings`, where they are used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parseaddr
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from moderate.i18n import LANGUAGES
from moderate.notices.values import Event, Hook, Recipient, is_address, signing_key
from moderate.text.characters import is_printable
from moderate.web_address import ascii_host

#: The names that a table for a recipient, and one for a webhook, may have.
RECIPIENT = {"name", "email", "notify", "language"}
HOOK = {"url", "secret", "secrets", "events"}

#: The names and addresses of mail servers, in ASCII.
HOST = re.compile(r"[a-z0-9_.:-]+")

RECIPIENTS_WANTED = (
    "a list of addresses, or of tables such as {name = 'Mori', email = 'mori@example.org', notify = 'each'} "
    "(notify: 'each', 'digest' or 'off'; language: " + " or ".join(f"'{tag}'" for tag in LANGUAGES) + ")"
)
HOOKS_WANTED = (
    "a list of tables such as {url = 'https://example.org/hook', secrets = ['…'], events = ['waiting']}, each secret "
    "of at least 16 characters (events: " + ", ".join(event.value for event in Event) + ")"
)
SERVER_WANTED = (
    "a host name or address such as 'smtp.example.org', whose port goes into MODERATE_MAIL_PORT; "
    "or 'console', or 'file:FOLDER'"
)
SENDER_WANTED = "an address such as 'News <news@example.org>'"


def mail_server(value: object) -> str:
    """Read a mail server's host, in ASCII, or a way without one. Raises ValueError."""
    words = value.strip() if isinstance(value, str) else ""
    if words == "console" or words.startswith("file:"):
        return words
    try:
        host = str(ip_address(words.strip("[]"))) if ":" in words else ascii_host(words)
    except ValueError:
        host = ""
    if not HOST.fullmatch(host):
        raise ValueError(SERVER_WANTED)
    return host


def sender(value: object) -> str:
    """A mailbox with or without a display name. Raises ValueError."""
    if not isinstance(value, str) or not all(map(is_printable, value)):
        raise ValueError(SENDER_WANTED)
    typed = parseaddr(value)[1]
    if not is_address(in_ascii(typed)):
        raise ValueError(SENDER_WANTED)
    return value.strip().replace(typed, in_ascii(typed))


def recipients(value: object) -> tuple[Recipient, ...]:
    """Moderators who are written to. Raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError(RECIPIENTS_WANTED)
    found = tuple(recipient(entry) for entry in value)
    if len({entry.key for entry in found}) < len(found):
        raise ValueError(f"{RECIPIENTS_WANTED}, each address once")
    return found


def recipient(entry: object) -> Recipient:
    if isinstance(entry, str):
        entry = {"name": entry, "email": entry}
    if not isinstance(entry, Mapping) or not set(entry) <= RECIPIENT:
        raise ValueError(RECIPIENTS_WANTED)
    email = in_ascii(entry.get("email"))
    if not is_address(email):
        raise ValueError(RECIPIENTS_WANTED)
    name, notify = entry.get("name", entry["email"]), entry.get("notify", "each")
    if not isinstance(name, str) or not all(map(is_printable, name)) or not 0 < len(name) <= 100:
        raise ValueError(RECIPIENTS_WANTED)
    language = entry.get("language") or None
    if notify not in ("each", "digest", "off") or language not in (None, *LANGUAGES):
        raise ValueError(RECIPIENTS_WANTED)
    return Recipient(name, email, notify, language)


def in_ascii(email: Any) -> Any:
    """Return a mail address with its domain in ASCII (RFC 5890); what has no such form comes back as it is."""
    if not isinstance(email, str) or email.isascii():
        return email
    local, at, domain = email.rpartition("@")
    try:
        return f"{local}{at}{ascii_host(domain)}"
    except ValueError:
        return email


def hooks(value: object) -> tuple[Hook, ...]:
    """Programs that are told, as a list or, from the environment, as JSON. Raises ValueError."""
    entries = from_json(value) if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        raise ValueError(HOOKS_WANTED)
    found = tuple(hook(entry) for entry in entries)
    if len({entry.key for entry in found}) < len(found):
        raise ValueError(f"{HOOKS_WANTED}, each address once")
    return found


def from_json(value: str) -> Any:
    try:
        return json.loads(value) if value.strip() else []
    except ValueError:
        # Without the cause, whose text may hold a secret.
        raise ValueError(HOOKS_WANTED) from None


def hook(entry: object) -> Hook:
    """Read one webhook. Raises ValueError, which names the part that is wrong and shows no value."""
    if not isinstance(entry, Mapping) or not set(entry) <= HOOK:
        raise ValueError(HOOKS_WANTED)
    secrets = entry.get("secrets", [entry["secret"]] if "secret" in entry else [])
    events = entry.get("events", [Event.WAITING.value])
    if not isinstance(secrets, list | tuple) or not secrets or not all(is_secret(secret) for secret in secrets):
        raise ValueError(f"{HOOKS_WANTED}; look at the secrets, which behind 'whsec_' are in base64")
    try:
        url = web_url(entry.get("url"))
    except ValueError:
        raise ValueError(f"{HOOKS_WANTED}; look at the url: http or https, without a password or blanks") from None
    try:
        wanted = frozenset(Event(event) for event in events) if isinstance(events, list | tuple) else frozenset()
    except ValueError:
        wanted = frozenset()
    if not wanted:
        raise ValueError(f"{HOOKS_WANTED}; look at the events")
    return Hook(url, tuple(secrets), wanted)


def web_url(value: object) -> str:
    """Return an address with its host in ASCII. Raises ValueError where nothing can be asked for there.

    A password is refused: what is in an address stands in too many logs.
    """
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError("no address")
    url = str(value) if parts.netloc.isascii() else with_ascii_host(parts).geturl()
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("characters that must be percent-encoded")
    return url


def with_ascii_host(parts: SplitResult) -> SplitResult:
    """Return *parts* with the host as DNS has it; what is in ASCII stays as it is. Raises ValueError."""
    if parts.netloc.isascii():
        return parts
    host, _, port = parts.netloc.partition(":")
    try:
        return parts._replace(netloc=f"{ascii_host(host)}:{port}" if port else ascii_host(host))
    except ValueError:
        raise ValueError("a host name that DNS can have; letters beyond ASCII are those of IDNA") from None


def is_secret(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) >= 16 and bool(signing_key(value))
    except ValueError:
        return False
