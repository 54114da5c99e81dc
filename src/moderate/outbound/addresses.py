"""Rules for the URLs and IP addresses of other sites that may be connected to.

Parsers disagree about backslashes, control characters, odd numbers and compatibility forms, and every
disagreement has been a way past a filter. What is not plainly a web address is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from moderate.errors import FetchFailed
from moderate.web_address import MAX_ADDRESS, is_ip, read

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from moderate.web_address import WebAddress

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Addresses at which clouds answer the machines that they host: Azure's wire server, the metadata services of AWS,
#: GCP and others, Alibaba, Oracle. Some are globally routable on paper. No setting allows them.
CLOUD_WIRE = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)


_WEB = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_LEADING_ZERO = re.compile(r"[^/]*//[^/?#]*:0[0-9]*(?:[/?#]|$)")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\\\ud800-\udfff]")
_ESCAPED_LINE_END = re.compile(r"%0[0ad]", re.IGNORECASE)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from their CIDR notation. Raises `ValueError` for any other text."""
    return tuple(ipaddress.ip_network(text) for text in texts)


_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_NOT_FOR_PEERS = networks(("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def may_connect(address: Address, allow: Sequence[Network] = ()) -> bool:
    """Return whether a connection to this address is allowed: public unicast, or within `allow`.

    `is_global` is not enough. Python calls NAT64, 6to4, IPv4-compatible, site-local and multicast
    addresses global in one version or another, and through the first two a private IPv4 address
    is reached. Hence IPv6 counts as public within 2000::/3 alone, less what is reserved there.
    """
    address = unwrapped(address)
    if address in CLOUD_WIRE:
        return False
    if any(address in network for network in allow):
        return True
    if not address.is_global or any(address in network for network in _NOT_FOR_PEERS):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not address.is_multicast and not address.is_reserved
    return address.scope_id is None and address in _UNICAST_6


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address within an IPv4-mapped IPv6 one, to which the kernel would connect."""
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def fetchable(url: str, *, ports: Collection[int], allow: Sequence[Network] = ()) -> WebAddress:
    """Return an address that may be fetched from, or raise `FetchFailed` of kind ``blocked``.

    Refused are: schemes other than http and https, user names and passwords, ports outside `ports`,
    blanks, control characters and backslashes anywhere, hosts that only become ASCII by folding
    (``①②⑦.⓪.⓪.①``), numbers as hosts in any but the usual notation, and addresses instead of names
    unless they are within `allow`.
    """
    if len(url) > MAX_ADDRESS or _UNSAFE.search(url):
        raise _refused("is too long or holds blanks, control characters or backslashes")
    address = read(url)
    if address is None or address.has_user or _LEADING_ZERO.match(url):
        raise _refused("is not a plain http or https address")
    if address.is_disguised:
        raise _refused("has a host name in disguise")
    port = address.port_or_default
    if port not in ports:
        raise _refused(f"names port {port}, which is not allowed")
    if _ESCAPED_LINE_END.search(address.path + address.query):
        raise _refused("holds an encoded line end or NUL")
    if is_ip(address.host):
        literal = ipaddress.ip_address(address.host)
        if not any(literal in network for network in allow) or not may_connect(literal, allow):
            raise _refused("names an address instead of a host")
    return address


def _refused(what: str) -> FetchFailed:
    reason = f"the URL {what}"  # not translated: rarely seen, and for people who know URLs
    return FetchFailed("blocked", reason)


def redirected(base: WebAddress, location: str, *, ports: Collection[int], allow: Sequence[Network]) -> WebAddress:
    """Return the address that a Location field leads to. Raises `FetchFailed` as `fetchable` does.

    A relative reference stays on the host. A redirect from https to http is refused, because anyone on the way
    could answer in the page's place.
    """
    if (
        len(location) > MAX_ADDRESS
        or _UNSAFE.search(location)
        or (_SCHEME.match(location) and not _WEB.match(location))
    ):
        raise _refused("of a redirect is not a plain http or https address")
    try:
        address = fetchable(urljoin(base.url, location), ports=ports, allow=allow)
    except ValueError:
        raise _refused("of a redirect is not a plain http or https address") from None
    if base.scheme == "https" and address.scheme == "http":
        raise FetchFailed("redirects", "a redirect leads from https to http")
    return address
