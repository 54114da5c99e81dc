"""Proposed rules in the database: one at a time beside the overview, dismissed ones, and networks of IPv6."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from moderate.model import Client
from tests.factories import HELD, NOON, a_comment

if TYPE_CHECKING:
    from moderate.store.store import Store

HOUR = timedelta(hours=1)


def test_the_newest_proposal_comes_with_the_overview_until_it_is_answered(store: Store) -> None:
    assert store.overview().proposal is None
    store.states.keep("retention", {"proposal:": 1}, NOON + 9 * HOUR)
    store.proposals.put("aa", {"key": "aa", "by_status": {"spam": 3}}, NOON)
    store.proposals.put("bb", {"key": "bb"}, NOON + HOUR)
    store.proposals.put("aa", {"key": "aa", "by_status": {"spam": 4}}, NOON + 2 * HOUR)
    assert store.overview().proposal == store.proposals.get("aa") == {"key": "aa", "by_status": {"spam": 4}}
    assert [each["key"] for each in store.proposals.all()] == ["aa", "bb"]
    assert store.proposals.dismiss("aa", NOON + 3 * HOUR)
    assert not store.proposals.dismiss("aa", NOON)
    assert store.overview().proposal == {"key": "bb"}
    assert store.proposals.known(["aa", "bb", "cc"]) == {"aa": None, "bb": NOON + HOUR}
    # A worker that was counting meanwhile may propose it once more.
    store.proposals.put("aa", {"key": "aa"}, NOON + 4 * HOUR)
    assert store.proposals.known(["aa"]) == {"aa": None}
    store.proposals.drop(["aa"])
    assert [each["key"] for each in store.proposals.all()] == ["bb"]
    store.proposals.forget(NOON + 2 * HOUR)
    assert store.overview().proposal is None
    assert store.proposals.known(["aa", "bb"]) == {"aa": None}


def test_items_of_an_ipv6_network_are_found_by_the_beginning_of_their_address(store: Store) -> None:
    addresses = ("2001:db8::1", "2001:db8:0:1::1", "2001:db80::1", "2001:db8:1:2:3::4", "2001:db8:1:2::4", None)
    for number, ip in enumerate(addresses):
        store.items.record(replace(a_comment(f"Text {number}."), client=Client(ip=ip or "")), HELD, [], NOON)

    def found(network: str, limit: int = 9) -> list[int]:
        return [item.id for item in store.proposals.within(network, limit)]

    assert found("2001:db8:1:2::/64") == [5, 4]
    assert found("2001:db8:1:2::/64", 1) == [5]
    # The caller compares: 2001:db8::/64 and 2001:db8:0:1::/64 begin alike.
    assert found("2001:db8::/64") == [5, 4, 2, 1]
