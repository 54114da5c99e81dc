"""What a store promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from moderate.model import (
        Kind,
        Status,
    )
    from moderate.ports.watching import Alike, NearText


class Earlier(Protocol):
    """What checks may ask about the past. Reads only."""

    def same_text(self, text_key: str, since: datetime) -> Sequence[tuple[Kind, Status, str]]:
        """Kind, status and article of items with that text since then, newest first, at most 50."""

    def near_text(self, text_key: str, near: NearText, since: datetime) -> Sequence[Alike]:
        """Items since then that may say nearly the same, the same text among them; newest first, at most 100."""

    def author_record(self, author_id: str, since: datetime | None = None) -> Mapping[Status, int]:
        """How many items of a verified author stand where: all, or those since then, with spam that was deleted."""
