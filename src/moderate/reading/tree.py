"""Comments as a tree: each with its answers, as the thread's template walks them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from moderate.model import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from moderate.model import Item


@dataclass(slots=True)
class Node:
    """A comment with its answers. `depth` stops at MODERATE_MAX_DEPTH."""

    item: Item
    depth: int = 0
    is_mine: bool = False
    #: A stub for a comment that is no longer shown, above its answers.
    is_removed: bool = False
    children: list[Node] = field(default_factory=list)
    #: The comment that this one answers, where it does not stand inside that one.
    answered: Item | None = None
    #: Whether that comment stands on another page of the thread.
    is_elsewhere: bool = False


def missing_parents(items: Collection[Item]) -> set[int]:
    """Return the ids of answered comments that are not among *items*."""
    return {item.parent for item in items if item.parent is not None} - {item.id for item in items}


def tree(
    items: Collection[Item], max_depth: int, parents: Mapping[int, Item] = MappingProxyType({}), removed: str = ""
) -> list[Node]:
    """Return the comments at the top, in the order of *items*.

    *parents* holds what the store has of `missing_parents`. An answer to one that is public names it, as it
    stands on another page. One that is not public, or is gone, gets a stub, which says *removed*, above its
    first answer.
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
    """Return the list that a comment belongs into, and set its depth. No chain of answers nests too deep."""
    if above is None:
        return tops
    parent, beside = above
    if parent.depth + 1 < max_depth:
        node.depth = parent.depth + 1
        return parent.children
    # Below the deepest level shown, answers stand beside what they answer, not inside.
    node.depth, node.answered = parent.depth, parent.item
    return beside


def stub(item_id: int, answer: Item, parent: Item | None, words: str) -> Item:
    """Return what stands for a removed comment above its *answer*: its number and place, and nothing of its content."""
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
