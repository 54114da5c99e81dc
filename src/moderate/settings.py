"""All settings: typed, frozen, and read once from ``app.config`` when the app is built.

Each has its default here and a reader, which turns the host's value into the one that the code uses, or raises
`ValueError` with what is accepted. `config/default.toml` and `docs/configuration.md` describe the settings for
people; a test holds the three together.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args
from urllib.parse import SplitResult, urlsplit

from moderate.database.url import ConnectionOptions
from moderate.errors import ConfigError
from moderate.i18n import LANGUAGES
from moderate.lifecycle import Premoderation
from moderate.limits.rates import DEFAULT_LIMITS, LimitTable, parse_limits
from moderate.notices.values import Event, Hook, Recipient, is_address, signing_key
from moderate.text.characters import is_printable
from moderate.web_address import ascii_host, read

if TYPE_CHECKING:
    from collections.abc import Callable


PREFIX = "MODERATE_"

#: Settings that may also come from environment variables of the same name, so that no file need hold a secret.
SECRETS = frozenset({"DATABASE_URL", "REDIS_URL", "AKISMET_KEY", "MAIL_PASSWORD", "WEBHOOKS"})

#: Days after which personal data and old items are removed; 0 keeps them for ever.
RETENTION = {"ip": 90, "user_agent": 90, "spam": 30, "trash": 30, "tasks": 30}

#: The options of database connections, and the bounds of each; units in `ConnectionOptions`.
DATABASE_OPTIONS = ConnectionOptions()._asdict()
OPTION_BOUNDS = {
    "pool_size": (1, 1000),
    "max_overflow": (0, 1000),
    "pool_timeout": (1, 300),
    "pool_recycle": (0, 86400),
    "connect_timeout": (1, 300),
    "answer_timeout": (0, 3600),
}

#: Replaces values that may be secrets in error texts.
NOT_SHOWN = "(not shown)"

#: Host names as browsers send them: letters, digits and hyphens (IDNA is ASCII), or an IPv6 address in brackets.
_LABELS = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_HOST = re.compile(rf"({_LABELS.pattern}|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")
E = TypeVar("E", Recipient, Hook)


# --- readers --------------------------------------------------------------------------------------


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def whole(minimum: int, maximum: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        raise ValueError(f"a whole number from {minimum} to {maximum}")

    return read


def seconds(minimum: float, maximum: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and minimum <= value <= maximum:
            return float(value)
        raise ValueError(f"a number of seconds from {minimum:g} to {maximum:g}")

    return read


def optional(reader: Callable[[object], T]) -> Callable[[object], T | None]:
    def read(value: object) -> T | None:
        return None if value in (None, "") else reader(value)

    return read


def one_of(*accepted: str) -> Callable[[object], Any]:
    def read(value: object) -> str:
        if isinstance(value, str) and value in accepted:
            return value
        raise ValueError("one of " + ", ".join(repr(choice) for choice in accepted))

    return read


def text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("a text that is not empty")


def matching(pattern: str, wanted: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise ValueError(wanted)

    return read


url_prefix = matching(
    # Werkzeug would read '/<lang>/discuss' as a rule with a variable, which the views do not take.
    r"/(?!/*$)[^<>]*(?<!/)",
    "a path such as '/discuss': it begins with a slash, does not end with one and has no variables in <>",
)
redis_prefix = matching(
    # Braces would be hash tags.
    r"[A-Za-z0-9._:-]{1,64}",
    "1 to 64 letters, digits, dots, hyphens, underscores and colons, such as 'news-staging'",
)


def site_url(value: object) -> str:
    """Return the site's address without a trailing slash, and with its host in ASCII (RFC 5890) as mails need it."""
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme in {"http", "https"} and parts.hostname and is_plain and str(value).isprintable():
        return with_ascii_host(parts).geturl().rstrip("/")
    raise ValueError(
        "an address such as 'https://example.org', or 'https://example.org/news' where the site lies below a path; "
        "without a query, a fragment or a password"
    )


def command(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list | tuple) else [None]
    if all(isinstance(word, str) and "\0" not in word for word in words) and "" not in words[:1]:
        return tuple(words)
    raise ValueError("a list of words, the first of them a program, such as ['/usr/local/bin/mail-token', 'news']")


def host_name(value: object) -> str:
    """Read a host with its port, as the Host field has it: without the default ports."""
    if isinstance(value, str) and _HOST.fullmatch(value.lower()):
        return value.lower().removesuffix(":80").removesuffix(":443")
    raise ValueError("a host name, with its port where it has one, such as 'news.example' or 'localhost:5000'")


def subdomain(value: object) -> str:
    if isinstance(value, str) and _LABELS.fullmatch(value.lower()):
        return value.lower()
    raise ValueError("the name in front of SERVER_NAME, such as 'discuss'")


def base_url(value: object) -> str:
    try:
        return web_url(value).rstrip("/")
    except ValueError:
        raise ValueError("an absolute address such as 'https://rest.example.org', without a password") from None


def honeypot(value: object) -> str:
    if value is False or value == "":
        return ""
    if isinstance(value, str) and value.isidentifier():
        return value
    raise ValueError("a name of letters, digits and underscores such as 'homepage', or false to do without the field")


def ports(value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and value:
        port = whole(1, 65535)
        return tuple(port(entry) for entry in value)
    raise ValueError("a list of port numbers such as [80, 443]")


def networks(value: object) -> tuple[Network, ...]:
    if isinstance(value, list | tuple):
        try:
            return tuple(ipaddress.ip_network(str(entry)) for entry in value)
        except ValueError as error:
            raise ValueError(f"a list of networks such as ['10.0.0.0/8'] ({error})") from error
    raise ValueError("a list of networks such as ['10.0.0.0/8']")


def limits(value: object) -> LimitTable:
    if not isinstance(value, Mapping):
        raise ValueError("a table such as {comments = ['5/minute per client']}; an empty table turns limits off")
    return parse_limits(value)


def retention(value: object) -> Mapping[str, int]:
    days = whole(0, 36500)
    if not isinstance(value, Mapping) or not set(value) <= set(RETENTION):
        raise ValueError(f"a table of days with the names {', '.join(sorted(RETENTION))}; 0 keeps for ever")
    return {**RETENTION, **{name: days(number) for name, number in value.items()}}


def database_options(value: object) -> ConnectionOptions:
    if not isinstance(value, Mapping) or not set(value) <= set(OPTION_BOUNDS):
        raise ValueError(f"a table of numbers with the names {', '.join(OPTION_BOUNDS)}")
    for name, number in value.items():
        try:
            whole(*OPTION_BOUNDS[name])(number)
        except ValueError as error:
            raise ValueError(f"{name} as {error}") from error
    options = ConnectionOptions(**value)
    if options.pool_size + options.max_overflow < 2:
        raise ValueError("pool_size and max_overflow of 2 or more together: an upgrade of the tables needs two")
    return options


# --- mails and webhooks ---------------------------------------------------------------------------

#: The keys that the table of a recipient, and that of a webhook, may have.
RECIPIENT = {"name", "email", "notify", "language"}
HOOK = {"url", "secret", "secrets", "events"}

#: The names and addresses of mail servers, in ASCII.
MAIL_HOST = re.compile(r"[a-z0-9_.:-]+")

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
    """Read a mail server's host, in ASCII, or ``console`` or ``file:…``."""
    words = value.strip() if isinstance(value, str) else ""
    if words == "console" or words.startswith("file:"):
        return words
    try:
        host = str(ipaddress.ip_address(words.strip("[]"))) if ":" in words else ascii_host(words)
    except ValueError:
        host = ""
    if not MAIL_HOST.fullmatch(host):
        raise ValueError(SERVER_WANTED)
    return host


def sender(value: object) -> str:
    """Read a mailbox with or without a display name."""
    if not isinstance(value, str) or not all(map(is_printable, value)):
        raise ValueError(SENDER_WANTED)
    typed = parseaddr(value)[1]
    if not is_address(in_ascii(typed)):
        raise ValueError(SENDER_WANTED)
    return value.strip().replace(typed, in_ascii(typed))


def recipients(value: object) -> tuple[Recipient, ...]:
    """Read the mailboxes of moderators."""
    return each_once(value, recipient, RECIPIENTS_WANTED)


def each_once(value: object, read: Callable[[object], E], wanted: str) -> tuple[E, ...]:
    """Read a list of mailboxes or webhooks, none of which may be there twice; *wanted* is what is accepted."""
    if not isinstance(value, list | tuple):
        raise ValueError(wanted)
    found = tuple(read(entry) for entry in value)
    if len({entry.key for entry in found}) < len(found):
        raise ValueError(f"{wanted}, each address once")
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
    """Return a mail address with its domain in ASCII (RFC 5890), or unchanged where it has no such form."""
    if not isinstance(email, str) or email.isascii():
        return email
    local, at, domain = email.rpartition("@")
    try:
        return f"{local}{at}{ascii_host(domain)}"
    except ValueError:
        return email


def hooks(value: object) -> tuple[Hook, ...]:
    """Read the webhooks: a list or, from the environment, JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError:
            # Without the cause, whose text may hold a secret.
            raise ValueError(HOOKS_WANTED) from None
    return each_once(value, hook, HOOKS_WANTED)


def hook(entry: object) -> Hook:
    """Read one webhook. The error names the part that is wrong and shows no value."""
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
    """Return a web address with its host in ASCII.

    A password is refused, because addresses appear in many logs.
    """
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError("no address")
    url = str(value) if parts.netloc.isascii() else with_ascii_host(parts).geturl()
    if read(url) is None:
        raise ValueError("no host that can be called")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("characters that must be percent-encoded")
    return url


def with_ascii_host(parts: SplitResult) -> SplitResult:
    """Return *parts* with the host as DNS has it, in ASCII; unchanged where it is in ASCII already."""
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


# --- the settings ---------------------------------------------------------------------------------


def setting(default: object, read: Callable[[object], object], *, secret: bool = False) -> Any:
    """Declare a setting: its default as a host would write it, and its reader. A secret is left out of the repr."""
    return field(repr=not secret, metadata={"default": default, "read": read})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of ``app.config`` under the names ``MODERATE_…``; config/default.toml explains each in one line."""

    url_prefix: str = setting("/discuss", url_prefix)
    host: str | None = setting(None, optional(host_name))
    subdomain: str | None = setting(None, optional(subdomain))
    site_url: str | None = setting(None, optional(site_url))
    language: str | None = setting(None, optional(one_of(*LANGUAGES)))
    database_url: str | None = setting(None, optional(text), secret=True)
    database_options: ConnectionOptions = setting(DATABASE_OPTIONS, database_options)
    sqlite_synchronous: Literal["full", "normal"] = setting("full", one_of("full", "normal"))
    redis_url: str | None = setting(None, optional(text), secret=True)
    redis_prefix: str | None = setting(None, optional(redis_prefix))
    premoderation: Premoderation = setting("all", one_of(*get_args(Premoderation)))
    trusted_after: int = setting(3, whole(0, 1000))
    require_author: bool = setting(True, boolean)
    markup: Literal["html", "text", "markdown"] = setting("html", one_of("html", "text", "markdown"))
    sanitizer: Literal["bleach", "nh3"] = setting("bleach", one_of("bleach", "nh3"))
    max_length: int = setting(8000, whole(1, 20000))
    max_links: int = setting(2, whole(0, 1000))
    max_depth: int = setting(5, whole(1, 50))
    honeypot: str = setting("homepage", honeypot)
    form_token: Literal["off", "signal", "required"] = setting("signal", one_of("off", "signal", "required"))
    min_seconds: float = setting(3, seconds(0, 3600))
    edit_window: int = setting(15, whole(0, 525600))
    close_comments_after: int = setting(0, whole(0, 36500))
    close_pings_after: int = setting(0, whole(0, 36500))
    akismet_key: str | None = setting(None, optional(text), secret=True)
    akismet_url: str | None = setting(None, optional(base_url))
    akismet_discard: bool = setting(False, boolean)
    limits: LimitTable = setting(DEFAULT_LIMITS, limits)
    limiter_outage: Literal["local", "open", "closed"] = setting("local", one_of("local", "open", "closed"))
    worker: Literal["thread", "external"] = setting("thread", one_of("thread", "external"))
    metrics: Literal["off", "moderators", "public"] = setting("moderators", one_of("off", "moderators", "public"))
    verify_pings: Literal["required", "signal", "off"] = setting("required", one_of("required", "signal", "off"))
    # A fetch and what follows must end within the lease of the task, or two workers would do it at once.
    fetch_timeout: float = setting(10, seconds(0.1, 60))
    fetch_max_bytes: int = setting(1_048_576, whole(1024, 16_777_216))
    fetch_ports: tuple[int, ...] = setting([80, 443], ports)
    fetch_allow: tuple[Network, ...] = setting([], networks)
    mail_server: str | None = setting(None, optional(mail_server))
    mail_port: int | None = setting(None, optional(whole(1, 65535)))
    mail_security: Literal["starttls", "tls", "none"] = setting("starttls", one_of("starttls", "tls", "none"))
    mail_username: str | None = setting(None, optional(text))
    mail_password: str | None = setting(None, optional(text), secret=True)
    mail_token_command: tuple[str, ...] = setting([], command, secret=True)
    mail_from: str | None = setting(None, optional(sender))
    mail_to: tuple[Recipient, ...] = setting([], recipients)
    mail_timeout: float = setting(10, seconds(0.1, 60))
    mail_digest_after: int = setting(5, whole(0, 1000))
    confirm_email: bool = setting(False, boolean)
    webhooks: tuple[Hook, ...] = setting([], hooks, secret=True)
    webhook_timeout: float = setting(10, seconds(0.1, 60))
    retention: Mapping[str, int] = setting(RETENTION, retention)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Settings:
        """Read all settings. Raises `ConfigError`, naming the key, the value and what is accepted."""
        refuse_unknown(config)
        values: dict[str, Any] = {}
        for entry in fields(cls):
            name = entry.name.upper()
            values[entry.name] = read_one(name, given(name, config, entry.metadata["default"]), entry.metadata["read"])
        return cls(**values)


def names() -> tuple[str, ...]:
    """Return the names of all settings without the prefix, in the order of the documentation."""
    return tuple(entry.name.upper() for entry in fields(Settings))


def given(name: str, config: Mapping[str, object], default: object) -> object:
    """Return the host's value: from its config, for secrets then from the environment, else the default."""
    key = PREFIX + name
    if key in config:
        return config[key]
    if name in SECRETS and os.environ.get(key):
        return os.environ[key]
    return default


def read_one(name: str, value: object, read: Callable[[object], object]) -> object:
    try:
        return read(value)
    except ValueError as error:
        # An address may hold a password even where none is accepted.
        is_secret = name in {*SECRETS, "MAIL_TOKEN_COMMAND"} or ("://" in str(value) and "@" in str(value))
        shown = NOT_SHOWN if is_secret else value
        raise ConfigError(PREFIX + name, shown, f"accepted is {error}") from error


def refuse_unknown(config: Mapping[str, object]) -> None:
    """Raise `ConfigError` for an unknown key: a misspelt one would silently leave the default in force."""
    known = {PREFIX + name for name in names()}
    for key in config:
        if isinstance(key, str) and key.startswith(PREFIX) and key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "docs/configuration.md lists all of them"
            raise ConfigError(key, NOT_SHOWN, f"there is no such setting; {hint}")
