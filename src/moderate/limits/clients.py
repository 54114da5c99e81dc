"""Whose budget a request spends from: client addresses by prefix, and keys that tell nothing.

Only the address that the host's own proxy settings produced (`remote_addr`) is ever looked at. An
IPv4 address counts whole. An IPv6 client counts by its /64, because one subscriber owns at least that
much and may take a new address for each request; a wider budget for the /48 above stops those who
own many /64.
"""

from __future__ import annotations

import hmac
import logging
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"
"""The one client that all requests without a readable address share."""

_log = logging.getLogger("moderate")
_said = threading.Event()


@dataclass(frozen=True, slots=True)
class ClientNet:
    """A client as limits see it: its own address or /64, and for IPv6 the /48 around it."""

    own: str
    wider: str | None = None


def client_net(remote_addr: str | None) -> ClientNet:
    """The client behind `remote_addr`. What cannot be read shares one bucket and is said once per process."""
    found = _net(remote_addr)
    if found is None:
        _say_once(remote_addr)
        return ClientNet(UNKNOWN)
    return found


@lru_cache(maxsize=1024)
def _net(remote_addr: str | None) -> ClientNet | None:
    """Remembered, because who writes much is read as often, and a flood should cost us least."""
    address = _address(remote_addr)
    if address is None:
        return None
    if isinstance(address, IPv4Address):
        return ClientNet(str(address))
    return ClientNet(str(IPv6Network((address, 64), strict=False)), str(IPv6Network((address, 48), strict=False)))


def keyed(secret: bytes, scope: str, subject: str) -> str:
    """A key for `subject` that only a holder of `secret` can compute: HMAC-SHA256, 96 bits of it, as text."""
    digest = hmac.digest(secret, f"{scope}\0{subject}".encode("utf-8", "surrogatepass"), "sha256")
    return urlsafe_b64encode(digest[:12]).decode("ascii")


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is what a dual-stack socket calls 192.0.2.1 (RFC 4291, section 2.5.5.2).
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _say_once(text: str | None) -> None:
    if _said.is_set():
        return
    _said.set()
    _log.warning(
        "The client address %.60r cannot be read; all such clients share one limit. "
        "Behind a proxy or a unix socket, let werkzeug's ProxyFix set the address.",
        text,
    )
