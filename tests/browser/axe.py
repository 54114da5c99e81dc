"""axe-core, the checker of accessibility: fetched from npm into a folder that is thrown away, and run on a page."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

PACKAGE = "axe-core@4.14.1"
FOLDER = ROOT / "tmp" / PACKAGE
SCRIPT = Path("node_modules", "axe-core", "axe.min.js")

#: The rules of accessibility: WCAG 2.2 A and AA, and good practice.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = "(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })"


def axe_script() -> str:
    """The script's text; installed once, also where several test processes ask at the same time."""
    if not (FOLDER / SCRIPT).exists():
        FOLDER.parent.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=FOLDER.parent, prefix="axe-"))
        npm = shutil.which("npm")
        assert npm is not None, "npm is not installed: run `make test`, or install the package npm"
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(fresh), PACKAGE]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        with contextlib.suppress(OSError):
            # A second process finds the folder there, and keeps the files of the first.
            fresh.rename(FOLDER)
        shutil.rmtree(fresh, ignore_errors=True)
    return (FOLDER / SCRIPT).read_text(encoding="utf-8")


def grave_findings(page: Page) -> list[str]:
    """Return the findings on the shown page that axe calls serious or critical."""
    # Evaluated by the browser's own tools, so that the page's Content-Security-Policy can stay as it is.
    page.evaluate(axe_script())
    found: dict[str, Any] = page.evaluate(RUN, TAGS)
    return [
        f"{violation['impact']}: {violation['id']}: {violation['help']}: {node['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
