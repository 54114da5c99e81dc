"""The tree of comments for any replies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from moderate.model import Item, Kind, Status
from moderate.reading.thread import Node, tree

if TYPE_CHECKING:
    from collections.abc import Iterator


def a_comment(number: int, parent: int | None) -> Item:
    empty = dict.fromkeys(
        ("email", "url", "author_id", "source_url", "title", "blog_name", "ip", "user_agent", "referrer", "text_key")
    )
    return Item(
        id=number,
        parent=parent,
        kind=Kind.COMMENT,
        status=Status.APPROVED,
        awaiting=None,
        version=1,
        article="a",
        article_title="A",
        article_url="https://news.example/a",
        author="Mika",
        text="x",
        html="<p>x</p>",
        policy="1",
        created_at=datetime(2026, 1, 13, 12, tzinfo=UTC),
        edited_at=None,
        **empty,
    )


@st.composite
def threads(draw: st.DrawFn) -> list[Item]:
    """Comments in the order of their ids, each answering an earlier one, one that is not there, or nothing."""
    count = draw(st.integers(0, 40))
    return [a_comment(number, draw(st.none() | st.integers(max(1, number - 3), number))) for number in range(2, count)]


def walk(nodes: list[Node], level: int = 0) -> Iterator[tuple[Node, int]]:
    for node in nodes:
        yield node, level
        yield from walk(node.children, level + 1)


@given(threads(), st.integers(1, 6))
def test_every_comment_appears_once_and_no_deeper_than_the_maximum(items: list[Item], max_depth: int) -> None:
    found = list(walk(tree(items, max_depth)))
    there = {item.id for item in items}
    gone = {item.parent for item in items} - there - {None}
    assert sorted(node.item.id for node, _ in found if not node.is_removed) == sorted(there)
    assert sorted(node.item.id for node, _ in found if node.is_removed) == sorted(gone)
    assert all(node.depth == level < max_depth for node, level in found)


@given(threads(), st.integers(1, 6))
def test_a_reply_is_nested_in_its_parent_or_names_it(items: list[Item], max_depth: int) -> None:
    inside = {child.item.id: node.item.id for node, _ in walk(tree(items, max_depth)) for child in node.children}
    for node, _ in walk(tree(items, max_depth)):
        parent = node.item.parent
        if node.is_removed:
            assert node.depth == 0
        elif node.answered is not None:
            assert node.answered.id == parent
        elif max_depth > 1 and parent is not None and parent != node.item.id:
            # Within it, or within the stub of one that is not there.
            assert inside[node.item.id] == parent
        else:
            assert node.depth == 0


def test_a_reply_to_a_comment_on_another_page_names_it_at_the_top() -> None:
    (node,) = tree([a_comment(7, 3)], 5, {3: a_comment(3, None)})
    assert (node.depth, node.is_elsewhere, node.answered and node.answered.id) == (0, True, 3)


def test_the_stub_of_a_removed_comment_keeps_its_place_and_reveals_nothing() -> None:
    removed = replace(a_comment(3, 2), status=Status.TRASH, html="<p>Secret</p>", author="Eve")
    (top,) = tree([a_comment(2, None), a_comment(7, 3), a_comment(8, 3)], 5, {3: removed}, "Removed.")
    (stub,) = top.children
    assert (stub.item.id, stub.item.html, stub.item.author, stub.is_mine) == (3, "<p>Removed.</p>", "", False)
    assert [child.item.id for child in stub.children] == [7, 8]


def test_a_very_long_chain_of_replies_makes_no_deep_tree() -> None:
    chain = [a_comment(number, number - 1 or None) for number in range(1, 5001)]
    assert max(level for _, level in walk(tree(chain, 5))) == 4
