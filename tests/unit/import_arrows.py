"""The imports of each module, read from the sources without running them."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported name. *typing* says that it stands under `if TYPE_CHECKING:`."""

    module: str
    target: str
    line: int
    typing: bool


@dataclass(frozen=True)
class Rules:
    """*groups*: the modules of each group, relative to the package. *arrows*: the groups that each may import.

    *outside*: for each foreign or guarded module, where it may be imported. *types*: the groups whose classes a
    group may name in annotations beside, by imports under `if TYPE_CHECKING:`.
    """

    groups: Mapping[str, Sequence[str]]
    arrows: Mapping[str, Sequence[str]]
    outside: Mapping[str, Sequence[str]]
    types: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def group_of(self, name: str) -> str | None:
        """The group whose pattern fits best: `rules.check` wins over `*.check`, and that over `rules`."""
        roots = [(root, group) for group, named in self.groups.items() for root in named]
        return max(((rank(name, root), group) for root, group in roots if is_below(name, root)), default=(0, None))[1]

    def guard_of(self, target: str) -> str | None:
        """The entry of *outside* that an import falls under, the most exact one."""
        return max((name for name in self.outside if is_below(target, name)), key=len, default=None)


def is_below(name: str, root: str) -> bool:
    """Return whether *name* is *root*, matches it as a pattern (``*.sql``) or is inside it.

    The empty root is the package's own file.
    """
    return name == root or ("*" in root and fnmatchcase(name, root)) or (bool(root) and name.startswith(f"{root}."))


def rank(name: str, root: str) -> tuple[int, int]:
    """Return how exactly *root* names *name*: an exact name before a pattern, a pattern before a folder."""
    return (2 if name == root else 1 if "*" in root else 0, len(root))


def violations(package: Path, rules: Rules) -> Iterator[str]:
    """Yield one message for each violation of the rules, with advice."""
    files = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    for name, path in files.items():
        if rules.group_of(relative(name, package)) is None:
            yield f"{name} has no place in the table: name its group and what that may import"
            continue
        for found in imports_of(name, path, files):
            complaint = judge_import(found, package, rules)
            if complaint:
                yield f"{path.relative_to(package.parent)}:{found.line}: {complaint}"


def judge_import(found: Import, package: Path, rules: Rules) -> str | None:
    here = relative(found.module, package)
    if is_below(found.target, package.name):
        return judge_own(found, here, rules.group_of(relative(found.target, package)), rules)
    return None if found.typing else judge_foreign(found, here, rules)


def judge_own(found: Import, here: str, there: str | None, rules: Rules) -> str | None:
    group = rules.group_of(here)
    assert group is not None
    allowed = rules.arrows[group]
    if there in (group, None) or there in allowed or "*" in allowed:
        return None
    if found.typing and there in rules.types.get(group, ()):
        return None
    return f"{found.module} imports {found.target}, but {group!r} may import only {', '.join(allowed) or 'itself'}"


def judge_foreign(found: Import, here: str, rules: Rules) -> str | None:
    guard = rules.guard_of(found.target)
    if guard is None:
        if found.target.partition(".")[0] in sys.stdlib_module_names:
            return None
        return f"{found.module} imports {found.target}, which is not in the table: say there who may import it"
    places = rules.outside[guard]
    if any(is_below(here, place) for place in places):
        return None
    return f"{found.module} imports {found.target}, but {guard} belongs in {', '.join(places) or 'no module'}"


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def relative(name: str, package: Path) -> str:
    return name.removeprefix(package.name).removeprefix(".")


def imports_of(name: str, path: Path, modules: Mapping[str, Path]) -> Iterator[Import]:
    """Every import of a file, those inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = {id(node) for block in ast.walk(tree) if is_typing_block(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        for target in targets_of(node, name, path.name == "__init__.py", modules):
            yield Import(name, target, node.lineno, id(node) in typing)


def is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def targets_of(node: ast.AST, name: str, is_package: bool, modules: Mapping[str, Path]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=base, names=names, level=level):
            origin = absolute(base or "", name, level, is_package)
            for alias in names:
                # In `from a import b` only the files show whether b is a module; foreign names are taken as modules.
                whole = f"{origin}.{alias.name}"
                own = origin.partition(".")[0] == name.partition(".")[0]
                yield origin if own and whole not in modules else whole
        case ast.Call(args=[ast.Constant(value=str(target)), *_]) if is_import_call(node):
            yield target


def absolute(base: str, name: str, level: int, is_package: bool) -> str:
    """Return the absolute name of a relative import in the module *name*."""
    if not level:
        return base
    parts = name.split(".")
    kept = parts[: len(parts) - level + (1 if is_package else 0)]
    return ".".join([*kept, base] if base else kept)


def is_import_call(node: ast.Call) -> bool:
    return ast.unparse(node.func) in {"__import__", "import_module", "importlib.import_module"}
