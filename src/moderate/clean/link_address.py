"""Links as they stand in a page: where they lead, and whether two addresses are the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_STRIPPED = re.compile(r"^[\x00-\x20]+|[\x00-\x20]+$|[\t\n\r]+")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SAFE = "/%:@!$&'()*+,;=~-._?[]|"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def resolved(base: str, reference: str) -> str | None:
    """The absolute http or https address of a reference in a page, None where it leads to none (WHATWG URL §4.4)."""
    reference = _STRIPPED.sub("", reference)
    path, mark, rest = reference.partition("?")
    try:
        url = urljoin(base, path.replace("\\", "/") + mark + rest)
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in _DEFAULT_PORTS and parts.hostname else None


def host_of(url: str) -> str:
    """The host of an absolute address in lower case, empty where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def comparable(url: str) -> str | None:
    """An address in one spelling: equal spellings name the same page, None is no web address.

    Folded are what RFC 3986 §6.2.2 calls equivalent: the case of scheme and host, IDNA, the default
    port, needless and lower-case escapes, an empty path. The fragment is dropped, for it names a
    place in the page. A trailing slash, the query and http against https do make a difference.
    """
    try:
        parts = urlsplit(_STRIPPED.sub("", url))
        host, port = _ascii_host(parts), parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    place = host if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"
    query = f"?{_one_spelling(parts.query)}" if parts.query else ""
    return f"{parts.scheme}://{place}{_one_spelling(parts.path) or '/'}{query}"


def _ascii_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if host.isascii():
        return host
    import idna

    # An IDNAError is a UnicodeError, and that is a ValueError.
    return idna.encode(host, uts46=True).decode("ascii")


def _one_spelling(part: str) -> str:
    return _ESCAPE.sub(_one_escape, quote(part, safe=_SAFE, errors="replace"))


def _one_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()
