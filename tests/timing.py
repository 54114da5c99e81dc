"""Bounds on the time of what must not take minutes, so wide that a busy machine keeps them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quickly(about: object = None) -> Iterator[None]:
    """Fail where the block takes ten seconds of this thread's CPU time.

    What is tested by it takes a small part of a second. Where it cost the square of the input's length, it would take
    longer than that by as much again. *about* is shown then.
    """
    begin = time.thread_time()
    yield
    assert time.thread_time() - begin < 10, about


@contextmanager
def takes_no_longer_than(seconds: float) -> Iterator[None]:
    """Fail where the block takes that many seconds, waiting included."""
    begin = time.perf_counter()
    yield
    assert time.perf_counter() - begin < seconds
