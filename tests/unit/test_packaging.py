"""The archives that are published: what they hold, and that they are enough to work with."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt
from trove_classifiers import classifiers

from tests.servers import ROOT

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

PACKAGE = ROOT / "src" / "moderate"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `source`, the unpacked sdist, and `site`, the unpacked wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    build(ROOT, "sdist", folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    next(folder.glob("flask_moderate-*/")).rename(folder / "source")
    build(folder / "source", "wheel", folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder


def build(root: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def metadata(built: Path) -> Message:
    (path,) = (built / "site").glob("*.dist-info/METADATA")
    return email.message_from_string(path.read_text(encoding="utf-8"))


#: Folders that git ignores and that may stand beside the sources.
MADE_BY_USE = {"__pycache__", "instance", "node_modules"}


def files_in(folder: Path) -> set[str]:
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(name) for name in names if MADE_BY_USE.isdisjoint(name.parts)}


def test_the_sdist_holds_every_file_of_the_repository(built: Path) -> None:
    for folder in ("bench", "config", "docs", "examples", "src", "tests", "tools"):
        assert files_in(ROOT / folder) <= files_in(built / "source" / folder), folder
    assert {".editorconfig", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
            "constraints.txt", "pyproject.toml"} <= files_in(built / "source")  # fmt: skip


def test_the_sdist_holds_no_generated_files(built: Path) -> None:
    found = [name for name in files_in(built / "source") if re.match(r"\.venv|\.git/|dist/|.*\.(pyc|sqlite3)$", name)]
    assert found == []


@pytest.mark.parametrize("target", ["run", "test", "check"])
def test_the_sdist_holds_the_files_that_the_readme_commands_need(built: Path, target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=built / "source", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (built / "source" / "tools" / "debian-packages").is_file()


def test_the_wheel_holds_every_file_of_the_package_and_the_licence(built: Path) -> None:
    wheel = files_in(built / "site")
    assert {f"moderate/{name.removesuffix('.po')}" for name in files_in(PACKAGE)} <= {
        name.removesuffix(".mo") for name in wheel
    }
    assert [name for name in wheel if name.endswith(".po")] == []
    assert {name.rpartition("/")[2] for name in wheel} >= {"py.typed", "take.lua", "thread.html", "moderate.css"}
    assert [name for name in wheel if re.fullmatch(r"moderate/database/migrations/versions/\d+_\w+\.py", name)]
    assert [name for name in wheel if name.endswith(".dist-info/licenses/LICENSE")]
    assert {name.partition("/")[0] for name in wheel if ".dist-info/" not in name} == {"moderate"}


def test_an_app_runs_from_the_wheel_alone(built: Path, tmp_path: Path) -> None:
    """The lines of the README, with the unpacked wheel before every other place that holds the package."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    (tmp_path / "app.py").write_text(source, encoding="utf-8")
    visit = """
import moderate, app
client = app.app.test_client()
page = client.get("/first").text
print(moderate.__file__)
print('name="form_token"' in page, client.get("/discuss/static/moderate.css").status_code)
print(client.post("/discuss/comments/first", json={"author": "Mika", "text": "Hello."}).status_code)
from moderate.i18n import LANGUAGES, translator
print(LANGUAGES, translator("ja").say("Approve"), translator("ja").count(3, "{n} hour", "{n} hours"))
"""
    paths = os.pathsep.join([str(built / "site"), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", visit],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(built / "site" / "moderate" / "__init__.py"), "True 200", "202", "('en', 'ja') 承認 3時間",
    ]  # fmt: skip


def test_the_metadata_names_the_project_its_pythons_and_its_licence(metadata: Message) -> None:
    urls = dict(value.split(", ") for value in metadata.get_all("Project-URL", []))
    assert urls.keys() == {"Documentation", "Source", "Changelog", "Issues"}
    assert all(url.startswith("https://") for url in urls.values())
    given = set(metadata.get_all("Classifier", []))
    assert given <= classifiers
    assert {f"Programming Language :: Python :: {version}" for version in ("3.11", "3.12", "3.13")} <= given
    assert {"Framework :: Flask", "Operating System :: OS Independent", "Typing :: Typed"} <= given
    assert any(name.startswith("Development Status ::") for name in given)
    assert metadata["License-Expression"] == "BSD-3-Clause"


def test_every_link_and_image_of_the_readme_works_on_a_package_index(
    metadata: Message,
) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    description = metadata.get_payload()
    assert isinstance(description, str)
    page = MarkdownIt("commonmark").enable("table").render(description)
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert [link for link in links if not link.startswith("https://")] == []
    source = PROJECT["urls"]["Source"]
    parts = [re.fullmatch(rf"{re.escape(source)}/(?:raw|blob|tree)/main/([^#]+)(?:#.*)?", link) for link in links]
    own = [part[1] for part in parts if part]
    assert {"docs/quickstart.md", "docs/images/queue.png", "LICENSE", "SECURITY.md"} <= set(own)
    assert [path for path in own if not (ROOT / path).is_file()] == []
