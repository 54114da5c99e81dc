"""Comparison of texts: the spelling that a reader sees, for words and rules, and the keys of near duplicates.

`folded` undoes entities, tags inside words, invisible characters, compatibility forms (full width, mathematical
letters, ligatures), overlaid marks and letters of other scripts that look Latin; `spellings` also digits in place of
letters, and l.e.t.t.e.r.s with characters between them. Rules go through the same functions, so that a rule in Cyrillic
matches Cyrillic text. All functions are linear in the length of the text.

Near duplicates are the same text with words swapped, numbers changed or a few words added. A text is compared as the
set of its longer words. The distance of two simhashes (Charikar 2002) measures how much of that set two texts share.
With one changed word in ten about nine bits of 64 differ, too many for looking texts up by bands of the simhash. Texts
are therefore looked up by bands of min-hashes (Broder 1997): four bands of two each, of which at least one is equal for
98 of 100 pairs that share four words in five.
"""

from __future__ import annotations

import html
import re
import struct
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from hashlib import blake2b
from operator import add
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moderate.model import Kind, Status

#: Letters that look like a Latin one in most typefaces, each before that one, after NFKC and case folding (from TR39).
LOOKALIKE_PAIRS = (
    "аa вb гr еe ёe һh іi їi јj кk мm нh оo пn рp сc ѕs тt уy хx ьb ԁd ԛq ԝw ѵv ӏl",
    "αa βb γy εe ηn ιi κk νv οo ρp τt υu χx ωw ϲc ϳj ոn սu օo հh զq ցg",
    "ıi ɡg ɑa łl øo đd ƅb ɩi ʟl ᴀa ᴄc ᴅd ᴇe ᴊj ᴋk ᴍm ᴏo ᴘp ᴛt ᴜu ᴠv ᴡw ᴢz",
)
LOOKALIKES = str.maketrans({two[0]: two[1] for line in LOOKALIKE_PAIRS for two in line.split()})
LOOKALIKE = re.compile(f"[{''.join(map(chr, LOOKALIKES))}]")
DIGITS = str.maketrans("0134578@$!", "oieastbasi")
TAG = re.compile(r"<[^<>]{0,400}>")
OVERLAID = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
#: Characters that show nothing (Unicode's Default_Ignorable_Code_Point, nearly).
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
SPACE = re.compile(r"\s+")
APART = re.compile(r"(?<!\w)\w(?:[ .\-_*·]\w(?!\w)){3,}")
WORD_WITH_DIGIT = re.compile(r"(?<![\w@$!])[^\W0134578]*+[0134578@$!][\w@$!]*")
#: Scripts without spaces between words, in which a rule matches inside a run of letters.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")


# --- spellings and word rules -------------------------------------------------------------------------


def plain(text: str) -> str:
    """Return *text* decoded, in lower case, and with lookalikes replaced by Latin letters and white space by blanks."""
    return SPACE.sub(" ", folded(text))


def folded(text: str) -> str:
    """Do the same as `plain` but keep the white space."""
    decoded = html.unescape(html.unescape(text)) if "&" in text else text
    if "<" in decoded:
        decoded = TAG.sub("", decoded)
    if decoded.isascii():
        return decoded.lower()
    compatible = unicodedata.normalize("NFKC", INVISIBLE.sub("", decoded)).casefold()
    letters = OVERLAID.sub("", unicodedata.normalize("NFC", compatible))
    # Translating a text costs ten times as much as searching it for characters to translate.
    return letters.translate(LOOKALIKES) if LOOKALIKE.search(letters) else letters


def spellings(text: str) -> tuple[str, ...]:
    """Return the readings of *text*: plain, with digits read as letters, and with separated letters joined."""
    base = plain(text)
    ways = (base, without_digits(base), APART.sub(joined, base))
    return tuple(dict.fromkeys(ways))


def without_digits(text: str) -> str:
    """Replace digits and signs inside words by the letters that they look like. Pure numbers stay."""

    def letters(match: re.Match[str]) -> str:
        word = match.group()
        return word.translate(DIGITS) if sum(map(str.isalpha, word)) >= 2 else word

    return WORD_WITH_DIGIT.sub(letters, text)


def joined(match: re.Match[str]) -> str:
    return re.sub(r"[ .\-_*·]", "", match.group())


@lru_cache(maxsize=4096)
def word_pattern(value: str) -> re.Pattern[str]:
    """Return a pattern for *value* as whole words in plain text; ``*`` matches up to 40 letters within one word.

    "cialis" does not match "specialist".
    """
    text = plain(value).strip()
    first, *others = (re.escape(part) for part in re.split(r"\*+", text))
    # Each part matches at its first place only, because with all places a rule of eight stars would take years on a
    # text that is made for it. The last part may match later, since the word may have to end with it.
    between = "".join(rf"(?>\w{{0,40}}?{part})" for part in others[:-1])
    body = first + between + (rf"\w{{0,40}}{others[-1]}" if others else "")
    before = "" if not text or not bounded(text[0]) else r"(?<!\w)"
    after = "" if not text or not bounded(text[-1]) else r"(?!\w)"
    return re.compile(before + body + after)


@lru_cache(maxsize=4096)
def longest_part(value: str) -> str:
    """Return the longest part of a rule's value without ``*``, which stands in each text that the pattern matches."""
    return max(re.split(r"\*+", plain(value).strip()), key=len)


def bounded(char: str) -> bool:
    """Return True if a word boundary can be tested beside *char*: it is a letter or digit of a script with spaces."""
    return char.isalnum() and not unicodedata.name(char, "").startswith(UNSPACED)


#: A script counts as one of a text's with so many letters, or with this share of them: a formula has Greek letters.
LETTERS, SHARE = 10, 0.1


def scripts_of(text: str) -> frozenset[str]:
    """Return the scripts that a text is written in, as Unicode names them: ``{"CYRILLIC", "LATIN"}``.

    Tags are none of the text. Styled and full-width letters count as those that they stand for.
    """
    shown = html.unescape(text) if "&" in text else text
    if "<" in shown:
        shown = TAG.sub(" ", shown)
    if not shown.isascii():
        shown = unicodedata.normalize("NFKC", shown)
    letters = Counter(filter(str.isalpha, shown))
    scripts: Counter[str] = Counter()
    for letter, number in letters.items():
        scripts["LATIN" if letter.isascii() else script_of(letter)] += number
    # Apostrophes of Ukrainian and Hawaiian, which are letters of no script.
    del scripts["MODIFIER"]
    most = sum(scripts.values()) * SHARE
    return frozenset(script for script, number in scripts.items() if number >= min(LETTERS, most))


#: Scripts that Unicode's names of letters call otherwise. Japanese always mixes its two syllabaries.
SCRIPTS = {"CJK": "HAN", "IDEOGRAPHIC": "HAN", "HIRAGANA": "KANA", "KATAKANA": "KANA", "KATAKANA-HIRAGANA": "KANA"}


@lru_cache(maxsize=4096)
def script_of(letter: str) -> str:
    """Return the script of a letter: the first word of its name."""
    word = unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
    return SCRIPTS.get(word, word)


# --- near duplicates ---------------------------------------------------------------------------------

#: Texts with fewer different longer words than this are equal by chance: "Thank you, great article!"
LEAST_WORDS = 8
#: The length of the shortest word that counts. Shorter ones are mostly in every text.
SHORTEST = 4
#: The number of words that are read of a text, to bound the cost.
MOST_WORDS = 400
#: The largest distance of the simhashes of two near duplicates, in bits: about three words in four are the same.
NEAR = 14

#: The number of words whose traits are kept.
MOST_KEPT = 8192

WORD = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"\d+")
#: ASCII with a blank for everything but letters and digits.
_SEPARATED = bytes(code if chr(code).isalnum() else 32 for code in range(128)) + bytes(range(128, 256))
#: Scripts without spaces between words: from the CJK radicals to Hangul, and the planes of further ideographs.
UNSPACED_LETTER = "[\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
#: Compiles a pattern when it is first needed: Python takes milliseconds for classes of so many letters.
compiled = cache(re.compile)

#: Each bit of a byte as a number of two bytes.
SPREAD = tuple(bytes.fromhex("".join(f"000{bit}" for bit in f"{byte:08b}")) for byte in range(256))
#: A number with a one in each of these places.
EACH = sum(1 << 16 * place for place in range(64))
MASK = (1 << 64) - 1
#: Eight pseudo-random odd numbers. A hash function of the min-hash multiplies by one of them.
ORDERS = tuple(int.from_bytes(blake2b(b"order %d" % number, digest_size=8).digest(), "big") | 1 for number in range(8))
#: The orders, 128 bits apart: one multiplication by this makes all eight products, of which the lower halves count.
ALL_ORDERS = sum(order << 128 * number for number, order in enumerate(ORDERS))
PRODUCTS = struct.Struct("<" + 8 * "Q8x")


class NearText(NamedTuple):
    """The keys by which near duplicates of a text are found.

    Candidates share one of the `bands` (signed 32-bit integers). A candidate is a near duplicate if its `simhash` (a
    signed 64-bit integer) differs in at most `NEAR` bits.
    """

    simhash: int
    bands: tuple[int, int, int, int]

    def distance(self, simhash: int) -> int:
        """Return the number of bits in which the simhash of another text differs."""
        return ((self.simhash ^ simhash) & MASK).bit_count()


class Alike(NamedTuple):
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
    words = words_of(text)
    if len(words) < LEAST_WORDS:
        return None
    bits, *hashes = zip(*map(TRAITS.__getitem__, words), strict=True)
    least = list(map(min, hashes))
    bands = (band(*least[0:2]), band(*least[2:4]), band(*least[4:6]), band(*least[6:8]))
    return NearText(simhash(bits), bands)


def words_of(text: str) -> set[str]:
    """Return the longer words in one spelling, and pairs of characters in scripts without spaces between words."""
    read = folded(text)
    if read.isascii():
        return {word for word in ascii_words(read, b"0123456789")[:MOST_WORDS] if len(word) >= SHORTEST}
    found: set[str] = set()
    for word in WORD.findall(NUMBER.sub("", read))[:MOST_WORDS]:
        if compiled(UNSPACED_LETTER).search(word):
            found.update(map(add, word, word[1:]))
        elif len(word) >= SHORTEST:
            found.add(word)
    return found


def ascii_words(text: str, dropped: bytes = b"") -> list[str]:
    """Return the words of letters and digits in an ASCII text without the *dropped* characters. Faster than `WORD`."""
    return text.encode().translate(_SEPARATED, dropped).decode().split()


class Traits(dict[str, tuple[int, ...]]):
    """The bits of words for the simhash, each with its eight hashes for the min-hashes.

    The bits stand sixteen apart, so that the sum over all words counts each of them; no text has 65,536 words.
    Kept, because people use the same words, and emptied when it is full: to note each use would take longer.
    """

    def __missing__(self, word: str) -> tuple[int, ...]:
        digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        bits = int.from_bytes(b"".join([SPREAD[byte] for byte in digest]), "big")
        products = int.from_bytes(digest, "big") * ALL_ORDERS
        found = (bits, *PRODUCTS.unpack(products.to_bytes(128, "little")))
        if len(self) >= MOST_KEPT:
            self.clear()
        self[word] = found
        return found


TRAITS = Traits()


def simhash(words: Sequence[int]) -> int:
    """Return the bits that most of the words have, as a signed integer, which databases can store."""
    # Each count overflows into the highest of its sixteen bits if it is more than half.
    counted = sum(words) + EACH * (0x7FFF - len(words) // 2)
    digits = (counted >> 15 & EACH) + EACH * ord("0")
    bits = int(digits.to_bytes(128, "big")[1::2], 2)
    return bits - (1 << 64) if bits >> 63 else bits


def band(first: int, second: int) -> int:
    """Combine two min-hashes into a signed 32-bit integer."""
    mixed = (first ^ second * ORDERS[0]) & MASK
    return (mixed >> 32) - (1 << 31)
