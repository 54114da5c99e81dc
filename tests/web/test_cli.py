"""``flask moderate …``: what operators and moderators do at a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from sqlalchemy import text

from moderate.cli import build_cli
from tests.sites import Host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


def run(host: Host, *words: str) -> Result:
    result = host.app.test_cli_runner().invoke(args=["moderate", *words])
    # Our own failures end in words and an exit code, never in a traceback.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def tamper(host: Host, statement: str) -> None:
    with host.app.app_context(), host.state.desk.store.database.write() as conn:
        assert conn.execute(text(statement)).rowcount


@pytest.fixture
def fresh(tmp_path: Path) -> Host:
    """A host whose database is its own to upgrade."""
    return Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=f"sqlite:///{tmp_path / 'shared.sqlite3'}")


def test_help_names_every_command(host: Host) -> None:
    shown = run(host, "--help").output
    for name in ("db", "worker", "recount", "token", "queue", "decide", "teach", "spam-report", "check-config"):
        assert re.search(rf"^  {name}\b", shown, re.MULTILINE), name


# --- database -------------------------------------------------------------------------------------


def test_tables_are_created_reported_and_checked(fresh: Host) -> None:
    assert run(fresh, "db", "current").output.strip() == "no tables yet"
    missing = run(fresh, "db", "check")
    assert missing.exit_code == 1
    assert "flask moderate db upgrade" in missing.output
    assert run(fresh, "db", "upgrade").exit_code == 0
    assert re.fullmatch(r"\d{4}", run(fresh, "db", "current").output.strip())
    assert run(fresh, "db", "check").exit_code == 0
    again = run(fresh, "db", "upgrade")
    assert again.exit_code == 0
    assert fresh.comment().status_code == 202


def test_changed_tables_are_named(host: Host) -> None:
    with host.app.app_context(), host.state.desk.store.database.write() as conn:
        conn.execute(text("ALTER TABLE moderate_items ADD COLUMN extra TEXT"))
    found = run(host, "db", "check")
    assert found.exit_code == 1
    assert "extra" in found.output


def test_a_site_is_copied_to_another_database_with_one_command(fresh: Host, tmp_path: Path) -> None:
    run(fresh, "db", "upgrade")
    fresh.comment("It stays with us")
    address = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    done = run(fresh, "db", "copy", "--to", address)
    assert done.exit_code == 0
    assert re.search(r"^\d+ rows were copied", done.output, re.MULTILINE)
    there = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_DATABASE_URL=address)
    assert "It stays with us" in run(there, "queue").output
    again = run(fresh, "db", "copy", "--to", address)
    assert again.exit_code == 1
    assert "is not empty" in again.output


@pytest.mark.parametrize("address", ["nonsense", "oracle://host/name", ""])
def test_an_invalid_address_is_explained(host: Host, address: str) -> None:
    result = run(host, "db", "copy", "--to", address)
    assert result.exit_code == 2
    assert "postgresql://user:password@host/name" in result.output


# --- tokens ---------------------------------------------------------------------------------------


def test_a_new_token_is_printed_alone_on_the_last_line_and_works(host: Host) -> None:
    made = run(host, "token", "create", "Mori Ōgai")
    assert made.exit_code == 0
    token = made.stdout.splitlines()[-1]
    assert re.fullmatch(r"mod_[0-9a-f]+_[\w-]+", token)
    # A script reads standard output, and nothing else stands there.
    assert made.stdout == token + "\n"
    headers = {"Authorization": f"Bearer {token}"}
    assert host.client.get("/discuss/moderation/items", headers=headers).status_code == 200
    host.comment()
    host.decide(1, "spam", **headers)
    entry = host.client.get("/discuss/moderation/items/1", headers=headers).json["history"][-1]
    assert entry["by"] == "Mori Ōgai"


def test_tokens_are_listed_without_their_secrets_and_revoked_by_name_or_id(host: Host) -> None:
    assert "There is no token yet." in run(host, "token", "list").stderr
    first = run(host, "token", "create", "mori").stdout.strip()
    second = run(host, "token", "create", "sato").stdout.strip()
    listed = run(host, "token", "list").output
    assert len(listed.splitlines()) == 2
    assert not [token for token in (first, second) if token in listed or token.split("_", 2)[2] in listed]
    assert "never" in listed
    assert re.search(r"made \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed)
    assert run(host, "token", "revoke", "mori").output == "Revoked 1.\n"
    assert run(host, "token", "revoke", second.split("_")[1]).output == "Revoked 1.\n"
    for token in (first, second):
        headers = {"Authorization": f"Bearer {token}"}
        assert host.client.get("/discuss/moderation/items", headers=headers).status_code == 401
    again = run(host, "token", "revoke", "mori")
    assert again.exit_code == 1
    assert "mori" in again.output
    assert "revoked" in run(host, "token", "list").output


# --- counters -------------------------------------------------------------------------------------


def test_correct_counters_are_left_unchanged(host: Host) -> None:
    host.comment()
    for words in ([], ["--dry-run"]):
        result = run(host, "recount", *words)
        assert result.exit_code == 0
        assert "Nothing had drifted." in result.output
        assert "Counting" in result.output


def test_wrong_counters_are_reported_first_and_repaired_on_request(host: Host) -> None:
    host.add_article("frost")
    host.comment()
    host.comment(article="frost")
    host.decide(1, "approve")
    tamper(host, "UPDATE moderate_counters SET comments = 7 WHERE article_key = 'thaw'")
    told = run(host, "recount", "--dry-run")
    assert told.exit_code == 1
    assert "thaw: stored comments 7; counted comments 1\n" in told.output
    assert "frost" not in told.output
    assert host.counts()["comments"] == 7
    mended = run(host, "recount")
    assert mended.exit_code == 1
    assert "mended" in mended.output
    assert host.counts()["comments"] == 1
    assert run(host, "recount").exit_code == 0


# --- the queue ------------------------------------------------------------------------------------


def test_the_queue_shows_pending_items_without_terminal_control_characters(host: Host) -> None:
    hostile = "red\x1b[31m \u202ereversed\r\nsecond line\x9b2J \u2028 \u200b"
    with host.app.app_context():
        host.moderate.submit("thaw", "Plain", author="Mika")
    host.comment("Before\nafter", author="A\u202eB")
    tamper(host, "UPDATE moderate_items SET text = 'red' || char(27) || '[31m' || char(155) || '2J' || char(10) || 'x'")
    shown = run(host, "queue")
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) == 4
    assert not [char for char in shown.output if not char.isprintable() and char != "\n"]
    assert [line.split()[0] for line in shown.output.splitlines()[::2]] == ["2", "1"]
    assert hostile not in shown.output


def test_the_queue_shows_characters_newer_than_the_unicode_tables_of_python(host: Host) -> None:
    host.comment("So tired \U0001fae9", author="Mika \U0001fadf")
    shown = run(host, "queue").output
    assert "So tired \U0001fae9" in shown
    assert "Mika \U0001fadf" in shown


def test_the_queue_shows_the_details_needed_for_a_decision(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_FETCH_TIMEOUT=1)
    host.comment("See https://a.example https://b.example https://c.example", author="Many")
    host.client.post("/discuss/trackback/thaw", data={"url": "http://127.0.0.1:1/post", "title": "On ice"})
    shown = run(host, "queue").output
    assert "from http://127.0.0.1:1/post\n" in shown
    assert "thaw: On ice" in shown
    assert "checks are still running" in shown
    assert "hold: 3 links, where up to 2 pass (links)" in shown


def test_the_queue_shows_link_destinations_and_times_to_the_second(host: Host) -> None:
    host.comment('<a href="https://evil.example/x">bank.example\x1b[31m</a>', url="https://shop.example/")
    shown = run(host, "queue").output
    assert 'link https://evil.example/x "bank.example' in shown
    assert "names another host: bank.example\n" in shown
    assert 'website https://shop.example/ "Mika"\n' in shown
    assert re.search(r"  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  Mika\n", shown)


def test_the_queue_accepts_a_status_and_a_limit(host: Host) -> None:
    for n in range(3):
        host.comment(f"Number {n}")
    host.decide(2, "spam")
    assert "Number 1" in run(host, "queue", "--status", "spam").output
    assert len(run(host, "queue", "--limit", "1").output.splitlines()) == 2
    assert run(host, "queue", "--status", "lost").exit_code == 2


def test_a_decision_at_the_terminal_is_recorded_like_any_other(host: Host) -> None:
    host.comment()
    done = run(host, "decide", "1", "approve", "--by", "mori", "--note", "fine")
    assert (done.exit_code, done.output) == (0, "Item 1 is approved, version 2.\n")
    assert host.counts() == {"comments": 1, "trackbacks": 0}
    entry = host.client.get("/discuss/moderation/items/1", headers=host.token()).json["history"][-1]
    assert (entry["by"], entry["note"]) == ("mori", "fine")
    again = run(host, "decide", "1", "approve")
    assert (again.exit_code, again.output) == (0, "Item 1 is approved, version 2.\n")


def test_a_decision_at_the_terminal_that_agrees_with_the_checks_is_written_down_once(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_PREMODERATION="none")
    assert host.comment().json["status"] == "approved"
    for name in ("mori", "sato"):
        done = run(host, "decide", "1", "approve", "--by", name)
        assert (done.exit_code, done.output) == (0, "Item 1 is approved, version 1.\n")
    item = host.client.get("/discuss/moderation/items/1", headers=host.token()).json
    assert [item["decided_by"], *(line["by"] for line in item["history"])] == ["mori", None, "mori"]


def test_a_decision_about_an_unknown_item_fails_with_one_line(host: Host) -> None:
    result = run(host, "decide", "999", "spam")
    assert result.exit_code == 1
    assert result.output == "Error: There is no such item.\n"


@pytest.mark.parametrize(
    "words",
    [
        ["decide", "1", "delete"],
        ["decide", "9" * 20, "spam"],
        ["decide", "x", "spam"],
        ["decide"],
        ["token", "create"],
        ["tasks", "replay"],
        ["tasks", "replay", "1", "--all"],
        ["tasks", "delete"],
        ["tasks", "delete", "1", "--all"],
    ],
)
def test_unknown_arguments_print_the_usage(host: Host, words: list[str]) -> None:
    result = run(host, *words)
    assert result.exit_code == 2
    assert "Usage:" in result.output


# --- operating ------------------------------------------------------------------------------------


def test_the_worker_processes_due_tasks_and_stops(tmp_path: Path) -> None:
    host = Host(tmp_path, MODERATE_LIMITS={}, MODERATE_FETCH_TIMEOUT=1)
    assert run(host, "worker", "--once").output == "Nothing was due.\n"
    host.client.post("/discuss/trackback/thaw", data={"url": "http://127.0.0.1:1/post", "title": "On ice"})
    assert host.client.get("/discuss/moderation/items", headers=host.token()).json["items"][0]["awaiting"] == "checks"
    assert run(host, "worker", "--once").output == "1 task done.\n"


def test_check_config_reports_working_parts(host: Host) -> None:
    result = run(host, "check-config")
    assert result.exit_code == 0
    assert "database: ok" in result.output
    for name in ("redis", "akismet", "tasks"):
        assert f"{name}:" in result.output


def test_check_config_explains_how_to_fix_failing_parts(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "MODERATE_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "MODERATE_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    }
    host = Host(tmp_path, **settings)
    result = run(host, "check-config")
    assert result.exit_code == 1
    assert "flask moderate db upgrade" in result.output
    assert "Check MODERATE_REDIS_URL" in result.output
    assert "hunter2" not in result.output
    host.state.desk.limits.close()


@pytest.mark.parametrize(
    "words",
    [
        ["recount"],
        ["token", "create", "x"],
        ["token", "list"],
        ["token", "revoke", "x"],
        ["queue"],
        ["decide", "1", "spam"],
        ["worker", "--once"],
        ["spam-report"],
    ],
)
def test_every_command_names_the_command_to_run_when_tables_are_missing(fresh: Host, words: list[str]) -> None:
    result = run(fresh, *words)
    assert result.exit_code == 1
    assert "flask moderate db upgrade" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("queue", "--status", "spam"), "No item is spam."),
        (("tasks", "dead"), "Nothing was given up."),
        (("tasks", "late"), "Nothing is late."),
    ],
)
def test_a_notice_about_an_empty_list_is_separate_from_the_output(
    host: Host, words: tuple[str, ...], said: str
) -> None:
    listed = run(host, *words)
    assert said in listed.stderr
    assert listed.stdout == ""


@pytest.mark.parametrize("words", [["moderate", "queue"], ["moderate", "--help"], ["run", "--port", "1"]])
def test_an_invalid_setting_ends_any_command_with_one_line(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom moderate import Moderate\n"
        "app = Flask(__name__)\napp.config['MODERATE_MAX_LENGTH'] = 'long'\nModerate(app)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "flask", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: MODERATE_MAX_LENGTH = 'long' is not usable: accepted is a whole number from 1 to 20000\n"
    )


def all_commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))


@pytest.mark.parametrize("words", [words for words, _ in all_commands(build_cli())], ids=" ".join)
def test_each_command_has_a_help_text(host: Host, words: tuple[str, ...]) -> None:
    shown = run(host, *words, "--help").output
    assert len(re.split(r"\n\n", shown)) >= 3
    above = run(host, *words[:-1], "--help").output
    line = re.search(rf"^  {words[-1]} +(.+)$", above, re.MULTILINE)
    assert line is not None
    # A list that breaks off in the middle of a sentence says nothing.
    assert not line[1].endswith("...")


@pytest.mark.parametrize("command", ["create", "link"])
def test_a_moderator_without_a_name_gets_no_token(host: Host, command: str) -> None:
    for name in ("", "  ", "x" * 201):
        result = run(host, "token", command, name)
        assert result.exit_code == 1
        assert "at most 200 characters" in result.output
    assert run(host, "token", "list").stdout == ""


def test_a_task_that_was_not_given_up_cannot_be_retried(host: Host) -> None:
    result = run(host, "tasks", "replay", "77")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No task 77 was given up" in result.output


def test_lists_are_printed_on_any_terminal_and_into_closed_pipes(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom moderate import Article, Moderate\napp = Flask(__name__)\n"
        "app.config['MODERATE_LIMITS'] = {}\nmoderate = Moderate()\n"
        "moderate.article_loader(lambda key: Article(key, key, f'http://localhost/{key}'))\nmoderate.init_app(app)\n"
        "if __name__ == '__main__':\n    with app.app_context():\n        for number in range(500):\n"
        "            moderate.submit('a', f'{number} Öl 日本語 🙂 ' + 'x' * 90, author='Ōgai')\n",
        encoding="utf-8",
    )
    subprocess.run([sys.executable, "app.py"], check=True, timeout=60, cwd=tmp_path)
    queue = [sys.executable, "-m", "flask", "moderate", "queue", "--limit", "500"]
    for encoding in ("utf-8", "ascii", "latin-1", "shift_jis"):
        settings: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "PYTHONIOENCODING": encoding}}
        with subprocess.Popen(queue, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings) as cut:
            assert cut.stdout is not None
            assert cut.stderr is not None
            assert b"500" in cut.stdout.readline(), encoding
            cut.stdout.close()
            assert cut.stderr.read() == b"", encoding
