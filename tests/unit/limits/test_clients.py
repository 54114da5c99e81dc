"""The client whose budget a request spends from."""

from __future__ import annotations

import ipaddress
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.limits import spending
from moderate.limits.spending import UNKNOWN, ClientNet, client_net, keyed


@pytest.mark.parametrize(
    ("address", "net"),
    [
        ("192.0.2.7", ClientNet("192.0.2.7")),
        ("::ffff:192.0.2.7", ClientNet("192.0.2.7")),
        ("::ffff:c000:207", ClientNet("192.0.2.7")),
        ("2001:db8:1:2:3:4:5:6", ClientNet("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:DB8:1:2::9", ClientNet("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("fe80::1%eth0", ClientNet("fe80::/64", "fe80::/48")),
        ("fe80::1%25eth0", ClientNet("fe80::/64", "fe80::/48")),
        ("::1", ClientNet("::/64", "::/48")),
    ],
)
def test_addresses_are_grouped_by_the_network_of_one_subscriber(address: str, net: ClientNet) -> None:
    assert client_net(address) == net


@pytest.mark.parametrize(
    "address", [None, "", "unix:", "1.2.3.4:80", "[::1]", "010.1.1.1", "1.2.3", "x" * 9999, "٣.1.1.1"]
)
def test_unreadable_addresses_share_one_bucket(address: str | None) -> None:
    assert client_net(address) == ClientNet(UNKNOWN)


def test_an_unreadable_address_is_logged_once_and_truncated(caplog: pytest.LogCaptureFixture) -> None:
    spending._unreadable_logged.clear()
    client_net.cache_clear()
    with caplog.at_level(logging.WARNING, "moderate"):
        for _ in range(3):
            client_net("x" * 9999)
    (message,) = caplog.messages
    assert "ProxyFix" in message
    assert len(message) < 400


@given(st.ip_addresses(v=6))
def test_all_addresses_of_an_ipv6_64_network_are_one_client(address: ipaddress.IPv6Address) -> None:
    if address.ipv4_mapped is None:
        first = ipaddress.IPv6Address(int(address) >> 64 << 64)
        if first.ipv4_mapped is None:
            assert client_net(str(address)) == client_net(str(first))


def test_keys_depend_on_secret_scope_and_subject_and_are_stable() -> None:
    keys = {
        keyed(secret, scope, subject)
        for secret in (b"one", b"two")
        for scope in ("client", "article")
        for subject in ("192.0.2.7", "192.0.2.8")
    }
    assert len(keys) == 8
    assert all(len(key) == 16 and "192" not in key for key in keys)
    assert keyed(b"one", "client", "192.0.2.7") == keyed(b"one", "client", "192.0.2.7")


def test_any_text_can_be_a_subject() -> None:
    assert keyed(b"k", "article", "ü/\udcff\0") != keyed(b"k", "article", "ü/\udcfe\0")
