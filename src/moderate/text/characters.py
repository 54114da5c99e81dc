"""Characters of submitted text: which are kept, which are visible, and how many may form one letter.

All functions are linear in the length of the text and return plain ASCII almost untouched.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from html import unescape

#: Most combining marks on one letter. Living scripts need up to five.
MAX_MARKS = 6
#: Most spacing marks (category Mc: vowel signs, musical stems) on one letter. Living scripts need up to three.
MAX_SPACING = 4
#: Most letters or emoji joined to the one before them (viramas, zero-width joiners, Tibetan stacks). Sanskrit
#: needs five and emoji four.
MAX_JOINED = 8

# Controls, overrides of the writing direction, noncharacters, interlinear annotations, byte order
# marks and deprecated format characters: none of them has a place in prose. \t, \n and \r stay.
_DROPPED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202d\u202e\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
# All of these and of the tag characters are among the following, which are far quicker to look for.
_MAY_BE_DROPPED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202d\u202e\u206a-\u206f\ufdd0-\ufdef\ufeff"
    "\ufff9-\uffff\U0001fffe-\U0010ffff]"
)
_ASCII_DROPPED = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))
# Invisible tag characters can smuggle text; their one visible use is in the flags of regions.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f)|[\U000e0000-\U000e007f]+")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LINE_ENDS = re.compile("\r\n?|\x85|\u2028")
_DIRECTIONS = re.compile("([\u202a-\u202c\u2066-\u2069])")

# Browsers cannot break a line inside a grapheme cluster (UAX #29), and some of its rules put no bound on one. These
# are the stretches in which a cluster can be too long: five marks in a row, nine with letters between them.
_MARK = r"[^\w\s\x00-\x7f]"
_FIRST_MARK = r"[^\w\s\x00-\x7f\xa1-\xbf\u2010-\u2027\u3000-\u3029\u3030-\u3098\u309b-\u30ff\uff01-\uff0f]"
_RUNS = re.compile(rf"{_FIRST_MARK}(?:{_MARK}{{4}}|(?:\w?{_MARK}){{8}})(?:\w?{_MARK})*+")
_LETTER_RUNS = re.compile(rf"[\u0e33\u0eb3\uff9e\uff9f](?:[\u0e33\u0eb3\uff9e\uff9f]|{_MARK}){{4,}}+")
_MOST = {
    "mark": MAX_MARKS,
    "spacing": MAX_SPACING,
    "joined": MAX_JOINED,
    "joiner": MAX_JOINED,
    "invisible": None,
    "letter": None,
}
_SPACING_LETTERS = frozenset("\u0e33\u0eb3")
# Skin tones, half-width sound marks, and the blocks of combining marks, whose newest marks Python does not know.
_EXTENDING = re.compile("[\U0001f3fb-\U0001f3ff\uff9e\uff9f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_JOINER, _VIRAMA = "\u200d", 9
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
# Conjoining jamo of one kind; a syllable of Old Korean has up to three of each.
_JAMO = re.compile("[\u1100-\u115f\ua960-\ua97c]{4,}|[\u1160-\u11a7\ud7b0-\ud7c6]{4,}|[\u11a8-\u11ff\ud7cb-\ud7fb]{4,}")
_LONE_JAMO = {ord(unicodedata.normalize("NFKD", chr(code))): code for code in range(0x3131, 0x3164)}
# Signs that join the character after them (Prepend of UAX #29).
_PREPEND = (
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3\U000113d1\U0001193f"
    "\U00011941\U00011a3a\U00011a84-\U00011a89\U00011d46\U00011f02"
)
_PREPENDED = re.compile(f"([{_PREPEND}]{{2}})[{_PREPEND}]+")
_JOINING = re.compile(f"[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff{_PREPEND}]")

# What looks like nothing: every blank, format characters, fillers, variation selectors.
_BLANK = (
    "\\s\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_VISIBLE = re.compile(f"[^{_BLANK}]")
_EDGES = re.compile(f"^[{_BLANK}]++|(?<![{_BLANK}])[{_BLANK}]++$")

# In one line of a form also what is invisible inside a word, and what turns the direction.
_DROPPED_IN_LINE = re.compile("[\xad\u180e\u200b\u2060-\u2064\u202a-\u202c\u2066-\u2069]")

_NOT_PRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"


def is_storable(text: str) -> bool:
    """Return whether every database can hold the text: no NUL, no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def is_blank(text: str) -> bool:
    """Return whether a reader would see nothing at all of the text."""
    # Nearly every text has a plain character; the pattern is for those that have none.
    return not (text.isascii() and text.strip()) and _VISIBLE.search(text) is None


def is_printable(char: str) -> bool:
    """Return whether a terminal or a mail program only shows the character and obeys nothing in it.

    Controls, format characters, surrogates, private use and noncharacters are not printable. Code points that are
    unassigned in Python's tables are: the newest emoji and letters are among them.
    """
    return unicodedata.category(char) not in _NOT_PRINTABLE and not _DROPPED.match(char)


def printable(text: str) -> str:
    """Return the text on one line with a space for each character that is not printable."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return "".join(char if is_printable(char) else " " for char in text).strip()


def readable(text: str) -> str:
    """Return the text in NFC with LF as its only line end, without what could disturb the page around it.

    Controls, noncharacters and direction overrides are dropped, directions left open are closed
    at the end of their line (UAX #9), and grapheme clusters are bounded. Idempotent.
    """
    if text.isascii():
        return text.replace("\r\n", "\n").replace("\r", "\n").translate(_ASCII_DROPPED)
    text = _LINE_ENDS.sub("\n", text).replace("\u2029", "\n\n")
    if _MAY_BE_DROPPED.search(text):
        text = _TAGS.sub(lambda match: match[1] or "", _DROPPED.sub("", text))
    if _DIRECTIONS.search(text):
        text = "\n".join(_closed(line) for line in text.split("\n"))
    if not unicodedata.is_normalized("NFC", text):
        # Python sorts a run of marks in quadratic time, so that it must be short before as well.
        text = unicodedata.normalize("NFC", _RUNS.sub(_bounded, text))
    return _with_short_clusters(text)


def decoded(text: str) -> str:
    """Return the text with its character references decoded, and the result made `readable`.

    Only references that end in a semicolon count: ``?page=2&region=jp`` is an address and no ``®``.
    Directions are dropped where anything was decoded, for they could no longer be balanced.
    """
    if "&" not in text or not _REFERENCE.search(text):
        return text
    return readable(_DIRECTIONS.sub("", _REFERENCE.sub(lambda match: unescape(match[0]), text)))


def single_line(text: str) -> str:
    """Return `readable` on one line: blanks folded to one space, invisible characters and edges removed."""
    if text.isascii():
        return " ".join(readable(text).split())
    text = readable(_DROPPED_IN_LINE.sub("", text))
    return _EDGES.sub("", unicodedata.normalize("NFC", " ".join(text.split())))


def cropped(text: str, limit: int, ending: str = "") -> str:
    """Return at most *limit* characters, the last of them *ending* where text was cut; no letter loses its marks."""
    if len(text) <= limit:
        return text
    end = limit - len(ending)
    while end > 0 and _joins(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip() + ending


def _joins(before: str, after: str) -> bool:
    """Return True if a cut between the two would split what readers take for one character."""
    return (
        before == "\u200d"
        or after in "\u200c\u200d"
        or unicodedata.category(after) in {"Mn", "Mc", "Me"}
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
    )


def _closed(line: str) -> str:
    """Close the embeddings and isolates that a line leaves open, and drop closers of nothing."""
    kept: list[str] = []
    waiting: list[str] = []
    isolates = 0
    for piece in _DIRECTIONS.split(line):
        if piece == _POP_EMBEDDING:
            if not waiting or waiting[-1] != _POP_EMBEDDING:
                continue
            waiting.pop()
        elif piece == _POP_ISOLATE:
            if not isolates:
                continue
            isolates -= 1
            while waiting.pop() != _POP_ISOLATE:
                pass
        elif piece in {"\u202a", "\u202b"}:
            waiting.append(_POP_EMBEDDING)
        elif piece in {"\u2066", "\u2067", "\u2068"}:
            waiting.append(_POP_ISOLATE)
            isolates += 1
        kept.append(piece)
    return "".join(kept) + "".join(reversed(waiting))


def _with_short_clusters(text: str) -> str:
    """Bound the grapheme clusters of a text in NFC; the result is in NFC again."""
    short = _LETTER_RUNS.sub(_bounded, _RUNS.sub(_bounded, text))
    if _JOINING.search(short):
        short = _PREPENDED.sub(r"\1", _JAMO.sub(_separated, short))
    return short if short == text else unicodedata.normalize("NFC", short)


def _bounded(run: re.Match[str]) -> str:
    """Drop from a run of marks and letters the marks and joiners that are too many on one letter.

    Invisible characters between the marks begin no new letter.
    """
    kept: list[str] = []
    counts: Counter[str] = Counter()
    is_joining = False
    for char in run[0]:
        role = _role(char)
        joins = char == _JOINER or unicodedata.combining(char) == _VIRAMA
        if role == "letter":
            counts = Counter(joined=counts["joined"] + 1 if is_joining else 0)
        elif counts[role] == _MOST[role] or (joins and counts["joined"] == MAX_JOINED):
            continue
        counts[role] += 1
        is_joining = joins or (is_joining and role in {"mark", "spacing"})
        kept.append(char)
    return "".join(kept)


def _role(char: str) -> str:
    """Return how a character counts within a grapheme cluster: a key of `_MOST`."""
    if "\u0f90" <= char <= "\u0fbc":
        return "joined"
    if char in "\u200c\u200d":
        return "joiner"
    category = unicodedata.category(char)
    if category == "Mc" or char in _SPACING_LETTERS:
        return "spacing"
    if category in {"Mn", "Me"} or _EXTENDING.match(char):
        return "mark"
    return "invisible" if category == "Cf" or char in _FILLERS else "letter"


def _separated(run: re.Match[str]) -> str:
    """Return conjoining jamo as letters that stand alone; of those without such a form the first three."""
    return _JAMO.sub(lambda rest: rest[0][:3], run[0].translate(_LONE_JAMO))
