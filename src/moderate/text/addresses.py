"""Web and e-mail addresses: which ones are taken, and their one spelling for comparing.

The grammar is narrower than RFC 3986 and the WHATWG URL standard on purpose: an address is
taken only where every parser reads the same host from it.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from hashlib import blake2b
from urllib.parse import quote

#: Longest web address, in characters; the longest of an author's own link is in `moderate.text.fields`.
MAX_ADDRESS = 2048
#: Longest spelling that `source_key` returns, in characters.
MAX_KEY = 255

_WEB = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[^\s\x00-\x20/?#@:\\\[\]%<>\"'`{}|^]{1,253})(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>[^\s\x00-\x20?#\\<>\"`]*)(?P<query>\?[^\s\x00-\x20#\\<>\"`]*)?(?P<fragment>#[^\s\x00-\x20\\<>\"`]*)?",
    re.IGNORECASE,
)
# Controls, blanks without width, directions, noncharacters: an address that needs them hides something.
_HIDDEN = re.compile(
    "[\x00-\x20\x7f-\xa0\xad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\U000e0000-\U000e007f]"
)
# Of ASCII only letters, digits, hyphen and underscore; what else may stand there is for IDNA to say.
_LABEL = re.compile(r"(?!-)[^\s\x00-\x2c./:-@\[-^`{-\x7f]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_LOCAL_PART = re.compile(r"[^\s\x00-\x20\"(),.:;<>@\[\\\]\x7f]+(?:\.[^\s\x00-\x20\"(),.:;<>@\[\\\]\x7f]+)*+")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def is_web_address(value: str) -> bool:
    """Whether it is an absolute http or https address with a host, without credentials or hidden characters.

    The scheme check is that of the WHATWG URL standard on a narrower input: what its parser would
    strip (blanks, tabs, newlines, controls) or rewrite (backslashes) is refused instead.
    """
    return _matched(value) is not None


def host_of(value: str) -> str:
    """The host of an address as typed, lower case, without port; empty where it is no web address."""
    match = _matched(value)
    return match["host"].lower() if match else ""


def is_email(value: str) -> bool:
    """Whether it can be an e-mail address: a dot-atom, ``@`` and a host name with a dot (RFC 5321 lengths)."""
    local, at, domain = value.rpartition("@")
    if not at or len(value) > 254 or len(local.encode("utf-8", "replace")) > 64 or _HIDDEN.search(value):
        return False
    return _LOCAL_PART.fullmatch(local) is not None and "." in domain.strip(".") and _is_host(domain)


def source_key(url: str) -> str:
    """A web address in one spelling, ASCII, at most `MAX_KEY` characters, for "has this page pinged before?".

    http and https count as one, the host is folded, default ports and fragments are dropped, percent
    escapes have one form (RFC 3986 §6.2.2), and an empty path is ``/``. A longer spelling ends in its digest.
    What is no web address comes back as it is, within the same bounds: it equals only itself.
    """
    match = _matched(url.strip())
    return _bounded(_spelled(match) if match else one_escaping(url.encode("utf-8", "replace").decode()))


def _spelled(match: re.Match[str]) -> str:
    port = match["port"] or ""
    port = "" if port == {"http": "80", "https": "443"}[match["scheme"].lower()] else port.lstrip("0")
    path = one_escaping(_without_dots(match["path"] or "/"))
    return f"{ascii_host(match['host'])}{':' + port if port else ''}{path}{one_escaping(match['query'] or '')}"


def _bounded(key: str) -> str:
    if len(key) <= MAX_KEY:
        return key
    return f"{key[: MAX_KEY - 33]}#{blake2b(key.encode(), digest_size=16).hexdigest()}"


def _matched(value: str) -> re.Match[str] | None:
    match = _WEB.fullmatch(value) if len(value) <= MAX_ADDRESS else None
    if match is None or _HIDDEN.search(value) or int(match["port"] or 0) > 65535:
        return None
    if match["path"] and not match["path"].startswith("/"):
        return None
    return match if _is_host(match["host"]) else None


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _is_ip(host[1:-1], 6)
    folded = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    labels = folded.split(".")
    if len(folded) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    # A host whose last label is a number is an IPv4 address to browsers, or nothing (WHATWG §3.5).
    if _NUMBER.fullmatch(labels[-1]):
        return folded.isascii() and _is_ip(folded, 4)
    return folded.isascii() or (all(map(_is_lettering, folded)) and _is_in_dns(folded))


def _is_lettering(character: str) -> bool:
    """Letters, marks and numbers of any script, and what joins them."""
    return character in "-._\xb7\u30fb\u200c\u200d" or unicodedata.category(character)[0] in "LMN"


def _is_in_dns(host: str) -> bool:
    try:
        return bool(ascii_host(host))
    except ValueError:
        return False


def _is_ip(host: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version
    except ValueError:
        return False


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


def ascii_host(host: str) -> str:
    """A host name as DNS has it, lower case (UTS #46, as in browsers). Raises `ValueError` where it has none."""
    folded = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    if folded.isascii():
        return folded
    # Loading its tables takes time, and most sites never meet such a name.
    import idna

    # An IDNAError is a UnicodeError, and that is a ValueError.
    return idna.encode(folded, uts46=True).decode("ascii")


def one_escaping(part: str) -> str:
    """Escapes of unreserved characters undone, all others in capitals, non-ASCII as UTF-8 escapes (RFC 3986 §6.2.2)."""

    def settled(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(settled, quote(part, safe="/%:@!$&'()*+,;=~-._?[]|", errors="replace"))
