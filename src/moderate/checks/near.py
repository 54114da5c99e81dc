"""Texts that are nearly equal: words swapped, numbers changed, invisible characters and a few words put in.

A text is taken as the set of its longer words. Its simhash (Charikar 2002) tells how much of that set
two texts share; with one changed word in ten about nine bits of 64 differ, which is too many to look
up by bands of the simhash itself. So what is looked up are bands of min-hashes (Broder 1997): two of
them to a band, four bands, of which one is the same for 98 of 100 pairs that share four words in five.
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

#: Texts with fewer different words of some length than this are alike by chance: "Thank you, great article!"
LEAST_WORDS = 8
#: Shorter words are mostly those that every text has.
SHORTEST = 4
#: No text is read further: the cost stays bounded.
MOST_WORDS = 400
#: Nearly equal are texts of which no more bits of 64 differ: about three words in four the same.
NEAR = 14

WORD = re.compile(r"[^\W_]+")
DIGITS = re.compile(r"\d+")
#: Scripts without spaces between words: from the CJK radicals to Hangul, and what lies beyond the basic plane.
UNSPACED = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")

#: Each bit of a byte as a number of two bytes.
APART = tuple(bytes.fromhex("".join(f"000{bit}" for bit in f"{byte:08b}")) for byte in range(256))
MASK = (1 << 64) - 1
#: Eight odd numbers without pattern; multiplied with one of them, hashes come in another order.
ORDERS = tuple(int.from_bytes(blake2b(b"order %d" % number, digest_size=8).digest(), "big") | 1 for number in range(8))


class Traits(NamedTuple):
    """What a word adds to its text: its bits, and its place in each order.

    The bits stand sixteen apart, so that a sum of them counts each; no text has 65,536 words.
    """

    bits: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NearText:
    """What a text is found by when it comes again with a few words changed.

    Texts that share one of the `bands` (whole numbers of 32 bits with a sign) are worth comparing;
    they are nearly equal where few bits of their `simhash` (64 bits with a sign) differ.
    """

    simhash: int
    bands: tuple[int, int, int, int]

    def distance(self, simhash: int) -> int:
        """In how many of the 64 bits another text differs."""
        return ((self.simhash ^ simhash) & (1 << 64) - 1).bit_count()


@dataclass(frozen=True, slots=True)
class Alike:
    """An item that may say nearly the same; `simhash` is None where its text is too short to have one."""

    id: int
    kind: Kind
    status: Status
    article: str
    text_key: str
    simhash: int | None


@lru_cache(maxsize=64)
def near_text(text: str) -> NearText | None:
    """What *text* is found by; None where it is too short to tell. Linear in its length."""
    known = [traits(word) for word in words_of(text)]
    if len(known) < LEAST_WORDS:
        return None
    least = [min(places) for places in zip(*(word.places for word in known), strict=True)]
    bands = (band(*least[0:2]), band(*least[2:4]), band(*least[4:6]), band(*least[6:8]))
    return NearText(simhash([word.bits for word in known]), bands)


def words_of(text: str) -> set[str]:
    """The longer words, whatever they were spelled with; pairs of characters where words are not set apart."""
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
    """Remembered, because people use the same words."""
    digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    bits = int.from_bytes(b"".join([APART[byte] for byte in digest]), "big")
    return Traits(bits, tuple([number * order & MASK for order in ORDERS]))


def simhash(words: Sequence[int]) -> int:
    """Each bit as most of the words have it; as a number with a sign, which is what databases keep."""
    counted = struct.unpack(">64H", sum(words).to_bytes(128, "big"))
    bits = int("".join("1" if 2 * count > len(words) else "0" for count in counted), 2)
    return bits - (1 << 64) if bits >> 63 else bits


def band(first: int, second: int) -> int:
    """Two min-hashes as one whole number of 32 bits with a sign."""
    mixed = (first ^ second * ORDERS[0]) & MASK
    return (mixed >> 32) - (1 << 31)
