"""A host for each test, on SQLite, with limits off unless a test is about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sites import Host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, MODERATE_LIMITS={})
