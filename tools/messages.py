"""Bring the catalogs up to date with the code: ``python tools/messages.py``.

Every message that the code and the templates hold gets an entry in each ``moderate.po``, at its end and empty where
it is new; entries of messages that are gone are removed. Comments and the order of the others stay. A test fails
where this would change anything, or where a translation is missing.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moderate.i18n import entries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "moderate"

#: Which argument of a call is a message id. After it comes the plural of those in `PLURALS`.
CALLS = {
    "Message": 0, "say": 0, "count": 1, "translated": 0,
    "Finding": 2, "template": 0,
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
    for path in sorted(path for path in package.rglob("templates/**/*") if path.suffix in {".html", ".txt"}):
        for match in IN_TEMPLATES.finditer(path.read_text("utf-8")):
            say, one, many = (text and ast.literal_eval(text) for text in match.groups())
            found.setdefault(Key(say or one, many), str(path.relative_to(package)))
    for path in sorted(package.rglob("*.py")):
        for key, line in of_code(ast.parse(path.read_text("utf-8"))):
            found.setdefault(key, f"{path.relative_to(package)}:{line}")
    return found


def of_code(tree: ast.Module) -> Iterator[tuple[Key, int]]:
    """Yield the messages of a module: arguments of `CALLS`, the texts of errors, and the names of checks."""
    constants = constants_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from ((key, node.lineno) for key in of_class(node))
        elif isinstance(node, ast.Call):
            name = name_of(node)
            at = CALLS.get(name)
            if at is None or len(node.args) <= at:
                continue
            plural = node.args[at + 1] if name in PLURALS and len(node.args) > at + 1 else None
            if name == "Finding":
                yield from ((Key(text, context="check"), node.lineno) for text in texts(node.args[0], constants))
            for text in texts(node.args[at], constants):
                yield Key(text, next(texts(plural, constants), None) if plural else None), node.lineno


def name_of(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def of_class(node: ast.ClassDef) -> Iterator[Key]:
    constants = constants_of(node)
    if "default" in constants:
        yield Key(constants["default"])
    if "name" in constants and any(getattr(base, "id", "") == "CheckDefaults" for base in node.bases):
        yield Key(constants["name"], context="check")


def constants_of(node: ast.Module | ast.ClassDef) -> dict[str, str]:
    """Return the strings that a module or a class gives names to."""
    assignments = (each for each in node.body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name))
    annotated = (each for each in node.body if isinstance(each, ast.AnnAssign))
    named = [
        *((each.targets[0], each.value) for each in assignments),
        *((each.target, each.value) for each in annotated),
    ]
    return {
        name.id: value.value
        for name, value in named
        if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def texts(node: ast.expr, constants: Mapping[str, str]) -> Iterator[str]:
    """Yield the string that an argument is or names, or the two of ``"one" if this else "other"``."""
    if isinstance(node, ast.IfExp):
        yield from (*texts(node.body, constants), *texts(node.orelse, constants))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield constants[node.id]


def updated(catalog: str, keys: Collection[Key]) -> str:
    """Return the text of a ``.po`` file without the entries of other messages, and with empty ones for new messages."""
    header, *blocks = re.split(r"\n{2,}", catalog.strip())
    missing = dict.fromkeys(keys)
    kept = [header]
    for block in blocks:
        known = [Key(entry.id, entry.plural, entry.context) for entry in entries(block)]
        if not known or known[0] in missing:
            kept.append(block)
            missing.pop(known[0], None) if known else None
    return "\n\n".join([*kept, *(empty(key, plural_forms(catalog)) for key in missing)]) + "\n"


def empty(key: Key, forms: int) -> str:
    """Return an entry without a translation, or without any of the plural *forms*."""
    lines = [f"msgctxt {quoted(key.context)}"] if key.context else []
    lines.append(f"msgid {quoted(key.id)}")
    if key.plural is None:
        return "\n".join([*lines, 'msgstr ""'])
    return "\n".join([*lines, f"msgid_plural {quoted(key.plural)}", *(f'msgstr[{form}] ""' for form in range(forms))])


def plural_forms(catalog: str) -> int:
    """Return the number of plural forms that the header of a catalog names."""
    named = re.search(r"nplurals=(\d+)", catalog)
    return int(named[1]) if named else 1


def untranslated(catalog: str) -> list[str]:
    """Return the messages of which a translation, or one of its plural forms, is missing or empty."""
    forms = plural_forms(catalog)
    return [
        entry.id
        for entry in entries(catalog)
        if not all(entry.translations) or len(entry.translations) != (1 if entry.plural is None else forms)
    ]


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main() -> None:
    for path in sorted(PACKAGE.glob("locale/*/LC_MESSAGES/moderate.po")):
        catalog = path.read_text("utf-8")
        path.write_text(updated(catalog, messages()), "utf-8")
        print(f"{path.relative_to(ROOT)}: {len(untranslated(path.read_text('utf-8')))} messages to translate")


if __name__ == "__main__":
    main()
