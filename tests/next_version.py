"""Changes that a later version may make to the tables, and a function that makes this code that version."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from moderate.database import migrate

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

#: New columns with and without a default, a new table and a new index.
ADDITIONS = (
    "ALTER TABLE moderate_items ADD COLUMN mood VARCHAR(20)",
    "ALTER TABLE moderate_items ADD COLUMN weight INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE moderate_history ADD COLUMN weight INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE moderate_moods (name VARCHAR(20) PRIMARY KEY, ink VARCHAR(9) NOT NULL)",
    "CREATE INDEX ix_moderate_items_mood ON moderate_items (mood)",
)


def install_next_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this code one more migration, which does what `ADDITIONS` say; *folder* is made for the scripts."""
    head = f"{int(migrate.HEAD) + 1:04}"
    shutil.copytree(str(migrate.SCRIPTS), folder)
    steps = "".join(f"    op.execute({statement!r})\n" for statement in ADDITIONS)
    (folder / "versions" / f"{head}_moods.py").write_text(
        f"revision, down_revision = '{head}', '{migrate.HEAD}'\n\n\ndef upgrade(op):\n{steps}", encoding="utf-8"
    )
    monkeypatch.setattr(migrate, "SCRIPTS", folder)
    monkeypatch.setattr(migrate, "KNOWN", migrate.KNOWN | {head})
    monkeypatch.setattr(migrate, "HEAD", head)
