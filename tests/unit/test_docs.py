"""What the pages tell people to type exists, and what they show works."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import click
import pytest

from moderate.cli import build_cli
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "config").glob("*.toml")])
SOURCES = sorted((ROOT / "src" / "moderate").rglob("*.py"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PROTOCOL_PAGE = (ROOT / "docs" / "writing-a-protocol.md").read_text(encoding="utf-8")


def commands_in(path: Path) -> Iterator[list[str]]:
    """Every ``flask moderate …`` that a page or a message names, as words."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"flask moderate ((?:--?[\w-]+|[a-zA-Z][\w-]*|\d+)(?: (?:--?[\w-]+|[\w-]+))*)", text):
        yield match[1].split()


def unknown(words: list[str]) -> str | None:
    """The first word that is no command, option or argument; None where the command line exists."""
    command: click.Command = build_cli()
    arguments = 0
    for word in words:
        if isinstance(command, click.Group):
            found = command.commands.get(word)
            if found is None:
                return word
            command = found
        elif word.startswith("--"):
            if word not in {name for parameter in command.params for name in parameter.opts}:
                return word
        else:
            arguments += 1
    return None


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists(path: Path) -> None:
    for words in commands_in(path):
        # In running text the command is followed by other words: what counts is what it begins with.
        assert unknown(words) is None, f"flask moderate {' '.join(words)}"


def to_type(text: str) -> Iterator[list[str]]:
    """Every command that somebody may copy as it stands: lines of examples, and what a message says to run."""
    examples = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"flask moderate ([^#|)\n]+)", "\n".join(examples)):
        yield shlex.split(match[1])
    for match in re.finditer(r"\b[Rr]un(?: there)?:? `?flask moderate ([a-z -]+)", text):
        yield match[1].split()


def misused(words: list[str]) -> str | None:
    """What the command line would complain of; None where it would begin to work."""
    command: click.Command = build_cli()
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    try:
        command.make_context("flask", list(words)).close()
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_can_be_copied_has_all_that_it_needs(path: Path) -> None:
    for words in to_type(path.read_text(encoding="utf-8")):
        assert misused(words) is None, f"flask moderate {' '.join(words)}"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("flask moderate token create", "Missing argument 'NAME'"),
        ("flask moderate decide 1", "Missing argument"),
        ("flask moderate decide 1 publish  # at once", "'publish' is not one of"),
        ("flask moderate db copy", "Missing option '--to'"),
        ("TOKEN=$(flask moderate token create mori | tail -n 1)", None),
        ("ExecStart=/srv/.venv/bin/flask moderate worker --processes 4", None),
    ],
)
def test_a_command_that_lacks_something_would_be_found(line: str, complaint: str | None) -> None:
    (words,) = to_type(f"```sh\n{line}\n```\n")
    said = misused(words)
    assert said == complaint or (said is not None and complaint is not None and complaint in said)


def test_there_are_commands_to_copy() -> None:
    assert sum(1 for path in PAGES for _ in to_type(path.read_text(encoding="utf-8"))) > 15
    assert sum(1 for path in SOURCES for _ in to_type(path.read_text(encoding="utf-8"))) > 3


def test_commands_that_do_not_exist_would_be_found() -> None:
    assert unknown(["recount", "--dry-run"]) is None
    assert unknown(["db", "upgrade"]) is None
    assert unknown(["db", "downgrade"]) == "downgrade"
    assert unknown(["recount", "--fast"]) == "--fast"
    assert unknown(["statistics"]) == "statistics"
    assert sum(1 for path in PAGES for _ in commands_in(path)) > 20


@pytest.mark.parametrize("path", [path for path in PAGES if path.suffix == ".md"], ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^ *)make ([a-z-]+)", text, re.MULTILINE)
    assert set(named) <= TARGETS


def test_every_command_is_told_of_on_some_page() -> None:
    told = " ".join(path.read_text(encoding="utf-8") for path in PAGES)
    for name, command in build_cli().commands.items():
        below = command.commands if isinstance(command, click.Group) else {"": command}
        for word in below:
            line = f"flask moderate {name} {word}".strip()
            assert line in told or (word and f"`{name} {word}`" in told), line


@pytest.fixture
def written(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The code of the page about protocols, run as it stands there."""
    blocks = re.findall(r"^```python\n(.*?)^```", PROTOCOL_PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    code = blocks[0].replace("Flask(__name__)", "Flask('example', instance_path=FOLDER)")
    names: dict[str, Any] = {"__name__": "example", "FOLDER": str(tmp_path)}
    exec(compile(code, "docs/writing-a-protocol.md", "exec"), names)
    names["app"].testing = True
    names["blocks"] = blocks
    yield names
    names["app"].extensions["moderate"].worker.stop()


def test_the_protocol_of_the_page_works_as_the_page_tests_it(written: dict[str, Any]) -> None:
    exec(compile(written["blocks"][1], "docs/writing-a-protocol.md", "exec"), written)


def test_the_protocol_of_the_page_refuses_in_its_own_words(written: dict[str, Any]) -> None:
    client = written["app"].test_client()
    address = "/discuss/plain/first?author=Mika"
    cases = {
        b"": (422, "text: "),
        b"\xff": (422, "text: Send UTF-8."),
        b"x" * 8001: (422, "text: "),
        b"x" * 40_000: (413, "This is larger"),
    }
    for body, (status, words) in cases.items():
        answer = client.post(address, data=body)
        assert (answer.status_code, answer.mimetype) == (status, "text/plain"), body[:10]
        assert answer.text.startswith(words)
    assert client.post("/discuss/plain/nowhere?author=Mika", data="Hello").status_code == 404
    limited = client.post(address, data="Hello")
    assert limited.status_code == 429
    assert limited.headers["Retry-After"]
    assert client.get(address).status_code == 405


def test_the_page_says_what_a_protocol_may_ask_of_the_site() -> None:
    from moderate.protocols.base import Edge, InboundProtocol

    members = {name for name in vars(InboundProtocol) if not name.startswith("_")}
    assert members == {"name", "rule", "limit", "max_body", "read", "answer", "refuse"}
    paragraph = PROTOCOL_PAGE.partition("`edge` is what a protocol may ask")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)(?:\([^`]*\))?`", paragraph))
    assert named <= set(dir(Edge))


def test_a_page_with_the_recommended_policy_needs_nothing_that_it_forbids(tmp_path: Path) -> None:
    from tests.sites import Host

    host = Host(tmp_path)
    host.comment()
    for page in (host.client.get("/thaw").text, host.client.post("/discuss/comments/thaw", data={"text": ""}).text):
        assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
        assert not re.findall(r'(?:src|action)="(?:https?:)?//', page)


def test_there_is_a_page_for_every_group_of_readers() -> None:
    for name in (
        "quickstart", "embedding", "configuration", "moderating", "operating", "scaling", "security",
        "writing-a-check", "writing-a-protocol",
    ):  # fmt: skip
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith("# ")
