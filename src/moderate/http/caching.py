"""What caches may do with our answers (RFC 9111): where a view has said nothing, they keep nothing.

Without a word of ours a cache may keep a 200, 204, 404 or 405 for as long as it thinks fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from flask import Response

#: Answers that depend on who asks, and no cache but the reader's own may keep; to be asked for again each time.
OWN = "private, no-cache"


def settle(response: Response) -> Response:
    """For `Blueprint.after_request`."""
    if request.endpoint != "moderate.static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
