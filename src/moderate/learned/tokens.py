"""The tokens that the learned filter reads: words, pairs of neighbours, beginnings and endings, and signs.

Pairs are sparse bigrams (Siefkes et al. 2004) of neighbours only; with pairs further apart the filter was no better
and half as fast. Each token becomes a keyed 64-bit number, so that the table of counts is no list of words: words are
hashed by BLAKE2b with the site's key, and pairs by mixing the numbers of their words, at a fifth of the cost.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from moderate.i18n import PLACE, Message
from moderate.model import Item
from moderate.text.similarity import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moderate.model import Submission

#: A token in text: one character for its sort (see `told`), and its words.
Label = str


class WordTokens(NamedTuple):
    """A word: its number, the number to mix with its predecessor's in a pair, and the tokens of the word alone."""

    number: int
    after: int
    tokens: dict[int, Label]


#: The number of words that are read of a text, to bound the cost.
MOST_WORDS = 600
ENDINGS = "com|net|org|info|biz|ru|de|uk|co|tv|me|us|io|ly|be|cn|xyz|top|site|online|shop|club|eu|fr|in|tk"
ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'\]]{1,2000}"
    rf"|\b(?:[\w-]{{1,63}}\.){{1,5}}(?:{ENDINGS})\b(?:[/?#][^\s<>\"'\]]{{0,2000}})?",
    re.IGNORECASE,
)
#: A part that every address has. Most texts have none, and this search takes a sixth of the time.
ADDRESS_HINT = re.compile(rf"://|www\.|\.(?:{ENDINGS})\b", re.IGNORECASE)
#: Words, and signs beyond ASCII such as hearts. ASCII punctuation is not worth its cost.
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s\x00-\x7f]")
ASCII_WORD = re.compile("[a-z0-9]+(?:'[a-z0-9]+)*")
PART = re.compile(r"[^\W_]+")

ASCII = bytes(range(128)).decode()

MASK = (1 << 64) - 1
HALF = 1 << 63
#: A pseudo-random odd number (2⁶⁴ divided by the golden ratio), so that a pair differs from its reverse.
MIXER = 0x9E3779B97F4A7C15


class Characters:
    """A counter for one sort of characters; in ASCII text it takes a tenth of the time."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self._others = self._pattern.sub("", ASCII).encode()

    def count(self, text: str) -> int:
        if text.isascii():
            return len(text.encode().translate(None, self._others))
        return sum(map(len, self._pattern.findall(text)))


DIGITS = Characters(r"\d+")
LETTERS = Characters(r"[^\W\d_]+")
#: Capitals of Latin, Greek and Cyrillic. Other scripts have none, or they are not used for shouting.
CAPITALS = Characters("[A-ZÀ-ÖØ-ÞΑ-ΩА-ЯЁ]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """The parts of a submission that are read, which are the same as those of its stored item."""

    text: str
    kind: str = "comment"
    title: str = ""
    url: str = ""
    email: str = ""

    @classmethod
    def of(cls, written: Submission | Item) -> Writing:
        return cls(
            kind=written.kind.value,
            text=written.text if isinstance(written, Item) else written.body.raw,
            title=written.title or "",
            url=written.url or written.source_url or "",
            email=written.email or "",
        )


def features(writing: Writing, key: bytes) -> dict[int, Label]:
    """Return the numbers of all tokens in *writing* under *key*, each with its label."""
    text = html.unescape(f"{writing.title}\n{writing.text}" if writing.title else writing.text)
    addresses: list[str] = []

    def kept_aside(match: re.Match[str]) -> str:
        addresses.append(match.group())
        return " link "

    words = words_of(ADDRESS.sub(kept_aside, text) if ADDRESS_HINT.search(text) else text)
    known = [word_tokens(key, word) for word in words]
    found: dict[int, Label] = {}
    for word in known:
        found.update(word.tokens)
    found.update({number(key, label): label for label in signs(writing, text, addresses)})
    # Each pair of neighbours, in order.
    neighbours = zip(known, known[1:], words, words[1:], strict=False)
    found.update({one.number ^ two.after: f"+{this} {next_}" for one, two, this, next_ in neighbours})
    return found


def words_of(text: str) -> list[str]:
    """Return words and marks in one spelling. Of a number only the length counts."""
    read = folded(text)
    words = (ASCII_WORD if read.isascii() else WORD).findall(read)[:MOST_WORDS]
    return ["0" * min(len(word), 6) if word.isdigit() else word[:30] for word in words]


@lru_cache(maxsize=16_384)
def word_tokens(key: bytes, word: str) -> WordTokens:
    """Return the word itself, and the beginnings and ends of longer ones.

    Edges bring "subscribe", "subscriber" and "subscribing" together.
    """
    labels = [f"={word}"]
    if len(word) > 4 and word[0] != "0":
        labels += [f"<{word[:4]}", f">{word[-3:]}"]
    tokens = {number(key, label): label for label in labels}
    itself = number(key, labels[0])
    return WordTokens(itself, (itself * MIXER & MASK) - HALF, tokens)


def signs(writing: Writing, text: str, addresses: list[str]) -> Iterator[Label]:
    """Yield the signs of a text besides its words: its kind, addresses, length, capitals and the like."""
    yield f"#kind: {writing.kind}"
    yield f"#links: {min(len(addresses), 4)}"
    yield f"#size: {len(text).bit_length()}"
    yield f"#lines: {min(text.count(chr(10)), 5)}"
    yield f"#exclamation marks: {min(text.count('!'), 4)}"
    yield f"#digits: {min(DIGITS.count(text).bit_length(), 5)}"
    letters = LETTERS.count(text)
    if letters:
        yield f"#capitals: {min(CAPITALS.count(text) * 4 // letters, 4)} of 4"
    for address in addresses[:20]:
        yield from address_parts(address)
    if writing.url:
        yield f"#author's site: {host(writing.url)}"
    if writing.email:
        yield f"#author's mail: {writing.email.rpartition('@')[2].lower()}"


def address_parts(address: str) -> Iterator[Label]:
    """Yield labels for the host of an address and the words in its path."""
    yield f"@{host(address)}"
    parts = Counter(PART.findall(address.lower().partition("://")[2] or address.lower()))
    for part in list(parts)[:12]:
        yield f"/{part[:30]}"


def host(address: str) -> str:
    bare = address.lower().partition("://")[2] or address.lower()
    return re.split(r"[/?#:]", bare, maxsplit=1)[0].removeprefix("www.")


@lru_cache(maxsize=32_768)
def number(key: bytes, label: Label) -> int:
    """Return the keyed number of a token, as a signed 64-bit integer."""
    digest = blake2b(label.encode("utf-8", "surrogatepass"), key=key[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def told(label: Label) -> str:
    """Return a token in words for a moderator."""
    sort, text = label[0], label[1:]
    if sort == "@":
        return Message("a link to {host}", host=text)
    if sort == "/":
        return Message("{word} in an address", word=f"“{text}”")
    if sort == "#":
        return told_sign(*text.split(": ", 1))
    return {"<": f"“{text}…”", ">": f"“…{text}”"}.get(sort, f"“{text}”")


def told_sign(name: str, value: str) -> Message:
    """Return one of `signs` in words."""
    message = SIGNS[name]
    (place,) = PLACE.findall(message.id)
    return Message(message.id, **{place: value.removesuffix(" of 4")})


SIGNS = {
    message.partition(":")[0]: message
    for message in (
        Message("kind: {kind}"),
        Message("links: {n}"),
        Message("size: {n}"),
        Message("lines: {n}"),
        Message("exclamation marks: {n}"),
        Message("digits: {n}"),
        Message("capitals: {n} of 4"),
        Message("author's site: {host}"),
        Message("author's mail: {host}"),
    )
}
