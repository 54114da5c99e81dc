"""From the bytes of a page to its text: byte order mark, header, meta, and the bytes where these are wrong."""

from __future__ import annotations

import codecs
import re

from moderate.text.charsets import detected, fits, nearly_utf8

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE | re.ASCII)
_IN_META = re.compile(rb"<meta[^>]{1,400}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_IN_XML = re.compile(rb"<\?xml[^>]{1,100}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
#: Within this many bytes a page has to name its charset (HTML Standard §4.2.5.4 says 1024; themes are wordier).
_PRESCAN = 4096

#: Labels of the Encoding Standard §4.2 that pages of the last twenty years carry, by Python's codec.
#: It is a list of what is taken: Python's own table also knows codecs that are no charsets.
_CODECS = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8",
    "cp1252": "windows-1252 cp1252 iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 l1 us-ascii ascii x-cp1252",
    "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji csshiftjis ms932",
    "euc_jp": "euc-jp x-euc-jp eucjp cseucpkdfmtjapanese",
    "iso2022_jp": "iso-2022-jp csiso2022jp",
    "gb18030": "gb18030 gbk gb2312 gb_2312-80 x-gbk chinese",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "cp949": "euc-kr ks_c_5601-1987 ksc5601 windows-949 korean",
    "cp1250": "windows-1250 cp1250",
    "cp1251": "windows-1251 cp1251",
    "cp1253": "windows-1253 cp1253",
    "cp1254": "windows-1254 cp1254 iso-8859-9 latin5",
    "cp1255": "windows-1255 cp1255",
    "cp1256": "windows-1256 cp1256",
    "cp1257": "windows-1257 cp1257",
    "cp1258": "windows-1258 cp1258",
    "cp874": "windows-874 tis-620 iso-8859-11",
    "koi8_r": "koi8-r koi8 koi",
    "koi8_u": "koi8-u koi8-ru",
    "iso8859_2": "iso-8859-2 latin2",
    "iso8859_3": "iso-8859-3",
    "iso8859_4": "iso-8859-4",
    "iso8859_5": "iso-8859-5",
    "iso8859_6": "iso-8859-6",
    "iso8859_7": "iso-8859-7",
    "iso8859_8": "iso-8859-8",
    "iso8859_10": "iso-8859-10",
    "iso8859_13": "iso-8859-13",
    "iso8859_14": "iso-8859-14",
    "iso8859_15": "iso-8859-15 latin9",
    "iso8859_16": "iso-8859-16",
    "mac_roman": "macintosh x-mac-roman",
    "utf-16-le": "utf-16 utf-16le",
    "utf-16-be": "utf-16be",
}
_BY_LABEL = {label: codec for codec, labels in _CODECS.items() for label in labels.split()}


def page_text(body: bytes, content_type: str) -> str:
    """Return the text of a page. Never fails: what cannot be decoded becomes U+FFFD.

    Browsers believe the header and then the page. Here the first of them counts that fits the bytes, and none
    where these are UTF-8: servers declare a default for pages that were written in something else.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    named = [codec for codec in (_from_header(content_type), _from_page(body[:_PRESCAN])) if codec]
    if not body.isascii() and fits(body, "utf-8"):
        return body.decode("utf-8")
    fitting = next((codec for codec in named if fits(body, codec)), None)
    if fitting is None and named[:1] not in ([], ["utf-8"]):
        # A page in Shift_JIS with one broken byte is still a page in Shift_JIS.
        fitting = named[0]
    if fitting is None:
        fitting = "utf-8" if named and nearly_utf8(body) else detected(body)
    return body.decode(fitting, "replace")


def _from_header(content_type: str) -> str | None:
    named = _IN_HEADER.search(content_type)
    return _BY_LABEL.get(named[1].lower()) if named else None


def _from_page(start: bytes) -> str | None:
    named = _IN_META.search(start) or _IN_XML.search(start)
    codec = _BY_LABEL.get(named[1].decode("ascii", "replace").lower()) if named else None
    # HTML Standard §13.2.3.2: who could read this label byte by byte does not have UTF-16.
    return "utf-8" if codec in {"utf-16-le", "utf-16-be"} else codec
