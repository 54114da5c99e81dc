"""Where the links of an item lead, for moderators: every address in whole, with the words that stand for it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from moderate.web_address import ascii_host, letters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.model import Item

    Place = Literal["text", "change", "website", "source"]

#: Longest words of a link that are shown, in characters.
MOST_WORDS = 120

#: Characters of words without a shape of their own, among them those that change the direction.
HIDDEN = frozenset({"Cf", "Cs", "Co"})

_AUTHORITY = re.compile(r"(https?://)((?:[^/?#@]*@)?)([^/?#:\[\]]+|\[[^\]]*\])(.*)", re.IGNORECASE | re.DOTALL)
# What looks like a host name in running words: labels with dots between them, the last of letters.
_NAMED = re.compile(r"(?<![\w.-])(?:[^\W_][\w-]{0,62}\.)+(?:xn--[a-z0-9-]+|[^\W\d_]{2,24})(?![\w-])", re.IGNORECASE)
# Ends of file names that are no top-level domains.
_FILES = frozenset("css csv doc exe gif htm html jpg js json pdf php png txt xml".split())  # noqa: SIM905
# Browsers take these for dots. Between letters that are not ASCII they end a Japanese sentence.
_DOTS = re.compile("(?<=[A-Za-z0-9])[\u3002\uff61\u2024](?=[A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Destination:
    """One link of an item.

    `url` is the address as the link has it. `before`, `host` and `after` are the same address for reading: the host
    in its ASCII form, as DNS knows it, and nothing invisible in the rest. `spelled` is the host in its own letters
    where these are not ASCII, else empty. `words` are what readers see of the link, empty where that is the address
    itself. `named` is a host that the words name although the link leads to another one, else empty.
    """

    place: Place
    url: str
    before: str
    host: str
    after: str
    spelled: str = ""
    words: str = ""
    named: str = ""

    @property
    def address(self) -> str:
        """The whole address for reading."""
        return f"{self.before}{self.host}{self.after}"


def destinations(item: Item) -> list[Destination]:
    """Return where the links of an item lead: its source, the author's website, the text, and a changed text.

    Each pair of address and words comes once, in the order in which readers meet them.
    """
    found: dict[tuple[str, str], Destination] = {}
    for place, url, words in addresses_of(item):
        one = destination(place, url, words)
        found.setdefault((one.url, one.words), one)
    return list(found.values())


def addresses_of(item: Item) -> Iterator[tuple[Place, str, str]]:
    """Yield place, address and words of each link, with repeats."""
    changed = item.proposed or {}
    if item.source_url:
        yield "source", item.source_url, item.title or ""
        if changed.get("title"):
            yield "change", item.source_url, changed["title"] or ""
    elif item.url:
        yield "website", item.url, item.author
    yield from (("text", url, words) for url, words in anchors(item.html))
    yield from (("change", url, words) for url, words in anchors(changed.get("html") or ""))


def destination(place: Place, url: str, words: str) -> Destination:
    """Take an address apart for reading, and compare the words of its link with it."""
    words = " ".join("".join(char for char in words if unicodedata.category(char) not in HIDDEN).split())
    match = _AUTHORITY.fullmatch(url)
    if match is None:
        return Destination(place, url, "", "", readable(url), "", clipped(words))
    host, spelled = both_spellings(match[3])
    is_address = words in {url, url.partition("://")[2], match[3]}
    return Destination(
        place,
        url,
        readable(match[1] + match[2]),
        host,
        readable(match[4]),
        spelled,
        "" if is_address else clipped(words),
        named_elsewhere(words, host),
    )


def both_spellings(host: str) -> tuple[str, str]:
    """Return a host name in ASCII and, where that differs, in its own letters (RFC 5890 A-label and U-label)."""
    try:
        folded = ascii_host(host)
    except ValueError:
        # No such name is in DNS: its letters are shown as escapes, so that they look like no other name.
        return quote(host, safe=""), ""
    return folded, readable(letters_of(folded))


def named_elsewhere(words: str, host: str) -> str:
    """Return the first host that *words* name and that is neither *host* nor above or below it; empty for none."""
    plain = unicodedata.normalize("NFKC", _DOTS.sub(".", words))
    for match in _NAMED.finditer(plain):
        name = match[0]
        if name.rpartition(".")[2].lower() in _FILES:
            continue
        try:
            named = ascii_host(name)
        except ValueError:
            named = name.lower()
        if not (named == host or host.endswith(f".{named}") or named.endswith(f".{host}")):
            return named
    return ""


def clipped(words: str) -> str:
    return words if len(words) <= MOST_WORDS else f"{words[: MOST_WORDS - 1].rstrip()}…"


def readable(text: str) -> str:
    """The text with every character percent-encoded that has no width, no shape, or changes the direction."""
    return "".join(char if is_plain(char) else quote(char, safe="", errors="replace") for char in text)


def is_plain(char: str) -> bool:
    """Tell whether a character of an address is seen as what it is."""
    return char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}


def anchors(html: str) -> list[tuple[str, str]]:
    """Return address and words of each link in cleaned HTML."""
    if "<a " not in html:
        return []
    reader = _Anchors()
    reader.feed(html)
    reader.close()
    return reader.found


class _Anchors(HTMLParser):
    """Collects the links of cleaned HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._url: str | None = None
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._url, self._words = dict(attrs).get("href"), []

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._url is not None:
            self.found.append((self._url, "".join(self._words)))
            self._url = None
