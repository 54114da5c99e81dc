"""Which characters of a stranger's text are kept, before anybody asks what the text means.

Everything here is linear in the length of the text and returns plain ASCII almost untouched.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape

#: How many combining marks may stand on one letter. Living scripts need up to four or five.
MAX_MARKS = 6

# Controls, overrides of the writing direction, noncharacters, interlinear annotations, byte order
# marks and deprecated format characters: none of them has a place in prose. \t, \n and \r stay.
_DROPPED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202d\u202e\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
_ASCII_DROPPED = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))
# Invisible tag characters can smuggle text; their one visible use is in the flags of regions.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f)|[\U000e0000-\U000e007f]+")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LINE_ENDS = re.compile("\r\n?|\x85|\u2028")
_DIRECTIONS = re.compile("([\u202a-\u202c\u2066-\u2069])")
_MARK_RUNS = re.compile(rf"[^\w\s\x00-\x7f]{{{MAX_MARKS + 1},}}")

# What looks like nothing: every blank, format characters, fillers, variation selectors.
_BLANK = (
    "\\s\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_VISIBLE = re.compile(f"[^{_BLANK}]")
_EDGES = re.compile(f"^[{_BLANK}]++|(?<![{_BLANK}])[{_BLANK}]++$")

# In one line of a form also what is invisible inside a word, and what turns the direction.
_DROPPED_IN_LINE = re.compile("[\xad\u180e\u200b\u2060-\u2064\u202a-\u202c\u2066-\u2069]")

_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"


def is_storable(text: str) -> bool:
    """Whether every database can hold it: no NUL, no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def is_blank(text: str) -> bool:
    """Whether a reader would see nothing at all, whatever the text is made of."""
    # Nearly every text has something plain to see; the pattern is for those that have not.
    return not (text.isascii() and text.strip()) and _VISIBLE.search(text) is None


def readable(text: str) -> str:
    """The same text in NFC with ``\\n`` as its only line end, without what could disturb the page around it.

    Controls, noncharacters and direction overrides are dropped, directions left open are closed
    at the end of their line (UAX #9), and marks are capped at `MAX_MARKS` a letter. Idempotent.
    """
    if text.isascii():
        return text.replace("\r\n", "\n").replace("\r", "\n").translate(_ASCII_DROPPED)
    text = _DROPPED.sub("", _LINE_ENDS.sub("\n", text).replace("\u2029", "\n\n"))
    text = _TAGS.sub(lambda match: match[1] or "", text)
    if _DIRECTIONS.search(text):
        text = "\n".join(_closed(line) for line in text.split("\n"))
    return _MARK_RUNS.sub(_fewer_marks, unicodedata.normalize("NFC", text))


def decoded(text: str) -> str:
    """The text with its character references decoded, and what they decoded to held to the same rules.

    Only references that end in a semicolon count: ``?page=2&region=jp`` is an address and no ``®``.
    Directions are dropped where anything was decoded, for they could no longer be balanced.
    """
    if "&" not in text or not _REFERENCE.search(text):
        return text
    return readable(_DIRECTIONS.sub("", _REFERENCE.sub(lambda match: unescape(match[0]), text)))


def single_line(text: str) -> str:
    """`readable` on one line: blanks folded to one space, invisible characters and edges removed."""
    text = _DROPPED_IN_LINE.sub("", readable(text))
    return _EDGES.sub("", unicodedata.normalize("NFC", " ".join(text.split())))


def cropped(text: str, limit: int, ending: str = "") -> str:
    """At most `limit` characters, of which `ending` where something was cut; no letter loses its marks."""
    if len(text) <= limit:
        return text
    end = limit - len(ending)
    while end > 0 and _joins(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip() + ending


def _joins(before: str, after: str) -> bool:
    """Whether a cut between the two would split what readers take for one character."""
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


def _fewer_marks(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)
