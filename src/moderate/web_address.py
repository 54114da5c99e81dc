"""Web addresses: the one reading of their scheme, host and page.

Limits, rules, checks, the fetcher and the database all use it, so that they agree on the host of an address.
Hosts are folded as browsers fold them (UTS #46, by the `idna` package): ``BÜCHER.example.``, ``bücher.example``
in full width and ``xn--bcher-kva.example`` are one host; ``straße.example`` and ``strasse.example`` are two.

`parse` is strict: it takes an address only where every parser reads the same host from it, a narrower grammar than
those of RFC 3986 and the WHATWG URL standard. `read` is for addresses on other sites' pages and in header fields,
which browsers follow in looser forms. Nothing here looks a name up.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urljoin

if TYPE_CHECKING:
    from moderate.hooks import Article

#: Longest web address, in characters. RFC 3986 sets no limit; permalinks end far below this one.
MAX_ADDRESS = 2048
#: Longest spelling that `source_key` returns, in characters.
MAX_KEY = 255
#: Longest host name, in characters (RFC 1035 §2.3.4). It is checked before a host is folded: to fold a long run of
#: combining marks takes time that grows with the square of its length.
MAX_HOST = 253
#: Longest part of a host name, in characters (RFC 1035 §2.3.4). To encode long ones takes seconds.
MAX_LABEL = 63

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_AUTHORITY = re.compile(
    r"(.*@)?(\[[0-9a-f:.]{2,45}\]|[^:@\[\]]+)(?::([0-9]{0,5}))?", re.IGNORECASE | re.ASCII | re.DOTALL
)
#: Controls, blanks without width, directions, noncharacters: as part of a pattern for what no address has.
HIDDEN_CHARACTERS = (
    "\x00-\x20\x7f-\xa0\xad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\U000e0000-\U000e007f"
)
# Browsers strip or rewrite some of these.
_NOT_STRICT = re.compile(rf'[\s"<>\\`{HIDDEN_CHARACTERS}]')
# ASCII letters, digits, "-" and "_". IDNA decides on other characters.
_LABEL = re.compile(r"(?!-)[^\s\x00-\x2c./:-@\[-^`{-\x7f]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)
_SEPARATORS = re.compile(r"[/?#@:]")
_ENDS = re.compile(r"^[\x00-\x20]+|[\x00-\x20]+$|[\t\n\r]+")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE | re.ASCII)
_PATH = re.compile(r"[/?#]")
_CLOSING_PORT = re.compile(r":[0-9]*$", re.ASCII)


class Parts(NamedTuple):
    """The parts of an absolute http or https address as they are typed; `query` begins with its question mark."""

    scheme: str
    user: str
    host: str
    port: int
    path: str
    query: str


class WebAddress(NamedTuple):
    """An absolute http or https address."""

    scheme: str
    #: The host as typed, with the brackets of an IPv6 address.
    typed_host: str
    #: The host for comparing and connecting: ASCII, in lower case; an IP address in its usual notation, no brackets.
    host: str
    #: The port as typed; 0 for none.
    port: int
    path: str
    query: str
    has_user: bool

    @property
    def port_or_default(self) -> int:
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """Host and port as in a URL and in the Host field, without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in {0, DEFAULT_PORTS[self.scheme]} else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, percent-encoded, for the request line."""
        path = quote(self.path or "/", safe="/%:@!$&'()*+,;=~-._")
        return path + quote(self.query, safe="/%:@!$&'()*+,;=~-._?")

    @property
    def url(self) -> str:
        """The address in ASCII, without user name and fragment."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def page(self) -> str:
        """The address in one spelling without its scheme, for "do these lead to one page?" (RFC 3986 §6.2.2).

        A closing slash and the query make a difference; an empty query, dot segments and the fragment do not.
        """
        return self._spelled(self.query if len(self.query) > 1 else "")

    @property
    def key(self) -> str:
        """The spelling under which items are stored, see `source_key`."""
        return _bounded(self._spelled(self.query))

    @property
    def is_disguised(self) -> bool:
        """Return whether the host as typed is not the one that it folds to, except for case, IDNA and a closing dot.

        ``ｅxample.org`` (full width) is one, and so are digits of other scripts.
        """
        if self.typed_host.startswith("["):
            return ":" not in self.host
        labels = self.typed_host.lower().removesuffix(".").split(".")
        return any(_is_disguised(label) for label in labels)

    @property
    def sites(self) -> frozenset[str]:
        """The registered part of the host in each of its spellings, as far as it shows without a list of suffixes.

        ``blog.example.org`` and ``example.org`` are one site. Below a short name under a country's, such as
        ``co.uk``, three labels are one. Blogs of many people on one platform count as one site.
        """
        if is_ip(self.host):
            return frozenset({f"[{self.host}]" if ":" in self.host else self.host})
        spelled = (self.host, letters_of(self.host), self.typed_host.lower().rstrip("."))
        return frozenset(_site(host) for host in spelled if host)

    def _spelled(self, query: str) -> str:
        return f"{self.authority}{one_escaping(_without_dots(self.path or '/'))}{one_escaping(query)}"


def parse(url: str) -> WebAddress | None:
    """Parse a typed address; None for one that some parser reads differently.

    User names, blanks, hidden characters, backslashes, quotes and angle brackets are refused, and so are more than
    `MAX_ADDRESS` characters: browsers would strip or rewrite them.
    """
    if len(url) > MAX_ADDRESS or _NOT_STRICT.search(url):
        return None
    address = _parts_of(url)
    return None if address is None or address.has_user else address


def read(url: str) -> WebAddress | None:
    """Return an address as a page or a header field has it, None where it leads to no http or https host."""
    url = _ENDS.sub("", url)
    # A page may hold addresses of any length, and a cache of these would fill the memory.
    return _parts_of(url) if len(url) <= MAX_ADDRESS else _from_parts(split_address(url))


def resolved(base: str, reference: str) -> str | None:
    """Return the absolute address of a reference in a page, None where it leads to none (WHATWG URL §4.4)."""
    reference = _ENDS.sub("", reference)
    path, mark, rest = reference.partition("?")
    reference = path.replace("\\", "/") + mark + rest
    scheme = _SCHEME.match(reference)
    authority = _PATH.split(reference[scheme.end() :], maxsplit=1)[0] if scheme else ""
    # `urljoin` folds it, see `MAX_HOST`.
    if not authority.isascii() and len(authority) > MAX_HOST:
        return None
    try:
        url = urljoin(base, reference)
    except ValueError:
        return None
    return url if read(url) else None


def split_address(url: str) -> Parts | None:
    """Split an absolute http or https address; None for any other text. The host is not validated."""
    match = _URL.fullmatch(url)
    authority = _AUTHORITY.fullmatch(match[2]) if match else None
    if match is None or authority is None or int(authority[3] or 0) > 65535:
        return None
    host = authority[2]
    if not host.isascii() and len(host) > MAX_HOST:
        return None
    # Some parsers fold the host before they split it, and others after.
    if not host.isascii() and _SEPARATORS.search(unicodedata.normalize("NFKC", host)):
        return None
    user, port = authority[1] or "", int(authority[3] or 0)
    return Parts(match[1].lower(), user, host, port, match[3], match[4] or "")


def source_key(url: str) -> str:
    """Return a web address in one spelling, ASCII, at most `MAX_KEY` characters: items of one page have one key.

    http and https count as one, the host is folded, default ports and fragments are dropped, percent
    escapes have one form (RFC 3986 §6.2.2), and an empty path is ``/``. A longer spelling ends in its digest.
    Any other text is returned as it is, within the same bounds.
    """
    return _source_key(url) if len(url) <= MAX_ADDRESS else _source_key.__wrapped__(url)


# The page that a ping names is compared with the article and its links, and articles come again and again.
@lru_cache(maxsize=512)
def _source_key(url: str) -> str:
    address = parse(url.strip())
    return address.key if address else _bounded(one_escaping(url.encode("utf-8", "replace").decode()))


def keys_of(article: Article) -> dict[str, str]:
    """Return the addresses of an article by the keys under which pings to them are found."""
    return {source_key(url): url for url in (article.url, *article.aliases)}


def same_page(one: str, other: str) -> bool:
    """Return whether two addresses differ at most in scheme, spelling, a closing slash or the fragment."""
    first, second = read(one), read(other)
    if first is None or second is None:
        return one.strip() == other.strip()
    return _loosely(first) == _loosely(second)


def host_of(text: str) -> str:
    """Return the host that an address or a bare name names, for comparing; empty where there is none.

    ``*.example.org`` and ``example.org/path`` name ``example.org``. An invalid host is returned as
    it would be looked up, so that a rule or a limit matches all its spellings.
    """
    return _host_of(text[:MAX_ADDRESS])


@lru_cache(maxsize=4096)
def _host_of(text: str) -> str:
    text = text.strip().replace("\\", "/")
    scheme = _SCHEME.match(text)
    host = _PATH.split(text[scheme.end() :] if scheme else text, maxsplit=1)[0].rpartition("@")[2]
    if not is_ip(host):
        host = _CLOSING_PORT.sub("", host).removeprefix("*.")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return _ip(host) or _folded(host) or _as_looked_up(unquote(host))


def spellings_of(host: str) -> frozenset[str]:
    """Return a host, with or without a port, in lower case as it is typed, in ASCII, and in its own letters."""
    typed = host.lower()
    name, colon, port = typed.partition(":")
    folded = _folded(name)
    if folded is None:
        return frozenset({typed})
    return frozenset({typed, *(f"{spelled}{colon}{port}" for spelled in (folded, letters_of(folded)) if spelled)})


def is_ip(host: str) -> bool:
    return bool(_ip(host))


def ascii_host(host: str) -> str:
    """Return a host name as DNS has it, lower case (UTS #46, as in browsers). Raises `ValueError` where it has none."""
    folded = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    if folded.isascii():
        return folded
    # Loading its tables takes time, and most sites never meet such a name.
    import idna

    # An IDNAError is a UnicodeError, and that is a ValueError.
    return idna.encode(folded, uts46=True).decode("ascii")


def letters_of(host: str) -> str:
    """Return an ASCII host in its own letters (RFC 5890), empty where it has no others than ASCII."""
    if "xn--" not in host:
        return ""
    import idna

    try:
        return idna.decode(host)
    except UnicodeError:
        return ""


def one_escaping(part: str) -> str:
    """Return part of an address with one form of escapes (RFC 3986 §6.2.2).

    Those of unreserved characters are undone, all others are in capitals, and non-ASCII is escaped as UTF-8.
    """

    def settled(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(settled, quote(part, safe="/%:@!$&'()*+,;=~-._?[]|", errors="replace"))


def is_host_name(name: str) -> bool:
    """Return whether a name of at least one label can be in DNS or is an IPv4 address."""
    return _folded(name) is not None


@lru_cache(maxsize=512)
def _parts_of(url: str) -> WebAddress | None:
    """Return an address of at most `MAX_ADDRESS` characters."""
    return _from_parts(split_address(url))


def _from_parts(parts: Parts | None) -> WebAddress | None:
    # No longer host is folded, nor kept in the cache of `_folded`.
    if parts is None or len(parts.host) > MAX_HOST:
        return None
    typed = parts.host
    host = _ip(typed[1:-1]) if typed.startswith("[") and ":" in typed else _folded(typed)
    if not host:
        return None
    return WebAddress(parts.scheme, typed, host, parts.port, parts.path, parts.query, bool(parts.user))


@lru_cache(maxsize=1024)
def _folded(typed: str) -> str | None:
    """Return a host name or an IPv4 address as `ascii_host` does; None for an invalid one."""
    if len(typed) > MAX_HOST:
        return None
    folded = unicodedata.normalize("NFKC", typed).lower().rstrip(".")
    if len(folded) > MAX_HOST or not all(map(_LABEL.fullmatch, folded.split("."))):
        return None
    if not folded.isascii():
        if not all(map(_is_lettering, folded)):
            return None
        try:
            folded = ascii_host(folded)
        except ValueError:
            return None
    # A host whose last label is a number is an IPv4 address to browsers, or nothing (WHATWG URL §3.5).
    return _ip(folded) if _NUMBER.fullmatch(folded.rpartition(".")[2]) else folded


def _is_lettering(character: str) -> bool:
    """Return whether it is a letter, mark or number of any script, or joins these."""
    return character in "-._\xb7\u30fb\u200c\u200d" or unicodedata.category(character)[0] in "LMN"


def _is_disguised(label: str) -> bool:
    if label.isascii():
        return not label
    try:
        folded = ascii_host(label)
    except ValueError:
        return True
    return label.isdigit() or not folded.startswith("xn--") or "." in unicodedata.normalize("NFKC", label) + folded


def _ip(host: str) -> str | None:
    """Return an IP address in its usual notation, an IPv4 address within IPv6 as such; None for other text."""
    if ":" not in host and not host[-1:].isdigit():
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _as_looked_up(host: str) -> str:
    try:
        return ascii_host(host)
    except ValueError:
        labels = unicodedata.normalize("NFKC", host).lower().rstrip(".").split(".")
        return ".".join(
            n if n.isascii() or len(n) > MAX_LABEL else f"xn--{n.encode('punycode').decode()}" for n in labels
        )


def _loosely(address: WebAddress) -> tuple[str, int, str, str]:
    port = 0 if address.port in {80, 443} else address.port
    return address.host, port, unquote(address.path).rstrip("/"), address.query.removeprefix("?")


def _site(host: str) -> str:
    labels = host.split(".")
    is_shared = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if is_shared else labels[-2:])


def _without_dots(path: str) -> str:
    """Resolve ``.`` and ``..`` (RFC 3986 §5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/".join(kept) or "/"


def _bounded(key: str) -> str:
    if len(key) <= MAX_KEY:
        return key
    return f"{key[: MAX_KEY - 33]}#{blake2b(key.encode(), digest_size=16).hexdigest()}"
