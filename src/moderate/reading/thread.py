"""A thread as data: the addresses of its pages, and its comments as a tree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from moderate.http.site_address import AT, SENT
from moderate.model import Status, whole_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from werkzeug.datastructures import MultiDict

    from moderate.http.answers import Frame
    from moderate.model import Item

# The query parameters that the thread adds to the address of the host's page.
AFTER, BEFORE = "moderate_after", "moderate_before"
PINGS_AFTER, PINGS_BEFORE = "moderate_pings_after", "moderate_pings_before"
#: The number of the comment that the form answers; its page is shown as well.
REPLY = "moderate_reply"
OURS = frozenset({AFTER, BEFORE, PINGS_AFTER, PINGS_BEFORE, AT, REPLY, SENT})


# --- pages and their addresses ----------------------------------------------------------------------


class Place(NamedTuple):
    """The beginning of a page of a list: after the item of an id, or so that the page ends before one."""

    after: int | None = None
    before: int | None = None


FIRST = Place()


class Pages(NamedTuple):
    """The cursors of the pages before and after one, each None where there is none."""

    earlier: int | None = None
    later: int | None = None


class ThreadHtml(NamedTuple):
    """A page of a thread as HTML: its comments, and the pings of other sites; `query` is a slot in both."""

    comments: Frame
    pings: Frame
    comment_pages: Pages
    ping_pages: Pages


def hosts_query(args: MultiDict[str, str]) -> str:
    """Return the part of a page's query that is the host's own, ready for a parameter of the thread to follow."""
    kept = urlencode([pair for pair in args.items(multi=True) if pair[0] not in OURS])
    return f"{kept}&" if kept else ""


def number_in(args: Mapping[str, str], *names: str) -> int | None:
    """Return the first of the named parameters that is the number of an item; anything else counts as absent."""
    return next(filter(None, (whole_number(args.get(name, "")) for name in names)), None)


# --- comments as a tree -----------------------------------------------------------------------------


@dataclass(slots=True)
class Node:
    """A comment with its answers. `depth` stops at MODERATE_MAX_DEPTH."""

    item: Item
    depth: int = 0
    is_mine: bool = False
    #: A stub for a comment that is no longer shown, above its answers.
    is_removed: bool = False
    children: list[Node] = field(default_factory=list)
    #: The comment that this one answers, where this one is not nested in it.
    answered: Item | None = None
    #: True if that comment is on another page of the thread.
    is_elsewhere: bool = False


def missing_parents(items: Collection[Item]) -> set[int]:
    """Return the ids of answered comments that are not among *items*."""
    return {item.parent for item in items if item.parent is not None} - {item.id for item in items}


def tree(
    items: Collection[Item], max_depth: int, parents: Mapping[int, Item] = MappingProxyType({}), removed: str = ""
) -> list[Node]:
    """Return the comments at the top level, in the order of *items*.

    *parents* holds what the store has of `missing_parents`. An answer to a public comment, which is on another
    page then, names it. Where the answered comment is not public or is gone, a stub with the text *removed* is
    put above its first answer.
    """
    tops: list[Node] = []
    placed: dict[int, tuple[Node, list[Node]]] = {}
    missing = missing_parents(items)

    def put(node: Node) -> None:
        siblings = place(node, placed.get(node.item.parent or 0), tops, max_depth)
        siblings.append(node)
        placed[node.item.id] = (node, siblings)

    for item in items:
        node = Node(item, is_mine=not item.is_public)
        if item.parent in missing and item.parent not in placed:
            parent = parents.get(item.parent)
            if parent is not None and parent.is_public:
                node.answered, node.is_elsewhere = parent, True
            else:
                put(Node(stub(item.parent, item, parent, removed), is_removed=True))
        put(node)
    return tops


def place(node: Node, above: tuple[Node, list[Node]] | None, tops: list[Node], max_depth: int) -> list[Node]:
    """Set the depth of *node* and return the list that it belongs to. *above* is its parent with that one's list."""
    if above is None:
        return tops
    parent, beside = above
    if parent.depth + 1 < max_depth:
        node.depth = parent.depth + 1
        return parent.children
    # Below the deepest level shown, answers follow what they answer on the same level.
    node.depth, node.answered = parent.depth, parent.item
    return beside


def stub(item_id: int, answer: Item, parent: Item | None, words: str) -> Item:
    """Return a placeholder for a removed comment above its *answer*: its number and place, none of its content."""
    return replace(
        answer,
        id=item_id,
        status=Status.TRASH,
        parent=parent.parent if parent else None,
        author="",
        email=None,
        url=None,
        author_id=None,
        html=f"<p>{words}</p>",
        edited_at=None,
    )
