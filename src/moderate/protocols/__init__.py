"""The protocols by which submissions come in. A new one is a file of its own and an entry of `PROTOCOLS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.protocols.comment import Comment
from moderate.protocols.pingback import Pingback
from moderate.protocols.trackback import Trackback
from moderate.protocols.webmention import Webmention

if TYPE_CHECKING:
    from moderate.protocols.base import InboundProtocol

PROTOCOLS: tuple[InboundProtocol, ...] = (Comment(), Trackback(), Pingback(), Webmention())
