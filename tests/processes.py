"""Real processes for tests, forked from one that has imported what they need."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

#: Neither forks the test process, whose threads and connections are its own, nor starts a Python each time.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "moderate.store",
        "moderate.akismet.client",
        "sqlalchemy.dialects.postgresql.psycopg",
        "alembic.migration",
        "akismet",
        "bleach",
        "flask.testing",
        "pytest",
        "tests.sites",
    ]
)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process that still runs after the block. After a failure `Popen` alone would wait for it for ever."""
    with process:
        try:
            yield
        finally:
            process.kill()
