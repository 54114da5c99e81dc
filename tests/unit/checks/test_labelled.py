"""Labelled texts from files as people export them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moderate.learned import labelled
from moderate.learned.labelled import Format, Labelled, Mistake, NoSuchColumn, read

if TYPE_CHECKING:
    from pathlib import Path


def rows_of(folder: Path, content: str | bytes, **form: object) -> list[Labelled | Mistake]:
    path = folder / "texts"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read(path, Format(**form)))  # type: ignore[arg-type]


def labels(rows: list[Labelled | Mistake]) -> list[tuple[str, bool | None]]:
    assert not [row for row in rows if isinstance(row, Mistake)]
    return [(row.text, row.is_spam) for row in rows if isinstance(row, Labelled)]


def mistakes(rows: list[Labelled | Mistake]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, Mistake)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_is_read_in_the_forms_of_spreadsheets(tmp_path: Path, mark: str, delimiter: str, end: str) -> None:
    cells = [
        ["is_spam", "author", "text"],
        ["1", '"A ""B"""', f'"Two{end}lines{delimiter} quoted"'],
        ["0", "", "烏龍茶"],
    ]
    rows = rows_of(tmp_path, mark + end.join(delimiter.join(row) for row in cells) + end)
    assert labels(rows) == [(f"Two{end}lines{delimiter} quoted", True), ("烏龍茶", False)]
    assert isinstance(rows[0], Labelled)
    assert (rows[0].author, rows[0].line) == ('A "B"', 2)
    assert rows[1].line == 4


def test_json_lines_are_read_with_the_columns_of_each_row(tmp_path: Path) -> None:
    content = (
        '\n{"text": "a", "is_spam": true, "t": 5}\n\n{"is_spam": false, "text": "b", "url": null}\n'
        '{"body": "c", "label": 0, "url": "https://c.example/"}\n'
    )
    rows = rows_of(tmp_path, content)
    assert labels(rows) == [("a", True), ("b", False), ("c", False)]
    assert isinstance(rows[0], Labelled)
    assert rows[0].row["t"] == "5"
    assert [row.line for row in rows] == [2, 4, 5]
    assert [row.url for row in rows if isinstance(row, Labelled)] == ["", "", "https://c.example/"]


def test_csv_is_read_with_blank_lines_short_rows_and_names_without_a_column(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "label, text,url,,\nham,a\n\nspam,b,https://b.example/,,\n")
    assert labels(rows) == [("a", False), ("b", True)]
    assert [row.url for row in rows if isinstance(row, Labelled)] == ["", "https://b.example/"]


def test_of_several_columns_for_a_field_the_usual_one_is_read(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "status,message,text,is_spam\napproved,about it,cheap,1\n")
    assert labels(rows) == [("cheap", True)]


def test_a_row_keeps_its_number_in_later_versions_and_only_under_its_key(tmp_path: Path) -> None:
    content = "text,label,author,url,email,title\na,{},b,https://c.example/,d@e.example,f\n"
    numbers = [
        row.number(key)
        for label, key in (("spam", b"key"), ("ham", b"key"), ("spam", b"other"))
        for row in rows_of(tmp_path, content.format(label))
        if isinstance(row, Labelled)
    ]
    assert numbers == [-7_155_511_047_480_181_478, -7_155_511_047_480_181_478, -1_819_073_187_440_792_426]


def test_columns_and_labels_of_any_name_are_named(tmp_path: Path) -> None:
    content = "body,comment_approved,mail\nbuy,SPAM,a@b.example\nnice,1,\nwaits,0,\n"
    form = {
        "columns": {"label": "comment_approved", "email": "mail"},
        "spam": frozenset({"spam"}),
        "good": frozenset({"1"}),
    }
    rows = rows_of(tmp_path, content, **form)
    assert labels(rows) == [("buy", True), ("nice", False), ("waits", None)]
    assert isinstance(rows[0], Labelled)
    assert rows[0].email == "a@b.example"


@pytest.mark.parametrize(("named", "wanted"), [("spam", [True, None]), ("good", [None, False])])
def test_where_labels_of_one_kind_are_named_all_others_are_left_out(
    tmp_path: Path, named: str, wanted: list[bool | None]
) -> None:
    labels_of = {"spam": {"spam": labelled.labels(["Bad  One"])}, "good": {"good": labelled.labels(["ham"])}}
    rows = rows_of(tmp_path, "text,label\nbuy, bad one\nnice,HAM\n", **labels_of[named])
    assert [is_spam for _, is_spam in labels(rows)] == wanted


def test_a_label_that_is_not_known_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "text,label\nnice,ham\nodd,perhaps\n,spam\n")
    ((first, unknown), (second, empty)) = mistakes(rows)
    assert (first, second) == (3, 4)
    assert "'perhaps'" in unknown
    assert "spam" in unknown
    assert empty == "the column 'text' is empty"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ('{"text": "a", "is_spam": 1}\n[1]\n', 2, "this is no JSON object on one line"),
        ('{"text": "a", "is_spam": 1}\n{"text": "b",\n', 2, "this is no JSON object on one line"),
        ('{"text": "a", "is_spam": 1}\n' + "[" * 100_000 + "\n", 2, "this is no JSON object on one line"),
        ('text,label\na,spam\n"b" c,spam\n', 3, "this is no row of CSV"),
        ('text,label\na,spam\n"b,spam\n', 3, "this is no row of CSV"),
        ("text,label\na,spam\nb,spam,more\n", 3, "it has 3 cells, and the first line 2"),
        (b"text,label\na,spam\n" + b"caf\xe9,ham\n", 3, "these bytes are not utf-8"),
        (b"text,label,author\na,spam,\n" + b"b,ham,Ren\xe9\n", 3, "these bytes are not utf-8"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, content: str | bytes, line: int, reason: str
) -> None:
    rows = rows_of(tmp_path, content)
    ((number, words),) = mistakes(rows)
    assert number == line
    assert words.startswith(reason)
    assert isinstance(rows[0], Labelled)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text,label,label\na,ham,spam\n", "two columns have the name 'label'"),
        ('[{"text": "a", "label": "spam"}]\n', "this is no JSON object on one line"),
        ('[\n{"text": "a", "label": "spam"}\n', "this is no JSON object on one line"),
    ],
)
def test_a_file_whose_rows_are_not_sure_is_wrong_in_its_first_line(tmp_path: Path, content: str, reason: str) -> None:
    assert mistakes(rows_of(tmp_path, content)) == [(1, reason)]


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "café"), ("shift_jis", "烏龍茶"), ("utf-16", "café")])
def test_a_file_in_another_encoding_is_read(tmp_path: Path, encoding: str, text: str) -> None:
    rows = rows_of(tmp_path, f"text,label\n{text},ham\n".encode(encoding), encoding=encoding)
    assert labels(rows) == [(text, False)]


def test_encodings_have_one_name_and_unknown_ones_are_refused() -> None:
    assert [labelled.encoding(name) for name in ("UTF8", "utf-8", "Windows-1252")] == ["utf-8", "utf-8", "cp1252"]
    for name in ("klingon", "rot13", "hex"):
        with pytest.raises(ValueError, match="no encoding of text"):
            labelled.encoding(name)


def test_a_row_after_one_that_cannot_be_read_is_read(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 'text,label\n"b" c,spam\nd,ham\n')
    assert [type(row).__name__ for row in rows] == ["Mistake", "Labelled"]


@pytest.mark.parametrize(
    ("before", "long", "after"),
    [
        ("", '{"text": "' + "x" * 1000 + '", "is_spam": 1}\n', '{"text": "a", "is_spam": 0}\n'),
        ("text,author,label\n", "b," + "x" * 1000 + ",spam\n", "a,,ham\n"),
        ("text,author,label\n", "b," + '"x"' * 1000 + ",spam\n", "a,,ham\n"),
    ],
)
def test_a_line_beyond_the_bound_is_a_mistake_and_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, long: str, after: str
) -> None:
    monkeypatch.setattr(labelled, "LONGEST", 100)
    rows = rows_of(tmp_path, before + long + after)
    line = len((before + long).splitlines())
    assert mistakes(rows) == [(line, "it has more than 100 characters")]
    assert isinstance(rows[1], Labelled)
    assert (rows[1].text, rows[1].line) == ("a", line + 1)


@pytest.mark.parametrize("content", ["text,label\n{},ham\n", '{{"text": "{}", "label": "ham"}}\n'])
def test_a_long_text_is_read_in_both_forms(tmp_path: Path, content: str) -> None:
    text = "x" * 900_000
    assert labels(rows_of(tmp_path, content.format(text))) == [(text, False)]


@pytest.mark.parametrize(
    ("content", "missing", "there"),
    [("text,verdict\na,spam\n", "label", "text, verdict"), ('{"label": 1}\n', "text", "label")],
)
def test_a_column_that_is_missing_is_named_with_those_that_are_there(
    tmp_path: Path, content: str, missing: str, there: str
) -> None:
    with pytest.raises(NoSuchColumn) as raised:
        rows_of(tmp_path, content)
    assert raised.value.field == missing
    assert str(raised.value).endswith(there)


@pytest.mark.parametrize("content", ["", "\n", "text,label\n"])
def test_a_file_without_rows_has_none(tmp_path: Path, content: str) -> None:
    assert rows_of(tmp_path, content) == []
