"""`python -m bench.spam` on the repository's invented texts, and on files of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bench.spam import OWN, evaluate
from moderate.learned.labelled import Format, Labelled, read

if TYPE_CHECKING:
    from pathlib import Path


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    evaluate([*words, "--no-speed", "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_the_texts_of_the_repository_are_as_many_of_each_kind_and_name_nobody() -> None:
    rows = [row for row in read(OWN, Format()) if isinstance(row, Labelled)]
    assert [row.is_spam for row in rows].count(True) == [row.is_spam for row in rows].count(False) == 240
    assert not [row.email for row in rows if row.email and not row.email.endswith((".example", ".test", ".invalid"))]


def test_a_cold_site_is_judged_with_each_premoderation(capsys: pytest.CaptureFixture[str]) -> None:
    parts = figures(capsys, "--parts", "cold")["parts"]
    assert parts["cold, PREMODERATION none"]["good_held"] == 0
    assert parts["cold, PREMODERATION strangers"]["spam_found"] == 1
    assert parts["cold, PREMODERATION none"]["texts"] == 480
    # What docs/judging.md says.
    assert parts["cold, PREMODERATION links"]["spam_found"] > 0.94
    assert parts["cold, PREMODERATION links"]["good_held"] < 0.22


def test_a_young_site_holds_most_spam_and_marks_no_short_good_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A guard, and no proof: the filter was developed with these texts."""
    parts = figures(capsys, "--parts", "young", "--seeds", "1", "--premoderation", "none")["parts"]
    for number in ("20+20", "100+100"):
        name = f"young {number}, PREMODERATION none"
        found, short = parts[name], parts[f"{name}, good up to 60 characters"]
        assert found["spam_found"] >= 0.6
        assert short["good_marked"] == 0
        # The target is 0.15 on the mean of five seeds, which takes too long here; a single one may be above it.
        assert short["good_held"] <= 0.2


def write(path: Path, rows: list[tuple[str, str, int, str]]) -> str:
    named = [
        {"text": text, "author": author, "t": at, "label": label, "place": place}
        for place, (text, author, at, label) in enumerate(rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in named))
    return str(path)


def mixed(number: int) -> list[tuple[str, str, int, str]]:
    """Spam and good texts that are easily told apart, all good ones after all spam in the file."""
    spam = [(f"cheap watches number{n} now at pills.example", f"seller{n}", 2 * n, "spam") for n in range(number)]
    good = [(f"the river{n} froze twice this winter", f"reader{n}", 2 * n + 1, "ham") for n in range(number)]
    return [*spam, *good]


def test_texts_are_judged_in_the_order_of_their_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = write(tmp_path / "mixed.jsonl", mixed(40))
    found = figures(capsys, file, "--parts", "online")
    assert found["order"] == "t"
    # In the file's order all spam would come before the filter has seen a good text.
    assert found["parts"]["online"]["spam_found"] > 0.5
    assert figures(capsys, file, "--parts", "online", "--order", "place")["parts"]["online"]["spam_found"] == 0


def test_texts_of_one_author_are_never_learned_and_judged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [(text, "everybody", at, label) for text, _, at, label in mixed(40)]
    found = figures(capsys, write(tmp_path / "one.jsonl", rows), "--parts", "folds")
    # All are in one fold, for which nothing is left to learn.
    assert found["parts"]["unseen authors, 5 folds"]["spam_found"] == 0
    apart = figures(capsys, str(tmp_path / "one.jsonl"), "--parts", "folds", "--group", "t")
    assert apart["parts"]["unseen authors, 5 folds"]["spam_found"] > 0.9


def test_the_first_decisions_of_a_young_site_teach_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = write(tmp_path / "young.jsonl", mixed(40))
    parts = figures(capsys, file, "--parts", "young", "--premoderation", "none")["parts"]
    assert parts["young 20+20, PREMODERATION none"]["texts"] == 40
    assert parts["young 20+20, PREMODERATION none"]["spam_found"] > 0.9
    assert parts["young 20+20, PREMODERATION none"]["good_held"] < 0.1
    assert not [name for name in parts if "100+100" in name]
    assert parts["young 20+20, PREMODERATION none, good up to 60 characters"]["texts"] == 20


def test_the_table_has_a_line_for_each_part(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evaluate([write(tmp_path / "mixed.jsonl", [*mixed(30), (" ", "reader", 60, "ham")]), "--parts", "online,cold"])
    printed = capsys.readouterr().out
    assert "60 texts, in the order of t" in printed
    assert "1 that cannot be read (line 61: the column 'text' is empty, …)" in printed
    assert "\nonline" in printed
    assert "\ncold, PREMODERATION none" in printed
    assert "probability, online:" in printed
    assert "600 characters" in printed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\nx,perhaps\n", "line 2: the label 'perhaps'"),
        ("a,b\n1,2\n", "Name it with --text."),
        ("", "nothing"),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_one_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "texts.csv"
    path.write_text(content)
    with pytest.raises(SystemExit, match=words):
        evaluate([str(path), *(["--order", "day"] if "day" in content else [])])


def test_a_file_that_is_not_there_or_not_in_its_encoding_ends_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    with pytest.raises(SystemExit, match=r"texts\.csv cannot be read: No such file"):
        evaluate([str(path)])
    path.write_bytes("text,label\nthaw,ham\n".encode("utf-16")[:-1])
    with pytest.raises(SystemExit, match=r"texts\.csv cannot be read as utf-16\."):
        evaluate([str(path), "--encoding", "utf-16"])
