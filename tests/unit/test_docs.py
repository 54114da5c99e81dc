"""The commands on the pages exist, and their examples work."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from moderate.cli import build_cli
from moderate.database.copies import TOOLS, TOOLS_BACK
from moderate.database.outages import BY_CODE, BY_TEXT
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
def test_every_command_named_in_the_docs_exists(path: Path) -> None:
    for words in commands_in(path):
        # In running text the command is followed by other words: what counts is what it begins with.
        assert unknown(words) is None, f"flask moderate {' '.join(words)}"


def to_type(text: str) -> Iterator[list[str]]:
    """Yield every command to copy: lines of examples, and commands that a message recommends."""
    examples = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"flask moderate ([^#|)\n]+)", "\n".join(examples)):
        yield shlex.split(match[1])
    for match in re.finditer(r"\b[Rr]un(?: there)?:? `?flask moderate ([a-z -]+)", text):
        yield match[1].split()


def misused(words: list[str]) -> str | None:
    """Return the complaint of the command line, or None if the command would run."""
    command: click.Command = build_cli()
    while isinstance(command, click.Group):
        command, words = command.commands[words[0]], words[1:]
    try:
        command.make_context("flask", list(words)).close()
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_to_copy_is_complete(path: Path) -> None:
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
        ("ExecStart=/srv/.venv/bin/flask moderate worker --once", None),
    ],
)
def test_an_incomplete_command_is_detected(line: str, complaint: str | None) -> None:
    (words,) = to_type(f"```sh\n{line}\n```\n")
    said = misused(words)
    assert said == complaint or (said is not None and complaint is not None and complaint in said)


def test_the_docs_contain_commands_to_copy() -> None:
    assert sum(1 for path in PAGES for _ in to_type(path.read_text(encoding="utf-8"))) > 15
    assert sum(1 for path in SOURCES for _ in to_type(path.read_text(encoding="utf-8"))) > 3


def test_missing_commands_are_detected() -> None:
    assert unknown(["recount", "--dry-run"]) is None
    assert unknown(["db", "upgrade"]) is None
    assert unknown(["db", "downgrade"]) == "downgrade"
    assert unknown(["recount", "--fast"]) == "--fast"
    assert unknown(["statistics"]) == "statistics"
    assert sum(1 for path in PAGES for _ in commands_in(path)) > 20


@pytest.mark.parametrize("path", [path for path in PAGES if path.suffix == ".md"], ids=lambda path: path.name)
def test_every_make_target_named_in_the_docs_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^ *)make ([a-z-]+)", text, re.MULTILINE)
    assert set(named) <= TARGETS


def test_every_command_is_documented_on_some_page() -> None:
    told = " ".join(path.read_text(encoding="utf-8") for path in PAGES)
    for name, command in build_cli().commands.items():
        below = command.commands if isinstance(command, click.Group) else {"": command}
        for word in below:
            line = f"flask moderate {name} {word}".strip()
            assert line in told or (word and f"`{name} {word}`" in told), line


# --- the runbook ----------------------------------------------------------------------------------

RUNBOOK = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")

#: The placeholder of an inserted value, in messages as in the runbook.
ANY = "…"

#: Placeholders of ``%`` and of ``str.format``.
PLACEHOLDER = re.compile(r"%[.\d]*[a-z]|\{\w*\}")


def message(node: ast.AST) -> str | None:
    """Return the text of a literal, an f-string or a sum of these, with `ANY` for each inserted value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return PLACEHOLDER.sub(ANY, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(message(part) or ANY for part in node.values)
    if isinstance(node, ast.BinOp):
        left, right = message(node.left), message(node.right)
        return None if left is None and right is None else (left or ANY) + (right or ANY)
    return None


def messages_of(tree: ast.Module) -> Iterator[str]:
    """Yield every text of a module but its docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = None if id(node) in docstrings else message(node)
        if text is not None:
            yield text


def warnings_of(tree: ast.Module) -> Iterator[str]:
    """Yield the messages that a module logs as warnings and errors."""
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log" | "_log"), attr="warning" | "error" | "exception"),
                args=[said, *_],
            ):
                values = assigned.get(said.id, []) if isinstance(said, ast.Name) else [said]
                yield from (message(value) or ANY for value in values)


TREES = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
MESSAGES = {text for tree in TREES for text in messages_of(tree)}


def quotes_in(page: str) -> Iterator[str]:
    """Yield what the first columns of a page's tables quote of the product: not commands, settings and numbers."""
    for cell in re.findall(r"^\| *(.*?) \|", page, re.MULTILINE):
        for quote in re.findall(r"`([^`]+)`", cell):
            is_command = re.match(r"[\w ]+$", quote) and unknown(quote.split()) is None
            if re.search(rf"[ {ANY}]", quote) and not is_command and not quote.startswith(("MODERATE_", "moderate_")):
                yield quote


def says(text: str, quote: str) -> bool:
    """Return whether a message contains the parts of a quote, in their order."""
    start = 0
    for part in quote.split(ANY):
        start = text.find(part, start)
        if start < 0:
            return False
        start += len(part)
    return True


def is_said(quote: str) -> bool:
    """Return whether the product says what is quoted, as a whole message or with `ANY` for the rest."""
    pair = re.fullmatch(r'"(\w+)": "([^"]+)"', quote)
    if pair:
        return set(pair.groups()) <= MESSAGES
    service, colon, reason = quote.partition(": ")
    if colon and service in MESSAGES and (reason == ANY or is_said(reason)):
        return True
    return any(says(text, quote) for text in MESSAGES)


def test_the_quotes_of_the_runbook_match_the_product() -> None:
    page = RUNBOOK.partition("## Symptoms")[2]
    quotes = list(quotes_in(page.partition("## Operations")[0])) + list(quotes_in(page.partition("## Logs")[2]))
    assert len(quotes) > 100
    assert [quote for quote in quotes if not is_said(quote)] == []


def test_every_logged_warning_is_in_the_runbook() -> None:
    quotes = [quote for quote in quotes_in(RUNBOOK) if len(quote.replace(ANY, "")) > 8]
    logged = {text for tree in TREES for text in warnings_of(tree) if text.replace(ANY, "").strip(" :;.")}
    assert len(logged) > 20
    assert [text for text in sorted(logged) if not any(says(text, quote) for quote in quotes)] == []


def test_every_database_outage_reason_is_in_the_runbook() -> None:
    quotes = list(quotes_in(RUNBOOK))
    reasons = {PLACEHOLDER.sub(ANY, words) for _, words in (*BY_CODE, *BY_TEXT)}
    assert [words for words in sorted(reasons) if not any(says(words, quote) for quote in quotes)] == []


@pytest.mark.parametrize(
    ("quote", "real"),
    [
        ("its memory is full (maxmemory)", True),
        ("database: the disk of … is full", True),
        ("mail: …", True),
        ('"database": "newer"', True),
        ("its memory is nearly empty", False),
        ("database: the disk of … is broken", False),
        ("fax: …", False),
        ('"database": "vanished"', False),
    ],
)
def test_a_wrong_quote_is_detected(quote: str, real: bool) -> None:
    assert is_said(quote) is real


@pytest.mark.parametrize("tool", [*TOOLS.values(), *TOOLS_BACK.values()])
def test_the_runbook_follows_the_backup_advice_of_the_commands(tool: str) -> None:
    pattern = re.escape(tool).replace(r"\{file\}", r"/\S+").replace("NAME", "news")
    assert re.search(pattern, RUNBOOK)


def test_the_alarms_of_the_runbook_are_valid_rules() -> None:
    (block,) = re.findall(r"```yaml\n(groups:.*?)```", RUNBOOK, re.DOTALL)
    rules = yaml.safe_load(block)["groups"][0]["rules"]
    assert len(rules) > 5
    assert all(rule.keys() <= {"alert", "expr", "for"} and re.search(r" (>|==) \d+$", rule["expr"]) for rule in rules)


def test_the_runbook_names_real_metrics() -> None:
    named = set(re.findall(r"\bmoderate_[a-z_]+\b", RUNBOOK.partition("## Metrics")[2].partition("## Logs")[0]))
    assert len(named) > 10
    assert named - {name + ending for name in MESSAGES for ending in ("", "_total")} == {"moderate_metrics"}


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


def test_the_documented_protocol_passes_the_documented_tests(written: dict[str, Any]) -> None:
    exec(compile(written["blocks"][1], "docs/writing-a-protocol.md", "exec"), written)


def test_the_documented_protocol_refuses_with_its_own_messages(written: dict[str, Any]) -> None:
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


def test_the_methods_that_the_protocol_page_names_exist() -> None:
    from moderate.protocols.base import Edge, InboundProtocol

    members = {name for name in vars(InboundProtocol) if not name.startswith("_")}
    assert members == {"name", "rule", "limit", "max_body", "read", "answer", "refuse"}
    paragraph = PROTOCOL_PAGE.partition("`edge` is what a protocol may ask")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)(?:\([^`]*\))?`", paragraph))
    assert len(named) > 5
    assert named <= set(dir(Edge))


def test_a_page_works_under_the_recommended_content_security_policy(tmp_path: Path) -> None:
    from tests.sites import Host

    host = Host(tmp_path)
    host.comment()
    for page in (host.client.get("/thaw").text, host.client.post("/discuss/comments/thaw", data={"text": ""}).text):
        assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
        assert not re.findall(r'(?:src|action)="(?:https?:)?//', page)


def test_there_is_a_page_for_every_audience() -> None:
    for name in (
        "quickstart", "embedding", "configuration", "moderating", "operating", "scaling", "security",
        "writing-a-check", "writing-a-protocol",
    ):  # fmt: skip
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith("# ")


def test_the_map_in_contributing_names_exactly_the_existing_folders() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    where = text.partition("## Where things are")[2].partition("## Migrations")[0]
    package = ROOT / "src" / "moderate"
    named = set(re.findall(r"`((?:[a-z_0-9]+/)*(?:[a-z_0-9]+\.py|[a-z_0-9]+/))`", where)) - {"sql.py", "views.py"}
    real = {
        name
        for name in named
        if (package / name).exists() or (package.parent / name).exists() or (ROOT / name).exists()
    }
    assert sorted(named - real) == []
    folders = {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert sorted(folders - named) == []
