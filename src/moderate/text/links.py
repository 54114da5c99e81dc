"""Web addresses in running text, found in linear time and between scripts that do not write spaces."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from moderate.web_address import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

# An address ends at a blank, at what no address holds unescaped, before the `](` of Markdown, and at CJK punctuation,
# because Chinese and Japanese go on without a space. The look-behind knows ASCII only, for the same reason.
# The middle dot of Japanese is part of the address within a name: `サクラ・ダ・カポ`, `ジョン・F・ケネディ`.
# An address longer than `parse` takes is matched as a whole, and so never linked in part.
_KATAKANA = "[\u30a1-\u30fa\u30fc-\u30fe]"
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9_@./:-])(?i:https?://|www\.(?=[^\s./]+\.[^\s./]))"
    r"(?:[^\s<>\"`{}|\\^\]\x00-\x20\u2018-\u201f\u2026\u2028-\u202f\u2066-\u2069"
    r"\u3000-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3d\uff5b-\uff65]++|\](?!\()"
    rf"|(?:(?<={_KATAKANA})|(?<=[/\u30fb][A-Z]))\u30fb(?={_KATAKANA}|[A-Z]\u30fb{_KATAKANA}))++"
)
# A host name without a scheme: a last label of letters, and none that is the ending of a file.
_HOST = re.compile(
    r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?P<last>[^\W\d_]{2,63}|xn--[a-z0-9-]+)(?::[0-9]{1,5})?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_FILE_ENDINGS = frozenset(
    "asp aspx avi bat bmp cfg cgi conf css csv doc docx exe gif gz htm html ico ini jpeg jpg js json jsp log md"  # noqa: SIM905
    " mov mp odt pdf php pl png ppt pptx ps py rb rs rst rtf sh shtml sql svg tar tex toml ts txt wav webp xhtml xls"
    " xlsx xml yaml yml zip".split()
)
# Punctuation after an address belongs to the sentence.
_SENTENCE = frozenset(".,:;!?'*~")
_CLOSERS = {")": "(", "]": "["}


def address_spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and target of each web address in a text, without the punctuation that follows it.

    An address begins with ``http://``, ``https://`` or ``www.``; its target is what `target_of` returns.
    """
    if "://" not in text and not _has_www(text):
        return
    for match in _ADDRESS.finditer(text):
        address = _trimmed(match[0])
        if target := target_of(address):
            yield match.start(), match.start() + len(address), target


def address_at(text: str, start: int, limit: int) -> int | None:
    """Return where the web address that begins at *start* ends, at *limit* at most; None where none begins there."""
    match = _ADDRESS.match(text, start, limit)
    address = _trimmed(match[0]) if match else ""
    return start + len(address) if target_of(address) else None


def target_of(typed: str) -> str | None:
    """Return the absolute http or https address that a typed one means; None where it means none.

    A host name without a scheme (``www.example.org/page``) gets ``https://``. What could be the name of a file
    (``page.html``), a path or another scheme is no address.
    """
    if parse(typed):
        return typed
    host = _HOST.fullmatch(typed)
    if host is None or (host["last"].lower() in _FILE_ENDINGS and typed[:4].lower() != "www."):
        return None
    address = f"https://{typed}"
    return address if parse(address) else None


def linked(text: str, rel: str) -> str:
    """Return the text escaped for HTML, with its web addresses as links."""
    parts: list[str] = []
    done = 0
    for start, end, target in address_spans(text):
        link = f'<a href="{escape(target)}" rel="{rel}">{escape(text[start:end])}</a>'
        parts += escape(text[done:start], quote=False), link
        done = end
    parts.append(escape(text[done:], quote=False))
    return "".join(parts)


def _has_www(text: str) -> bool:
    return "www." in text or "WWW." in text or "Www." in text


def _trimmed(address: str) -> str:
    surplus = {closer: address.count(closer) - address.count(opener) for closer, opener in _CLOSERS.items()}
    end = len(address)
    while end and (address[end - 1] in _SENTENCE or surplus.get(address[end - 1], 0) > 0):
        if address[end - 1] in surplus:
            surplus[address[end - 1]] -= 1
        end -= 1
    return address[:end]
