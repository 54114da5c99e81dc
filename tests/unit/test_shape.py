"""Bounds on the shape of the code, so that it stays as easy to read as it began."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_FUNCTION = 60
LONGEST_FILE = 500
#: The one module that asks the machine what time it is. Everything else is given a clock.
CLOCK = "clock.py"
TIME = {
    "time.time",
    "time.time_ns",
    "time.sleep",
    "time.monotonic",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
}
TIME |= {"date.today"}
#: Question words, with which no docstring may begin: it says what a function does, or what an object is.
QUESTION = re.compile(r"(What|Who|Whose|Whoever|Whom|Whether|Where|How|Which|When|Why)\b")
VAGUE = {"utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "managers.py", "misc.py", "common.py"}


def complaints(package: Path) -> Iterator[str]:
    """Yield one message for each violation of the shape rules in a file below *package*."""
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(package).as_posix()
        if text.count("\n") > LONGEST_FILE:
            yield f"{place} has {text.count(chr(10))} lines; split it (the bound is {LONGEST_FILE})"
        if path.name in VAGUE:
            yield f"{place}: the name does not say what is in it"
        for node in ast.walk(ast.parse(text, place)):
            yield from complaints_about(node, place)


def complaints_about(node: ast.AST, place: str) -> Iterator[str]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        opening = QUESTION.match(ast.get_docstring(node) or "")
        if opening:
            line = getattr(node, "lineno", 1)
            yield f"{place}:{line}: a docstring opens with {opening[0]!r}; say what it does or is"
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if length(node) > LONGEST_FUNCTION:
                yield f"{place}:{node.lineno}: {node.name} has {length(node)} lines (the bound is {LONGEST_FUNCTION})"
        case ast.ExceptHandler(type=None):
            yield f"{place}:{node.lineno}: a bare except also catches the end of the program; name what may happen"
        case ast.Attribute() if place != CLOCK and ".".join(ast.unparse(node).split(".")[-2:]) in TIME:
            yield f"{place}:{node.lineno}: {ast.unparse(node)} is not to be asked here; take a Clock"
        case ast.ImportFrom(module="time") if place != CLOCK:
            for alias in node.names:
                if f"time.{alias.name}" in TIME:
                    yield f"{place}:{node.lineno}: time.{alias.name} is not to be asked here; take a Clock"


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the end."""
    body = function.body[1:] if ast.get_docstring(function) is not None and len(function.body) > 1 else function.body
    assert function.end_lineno is not None
    return function.end_lineno - body[0].lineno + 1


def test_the_code_follows_the_shape_rules() -> None:
    found = list(complaints(ROOT / "src" / "moderate"))
    assert not found, "\n" + "\n".join(found)


LONG = "def long():\n" + "    step()\n" * 61


@pytest.mark.parametrize(
    ("place", "source", "complaint"),
    [
        ("desk.py", LONG, "desk.py:1: long has 61 lines"),
        ("desk.py", "class Desk:\n" + "".join(f"    {line}\n" for line in LONG.splitlines()), "long has 61 lines"),
        ("desk.py", "\n" * 501, "desk.py has 501 lines"),
        ("desk.py", "try:\n    step()\nexcept:\n    pass", "desk.py:3: a bare except"),
        ("reading/views.py", "import time\nx = time.time()", "reading/views.py:2: time.time"),
        ("desk.py", "from time import sleep", "time.sleep"),
        ("desk.py", "import time as t\nwait = time.sleep", "time.sleep"),
        ("desk.py", "x = datetime.now(UTC)", "datetime.now"),
        ("desk.py", "x = datetime.datetime.now()", "datetime.datetime.now"),
        ("http/utils.py", "", "http/utils.py: the name"),
        ("desk.py", '"""What it is."""', "desk.py:1: a docstring opens with 'What'"),
        ("desk.py", "def f():\n    '''Whether it is open.'''", "desk.py:1: a docstring opens with 'Whether'"),
        ("desk.py", "class Desk:\n    '''How it works.'''", "desk.py:1: a docstring opens with 'How'"),
    ],
)
def test_violations_of_the_shape_rules_are_found(tmp_path: Path, place: str, source: str, complaint: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    assert [found for found in complaints(tmp_path) if complaint in found]


def test_the_clock_may_read_the_system_time_and_others_may_ask_the_clock(tmp_path: Path) -> None:
    (tmp_path / CLOCK).write_text("import time\nfrom datetime import datetime\nx = time.monotonic(), datetime.now()")
    (tmp_path / "desk.py").write_text("def f(clock):\n    '''Words.'''\n    return clock.now(), clock.monotonic()")
    assert list(complaints(tmp_path)) == []
