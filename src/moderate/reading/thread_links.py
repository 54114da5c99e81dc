"""Addresses of the pages of a thread, and what a request for one of them asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.datastructures import MultiDict

# The query parameters that the thread adds to the address of the host's page.
AFTER, BEFORE = "moderate_after", "moderate_before"
PINGS_AFTER, PINGS_BEFORE = "moderate_pings_after", "moderate_pings_before"
#: The number of an item: the page that holds it is shown.
AT = "moderate_at"
#: The number of the comment that the form answers; its page is shown as well.
REPLY = "moderate_reply"
#: A signed number: what this visitor has just sent.
SENT = "moderate_sent"
OURS = frozenset({AFTER, BEFORE, PINGS_AFTER, PINGS_BEFORE, AT, REPLY, SENT})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list begins: after the item with an id, or so that it ends before one."""

    after: int | None = None
    before: int | None = None


FIRST = Place()


def item_address(url: str, item_id: int, *, sent: str = "") -> str:
    """Return the address at which an item is seen, given the *url* of its article.

    The item's number in the query says which page of the thread to show, the fragment where on it the
    item is. *sent* is added for the visitor who has just sent the item.
    """
    page = url.partition("#")[0]
    query = urlencode({AT: item_id, **({SENT: sent} if sent else {})})
    return f"{page}{'&' if '?' in page else '?'}{query}#comment-{item_id}"


def hosts_query(args: MultiDict[str, str]) -> str:
    """Return the part of a page's query that is the host's own, ready for a parameter of ours to follow."""
    kept = urlencode([pair for pair in args.items(multi=True) if pair[0] not in OURS])
    return f"{kept}&" if kept else ""


def number_in(args: Mapping[str, str], *names: str) -> int | None:
    """Return the first of the named parameters that is the number of an item; anything else counts as absent."""
    return next((int(value) for name in names if is_number(value := args.get(name, ""))), None)


def is_number(value: str) -> bool:
    """Whether *value* can be the number of an item."""
    return value.isascii() and value.isdigit() and len(value) < 19
