"""A comment becomes its author's once their address was confirmed, and nothing else of it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderate.model import Decision, Status
from tests.factories import NOON, a_comment, a_verdict, decide_one

if TYPE_CHECKING:
    from moderate.store.store import Store


def test_an_unowned_comment_gets_its_confirmed_author(store: Store) -> None:
    before = store.items.record(a_comment(), a_verdict(), [], NOON).item
    after = store.items.confirm(before.id, "email:1")
    assert after is not None
    assert (before.author_id, after.author_id) == (None, "email:1")
    assert store.items.get(before.id) == after
    assert after.version == before.version
    assert len(store.history.of_item(before.id)) == 1
    decided = decide_one(store, before.id, Decision.APPROVE, version=before.version, by="mori", note=None, now=NOON)
    assert decided.changed
    assert store.earlier.author_record("email:1") == {Status.APPROVED: 1}


def test_an_owned_comment_keeps_its_author(store: Store) -> None:
    item = store.items.record(a_comment(author_id="7"), a_verdict(), [], NOON).item
    after = store.items.confirm(item.id, "email:1")
    assert after is not None
    assert after.author_id == "7"


def test_an_unknown_item_cannot_be_confirmed(store: Store) -> None:
    assert store.items.confirm(99, "email:1") is None
