"""The rules of the repository: plain pins, minimum versions that exist, targets with a description."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def normal(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_the_constraints_hold_only_names_and_versions() -> None:
    assert [line for line in CONSTRAINTS if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)] == []


def test_everything_that_ci_installs_is_pinned() -> None:
    wanted = [*PYPROJECT["project"]["dependencies"], *EXTRAS["dev"], *EXTRAS["test"], *EXTRAS["nh3"]]
    own = normal(PYPROJECT["project"]["name"])
    assert {normal(line) for line in wanted} - {own} <= {normal(line) for line in CONSTRAINTS}


def test_the_tested_minimum_versions_match_the_requirements() -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "tools" / "pin.py", "floors"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"sqlalchemy==2.0.40", "redis==5.0.4", "nh3==0.3.6", "psycopg==3.2.2", "werkzeug==3.1"} <= set(told)


@pytest.mark.parametrize(
    ("name", "requirement"), [("Flask", "flask"), ("SQLAlchemy", "sqlalchemy"), ("redis-py", "redis")]
)
def test_the_readme_names_the_minimum_versions_of_the_host_dependencies(name: str, requirement: str) -> None:
    (floor,) = [
        m[1] for line in PYPROJECT["project"]["dependencies"] if (m := re.match(rf"{requirement}>=([\d.]+)", line))
    ]
    assert re.search(rf"\b{name} {re.escape(floor)}[, ]", (ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("target", ["run", "test", "check", "pythons", "lowest", "bench", "interop", "clean", "help"])
def test_each_command_is_explained_by_make_help(target: str) -> None:
    assert re.search(rf"^{target}:.*## \w", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def found_pythons(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Run ``tools/pythons`` where the programs given as *there*, by name and version, are the only Pythons."""

    def find(what: str = "", **there: str) -> tuple[str, str]:
        named = [f"3.{minor}" for minor in range(11, 20)]
        # Those of the machine itself are hidden by programs that fail.
        for name in ["python3", "pyenv", *(f"python{version}" for version in named)]:
            program = tmp_path / name
            accepted = there.get(name.replace(".", "_"), "none")
            program.write_text(f'#!/bin/sh\n[ "$2" = {accepted} ]\n', encoding="ascii")
            program.chmod(0o755)
        done = subprocess.run(
            ["sh", ROOT / "tools" / "pythons", *filter(None, [what])],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, done.stderr

    return find


def test_the_oldest_and_newest_installed_python_are_found(found_pythons: Callable[..., tuple[str, str]]) -> None:
    there = {"python3": "3.12", "python3_11": "3.11", "python3_13": "3.13"}
    assert found_pythons(**there) == ("3.11 python3.11\n3.12 python3\n3.13 python3.13\n", "")
    assert found_pythons("oldest", **there) == ("python3.11\n", "")
    assert found_pythons("newest", **there) == ("python3.13\n", "")


def test_missing_python_versions_are_named(found_pythons: Callable[..., tuple[str, str]]) -> None:
    found, told = found_pythons(python3="3.12")
    assert found == "3.12 python3\n"
    assert re.findall(r"no Python (\S+) on this machine", told) == ["3.11", "3.13"]


@pytest.mark.parametrize("what", ["oldest", "newest"])
def test_python3_is_used_with_a_notice_when_no_known_python_is_found(
    found_pythons: Callable[..., tuple[str, str]], what: str
) -> None:
    found, told = found_pythons(what, python3="3.99")
    assert found == "python3\n"
    assert "python3 is used" in told


def test_no_tracked_file_names_a_local_machine_or_holds_a_key() -> None:
    """Neither paths of home folders nor package indexes nor private keys belong in a repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    telling = re.compile(r"/(?:home|Users|root)/\w+/|--(?:extra-)?index-url|-----BEGIN [A-Z ]*PRIVATE KEY" + "-----")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".ico", ".woff2"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {match[0]}" for match in telling.finditer(text) if path.name != "test_repository.py"]
    assert found == []


def test_text_files_end_with_a_newline_and_have_no_trailing_spaces() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    suffixes = {".py", ".toml", ".lua", ".js", ".css", ".html", ".txt", ""}
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in suffixes and path.is_file() and (text := path.read_text(encoding="utf-8")):
            found += [name] * (not text.endswith("\n"))
            found += [f"{name}:{n}" for n, line in enumerate(text.split("\n"), 1) if line.endswith((" ", "\t"))]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_are_valid(page: Path) -> None:
    code = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
    text = code.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", text) + re.findall(
        r'(?:src|href)="(?!https?:|#)([^"#]+)"', text
    )
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_on_pages_are_valid_python(page: Path) -> None:
    blocks = re.findall(r"^```(python|toml)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for language, block in blocks:
        ast.parse(block) if language == "python" else tomllib.loads(block)
