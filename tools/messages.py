"""Bring the catalogs up to date with the code: ``python tools/messages.py``.

Every message that the code and the templates hold gets an entry in each ``moderate.po``, at its end and empty where
it is new; entries of messages that are gone are removed. Comments and the order of the others stay. A test fails
where this would change anything, or where a translation is missing.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "moderate"

#: Which argument of a call is a message id. After it comes the plural of those in `PLURALS`.
CALLS = {
    "Message": 0, "say": 0, "count": 1, "found": 0,
    "Finding": 2,
    "field": 1, "FieldError": 1,
    "Closed": 0, "Forbidden": 0, "NotAllowed": 0, "TooLarge": 0, "LinkRefused": 1,
    "FetchFailed": 1,
}  # fmt: skip
PLURALS = {"Message", "count"}

STRING = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
IN_TEMPLATES = re.compile(rf"moderate_say\(\s*{STRING}|moderate_count\([^'\"]*{STRING},\s*{STRING}")


class Key(NamedTuple):
    """What a catalog knows a message by."""

    id: str
    plural: str | None = None
    context: str | None = None


def messages(package: Path = PACKAGE) -> dict[Key, str]:
    """Return the messages of the package, each with the place where it was found first."""
    found: dict[Key, str] = {}
    for path in sorted(package.rglob("*.html")):
        for match in IN_TEMPLATES.finditer(path.read_text("utf-8")):
            say, one, many = (text and ast.literal_eval(text) for text in match.groups())
            found.setdefault(Key(say or one, many), str(path.relative_to(package)))
    for path in sorted(package.rglob("*.py")):
        for key, line in of_code(ast.parse(path.read_text("utf-8"))):
            found.setdefault(key, f"{path.relative_to(package)}:{line}")
    return found


def of_code(tree: ast.AST) -> Iterator[tuple[Key, int]]:
    """Yield the messages of a module: arguments of `CALLS`, the texts of errors, and the names of checks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from ((key, node.lineno) for key in of_class(node))
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = CALLS.get(name)
            if at is None or len(node.args) <= at:
                continue
            plural = node.args[at + 1] if name in PLURALS and len(node.args) > at + 1 else None
            for text in texts(node.args[at]):
                yield Key(text, next(texts(plural), None) if plural else None), node.lineno


def of_class(node: ast.ClassDef) -> Iterator[Key]:
    constants = {
        target.id: each.value.value
        for each in node.body if isinstance(each, ast.Assign | ast.AnnAssign) and isinstance(each.value, ast.Constant)
        for target in (each.targets if isinstance(each, ast.Assign) else [each.target]) if isinstance(target, ast.Name)
    }  # fmt: skip
    if isinstance(constants.get("default"), str):
        yield Key(constants["default"])
    if isinstance(constants.get("name"), str) and any(getattr(each, "name", "") == "look" for each in node.body):
        yield Key(constants["name"], context="check")


def texts(node: ast.expr) -> Iterator[str]:
    """Yield the string that an argument is, or the two of ``"one" if this else "other"``."""
    if isinstance(node, ast.IfExp):
        yield from (*texts(node.body), *texts(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


if __name__ == "__main__":
    for key, place in messages().items():
        print(place, key)
