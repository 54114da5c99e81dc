"""Texts that are nearly equal: words swapped, numbers changed, invisible characters and a few words put in.

A text is taken as the set of its longer words. Its simhash (Charikar 2002) tells how much of that set
two texts share; with one changed word in ten about nine bits of 64 differ, which is too many to look
up by bands of the simhash itself. So what is looked up are bands of min-hashes (Broder 1997): two of
them to a band, four bands, of which one is the same for 98 of 100 pairs that share four words in five.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

from moderate.checks.spelling import plain
from moderate.ports.watching import NearText

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

MASK = (1 << 64) - 1
#: Eight odd numbers without pattern; multiplied with one of them, hashes come in another order.
ORDERS = tuple(int.from_bytes(blake2b(b"order %d" % number, digest_size=8).digest(), "big") | 1 for number in range(8))
#: The bits of each byte, sixteen apart, so that adding up numbers adds up bits.
SPREAD = tuple(sum((byte >> bit & 1) << 16 * bit for bit in range(8)) for byte in range(256))


@lru_cache(maxsize=64)
def near_text(text: str) -> NearText | None:
    """What *text* is found by; None where it is too short to tell. Linear in its length."""
    digests = [digest(word) for word in words_of(text)]
    if len(digests) < LEAST_WORDS:
        return None
    numbers = [int.from_bytes(found, "big") for found in digests]
    least = [min([number * order & MASK for number in numbers]) for order in ORDERS]
    return NearText(simhash(digests), (band(*least[0:2]), band(*least[2:4]), band(*least[4:6]), band(*least[6:8])))


def words_of(text: str) -> set[str]:
    """The longer words, whatever they were spelled with; pairs of characters where words are not set apart."""
    found: set[str] = set()
    for word in WORD.findall(DIGITS.sub("", plain(text)))[:MOST_WORDS]:
        if UNSPACED.search(word):
            found.update(first + second for first, second in pairwise(word))
        elif len(word) >= SHORTEST:
            found.add(word)
    return found


@lru_cache(maxsize=16_384)
def digest(word: str) -> bytes:
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def simhash(digests: list[bytes]) -> int:
    """Each bit as most of the words have it; as a number with a sign, which is what databases keep."""
    bits = 0
    for column in zip(*digests, strict=True):
        counted = sum(map(SPREAD.__getitem__, column))
        for bit in reversed(range(8)):
            bits = bits << 1 | (2 * (counted >> 16 * bit & 0xFFFF) > len(digests))
    return bits - (1 << 64) if bits >> 63 else bits


def band(first: int, second: int) -> int:
    """Two min-hashes as one whole number of 32 bits with a sign."""
    mixed = (first ^ second * ORDERS[0]) & MASK
    return (mixed >> 32) - (1 << 31)
