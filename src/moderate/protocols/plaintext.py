"""What ping senders call text, made into plain text: no tags, no entities, no controls, not too long."""

from __future__ import annotations

import re
import unicodedata
from html import unescape

TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>|<!--[^<>]*-->")

#: What neither a database nor XML takes: controls, lone surrogates and noncharacters.
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

#: Joins the sign before it with the one after it.
ZERO_WIDTH_JOINER = "\u200d"


def plain(text: str) -> str:
    """One line of plain text: tags removed, entities undone once, NFC.

    Entities are undone because the commonest sender escapes its texts before it sends them. The
    result may hold ``<`` again: it is text, and whoever shows it escapes it.
    """
    text = unescape(TAG.sub(" ", text))
    return " ".join(unicodedata.normalize("NFC", storable(text)).split())


def storable(text: str) -> str:
    return UNSTORABLE.sub("", text)


def crop(text: str, limit: int, ellipsis: str = "") -> str:
    """At most *limit* characters, the ellipsis included, never cut between a letter and what it carries."""
    if len(text) <= limit:
        return text
    end = limit - len(ellipsis)
    while end > 0 and joins(text[end - 1], text[end]):
        end -= 1
    return text[:end].rstrip() + ellipsis


def joins(before: str, after: str) -> bool:
    """Whether two characters are parts of one sign: accents, variation selectors, skin tones, joined emoji."""
    return (
        ZERO_WIDTH_JOINER in {before, after}
        or unicodedata.category(after) in {"Mn", "Mc", "Me"}
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )
