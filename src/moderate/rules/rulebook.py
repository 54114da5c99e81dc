"""Moderators' rules: adding them, trying them out on the latest items, removing them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moderate.errors import Invalid, UnknownRule
from moderate.model import ItemFilter
from moderate.rules.check import is_proven, matches, network_of, normal_value, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moderate.model import Item, Moderator
    from moderate.ports import Rule
    from moderate.rules.sql import RuleInfo
    from moderate.submit.desk import Desk

#: The number of latest items that a rule is tried on, and that are read at a time.
TRIED = 1000
PAGE = 200

#: The widest networks that may be trusted, by the version of the Internet Protocol.
SMALLEST_PREFIX = {4: 8, 6: 16}


@dataclass(frozen=True, slots=True)
class Tried:
    """The items that a rule would have matched."""

    rule: Rule
    looked_at: int
    #: The items that it matches, newest first, each with what was matched.
    met: tuple[tuple[Item, str], ...]

    def by_status(self) -> Mapping[str, int]:
        """Return the number of matched items by status."""
        return Counter(item.status.value for item, _ in self.met)

    def decided(self) -> Mapping[str, int]:
        """Return the number of matched items by status, of those that a moderator has decided."""
        return Counter(item.status.value for item, _ in self.met if item.decided_by is not None)


def add(desk: Desk, rule: Rule, *, by: Moderator) -> tuple[RuleInfo, bool]:
    """Store a rule, and return it with whether it is new: for a known value, effect and note are replaced.

    Raises `Invalid` for a value that is not valid.
    """
    return desk.store.rules.add(normal(rule), by.name, desk.clock.now())


def normal(rule: Rule) -> Rule:
    """Return the rule with its value as it is stored. Raises `Invalid`, also where it would trust too many."""
    value = normal_value(rule.kind, rule.value)
    if rule.effect == "trust" and is_too_wide(rule.kind, value):
        raise Invalid.field("value", "Trust in so many would let strangers in; name fewer of them.")
    return replace(rule, value=value)


def is_too_wide(kind: str, value: str) -> bool:
    """Return whether trusting this would publish almost everything: 0.0.0.0/0, or all names below "com"."""
    if kind == "ip":
        network = network_of(value)
        return network is not None and network.prefixlen < SMALLEST_PREFIX[network.version]
    return kind == "host" and not {".", ":"} & set(value)


def remove(desk: Desk, rule_id: int) -> None:
    """Remove a rule; items that it held or marked stay as they are. Raises `UnknownRule`."""
    if not desk.store.rules.delete(rule_id):
        raise UnknownRule


def find(desk: Desk, rule_id: int) -> RuleInfo:
    """Return a rule. Raises `UnknownRule`."""
    for info in desk.store.rules.all():
        if info.rule.id == rule_id:
            return info
    raise UnknownRule


def try_out(desk: Desk, rule: Rule) -> Tried:
    """Match a rule against the latest items, without storing or changing anything. Raises `Invalid`."""
    wanted = normal(rule)
    looked_at = 0
    met = []
    for item in latest(desk):
        looked_at += 1
        what = meets(wanted, item)
        if what is not None:
            met.append((item, what))
    return Tried(wanted, looked_at, tuple(met))


def latest(desk: Desk) -> Iterator[Item]:
    cursor = None
    for _ in range(TRIED // PAGE):
        page = desk.store.queue.page(ItemFilter(), cursor=cursor, limit=PAGE)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def meets(rule: Rule, item: Item) -> str | None:
    """Return what a rule matches in a stored item, as the check would have found it; None if nothing."""
    text = "\n".join(line for line in (item.author, item.title, item.blog_name, item.text) if line)
    addresses = (item.url, item.source_url, *item.links)
    what = matches(rule, reading(text=text, addresses=addresses, email=item.email, ip=item.ip))
    # The address from which a ping's page was read in the end is not stored; usually it is that of the source.
    is_met = rule.effect != "trust" or is_proven(rule, item, item.source_url or "")
    return what if is_met else None
