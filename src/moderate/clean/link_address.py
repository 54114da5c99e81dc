"""Links as they stand in a page: where they lead, and whether two addresses are the same."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from moderate.clean.addresses import ascii_host, one_escaping

_STRIPPED = re.compile(r"^[\x00-\x20]+|[\x00-\x20]+$|[\t\n\r]+")
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
        host, port = ascii_host(parts.hostname or ""), parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        return None
    place = host if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{port}"
    query = f"?{one_escaping(parts.query)}" if parts.query else ""
    return f"{parts.scheme}://{place}{one_escaping(parts.path) or '/'}{query}"
