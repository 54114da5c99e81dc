"""Links as they stand in a page: where they lead, and whether two addresses are the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from moderate.text.addresses import MAX_ADDRESS, ascii_host, one_escaping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: How many addresses of one page `Targets` asks about: on hosts that it knows, and on all others.
MOST_ASKED = (1000, 200)

_STRIPPED = re.compile(r"^[\x00-\x20]+|[\x00-\x20]+$|[\t\n\r]+")
#: What no database takes in a text, or no address has.
_UNASKABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
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


class Targets:
    """The addresses that a page has to link to, for one look at that page.

    These are the *given* ones, in any spelling that `comparable` folds and with http and https as one, and
    those of which *leads_here* says so. It is asked once about each other address, and about no more than
    `MOST_ASKED` of them: it may ask a database, and a page may have any number of links. It is never asked about
    what the way in would refuse as a target.
    """

    def __init__(self, given: Iterable[str], leads_here: Callable[[str], bool] = lambda _: False) -> None:
        self._leads_here = leads_here
        self._given = frozenset(place for url in given if (place := _place(url)))
        self._known = dict.fromkeys(self._given, True)
        self._hosts = {place.partition("/")[0] for place in self._known}
        self._left = list(MOST_ASKED)

    def are_given(self, address: str) -> bool:
        """Whether *address* is one of the given ones."""
        return _place(address) in self._given

    def __contains__(self, address: str) -> bool:
        place = _place(address)
        if place is None:
            return False
        if place not in self._known:
            self._known[place] = self._is_askable(place, address) and self._leads_here(address)
        return self._known[place]

    def _is_askable(self, place: str, address: str) -> bool:
        if len(address) > MAX_ADDRESS or _UNASKABLE.search(address):
            return False
        kind = 0 if place.partition("/")[0] in self._hosts else 1
        self._left[kind] -= 1
        return self._left[kind] >= 0


def _place(url: str) -> str | None:
    """An address as `comparable` spells it, without its scheme."""
    spelled = comparable(url)
    return spelled.partition("://")[2] if spelled else None
