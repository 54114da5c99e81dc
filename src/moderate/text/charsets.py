"""The charset of texts from other sites, by its label and by the bytes, for TrackBacks and for fetched pages.

TrackBack 1.2 asks for the charset in the Content-Type, much software names it in a parameter ``charset``
instead, some names the wrong one, and a good part names none; servers declare a default for pages that were
written in something else. So a label counts only where it fits the bytes. The labels are those of the Encoding
Standard (§4.2), which `webencodings` maps to Python's codecs: as in browsers, a label means the wider code page
that is sent under it.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import TYPE_CHECKING

import webencodings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Longer labels are not looked up: a list of thousands of charsets was once an attack (CVE-2009-3622).
MAX_LABEL = 32

#: Labels that senders use and the Encoding Standard does not have.
ALIASES = {
    "eucjp": "euc-jp",
    "eucjp-win": "euc-jp",
    "shiftjis": "shift_jis",
    "sjis-win": "shift_jis",
    "cp932": "shift_jis",
    "jis": "iso-2022-jp",
    "latin-1": "windows-1252",
    "latin9": "iso-8859-15",
}
#: Wider codecs than `webencodings` has, and none for encodings that are no charsets of texts.
CODECS = {"gbk": "gb18030", "iso-2022-jp": "iso2022_jp_ext", "replacement": None, "x-user-defined": None}
UTF_16 = frozenset({"utf-16-le", "utf-16-be"})

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE | re.ASCII)
_IN_META = re.compile(rb"<meta[^>]{1,400}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_IN_XML = re.compile(rb"<\?xml[^>]{1,100}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
#: Within this many bytes a page has to name its charset (HTML Standard §4.2.5.4 says 1024; themes are wordier).
_PRESCAN = 4096

#: ISO-2022-JP switches its character sets with these; no other charset of the list has them.
ESCAPE_SEQUENCE = re.compile(rb"\x1b(?:\$[@B(]|\([BJI])")

#: EUC comes first: its bytes are readable as Shift_JIS too, as rows of half-width kana, and never the reverse.
JAPANESE = ("euc_jp", "cp932")

#: Ideographs side by side are a word; single ones between Latin letters are misread accents.
IDEOGRAPHS = re.compile(r"[\u3005\u4e00-\u9fff]+")


def decode(texts: Mapping[str, bytes], labels: Iterable[str]) -> dict[str, str]:
    """Return the texts of one sender as characters. *labels* are the sender's, the weightiest first. Never fails.

    All texts are decided on together: one sender has one charset, and three short texts show more than one.
    """
    codec = charset_of(b"\n".join(texts.values()), labels)
    return {name: value.decode(codec, "replace") for name, value in texts.items()}


def page_text(body: bytes, content_type: str) -> str:
    """Return the text of a page, by byte order mark, header field and meta element. Never fails.

    What cannot be decoded becomes U+FFFD.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    header = _IN_HEADER.search(content_type)
    named = _IN_META.search(body, 0, _PRESCAN) or _IN_XML.search(body, 0, _PRESCAN)
    labels = [header[1]] if header else []
    if header and (wide := _codec(header[1])) in UTF_16 and b"\0" in body and fits(body, wide):
        return body.decode(wide)
    if named:
        label = named[1].decode("ascii", "replace")
        # HTML Standard §13.2.3.2: a page in UTF-16 has no label that can be read byte by byte.
        labels.append("utf-8" if _codec(label) in UTF_16 else label)
    return body.decode(charset_of(body, labels), "replace")


def charset_of(sample: bytes, labels: Iterable[str]) -> str:
    """Return the name of the codec that *sample* was most likely written in."""
    if ESCAPE_SEQUENCE.search(sample) and fits(sample, "iso2022_jp_ext"):
        return "iso2022_jp_ext"
    # Bytes that are valid UTF-8 by accident are so rare that this outweighs any label.
    if fits(sample, "utf-8"):
        return "utf-8"
    named = [codec for label in labels if (codec := codec_named(label))]
    fitting = next((codec for codec in named if fits(sample, codec)), None)
    if fitting:
        return fitting
    if named[:1] == ["utf-8"] and nearly_utf8(sample):
        return "utf-8"
    # A page in Shift_JIS with one broken byte is still a page in Shift_JIS.
    return detected(sample) or next((codec for codec in named if codec != "utf-8"), "cp1252")


def codec_named(label: str) -> str | None:
    """Return the codec for a label, None for those that are unknown, unwanted or over-long.

    UTF-16 is unwanted, because it hides ``<`` from filters; so is UTF-7, which the Encoding Standard does not have.
    """
    codec = _codec(label)
    return None if codec in UTF_16 else codec


def _codec(label: str) -> str | None:
    if len(label) > MAX_LABEL:
        return None
    label = label.strip(" \t\"'").lower()
    plain = label.replace("_", "-")
    found = webencodings.lookup(ALIASES.get(plain, label)) or webencodings.lookup(plain)
    if found is None:
        return None
    codec: str = found.codec_info.name
    return CODECS.get(found.name, codec)


def fits(sample: bytes, codec: str) -> bool:
    try:
        sample.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def detected(sample: bytes) -> str | None:
    """Return the charset by the bytes alone, for what is not valid UTF-8; None where they show none."""
    for codec in JAPANESE:
        if fits(sample, codec) and looks_japanese(sample.decode(codec)):
            return codec
    return "utf-8" if nearly_utf8(sample) else None


def looks_japanese(text: str) -> bool:
    """Return whether a text read by a Japanese codec is Japanese, and not Latin text whose accents became signs."""
    if any(unicodedata.category(sign) == "Co" for sign in text):
        return False
    kana = sum("\u3041" <= sign <= "\u30fa" for sign in text)
    half_width = sum("\uff61" <= sign <= "\uff9f" for sign in text)
    words = IDEOGRAPHS.findall(text)
    ideographs = sum(map(len, words))
    if half_width > kana + ideographs:
        return False
    return kana > 0 or reads_as_words(words, ideographs)


def reads_as_words(words: list[str], ideographs: int) -> bool:
    """Return whether ideographs without any kana are words: side by side, and most of them common ones.

    Accented Latin letters turn into the rare signs of the second level of JIS X 0208.
    """
    in_words = sum(len(word) for word in words if len(word) > 1)
    # Common are those of the first level: rows 16 to 47, which are B0 to CF in EUC-JP.
    common = sum(s == "々" or 0xB0 <= s.encode("euc_jp", "replace")[0] <= 0xCF for word in words for s in word)
    return in_words * 2 > ideographs and common * 3 >= ideographs * 2


def nearly_utf8(sample: bytes) -> bool:
    """Return whether it is UTF-8 that was cut in the middle of a character, as careless software does."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(sign > "\x7f" for sign in text) - broken
    return whole >= 4 * broken
