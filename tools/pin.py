"""Versions as plain `name==version` lines, without hosts or paths, for `pip install -c`.

python tools/pin.py installed    what this Python has installed, without the project itself
python tools/pin.py floors       the oldest versions that pyproject.toml admits
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?(?:>=(?P<floor>[\w.]+))?")
#: They come with Python's own environments, whichever version.
TOOLS = {"pip", "setuptools", "wheel"}


def normal(name: str) -> str:
    """The one spelling that all spellings of a distribution's name share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(project: str) -> dict[str, str]:
    """All that is installed beside the project itself."""
    found = {normal(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
    return {name: version for name, version in found.items() if name not in {normal(project), *TOOLS}}


def floors(pyproject: dict[str, Any]) -> dict[str, str]:
    """The floor of everything that the package and its extras ask for, and of what is named besides."""
    project = pyproject["project"]
    wanted = [*project["dependencies"], *pyproject["tool"]["floors"]["besides"]]
    for extra in project["optional-dependencies"].values():
        wanted.extend(extra)
    matches = [REQUIREMENT.match(line) for line in wanted]
    return {normal(m["name"]): m["floor"] for m in matches if m and m["floor"]}


def main(what: str) -> None:
    pyproject = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    chosen = {"installed": lambda: installed(pyproject["project"]["name"]), "floors": lambda: floors(pyproject)}
    for name, version in sorted(chosen[what]().items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in {"installed", "floors"}:
        sys.exit(__doc__)
    main(sys.argv[1])
