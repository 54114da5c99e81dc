"""The numbers of an article, or of the whole site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """An article's numbers. `comments` and `trackbacks` count approved items only.

    Each item is in exactly one field: approved ones under the name of their kind, all others under their
    status and kind. `moderate.lifecycle.counter_of` tells which.
    """

    comments: int = 0
    trackback: int = 0
    pingback: int = 0
    webmention: int = 0
    pending_comment: int = 0
    pending_trackback: int = 0
    pending_pingback: int = 0
    pending_webmention: int = 0
    spam_comment: int = 0
    spam_trackback: int = 0
    spam_pingback: int = 0
    spam_webmention: int = 0
    trash_comment: int = 0
    trash_trackback: int = 0
    trash_pingback: int = 0
    trash_webmention: int = 0

    @property
    def trackbacks(self) -> int:
        """All three ping kinds together: the number of the footer's ``Trackback(N)``."""
        return self.trackback + self.pingback + self.webmention

    @property
    def approved(self) -> int:
        return self.comments + self.trackbacks

    @property
    def pending(self) -> int:
        return self.pending_comment + self.pending_trackback + self.pending_pingback + self.pending_webmention

    @property
    def spam(self) -> int:
        return self.spam_comment + self.spam_trackback + self.spam_pingback + self.spam_webmention

    @property
    def trash(self) -> int:
        return self.trash_comment + self.trash_trackback + self.trash_pingback + self.trash_webmention
