"""Rules that do harm: by a mistake of a moderator, or by texts made to slow them down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from moderate.ports import Rule
from moderate.rules.check import matches, reading
from moderate.text.similarity import word_pattern
from tests.timing import quickly

if TYPE_CHECKING:
    from tests.sites import Host

RULES = "/discuss/moderation/rules"


def add(host: Host, kind: str, value: str, effect: str, query: str = "") -> Any:
    rule = {"kind": kind, "value": value, "effect": effect}
    return host.client.post(RULES + query, json=rule, headers=host.token())


@pytest.mark.parametrize("query", ["", "?dry_run=1"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ip", "0.0.0.0/0"),
        ("ip", "192.0.2.7/7"),
        ("ip", "::/0"),
        ("ip", "2000::/3"),
        ("ip", "::ffff:0:0/96"),
        ("host", "com"),
        ("host", "*.com"),
        ("host", "https://com./"),
        ("email", "@com"),
    ],
)
def test_a_rule_that_trusts_a_very_large_network_or_domain_is_refused(
    host: Host, kind: str, value: str, query: str
) -> None:
    assert add(host, kind, value, "trust", query).status_code == 422
    host.comment()
    assert host.counts()["comments"] == 0


def test_very_large_networks_and_domains_may_be_held(host: Host) -> None:
    assert add(host, "ip", "0.0.0.0/0", "hold").status_code == 201
    assert add(host, "host", "com", "spam").status_code == 201
    assert add(host, "ip", "10.0.0.0/8", "trust").status_code == 201


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a*a*a*a*a*a*a*a*b", "a" * 8000),
        ("*a*" * 66, "a" * 8000),
        ("a b c d e f g h*i", "a b c d e f g h " * 500),
        ("x" * 200, "x" * 8000),
        ("é*é*é*é*ü", "é" * 8000),
        ("一*丁*一", "一" * 8000),
        ("<" * 200, "<" * 8000),
        ("spam", "&" * 8000),
        ("spam", "s." * 4000),
        ("spam", "\u0300" * 8000),
    ],
)
def test_no_text_makes_a_rule_slow(value: str, text: str) -> None:
    word_pattern.cache_clear()
    with quickly():
        matches(Rule(1, "word", value, "spam"), reading(text=text * 10))
