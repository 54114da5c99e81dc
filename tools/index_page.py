"""The README as an index page shows it: a build hook of hatchling that makes its links absolute.

Links in README.md are relative, so that they lead to the same version in a checkout. A package index
shows the text without the files beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: A Markdown link or picture that does not begin with a scheme or a fragment.
RELATIVE_LINK = re.compile(r"(?P<picture>!?)(?P<label>\[[^\]]*\])\((?![a-z]+:|#)(?P<path>[^)\s]+)\)")


class IndexPage(MetadataHookInterface):
    """Sets the project's ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = with_absolute_links(text, metadata["urls"]["Source"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def with_absolute_links(text: str, source: str) -> str:
    """Return Markdown *text* with its relative links led to the repository at *source*."""

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link["picture"] else "blob"
        return f"{link['picture']}{link['label']}({source}/{kind}/main/{link['path']})"

    return RELATIVE_LINK.sub(absolute, text)
