"""A process that is forked leaves its parent's connections alone: it neither uses nor closes them."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool


class Forked(Protocol):
    """Something with connections."""

    def forget_connections(self) -> None:
        """Called in a process that has just been forked."""


#: Pools whose connections belong to the parent process; kept, so that nothing here closes them.
_left_to_the_parent: list[Pool] = []
_connected: weakref.WeakSet[Forked] = weakref.WeakSet()


def watch(connected: Forked) -> None:
    """Have it told of every fork."""
    _connected.add(connected)


def leave_to_the_parent(engine: Engine) -> None:
    """Begin with a new pool. An engine of the host's own is no exception: one connection serves one process."""
    _left_to_the_parent.append(engine.pool)
    engine.dispose(close=False)


def _after_fork() -> None:
    for connected in list(_connected):
        connected.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
