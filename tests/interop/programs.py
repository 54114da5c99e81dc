"""Other people's programs: installed into a folder of their own, run as programs, never imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.servers import ROOT, ServerFailed, program

if TYPE_CHECKING:
    from pathlib import Path

#: Thrown away with everything else that is temporary; kept between runs, because it takes minutes to fill.
FOLDER = ROOT / "tmp" / "interop"

PYTHON_PACKAGES = ("indieweb-utils==0.10.0", "ronkyuu==0.9", "webmention-tools==0.4.1")
NODE_PACKAGES = ("trackback@0.0.3", "pingback@0.0.3", "send-webmention@2.0.0")

#: Seconds that an installation may take; a ping takes a few.
PATIENCE = 600


class Programs:
    """A place where programs of one language are installed and run."""

    def __init__(self, name: str, packages: tuple[str, ...]) -> None:
        self.folder = FOLDER / name
        self.packages = packages
        self._done = self.folder / "installed.json"

    def prepare(self) -> None:
        """Install what is not there yet, in exactly these versions."""
        wanted = json.dumps(self.packages)
        if self._done.exists() and self._done.read_text(encoding="utf-8") == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.install()
        self._done.write_text(wanted, encoding="utf-8")

    def install(self) -> None:
        raise AssertionError(f"{type(self).__name__} installs nothing")

    def call(self, *command: str | Path) -> str:
        """Run a command in the folder; return what it printed. Fails with all that it said."""
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise ServerFailed(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout


class PythonPrograms(Programs):
    """In a virtual environment, so that nothing of them gets into ours."""

    def install(self) -> None:
        self.call(sys.executable, "-m", "venv", ".")
        self.call(self.folder / "bin/python", "-m", "pip", "install", "--quiet", *self.packages)

    def run(self, script: str, *arguments: str) -> str:
        return self.call(self.folder / "bin/python", "-c", script, *arguments).strip()


class NodePrograms(Programs):
    """In node_modules, without the scripts that packages may want to run when installed."""

    def install(self) -> None:
        (self.folder / "package.json").write_text('{"private": true}', encoding="utf-8")
        npm = program("npm", "npm")
        self.call(npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", *self.packages)

    def run(self, script: str, *arguments: str) -> str:
        # With -e the first argument after the script is process.argv[1].
        return self.call(program("node", "nodejs"), "-e", script, *arguments).strip()
