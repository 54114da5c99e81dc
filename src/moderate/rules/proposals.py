"""Rules that are proposed because moderators have decided alike on items of the same host, name or address.

The task that follows a decision looks at what the item has. It counts decisions on the newest items with the same
value, which are looked up by an index, so that a decision itself does nothing for it. A proposal is stored with the
numbers of the items that its rule matches, for the queue page and for programs; it changes nothing by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from moderate.errors import Invalid
from moderate.limits.spending import client_net
from moderate.model import ItemFilter, Status
from moderate.ports import Rule
from moderate.rules.check import address_of, is_below, is_proven, matches, network_of, normal, reading, reading_of
from moderate.text.similarity import plain
from moderate.web_address import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from moderate.model import Item
    from moderate.submit.desk import Desk

#: The number of like decisions from which on a rule is proposed.
LEAST = 3
#: The newest items with a value that are looked at, and the hosts of one item.
LOOKED_AT, HOSTS = 50, 3
#: The time for which further decisions of the same kind do not renew a proposal.
FRESH = timedelta(minutes=10)
#: The time for which a look that came to nothing spares others; see `Nothing`.
SPARED = timedelta(minutes=1)
#: A name of one word and fewer characters is common, and stands in other people's texts.
LONG_NAME = 8

#: The decision that each effect follows from.
AFTER = {"spam": Status.SPAM, "hold": Status.SPAM, "trust": Status.APPROVED}

#: The filter of the queue that finds the items with a value, by the kind of the rule.
FILTERS = {"host": "q", "word": "q", "ip": "ip"}

#: Hosts on which many people write: no rule is proposed for one of these, nor for a name below it.
SHARED = """
    amazon.com ameblo.jp apple.com archive.org bandcamp.com bit.ly bsky.app codeberg.org dev.to discord.com discord.gg
    dropbox.com facebook.com fb.com fb.me flickr.com forms.gle g.co github.com githubusercontent.com gitlab.com
    goo.gl google.com gravatar.com imgur.com instagram.com is.gd linkedin.com linktr.ee mastodon.social medium.com
    microsoft.com note.com notion.site ow.ly patreon.com paypal.com pinterest.com qiita.com reddit.com soundcloud.com
    stackexchange.com stackoverflow.com t.co t.me telegram.me tiktok.com tinyurl.com twitch.tv twitter.com vimeo.com
    vk.com wa.me whatsapp.com wikimedia.org wikipedia.org x.com yahoo.co.jp yahoo.com youtu.be youtube.com zenn.dev
"""
#: Hosts whose customers have names below: no rule is proposed for the host itself.
HOSTING = """
    amazonaws.com azurewebsites.net blog.jp blogspot.com cloudfront.net cocolog-nifty.com codeberg.page exblog.jp
    fc2.com firebaseapp.com fly.dev free.fr github.io gitlab.io glitch.me hatenablog.com hatenablog.jp hatenadiary.jp
    herokuapp.com jimdofree.com livedoor.blog livejournal.com micro.blog myshopify.com neocities.org netlify.app
    onrender.com over-blog.com pages.dev s3.amazonaws.com sakura.ne.jp seesaa.net substack.com surge.sh tumblr.com
    typepad.com vercel.app web.app web.fc2.com weebly.com wixsite.com wordpress.com workers.dev
"""
OF_MANY, OF_CUSTOMERS = frozenset(SHARED.split()), frozenset(HOSTING.split())


class Proposal(NamedTuple):
    """A proposed rule: on how many decisions it rests, and where the items stand that it matches, at most `LOOKED_AT`.

    `examples` are the newest of the items that were decided on.
    """

    key: str
    rule: Rule
    decided: int
    by_status: Mapping[str, int]
    examples: Sequence[int]

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Proposal:
        rule = Rule(0, stored["kind"], stored["value"], stored["effect"])
        return cls(stored["key"], rule, stored["decided"], stored["by_status"], stored["examples"])

    def to_json(self) -> dict[str, object]:
        rule = {"kind": self.rule.kind, "value": self.rule.value, "effect": self.rule.effect}
        rest = {"decided": self.decided, "by_status": dict(self.by_status), "examples": list(self.examples)}
        return {"key": self.key, **rule, **rest}

    @property
    def filter(self) -> tuple[str, str] | None:
        """The queue's filter for the items that the rule matches, as name and value; None where there is none."""
        return None if self.rule.kind == "ip" and "/" in self.rule.value else (FILTERS[self.rule.kind], self.rule.value)


class Nothing(NamedTuple):
    """A look at a value that led to no proposal, and which like decisions after it cannot lead to one either.

    Each process remembers its own: a decision on many items of one host would else search for that host for each.
    Decisions that other processes take in are not counted, so a rule may be proposed up to `SPARED` later there.
    """

    #: The number of decisions that are too few, whichever items they are on, except those of `against`.
    too_few: float
    #: The items that spoke against the rule: decisions on these make another look worth while.
    against: frozenset[int] = frozenset()
    #: The oldest item that was looked at, 0 where these were all. Decisions on older ones are not counted.
    oldest: int = 0
    at: datetime = datetime.min.replace(tzinfo=UTC)


def review(desk: Desk, item: Item) -> None:
    """Propose rules, or withdraw them, after a decision on *item* or its undo. To do it twice does no harm."""
    if desk.services.tokens is None:
        return
    secret, now = desk.services.tokens.key(), desk.clock.now()
    candidates = {key_of(secret, rule): rule for rule in candidates_of(desk, item)}
    stored = desk.store.proposals.known(list(candidates)) if candidates else {}
    for key, rule in candidates.items():
        is_for = item.decided_by is not None and item.status is AFTER[rule.effect]
        since = stored.get(key)
        is_dismissed = key in stored and since is None
        is_vain = changes_nothing(desk, key, item, now)
        is_fresh = since is not None and now - since < FRESH
        if is_dismissed or (since is None and not is_for) or (is_for and (is_fresh or is_vain)):
            continue
        found = Nothing(0) if is_covered(desk, rule) else proposed(desk, key, rule)
        if isinstance(found, Proposal):
            desk.store.proposals.put(key, found.to_json(), now)
            continue
        desk.store.proposals.in_vain.put(key, found._replace(at=now))
        if since is not None:
            desk.store.proposals.drop([key])


def changes_nothing(desk: Desk, key: str, item: Item, now: datetime) -> bool:
    """Return whether this process knows that a like decision on *item* leads to no proposal; count the decision."""
    looks = desk.store.proposals.in_vain
    known: Nothing | None = looks.get(key)
    if known is None or now - known.at >= SPARED:
        return False
    if item.id in known.against:
        looks.put(key, Nothing(0))
        return False
    if known.too_few > 0 and item.id >= known.oldest:
        looks.put(key, known._replace(too_few=known.too_few - 1))
    return item.id < known.oldest or known.too_few > 0


def key_of(secret: bytes, rule: Rule) -> str:
    """Return a rule's key. It is a keyed digest: what a dismissal leaves in the database tells no address."""
    subject = f"{rule.effect} {rule.kind} {rule.value}".encode()
    return hmac.digest(secret, subject, hashlib.sha256)[:10].hex()


def candidates_of(desk: Desk, item: Item) -> Iterator[Rule]:
    """Yield the rules that decisions on *item* and others could lead to.

    Trust is for the hosts of pings alone: an address of the network may be many people's, and anyone can type a name.
    """
    hosts = hosts_of(desk, item)
    rules = [Rule(0, "host", host, "spam") for host in hosts]
    if item.kind.is_ping:
        rules += [rule._replace(effect="trust") for rule in rules if rule.value == bare(item.source_url or "")]
    address = address_of(item.ip or "")
    if address is not None and address.is_global:
        rules.append(Rule(0, "ip", client_net(str(address)).own, "spam"))
    # A ping that names no blog has its host for an author.
    is_name = "*" not in item.author and item.author.lower().removeprefix("www.") not in hosts
    if item.author_id is None and is_name and is_telling(plain(item.author).strip()):
        rules.append(Rule(0, "word", item.author, "hold"))
    for rule in rules:
        with suppress(Invalid):
            yield normal(rule)


def is_telling(name: str) -> bool:
    return len(name) >= LONG_NAME or " " in name


def hosts_of(desk: Desk, item: Item) -> list[str]:
    """Return the hosts that an item's addresses lead to and that a rule may name, at most `HOSTS`."""
    own = {bare(desk.settings.site_url or ""), bare(item.article_url)} - {""}
    found = dict.fromkeys(bare(address) for address in (item.url, item.source_url, *item.links) if address)
    return [host for host in found if "." in host and len(host) <= 200 and not is_shared(host, own)][:HOSTS]


def bare(address: str) -> str:
    return host_of(address).removeprefix("www.")


def is_shared(host: str, own: set[str]) -> bool:
    """Return whether a host is the site's own, or that of many people. Labels are whole, as in rules."""
    if host in OF_CUSTOMERS or any(is_below(host, each) or is_below(each, host) for each in own):
        return True
    return any(is_below(host, each) for each in OF_MANY)


def is_covered(desk: Desk, rule: Rule) -> bool:
    """Return whether a rule of the same kind matches all that this one would, whatever it does with it."""
    here = subject_of(rule)
    existing = desk.services.rules.active() if desk.services.rules is not None else ()
    return any(other.kind == rule.kind and covers(other, rule) and matches(other, here) for other in existing)


def covers(other: Rule, rule: Rule) -> bool:
    """Return False for a rule about one address of a network."""
    wide, narrow = network_of(other.value), network_of(rule.value)
    return rule.kind != "ip" or (wide is not None and narrow is not None and wide.prefixlen <= narrow.prefixlen)


def subject_of(rule: Rule) -> Any:
    """Return what rules match in the value of another one."""
    if rule.kind == "host":
        return reading(text="", addresses=(f"http://{rule.value}/",))
    if rule.kind == "ip":
        return reading(text="", ip=rule.value.partition("/")[0])
    return reading(text=rule.value)


def proposed(desk: Desk, key: str, rule: Rule) -> Proposal | Nothing:
    """Count the decisions on the newest items that a rule matches; `Nothing` where they do not speak for it.

    They do not where moderators disagree, and where as many such items are public as were marked as spam. An address
    or a name of which one item is public is not proposed: it may be a proxy's, or that of a reader.
    """
    wanted, found = AFTER[rule.effect], newest(desk, rule)
    said = [item for item in found if item.decided_by is not None and has(desk, item, rule)]
    alike = [item for item in said if item.status is wanted]
    contrary = [item for item in said if item.status is not wanted and item.status in AFTER.values()]
    oldest = found[-1].id if len(found) == LOOKED_AT else 0
    # First, because matching reads the whole texts.
    if len(alike) < LEAST or contrary:
        return Nothing(math.inf if contrary else 0, frozenset(item.id for item in contrary), oldest)
    met = [
        item
        for item in found
        if matches(rule, reading_of(item)) and (rule.effect != "trust" or is_proven(rule, item, item.source_url or ""))
    ]
    stand = Counter(item.status for item in met)
    bad = Status.SPAM if rule.effect == "trust" else Status.APPROVED
    is_host = rule.effect != "trust" and rule.kind == "host"
    if stand[bad] >= (len(alike) if is_host else 1):
        against = frozenset(item.id for item in met if item.status is bad)
        return Nothing(stand[bad] - len(alike) if is_host else math.inf, against, oldest)
    if stand[wanted] < LEAST:
        return Nothing(LEAST - 1 - stand[wanted], oldest=oldest)
    by_status = {status.value: number for status, number in stand.items()}
    return Proposal(key, rule, len(alike), by_status, [item.id for item in alike[:LEAST]])


def newest(desk: Desk, rule: Rule) -> Sequence[Item]:
    """Return the newest items that may have the value of a rule, at most `LOOKED_AT`."""
    if rule.kind == "ip" and "/" in rule.value:
        return desk.store.proposals.within(rule.value, LOOKED_AT)
    which = replace(ItemFilter(), **{FILTERS[rule.kind]: rule.value})  # type: ignore[arg-type]
    return desk.store.queue.page(which, cursor=None, limit=LOOKED_AT).items


def has(desk: Desk, item: Item, rule: Rule) -> bool:
    """Return whether an item has the value of a rule in the place from which it was proposed."""
    if rule.kind == "host":
        return rule.value in hosts_of(desk, item)
    if rule.kind == "ip":
        return matches(rule, reading(text="", ip=item.ip)) is not None
    return plain(item.author).strip() == plain(rule.value).strip()


def settle(desk: Desk) -> None:
    """Delete the proposals that a new rule covers."""
    stored = (Proposal.of(each) for each in desk.store.proposals.all(limit=None))
    covered = [each.key for each in stored if is_covered(desk, each.rule)]
    if covered:
        desk.store.proposals.drop(covered)
