"""Web addresses in running text, and the destinations of an item's links for moderators.

Addresses are found in linear time, also between scripts that do not write spaces.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from moderate.web_address import ascii_host, letters_of, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moderate.model import Item

    Place = Literal["text", "change", "website", "source"]

# An address ends at a blank, at what no address holds unescaped, before the `](` of Markdown, and at CJK punctuation,
# because Chinese and Japanese go on without a space. The look-behind knows ASCII only, for the same reason.
# The middle dot of Japanese is part of the address within a name: `サクラ・ダ・カポ`, `ジョン・F・ケネディ`.
# An address longer than `parse` takes is matched as a whole, and so never linked in part.
_KATAKANA = "[\u30a1-\u30fa\u30fc-\u30fe]"
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9_@./:-])(?i:https?://|www\.(?=[^\s./]+\.[^\s./]))"
    r"(?:[^\s<>\"`{}|\\^\]\x00-\x20\u2018-\u201f\u2026\u2028-\u202f\u2066-\u2069"
    r"\u3000-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3d\uff5b-\uff65]++|\](?!\()"
    rf"|(?:(?<={_KATAKANA})|(?<=[/\u30fb][A-Z]))\u30fb(?={_KATAKANA}|[A-Z]\u30fb{_KATAKANA}))++"
)
# A host name without a scheme: a last label of letters, and none that is the ending of a file.
_HOST = re.compile(
    r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?P<last>[^\W\d_]{2,63}|xn--[a-z0-9-]+)(?::[0-9]{1,5})?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_FILE_ENDINGS = frozenset(
    "asp aspx avi bat bmp cfg cgi conf css csv doc docx exe gif gz htm html ico ini jpeg jpg js json jsp log md"  # noqa: SIM905
    " mov mp odt pdf php pl png ppt pptx ps py rb rs rst rtf sh shtml sql svg tar tex toml ts txt wav webp xhtml xls"
    " xlsx xml yaml yml zip".split()
)
# Punctuation after an address belongs to the sentence.
_SENTENCE = frozenset(".,:;!?'*~")

#: Longest words of a link that are shown, in characters.
MOST_WORDS = 120

#: Categories of characters of words without a shape of their own; some change the direction.
_HIDDEN = frozenset({"Cf", "Cs", "Co"})

#: Characters of addresses that are not seen as what they are; a plain blank is.
_UNSEEN = _HIDDEN | {"Cc", "Cn", "Zs", "Zl", "Zp"}

_AUTHORITY = re.compile(r"(https?://)((?:[^/?#@]*@)?)([^/?#:\[\]]+|\[[^\]]*\])(.*)", re.IGNORECASE | re.DOTALL)
# What looks like a host name in running words: labels with dots between them, the last of letters.
_NAMED = re.compile(r"(?<![\w.-])(?:[^\W_][\w-]{0,62}\.)+(?:xn--[a-z0-9-]+|[^\W\d_]{2,24})(?![\w-])", re.IGNORECASE)
# Ends of file names that are no top-level domains.
_FILES = frozenset("css csv doc exe gif htm html jpg js json pdf php png txt xml".split())  # noqa: SIM905
# Browsers take these for dots. Between letters that are not ASCII they end a Japanese sentence.
_DOTS = re.compile("(?<=[A-Za-z0-9])[\u3002\uff61\u2024](?=[A-Za-z0-9])")


# --- addresses in running text -----------------------------------------------------------------------


def address_spans(text: str) -> list[tuple[int, int, str]]:
    """Return start, end and target of each web address in a text, without the punctuation that follows it.

    An address begins with ``http://``, ``https://`` or ``www.``; its target is what `target_of` returns.
    """
    found: list[tuple[int, int, str]] = []
    if "://" not in text and not ("www." in text or "WWW." in text or "Www." in text):
        return found
    for match in _ADDRESS.finditer(text):
        address = _trimmed(match[0])
        if target := target_of(address):
            found.append((match.start(), match.start() + len(address), target))
    return found


def address_at(text: str, start: int, limit: int) -> int | None:
    """Return where the web address that begins at *start* ends, at *limit* at most; None where none begins there."""
    match = _ADDRESS.match(text, start, limit)
    address = _trimmed(match[0]) if match else ""
    return start + len(address) if target_of(address) else None


def target_of(typed: str) -> str | None:
    """Return the absolute http or https address that a typed one means; None where it means none.

    A host name without a scheme (``www.example.org/page``) gets ``https://``. What could be the name of a file
    (``page.html``), a path or another scheme is no address.
    """
    if parse(typed):
        return typed
    host = _HOST.fullmatch(typed)
    if host is None or (host["last"].lower() in _FILE_ENDINGS and typed[:4].lower() != "www."):
        return None
    address = f"https://{typed}"
    return address if parse(address) else None


def linked(text: str, addresses: Sequence[tuple[int, int, str]], rel: str) -> str:
    """Return the text escaped for HTML, with its *addresses*, as `address_spans` finds them, as links."""
    if not addresses:
        return escape(text, quote=False)
    parts: list[str] = []
    done = 0
    for start, end, target in addresses:
        link = f'<a href="{escape(target)}" rel="{rel}">{escape(text[start:end])}</a>'
        parts += escape(text[done:start], quote=False), link
        done = end
    parts.append(escape(text[done:], quote=False))
    return "".join(parts)


def _trimmed(address: str) -> str:
    surplus = {")": address.count(")") - address.count("("), "]": address.count("]") - address.count("[")}
    end = len(address)
    while end and (address[end - 1] in _SENTENCE or surplus.get(address[end - 1], 0) > 0):
        if address[end - 1] in surplus:
            surplus[address[end - 1]] -= 1
        end -= 1
    return address[:end]


# --- where the links of an item lead -----------------------------------------------------------------


class Destination(NamedTuple):
    """A link of an item.

    `url` is the address as the link has it. `before`, `host` and `after` are the same address for reading: the host
    in its ASCII form, as DNS knows it, and nothing invisible in the rest. `spelled` is the host in its own letters
    where these are not ASCII, else empty. `words` are the text of the link, empty where that is the address
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
    """Return the destinations of an item's links: its source, the author's website, the text, and a changed text.

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
    words = " ".join("".join(char for char in words if unicodedata.category(char) not in _HIDDEN).split())
    match = _AUTHORITY.fullmatch(url)
    if match is None:
        return Destination(place, url, "", "", escaped(url), "", clipped(words))
    host, spelled = both_spellings(match[3])
    is_address = words in {url, url.partition("://")[2], match[3]}
    return Destination(
        place,
        url,
        escaped(match[1] + match[2]),
        host,
        escaped(match[4]),
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
    return folded, escaped(letters_of(folded))


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


def escaped(text: str) -> str:
    """Return the text with each character percent-encoded that has no width, no shape, or changes the direction."""
    return "".join(
        char if char == " " or unicodedata.category(char) not in _UNSEEN else quote(char, safe="", errors="replace")
        for char in text
    )


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
