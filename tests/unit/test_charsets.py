"""The charset of short texts: declared, declared wrongly, or not declared."""

from __future__ import annotations

import codecs

import pytest
import webencodings.labels
from hypothesis import given
from hypothesis import strategies as st

from moderate.text.charsets import ALIASES, charset_of, codec_named, decode, page_text

JAPANESE = [
    "日本語のテスト",
    "フェリーについて",
    "今日は、ブログを書きました。",
    "ラーメン日記 vol.12 (Tokyo)",
    "株式会社",
    "東京都",
    "表示ソフト",  # The second bytes of these are a backslash and a bar in Shift_JIS.
    "カタカナとﾊﾝｶｸの混在",
    "Movable Type の設定",
]

LATIN = [
    "Größe",
    "«été»",
    "été",
    "très bien",
    "Über die Fähre nach Helsingør",
    "répétées",
    "It’s “quoted” – and more…",
    "L’été à la plage, c’était très agréable",
    "çà et là",
    "naïve café",
    "Smörgåsbord på svenska",
    "señor niño",
    "déjà vu",
    "Ærø",
    "öäü",
    "ÄÖÜß",
    "100 € für alle",
    "It’s fine",
    "‚Übergrößen",
    "‚ÜBER ÄÖÜ",
    "à",
]


@pytest.mark.parametrize("codec", ["euc_jp", "cp932", "iso2022_jp"])
@pytest.mark.parametrize("text", JAPANESE)
def test_undeclared_japanese_is_detected(text: str, codec: str) -> None:
    if codec == "iso2022_jp" and "ﾊ" in text:
        codec = "iso2022_jp_ext"
    assert decode({"title": text.encode(codec)}, ()) == {"title": text}


@pytest.mark.parametrize("text", LATIN)
def test_latin_text_is_never_read_as_japanese(text: str) -> None:
    assert decode({"title": text.encode("cp1252")}, ()) == {"title": text}


@pytest.mark.parametrize("text", [*JAPANESE, *LATIN, "Привет, мир", "한국어", "plain", "😀 emoji"])
@pytest.mark.parametrize("label", ["", "utf-8", "iso-8859-1", "EUC-JP", "Shift_JIS", "windows-1251"])
def test_valid_utf_8_overrides_any_label(text: str, label: str) -> None:
    assert decode({"title": text.encode()}, (label,)) == {"title": text}


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("EUC-JP", "euc_jp", "日本語"),
        ('"euc-jp"', "euc_jp", "日本語"),
        ("x-sjis", "cp932", "日本語"),
        ("Shift_JIS", "cp932", "①②髙"),
        ("windows-31j", "cp932", "ﾊﾝｶｸ"),
        ("ISO-2022-JP", "iso2022_jp", "日本語"),
        ("iso_8859_1", "cp1252", "Größe"),
        ("ISO-8859-2", "iso8859_2", "Žluťoučký kůň"),
        ("windows-1251", "cp1251", "Привет"),
        ("koi8-r", "koi8_r", "Привет"),
        ("gb2312", "gb18030", "中文"),
        ("Big5", "cp950", "中文"),
        ("euc-kr", "cp949", "한국어"),
    ],
)
def test_a_declared_charset_is_used(label: str, codec: str, text: str) -> None:
    assert decode({"title": text.encode(codec)}, (label,)) == {"title": text}


@pytest.mark.parametrize("label", ["UTF-8", "us-ascii-nonsense", "EUC-JP", "gb18030;x", "x" * 5000, "UTF-8," * 2000])
def test_wrong_and_meaningless_labels_are_ignored(label: str) -> None:
    assert decode({"title": "今日は、ブログを書きました。".encode("cp932")}, (label, "")) == {
        "title": "今日は、ブログを書きました。"
    }


@pytest.mark.parametrize(
    "label", ["utf-7", "UTF-16", "utf-16le", "utf-32", "unicode_escape", "zlib", "idna", "rot13", "hz"]
)
def test_charsets_that_hide_markup_are_not_available(label: str) -> None:
    assert charset_of(b"+ADw-script+AD4-", (label,)) == "utf-8"
    assert charset_of(b"\xe9t\xe9", (label,)) == "cp1252"


def test_an_over_long_label_is_not_looked_up() -> None:
    assert codec_named("shift_jis" + " " * 23) == "cp932"
    assert codec_named("shift_jis" + " " * 24) is None


def test_the_first_label_has_priority_over_the_second() -> None:
    assert charset_of("日本".encode("cp932"), ("shift_jis", "iso-8859-1")) == "cp932"


def test_all_texts_of_a_ping_are_decoded_with_the_same_charset() -> None:
    texts = {"title": "表".encode("cp932"), "excerpt": "これは表です".encode("cp932")}
    assert decode(texts, ()) == {"title": "表", "excerpt": "これは表です"}


def test_utf_8_truncated_within_a_character_is_read_as_utf_8() -> None:
    cut = "これは長い文章です".encode()[:-1]
    assert decode({"excerpt": cut}, ()) == {"excerpt": "これは長い文章で\ufffd"}


def test_bytes_that_fit_no_charset_are_decoded_with_replacements() -> None:
    assert decode({"title": b"\x81\x8d\x8f \xff"}, ()) == {"title": "\ufffd\ufffd\ufffd ÿ"}


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_any_bytes_with_any_label_are_decoded(value: bytes, one: str, other: str) -> None:
    text = decode({"title": value}, (one, other))["title"]
    assert text.encode().decode() == text


# --- one table for pings and pages ----------------------------------------------------------------

#: What each label meant before there was one table: to pings, and to pages.
PINGS_BEFORE = {
    "utf-8": "utf-8 utf8",
    "cp1252": "us-ascii ascii iso-8859-1 latin1 windows-1252 cp1252",
    "euc_jp": "euc-jp eucjp eucjp-win x-euc-jp",
    "cp932": "shift-jis shiftjis sjis sjis-win x-sjis ms932 cp932 windows-31j",
    "iso2022_jp_ext": "iso-2022-jp jis",
    "cp949": "euc-kr",
    "cp950": "big5",
    "gb18030": "gb2312 gbk gb18030",
    "koi8_r": "koi8-r",
    **{f"iso8859_{n}": f"iso-8859-{n}" for n in range(2, 16) if n != 12},
    **{f"cp125{n}": f"windows-125{n} cp125{n}" for n in (0, 1, 3, 4, 5, 6, 7, 8)},
}
PAGES_BEFORE = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8",
    "cp1252": "windows-1252 cp1252 iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 l1 us-ascii ascii x-cp1252",
    "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji csshiftjis ms932",
    "euc_jp": "euc-jp x-euc-jp eucjp cseucpkdfmtjapanese",
    "iso2022_jp": "iso-2022-jp csiso2022jp",
    "gb18030": "gb18030 gbk gb2312 gb_2312-80 x-gbk chinese",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "cp949": "euc-kr ks_c_5601-1987 ksc5601 windows-949 korean",
    **{f"cp125{n}": f"windows-125{n} cp125{n}" for n in (0, 1, 3, 5, 6, 7, 8)},
    "cp1254": "windows-1254 cp1254 iso-8859-9 latin5",
    "cp874": "windows-874 tis-620 iso-8859-11",
    "koi8_r": "koi8-r koi8 koi",
    "koi8_u": "koi8-u koi8-ru",
    **{f"iso8859_{n}": f"iso-8859-{n}" for n in (3, 4, 5, 6, 7, 8, 10, 13, 14, 16)},
    "iso8859_2": "iso-8859-2 latin2",
    "iso8859_15": "iso-8859-15 latin9",
    "mac_roman": "macintosh x-mac-roman",
}
#: The labels that mean another codec now, and which. Each is wider than the one before, as in browsers.
WIDER = {
    "big5": "big5hkscs",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "iso-2022-jp": "iso2022_jp_ext",
    "csiso2022jp": "iso2022_jp_ext",
}
UTF_16 = {label for label, name in webencodings.labels.LABELS.items() if name.startswith("utf-16")}
NO_CHARSETS = {label for label, name in webencodings.labels.LABELS.items() if name in {"replacement", "x-user-defined"}}


def same(one: str | None, other: str) -> bool:
    return one is not None and codecs.lookup(one).name == codecs.lookup(other).name


@pytest.mark.parametrize("before", [PINGS_BEFORE, PAGES_BEFORE], ids=["pings", "pages"])
def test_every_earlier_label_has_the_same_or_a_wider_codec(before: dict[str, str]) -> None:
    for codec, labels in before.items():
        for label in labels.split():
            assert same(codec_named(label), WIDER.get(label, codec)), label


def test_every_label_of_the_encoding_standard_is_known() -> None:
    unknown = {label for label in [*webencodings.labels.LABELS, *ALIASES] if codec_named(label) is None}
    assert unknown == UTF_16 | NO_CHARSETS


@pytest.mark.parametrize("label", sorted({*webencodings.labels.LABELS, *ALIASES} - UTF_16 - NO_CHARSETS))
def test_a_ping_and_a_page_are_decoded_alike(label: str) -> None:
    codec = codec_named(label)
    assert codec is not None
    text = "".join(sign for sign in "日本語中文한국어ПриветŽluťÄéיםการاب" if fits_codec(sign, codec)) * 3
    sample = f"<p>{text}</p>".encode(codec)
    assert decode({"excerpt": sample}, (label,)) == {"excerpt": f"<p>{text}</p>"}
    assert page_text(sample, f"text/html; charset={label}") == f"<p>{text}</p>"
    assert page_text(f"<meta charset={label}>".encode() + sample, "text/html").endswith(f"<p>{text}</p>")


def fits_codec(sign: str, codec: str) -> bool:
    try:
        return len(sign.encode(codec)) > 0
    except UnicodeEncodeError:
        return False


@given(st.binary(max_size=200), st.sampled_from(sorted({*webencodings.labels.LABELS, *ALIASES} - UTF_16)))
def test_any_bytes_are_decoded_alike_in_pings_and_pages(sample: bytes, label: str) -> None:
    # A byte order mark, and what may name a charset, is for pages alone.
    if not sample.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"<" not in sample:
        assert page_text(sample, f"text/html; charset={label}") == decode({"x": sample}, (label,))["x"]


def test_a_page_without_a_label_may_be_read_as_iso_2022_jp() -> None:
    assert "日本語" in page_text("<title>日本語</title>".encode("iso2022_jp"), "text/html")


def test_utf_16_is_read_only_for_pages_with_a_header_naming_it() -> None:
    page = "<title>日本語</title>"
    assert page_text(page.encode("utf-16-le"), "text/html; charset=utf-16") == page
    assert page_text(page.encode("utf-16-be"), "text/html; charset=utf-16be") == page
    assert page_text(b"<title>Plain</title>", "text/html; charset=utf-16") == "<title>Plain</title>"
    assert page_text(page.encode(), "text/html; charset=utf-16") == page


def test_a_ping_with_one_broken_byte_is_decoded_by_its_label() -> None:
    assert decode({"excerpt": "中文博客".encode("gbk") + b"\xff"}, ("gbk",)) == {"excerpt": "中文博客\ufffd"}
