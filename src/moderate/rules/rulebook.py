"""Moderators' own rules: written down, tried on what came in lately, taken back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moderate.errors import Invalid, UnknownRule
from moderate.model import ItemFilter
from moderate.rules.check import is_proven
from moderate.rules.match import matches, network_of, normal_value, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moderate.model import Item, Moderator
    from moderate.ports import Rule
    from moderate.rules.sql import RuleInfo
    from moderate.submit.desk import Desk

#: On how many of the latest items a rule is tried, and how many are read at a time.
TRIED = 1000
STRETCH = 200

#: The widest networks that may be trusted, by the version of the Internet Protocol.
SMALLEST_PREFIX = {4: 8, 6: 16}


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rule would have done, had it been there."""

    rule: Rule
    looked_at: int
    #: The items that it matches, newest first, each with what in it was met.
    met: tuple[tuple[Item, str], ...]

    def by_status(self) -> Mapping[str, int]:
        """Where the items that it matches stand."""
        return Counter(item.status.value for item, _ in self.met)

    def decided(self) -> Mapping[str, int]:
        """What moderators had decided about those of them that they decided."""
        return Counter(item.status.value for item, _ in self.met if item.decided_by is not None)


def add(desk: Desk, rule: Rule, *, by: Moderator) -> tuple[RuleInfo, bool]:
    """Write a rule down, and tell whether it is new: the same value again changes effect and note.

    Raises `Invalid` for a value that makes no sense.
    """
    return desk.store.rules.add(normal(rule), by.name, desk.clock.now())


def normal(rule: Rule) -> Rule:
    """The rule with its value as it is stored. Raises `Invalid`, also for trust in half the world."""
    value = normal_value(rule.kind, rule.value)
    if rule.effect == "trust" and is_too_wide(rule.kind, value):
        raise Invalid.field("value", "Trust in so many would let strangers in; name fewer of them.")
    return replace(rule, value=value)


def is_too_wide(kind: str, value: str) -> bool:
    """Whether a slip of the hand would publish what anybody writes: 0.0.0.0/0, or all names below "com"."""
    if kind == "ip":
        network = network_of(value)
        return network is not None and network.prefixlen < SMALLEST_PREFIX[network.version]
    return kind == "host" and not {".", ":"} & set(value)


def remove(desk: Desk, rule_id: int) -> None:
    """Take a rule back; what it did stays done. Raises `UnknownRule`."""
    if not desk.store.rules.delete(rule_id):
        raise UnknownRule


def find(desk: Desk, rule_id: int) -> RuleInfo:
    """Raises `UnknownRule`."""
    for info in desk.store.rules.all():
        if info.rule.id == rule_id:
            return info
    raise UnknownRule


def try_out(desk: Desk, rule: Rule) -> Tried:
    """What a rule would have done with the latest items; nothing is stored or changed."""
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
    for _ in range(TRIED // STRETCH):
        page = desk.store.queue.page(ItemFilter(), cursor=cursor, limit=STRETCH)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def meets(rule: Rule, item: Item) -> str | None:
    """What of a stored item the rule matches, as the check would have found when it came in."""
    text = "\n".join(line for line in (item.author, item.title, item.blog_name, item.text) if line)
    addresses = [address for address in (item.url, item.source_url, *item.links) if address]
    what = matches(rule, reading(text=text, addresses=addresses, email=item.email or "", ip=item.ip or ""))
    # Where a page was read from in the end is not kept; most are read from where they say.
    is_met = rule.effect != "trust" or is_proven(rule, item, item.source_url or "")
    return what if is_met else None
