"""Which charset short texts are read in: said, said wrongly, or unsaid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.text.charsets import charset_of, codec_named, decode

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
def test_undeclared_japanese_is_recognised(text: str, codec: str) -> None:
    if codec == "iso2022_jp" and "ﾊ" in text:
        codec = "iso2022_jp_ext"
    assert decode({"title": text.encode(codec)}, ()) == {"title": text}


@pytest.mark.parametrize("text", LATIN)
def test_latin_text_is_never_taken_for_japanese(text: str) -> None:
    assert decode({"title": text.encode("cp1252")}, ()) == {"title": text}


@pytest.mark.parametrize("text", [*JAPANESE, *LATIN, "Привет, мир", "한국어", "plain", "😀 emoji"])
@pytest.mark.parametrize("label", ["", "utf-8", "iso-8859-1", "EUC-JP", "Shift_JIS", "windows-1251"])
def test_valid_utf_8_wins_over_any_label(text: str, label: str) -> None:
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
def test_a_declared_charset_is_taken(label: str, codec: str, text: str) -> None:
    assert decode({"title": text.encode(codec)}, (label,)) == {"title": text}


@pytest.mark.parametrize("label", ["UTF-8", "us-ascii-nonsense", "EUC-JP", "gb18030;x", "x" * 5000, "UTF-8," * 2000])
def test_a_label_that_is_wrong_or_senseless_is_passed_over(label: str) -> None:
    assert decode({"title": "今日は、ブログを書きました。".encode("cp932")}, (label, "")) == {
        "title": "今日は、ブログを書きました。"
    }


@pytest.mark.parametrize(
    "label", ["utf-7", "UTF-16", "utf-16le", "utf-32", "unicode_escape", "zlib", "idna", "rot13", "hz"]
)
def test_charsets_that_hide_markup_are_not_to_be_had(label: str) -> None:
    assert charset_of(b"+ADw-script+AD4-", (label,)) == "utf-8"
    assert charset_of(b"\xe9t\xe9", (label,)) == "cp1252"


def test_an_over_long_label_is_not_looked_up() -> None:
    assert codec_named("shift_jis" + " " * 23) == "cp932"
    assert codec_named("shift_jis" + " " * 24) is None


def test_the_first_label_weighs_more_than_the_second() -> None:
    assert charset_of("日本".encode("cp932"), ("shift_jis", "iso-8859-1")) == "cp932"


def test_all_texts_of_a_ping_are_read_alike() -> None:
    texts = {"title": "表".encode("cp932"), "excerpt": "これは表です".encode("cp932")}
    assert decode(texts, ()) == {"title": "表", "excerpt": "これは表です"}


def test_utf_8_that_was_cut_in_a_character_stays_utf_8() -> None:
    cut = "これは長い文章です".encode()[:-1]
    assert decode({"excerpt": cut}, ()) == {"excerpt": "これは長い文章で\ufffd"}


def test_what_nothing_fits_is_read_somehow() -> None:
    assert decode({"title": b"\x81\x8d\x8f \xff"}, ()) == {"title": "\ufffd\ufffd\ufffd ÿ"}


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_any_bytes_under_any_label_become_characters(value: bytes, one: str, other: str) -> None:
    text = decode({"title": value}, (one, other))["title"]
    assert text.encode().decode() == text
