"""Pings from other people's programs. `make interop` runs these; the test suite does not, for they are not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.loopback import InteropSite, interop_site
from tests.interop.programs import NODE_PACKAGES, PYTHON_PACKAGES, NodePrograms, PythonPrograms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only who names this folder gets it: the programs are installed from the network."""
    asked = any("interop" in str(argument) for argument in config.invocation_params.args)
    return None if asked else True


@pytest.fixture(autouse=True)
def _no_host_outlives_its_test() -> None:
    """Allow the threads of `site` to go on from test to test."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteropSite]:
    with interop_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def python() -> PythonPrograms:
    programs = PythonPrograms("python", PYTHON_PACKAGES)
    programs.prepare()
    return programs


@pytest.fixture(scope="session")
def node() -> NodePrograms:
    programs = NodePrograms("node", NODE_PACKAGES)
    programs.prepare()
    return programs
