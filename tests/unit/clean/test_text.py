from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate.text import clean as fields
from tests.timing import quickly


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Mika\n\tSato ", "Mika Sato"),
        ("admin\u200b", "admin"),
        ("ad\xadmin", "admin"),
        ("admin\xa0", "admin"),
        ("\u3000山田\u3000太郎", "山田 太郎"),
        ("Jean\xa0Paul", "Jean Paul"),
        ("safe\u202egpj.exe\u202c", "safegpj.exe"),
        ("\u2067\u202aabc", "abc"),
        ("e\u0301", "é"),
        ("\u212b", "Å"),
        ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
        ("O'Brien <b>", "O'Brien <b>"),
        ("0", "0"),
        ("\u3164", ""),
        ("\u200b\u2060", ""),
        ("a\x01\x1b[31m", "a[31m"),
    ],
)
def test_a_name_is_one_line_without_deceptive_characters(typed: str, kept: str) -> None:
    assert fields.one_line(typed, fields.MAX_AUTHOR) == kept


@pytest.mark.parametrize("typed", ["a\0b", "\ud800abc", "n" * 101, "n" * 100_000])
def test_names_that_cannot_be_stored_are_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"characters"):
        fields.one_line(typed, fields.MAX_AUTHOR)


def test_a_name_of_a_hundred_characters_is_accepted() -> None:
    assert fields.one_line("名" * 100, fields.MAX_AUTHOR) == "名" * 100


def test_an_e_mail_address_is_optional_and_its_host_is_in_lower_case() -> None:
    assert fields.email("  ") is None
    assert fields.email(" Mika@Mail.Example ") == "Mika@mail.example"


@pytest.mark.parametrize(
    "typed", ["a@b.example\0", "a@b.example\nBcc: x@y.example", "nobody", "a" * 300 + "@b.example"]
)
def test_invalid_e_mail_addresses_are_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        fields.email(typed)


def test_a_web_address_is_optional_and_kept_as_typed() -> None:
    assert fields.web_address(" \n") is None
    assert fields.web_address(" https://Blog.example/A?b#c\n") == "https://Blog.example/A?b#c"


@pytest.mark.parametrize(
    "typed", ["javascript:alert(1)", "blog.example", "https://a.example/\0", "https://a.example/\ud800"]
)
def test_invalid_web_addresses_are_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        fields.web_address(typed)


def test_a_web_address_may_have_a_limit_of_its_own() -> None:
    with pytest.raises(ValueError, match="at most 500"):
        fields.web_address("https://a.example/" + "a" * 500, 500)


@pytest.mark.parametrize("typed", ["", " \n", "\u200b\ufeff", "\u2800\u3164", "\x01\x02"])
def test_a_text_without_visible_characters_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="Write something"):
        fields.body_text(typed)


def test_an_over_long_text_is_refused_and_never_truncated() -> None:
    assert fields.body_text("a" * 20, 20) == "a" * 20
    with pytest.raises(ValueError, match="at most 20 characters; this has 21"):
        fields.body_text("a" * 21, 20)


@pytest.mark.parametrize("typed", ["a\0b", "\ud800abc"])
def test_a_text_that_cannot_be_stored_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="cannot be stored"):
        fields.body_text(typed)


def test_a_text_keeps_its_lines_and_indents() -> None:
    assert fields.body_text("\ufeffa\r\n  b\x01\rc") == "a\n  b\nc"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("A &amp; B", "A & B"),
        ("<b>Bold</b> &lt;tag&gt;", "Bold <tag>"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("a\0b\n\nc", "ab c"),
        ("x" * 300, "x" * 250),
        ("<!-- c -->\u200b", ""),
    ],
)
def test_titles_of_other_sites_become_plain_text_and_are_truncated(sent: str, kept: str) -> None:
    assert fields.cropped_line(sent, fields.MAX_TITLE) == kept


def test_names_of_other_sites_are_truncated_to_a_hundred_characters() -> None:
    assert fields.cropped_line("b" * 101, fields.MAX_BLOG_NAME) == "b" * 100


def test_an_excerpt_over_255_characters_is_truncated_with_dots() -> None:
    assert fields.cropped_line("x" * 255, fields.MAX_EXCERPT, "...") == "x" * 255
    assert fields.cropped_line("x" * 256, fields.MAX_EXCERPT, "...") == "x" * 252 + "..."


@pytest.mark.parametrize(
    "other", ["buy  PILLS\nnow!", "Ｂｕｙ pills now！", "b\u200buy pi\xadlls\u3000now!", " Buy pills now! "]
)
def test_different_spellings_of_a_text_have_the_same_key(other: str) -> None:
    assert fields.text_key(other) == fields.text_key("Buy pills now!")


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_has_the_key_of_its_full_width_form(text: str) -> None:
    wide = text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
    assert fields.text_key(wide) == fields.text_key(text)


@pytest.mark.parametrize("other", ["Buy pills now", "Buy pill snow!", ""])
def test_different_texts_have_different_keys(other: str) -> None:
    assert fields.text_key(other) != fields.text_key("Buy pills now!")


def test_a_text_without_visible_characters_has_no_key() -> None:
    assert fields.text_key(" \u200b\u2800") == ""


@pytest.mark.parametrize(
    "unit", ["\ufdfa", "\u0390", "\u0316\u0300", "\u202a", "\u2069", " ", "<a", "&amp;", "\u200b", "("]
)
def test_a_text_of_ten_times_the_maximum_length_is_processed_quickly(unit: str) -> None:
    text = (unit * 80_000)[:80_000]
    with quickly():
        fields.text_key(text)
        fields.cropped_line(text, fields.MAX_EXCERPT, "...")
        fields.cropped_line(text, fields.MAX_TITLE)
        fields.one_line(text, 80_000)
