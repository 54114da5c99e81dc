"""What a moderator's rule matches: pure functions, also for trying a rule out on old items."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from moderate.checks.spelling import plain, spellings, word_pattern
from moderate.errors import Invalid
from moderate.web_address import host_of, is_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moderate.model import Submission
    from moderate.ports import Rule

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
BETWEEN_NAMES = re.compile(r"[^\w.\-]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """A submission made ready for rules, once for all of them."""

    words: tuple[str, ...]
    hosts: frozenset[str]
    email: str
    ip: str


def reading_of(submission: Submission) -> Reading:
    """All that rules look at. Names and titles are matched like the text; so is the text itself, decoded."""
    lines = (submission.author, submission.title, submission.blog_name, submission.body.raw)
    text = "\n".join(line for line in lines if line)
    addresses = (submission.url, submission.source_url, *submission.body.links)
    hosts = {host for address in addresses if address and (host := host_of(address))}
    return Reading(
        words=spellings(text),
        hosts=frozenset(hosts | names_in(text)),
        email=(submission.email or "").lower(),
        ip=submission.client.ip,
    )


def reading(*, text: str, addresses: Iterable[str] = (), email: str = "", ip: str = "") -> Reading:
    """The same from plain fields, for items that are stored already."""
    hosts = {host for address in addresses if (host := host_of(address))}
    return Reading(spellings(text), frozenset(hosts | names_in(text)), email.lower(), ip)


def matches(rule: Rule, written: Reading) -> str | None:
    """What in *written* the rule matched, None where nothing did. A rule that makes no sense matches nothing."""
    return MATCHERS[rule.kind](rule.value, written)


def _word(value: str, written: Reading) -> str | None:
    if not value.strip(" *"):
        return None
    pattern = word_pattern(value)
    found = next((match for way in written.words if (match := pattern.search(way))), None)
    return found.group() if found else None


def _host(value: str, written: Reading) -> str | None:
    suffix = host_of(value)
    if not suffix:
        return None
    return next((host for host in sorted(written.hosts) if is_below(host, suffix)), None)


def _email(value: str, written: Reading) -> str | None:
    local, _, domain = wanted = _email_parts(value.strip())
    if not domain or not written.email:
        return None
    parts = _email_parts(written.email)
    return written.email if parts == wanted or (not local and is_below(parts[2], domain)) else None


def _ip(value: str, written: Reading) -> str | None:
    network, address = network_of(value), address_of(written.ip)
    if network is None or address is None or network.version != address.version:
        return None
    return str(address) if address in network else None


MATCHERS: dict[str, Callable[[str, Reading], str | None]] = {
    "word": _word,
    "host": _host,
    "email": _email,
    "ip": _ip,
}


def is_below(host: str, suffix: str) -> bool:
    """Whether *host* is *suffix* or a name below it: whole labels only, so notexample.org is not example.org."""
    return host == suffix or host.endswith("." + suffix)


def names_in(text: str) -> set[str]:
    """Host names written in running text, with or without a scheme; lookalike letters read as Latin."""
    names: set[str] = set()
    for spelled in {plain(text), text.lower()}:
        for word in BETWEEN_NAMES.split(spelled):
            labels = word.strip(".-").split(".")
            if 2 <= len(labels) <= 10 and all(map(LABEL.fullmatch, labels)):
                names.add(host_of(".".join(labels)))
    return names - {""}


@lru_cache(maxsize=4096)
def network_of(value: str) -> Network | None:
    """An address or CIDR as a network, with IPv4 inside IPv6 unwrapped; None where it is neither."""
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


def address_of(value: str) -> Address | None:
    """A client's address, unwrapped the same way; None where it is unknown."""
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def normal_value(kind: str, value: str) -> str:
    """How a rule's value is stored. Raises `Invalid` naming what is accepted."""
    text = value.strip()
    if kind == "ip":
        network = network_of(text)
        if network is None:
            raise Invalid.field("value", "Give an address (192.0.2.7, 2001:db8::1) or a network (192.0.2.0/24).")
        return str(network).removesuffix("/32" if network.version == 4 else "/128")
    if kind == "host":
        host = host_of(text)
        if not is_ip(host) and not all(map(LABEL.fullmatch, host.split("."))):
            raise Invalid.field("value", "Give a host name such as example.org; names below it match as well.")
        return host
    if kind == "email":
        return _normal_email(text)
    if not plain(text).strip(" *"):
        raise Invalid.field("value", "Give a word or a phrase; * stands for any letters within a word.")
    return text


def _normal_email(text: str) -> str:
    local, at, domain = _email_parts(text)
    if not domain or " " in text or "." not in domain:
        raise Invalid.field("value", "Give an address (name@example.org) or a domain (@example.org).")
    return f"{local}{at}{domain}"


@lru_cache(maxsize=4096)
def _email_parts(email: str) -> tuple[str, str, str]:
    """Return local part, ``@`` and domain for comparing. Only the local part may be folded as plain text is."""
    local, at, domain = email.rpartition("@")
    return local.casefold(), at, host_of(domain)
