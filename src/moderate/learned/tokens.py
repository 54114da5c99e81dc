"""The tokens that the learned filter reads: words, pairs of neighbours, beginnings and endings, and traits.

Pairs are sparse bigrams (Siefkes et al. 2004) of neighbours only; with pairs further apart the filter was no better
and half as fast. Each token becomes a keyed 64-bit number, so that the table of counts is no list of words: words are
hashed by BLAKE2b with the site's key, and pairs by mixing the numbers of their words, at a fifth of the cost.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from moderate.i18n import PLACE, Message
from moderate.model import Item
from moderate.text.signs import SIGN_LABELS, Sign, contacts, signs_of
from moderate.text.similarity import UNSPACED_LETTER, compiled, folded, spellings

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
#: The number of further words that are read of a text with disguised letters.
MOST_UNDISGUISED = 100
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
HOST_END = re.compile("[/?#:]")

#: Letters of scripts without spaces between words, with those of Thai, Lao, Burmese and Khmer.
UNSPACED = UNSPACED_LETTER[:-1] + "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"

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
    author: str = ""

    @classmethod
    def of(cls, written: Submission | Item) -> Writing:
        return cls(
            kind=written.kind.value,
            text=written.text if isinstance(written, Item) else written.body.raw,
            title=written.title or "",
            url=written.url or written.source_url or "",
            email=written.email or "",
            author=written.author,
        )

    @property
    def whole(self) -> str:
        """The title and the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def signs_in(writing: Writing) -> tuple[Sign, ...]:
    """Return the signs of a writing besides its words."""
    return signs_of(writing.whole, writing.url)


def features(writing: Writing, key: bytes) -> dict[int, Label]:
    """Return the numbers of all tokens in *writing* under *key*, each with its label."""
    text = html.unescape(writing.whole)
    signs = signs_in(writing)
    addresses: list[str] = []

    def kept_aside(match: re.Match[str]) -> str:
        addresses.append(match.group())
        return " link "

    words = words_of(ADDRESS.sub(kept_aside, text) if ADDRESS_HINT.search(text) else text)
    known = [word_tokens(key, word) for word in words]
    if Sign.DISGUISE in signs:
        known += [word_tokens(key, word) for word in undisguised(text, words)]
    found: dict[int, Label] = {}
    for word in known:
        found.update(word.tokens)
    labels = [f"!{sign.value}" for sign in signs]
    labels += traits(writing, text, addresses)
    labels += name_parts(writing.author)
    if Sign.CONTACT in signs:
        labels += [f"&{contact}" for contact in contacts(text)]
    found.update({number(key, label): label for label in labels})
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

    Edges bring "subscribe", "subscriber" and "subscribing" together. What has no spaces between words is read by two
    letters; by three as well the filter was no better, and took twice as long.
    """
    labels = [f"={word}"]
    if not word.isascii() and compiled(UNSPACED).search(word):
        labels += [f"_{word[start : start + 2]}" for start in range(len(word) - 1)]
    elif len(word) > 4 and word[0] != "0":
        labels += [f"<{word[:4]}", f">{word[-3:]}"]
    tokens = {number(key, label): label for label in labels}
    itself = number(key, labels[0])
    return WordTokens(itself, (itself * MIXER & MASK) - HALF, tokens)


def undisguised(text: str, words: list[str]) -> list[str]:
    """Return the further words of the readings with digits as letters, and with separated letters joined."""
    known = set(words)
    read = [word for spelling in spellings(text)[1:] for word in words_of(spelling)]
    return [word for word in dict.fromkeys(read) if word not in known][:MOST_UNDISGUISED]


def name_parts(name: str) -> Iterator[Label]:
    """Yield labels for the words of an author's name, and for its shape."""
    words = words_of(name)[:8]
    if words:
        yield from (f"~{word}" for word in words)
        yield name_label(name)
    yield f"#words in the name: {min(len(words), 4)}"
    yield f"#digits in the name: {min(DIGITS.count(name), 4)}"


def name_label(name: str) -> Label:
    """Return the label of a whole name."""
    return f"~{' '.join(words_of(name)[:8])}"


def traits(writing: Writing, text: str, addresses: list[str]) -> Iterator[Label]:
    """Yield the traits of a text besides its words: its kind, addresses, capitals and the like."""
    yield f"#kind: {writing.kind}"
    yield f"#links: {min(len(addresses), 4)}"
    yield f"#lines: {min(text.count(chr(10)), 5)}"
    yield f"#exclamation marks: {min(text.count('!'), 4)}"
    yield f"#digits: {min(DIGITS.count(text).bit_length(), 5)}"
    letters = LETTERS.count(text)
    if letters:
        yield f"#capitals: {min(CAPITALS.count(text) * 4 // letters, 4)} of 4"
    for address in addresses[:20]:
        yield from address_parts(address)
    if writing.url:
        yield f"#author's site: {host(without_scheme(writing.url))}"
        yield from address_parts(writing.url)
    if writing.email:
        yield f"#author's mail: {writing.email.rpartition('@')[2].lower()}"


def address_parts(address: str) -> Iterator[Label]:
    """Yield labels for the host of an address and the words in its path."""
    bare = without_scheme(address)
    yield f"@{host(bare)}"
    for part in list(dict.fromkeys(PART.findall(bare)))[:12]:
        yield f"/{part[:30]}"


def without_scheme(address: str) -> str:
    lowered = address.lower()
    return lowered.partition("://")[2] or lowered


def host(bare: str) -> str:
    """Return the host of an address without its scheme."""
    return HOST_END.split(bare, maxsplit=1)[0].removeprefix("www.")


@lru_cache(maxsize=32_768)
def number(key: bytes, label: Label) -> int:
    """Return the keyed number of a token, as a signed 64-bit integer."""
    digest = blake2b(label.encode("utf-8", "surrogatepass"), key=key[:64], digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def told(label: Label) -> str:
    """Return a token in words for a moderator."""
    sort, text = label[0], label[1:]
    if sort == "!":
        return SIGN_LABELS[Sign(text)]
    if sort == "#":
        return told_trait(*text.split(": ", 1))
    quoted = {"<": f"“{text}…”", ">": f"“…{text}”", "@": text, "&": text}.get(sort, f"“{text}”")
    if sort not in PLACES:
        return quoted
    message = PLACES[sort]
    return Message(message.id, **{PLACE.findall(message.id)[0]: quoted})


#: Where the words of a token stand, if that is not the text.
PLACES = {
    "@": Message("a link to {host}"),
    "/": Message("{word} in an address"),
    "~": Message("{word} in the name"),
    "&": Message("the contact {contact}"),
}


def told_trait(name: str, value: str) -> Message:
    """Return one of `traits` in words."""
    message = TRAITS[name]
    (place,) = PLACE.findall(message.id)
    return Message(message.id, **{place: value.removesuffix(" of 4")})


TRAITS = {
    message.partition(":")[0]: message
    for message in (
        Message("kind: {kind}"),
        Message("links: {n}"),
        # No longer read: where all good texts are long, each short one would look like spam.
        Message("size: {n}"),
        Message("lines: {n}"),
        Message("exclamation marks: {n}"),
        Message("digits: {n}"),
        Message("capitals: {n} of 4"),
        Message("words in the name: {n}"),
        Message("digits in the name: {n}"),
        Message("author's site: {host}"),
        Message("author's mail: {host}"),
    )
}
