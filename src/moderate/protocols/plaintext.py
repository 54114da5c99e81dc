"""Plain text for answers: what XML can hold, and what is left of markup without its tags."""

from __future__ import annotations

import re
from html import unescape

TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>|<!--[^<>]*-->")

#: What XML cannot hold, however it is escaped: controls, lone surrogates and noncharacters.
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def plain(html: str) -> str:
    """The text of markup of our own on one line. It may hold ``<`` again: whoever shows it escapes it."""
    return " ".join(unescape(TAG.sub(" ", html)).split())


def storable(text: str) -> str:
    """The text without the characters that neither XML nor HTML can hold."""
    return NOT_IN_XML.sub("", text)
