"""The charset of a TrackBack, by what was declared and by its bytes; `detected` serves fetched pages too.

TrackBack 1.2 asks for it in the Content-Type, much software says it in a parameter ``charset``
instead, some says it wrongly, and a good part says nothing. So what was declared is tried, and
where it does not fit the bytes are looked at. All texts of a ping are decided on together: one
sender has one charset, and three short texts tell more than one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Longer labels are not looked up: a list of thousands of charsets was once an attack (CVE-2009-3622).
MAX_LABEL = 32

#: What senders may declare, and the codec that reads it. UTF-7 and UTF-16 are left out on purpose:
#: they hide ``<`` from filters. As in browsers, labels mean the wider code page that is sent in fact.
CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "euc-jp": "euc_jp",
    "eucjp": "euc_jp",
    "eucjp-win": "euc_jp",
    "x-euc-jp": "euc_jp",
    "shift-jis": "cp932",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "sjis-win": "cp932",
    "x-sjis": "cp932",
    "ms932": "cp932",
    "cp932": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "jis": "iso2022_jp_ext",
    "euc-kr": "cp949",
    "big5": "cp950",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "koi8-r": "koi8_r",
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in range(2, 16) if n != 12},
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
    **{f"cp125{n}": f"cp125{n}" for n in range(9)},
}

#: ISO-2022-JP switches its character sets with these; no other charset of the list has them.
ESCAPE_SEQUENCE = re.compile(rb"\x1b(?:\$[@B(]|\([BJI])")

#: EUC comes first: its bytes are readable as Shift_JIS too, as rows of half-width kana, and never the reverse.
JAPANESE = ("euc_jp", "cp932")

#: Ideographs side by side are a word; single ones between Latin letters are misread accents.
IDEOGRAPHS = re.compile(r"[\u3005\u4e00-\u9fff]+")


def decode(texts: Mapping[str, bytes], declared: Iterable[str]) -> dict[str, str]:
    """The texts as characters. *declared* are the sender's labels, the weightiest first; it never fails."""
    codec = charset_of(b"\n".join(texts.values()), declared)
    return {name: value.decode(codec, "replace") for name, value in texts.items()}


def charset_of(sample: bytes, declared: Iterable[str]) -> str:
    """The name of the codec that *sample* was most likely written in."""
    if ESCAPE_SEQUENCE.search(sample) and fits(sample, "iso2022_jp_ext"):
        return "iso2022_jp_ext"
    # Bytes that are valid UTF-8 by accident are so rare that this outweighs any label.
    if fits(sample, "utf-8"):
        return "utf-8"
    for label in declared:
        codec = codec_named(label)
        if codec and fits(sample, codec):
            return codec
    return detected(sample)


def codec_named(label: str) -> str | None:
    """The codec for a label, None for those that are unknown, unwanted or over-long."""
    if len(label) > MAX_LABEL:
        return None
    return CODECS.get(label.strip(" \t\"'").lower().replace("_", "-"))


def fits(sample: bytes, codec: str) -> bool:
    try:
        sample.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def detected(sample: bytes) -> str:
    """The charset by the bytes alone, for what is not UTF-8."""
    for codec in JAPANESE:
        if fits(sample, codec) and looks_japanese(sample.decode(codec)):
            return codec
    if nearly_utf8(sample):
        return "utf-8"
    return "cp1252"


def looks_japanese(text: str) -> bool:
    """Whether a text read by a Japanese codec is Japanese, and not Latin text whose accents became signs."""
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
    """Whether ideographs without any kana are words: side by side, and most of them common ones.

    Accented Latin letters turn into the rare signs of the second level of JIS X 0208.
    """
    in_words = sum(len(word) for word in words if len(word) > 1)
    common = sum(is_common(sign) for word in words for sign in word)
    return in_words * 2 > ideographs and common * 3 >= ideographs * 2


def is_common(sign: str) -> bool:
    """Whether an ideograph is of the first level of JIS X 0208: rows 16 to 47, which are B0 to CF in EUC-JP."""
    return sign == "々" or 0xB0 <= sign.encode("euc_jp", "replace")[0] <= 0xCF


def nearly_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8 that was cut in the middle of a character, as careless software does."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(sign > "\x7f" for sign in text) - broken
    return whole >= 4 * broken
