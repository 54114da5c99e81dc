"""Near-duplicate texts: the same text with words swapped, numbers changed or a few words added.

A text is compared as the set of its longer words. The distance of two simhashes (Charikar 2002) measures how much of
that set two texts share. With one changed word in ten about nine bits of 64 differ, too many for looking texts up by
bands of the simhash. Texts are therefore looked up by bands of min-hashes (Broder 1997): four bands of two each, of
which at least one is equal for 98 of 100 pairs that share four words in five.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from moderate.checks.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.model import Kind, Status

#: Texts with fewer different longer words than this are equal by chance: "Thank you, great article!"
LEAST_WORDS = 8
#: The length of the shortest word that counts. Shorter ones are mostly in every text.
SHORTEST = 4
#: The number of words that are read of a text, to bound the cost.
MOST_WORDS = 400
#: The largest distance of the simhashes of two near duplicates, in bits: about three words in four are the same.
NEAR = 14

WORD = re.compile(r"[^\W_]+")
DIGITS = re.compile(r"\d+")
#: Scripts without spaces between words: from the CJK radicals to Hangul, and the planes of further ideographs.
UNSPACED = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")

#: Each bit of a byte as a number of two bytes.
APART = tuple(bytes.fromhex("".join(f"000{bit}" for bit in f"{byte:08b}")) for byte in range(256))
MASK = (1 << 64) - 1
#: Eight pseudo-random odd numbers. A hash function of the min-hash multiplies by one of them.
ORDERS = tuple(int.from_bytes(blake2b(b"order %d" % number, digest_size=8).digest(), "big") | 1 for number in range(8))


class Traits(NamedTuple):
    """The bits of a word for the simhash, and its eight hashes for the min-hashes.

    The bits stand sixteen apart, so that the sum over all words counts each of them; no text has 65,536 words.
    """

    bits: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NearText:
    """The keys by which near duplicates of a text are found.

    Candidates share one of the `bands` (signed 32-bit integers). A candidate is a near duplicate if its `simhash` (a
    signed 64-bit integer) differs in at most `NEAR` bits.
    """

    simhash: int
    bands: tuple[int, int, int, int]

    def distance(self, simhash: int) -> int:
        """Return the number of bits in which the simhash of another text differs."""
        return ((self.simhash ^ simhash) & (1 << 64) - 1).bit_count()


@dataclass(frozen=True, slots=True)
class Alike:
    """A candidate for a near duplicate. `simhash` is None for a text that is too short to have one."""

    id: int
    kind: Kind
    status: Status
    article: str
    text_key: str
    simhash: int | None


@lru_cache(maxsize=64)
def near_text(text: str) -> NearText | None:
    """Return the keys of a text, or None for one with fewer than `LEAST_WORDS` words. Linear in its length."""
    known = [traits(word) for word in words_of(text)]
    if len(known) < LEAST_WORDS:
        return None
    least = [min(places) for places in zip(*(word.places for word in known), strict=True)]
    bands = (band(*least[0:2]), band(*least[2:4]), band(*least[4:6]), band(*least[6:8]))
    return NearText(simhash([word.bits for word in known]), bands)


def words_of(text: str) -> set[str]:
    """Return the longer words in one spelling, and pairs of characters in scripts without spaces between words."""
    read = DIGITS.sub("", folded(text))
    words = WORD.findall(read)[:MOST_WORDS]
    if read.isascii():
        return {word for word in words if len(word) >= SHORTEST}
    found: set[str] = set()
    for word in words:
        if UNSPACED.search(word):
            found.update(first + second for first, second in pairwise(word))
        elif len(word) >= SHORTEST:
            found.add(word)
    return found


@lru_cache(maxsize=4096)
def traits(word: str) -> Traits:
    """Hash a word. Cached, because people use the same words."""
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    bits = int.from_bytes(b"".join([APART[byte] for byte in digest]), "big")
    return Traits(bits, tuple([number * order & MASK for order in ORDERS]))


def simhash(words: Sequence[int]) -> int:
    """Return the bits that most of the words have, as a signed integer, which databases can store."""
    counted = struct.unpack(">64H", sum(words).to_bytes(128, "big"))
    bits = int("".join("1" if 2 * count > len(words) else "0" for count in counted), 2)
    return bits - (1 << 64) if bits >> 63 else bits


def band(first: int, second: int) -> int:
    """Combine two min-hashes into a signed 32-bit integer."""
    mixed = (first ^ second * ORDERS[0]) & MASK
    return (mixed >> 32) - (1 << 31)
