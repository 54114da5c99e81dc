"""Normalisation of text to what a reader sees, for matching it with word rules and with other texts.

It undoes entities, tags inside words, invisible characters, compatibility forms (full width, mathematical letters,
ligatures), overlaid marks, letters of other scripts that look Latin, digits in place of letters, and
l.e.t.t.e.r.s with characters between them. Rules go through the same functions, so that a rule in Cyrillic matches
Cyrillic text. All functions are linear in the length of the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

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
WORD_WITH_DIGIT = re.compile(r"[\w@$!]+")
#: Scripts without spaces between words, in which a rule matches inside a run of letters.
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")


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


def bounded(char: str) -> bool:
    """Return True if a word boundary can be tested beside *char*: it is a letter or digit of a script with spaces."""
    return char.isalnum() and not unicodedata.name(char, "").startswith(UNSPACED)
