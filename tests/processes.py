"""Real processes for tests, forked from one that has imported what they need."""

from __future__ import annotations

import multiprocessing

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
