from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from moderate.text.characters import (
    MAX_MARKS,
    cropped,
    decoded,
    is_blank,
    is_printable,
    is_storable,
    printable,
    readable,
    single_line,
)

ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u0300\u0316\u200d\u200b\r\n\t e\U0001f3f4\U000e0067"
        ),
    )
)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\udfff"])
def test_nul_and_lone_surrogates_cannot_be_stored(text: str) -> None:
    assert not is_storable(text)


def test_all_other_characters_can_be_stored() -> None:
    assert is_storable("山田 \U0001f600 \ufffe \x01")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n\t",
        "\u200b",
        "\u200b\u200c\u200d\u2060\ufeff",
        "\u3164",
        "\u2800",
        "\xad",
        "\u034f",
        "\u180e",
        "\u3000",
        "\ufe0f",
        "\u115f\u1160",
        "\uffa0",
        "\x1f",
        "\u2063",
        "\U000e0041",
        "\xa0",
        "\ufffc",
        "\U0001d159",
        "\U0001d173",
        "\U0001bca0",
        "\u3164\u2800\u200b",
    ],
)
def test_invisible_text_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", ".", " 李", "\u200b!", "\U0001f600", "0", "ـ"])
def test_visible_text_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\x85b\u2028c\u2029d", "a\nb\nc\n\nd"),
        ("a\x01\x08\x0b\x0c\x1b[31mb\x7f", "a[31mb"),
        ("a\x80\x9bb", "ab"),
        ("a\tb", "a\tb"),
        ("\ufeffa\ufffe\U0001fffeb\ufdd0", "ab"),
        ("\ufff9a\ufffab\ufffb", "ab"),
        ("safe\u202egpj.exe\u202c", "safegpj.exe"),
        ("hi\U000e0073\U000e0065", "hi"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None),
        ("e\u0301", "é"),
        ("葛\U000e0100城", None),
        ("\U0001f469\u200d\U0001f467", None),
    ],
)
def test_disruptive_characters_are_dropped_and_those_that_scripts_need_are_kept(typed: str, kept: str | None) -> None:
    assert readable(typed) == (typed if kept is None else kept)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("\u202bעברית\u202c and back", "\u202bעברית\u202c and back"),
        ("\u2067\u2067abc", "\u2067\u2067abc\u2069\u2069"),
        ("\u202babc\nnext", "\u202babc\u202c\nnext"),
        ("a\u202cb\u2069c", "abc"),
        ("\u2066a\u2069b\u2069c", "\u2066a\u2069bc"),
        # A closed isolate closes what was opened within it (UAX #9, X6a); its own closer is then one of nothing.
        ("\u2066\u202ba\u2069b\u202c", "\u2066\u202ba\u2069b"),
    ],
)
def test_direction_marks_end_with_their_line(typed: str, kept: str) -> None:
    assert readable(typed) == kept


def test_combining_marks_on_one_letter_are_limited() -> None:
    zalgo = "".join("\u0300\u0316\u0321\u0332"[i % 4] for i in range(100))
    assert len(readable(f"Z{zalgo}!")) <= MAX_MARKS + 2


@pytest.mark.parametrize(
    "between",
    ["\u200d", "\u200c", "\u200e", "\xad", "\u200b", "\u2060", "\u061c", "\u0903", "\u034f", "\u1160", "\u3164"],
)
def test_invisible_characters_between_marks_do_not_start_a_new_letter(between: str) -> None:
    read = readable("a" + ("\u0301" * 6 + between) * 1000)
    assert sum(map(unicodedata.combining, read)) <= 230 * MAX_MARKS
    assert single_line(read).count("\u0301") <= MAX_MARKS


@pytest.mark.parametrize(
    "typed",
    [
        "\u1100" * 8000,
        "\u1161" * 8000,
        "\u11a8" * 8000,
        "\ua960" * 8000,
        "\u1100\u115f" * 4000,
        "\u1100\u200b" * 4000,
        "\U0001f468\u2060\u200d" * 2600,
        "\U0001f468\u200d" * 4000,
        "\U0001f468\U0001f3fd\u200d\u2764\ufe0f\u200d" * 1300,
        "\u0915\u094d" * 4000,
        "\u0995\u09cd\u200d" * 2600,
        "\u1780\u17d2" * 4000,
        "\U0001d165" * 8000,
        "\u0b95" + "\u0bbe" * 7999,
        "\u0b95" + "\u0bbe\u200d" * 3999,
        "\u0e19" + "\u0e33" * 7999,
        "\u0e19" + "\u0e33\u0e48" * 3999,
        "\uff76" + "\uff9e" * 7999,
        "\U0001f44d" + "\U0001f3fd" * 7999,
        "\u0600" * 8000,
        "\u0d4e" * 8000,
        "\u0f67" + "\u0f90" * 7999,
        "a" + "\u1acf" * 7999,
    ],
)
def test_no_letter_is_longer_than_a_line(typed: str) -> None:
    for read in (readable(typed), single_line(typed)):
        assert max(map(len, regex.findall(r"\X", read))) <= 64
        assert readable(read) == read


@pytest.mark.parametrize(
    "text",
    [
        "Nguyễn Thị Hương",
        "דָּוִד בְּרֵאשִׁ֖ית בָּרָ֣א",
        "क्षत्रिय कार्त्स्न्य हिन्दी",
        "ณัฐพล น้ำ ที่นี้",
        "བསྒྲུབས ཧྐྵྨླྺྲྻྃ",
        "தமிழ் கொள்கை ஸ்ரீ",
        "മലയാളം ക്ഷ്മ്യ",
        "ကြောင့် မြွှော့ ရွှေ့",
        "ប្រាំបួន ក្រ្កិត",
        "بِسْمِ ٱللَّهِ ٱلرَّحْمَـٰنِ ٱلرَّحِيمِ",
        "한국어 ㅋㅋㅋㅋㅋㅋㅋㅋ ᄒᆞᆫ글 나랏말ᄊᆞ미",
        "ｶﾞｷﾞｸﾞｹﾞｺﾞ",
        "👨‍👩‍👧‍👦 👩🏽‍❤️‍💋‍👨🏿 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇯🇵🇩🇪 🏳️‍🌈 👍🏽👍🏿👍🏻👍🏼👍🏾👍🏽👍🏽 1️⃣2️⃣3️⃣ ❤️‍🔥",
        "𝅘𝅥𝅮𝅘𝅥𝅯",
        "new: \U0001fae9 \U0001fadf \U0001f6d8 \U00010ec5",
    ],
)
def test_letters_that_scripts_need_are_kept(text: str) -> None:
    assert readable(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("char", ["a", "é", "\u3000", "\U0001f600", "\U0001fae9", "\u0378", "\u0301"])
def test_letters_newer_than_the_unicode_tables_of_python_are_printable(char: str) -> None:
    assert is_printable(char)


@pytest.mark.parametrize(
    "char", ["\0", "\x1b", "\x85", "\u202e", "\u200b", "\ud800", "\ue000", "\ufdd0", "\uffff", "\u2028"]
)
def test_terminal_control_characters_are_not_printable(char: str) -> None:
    assert not is_printable(char)
    assert printable(f"a{char}b") == "a b"


@given(ANY_TEXT)
def test_cleaning_twice_is_the_same_as_cleaning_once(text: str) -> None:
    once = readable(text)
    assert readable(once) == once
    assert is_storable(once)
    assert unicodedata.is_normalized("NFC", once)


@given(ANY_TEXT)
def test_a_single_line_stays_one_line_and_unchanged(text: str) -> None:
    line = single_line(text)
    assert single_line(line) == line
    assert len(line.splitlines()) <= 1


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_on_one_line_is_the_same_beside_other_characters(text: str) -> None:
    assert single_line(f"é {text} é") == f"é {single_line(text)} é".replace("  ", " ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("AT&amp;T &lt;b&gt; &#x41;&#66;", "AT&T <b> AB"),
        ("?a=1&region=jp&copy=2 &nonsense;", "?a=1&region=jp&copy=2 &nonsense;"),
        ("&#0;&#xD800;", "\ufffd\ufffd"),
        ("a&#8238;b&#x202a;c&#1;d", "abcd"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_character_references_are_decoded_only_once(typed: str, meant: str) -> None:
    assert decoded(typed) == meant


@pytest.mark.parametrize(
    ("text", "limit", "ending", "cut"),
    [
        ("short", 5, "...", "short"),
        ("a longer text", 8, "...", "a lon..."),
        ("a longer text", 5, "...", "a..."),
        ("aae\u0308\u0304b", 4, "", "aa"),
        ("ab\U0001f469\u200d\U0001f467", 4, "", "ab"),
        ("ab\U0001f44d\U0001f3fdc", 3, "", "ab"),
    ],
)
def test_truncation_never_splits_a_grapheme(text: str, limit: int, ending: str, cut: str) -> None:
    assert cropped(text, limit, ending) == cut
