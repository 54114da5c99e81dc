"""Readers for the settings about mails and webhooks: like those in `moderate.settings`, where they are used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, urlsplit

from moderate.clean.addresses import ascii_host
from moderate.clean.characters import is_printable
from moderate.ports.notices import Event, Hook, Recipient, is_address, signing_key
from moderate.words import SPOKEN

#: The names that a table for a recipient, and one for a webhook, may have.
RECIPIENT = {"name", "email", "notify", "language"}
HOOK = {"url", "secret", "secrets", "events"}

RECIPIENTS_WANTED = (
    "a list of addresses, or of tables such as {name = 'Mori', email = 'mori@example.org', notify = 'each'} "
    "(notify: 'each', 'digest' or 'off'; language: " + " or ".join(f"'{tag}'" for tag in SPOKEN) + ")"
)
HOOKS_WANTED = (
    "a list of tables such as {url = 'https://example.org/hook', secrets = ['…'], events = ['waiting']}, each secret "
    "of at least 16 characters (events: " + ", ".join(event.value for event in Event) + ")"
)
SENDER_WANTED = "an address such as 'News <news@example.org>'"


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
    if notify not in ("each", "digest", "off") or language not in (None, *SPOKEN):
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
    if not isinstance(entry, Mapping) or not set(entry) <= HOOK:
        raise ValueError(HOOKS_WANTED)
    secrets = entry.get("secrets", [entry["secret"]] if "secret" in entry else [])
    events = entry.get("events", [Event.WAITING.value])
    if not is_web(entry.get("url")) or not isinstance(secrets, list | tuple) or not isinstance(events, list | tuple):
        raise ValueError(HOOKS_WANTED)
    if not secrets or not all(is_secret(secret) for secret in secrets) or not events:
        raise ValueError(HOOKS_WANTED)
    try:
        return Hook(entry["url"], tuple(secrets), frozenset(Event(event) for event in events))
    except ValueError:
        raise ValueError(HOOKS_WANTED) from None


def is_web(value: object) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() and value.isprintable() else None
        return parts is not None and is_plain(parts)
    except ValueError:
        return False


def is_plain(parts: SplitResult) -> bool:
    """A host, perhaps a port, and no password: what is in an address stands in too many logs."""
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc


def is_secret(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) >= 16 and bool(signing_key(value))
    except ValueError:
        return False
