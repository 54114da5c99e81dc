"""Finding web addresses in running text, in linear time and between scripts that do not write spaces."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from moderate.clean.addresses import is_web_address

if TYPE_CHECKING:
    from collections.abc import Iterator

# Its greatest length is that of `is_web_address`, so that a longer one is refused and never linked in part.
# An address ends at a blank, at what no address holds unescaped, and at CJK punctuation, because Chinese
# and Japanese go on without a space. The look-behind knows ASCII only, for the same reason.
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9_@./:-])https?://[^\s<>\"`{}|\\^\x00-\x20\u2018-\u201f\u2026\u2028-\u202f\u2066-\u2069"
    r"\u3000-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3d\uff5b-\uff65]{1,2048}",
    re.IGNORECASE,
)
# Punctuation after an address belongs to the sentence.
_SENTENCE = frozenset(".,:;!?'*~")
_CLOSERS = {")": "(", "]": "["}


def address_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in the text web addresses stand: start and end of each, without the punctuation that follows it."""
    if "://" not in text:
        return
    for match in _ADDRESS.finditer(text):
        address = _trimmed(match[0])
        if is_web_address(address):
            yield match.start(), match.start() + len(address)


def address_at(text: str, start: int) -> int | None:
    """Where the web address that begins exactly there ends; None where none does."""
    match = _ADDRESS.match(text, start)
    address = _trimmed(match[0]) if match else ""
    return start + len(address) if is_web_address(address) else None


def linked(text: str, rel: str) -> str:
    """The text escaped for HTML, with its web addresses as links."""
    parts: list[str] = []
    done = 0
    for start, end in address_spans(text):
        address = escape(text[start:end])
        parts += escape(text[done:start], quote=False), f'<a href="{address}" rel="{rel}">{address}</a>'
        done = end
    parts.append(escape(text[done:], quote=False))
    return "".join(parts)


def _trimmed(address: str) -> str:
    surplus = {closer: address.count(closer) - address.count(opener) for closer, opener in _CLOSERS.items()}
    end = len(address)
    while end and (address[end - 1] in _SENTENCE or surplus.get(address[end - 1], 0) > 0):
        if address[end - 1] in surplus:
            surplus[address[end - 1]] -= 1
        end -= 1
    return address[:end]
