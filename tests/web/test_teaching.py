"""``flask moderate teach``: the filter learns from a file."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from moderate.cli import learning
from moderate.learned.check import LEAST
from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SPAM = [f"Cheap watches number{n} with free shipping" for n in range(LEAST)]
GOOD = [f"The river{n} froze twice this winter" for n in range(LEAST)]


def run(host: Host, *words: str) -> Result:
    result = host.app.test_cli_runner().invoke(args=["moderate", "teach", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def report(host: Host, *words: str) -> dict[str, Any]:
    result = run(host, *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    """All spam first, then all good texts."""
    return write(tmp_path / "texts.jsonl", *[(text, "spam") for text in SPAM], *[(text, "ham") for text in GOOD])


def write(path: Path, *rows: tuple[str, str]) -> str:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return str(path)


def learned(host: Host) -> tuple[Any, Any]:
    """Everything that the filter has counted."""
    with host.state.desk.store.database.read() as conn:
        counts = conn.exec_driver_sql("SELECT token, spam, good FROM moderate_token_counts ORDER BY token").all()
        items = conn.exec_driver_sql("SELECT item_id, is_spam FROM moderate_learned_items ORDER BY item_id").all()
    return [row for row in counts if row.spam or row.good], items


def test_the_filter_judges_by_what_it_was_taught(host: Host, file: str) -> None:
    taught = run(host, file)
    assert taught.exit_code == 0
    assert "20 rows were read: 10 spam and 10 good texts." in taught.stdout
    assert "20 were learned, 0 were known." in taught.stdout
    assert "from 10 spam and 10 good texts now" in taught.stdout
    host.comment("Cheap watches with free shipping at https://watches.example/")
    host.comment("The river froze")
    runner = host.app.test_cli_runner()
    waiting, spam = (runner.invoke(args=["moderate", "queue", "--status", name]).output for name in ("pending", "spam"))
    assert (waiting + spam).count("(learned)") == 1


def test_a_row_teaches_what_a_decision_on_such_a_comment_teaches(host: Host, tmp_path: Path) -> None:
    sender = {"author": "Cheap Pills", "url": "https://pills.example/", "email": "mika@example.org"}
    host.comment("Zeppelins\nAll about them", **sender)
    host.decide(1, "spam")
    host.state.worker.drain()
    before = learned(host)[0]
    assert {row.spam for row in before if row.token} >= {1}
    texts = [{"text": "Zeppelins\nAll about them"}, {"title": "Zeppelins", "text": "All about them"}]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({**text, **sender, "label": "spam"}) + "\n" for text in texts))
    assert report(host, str(path))["learned"] == 2
    assert learned(host)[0] == [(row.token, row.spam * 3, row.good) for row in before]


def test_the_order_of_the_rows_changes_nothing_that_is_learned(host: Host, file: str, tmp_path: Path) -> None:
    shutil.copyfile(tmp_path / "moderate.sqlite3", tmp_path / "copy.sqlite3")
    twin = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path}/copy.sqlite3")
    turned = write(tmp_path / "turned.jsonl", *[(text, "ham") for text in GOOD], *[(text, "spam") for text in SPAM])
    weights = []
    for site, path in ((host, file), (twin, turned)):
        run(site, path)
        with site.state.desk.store.database.read() as conn:
            weights.append(conn.exec_driver_sql("SELECT token, weight FROM moderate_token_counts ORDER BY token").all())
    assert weights[0] == weights[1]


def test_a_file_of_several_pages_is_learned_as_a_whole(host: Host, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "PAGE", 6)
    assert report(host, file)["learned"] == 20
    assert report(host, file)["known"] == 20


def test_a_filter_that_was_taught_one_kind_of_texts_only_finds_nothing_yet(host: Host, tmp_path: Path) -> None:
    shown = run(host, write(tmp_path / "spam.jsonl", *[(text, "spam") for text in SPAM])).stdout
    assert "It finds nothing until it has learned from 10 of each." in shown
    shown = run(host, write(tmp_path / "good.jsonl", *[(text, "ham") for text in GOOD])).stdout
    assert "It finds nothing" not in shown


def test_the_same_file_again_changes_nothing(host: Host, file: str) -> None:
    first = report(host, file)
    assert (first["learned"], first["known"]) == (20, 0)
    before = learned(host)
    again = report(host, file)
    assert (again["learned"], again["known"]) == (0, 20)
    assert again["examples"] == {"spam": 10, "good": 10}
    assert learned(host) == before


def test_a_row_is_known_again_in_another_file_and_form(host: Host, file: str, tmp_path: Path) -> None:
    run(host, file)
    other = tmp_path / "other.csv"
    other.write_text("verdict;text\n1;Something new\n" + "".join(f"1;{text}\n" for text in SPAM[:3]))
    found = report(host, str(other), "--label", "verdict")
    assert (found["learned"], found["known"]) == (1, 3)


def test_what_a_file_taught_is_taken_back(host: Host, file: str, tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", ("Only mine", "ham"))
    run(host, str(tmp_path / "mine.jsonl"))
    before = learned(host)
    run(host, file)
    gone = report(host, file, "--forget")
    assert (gone["forgotten"], gone["examples"]) == (20, {"spam": 0, "good": 1})
    assert learned(host) == before
    again = report(host, file, "--forget")
    assert (again["forgotten"], again["known"]) == (0, 20)


def test_decisions_of_moderators_stay_when_a_file_is_forgotten(host: Host, file: str) -> None:
    host.comment("Cheap watches number1 with free shipping")
    host.decide(1, "spam")
    host.state.worker.drain()
    run(host, file)
    assert report(host, file, "--forget")["examples"] == {"spam": 1, "good": 0}


@pytest.mark.parametrize("words", [[], ["--forget"]])
def test_a_trial_changes_nothing(host: Host, file: str, words: list[str]) -> None:
    if words:
        run(host, file)
    before = learned(host)
    shown = run(host, file, "--dry-run", *words)
    assert "20 would be " in shown.stdout
    assert learned(host) == before


def test_the_first_label_of_a_text_counts(host: Host, tmp_path: Path) -> None:
    path = write(tmp_path / "texts.jsonl", ("one", "spam"), ("two", "ham"), ("one", "ham"), ("two", "ham"))
    shown = run(host, path).stdout
    assert "1 came again." in shown
    assert "1 have another label than the same text before them, which counts: lines 3." in shown
    found = report(host, path)
    assert (found["examples"], found["labelled_otherwise"]) == ({"spam": 1, "good": 1}, 1)
    turned = write(tmp_path / "turned.jsonl", ("one", "ham"), ("two", "ham"))
    assert "1 were learned with the other label before, and stay so: lines 1." in run(host, turned).stdout
    assert report(host, turned)["labelled_otherwise"] == 1
    run(host, turned, "--forget")
    run(host, turned)
    assert report(host, turned)["examples"] == {"spam": 0, "good": 2}


def test_of_many_lines_with_another_label_the_first_are_named(host: Host, file: str, tmp_path: Path) -> None:
    run(host, file)
    turned = write(tmp_path / "turned.jsonl", *[(text, "ham") for text in SPAM], *[(text, "spam") for text in GOOD[:1]])
    shown = run(host, turned).stdout
    assert re.search(r"11 were learned with the other label before, and stay so: lines (\d+, ){10}…\. ", shown)


def test_only_the_named_labels_are_learned(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "wordpress.csv"
    path.write_text("comment_content,comment_approved\nbuy,spam\nnice,1\nlater,0\nrude,trash\n")
    words = ["--label", "comment_approved", "--spam", "Spam", "--good", "1"]
    found = report(host, str(path), *words)
    assert (found["spam"], found["good"], found["left_out"]) == (1, 1, 2)
    assert "2 with other labels were left out." in run(host, str(path), *words).stdout


def test_a_file_may_be_in_another_encoding(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_bytes("v1,v2\nspam,prix réduit\nham,déjà vu\n".encode("cp1252"))
    words = [str(path), "--label", "v1", "--text", "v2"]
    refused = run(host, *words)
    assert refused.exit_code == 1
    assert "line 2: these bytes are not utf-8" in refused.stderr
    assert report(host, *words, "--encoding", "cp1252")["learned"] == 2
    assert run(host, *words, "--encoding", "klingon").exit_code == 2


def test_a_file_that_is_not_at_all_in_the_encoding_is_an_error_in_words(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_bytes("text,label\nthaw,ham\n".encode("utf-16")[:-1])
    failed = run(host, str(path), "--encoding", "utf-16")
    assert failed.exit_code == 1
    assert "cut.csv cannot be read as utf-16." in failed.stderr


def test_nothing_is_taught_where_a_line_cannot_be_read(host: Host, tmp_path: Path) -> None:
    rows = [(f"text {n}", "perhaps" if n % 2 else "spam") for n in range(40)]
    failed = run(host, write(tmp_path / "texts.jsonl", *rows))
    assert failed.exit_code == 1
    assert "line 2: the label 'perhaps' is none of" in failed.stderr
    assert failed.stderr.count("line ") == 10
    assert "Nothing was changed: 20 lines cannot be read, of which these are the first 10." in failed.stderr
    assert learned(host) == ([], [])


def test_a_missing_column_is_wrong_use_and_a_missing_file_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("words,label\nx,spam\n")
    missing = run(host, str(tmp_path / "texts.csv"))
    assert missing.exit_code == 2
    assert "the columns are: words, label. Name it with --text." in missing.stderr
    (tmp_path / "odd.csv").write_text("\x1b[2Jwords,label\nx,spam\n")
    assert "the columns are:  [2Jwords, label." in run(host, str(tmp_path / "odd.csv")).stderr
    nothing = run(host, str(tmp_path / "none.csv"))
    assert nothing.exit_code == 1
    assert "none.csv cannot be read: No such file or directory" in nothing.stderr


def test_a_file_of_the_queue_teaches_another_site(host: Host, tmp_path: Path) -> None:
    host.trapped()
    exported = host.app.test_cli_runner().invoke(args=["moderate", "queue", "--status", "spam", "--csv"])
    (tmp_path / "spam.csv").write_bytes(exported.stdout_bytes)
    found = report(host, str(tmp_path / "spam.csv"))
    assert (found["spam"], found["learned"]) == (1, 1)
