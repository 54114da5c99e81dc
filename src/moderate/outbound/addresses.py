"""Which addresses and which URLs of other sites may be fetched at all.

The URL rule is a strict reading of its own instead of a call of ``urllib.parse``: parsers disagree
about backslashes, control characters, odd numbers and compatibility forms, and every disagreement
has been a way past a filter. What is not plainly a web address is refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from moderate.errors import FetchFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Addresses at which clouds answer the machines they host. Some are globally routable on paper, and
#: none is ever a blog, so that not even a setting opens them: Azure's wire server, the metadata
#: services of AWS, GCP and others, Alibaba, Oracle.
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

#: RFC 3986 leaves the length open; permalinks end far below this.
MAX_URL = 2048

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_FOR_PEERS_4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_NOT_FOR_PEERS_6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))

_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@]+)(?::([1-9][0-9]{0,4})?)?", re.IGNORECASE | re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\\]")
_ESCAPED_LINE_END = re.compile(r"%0[0ad]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A URL that passed the rule, taken apart. `host` is ASCII; an IPv6 address stands without brackets."""

    scheme: str
    host: str
    port: int
    #: Path and query, percent-encoded: what goes on the request line.
    target: str

    @property
    def authority(self) -> str:
        """Host and port as in a URL and in the Host field: the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def literal(self) -> Address | None:
        """The address, where the host is one and not a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from their CIDR texts. Raises `ValueError` for what is none."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def may_connect(address: Address, allow: Sequence[Network] = ()) -> bool:
    """Whether a connection to this address is allowed: public unicast, or within `allow`.

    `is_global` is not enough. Python calls NAT64, 6to4, IPv4-compatible, site-local and multicast
    addresses global in one version or another, and through the first two a private IPv4 address
    is reached. Hence IPv6 counts as public within 2000::/3 alone, less what is reserved there.
    """
    address = unwrapped(address)
    if address in CLOUD_WIRE:
        return False
    if any(address in network for network in allow if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return _is_public_4(address)
    return _is_public_6(address)


def unwrapped(address: Address) -> Address:
    """The IPv4 address within an IPv4-mapped IPv6 one: that is where the kernel would connect to."""
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _is_public_4(address: ipaddress.IPv4Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NOT_FOR_PEERS_4)


def _is_public_6(address: ipaddress.IPv6Address) -> bool:
    if address.scope_id is not None or address not in _UNICAST_6 or not address.is_global:
        return False
    return not any(address in network for network in _NOT_FOR_PEERS_6)


def web_address(url: str, *, ports: Collection[int], allow: Sequence[Network] = ()) -> WebAddress:
    """Take a URL apart under the rule, or raise `FetchFailed` of kind ``blocked``.

    Refused are: schemes other than http and https, user names and passwords, ports outside `ports`,
    blanks, control characters and backslashes anywhere, hosts that only become ASCII by folding
    (``①②⑦.⓪.⓪.①``), numbers as hosts in any but the usual notation, and addresses instead of names
    unless they are within `allow`.
    """
    if len(url) > MAX_URL or _SPACE_OR_CONTROL.search(url):
        raise _refused("is too long or holds blanks, control characters or backslashes")
    parts = _URL.fullmatch(url)
    authority = _AUTHORITY.fullmatch(parts[2]) if parts else None
    if parts is None or authority is None:
        raise _refused("is not a plain http or https address")
    scheme = parts[1].lower()
    host = _host(authority[1])
    port = int(authority[2] or _DEFAULT_PORTS[scheme])
    if port not in ports:
        raise _refused(f"names port {port}, which is not allowed")
    address = WebAddress(scheme, host, port, _target(parts[3], parts[4] or ""))
    if address.literal is not None and not _is_allowed_literal(address.literal, allow):
        raise _refused("names an address instead of a host")
    return address


def _is_allowed_literal(address: Address, allow: Sequence[Network]) -> bool:
    inside = any(address in network for network in allow if network.version == address.version)
    return inside and may_connect(address, allow)


def _refused(what: str) -> FetchFailed:
    return FetchFailed("blocked", f"the URL {what}")


def _target(path: str, query: str) -> str:
    if _ESCAPED_LINE_END.search(path + query):
        raise _refused("holds an encoded line end or NUL")
    try:
        return quote(path or "/", safe="/%:@!$&'()*+,;=~-._") + quote(query, safe="/%:@!$&'()*+,;=~-._?")
    except UnicodeEncodeError:
        raise _refused("holds half a character") from None


@lru_cache(maxsize=256)
def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    name = ".".join(map(_ascii_label, text.lower().removesuffix(".").split(".")))
    if len(name) > 253:
        raise _refused("has a host name that is too long")
    # WHATWG URL §3.5: a name whose last label is a number is an IPv4 address in some notation,
    # of which only the usual one is readable for everybody alike.
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _ipv4(name)
    return name


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise _refused("has brackets around what is no IPv6 address") from None


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise _refused("has a number for a host") from None


def _ascii_label(label: str) -> str:
    """The label as DNS knows it. A foreign label must stay foreign: folding to plain ASCII is a disguise."""
    if not label.isascii():
        label = _punycode(label)
    if not _LABEL.fullmatch(label):
        raise _refused("has no proper host name")
    return label


def _punycode(label: str) -> str:
    import idna

    # Digits of other scripts are digits to many a parser, and no name consists of them alone.
    if label.isdigit():
        raise _refused("has a number for a host")
    try:
        encoded = idna.encode(label, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise _refused("has a host name outside IDNA") from None
    if not encoded.startswith("xn--") or "." in encoded:
        raise _refused("has a host name in disguise")
    return encoded


def redirected(base: WebAddress, location: str, *, ports: Collection[int], allow: Sequence[Network]) -> WebAddress:
    """Where a Location field leads, under the same rule as a URL that somebody typed.

    A relative reference stays on the host. From https to http no redirect leads: the page would
    come from whoever sits in between.
    """
    if _SPACE_OR_CONTROL.search(location) or (_SCHEME.match(location) and not _URL.fullmatch(location)):
        raise _refused("of a redirect is not a plain http or https address")
    address = web_address(urljoin(base.url, location), ports=ports, allow=allow)
    if base.scheme == "https" and address.scheme == "http":
        raise FetchFailed("redirects", "a redirect leads from https to http")
    return address
