"""Translations in the archives: a build hook of hatchling that puts compiled catalogs into the wheel.

A wheel holds ``moderate.mo`` in place of each ``moderate.po``. Editable installations and the sdist have the
sources, which `moderate.i18n` compiles when it reads them, so nothing is written into the checkout.
"""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Catalogs(BuildHookInterface[Any]):
    """Adds the compiled catalogs to the files of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        source = Path(self.root) / "src"
        self._folder = TemporaryDirectory()
        for catalog in source.glob("moderate/locale/*/LC_MESSAGES/moderate.po"):
            place = catalog.relative_to(source).with_suffix(".mo")
            compiled = Path(self._folder.name) / place
            compiled.parent.mkdir(parents=True)
            compiled.write_bytes(compiler(source).compiled(catalog.read_text("utf-8")))
            build_data["force_include"][str(compiled)] = str(place)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._folder.cleanup()


def compiler(source: Path) -> Any:
    """Load `moderate.i18n` from its file: the package itself needs what is not there while it is built."""
    loader = SourceFileLoader("i18n", str(source / "moderate" / "i18n.py"))
    module = ModuleType(loader.name)
    module.__file__ = loader.path
    loader.exec_module(module)
    return module
