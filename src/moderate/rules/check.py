"""The checks of moderators' rules, what rules match, and what values they may have.

Rules that hold or mark spam are checked first, those that trust are checked late. Matching is done by pure
functions, with which a rule is also tried out on stored items.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from moderate.checks.base import CheckDefaults
from moderate.errors import Invalid
from moderate.i18n import Message
from moderate.model import Finding, Item, Lean
from moderate.text.similarity import longest_part, plain, spellings, word_pattern
from moderate.web_address import host_of, is_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moderate.checks.base import Facts
    from moderate.model import Submission
    from moderate.ports import Rule

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
BETWEEN_NAMES = re.compile(r"[^\w.\-]+")

#: The widest networks that may be trusted, by the version of the Internet Protocol.
SMALLEST_PREFIX = {4: 8, 6: 16}

#: What a rule names, by its kind.
KINDS = {
    "word": Message("the word “{value}”"),
    "host": Message("an address at “{value}”"),
    "email": Message("the e-mail “{value}”"),
    "ip": Message("the network “{value}”"),
}


class Rules(CheckDefaults):
    """Hold a submission, or mark it as spam, by a moderator's rule. Of several that match, spam comes first."""

    name = "rules"
    needs = "rules"
    follows = timedelta.max

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        hit = list(matching(submission, facts, is_trust=False))
        if not hit:
            return None
        rule, what = next(((rule, what) for rule, what in hit if rule.effect == "spam"), hit[0])
        return Finding(self.name, Lean.SPAM if rule.effect == "spam" else Lean.HOLD, words(rule, what), rule=rule.id)


class TrustRules(CheckDefaults):
    """Trust a submission by a moderator's rule, if the sender cannot simply have claimed what the rule names.

    IP addresses and words always count. An e-mail address counts only for an author whom the host has verified
    or who has confirmed it, because anyone can type one. A host counts for pings only, whose source was read
    before this check, and only if the page came from that host in the end: a trusted site that redirects
    anywhere did not write the page. A link in a comment does not prove who wrote it.
    """

    name = "trust-rules"
    version = 2
    needs = "rules"

    def look(self, submission: Submission, facts: Facts) -> Finding | None:
        read_from = facts.source.read_from if facts.source else ""
        for rule, what in matching(submission, facts, is_trust=True):
            if is_proven(rule, submission, read_from):
                return Finding(self.name, Lean.TRUST, words(rule, what), rule=rule.id)
        return None


def matching(submission: Submission, facts: Facts, *, is_trust: bool) -> Iterator[tuple[Rule, str]]:
    """Yield the rules that match a submission, each with what it matches: those that trust, or all others.

    An effect that only a later version knows is among the others, so that its rules hold.
    """
    written = None
    for rule in facts.services.rules.active() if facts.services.rules else ():
        if (rule.effect == "trust") is is_trust:
            written = written or reading_of(submission)
            what = matches(rule, written)
            if what:
                yield rule, what


def is_proven(rule: Rule, submission: Submission | Item, read_from: str) -> bool:
    """Return whether the sender cannot simply have claimed what a rule trusts; see `TrustRules`.

    *read_from* is the address from which a ping's page was read in the end.
    """
    if rule.kind == "email":
        return submission.author_id is not None
    if rule.kind == "host":
        trusted = host_of(rule.value)
        places = (submission.source_url or "", read_from)
        return submission.kind.is_ping and all(is_below(host_of(place), trusted) for place in places)
    return True


def words(rule: Rule, what: str) -> Message:
    """Say which rule matched, what in the text it matched, and the moderator's own note."""
    told = Message(KINDS[rule.kind].id, value=rule.value)
    if what != rule.value:
        told = Message("{rule} (here: “{found}”)", rule=told, found=what[:80])
    if not rule.note:
        return Message("a moderator's rule: {rule}", rule=told)
    return Message("a moderator's rule: {rule} – {note}", rule=told, note=rule.note)


# --- matching ----------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """The parts of a submission that rules match, prepared once for all rules."""

    words: tuple[str, ...]
    hosts: tuple[str, ...]
    email: str
    ip: str


def reading_of(written: Submission | Item) -> Reading:
    """Return what rules match in a submission or a stored item. Names and titles are matched like the text."""
    text, links, ip = (
        (written.text, written.links, written.ip)
        if isinstance(written, Item)
        else (written.body.raw, written.body.links, written.client.ip)
    )
    lines = (written.author, written.title, written.blog_name, text)
    return reading(
        text="\n".join(line for line in lines if line),
        addresses=(written.url, written.source_url, *links),
        email=written.email,
        ip=ip,
    )


@lru_cache(maxsize=16)
def reading(
    *, text: str, addresses: tuple[str | None, ...] = (), email: str | None = None, ip: str | None = None
) -> Reading:
    """Return what rules match in a text, links, an e-mail address and an IP address.

    Cached, because both checks of rules read each submission.
    """
    hosts = {host for address in addresses if address and (host := host_of(address))}
    words = spellings(text)
    # In the first spelling lookalike letters are read as Latin.
    names = names_in(words[0], text.lower())
    return Reading(words, tuple(sorted(hosts | names)), (email or "").lower(), ip or "")


def matches(rule: Rule, written: Reading) -> str | None:
    """Return what a rule matches in *written*, None if it matches nothing. An invalid rule matches nothing."""
    return MATCHERS[rule.kind](rule.value, written)


def _word(value: str, written: Reading) -> str | None:
    if not value.strip(" *"):
        return None
    # Nearly every rule names a word that the text does not have, which the search for a plain string finds out fastest.
    pattern, part = word_pattern(value), longest_part(value)
    found = next((match for way in written.words if part in way and (match := pattern.search(way))), None)
    return found.group() if found else None


def _host(value: str, written: Reading) -> str | None:
    suffix = host_of(value)
    if not suffix:
        return None
    return next((host for host in written.hosts if is_below(host, suffix)), None)


def _email(value: str, written: Reading) -> str | None:
    local, _, domain = wanted = _email_parts(value.strip())
    if not domain or not written.email:
        return None
    parts = _email_parts(written.email)
    return written.email if parts == wanted or (not local and is_below(parts[2], domain)) else None


def _ip(value: str, written: Reading) -> str | None:
    network, address = network_of(value), address_of(written.ip)
    return str(address) if network is not None and address is not None and address in network else None


MATCHERS: dict[str, Callable[[str, Reading], str | None]] = {
    "word": _word,
    "host": _host,
    "email": _email,
    "ip": _ip,
}


def is_below(host: str, suffix: str) -> bool:
    """Return whether *host* is *suffix* or a name below it. Labels are whole: notexample.org is not example.org."""
    return host == suffix or host.endswith("." + suffix)


def names_in(*texts: str) -> set[str]:
    """Return the host names in spellings of a running text, with or without a scheme."""
    names: set[str] = set()
    for spelled in set(texts):
        for word in BETWEEN_NAMES.split(spelled):
            if "." not in word:
                continue
            labels = word.strip(".-").split(".")
            if 2 <= len(labels) <= 10 and all(map(LABEL.fullmatch, labels)):
                names.add(host_of(".".join(labels)))
    return names - {""}


@lru_cache(maxsize=4096)
def network_of(value: str) -> Network | None:
    """Return an address or CIDR as a network, IPv4 in IPv6 as IPv4. None if it is neither."""
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


@lru_cache(maxsize=256)
def address_of(value: str) -> Address | None:
    """Return a client's IP address, IPv4 in IPv6 as IPv4. None if it is unknown."""
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


# --- the values of new rules -------------------------------------------------------------------------


def normal(rule: Rule) -> Rule:
    """Return the rule with its value as it is stored. Raises `Invalid`, also where it would trust too many."""
    value = normal_value(rule.kind, rule.value)
    if rule.effect == "trust" and is_too_wide(rule.kind, value):
        raise Invalid.field("value", "Trust in so many would let strangers in; name fewer of them.")
    return rule._replace(value=value)


def is_too_wide(kind: str, value: str) -> bool:
    """Return whether trusting this would publish almost everything: 0.0.0.0/0, or all names below "com"."""
    if kind == "ip":
        network = network_of(value)
        return network is not None and network.prefixlen < SMALLEST_PREFIX[network.version]
    return kind == "host" and not {".", ":"} & set(value)


def normal_value(kind: str, value: str) -> str:
    """Return the form in which a rule's value is stored. Raises `Invalid`, which names what is accepted."""
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
