"""The clocks of a site's hosts: all go by that of the database's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime

    from moderate.desk import Desk


@runtime_checkable
class Following(Protocol):
    """A clock that can be set right."""

    def follow(self, other: datetime) -> float: ...


def follow(desk: Desk) -> float:
    """Set this process's clock by the database's; returns for how many seconds this host's clock is ahead.

    A clock that was handed in stays as it is.
    """
    if not isinstance(desk.clock, Following):
        return 0.0
    told = desk.store.time()
    return 0.0 if told is None else desk.clock.follow(told)
